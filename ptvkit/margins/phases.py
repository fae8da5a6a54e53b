"""Targets from the phases of a breathing cycle: internal target, mid-ventilation, mid-position."""

from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import MarginError
from ptvkit.geometry.boolean import union
from ptvkit.geometry.box import level_on
from ptvkit.geometry.boxes import for_each_box
from ptvkit.geometry.components import in_boxes
from ptvkit.geometry.distance import signed_distance
from ptvkit.geometry.extent import extent, margins_between
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.phases import Phases
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region, grid_of
from ptvkit.geometry.resample import embedded

Floats = NDArray[np.float64]

MOTIONS: Final = ("itv", "mid_ventilation", "mid_position")
APART_MM: Final = 0.5
"""Distance between positions that stand for a path: a ball of radius 5 mm is scalloped by .006 mm."""
AVERAGED_MM: Final = 20.0
"""Distance from the surface up to which shapes are averaged."""


class Moving(Protocol):
    """What has a path, such as a `Breathing`."""

    def path_mm(self) -> Floats:
        """Positions (N, 3) in their order, from where the target was planned, mm; straight lines between them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MotionTarget:
    """How a target was made from phases.

    Attributes
    ----------
    motion : str
        ``itv``, ``mid_ventilation``, ``mid_position`` or ``phase``.
    phase : float or None
        Number of the phase that was taken, percent of the cycle.
    residual_mm : (3,) array
        Displacement of the target that was planned on from the time mean, mm: a systematic error; 0 for the internal
        target and the mid-position.
    internal_margin_mm : dict
        By direction letter, how far the union of all phases reaches beyond the mid-position target, mm.
    amplitude_mm, sd_mm : (3,) array
        Of the displacement over the cycle, mm.
    """

    motion: str
    phase: float | None
    residual_mm: Floats
    internal_margin_mm: dict[str, float]
    amplitude_mm: Floats
    sd_mm: Floats


def itv(target: Phases | Mask | Region, motion: Moving | ArrayLike | None = None) -> Region:
    """Internal target: everything that the target occupies at some moment of the cycle.

    Parameters
    ----------
    target : Phases, Mask or Region
        Of phases the union, sub-voxel. A finite number of phases misses the ends of the motion. One mask or region is
        moved along the path of `motion`.
    motion : Breathing or (N, 3) array, optional
        The wave or the trace, or positions in their order from where the target was drawn (LR, AP, SI), mm, joined by
        straight lines.

    Returns
    -------
    Region

    Raises
    ------
    MarginError
        When phases are given with a motion, or one structure without.

    Examples
    --------
    >>> from ptvkit import Breathing, phantom
    >>> breathing = Breathing.lujan(amplitude_mm=(0, 0, 10), inhale=(0, 0, -1), reference="exhale")
    >>> lesion = phantom.region("lesion_3")
    >>> 1.2 < itv(lesion, breathing).volume_cc / lesion.volume_cc < 2
    True
    """
    if isinstance(target, Phases):
        if motion is not None:
            raise MarginError(
                f"{target.name}: phases hold their own motion; leave the other out, or give one structure"
            )
        return replace(union(*target.regions), name="ITV")
    if motion is None:
        raise MarginError(f"{target.name}: needs a motion, a Breathing or positions (N, 3), or give phases")
    path = motion.path_mm() if hasattr(motion, "path_mm") else np.asarray(motion, float)
    if path.ndim != 2 or path.shape[1] != 3 or not len(path) or not np.isfinite(path).all():
        raise MarginError(f"motion: needs a Breathing, or finite positions (N, 3) in mm, found {path.shape}")
    positions = along_path(path)
    return replace(for_each_box(in_boxes(as_region(target)), lambda one: _everywhere(one, positions)), name="ITV")


def mid_position(phases: Phases) -> Region:
    """The mean shape at the mean position: signed distances of all phases, aligned by centroid and averaged over time.

    Returns
    -------
    Region

    References
    ----------
    Wolthaus et al. 2008, Int J Radiat Oncol Biol Phys 70:1229 (mid-position).
    """
    aligned = []
    for region, displacement in zip(phases.regions, phases.displacement_mm, strict=True):
        far = signed_distance(region, outside_mm=AVERAGED_MM, inside_mm=AVERAGED_MM)
        aligned.append(far.moved(_translation(-displacement)))
    grid = grid_of([box for region in aligned for box in region.boxes])
    level = np.zeros(grid.shape, np.float32)
    for region, weight in zip(aligned, phases.weights, strict=True):
        level += np.float32(weight) * np.clip(level_on(region.boxes, grid), -AVERAGED_MM, AVERAGED_MM)
    return replace(in_boxes(embedded(Region(level=level, grid=grid), [(3, 3)] * 3)), name="mid-position")


def target_of(phases: Phases, motion: str | float) -> tuple[Region, MotionTarget]:
    """The target to plan on, and how it was made.

    Parameters
    ----------
    phases : Phases
    motion : {"itv", "mid_ventilation", "mid_position"} or number
        A number is that of a phase.

    Raises
    ------
    MarginError, MotionError
        When the word is unknown, or there is no such phase.
    """
    mean, whole = mid_position(phases), itv(phases)
    index = None
    if isinstance(motion, str):
        if motion not in MOTIONS:
            raise MarginError(f"motion {motion!r}: use {', '.join(map(repr, MOTIONS))}, or the number of a phase")
        region = whole if motion == "itv" else mean
        index = phases.mid_ventilation if motion == "mid_ventilation" else None
    else:
        index = phases.index_of(motion)
    if index is not None:
        region = phases.regions[index]
    how = MotionTarget(
        motion=motion if isinstance(motion, str) else "phase",
        phase=None if index is None else float(phases.numbers[index]),
        residual_mm=np.zeros(3) if index is None else phases.displacement_mm[index],
        internal_margin_mm=margins_between(extent(mean), extent(whole)),
        amplitude_mm=phases.amplitude_mm,
        sd_mm=phases.sd_mm,
    )
    return replace(region, name="GTV"), how


def along_path(path_mm: Floats) -> Floats:
    """Positions (M, 3) that stand for a path (N, 3): at most `APART_MM` apart on it, of close ones only the first.

    The furthest of the path in many directions are always among them.
    """
    steps = np.linalg.norm(np.diff(path_mm, axis=0), axis=1)
    parts = np.maximum(np.ceil(steps / APART_MM).astype(int), 1)
    inner = [
        a + (b - a) * (np.arange(n) / n)[:, None] for a, b, n in zip(path_mm[:-1], path_mm[1:], parts, strict=True)
    ]
    points = np.concatenate([*inner, path_mm[-1:]])
    ways = np.array(list(np.ndindex(5, 5, 5)), float) - 2
    ends = {int(n) for way in ways for n in (points @ way).argsort()[-1:]}
    _, first = np.unique(np.floor(points / (APART_MM / 2)), axis=0, return_index=True)
    return points[sorted({*first.tolist(), *ends})]


def _everywhere(region: Region, positions_mm: Floats) -> Region:
    """A region of one box at all of many positions."""
    start = embedded(region, [(3, 3)] * 3)
    corners = start.grid.corners_mm
    grid = start.grid.covering(np.concatenate([corners + positions_mm.min(axis=0), corners + positions_mm.max(axis=0)]))
    moved = (start.moved(_translation(position)).boxes[0] for position in positions_mm)
    return Region(level=level_on(moved, grid), grid=grid, name=region.name)


def _translation(shift_mm: Floats) -> Floats:
    pose = np.eye(4)
    pose[:3, 3] = shift_mm
    return pose
