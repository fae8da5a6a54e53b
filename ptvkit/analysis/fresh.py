"""A margin held against patients that its search did not see."""

import numpy as np

from ptvkit.analysis.gauge import gauges
from ptvkit.analysis.needed import Floats, Judge, Population, needs_at
from ptvkit.geometry.region import Region
from ptvkit.kernels.field import Field
from ptvkit.kernels.needed_share import WITHIN
from ptvkit.motion.course import Course
from ptvkit.motion.estimate import Estimate, share
from ptvkit.motion.simulate import simulate_coverage


def fresh_seed(seed: int) -> int:
    """A seed of other patients."""
    return int(np.random.SeedSequence([seed, 1]).generate_state(1, np.uint64)[0] >> 2)


def reached_by(judge: Judge, people: Population, field: Field, margin_mm: float) -> Estimate:
    """Share of patients that meet a criterion with a margin, by the look-ups of the search.

    Parameters
    ----------
    judge, people
    field : Field
        A distance from a target or its PTV.
    margin_mm : float
        From there to the PTV.
    """
    return share(int((needs_at(judge, field, people, margin_mm) <= margin_mm).sum()), people.size)


def contained_by(people: Population, sides: Floats) -> Estimate:
    """Share of patients whose displacements all lie in the body of a margin with sides (6,)."""
    return share(int((gauges(people.at.shifts, sides) <= 1.0).sum()), people.size)


def covered_by(
    target: Region, ptv: Region, course: Course, judge: Judge, patients: int, draw: tuple[int, int]
) -> Estimate:
    """Share of patients whose covered volume, at all times, is large enough; `draw` is a seed and times."""
    assert judge.kind == WITHIN, "doses are looked up"
    result = simulate_coverage(target, ptv, course, patients=patients, seed=draw[0], samples=draw[1])
    return share(int(judge.criterion.met(result).sum()), patients)
