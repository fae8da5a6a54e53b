"""A region's surface as a triangle mesh."""

from collections.abc import Sequence

import numpy as np
import trimesh
from numpy.typing import NDArray
from skimage.measure import marching_cubes

from ptvkit.errors import MaskError
from ptvkit.geometry.box import Box


def mesh_of(boxes: Sequence[Box], name: str) -> trimesh.Trimesh:
    """The surface of a region's boxes as a closed, outward-facing mesh.

    Returns
    -------
    trimesh.Trimesh
        Watertight; vertices in the patient frame RAS+, mm; normals point out of the structure whatever the affine.

    Raises
    ------
    MaskError
        When all boxes are empty.
    """
    surfaces = [_surface(box) for box in boxes if not box.is_empty]
    if not surfaces:
        raise MaskError(f"{name}: is empty; it has no surface")
    first = np.cumsum([0, *(len(vertices) for vertices, _ in surfaces)])
    vertices = np.concatenate([vertices for vertices, _ in surfaces])
    faces = np.concatenate([faces + start for (_, faces), start in zip(surfaces, first, strict=False)])
    mesh = trimesh.Trimesh(vertices=vertices, faces=faces, process=False)
    if mesh.volume < 0:
        mesh.invert()
    return mesh


def _surface(box: Box) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vertices, mm, and faces of one box; all faces outward, or all inward, as its axes are handed."""
    closed = box.with_room([(2, 2)] * 3)
    # marching cubes makes slivers, then holes, where the level is all but zero at a node
    tiny = np.float32(1e-3 * min(box.grid.spacing_mm))
    level = np.where(np.abs(closed.level) < tiny, np.where(closed.level < 0, -tiny, tiny), closed.level)
    vertices, faces, _, _ = marching_cubes(level, 0.0)  # type: ignore[no-untyped-call]
    if np.linalg.det(box.grid.axes) < 0:
        faces = faces[:, ::-1]
    return closed.grid.to_mm(vertices), np.asarray(faces, np.int64)
