"""Surfaces as STL and PLY."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
import trimesh

from ptvkit.errors import FileError, MaskError
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.from_mesh import region_from_mesh
from ptvkit.io.files import open_input, write_whole
from ptvkit.io.segment import Frame, Segment, Wish

SIDES: Final = {"RAS": np.array([1.0, 1.0, 1.0]), "LPS": np.array([-1.0, -1.0, 1.0])}
MOST_BYTES: Final = 500_000_000


def read(path: Path, frame: Frame | None) -> list[Segment]:
    """The structure that a closed surface encloses.

    Raises
    ------
    FileError
        When it cannot be read, or the frame of its vertices is not said.
    MaskError
        When the surface is open.
    """
    if frame is None:
        raise FileError(
            f"{path}: meshes do not say which frame their vertices are in; say --frame RAS or --frame LPS (3D Slicer"
            " writes LPS since 2020)"
        )
    with open_input(path, "an STL or PLY file") as file:
        content = file.read(MOST_BYTES)
    try:
        mesh = trimesh.load_mesh(BytesIO(content), file_type=path.suffix[1:].lower())
        if not isinstance(mesh, trimesh.Trimesh):
            raise ValueError("it holds no triangles")
        mesh.merge_vertices()
    except Exception as error:  # whatever the library raises, it is the file that is wrong
        why = " ".join(str(error).split())[:80]
        raise FileError(f"{path}: is damaged or no mesh that can be read ({why}); export it again") from None
    mesh.vertices = np.asarray(mesh.vertices, float) * SIDES[frame]
    return [Segment(name=path.stem, shape=region_from_mesh(mesh, name=str(path)), number=1)]


def write_segments(path: Path, segments: Sequence[Segment], wish: Wish) -> None:
    """Write one structure's surface: closed, facing outwards, mm.

    Raises
    ------
    FileError
        When the frame is not said.
    MaskError
        When there are several structures.
    """
    if wish.frame is None:
        raise FileError(f"{path}: say which frame the vertices are to be in, --frame RAS or --frame LPS")
    if len(segments) > 1:
        raise MaskError(f"{path}: a mesh file holds one structure; choose it (--structure), found {len(segments)}")
    mesh = as_region(segments[0].shape).to_mesh()
    sides = SIDES[wish.frame]
    turned = trimesh.Trimesh(vertices=mesh.vertices * sides, faces=mesh.faces, process=False)
    if turned.volume < 0:
        turned.invert()
    content = turned.export(file_type=path.suffix[1:].lower())
    with write_whole(path) as file:
        file.write(content if isinstance(content, bytes) else str(content).encode())
