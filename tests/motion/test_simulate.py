"""Simulated courses against the containment theorem, and what every result must keep."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

import ptvkit as pk
from ptvkit import phantom
from ptvkit.errors import MotionError
from ptvkit.motion.coverage import prepare
from ptvkit.motion.simulate import simulate_coverage
from tests.motion.bodies import ball, ball_mask

OCTANT = pk.Margin(right=5, left=3, anterior=7, posterior=4, superior=10, inferior=6)
BREATHING = pk.Breathing.lujan(amplitude_mm=(0, 3, 10), inhale=(0, 1, -1), reference="snapshot", variation="free")
COURSE = pk.Course(
    setup=[
        pk.SetupError(systematic_mm=(2, 2, 3), random_mm=(2, 2, 3)),
        pk.SetupError(name="delineation", systematic_mm=1.5, seen_by="nothing"),
    ],
    guidance=pk.ImageGuidance(action_level_mm=2, matching_sd_mm=1),
    breathing=BREATHING,
    fractions=3,
)


def contained(ctv: pk.Region, ptv: pk.Region, sd: object, patients: int = 20_000) -> pk.CoverageResult:
    course = pk.Course(setup=[pk.SetupError(systematic_mm=sd)])
    return simulate_coverage(ctv, ptv, course, patients=patients, seed=3)


@pytest.mark.statistics
@pytest.mark.parametrize("name", ["gtv", "liver"])
def test_containment_of_a_non_convex_target_in_the_octant_body(name: str) -> None:
    """P = the Gaussian measure of the margin's body, whatever the target's shape: .85332590 (gtv: three lesions)."""
    ctv = phantom.region(name, 1.5 if name == "liver" else 1.0)
    found = contained(ctv, pk.expand(ctv, OCTANT), 2.0)
    assert found.contained() == pytest.approx(0.85332590, abs=0.02)
    for lesion in found.lesions:
        assert lesion.contained() == pytest.approx(0.85332590, abs=0.02)


@pytest.mark.statistics
def test_containment_of_the_chain() -> None:
    """GTV → CTV → PTV without voxels between: 5, 5, 10 mm against Σ = 1.5, 1.6, 3.1 contain .98442500."""
    made = pk.make_targets(
        phantom.mask("lesion_1", phantom.grid()),
        ctv=pk.Margin.uniform(10),
        ptv=pk.Margin.uniform(5),
        breathing=pk.Margin(superior=5, inferior=5),
    )
    assert contained(made.ctv, made.ptv, (1.5, 1.6, 3.1)).contained() == pytest.approx(0.98442500, abs=0.02)


@pytest.mark.statistics
@pytest.mark.parametrize(("k", "share"), [(1.0, 0.19874804), (2.0, 0.73853587), (2.5, 0.89993917)])
def test_containment_isotropic(k: float, share: float) -> None:
    ctv = pk.region_from_mask(ball_mask(12.0))
    found = contained(ctv, pk.expand(ctv, pk.Margin.uniform(3 * k)), 3.0)
    assert found.contained() == pytest.approx(share, abs=0.02)


@pytest.mark.statistics
@pytest.mark.parametrize(
    ("radius", "margin", "sd", "expected"),
    [(20, 5, 2, 0.99925345), (20, 5, 3, 0.98899743), (20, 5, 4, 0.96288871), (20, 0, 3, 0.82182240)],
)
def test_expected_coverage_of_two_spheres(radius: float, margin: float, sd: float, expected: float) -> None:
    found = contained(ball(radius), ball(radius + margin), sd, 10_000)
    assert found.coverage.mean() == pytest.approx(expected, abs=0.002)


def test_full_coverage_is_not_containment() -> None:
    """Oracle 4.3b: covered volume forgives what containment does not."""
    found = contained(ball(45.0, spacing=(1.5, 1.4, 1.6)), ball(47.9, spacing=(1.5, 1.4, 1.6)), 3.0, 3000)
    assert found.probability(0.95) == pytest.approx(0.90, abs=0.03)
    assert found.contained() == pytest.approx(0.18, abs=0.04)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_same_seed_same_bytes(workers: int) -> None:
    ctv = phantom.region("lesion_3")
    ptv = pk.expand(ctv, pk.Margin.uniform(6))
    a, b = (simulate_coverage(ctv, ptv, COURSE, patients=300, seed=11, samples=8, workers=n) for n in (None, workers))
    for field in ("coverage", "miss_mm", "side", "time_out"):
        assert getattr(a, field).tobytes() == getattr(b, field).tobytes()
    assert a.contained() == b.contained()
    assert a.coverage_loss.low == b.coverage_loss.low
    other = simulate_coverage(ctv, ptv, COURSE, patients=300, seed=12, samples=8)
    assert not np.array_equal(a.miss_mm, other.miss_mm)


def test_a_prepared_target_changes_nothing_but_the_tables_reach() -> None:
    ctv = phantom.region("lesion_3")
    ptv = pk.expand(ctv, pk.Margin.uniform(6))
    ready = prepare(ctv, ptv, COURSE, seed=11)
    a = simulate_coverage(ctv, ptv, COURSE, patients=130, seed=11, samples=8)
    b = simulate_coverage(ctv, ptv, COURSE, patients=130, seed=11, samples=8, prepared=ready)
    assert a.miss_mm.tobytes() == b.miss_mm.tobytes()


def test_precision_goes_on_until_it_is_reached() -> None:
    ctv = phantom.region("lesion_3")
    ptv = pk.expand(ctv, pk.Margin.uniform(5))
    course = pk.Course(setup=[pk.SetupError(systematic_mm=2)])
    steps: list[tuple[int, int]] = []
    found = simulate_coverage(
        ctv, ptv, course, patients=100, seed=1, precision=0.04, progress=lambda *step: steps.append(step)
    )
    assert found.contained().width <= 0.04
    assert found.patients in (400, 800, 1600, 3200)
    fixed = simulate_coverage(ctv, ptv, course, patients=found.patients, seed=1)
    assert fixed.miss_mm.tobytes() == found.miss_mm.tobytes()
    assert steps[-1] == (found.patients, found.patients)
    assert all(a[0] <= b[0] for a, b in pairwise(steps))


@pytest.mark.statistics
def test_parameter_intervals_are_those_of_chi_square() -> None:
    """Σ² of n patients is χ² with n − 1 degrees of freedom, and a ball of 5 mm contains the share of Maxwell's law."""
    ctv = phantom.region("lesion_3")
    ptv = pk.expand(ctv, pk.Margin.uniform(5))
    for patients in (None, 14, 200):
        error = pk.SetupError(systematic_mm=2, patients=patients)
        found = simulate_coverage(ctv, ptv, pk.Course(setup=[error]), patients=1024, seed=1)
        intervals = found.parameter_intervals
        assert set(intervals) == (set() if patients is None else {"contained", "coverage_loss"})
        if patients is None:
            continue
        sigma = 2 * np.sqrt((patients - 1) / stats.chi2.ppf([0.025, 0.975], patients - 1))
        low, high = stats.chi.cdf(5 / sigma, 3)  # .508 and .992 of 14 patients, .834 and .943 of 200
        contained = intervals["contained"]
        assert contained.low == pytest.approx(low, abs=3 * np.sqrt(low * (1 - low) / 1024))
        assert contained.high == pytest.approx(high, abs=3 * np.sqrt(high * (1 - high) / 1024))
        assert contained.low <= found.contained() <= contained.high


