"""From a binary mask to a sub-voxel surface.

A binary mask says on which side of the surface each voxel centre lies, and about how much the structure holds. Among
the surfaces that agree, this takes a smooth one with edges only where flat faces meet: a signed distance is smoothed by
a kernel that keeps curvature, given back the edges that this rounds off, put back on its side at every voxel centre
after each pass, and moved so that it holds the volume of the mask's voxels (which is what counting voxels estimates
without bias, and what half-slice end caps mean). Each connected part is treated on its own, with a grid of its own, so
that no lesion chooses the smoothing or the resolution of another.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import MaskError
from ptvkit.geometry.box import Box
from ptvkit.geometry.components import connected
from ptvkit.geometry.grid import Grid, Triple
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region
from ptvkit.kernels.edges import sharpen
from ptvkit.kernels.gauge import gauge_cost
from ptvkit.kernels.level import volume_in_cells
from ptvkit.kernels.smooth import flatten, keep_sides, put_right
from ptvkit.kernels.spline import combined

Floats = NDArray[np.float64]
Level = NDArray[np.float32]

REACH_MM: Final = 8.0
"""The level is followed this far from the surface, and the grid reaches further by one voxel."""
SEED_LIMIT: Final = 1.5
"""Squared distance, in reaches, at which the seed is cut off."""
DEEPEST: Final = 9.0
"""The same inwards: further, for the inscribed radius of large parts."""
FLOOR: Final = 0.03
"""Least level at a voxel centre, in smallest spacings: its side of the surface is never in doubt."""
SMALL_MM: Final = 6.0
"""Below this inscribed radius a part is reconstructed on a grid of 0.5 mm instead of 1 mm."""
MOST_NODES: Final = 40_000_000
"""Working nodes of one part above which its grid gets coarser: 160 MB an array."""
MOST_VOXELS: Final = 60_000_000
MOST_PARTS: Final = 4000
"""Parts above which a mask is refused as noise: each is some milliseconds of work, and nobody treats so many."""
SPECK: Final = 1000
"""Voxels up to which a part's box is compared with others: equal ones are reconstructed once."""
MANY: Final = 100
"""Parts above which the smallest get little room around them."""
SPECK_MM: Final = 4.0
"""That room: some widths of the smoothing that so small a part allows."""
MOST_ROUGH_MM: Final = 20.0
"""Slices thicker than this are not smoothed more often."""
SHARPENED: Final = 4
"""Last passes of the smoothing after which edges are given back."""
FACE_SIGMAS: Final = 3.2
FACE_SLICES: Final = 1.5
"""How far from an edge its faces are looked at: in widths of the smoothing, and in slices; at most a part's radius."""


def region_from_mask(mask: Mask) -> Region:
    """Reconstruct the surface of a mask between its voxels.

    Parameters
    ----------
    mask : Mask
        Any number of parts, holes and single voxels; parts touch when they share a face, an edge or a corner.

    Returns
    -------
    Region
        A box for each connected part, the largest first, on a grid along the mask's own axes that holds every voxel
        centre around the part as a node: its spacing depends on that part alone. Sampled back on the mask's grid it is
        the mask, voxel for voxel; its volume is close to the voxels'.

    Raises
    ------
    MaskError
        When the mask is empty, has more than 4,000 parts, or its voxels are too small to be worked on.

    Examples
    --------
    >>> array = np.zeros((30, 30, 12), bool)
    >>> array[10:20, 8:20, 4:8] = True
    >>> mask = Mask.from_array(array, np.diag([1.0, 1.0, 3.0, 1.0]))
    >>> region = region_from_mask(mask)
    >>> bool((region.to_mask(mask.grid).array == array).all())
    True
    """
    if mask.box is None:
        raise MaskError(f"{mask.name}: is empty; there is no structure to work on")
    pieces = connected(mask.cropped)
    if len(pieces) > MOST_PARTS:
        raise MaskError(_too_many(mask, pieces[MOST_PARTS][0], len(pieces)))
    alike: dict[tuple[Triple, bytes], tuple[Box, Triple]] = {}
    boxes = []
    for inside, start in pieces:
        if inside.size > SPECK:
            boxes.append(_box(mask, inside, start))
            continue
        key = inside.shape, inside.tobytes()  # of many specks most are alike
        if key not in alike:
            alike[key] = _box(mask, inside, start, trimmed=len(pieces) > MANY), start
        box, first = alike[key]
        boxes.append(_shifted(box, mask.grid, np.subtract(start, first)))
    return Region(boxes=boxes, name=mask.name)


