"""The classical voxel-centre rule: a voxel is inside when its centre is within the margin of a target voxel's centre.

What SciPy, scikit-image, ITK and 3D Slicer do for equal margins, here for six directions and any grid. It is exact and
fast, and loses about half a voxel for each margin; it is here for comparison.
"""

import warnings
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import MaskError, PtvkitWarning
from ptvkit.geometry.directions import OPPOSITES
from ptvkit.geometry.mask import Mask
from ptvkit.kernels.envelope import spread
from ptvkit.kernels.gauge import LEAST, SemiAxes
from ptvkit.kernels.stamp import stamp
from ptvkit.margins.margin import Margin, in_nodes

TIE: Final = 1e-6
"""A centre counts as within the margin up to this relative excess: spacings come from float32 headers, so that
9.77 mm on voxels of .977 mm must still reach ten voxels."""


def expand_voxels(mask: Mask, margin: Margin) -> Mask:
    """Mask grown by the octant ellipsoid of `margin`, from voxel centre to voxel centre.

    Raises
    ------
    MaskError
        When the mask is empty.

    Warns
    -----
    PtvkitWarning
        When part of the result lies beyond the image.
    """
    if mask.box is None:
        raise MaskError(f"{mask.name}: is empty; there is no structure to grow")
    if margin.is_zero:
        return mask
    reach = _reach(mask, margin)
    low = [a - n for a, n in zip(mask.box[0], reach, strict=True)]
    high = [b + n for b, n in zip(mask.box[1], reach, strict=True)]
    part = _part(mask, low, high)
    if mask.grid.is_aligned() or _is_equal(margin):
        inside = _by_envelopes(part, mask, margin)
    else:
        inside = _by_stamping(part, mask, margin, reach)
    start = [max(a, 0) for a in low]
    window = tuple(
        slice(s - a, min(b + 1, n) - a) for s, a, b, n in zip(start, low, high, mask.grid.shape, strict=True)
    )
    lost = np.count_nonzero(inside) - np.count_nonzero(inside[window])
    if lost:
        lost_cc = lost * mask.grid.voxel_volume_mm3 / 1000
        text = f"{mask.name}: {lost_cc:.2f} cc of the grown mask fall outside the image and are lost; use a larger grid"
        warnings.warn(text, PtvkitWarning, stacklevel=3)
    return Mask.from_box(inside[window], (start[0], start[1], start[2]), mask.grid, name=mask.name)


def _is_equal(margin: Margin) -> bool:
    return len(set(margin.letters.values())) == 1


def _part(mask: Mask, low: list[int], high: list[int]) -> NDArray[np.bool_]:
    """The voxels from index `low` to `high` inclusive; outside the image there is nothing."""
    part = np.zeros([b - a + 1 for a, b in zip(low, high, strict=True)], bool)
    assert mask.box is not None, "an empty mask was refused"
    start = [first - a for first, a in zip(mask.box[0], low, strict=True)]
    part[tuple(slice(s, s + n) for s, n in zip(start, mask.cropped.shape, strict=True))] = mask.cropped
    return part


def _reach(mask: Mask, margin: Margin) -> list[int]:
    """Voxels that the margin's body can reach along each array axis, either way."""
    letters = margin.letters
    longest = np.array(
        [max(letters["R"], letters["L"]), max(letters["A"], letters["P"]), max(letters["S"], letters["I"])]
    )
    extent = np.sqrt(((mask.grid.axes * longest[:, None]) ** 2).sum(axis=0)) / mask.grid.spacing_mm
    return [int(np.floor(n * (1 + TIE))) for n in extent]


def _by_envelopes(part: NDArray[np.bool_], mask: Mask, margin: Margin) -> NDArray[np.bool_]:
    """One envelope for each array axis; needs the axes along the patient's, or equal margins."""
    limit = (1 + TIE) ** 2
    cost = np.where(part, 0.0, np.inf)
    for axis, (minus, plus) in enumerate(_semi_axes(mask, margin)):
        if minus or plus:
            spread(cost, axis, max(minus, LEAST), max(plus, LEAST), limit)
    inside: NDArray[np.bool_] = cost <= limit
    return inside


def _semi_axes(mask: Mask, margin: Margin) -> SemiAxes:
    if _is_equal(margin):
        a, b, c = (margin.superior / h for h in mask.grid.spacing_mm)
        return ((a, a), (b, b), (c, c))
    return in_nodes(mask.grid, margin)


def _by_stamping(part: NDArray[np.bool_], mask: Mask, margin: Margin, reach: list[int]) -> NDArray[np.bool_]:
    """The body's voxels around each line of the target; for oblique grids, where the body has no axis of its own."""
    offsets = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), axis=-1)
    steps = offsets * np.asarray(mask.grid.spacing_mm) @ mask.grid.axes.T
    cost = np.zeros(steps.shape[:-1])
    for axis, (plus, minus) in enumerate(OPPOSITES):
        length = np.where(steps[..., axis] >= 0, margin.letters[plus], margin.letters[minus])
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(np.abs(steps[..., axis]) < 1e-9, 0.0, np.abs(steps[..., axis]) / length)
        cost += share**2
    return stamp(part, cost <= (1 + TIE) ** 2)
