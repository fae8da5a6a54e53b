"""A region's surface as a triangle mesh."""

import numpy as np
import trimesh
from skimage.measure import marching_cubes

from ptvkit.errors import MaskError
from ptvkit.geometry.region import Region
from ptvkit.geometry.resample import embedded


def mesh_of(region: Region) -> trimesh.Trimesh:
    """The surface as a closed, outward-facing mesh.

    Parameters
    ----------
    region : Region

    Returns
    -------
    trimesh.Trimesh
        Watertight; vertices in the patient frame RAS+, mm; normals point out of the structure whatever the affine.

    Raises
    ------
    MaskError
        When the region is empty.
    """
    if region.is_empty:
        raise MaskError(f"{region.name}: is empty; it has no surface")
    closed = embedded(region, [(2, 2)] * 3)
    # marching cubes makes slivers, then holes, where the level is all but zero at a node
    tiny = np.float32(1e-3 * min(region.grid.spacing_mm))
    level = np.where(np.abs(closed.level) < tiny, np.where(closed.level < 0, -tiny, tiny), closed.level)
    vertices, faces, _, _ = marching_cubes(level, 0.0)  # type: ignore[no-untyped-call]
    mesh = trimesh.Trimesh(vertices=closed.grid.to_mm(vertices), faces=faces, process=False)
    if mesh.volume < 0:
        mesh.invert()
    return mesh
