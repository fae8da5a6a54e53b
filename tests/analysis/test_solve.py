"""The inverse: margins against χ quantiles and van Herk's recipe."""

import numpy as np
import pytest

import ptvkit as pk
from ptvkit.analysis.solve import solve_margin
from tests.motion.bodies import ball


@pytest.mark.statistics
@pytest.mark.parametrize(("population", "quantile"), [(0.80, 2.154444), (0.90, 2.500278), (0.95, 2.795483)])
def test_containment_is_the_quantile_of_chi(population: float, quantile: float) -> None:
    course = pk.Course(setup=[pk.SetupError(systematic_mm=2)])
    found = solve_margin(ball(10), course, criterion="contained", population=population, patients=6000, seed=1)
    low, high = found.margin.superior * found.scale.low, found.margin.superior * found.scale.high
    assert low < 2 * quantile < high
    assert high - low < 0.4
    assert found.margin == pk.Margin.uniform(found.margin.superior)
    assert found.reached == pytest.approx(population, abs=0.002)


@pytest.mark.statistics
def test_minimum_dose_is_van_herks_with_systematic_errors_alone() -> None:
    course = pk.Course(setup=[pk.SetupError(systematic_mm=2)])
    found = solve_margin(ball(15), course, criterion="dmin>=0.95", patients=1500, seed=2)
    assert found.margin.left == pytest.approx(2 * 2.5, abs=0.25)
    assert found.reached.low < 0.9 < found.reached.high
    sizes = [trial.margin.left for trial in found.trials]
    assert sizes == sorted(sizes)
    assert [trial.ptv_cc for trial in found.trials] == sorted(trial.ptv_cc for trial in found.trials)
    assert [trial.reached for trial in found.trials] == sorted(trial.reached for trial in found.trials)


def test_six_directions_follow_the_errors() -> None:
    """An inferior drift and unequal axes: the PTV is smaller, the margin larger where the target goes."""
    errors = pk.SetupError(systematic_mm=(1, 2, 3), mean_mm=(0, 0, -2))
    course = pk.Course(setup=[errors])
    one, axes, six = (
        solve_margin(ball(9), course, criterion="contained", shape=shape, patients=600, seed=3)
        for shape in ("isotropic", "per_axis", "six")
    )
    assert one.ptv_cc > 1.1 * axes.ptv_cc
    assert axes.ptv_cc > 1.02 * six.ptv_cc
    assert axes.margin.left == axes.margin.right < axes.margin.anterior < axes.margin.superior == axes.margin.inferior
    assert six.margin.inferior > six.margin.superior + 4
    for found in (one, axes, six):
        ptv = pk.expand(ball(9), found.margin)
        simulated = pk.simulate_coverage(ball(9), ptv, course, patients=600, seed=3)
        assert simulated.contained(0.1) == pytest.approx(found.reached, abs=0.03)


def test_covered_volume_is_labelled_geometric() -> None:
    course = pk.Course(setup=[pk.SetupError(systematic_mm=3)])
    index = solve_margin(ball(20), course, criterion="coverage>=0.95", patients=300)
    never = solve_margin(ball(20), course, criterion="contained", patients=300)
    assert "geometric" in index.note
    assert never.note == ""
    assert index.margin.left < 0.7 * never.margin.left


def test_rotations_need_the_simulation() -> None:
    two = pk.union(ball(6, (-20, 0, 0)), ball(6, (20, 0, 0)))
    course = pk.Course(setup=[pk.SetupError(systematic_deg=3)])
    found = solve_margin(two, course, criterion="contained", patients=100, seed=1)
    # 20 mm from the centre: SD 20·tan 3° ≈ 1.05 mm across, in two directions; χ₂ quantile 2.15
    assert found.margin.left == pytest.approx(1.05 * 2.146, abs=0.5)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"criterion": "dmax>=0.9"}, "criterion 'dmax>=0.9': use dmin>=0.95"),
        ({"criterion": "dmin>=95"}, "levels above 0 to 1"),
        ({"population": 1.0}, "population"),
        ({"shape": "round"}, "shape"),
        ({"patients": 3}, "patients"),
    ],
)
def test_refused(options: dict[str, object], says: str) -> None:
    course = pk.Course(setup=[pk.SetupError(systematic_mm=2)])
    with pytest.raises(pk.MotionError, match=says):
        solve_margin(ball(8), course, **options)  # type: ignore[arg-type]


def test_nothing_to_solve() -> None:
    with pytest.raises(pk.MotionError, match="nothing displaces the target"):
        solve_margin(ball(8), pk.Course(), criterion="contained")
    far = pk.Course(setup=[pk.SetupError(mean_mm=(0, 0, 120))])
    with pytest.raises(pk.MotionError, match="no margin up to 100 mm"):
        solve_margin(ball(8), far, criterion="contained", patients=20)
    assert np.isfinite(solve_margin(ball(8), pk.Course(setup=[pk.SetupError(systematic_mm=1)]), patients=40).ptv_cc)


def test_what_a_margin_takes_of_an_organ() -> None:
    """A half of all there is, cut through the target's middle, loses half of the shell that the margin adds."""
    target, halves = ball(9), []
    course = pk.Course(setup=[pk.SetupError(systematic_mm=2)])
    grid = target.grid.box((-30, -30, -30), tuple(n + 29 for n in target.grid.shape))
    middle = pk.extent(target)["S"] - 9
    height = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))[..., 2] - middle
    for side in (height, -height):
        told: list[tuple[int, int]] = []
        organ = pk.Region(level=side.astype(np.float32), grid=grid)
        found = solve_margin(
            target,
            course,
            criterion="contained",
            patients=200,
            organ=organ,
            progress=lambda done, total, told=told: told.append((done, total)),
        )
        assert [done for done, _ in told] == list(range(1, len(told) + 1))
        assert all(done < total for done, total in told)
        for trial in found.trials:
            assert trial.organ_cc == pytest.approx((trial.ptv_cc - target.volume_cc) / 2, rel=0.02, abs=0.02)
        assert found.organ_cc is not None
        halves.append(found.organ_cc)
    assert sum(halves) == pytest.approx(found.ptv_cc - target.volume_cc, rel=0.01)
