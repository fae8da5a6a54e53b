"""Where the target is how often: two maps of probability."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from ptvkit.errors import PtvkitWarning
from ptvkit.geometry.boxes import joined
from ptvkit.geometry.centroid import centroid
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.region import Region
from ptvkit.geometry.resample import coarser, resampled
from ptvkit.kernels.jit import thread_count
from ptvkit.kernels.occupancy import occupancy
from ptvkit.kernels.table import spread_counts
from ptvkit.motion.course import Course, Seed, blocks, draw_block, root, samples_of
from ptvkit.motion.coverage import Structure, filled, turned_at
from ptvkit.motion.drawn import Drawn
from ptvkit.motion.lookup import on_one_lattice
from ptvkit.motion.simulate import in_threads
from ptvkit.values import whole

Floats = NDArray[np.float64]
Shares = NDArray[np.float32]

MOST_NODES: Final = 8_000_000
"""Nodes above which the maps of lesions far apart get a wider spacing."""
POSES: Final = 400
"""Poses that stand for all when the target also turns."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProbabilityMaps:
    """Shares of the time, 0 to 1, over all patients, fractions and times, on a lattice around the target.

    Attributes
    ----------
    occupied : (I, J, K) float32
        How often a point of space is occupied by the CTV.
    inside_ptv : (I, J, K) float32
        How often the point of the CTV that was planned here lies inside the PTV; NaN outside the planned CTV.
    grid : Grid
        Of both; patient frame RAS+.
    poses : int
        Displacements that stand behind them.
    """

    occupied: Shares
    inside_ptv: Shares
    grid: Grid
    poses: int


def probability_maps(
    ctv: Structure,
    ptv: Structure,
    course: Course,
    *,
    patients: int = 500,
    seed: Seed = 0,
    samples: int | None = None,
) -> ProbabilityMaps:
    """Two maps of probability over simulated courses.

    Translations are counted on the lattice of the target's region and correlated with the occupancies of target and
    PTV; when the target also turns, some hundred poses are drawn and added up.

    Parameters
    ----------
    ctv, ptv, course, patients, seed, samples
        As in `simulate_coverage`.

    Raises
    ------
    MaskError
        When target or PTV is empty.

    Examples
    --------
    >>> from ptvkit import Margin, SetupError, expand, phantom
    >>> ctv = phantom.region("lesion_3")
    >>> course = Course(setup=[SetupError(systematic_mm=4)])
    >>> maps = probability_maps(ctv, expand(ctv, Margin.uniform(4)), course, patients=100)
    >>> bool(np.nanmin(maps.inside_ptv) < 0.9), float(maps.occupied.max()) <= 1
    (True, True)
    """
    count = whole("patients", patients, least=1, most=1_000_000)
    if course.shape_change is not None:
        text = "the maps are of the target as planned, without its change of shape"
        warnings.warn(text, PtvkitWarning, stacklevel=2)
    target, planned = joined(filled(ctv), most=MOST_NODES), filled(ptv)
    if course.turns:  # many poses on twice the spacing say more than few on this
        target = coarser(target)
    target, planned = on_one_lattice(target, planned)
    centre = centroid(target)
    start, times = root(seed), samples_of(course, samples)
    tasks = list(blocks(count))

    def drawn(task: tuple[int, int]) -> Drawn:
        return draw_block(course, *task, start, times, centre)

    if course.turns:
        return _by_poses(target, planned, [drawn(task) for task in tasks[:4]], centre)
    found = list(in_threads(lambda task: _counted(drawn(task).shifts_mm, target.grid), tasks, thread_count()))
    return _by_counts(target, planned, found)


@dataclass(frozen=True, slots=True)
class _Counts:
    """How many shifts lie at each node, the first node's index, and the room they need."""

    values: Floats
    first: NDArray[np.int64]
    total: int

    @property
    def last(self) -> NDArray[np.int64]:
        last: NDArray[np.int64] = self.first + np.asarray(self.values.shape) - 1
        return last


