"""Growth and shrinkage between the CT and the fractions."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import chi2, norm

import ptvkit as pk


def ball(radius: float) -> pk.Region:
    affine = np.array([[-1.0, 0, 0, 28.3], [0, -1.1, 0, 31.1], [0, 0, 1.2, -33.2], [0, 0, 0, 1]])
    grid = pk.Grid(shape=(58, 57, 56), affine=affine)
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    return pk.Region(level=np.linalg.norm(points, axis=-1) - radius, grid=grid)


CTV, PTV = ball(12), ball(20)
SETUP = [pk.SetupError(systematic_mm=2.5)]


@pytest.mark.parametrize("rate", [-0.2, 0.0, 0.3, 0.5])
def test_growth_takes_off_the_margin(rate: float) -> None:
    """A ball in a ball: contained when |shift| ≤ 8 − growth, also far more than the depths that are usually kept."""
    change = pk.ShapeChange(mm_per_day=rate, first_day=10)
    course = pk.Course(setup=SETUP, shape_change=change)
    share = pk.simulate_coverage(CTV, PTV, course, patients=1500, seed=2).contained()
    expected = chi2.cdf(((8 - 10 * rate) / 2.5) ** 2, 3)
    assert share == pytest.approx(expected, abs=3.2 * np.sqrt(expected * (1 - expected) / 1500) + 0.004)


def test_patients_differ_and_days_count() -> None:
    """Without displacement: contained when the growth in the last fraction is below the margin."""
    change = pk.ShapeChange(mm_per_day=0.2, sd_mm_per_day=0.1, first_day=8, days_per_fraction=1.5)
    result = pk.simulate_coverage(CTV, PTV, pk.Course(shape_change=change, fractions=11), patients=1500, seed=3)
    expected = norm.cdf((8 / 23 - 0.2) / 0.1)
    assert result.contained() == pytest.approx(expected, abs=3 * np.sqrt(expected * (1 - expected) / 1500) + 0.004)
    assert all((later >= sooner).mean() > 0.9 for sooner, later in pairwise(result.miss_mm.T))


def test_the_split_says_what_growth_costs() -> None:
    course = pk.Course(setup=SETUP, shape_change=pk.ShapeChange(mm_per_day=0.5, first_day=8), fractions=2)
    costs = {cost.name: cost for cost in pk.coverage_split(CTV, PTV, course, patients=300)}
    assert costs["change of shape"].contained_without > costs["all together"].contained_alone + 0.2


def test_what_is_refused() -> None:
    course = pk.Course(setup=SETUP, shape_change=pk.ShapeChange(mm_per_day=2), fractions=20)
    with pytest.raises(pk.MotionError, match="above 30 plan anew"):
        pk.simulate_coverage(CTV, PTV, course)
    with pytest.raises(pk.MotionError, match="takes no shape_change"):
        pk.solve_margin(CTV, course)
