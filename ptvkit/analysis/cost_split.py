"""What each source of displacement costs: each on its own, and all but each."""

from collections.abc import Container

from ptvkit.kernels.jit import thread_count
from ptvkit.motion.cost import ALL, Cost
from ptvkit.motion.course import (
    BLOCK,
    Course,
    Seed,
    blocks,
    components,
    draw_block,
    draw_breathing,
    root,
    samples_of,
)
from ptvkit.motion.coverage import Prepared, Structure, prepare
from ptvkit.motion.result import CoverageResult
from ptvkit.motion.simulate import FractionFigures, Progress, by_fraction, check_size, in_threads, result_of
from ptvkit.values import whole


def coverage_split(
    ctv: Structure,
    ptv: Structure,
    course: Course,
    *,
    patients: int = 500,
    seed: Seed = 0,
    samples: int | None = None,
    progress: Progress | None = None,
    prepared: Prepared | None = None,
) -> tuple[Cost, ...]:
    """Coverage loss split into what each component costs; all see the same patients, so that differences are sharp.

    The protocol keeps deciding: an error on its own is still corrected when it reaches the action level. Costs do not
    add up, since misses begin only where the margin ends; a component that costs nothing alone may cost much beside
    others.

    Parameters
    ----------
    ctv, ptv, course, patients, seed, samples, progress, prepared
        As in `simulate_coverage`.

    Returns
    -------
    tuple of Cost
        The last is everything together; its `loss_without` is that of an undisturbed course.

    Raises
    ------
    MaskError, MotionError
        As in `simulate_coverage`.

    Examples
    --------
    >>> from ptvkit import Margin, SetupError, expand, phantom
    >>> ctv = phantom.region("lesion_3")
    >>> course = Course(setup=[SetupError(systematic_mm=3), SetupError(name="delineation", systematic_mm=1)])
    >>> costs = coverage_split(ctv, expand(ctv, Margin.uniform(4)), course, patients=200)
    >>> [cost.name for cost in costs], costs[0].loss_alone > costs[1].loss_alone
    (['set-up', 'delineation', 'all together'], True)
    """
    count = whole("patients", patients, least=1, most=1_000_000)
    times, start = samples_of(course, samples), root(seed)
    names = components(course)
    runs = 2 * len(names) + 2
    check_size(count * runs, course.fractions, times, 1, "the split")
    ready = prepare(ctv, ptv, course, seed=start) if prepared is None else prepared
    kept: list[Container[str]] = [part for name in names for part in ({name}, set(names) - {name})]
    kept += [names, ()]

    def one(task: tuple[int, int]) -> list[list[FractionFigures]]:
        # the breathing, which takes longest to draw, is the same whatever is kept
        moved = draw_breathing(course, task[0], start, times)
        drawn = (draw_block(course, *task, start, times, ready.centre_mm, part, moved=moved) for part in kept)
        return [by_fraction(ready, block) for block in drawn]

    figures: list[list[list[FractionFigures]]] = []
    for block in in_threads(one, list(blocks(count)), thread_count()):
        figures.append(block)
        if progress is not None:
            progress(runs * min(len(figures) * BLOCK, count), runs * count)
    results = [result_of(ready, of_run, times, start) for of_run in zip(*figures, strict=True)]
    return tuple(
        _cost(name, alone, without)
        for name, alone, without in zip([*names, ALL], results[::2], results[1::2], strict=True)
    )


def _cost(name: str, alone: CoverageResult, without: CoverageResult) -> Cost:
    return Cost(
        name=name,
        loss_alone=alone.coverage_loss,
        loss_without=without.coverage_loss,
        contained_alone=alone.contained(),
        contained_without=without.contained(),
    )
