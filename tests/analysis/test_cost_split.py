"""Costs of single components."""

import pytest

import ptvkit as pk
from ptvkit import phantom
from ptvkit.analysis.cost_split import coverage_split
from tests.motion.bodies import ball

WAVE = pk.Breathing.lujan(amplitude_mm=(0, 3, 12), inhale=(0, 1, -1), reference="exhale")


def test_costs_are_those_of_courses_with_and_without() -> None:
    ctv = phantom.region("lesion_3")
    ptv = pk.expand(ctv, pk.Margin.uniform(5))
    errors = [pk.SetupError(systematic_mm=2.5), pk.SetupError(name="delineation", systematic_mm=1.0)]
    course = pk.Course(setup=errors, breathing=WAVE, fractions=2)
    costs = coverage_split(ctv, ptv, course, patients=300, seed=3, samples=9)
    names = ["set-up", "delineation", "breathing", "breathing reference", "all together"]
    assert [cost.name for cost in costs] == names
    whole = pk.simulate_coverage(ctv, ptv, course, patients=300, seed=3, samples=9)
    assert costs[-1].contained_alone == whole.contained()
    assert costs[-1].loss_without == 0
    only = pk.simulate_coverage(ctv, ptv, pk.Course(setup=errors[:1], fractions=2), patients=300, seed=3)
    assert costs[0].contained_alone.value == pytest.approx(only.contained().value, abs=0.01)
    for cost in costs[:-1]:
        assert cost.loss_without <= costs[-1].loss_alone + 1e-3
        assert cost.contained_without >= costs[-1].contained_alone - 0.02
    assert costs[2].loss_without < 0.5 * costs[-1].loss_alone  # breathing alone moves 12 mm


def test_what_costs_nothing_alone_may_cost_much_beside_others() -> None:
    ctv = ball(10.0)
    errors = [pk.SetupError(name=name, mean_mm=(0, 0, 4)) for name in ("a", "b")]
    costs = coverage_split(ctv, ball(15.0), pk.Course(setup=errors), patients=3)
    assert [cost.contained_alone for cost in costs] == [1, 1, 0]
    assert [cost.contained_without for cost in costs] == [1, 1, 1]
