"""The inverse: margins against χ quantiles and van Herk's recipe."""

import numpy as np
import pytest

import ptvkit as pk
from ptvkit.analysis.solve import solve_margin
from tests.motion.bodies import ball


def by_chance(share: float, *patients: int) -> float:
    """Three standard errors of the difference between a share among some patients and among others."""
    return 3 * float(np.sqrt(share * (1 - share) * sum(1 / count for count in patients)))


@pytest.mark.statistics
@pytest.mark.parametrize(("population", "quantile"), [(0.80, 2.154444), (0.90, 2.500278), (0.95, 2.795483)])
def test_containment_is_the_quantile_of_chi(population: float, quantile: float) -> None:
    course = pk.Course(setup=[pk.SetupError(systematic_mm=2)])
    found = solve_margin(ball(10), course, criterion="contained", population=population, patients=6000, seed=1)
    low, high = found.margin.superior * found.scale.low, found.margin.superior * found.scale.high
    assert low < 2 * quantile < high
    assert high - low < 0.4
    assert found.margin == pk.Margin.uniform(found.margin.superior)
    assert found.reached.value == pytest.approx(population, abs=by_chance(population, 6000, 6000))


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
    assert six.sides["I"].low < six.margin.inferior < six.sides["I"].high
    assert six.margin.inferior > six.margin.superior + 4
    for found in (one, axes, six):
        ptv = pk.expand(ball(9), found.margin)
        simulated = pk.simulate_coverage(ball(9), ptv, course, patients=600, seed=3)
        assert simulated.contained(0.1) >= 0.9 >= simulated.contained() - 0.01  # of the search's own patients
        assert found.reached.value == pytest.approx(0.9, abs=by_chance(0.9, 600, 600))


def test_covered_volume_is_labelled_geometric() -> None:
    course = pk.Course(setup=[pk.SetupError(systematic_mm=3)])
    index = solve_margin(ball(20), course, criterion="coverage>=0.95", patients=300)
    never = solve_margin(ball(20), course, criterion="contained", patients=300)
    assert "geometric" in index.note
    assert never.note == ""
    assert index.margin.left < 0.7 * never.margin.left


MANY = pk.Course(setup=[pk.SetupError(systematic_mm=2, random_mm=3)], fractions=300)


@pytest.mark.statistics
@pytest.mark.parametrize(("edge", "margin"), [(0.65, 5.89754), (0.80, 6.42928), (0.95, 7.36656)])
def test_prescribed_at_the_edge_margins_fall_with_the_edge_level(edge: float, margin: float) -> None:
    """A ball of 15 mm and many fractions: the surface's dose everywhere for 90 % of the patients."""
    found = solve_margin(
        ball(15), MANY, criterion="dmin>=1", edge_level=edge, prescribed_to="edge", patients=3000, seed=1
    )
    low, high = found.margin.left * found.scale.low, found.margin.left * found.scale.high
    assert low - 0.05 < margin < high + 0.05
    assert high - low < 0.5


def test_every_criterion_of_the_target_can_be_solved() -> None:
    """For a still target's systematic errors the needed margins are ordered as the criteria are strict."""
    course = pk.Course(setup=[pk.SetupError(systematic_mm=(1, 2, 3))])
    sizes = []
    for criterion in ("contained", "dmin>=0.95", "d98>=0.95", "v95>=0.98", "d95>=0.95", "mean>=0.97", "coverage>=0.9"):
        found = solve_margin(ball(12), course, criterion=criterion, patients=120, seed=2)
        assert found.reached.value == pytest.approx(0.9, abs=by_chance(0.9, 120, 120))
        assert found.criterion == criterion
        sizes.append(found.margin.left)
    assert sizes[0] == pytest.approx(sizes[1], abs=0.15)
    assert sizes[1] > sizes[2] > sizes[4] > sizes[5]
    assert sizes[2] == pytest.approx(sizes[3], abs=0.1)  # 98 % of the volume get 95 %: the same thing


@pytest.mark.statistics
def test_the_answer_is_the_full_simulations() -> None:
    """Breathing with hysteresis, drift and rotations: the same share of the same patients at all times and points."""
    breathing = pk.Breathing.lujan(amplitude_mm=(2, 5, 12), inhale=(1, 1, -1), lag=(0, 0.1, 0), reference="snapshot")
    errors = pk.SetupError(systematic_mm=(1, 1.5, 2), random_mm=(1.5, 2, 2.5), systematic_deg=1.5)
    course = pk.Course(setup=[errors], breathing=breathing, fractions=4)
    target = pk.union(ball(10, (-15, 0, 3)), ball(8, (17, 4, -6)))
    found = solve_margin(target, course, patients=300, seed=3, samples=40)
    shares = []
    for more in (-0.05, 0.05):
        ptv = pk.expand(target, pk.Margin.uniform(found.margin.left + more))
        dosed = pk.simulate_dose(pk.conformal_dose(ptv, 1.0), target, course, patients=300, seed=3, samples=40)
        shares.append(dosed.probability("dmin>=0.95").value)
    assert shares[0] - 0.004 <= 0.9 <= shares[1] + 0.004


CASES = [
    ("six", (0.3, 0.3, 0.3), (0, 0, 0), True, 57.2),
    ("six", (2, 2, 2), (0, 0, 0), True, 90.7),
    ("per_axis", (2, 2, 2), (0.5, 0.5, 6), False, 92.9),
]


@pytest.mark.statistics
@pytest.mark.parametrize(("shape", "systematic", "random", "breathes", "by_hand_cc"), CASES)
def test_no_larger_than_by_hand(
    shape: str, systematic: tuple[float, ...], random: tuple[float, ...], breathes: bool, by_hand_cc: float
) -> None:
    wave = pk.Breathing.lujan(amplitude_mm=(0, 0, 20), inhale=(0, 0, -1), reference="time_mean") if breathes else None
    errors = pk.SetupError(systematic_mm=systematic, random_mm=random)
    course = pk.Course(setup=[errors], breathing=wave, fractions=12 if breathes else 30)
    found = solve_margin(ball(20), course, shape=shape, patients=1000, samples=40)  # type: ignore[arg-type]
    assert found.ptv_cc <= by_hand_cc
    assert found.reached.value >= 0.9 - by_chance(0.9, 1000, 1000)


@pytest.mark.statistics
def test_symmetric_errors_have_symmetric_sides() -> None:
    course = pk.Course(setup=[pk.SetupError(systematic_mm=2, random_mm=3)], fractions=12)
    one, six = (solve_margin(ball(20), course, shape=shape, patients=2000) for shape in ("isotropic", "six"))
    assert six.ptv_cc <= 1.01 * one.ptv_cc
    assert np.ptp(list(six.margin.letters.values())) < 0.5


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
        ({"criterion": "d2<=1.07"}, "criterion 'd2<=1.07': use dmin>=0.95"),
        ({"prescribed_to": "middle"}, "prescribed_to: use 'plateau', 'edge'"),
        ({"criterion": "dmin>=95"}, "levels above 0 to 1"),
        ({"population": 1.0}, "population"),
        ({"shape": "round"}, "shape"),
        ({"patients": 3}, "patients"),
    ],
)
def test_refused(options: dict[str, object], says: str) -> None:
    course = pk.Course(setup=[pk.SetupError(systematic_mm=2)])
    with pytest.raises(pk.PtvkitError, match=says):
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
