"""Surfaces as STL and PLY."""

from collections.abc import Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np

from ptvkit.errors import FileError, MaskError
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region
from ptvkit.io.files import open_input, write_whole
from ptvkit.io.segment import Frame, Listed, Segment, WriteOptions

SIDES: Final = {"RAS": np.array([1.0, 1.0, 1.0]), "LPS": np.array([-1.0, -1.0, 1.0])}
MOST_BYTES: Final = 500_000_000


def structures(path: Path, frame: Frame | None) -> list[Listed]:
    """List the structure of a mesh file."""
    return [Listed(name=path.stem, number=1, read=partial(_enclosed, path, frame))]


def _enclosed(path: Path, frame: Frame | None) -> Region:
    """Read the region enclosed by a surface.

    Raises
    ------
    FileError
        When the file cannot be read, or the frame of its vertices is missing.
    MaskError
        When the surface is open.
    """
    import trimesh  # slow to load, and only meshes need it

    from ptvkit.geometry.from_mesh import region_from_mesh

    if frame is None:
        raise FileError(
            f"{path}: mesh files do not state the frame of their vertices; give frame, RAS or LPS (3D Slicer writes LPS"
            " since 2020)"
        )
    with open_input(path, "an STL or PLY file") as file:
        content = file.read(MOST_BYTES)
    try:
        mesh = trimesh.load_mesh(BytesIO(content), file_type=path.suffix[1:].lower())
        if not isinstance(mesh, trimesh.Trimesh):
            raise ValueError("it holds no triangles")
        mesh.merge_vertices()
    except Exception as error:  # Any exception of the library means a damaged file.
        why = " ".join(str(error).split())[:80]
        raise FileError(f"{path}: is damaged or not readable as a mesh ({why}); export it again") from None
    mesh.vertices = np.asarray(mesh.vertices, float) * SIDES[frame]
    return region_from_mesh(mesh, name=str(path))


def write_segments(path: Path, segments: Sequence[Segment], options: WriteOptions) -> None:
    """Write the surface of a structure: closed, normals outwards, mm.

    Raises
    ------
    FileError
        When the frame is missing.
    MaskError
        When there are several structures.
    """
    import trimesh

    if options.frame is None:
        raise FileError(f"{path}: give the frame of the vertices, RAS or LPS")
    if len(segments) > 1:
        raise MaskError(f"{path}: a mesh file holds one structure; choose one, found {len(segments)}")
    mesh = as_region(segments[0].shape).to_mesh()
    sides = SIDES[options.frame]
    turned = trimesh.Trimesh(vertices=mesh.vertices * sides, faces=mesh.faces, process=False)
    if turned.volume < 0:
        turned.invert()
    content = turned.export(file_type=path.suffix[1:].lower())
    with write_whole(path) as file:
        file.write(content if isinstance(content, bytes) else str(content).encode())