def _too_many(mask: Mask, first_too_many: NDArray[np.bool_], count: int) -> str:
    """Why a mask with so many parts is refused; removing all up to the size of the first too many leaves few enough."""
    voxels = int(np.count_nonzero(first_too_many))
    return (
        f"{mask.name}: holds {count:,} separate parts, above {MOST_PARTS:,}; remove those of up to"
        f" {voxels * mask.grid.voxel_volume_mm3:.3g} mm³ ({voxels} voxels) as noise, or choose one lesion"
    )


def _box(mask: Mask, inside: NDArray[np.bool_], start: Triple, *, trimmed: bool = False) -> Box:
    """The surface of one connected part, cut to its voxels; `start` is its first index in the mask's own box."""
    assert mask.box is not None, "an empty mask was refused"
    spacing = np.asarray(mask.grid.spacing_mm)
    room = np.ceil((SPECK_MM if trimmed else REACH_MM) / spacing).astype(int) + 1
    low = np.asarray(mask.box[0]) + start - room
    grid = mask.grid.box(low.tolist(), (low + inside.shape + 2 * room - 1).tolist())
    _refuse_too_many(grid, mask.name)
    part = _seeded(inside, room, spacing)
    factors = _factors(grid, part.radius_mm)
    level = np.minimum(_reconstructed(part, spacing, factors), np.float32(REACH_MM))
    box = Box(level=level, grid=grid.refined(factors))
    return box.with_room([(4, 4)] * 3) if trimmed else box


def _shifted(box: Box, grid: Grid, steps: NDArray[np.int64]) -> Box:
    """A box some whole voxels of a grid away; the level is shared."""
    affine = np.array(box.grid.affine)
    affine[:3, 3] += grid.affine[:3, :3] @ steps
    return Box(level=box.level, grid=Grid(shape=box.grid.shape, affine=affine))


def _refuse_too_many(grid: Grid, name: str) -> None:
    if grid.size > MOST_VOXELS:
        spacing = " × ".join(f"{h:.3g}" for h in grid.spacing_mm)
        raise MaskError(
            f"{name}: voxels of {spacing} mm make a working grid of {grid.size / 1e6:.0f} million nodes, above"
            f" {MOST_VOXELS / 1e6:.0f} million; resample the mask to larger voxels, or correct its spacing"
        )


def check_structure(target: object) -> None:
    """Refuse what is no structure, such as the name of a file or a plain array.

    Raises
    ------
    MaskError
    """
    if not isinstance(target, Mask | Region):
        raise MaskError(
            f"a structure is needed, a Mask or a Region, found {type(target).__name__}; read a file with read_mask, or"
            " an image in memory with as_mask"
        )


def as_region(target: Mask | Region) -> Region:
    """The region of a mask; a region as it is.

    Raises
    ------
    MaskError
        When it is neither.
    """
    check_structure(target)
    return target if isinstance(target, Region) else region_from_mask(target)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One connected part on the native grid with room around it: its voxels, seed level and radius."""

    inside: NDArray[np.bool_]
    seed: Level
    radius_mm: float


def _seeded(inside: NDArray[np.bool_], room: NDArray[np.int64], spacing: NDArray[np.float64]) -> _Part:
    """Signed distance to the midpoints between opposite neighbours, both ways by the margin's own envelopes."""
    padded = np.ascontiguousarray(np.pad(inside, [(n, n) for n in room]))
    side = np.where(padded, np.float32(-1), np.float32(1))
    a, b, c = (REACH_MM / spacing).tolist()
    outwards = gauge_cost(side, ((a, a), (b, b), (c, c)), SEED_LIMIT)
    inwards = gauge_cost(-side, ((a, a), (b, b), (c, c)), DEEPEST)
    seed = REACH_MM * (np.sqrt(np.minimum(outwards, SEED_LIMIT)) - np.sqrt(np.minimum(inwards, DEEPEST)))
    return _Part(inside=padded, seed=seed.astype(np.float32), radius_mm=float(-seed.min()))