def _counted(shifts_mm: Floats, grid: Grid) -> _Counts:
    flat = np.ascontiguousarray(shifts_mm.reshape(-1, 3))
    turn = np.linalg.inv(grid.affine[:3, :3])
    index = flat @ turn.T
    # no shift at all is among them, so that the planned target lies on the maps
    first = np.floor(np.minimum(index.min(axis=0), 0.0)).astype(np.int64) - 1
    shape = np.ceil(np.maximum(index.max(axis=0), 0.0)).astype(np.int64) + 2 - first
    counts = np.zeros(tuple(shape))
    beyond = spread_counts(counts, np.column_stack([turn, -first.astype(float)]), flat)
    assert beyond == 0, "every shift lies on a lattice made for them"
    return _Counts(counts, first, len(flat))


def _by_counts(target: Region, planned: Region, found: Sequence[_Counts]) -> ProbabilityMaps:
    first = np.min([counts.first for counts in found], axis=0)
    shape = np.max([counts.last for counts in found], axis=0) + 1 - first
    total = sum(counts.total for counts in found)
    share = np.zeros(tuple(shape))
    for counts in found:
        at = tuple(slice(a, a + n) for a, n in zip(counts.first - first, counts.values.shape, strict=True))
        share[at] += counts.values / total
    size = np.asarray(target.grid.shape)
    low, high = first.tolist(), (size + shape + first - 2).tolist()
    around = resampled(planned, target.grid.box(low, high))
    with fft.set_workers(thread_count()):
        occupied = signal.fftconvolve(occupancy(target.level).astype(float), share, mode="full")
        inside = signal.correlate(occupancy(around.level).astype(float), share, mode="valid", method="fft")
    return _maps(target, around.grid, occupied, inside, total)


def _by_poses(target: Region, planned: Region, drawn: Sequence[Drawn], centre: Floats) -> ProbabilityMaps:
    """Maps from single poses: the target moved onto a lattice that holds all, the PTV moved back onto the target."""
    poses = _some_poses(drawn, centre)
    corners = target.grid.to_mm(np.argwhere(np.ones((2, 2, 2))) * (np.asarray(target.grid.shape) - 1))
    moved = np.einsum("nij,cj->nci", poses[:, :3, :3], corners) + poses[:, None, :3, 3]
    index = target.grid.to_index(moved.reshape(-1, 3))
    low = np.minimum(np.floor(index.min(axis=0)).astype(int), 0)
    high = np.maximum(np.ceil(index.max(axis=0)).astype(int), np.asarray(target.grid.shape) - 1)
    space = target.grid.box(low.tolist(), high.tolist())
    occupied, inside = np.zeros(space.shape), np.zeros(target.grid.shape)
    for pose in poses:
        occupied += occupancy(target.moved(pose).sample_on(space))
        inside += occupancy(planned.moved(np.linalg.inv(pose)).sample_on(target.grid))
    return _maps(target, space, occupied / len(poses), inside / len(poses), len(poses))


def _some_poses(drawn: Sequence[Drawn], centre: Floats) -> Floats:
    """Up to `POSES` rigid poses (N, 4, 4), spread evenly over those that were drawn."""
    shifts = np.concatenate([block.shifts_mm for block in drawn])
    turns = np.concatenate([turned_at(block.sample_turns, block.shifts_mm) for block in drawn])
    patients, fractions, samples = shifts.shape[:3]
    chosen = np.unique(np.linspace(0, patients * fractions * samples - 1, POSES).astype(int))
    # neighbours in time share their fraction: a stride over samples too
    p, f, s = np.unravel_index(chosen, (patients, fractions, samples))
    s = (s + np.arange(len(chosen))) % samples
    poses = np.tile(np.eye(4), (len(chosen), 1, 1))
    poses[:, :3, :3] = turns[p, f, s]
    poses[:, :3, 3] = centre + shifts[p, f, s] - turns[p, f, s] @ centre
    return poses


def _maps(target: Region, space: Grid, occupied: Floats, inside: Floats, poses: int) -> ProbabilityMaps:
    """Both maps on one lattice; what was worked out on the target's own is put in its place there."""
    start = target.grid.offset_in(space)
    assert start is not None, "the target's lattice is that of the maps"
    everywhere = np.full(space.shape, np.nan, np.float32)
    at = tuple(slice(a, a + n) for a, n in zip(start, target.grid.shape, strict=True))
    everywhere[at] = np.where(target.level < 0, np.clip(inside, 0.0, 1.0), np.nan)
    return ProbabilityMaps(
        occupied=np.clip(occupied, 0.0, 1.0).astype(np.float32), inside_ptv=everywhere, grid=space, poses=poses
    )
