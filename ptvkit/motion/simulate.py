"""Simulated courses of treatment, and what of the target leaves the PTV in them."""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ptvkit.errors import MotionError
from ptvkit.geometry.phases import Phases
from ptvkit.kernels.jit import thread_count
from ptvkit.motion.course import BLOCK, Course, Seed, blocks, draw_block, root, samples_of
from ptvkit.motion.coverage import Prepared, Structure, filled, prepare
from ptvkit.motion.drawn import Drawn
from ptvkit.motion.estimate import Estimate
from ptvkit.motion.lookup import Depths, Figures
from ptvkit.motion.phase_coverage import PreparedPhases, prepare_phases, with_own_breathing
from ptvkit.motion.result import CoverageResult
from ptvkit.motion.setup import SetupError
from ptvkit.values import choice, number, whole

Floats = NDArray[np.float64]
Ready = Prepared | PreparedPhases
Progress = Callable[[int, int], None]
Task = TypeVar("Task")
Found = TypeVar("Found")
Method = Literal["sampled", "exact"]
METHODS: Final = ("sampled", "exact")

MOST_SAMPLES: Final = 1_000_000_000
SAMPLES_PER_S: Final = 4e6
"""A first guess of speed, for what is refused as too long."""
PARAMETER_DRAWS: Final = 40
PARAMETER_PATIENTS: Final = 8 * BLOCK
"""Of each draw: the share that is contained has a standard error of .016 or less."""
PARAMETER_SAMPLES: Final = 20
"""Times for the means of each draw."""


