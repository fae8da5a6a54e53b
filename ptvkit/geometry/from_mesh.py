"""From a closed mesh to a region."""

from typing import Any, Final

import numpy as np
import trimesh
from numpy.typing import NDArray

from ptvkit.errors import MaskError
from ptvkit.geometry.boxes import groups_that_meet, merged
from ptvkit.geometry.components import in_boxes
from ptvkit.geometry.contours import REACH_MM, ROOM, between
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.region import Region
from ptvkit.kernels.polygon import polygon_levels

Floats = NDArray[np.float64]

FINEST_MM: Final = 0.25
ACROSS: Final = 96
"""Nodes across the mesh, at least, as far as their spacing stays between the finest and 1 mm."""
ASIDE: Final = 1e-4
"""Sections lie this share of a step beside round figures, where meshes like to have vertices and flat faces."""
MOST_NODES: Final = 60_000_000


def region_from_mesh(mesh: trimesh.Trimesh, *, name: str = "the mesh") -> Region:
    """The region that a closed mesh encloses, from its sections with planes some tenths of a millimetre apart.

    Parameters
    ----------
    mesh : trimesh.Trimesh
        Watertight; vertices in the patient frame RAS+, mm. Its winding does not matter.
    name : str
        What messages call it.

    Raises
    ------
    MaskError
        When the mesh is empty, open, or not finite.
    """
    vertices = np.asarray(mesh.vertices, float)
    if not len(vertices) or not np.isfinite(vertices).all() or np.abs(vertices).max() > 1e5:
        raise MaskError(f"{name}: holds no surface in mm; export it again")
    if not mesh.is_watertight:
        raise MaskError(f"{name}: its surface is open, so nothing is inside; close its holes and export it again")
    found = [_enclosed(one, name) for one in _apart(mesh)]
    return merged([box for one in found for box in one.boxes], name)


def _apart(mesh: trimesh.Trimesh) -> list[trimesh.Trimesh]:
    """The closed surfaces, those whose boxes meet together: one may be a hole in the other."""
    labels_of = trimesh.graph.connected_component_labels
    label = labels_of(mesh.face_adjacency, node_count=len(mesh.faces))  # type: ignore[no-untyped-call]
    if not label.max():
        return [mesh]
    corners = np.asarray(mesh.triangles, float)
    low, high = np.full((label.max() + 1, 3), np.inf), np.full((label.max() + 1, 3), -np.inf)
    np.minimum.at(low, label, corners.min(axis=1))
    np.maximum.at(high, label, corners.max(axis=1))
    faces = [np.flatnonzero(np.isin(label, group)) for group in groups_that_meet(low, high)]
    return [trimesh.Trimesh(mesh.vertices, mesh.faces[chosen], process=False) for chosen in faces]


def _enclosed(mesh: trimesh.Trimesh, name: str) -> Region:
    """The region that surfaces which belong together enclose, on a lattice of their own."""
    corners = np.asarray(mesh.triangles, float).reshape(-1, 3)
    low, high = corners.min(axis=0), corners.max(axis=0)
    step = float(np.clip((high - low).max() / ACROSS, FINEST_MM, 1.0))
    while np.prod((high - low) / step + 2 * ROOM) > MOST_NODES:
        step *= 1.25
    grid = _lattice(low, high, step)
    heights = grid.affine[2, 3] + step * np.arange(grid.shape[2])
    inner = np.flatnonzero((heights > low[2]) & (heights < high[2]))
    if not len(inner):
        raise MaskError(f"{name}: is thinner than {step:g} mm; there is no structure to work on")
    corner = np.tile(grid.affine[:2, 3], 2)
    edges = [(_section(mesh, z) - corner) / step for z in heights[inner]]
    first = np.cumsum([0, *(len(one) for one in edges)]).astype(np.int64)
    levels = polygon_levels(
        np.ascontiguousarray(np.concatenate(edges)), first, grid.shape[:2], grid.spacing_mm[:2], REACH_MM
    )
    return in_boxes(Region(level=between(levels, heights[inner], step, heights), grid=grid, name=name))


def _lattice(low: Floats, high: Floats, step: float) -> Grid:
    count = np.ceil((high - low) / step).astype(int) + 2 * ROOM
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = low - (ROOM - 0.5 - ASIDE) * step
    return Grid(shape=(int(count[0]), int(count[1]), int(count[2])), affine=affine)


def _section(mesh: Any, height: float) -> Floats:
    """Edges (M, 4) in which a plane cuts a mesh: from (x, y) to (x, y), mm."""
    cut = trimesh.intersections.mesh_plane
    lines = cut(mesh, plane_normal=[0, 0, 1], plane_origin=[0, 0, height])  # type: ignore[no-untyped-call]
    return np.asarray(lines, float).reshape(-1, 2, 3)[:, :, :2].reshape(-1, 4)