def _factors(grid: Grid, radius_mm: float) -> Triple:
    """How many times finer the working grid is along each axis: about 1 mm, for small parts 0.5 mm."""
    target = 0.5 if radius_mm < SMALL_MM else 1.0
    while True:
        i, j, k = (max(1, round(h / target)) for h in grid.spacing_mm)
        if grid.size * i * j * k <= MOST_NODES or i == j == k == 1:
            return (i, j, k)
        target *= 1.25


def _reconstructed(part: _Part, spacing: NDArray[np.float64], factors: Triple) -> Level:
    """Level of one part on the fine grid.

    The smoothing is as wide as the staircase needs (thick slices) and as the part allows (small lesions); its constants
    were set on spheres, capsules, pairs of lesions and a clinical case.
    """
    thin, thick = float(spacing.min()), float(spacing.max())
    floor = FLOOR * thin
    level = _refined(part.seed, factors)
    scratch = np.empty_like(level)
    staircase_mm = max(0.4 + 0.8 * thin, min(0.5 * thick, max(1.9, 0.9 + 0.09 * part.radius_mm)))
    sigma_mm = min(staircase_mm, (0.25 + 0.05 * thick) * part.radius_mm)
    dx, dy, dz = (spacing / factors).tolist()
    reach_mm = min(max(FACE_SIGMAS * sigma_mm, FACE_SLICES * thick), part.radius_mm)
    cells = int(np.count_nonzero(part.inside)) * factors[0] * factors[1] * factors[2]
    for left in reversed(range(3 + int(2.5 * min(max(0.0, thick - 2.5), MOST_ROUGH_MM)))):
        flatten(level, (sigma_mm / dx, sigma_mm / dy, sigma_mm / dz), scratch)
        if left < SHARPENED:
            sharpen(level, (dx, dy, dz), reach_mm, max(1.6 * max(dx, dy, dz), 1.5 * sigma_mm), scratch)
        if left < 2:
            level += _offset_to_volume(level, cells, thick)
        put_right(level, part.inside, factors, floor, left > 0)
        keep_sides(level, part.inside, factors, floor)
    return level


def _offset_to_volume(level: Level, cells: float, thick: float) -> np.float32:
    """What to add to the level for its surface to hold a number of cells; at most half a slice, mm."""
    step = np.float32(0.1)
    volume = volume_in_cells(level)
    per_mm = (volume_in_cells(level - step) - volume) / float(step)
    return np.float32(np.clip((volume - cells) / max(per_mm, 1e-6), -0.5 * thick, 0.5 * thick))


def _refined(level: Level, factors: Triple) -> Level:
    """Level on the finer grid, by a natural cubic spline through the nodes along each axis that is refined."""
    for axis, factor in enumerate(factors):
        if factor > 1:
            nodes = level.shape[axis]
            at = np.arange((nodes - 1) * factor + 1) / factor
            matrix = natural_spline(nodes, at).astype(np.float32)
            level = np.moveaxis(combined(matrix, np.moveaxis(level, axis, 0)), 0, axis)
    return np.ascontiguousarray(level)


def natural_spline(nodes: int, at: Floats) -> Floats:
    """Weights (M, N) with which the values at nodes 0 … N − 1 add up to their natural cubic spline at (M,) places.

    The second derivatives s solve ``s_(i−1) + 4 s_i + s_(i+1) = 6 (y_(i−1) − 2 y_i + y_(i+1))`` and vanish at both
    ends; eliminated line by line, so that the weights do not depend on a library's threads.
    """
    values = np.eye(nodes)
    bent = np.zeros((nodes, nodes))
    pivot = np.zeros(nodes)
    for i in range(1, nodes - 1):
        pivot[i] = 1.0 / (4.0 - pivot[i - 1])
        bent[i] = (6.0 * (values[i - 1] - 2.0 * values[i] + values[i + 1]) - bent[i - 1]) * pivot[i]
    for i in range(nodes - 2, 0, -1):
        bent[i] -= pivot[i] * bent[i + 1]
    first = np.minimum(at.astype(int), nodes - 2)
    t = (at - first)[:, None]
    s = 1.0 - t
    straight = s * values[first] + t * values[first + 1]
    weights: Floats = straight + ((s**3 - s) * bent[first] + (t**3 - t) * bent[first + 1]) / 6.0
    return weights
