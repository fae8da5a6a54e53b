"""A margin held against patients that its search did not see."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.analysis.gauge import gauges
from ptvkit.analysis.needed import Judge, Population, needed_margins, population_of
from ptvkit.dose.conformal import conformal_dose
from ptvkit.dose.simulate import accumulated, prepare_dose
from ptvkit.geometry.region import Region
from ptvkit.kernels.jit import thread_count
from ptvkit.kernels.needed import Field
from ptvkit.motion.course import BLOCK, Course, draw_block
from ptvkit.motion.estimate import Estimate, share
from ptvkit.motion.simulate import in_threads, simulate_coverage

Bools = NDArray[np.bool_]
CLOSE_MM: Final = {"dmin": 0.1}
CLOSE_ELSE_MM: Final = 0.25
"""Patients whose needed margin is this close to the margin are simulated in full."""


def fresh_seed(seed: int) -> int:
    """A seed of other patients."""
    return int(np.random.SeedSequence([seed, 1]).generate_state(1, np.uint64)[0] >> 2)


def reached_by(
    target: Region,
    ptv: Region,
    course: Course,
    judge: Judge,
    field_for: Callable[[Population], tuple[Field, float]],
    sides: NDArray[np.float64],
    *,
    patients: int,
    seed: int,
    samples: int,
) -> Estimate:
    """Share of patients that meet the criterion in a PTV.

    Parameters
    ----------
    target, ptv, course, judge
    field_for : callable
        A distance for the displacements of some patients, and the margin from there to the PTV.
    sides : (6,) array
        Of the PTV's margin.
    patients, seed, samples : int
    """
    name = judge.criterion.metric.name
    if judge.criterion.metric.entry.source == "coverage" and (name != "contained" or course.turns):
        result = simulate_coverage(target, ptv, course, patients=patients, seed=seed, samples=samples)
        return share(int(judge.criterion.met(result).sum()), patients)
    people = population_of(course, patients, seed, samples, judge.centre_mm, name)
    if name == "contained":
        return share(int((gauges(people.at.shifts, sides) <= 1.0).sum()), patients)
    field, margin = field_for(people)
    needed = needed_margins(judge, field, people, at_mm=margin)
    met = needed <= margin
    close = np.flatnonzero(np.abs(needed - margin) < CLOSE_MM.get(name, CLOSE_ELSE_MM))
    met[close] = _met_in_full(target, ptv, course, judge, close, seed, samples)
    return share(int(met.sum()), patients)


def _met_in_full(
    target: Region, ptv: Region, course: Course, judge: Judge, which: NDArray[np.int64], seed: int, samples: int
) -> Bools:
    """Whether some patients meet the criterion, at all times and with the PTV's own dose."""
    plan, criterion = judge.plan, judge.criterion
    dose = conformal_dose(ptv, 1.0, plan.penumbra_mm, plan.edge_level, plan.prescribed_to)
    ready = prepare_dose(dose, target, course, seed=seed)

    def one(block: int) -> list[bool]:
        own = which[which // BLOCK == block] % BLOCK
        drawn = draw_block(course, block, int(own.max()) + 1, seed, samples, ready.centre_mm)
        found = [accumulated(ready, drawn.of_patient(int(number)))[0] for number in own]
        return [criterion.metric.of_dose(each) >= criterion.level - 1e-9 for each in found]

    return np.array(
        [met for block in in_threads(one, np.unique(which // BLOCK), thread_count()) for met in block], bool
    )
