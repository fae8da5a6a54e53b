"""The search for the worst point, against all points one by one; shares of the volume against their definition."""

import numpy as np
import pytest
from numpy.typing import NDArray

import ptvkit as pk
from ptvkit.analysis.needed import Needs, Plan, field_of, judge_of, needs_at, needs_of, population_of, room_of
from ptvkit.analysis.solve import prepared_target, solve_prepared
from ptvkit.dose.criteria import criterion_of
from ptvkit.kernels.field import Field, Single, distances
from ptvkit.kernels.needed import Curve, Positions, weighted_curve
from ptvkit.motion.coverage import centroid
from tests.motion.bodies import ball

Floats = NDArray[np.float64]

LAGGING = pk.Breathing.lujan(amplitude_mm=(2, 5, 12), inhale=(1, 1, -1), lag=(0, 0.1, 0), reference="snapshot")
COURSES = {
    "small errors": pk.Course(setup=[pk.SetupError(systematic_mm=0.7, random_mm=1)], fractions=9),
    "large errors": pk.Course(setup=[pk.SetupError(systematic_mm=(2, 4, 3), random_mm=2)], fractions=9),
    "rotations and hysteresis": pk.Course(
        setup=[pk.SetupError(systematic_mm=1.5, random_mm=2, systematic_deg=2.5)], breathing=LAGGING, fractions=3
    ),
}


def block() -> pk.Region:
    """Sharp edges on an anisotropic grid, off the centre."""
    inside = np.pad(np.full((20, 14, 8), -1.0, np.float32), 3, constant_values=1.0)
    affine = np.diag([1.2, 1.5, 2.5, 1.0])
    affine[:3, 3] = (31, -12, 7)
    return pk.Region(level=inside, grid=pk.Grid(shape=inside.shape, affine=affine))


TARGETS = {"block": block(), "two balls": pk.union(ball(7, (-11, 0, 3)), ball(6, (12, 4, -6)))}


def by_all(points: Floats, field: Field, at: Positions, patient: int, curve: Curve, level: float) -> float:
    """The largest of all points' roots, by bisection."""
    turns = at.turns[patient] if len(at.turns) else np.zeros((0, 3, 3))
    away = distances(field, points, at.shifts[patient], turns)
    weights = at.weights[patient].reshape(-1)
    low, high = -30.0, 60.0
    while high - low > 1e-3:
        middle = 0.5 * (low + high)
        met = weighted_curve(away, weights, curve, middle).min() >= level
        low, high = (low, middle) if met else (middle, high)
    return high


@pytest.mark.parametrize("course", COURSES)
@pytest.mark.parametrize("target", TARGETS)
def test_the_worst_point_is_the_worst_of_all(target: str, course: str) -> None:
    region = TARGETS[target]
    judge = judge_of(region, criterion_of("dmin>=0.95"), Plan(), centroid(region))
    people = population_of(COURSES[course], 24, 5, 30, judge.centre_mm, "dmin")
    field = field_of(region, room_of(region, [people]), judge.deep_mm)
    found = needs_of(judge, field, people, (0.0, 1.0))
    centred = field._replace(to_index=np.c_[field.to_index[:, :3], field.to_index @ np.r_[judge.centre_mm, 1]])
    points = judge.tree.centres[judge.tree.first == judge.tree.last]
    each = [by_all(points, centred, people.at, n, judge.plan.curve(), 0.95) for n in range(people.size)]
    assert np.abs(found.low - each).max() < 3e-3
    assert np.abs(found.high - found.low).max() < 1e-9
    middle = float(np.median(found.low)) + 0.01
    assert ((needs_at(judge, field, people, middle) <= middle) == (found.low <= middle)).all()


@pytest.mark.parametrize("text", ["d98>=0.95", "v95>=0.9", "mean>=0.97", "coverage>=0.95"])
def test_what_share_of_the_volume_is_served(text: str) -> None:
    """At the needed margin the criterion is met, and a hundredth of a millimetre below it is not."""
    region, criterion = block(), criterion_of(text)
    judge = judge_of(region, criterion, Plan(), centroid(region))
    people = population_of(COURSES["large errors"], 12, 5, 1, judge.centre_mm, criterion.metric.name)
    field = field_of(region, room_of(region, [people]), judge.deep_mm)
    needed = needs_of(judge, field, people, (0.0, 1.0)).low
    assert judge.points is not None
    share = judge.points.volume_cc / judge.points.volume_cc.sum()
    place = field._replace(to_index=np.c_[field.to_index[:, :3], field.to_index @ np.r_[judge.centre_mm, 1]])
    for patient, margin in enumerate(needed):
        away = distances(place, judge.points.inner, people.at.shifts[patient], np.zeros((0, 3, 3)))
        weights = people.at.weights[patient].reshape(-1)

        def value(m: float, away: Single = away, weights: Floats = weights) -> float:
            dose = weighted_curve(away, weights, judge.plan.curve(), m)
            kinds = {"d98": (dose >= 0.95) @ share, "v95": (dose >= 0.95) @ share, "mean": dose @ share}
            return float(kinds.get(criterion.metric.name, (away <= m) @ weights @ share))

        wanted = 0.98 if criterion.metric.name == "d98" else criterion.level
        assert value(margin + 0.003) >= wanted - 1e-6
        assert value(margin - 0.01) < wanted


def test_bounds_hold_when_sides_grow() -> None:
    """What patients need beyond larger sides lies within the bounds that follow from smaller ones."""
    region = TARGETS["block"]
    judge = judge_of(region, criterion_of("dmin>=0.95"), Plan(), centroid(region))
    people = population_of(COURSES["large errors"], 20, 5, 1, judge.centre_mm, "dmin")
    sides, more = np.array([4.0, 5, 6, 3, 9, 4]), np.array([0.5, 1, -1, 2, -2, 0.3])
    found: list[Needs] = []
    for each in (sides, sides + more):
        ptv = pk.expand(region, pk.Margin.from_letters(dict(zip("RLAPSI", each.tolist(), strict=True))))
        found.append(needs_of(judge, field_of(ptv, room_of(ptv, [people]), judge.deep_mm), people, (0.0, 1.0)))
    bounds = found[0].beyond(more)
    assert (found[1].low >= bounds.low).all()
    assert (found[1].low <= bounds.high).all()


def test_a_prepared_target_is_shared() -> None:
    """Courses that share a field get the margins that they get alone, to a hundredth of a millimetre."""
    courses = list(COURSES.values())[:2]
    ready = prepared_target(TARGETS["two balls"], "dmin>=0.95", courses=courses)
    assert ready.field is not None
    for course in courses:
        shared = solve_prepared(ready, course, patients=60, seed=2)
        alone = pk.solve_margin(TARGETS["two balls"], course, patients=60, seed=2)
        assert shared.margin.left == pytest.approx(alone.margin.left, abs=0.01)
