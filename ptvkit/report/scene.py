"""Structures and image as a page's viewer holds them: signed distances on one small grid, to draw contours from."""

import base64
import gzip
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.geometry.directions import OPPOSITES
from ptvkit.geometry.extent import extent
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region
from ptvkit.report.colours import colours_of
from ptvkit.report.convention import PLANES, WINDOWS_HU, middle_of

NODES: Final = 400_000
STEP_MM: Final = (1.0, 4.0)
"""Least and largest distance of the viewer's nodes."""
ROOM_MM: Final = 12.0
CONTEXT_MM: Final = 32.0
"""Around the structures, without and with an image."""
CODES: Final = 127
REACH: Final = 3.0
"""Steps within which the distance to a surface is kept; beyond, only the side of it."""

Image = tuple[NDArray[np.generic], Grid]


def scene_of(
    structures: Mapping[str, Mask | Region],
    image: Image | None = None,
    *,
    name: str = "",
    places: Mapping[str, Region] | None = None,
    around: Region | None = None,
) -> dict[str, Any]:
    """A viewer's data as plain values.

    Parameters
    ----------
    structures : mapping of str to Mask or Region
        By name, not all empty; the first is in the middle of the view.
    image : (array, Grid), optional
        CT numbers behind them.
    name : str
        What the view shows, such as a case.
    places : mapping of str to Region, optional
        What the view can go to, such as lesions, the first of them first.
    around : Region, optional
        What holds all other structures, where that is known.
    """
    regions = {label: as_region(structure) for label, structure in structures.items()}
    regions = {label: region for label, region in regions.items() if not region.is_empty}
    grid = _grid(list(regions.values()) if around is None else [around], ROOM_MM if image is None else CONTEXT_MM)
    colours = colours_of(regions)
    stops = [{"name": label, "at": _centre(region)} for label, region in (places or {}).items()]
    return {
        "name": name,
        "shape": list(grid.shape),
        "low": grid.affine[:3, 3].round(3).tolist(),
        "step": grid.spacing_mm[0],
        "structures": [
            {"name": label, "colour": colours[label], "level": _packed(_codes(region, grid))}
            for label, region in regions.items()
        ],
        "image": None if image is None else _packed(_on_grid(*image, grid)),
        "windows": [{"name": label, "low": low, "high": high} for label, (low, high) in WINDOWS_HU.items()],
        "planes": [
            {"name": p.name, "across": p.across, "right": p.right, "up": p.up, "top": p.top, "letters": p.letters()}
            for p in PLANES
        ],
        "axes": ["".join(pair) for pair in OPPOSITES],
        "at": stops[0]["at"] if stops else middle_of(next(iter(regions.values()))),
        "places": stops,
    }


def _grid(regions: list[Region], margin_mm: float) -> Grid:
    """A grid along the patient's axes around all regions."""
    reaches = [extent(region) for region in regions]
    low = np.array([min(reach[b] for reach in reaches) for _, b in OPPOSITES]) - margin_mm
    high = np.array([max(reach[a] for reach in reaches) for a, _ in OPPOSITES]) + margin_mm
    step = float(np.clip((np.prod(high - low) / NODES) ** (1 / 3), *STEP_MM).round(2))
    size = np.ceil((high - low) / step).astype(int) + 1
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = low
    return Grid(shape=(int(size[0]), int(size[1]), int(size[2])), affine=affine)


def _centre(region: Region) -> list[float]:
    reach = extent(region)
    return [0.5 * (reach[a] + reach[b]) for a, b in OPPOSITES]


def _codes(region: Region, grid: Grid) -> NDArray[np.int8]:
    """The level in whole numbers; 0 only on the surface itself."""
    scaled = np.clip(region.sample_on(grid) * (CODES / (REACH * grid.spacing_mm[0])), -CODES, CODES)
    codes: NDArray[np.int8] = np.rint(scaled).astype(np.int8)
    return codes


def _on_grid(image: NDArray[np.generic], source: Grid, grid: Grid) -> NDArray[np.int16]:
    """CT numbers at the grid's nodes; those of air beyond the image."""
    from scipy import ndimage  # slow to load, and only an image needs it

    matrix = np.linalg.inv(source.affine) @ grid.affine
    values = ndimage.affine_transform(
        np.asarray(image, np.float32), matrix[:3, :3], matrix[:3, 3], grid.shape, order=1, cval=-1024.0
    )
    rounded: NDArray[np.int16] = np.clip(np.rint(values), -32768, 32767).astype("<i2")
    return rounded


def _packed(values: NDArray[Any]) -> str:
    return base64.b64encode(gzip.compress(np.ascontiguousarray(values).tobytes(), 6, mtime=0)).decode()