def test_result_holds_together() -> None:
    two = pk.union(ball(6.0, (-20, 0, 0)), ball(9.0, (20, 3, 5)))
    found = simulate_coverage(two, pk.expand(two, pk.Margin.uniform(4)), COURSE, patients=200, seed=5, samples=10)
    assert found.coverage.shape == found.miss_mm.shape == found.side.shape == found.time_out.shape == (200, 3)
    big, small = found.lesions
    assert big.volume_cc > small.volume_cc
    np.testing.assert_allclose(found.miss_mm, np.maximum(big.miss_mm, small.miss_mm))
    share = np.array([big.volume_cc, small.volume_cc]) / (big.volume_cc + small.volume_cc)
    np.testing.assert_allclose(found.coverage, share[0] * big.coverage + share[1] * small.coverage)
    assert found.contained() <= min(big.contained(), small.contained())
    assert found.contained(2.0) >= found.contained()
    assert ((found.side == -1) == (found.miss_mm == 0)).all()
    assert (found.miss_mm[found.time_out > 0] > 0).all()
    assert sum(found.sides.values()) == pytest.approx(1 - found.contained())
    assert found.miss_quantile(0.9) <= found.miss_quantile(1.0) == found.deepest_mm.max()
    assert found.coverage_loss.low <= 1 - found.coverage.mean() <= found.coverage_loss.high
    assert found.probability(0.0) == 1
    with pytest.raises(ValueError, match="read-only"):
        found.coverage[0] = 1
    lines = found.summary().splitlines()
    assert len(lines) == 5
    assert "simulated, given these inputs" in lines[-1]


def test_one_lesion_is_its_own_target() -> None:
    found = simulate_coverage(ball(6.0), ball(9.0), COURSE, patients=20, samples=4)
    assert len(found.lesions) == 1
    assert found.lesions[0].miss_mm is found.miss_mm


def test_what_would_take_hours_is_refused_with_its_price() -> None:
    with pytest.raises(MotionError, match=r"2e\+09 displacements, about .* h and .* GB"):
        simulate_coverage(ball(6.0), ball(9.0), COURSE, patients=1_000_000, samples=667)
    with pytest.raises(MotionError, match="patients: needs a whole number from 1"):
        simulate_coverage(ball(6.0), ball(9.0), COURSE, patients=0)


def test_rotations_cost_coverage() -> None:
    """With turns misses get deeper on average; with next to none they are those of the tables."""
    ctv = phantom.region("lesion_1", 1.5)
    ptv = pk.expand(ctv, pk.Margin.uniform(4))
    plain, turned = (
        pk.Course(setup=[pk.SetupError(systematic_mm=2, systematic_deg=angle)], fractions=2) for angle in (0, 6)
    )
    a, b = (simulate_coverage(ctv, ptv, course, patients=200, seed=4) for course in (plain, turned))
    assert b.miss_mm.mean() > a.miss_mm.mean()
    tiny = pk.Course(setup=[pk.SetupError(systematic_mm=2, systematic_deg=1e-6)], fractions=2)
    c = simulate_coverage(ctv, ptv, tiny, patients=200, seed=4)
    np.testing.assert_allclose(c.miss_mm, a.miss_mm, atol=0.12)  # worked out, not looked up
    np.testing.assert_allclose(c.coverage, a.coverage, atol=0.004)