def simulate_coverage(
    ctv: Structure | Phases,
    ptv: Structure,
    course: Course,
    *,
    patients: int = 1000,
    seed: Seed = 0,
    samples: int | None = None,
    precision: float | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    prepared: Prepared | None = None,
    method: Method = "sampled",
) -> CoverageResult:
    """Simulate courses of treatment: what of the target leaves the PTV, how far, how often, and on which side.

    Containment and depth are judged where the displacement reaches furthest in each fraction (the ends of breaths,
    every point of a recording, both ends of a drift), whatever `samples` is; covered volume and time outside are means
    over `samples` times.

    Parameters
    ----------
    ctv, ptv : Mask or Region
        On any grids. A target may be `Phases`: each instant is then judged with the shape of the phase whose position
        is nearest to that of the breathing; a course without breathing gets that of the phases.
    course : Course
    patients : int
        How many; with `precision` at least how many.
    seed : int or Generator
        The same seed gives the same bytes, whatever the number of workers.
    samples : int, optional
        Times within each fraction that means are taken over; by default 100 with breathing.
    precision : float, optional
        Go on until the 95 % interval of ``contained()`` is no wider than this.
    workers : int, optional
        Threads; by default all cores.
    progress : callable, optional
        Called with (patients done, patients in all).
    prepared : Prepared, optional
        Of this target and PTV, when many courses share them.
    method : {"sampled", "exact"}
        ``sampled`` draws patients one by one. ``exact`` integrates over them on a lattice of shifts
        (`ptvkit.ExactCoverage`): far faster for the same error, with derivatives and without single patients;
        `patients`, `samples` and `workers` do not matter then, and `precision` is .002 by default.

    Returns
    -------
    CoverageResult

    Raises
    ------
    MaskError
        When target or PTV is empty.
    MotionError
        When the target lies outside the PTV before any displacement, more than 1e9 samples are asked for, or the
        course has something that the exact method cannot do.

    Examples
    --------
    >>> from ptvkit import Margin, expand, phantom
    >>> ctv = phantom.region("lesion_3")
    >>> course = Course(setup=[SetupError(systematic_mm=2)], fractions=3)
    >>> result = simulate_coverage(ctv, expand(ctv, Margin.uniform(5)), course, patients=200, seed=1)
    >>> result.coverage.shape, 0.8 < result.contained() < 0.97
    ((200, 3), True)
    """
    if isinstance(ctv, Phases):
        course = with_own_breathing(course, ctv)
    count = whole("patients", patients, least=1, most=MOST_SAMPLES)
    times = samples_of(course, samples)
    choice("method", method, METHODS)
    width = None if precision is None else number("precision", precision, least=0.001, most=1.0)
    start = root(seed)
    if method == "exact":
        if isinstance(ctv, Phases) or isinstance(prepared, PreparedPhases):
            raise MotionError('method: "exact" cannot have a target of several phases; use method="sampled"')
        from ptvkit.motion.exact.model import model_of
        from ptvkit.motion.exact.result import exact_coverage

        model = model_of(filled(ctv), filled(ptv), course, seed=start, precision=width, ready=prepared)
        return exact_coverage(model, progress)
    check_size(count, course.fractions, times, len(prepared.lesions) if prepared else 1)
    ready = _prepared(ctv, ptv, course, start) if prepared is None else prepared
    threads = thread_count() if workers is None else whole("workers", workers, least=1, most=1024)
    done, found = 0, []
    while True:
        tasks = list(blocks(count, done))
        for block in run_blocks(ready, course, tasks, start, times, threads):
            found.append(block)
            if progress is not None:
                progress(min(len(found) * BLOCK, count), count)
        result = result_of(ready, found, times, start)
        if width is None or result.contained().width <= width:
            break
        # only whole blocks can be gone on from
        found = found[: count // BLOCK]
        done, count = len(found) * BLOCK, 2 * count
        check_size(count, course.fractions, times, len(ready.lesions), f"precision {width:g}")
    if not any(error.patients and np.any(error.systematic_mm) for error in course.setup):
        return result
    return replace(result, parameter_intervals=_parameter_intervals(ready, course, result, threads))


def _prepared(ctv: Structure | Phases, ptv: Structure, course: Course, seed: int) -> Ready:
    if isinstance(ctv, Phases):
        return prepare_phases(ctv, ptv, course, seed=seed)
    return prepare(ctv, ptv, course, seed=seed)


class FractionFigures(NamedTuple):
    """What a fraction cost: arrays (patients, fractions), as in `CoverageResult`."""

    coverage: Floats
    miss_mm: Floats
    side: NDArray[np.int8]
    time_out: Floats


def run_blocks(
    ready: Ready,
    course: Course,
    tasks: Sequence[tuple[int, int]],
    seed: int,
    samples: int,
    threads: int,
    kept: Container[str] | None = None,
) -> Iterator[list[FractionFigures]]:
    """Figures (patients, fractions) of each block, in order: target first, then each lesion."""

    def one(task: tuple[int, int]) -> list[FractionFigures]:
        drawn = draw_block(course, *task, seed, samples, ready.centre_mm, kept)
        return by_fraction(ready, drawn)

    return in_threads(one, tasks, threads)


def in_threads(one: Callable[[Task], Found], tasks: Iterable[Task], threads: int) -> Iterator[Found]:
    """What each task gives, in their order, worked out by some threads; an interrupt waits for none of them."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ptvkit-course")
    stopped = True
    try:
        yield from pool.map(one, tasks)
        stopped = False
    finally:
        pool.shutdown(wait=not stopped, cancel_futures=True)


def by_fraction(ready: Ready, drawn: Drawn) -> list[FractionFigures]:
    """Figures (patients, fractions) of drawn displacements: of all lesions together, then of each.

    Depths come from the extremes of each fraction, averages over time from its samples.
    """
    extremes = ready.extremes(drawn)
    leaves = np.any([lesion.depth_mm.max(axis=2) > 0 for lesion in extremes], axis=0)
    # a fraction whose extremes stay inside needs no look at its other times
    samples = ready.figures(drawn, leaves)
    lesions = [_reduced(*pair, leaves) for pair in zip(samples, extremes, strict=True)]
    if len(lesions) == 1:
        return lesions
    miss, side = deepest_of([Misses(lesion.miss_mm, lesion.side) for lesion in lesions])
    out = np.zeros(leaves.shape)
    out[leaves] = np.any([figures.depth_mm > 0 for figures in samples], axis=0).mean(axis=1)
    together = FractionFigures(
        coverage=np.tensordot(
            ready.volumes_cc / ready.volumes_cc.sum(), np.stack([lesion.coverage for lesion in lesions]), axes=1
        ),
        miss_mm=miss,
        side=side,
        time_out=out,
    )
    return [together, *lesions]


class Misses(NamedTuple):
    """Deepest miss of fractions, mm, and its side: arrays (patients, fractions), as in `CoverageResult`."""

    miss_mm: Floats
    side: NDArray[np.int8]


def misses(extremes: Depths) -> Misses:
    """Misses of one lesion from its depths (patients, fractions, extremes)."""
    worst = extremes.depth_mm.argmax(axis=2)[..., None]
    miss = np.maximum(np.take_along_axis(extremes.depth_mm, worst, axis=2)[..., 0], 0.0)
    side = np.take_along_axis(extremes.side, worst, axis=2)[..., 0]
    return Misses(miss, np.where(miss > 0, side, -1).astype(np.int8))


def deepest_of(lesions: Sequence[Misses]) -> Misses:
    """The deepest of all lesions' misses."""
    miss = np.stack([lesion.miss_mm for lesion in lesions])
    deepest = miss.argmax(axis=0)[None]
    side = np.stack([lesion.side for lesion in lesions])
    return Misses(np.take_along_axis(miss, deepest, axis=0)[0], np.take_along_axis(side, deepest, axis=0)[0])


def _reduced(samples: Figures, extremes: Depths, looked_at: NDArray[np.bool_]) -> FractionFigures:
    """Figures (patients, fractions) of one lesion, from its extremes and the samples of some fractions."""
    miss, side = misses(extremes)
    leaves = miss > 0
    covered, out = np.ones(miss.shape), np.zeros(miss.shape)
    covered[looked_at], out[looked_at] = samples.covered.mean(axis=1), (samples.depth_mm > 0).mean(axis=1)
    return FractionFigures(
        coverage=np.where(leaves, covered, 1.0),
        miss_mm=miss,
        side=side,
        time_out=np.where(leaves, out, 0.0),
    )


def result_of(ready: Ready, found: Sequence[Sequence[FractionFigures]], samples: int, seed: int) -> CoverageResult:
    """One result of all blocks."""
    joined = [
        FractionFigures(*(np.concatenate(field) for field in zip(*each, strict=True)))
        for each in zip(*found, strict=True)
    ]
    names, volumes = ["CTV", *ready.names], [float(ready.volumes_cc.sum()), *ready.volumes_cc.tolist()]
    each = [
        CoverageResult(name=name, volume_cc=volume, samples=samples, seed=seed, **figures._asdict())
        for name, volume, figures in zip(names, volumes, joined, strict=False)
    ]
    return replace(each[0], lesions=tuple(each[1:]) or (each[0],))


def check_size(patients: int, fractions: int, samples: int, lesions: int, option: str = "") -> None:
    """Refuse what would take hours.

    Raises
    ------
    MotionError
        With the memory and the time that it would need.
    """
    wanted = patients * fractions * samples
    if wanted <= MOST_SAMPLES:
        return
    kept = patients * fractions * 25 * (lesions + 1) / 1e9
    hours = wanted * lesions / SAMPLES_PER_S / 3600
    raise MotionError(
        f"{option + ': needs ' if option else ''}{patients:,} patients × {fractions} fractions × {samples} samples ="
        f" {wanted:.3g} displacements, about {hours:.1f} h and {kept:.1f} GB; ask for at most {MOST_SAMPLES:.0e}"
        f" (fewer patients, fewer samples{', or less precision' if option else ''})"
    )


def _parameter_intervals(ready: Ready, course: Course, result: CoverageResult, threads: int) -> dict[str, Estimate]:
    """What samples of finite size leave open: Σ² of n patients is χ² with n − 1 degrees of freedom about the truth."""
    rng = np.random.default_rng([result.seed, 2])
    tasks = list(blocks(min(PARAMETER_PATIENTS, result.patients)))
    samples = min(PARAMETER_SAMPLES, result.samples)
    contained, loss = [], []
    # each error's χ² in equal strata: few draws reach both tails
    strata = [(rng.permutation(PARAMETER_DRAWS) + 0.5) / PARAMETER_DRAWS for _ in course.setup]
    for shares in zip(*strata, strict=True):
        setup = [_redrawn(error, float(share)) for error, share in zip(course.setup, shares, strict=True)]
        other = replace(course, setup=setup)
        found = list(run_blocks(ready, other, tasks, result.seed, samples, threads))
        drawn = result_of(ready, found, samples, result.seed)
        contained.append(drawn.contained().value)
        loss.append(float(1 - drawn.coverage.mean()))
    return {"contained": _spread(result.contained(), contained), "coverage_loss": _spread(result.coverage_loss, loss)}


def _redrawn(error: SetupError, share: float) -> SetupError:
    """An error whose Σ lies at this share of what its sample leaves open."""
    if error.patients is None:
        return error
    freedom = error.patients - 1
    factor = np.sqrt(freedom / stats.chi2.ppf(share, freedom))
    return replace(error, systematic_mm=np.minimum(np.asarray(error.systematic_mm) * factor, 200.0))


def _spread(estimate: Estimate, drawn: Sequence[float]) -> Estimate:
    # the draws stand in the middles of equal strata
    low, high = np.percentile(drawn, [2.5, 97.5], method="hazen")
    return Estimate(estimate.value, min(float(low), estimate.value), max(float(high), estimate.value))
