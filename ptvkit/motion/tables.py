"""Tables of coverage and depth on a lattice of shifts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ptvkit.geometry.grid import Grid
from ptvkit.geometry.region import Region
from ptvkit.geometry.resample import region_on_box
from ptvkit.kernels.jit import thread_count
from ptvkit.kernels.occupancy import occupancy
from ptvkit.kernels.pose import deepest_of_shifts

Floats = NDArray[np.float64]

DEPTH_SPACING_MM: Final = 1.0
"""Spacing of the table of depths. A depth bends no more than a margin does: 1/80 mm² of a 10 mm margin is lost."""
MOST_ENTRIES: Final = 400_000
"""Entries of the table of depths above which it gets a wider spacing."""
SLICE: Final = 20_000
"""Poses for each call into compiled code, so that Ctrl-C is heard within a second."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """Values on a lattice of shifts.

    Attributes
    ----------
    values : (I, J, K) array
    to_index : (3, 4) array
        From a shift in mm (patient frame RAS+) to a fractional index.
    """

    values: NDArray[np.float32]
    to_index: Floats


class Cloud(NamedTuple):
    """Points in patches.

    Attributes
    ----------
    points : (M, 3) array
        Patch by patch, patient frame RAS+, mm.
    first : (K + 1,) array
        Where each patch begins.
    patches : (K, 4) array
        Centre and radius of each, mm.
    """

    points: Floats
    first: NDArray[np.int64]
    patches: Floats


def coverage_table(ctv: Region, ptv: Region, low_mm: Floats, high_mm: Floats) -> Table:
    """Share of the target inside the PTV for every shift of whole nodes that a box of shifts needs.

    ``T(d) = Σ C(x) P(x + d) / Σ C(x)`` with the occupancies of target and PTV, one correlation by FFT.
    """
    grid = ctv.grid
    start = ptv.grid.offset_in(grid)
    assert start is not None, "target and PTV were put on one lattice"
    lowest, highest = in_nodes(grid, low_mm, high_mm)
    # no shift beyond these is of use: there the two no longer touch
    least = [s - n + 1 for s, n in zip(start, ctv.grid.shape, strict=True)]
    most = [s + n - 1 for s, n in zip(start, ptv.grid.shape, strict=True)]
    low = np.clip(np.floor(lowest).astype(int) - 1, least, most)
    high = np.clip(np.ceil(highest).astype(int) + 1, low + 1, np.maximum(most, low + 1))
    target = occupancy(ctv.level)
    size = [n + int(b - a) for n, a, b in zip(ctv.grid.shape, low, high, strict=True)]
    window = region_on_box(ptv, *_window(low, high, start, ctv.grid.shape))
    lengths = [fft.next_fast_len(n, real=True) for n in size]
    workers = thread_count()
    spectrum = fft.rfftn(occupancy(window.level), lengths, workers=workers)
    spectrum *= np.conj(fft.rfftn(target, lengths, workers=workers))
    shares = fft.irfftn(spectrum, lengths, workers=workers)[
        tuple(slice(0, b - a + 1) for a, b in zip(low, high, strict=True))
    ]
    values = np.clip(_sharpened(shares / target.sum(dtype=float), 1 / 6), 0.0, 1.0).astype(np.float32)
    to_index = np.zeros((3, 4))
    to_index[:, :3] = np.linalg.inv(grid.affine[:3, :3])
    to_index[:, 3] = -low
    return Table(values=np.ascontiguousarray(values), to_index=to_index)


def _sharpened(values: NDArray[np.float32], part: float) -> NDArray[np.float32]:
    """Undo to second order what linear interpolation blurs on average, a twelfth of the second difference.

    Shares of whole cells are blurred by as much again: a sixth.
    """
    out = values.copy()
    for axis in range(3):
        along, to = np.moveaxis(values, axis, 0), np.moveaxis(out, axis, 0)
        to[1:-1] -= (along[2:] - 2 * along[1:-1] + along[:-2]) * np.float32(part)
    return out


def _window(
    low: NDArray[np.int64], high: NDArray[np.int64], start: Sequence[int], size: Sequence[int]
) -> tuple[list[int], list[int]]:
    """First and last node, in the PTV's own indices, that a target of this size meets over all shifts."""
    first = [int(a) - s for a, s in zip(low, start, strict=True)]
    last = [int(b) - s + n - 1 for b, s, n in zip(high, start, size, strict=True)]
    return first, last


def depth_table(
    distance: Region, surface: Cloud, low_mm: Floats, high_mm: Floats, *, inside_mm: float = 0.0
) -> tuple[Table, NDArray[np.int8]]:
    """Deepest reach outside the PTV, and its side, for shifts of whole nodes; one of them is zero.

    Parameters
    ----------
    distance : Region
        The PTV, its level the true signed distance.
    surface : Cloud
        Points of the target's surface.
    low_mm, high_mm : (3,) array
        Corners of the box of shifts.
    inside_mm : float
        Depths this far inside are kept too.
    """
    grid = distance.grid
    low, high = in_nodes(grid, low_mm, high_mm)
    stride = _strides(grid.spacing_mm, high - low)
    first = np.floor(low / stride).astype(int)
    shape = np.maximum(np.ceil(high / stride).astype(int) - first, 1) + 1
    begin = first * stride
    # below zero by a step, whatever the corner
    floor = -inside_mm - 2.0 * float((stride * np.asarray(grid.spacing_mm)).max())
    points = np.ascontiguousarray(grid.to_index(surface.points))
    patches = np.column_stack([grid.to_index(surface.patches[:, :3]), surface.patches[:, 3]])
    rows = max(1, SLICE // int(shape[1] * shape[2]))
    parts = [
        deepest_of_shifts(
            _three(shape),
            _three(begin),
            _three(stride),
            floor,
            distance.level,
            points,
            surface.first,
            patches,
            grid.axes / np.asarray(grid.spacing_mm),
            (a, min(a + rows, int(shape[0]))),
        )
        for a in range(0, int(shape[0]), rows)
    ]
    depth, side = (np.concatenate(values) for values in zip(*parts, strict=True))
    to_index = np.linalg.inv(grid.affine[:3, :3]) / stride[:, None]
    depth = _sharpened(depth, 1 / 12)
    return Table(values=depth, to_index=np.column_stack([to_index, -first])), side


def in_nodes(grid: Grid, low_mm: Floats, high_mm: Floats) -> tuple[Floats, Floats]:
    """Corners (3,) of the box of shifts in a grid's nodes that holds a box of shifts in mm."""
    corners = [[(low_mm, high_mm)[bit][axis] for axis, bit in enumerate(bits)] for bits in np.ndindex(2, 2, 2)]
    index = np.asarray(corners) @ np.linalg.inv(grid.affine[:3, :3]).T
    return index.min(axis=0), index.max(axis=0)


def _strides(spacing_mm: Sequence[float], extent: Floats) -> NDArray[np.int64]:
    """Nodes between shifts of the table of depths: about its spacing, wider where it would grow too large.

    Along the last axis every node is cheap.
    """
    spacing = np.asarray(spacing_mm)
    stride = np.maximum(np.round(DEPTH_SPACING_MM / spacing), 1).astype(np.int64)
    stride[2] = 1
    while np.prod(extent / stride + 2) > MOST_ENTRIES:
        stride[np.argmin(stride * spacing)] += 1
    return stride


def _three(values: NDArray[np.int64]) -> tuple[int, int, int]:
    i, j, k = values.tolist()
    return i, j, k
