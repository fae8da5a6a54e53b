"""Managements of motion against closed forms, brute force, and the course without them."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats

from ptvkit import phantom
from ptvkit.errors import MotionError
from ptvkit.geometry.phases import Phases
from ptvkit.motion.breathing import Breathing, Streams
from ptvkit.motion.course import Course, sample_course
from ptvkit.motion.drawn import Drawn
from ptvkit.motion.guidance import ImageGuidance
from ptvkit.motion.intrafraction import Intrafraction
from ptvkit.motion.management.breath_hold import BreathHold
from ptvkit.motion.management.compression import Compression
from ptvkit.motion.management.gate import Gate
from ptvkit.motion.management.tracking import Tracking
from ptvkit.motion.residuals import residual_errors
from ptvkit.motion.setup import SetupError
from ptvkit.motion.trajectory import Trajectory
from ptvkit.motion.variation import Variation

Floats = NDArray[np.float64]
A = 15.0


def wave(n: int = 3, reference: Any = "exhale", **more: Any) -> Breathing:
    return Breathing.lujan(amplitude_mm=(0, 0, A), inhale=(0, 0, -1), reference=reference, n=n, **more)


def loop(**more: Any) -> Breathing:
    vary = Variation(amplitude_mm=1.6, period_s=0.5, baseline_mm=(0.2, 0.4, 1.0), drift_mm=(0, 1, 2))
    return Breathing.lujan(
        amplitude_mm=(2, 5, 14), inhale=(1, 1, -1), lag=(0, 0.1, 0), reference="time_mean", variation=vary, **more
    )


def trace() -> Trajectory:
    time = np.arange(0, 120, 0.2)
    rng = np.random.default_rng(5)
    turns = np.cumsum(np.r_[0.0, rng.uniform(3.4, 4.6, 40)])
    phase = np.interp(time, turns, np.arange(len(turns)))
    height = np.interp(phase, np.arange(42), rng.uniform(9, 13, 42)) * np.sin(np.pi * phase) ** 4
    moved = np.outer(height, [0.1, 0.4, -1.0]) + np.outer(0.02 * time, [0, 0, 1.0])
    return Trajectory(time_s=time, displacement_mm=moved)


def measured() -> Breathing:
    return Breathing.from_trace(trace(), reference="time_mean", inhale=(0.1, 0.4, -1.0))


def phased(**more: Any) -> Breathing:
    poses = np.tile(np.eye(4), (6, 1, 1))
    poses[:, :3, 3] = np.outer([0, 3, 9, 12, 6, 1], [0, 0.3, -1.0])
    lesion = phantom.region("lesion_3")
    return Breathing.from_phases(Phases(regions=[lesion.moved(pose) for pose in poses]), reference="time_mean", **more)


ALL = (wave(variation="free"), loop(), measured(), phased(variation="free"))


def drawn(breathing: Breathing | None, management: Any, patients: int = 600, samples: int = 100, **more: Any) -> Drawn:
    course = Course(breathing=breathing, management=management, **more)
    return sample_course(course, patients=patients, seed=3, samples=samples)


@pytest.mark.parametrize(
    ("n", "duty", "mean", "sd", "skew", "from_inhale", "inhale_sd"),
    [
        (1, 0.3, 0.0708032, 0.0621205, 0.589387, 0.0708032, 0.0621205),
        (1, 0.5, 0.1816901, 0.1538792, 0.497160, 0.1816901, 0.1538792),
        (2, 0.3, 0.0088720, 0.0115434, 1.31670, 0.1327343, 0.1132172),
        (2, 0.5, 0.0566901, 0.0704663, 1.18907, 0.3066901, 0.2408675),
        (3, 0.3, 0.0013159, 0.0021304, 1.81424, 0.1871092, 0.1553149),
        (3, 0.5, 0.0207159, 0.0318367, 1.65647, 0.3957159, 0.2908091),
    ],
)
def test_a_steady_wave_in_a_gate_has_the_moments_of_its_window(
    n: int, duty: float, mean: float, sd: float, skew: float, from_inhale: float, inhale_sd: float
) -> None:
    for by in ("amplitude", "phase"):
        found = drawn(wave(n), Gate(at="exhale", duty=duty, by=by))
        share = -found.shifts_mm[..., 2].ravel() / A
        assert share.mean() == pytest.approx(mean, abs=0.002)
        assert share.std() == pytest.approx(sd, abs=0.002)
        assert stats.skew(share) == pytest.approx(skew, abs=0.05)
        ends = -found.extreme_shifts_mm[..., 2] / A
        assert ends.max() == pytest.approx(np.sin(np.pi * duty / 2) ** (2 * n), abs=1e-9)
        assert ends.min() == pytest.approx(0, abs=1e-9)
    inhale = drawn(wave(n, "inhale"), Gate(at="inhale", duty=duty)).shifts_mm[..., 2].ravel() / A
    assert inhale.mean() == pytest.approx(from_inhale, abs=0.003)
    assert inhale.std() == pytest.approx(inhale_sd, abs=0.003)


@pytest.mark.parametrize(
    ("n", "duty", "latency", "mean", "sd", "highest", "share"),
    [
        (1, 0.5, 0.115, 0.1868695, 0.1641623, 0.5898304, 0.5),
        (3, 0.3, 0.115, 0.0022452, 0.0046065, 0.0228009, 0.3),
        (3, 0.5, 0.115, 0.0246214, 0.0431319, 0.2052019, 0.5),
        (1, 0.5, 0.5, 0.2749209, 0.2726525, 0.8535534, 0.5),
        (3, 0.3, 0.5, 0.0303950, 0.0487871, 0.1933184, 0.3),
        (3, 0.5, 0.5, 0.0967992, 0.1629105, 0.6218592, 0.5),
        (3, 0.5, (0.35, 0.07), 0.0188127, 0.0371344, 0.1708311, 0.43),
    ],
)
def test_latency_moves_the_window_into_the_breath(
    n: int, duty: float, latency: Any, mean: float, sd: float, highest: float, share: float
) -> None:
    found = drawn(wave(n), Gate(at="exhale", duty=duty, latency_s=latency))
    height = -found.shifts_mm[..., 2] / A
    assert height.mean() == pytest.approx(mean, abs=0.003)
    assert height.std() == pytest.approx(sd, abs=0.003)
    assert -found.extreme_shifts_mm[..., 2].min() / A == pytest.approx(highest, abs=2e-6)
    assert found.duty is not None
    assert found.duty.mean() == pytest.approx(share, abs=0.002)


@pytest.mark.parametrize(
    "breathing",
    [wave(variation="free"), loop(), measured(), phased(variation="free")],
    ids=["free", "loop", "trace", "phases"],
)
@pytest.mark.parametrize(
    "management",
    [Gate(duty=1.0), Compression(1.0)],
    ids=["gate of duty 1", "compression by 1"],
)
def test_a_management_that_does_nothing_changes_nothing(breathing: Breathing, management: Any) -> None:
    guidance = ImageGuidance(action_level_mm=2, matching_sd_mm=1, soft_tissue_sees="time_mean")
    setup = [SetupError(systematic_mm=2, random_mm=3)]
    more = {"setup": setup, "guidance": guidance, "fractions": 3, "fraction_s": 40.0}
    free, managed = (drawn(breathing, one, 30, 60, **more) for one in (None, management))
    np.testing.assert_allclose(managed.shifts_mm, free.shifts_mm, atol=1e-9)
    for towards in np.vstack([np.eye(3), -np.eye(3)]):  # containment sees the same
        ends = [(one.extreme_shifts_mm @ towards).max(axis=2) for one in (free, managed)]
        np.testing.assert_allclose(*ends, atol=0.02 if np.any(breathing.variation.baseline_mm) else 1e-9)


@pytest.mark.parametrize(
    "breathing",
    [wave(variation="free"), loop(), measured(), phased(variation="free")],
    ids=["free", "loop", "trace", "phases"],
)
@pytest.mark.parametrize("predictor", ["none", "linear"])
def test_perfect_tracking_is_no_breathing(breathing: Breathing, predictor: Any) -> None:
    more: dict[str, Any] = {
        "setup": [SetupError(systematic_mm=2, random_mm=3)],
        "guidance": ImageGuidance(action_level_mm=2, matching_sd_mm=1, soft_tissue_sees="time_mean"),
        "fractions": 3,
    }
    still, tracked = drawn(None, None, 40, 10, **more), drawn(breathing, Tracking(predictor=predictor), 40, 10, **more)
    np.testing.assert_allclose(tracked.shifts_mm, still.shifts_mm, atol=1e-9)
    same = np.broadcast_to(still.extreme_shifts_mm[:, :, :1], tracked.extreme_shifts_mm.shape)
    np.testing.assert_allclose(tracked.extreme_shifts_mm, same, atol=1e-9)


@pytest.mark.parametrize(
    ("n", "more", "rms", "largest"),
    [
        (1, {"latency_s": 0.115}, 0.0637796, None),
        (2, {"latency_s": 0.5}, 0.2980743, None),
        (3, {"latency_s": 0.115}, 0.0773610, None),
        (1, {"latency_s": 0.115, "predictor": "linear"}, 0.0107589, 0.01522),
        (2, {"latency_s": 0.115, "predictor": "linear"}, 0.0151613, 0.03032),
        (3, {"latency_s": 0.115, "predictor": "linear"}, 0.0198428, 0.04532),
        (3, {"latency_s": 0.5, "predictor": "linear"}, 0.2248285, 0.51027),
        (3, {"latency_s": 0.5, "predictor": "linear", "interval_s": 0.5}, 0.3371994, None),
        (3, {"latency_s": 0.115, "update_s": 0.1}, 0.1121964, None),
        (3, {"latency_s": 0.5, "update_s": 0.5}, 0.4438546, None),
    ],
)
def test_what_latency_leaves_of_a_tracked_wave(n: int, more: Any, rms: float, largest: float | None) -> None:
    found = drawn(wave(n), Tracking(**more), fraction_s=60.0)
    assert np.sqrt((found.shifts_mm[..., 2] ** 2).mean()) / A == pytest.approx(rms, abs=0.002)
    if largest is not None:
        assert np.abs(found.extreme_shifts_mm[..., 2]).max() / A == pytest.approx(largest, rel=0.01)


def test_noise_and_correlation_errors_of_tracking_add_in_quadrature() -> None:
    tracking = Tracking(latency_s=0.115, predictor="linear", noise_sd_mm=0.3, correlation_sd_mm=1.0)
    found = drawn(wave(), tracking, 1500, 5, fractions=5, fraction_s=20.0).shifts_mm[..., 2]
    assert np.sqrt((found**2).mean()) == pytest.approx(1.27422, abs=0.035)  # 7,500 correlation errors
    course = Course(breathing=wave(), management=tracking, fractions=4, fraction_s=10.0)
    left = residual_errors(course, patients=400)[-1]
    assert left.random_mm[2] == pytest.approx(1.27422, abs=0.09)


def test_tracking_leaves_what_is_beyond_its_range() -> None:
    found = drawn(wave(), Tracking(range_mm=(50, 50, 10)), 50)
    free = drawn(wave(), None, 50)
    np.testing.assert_allclose(found.shifts_mm, free.shifts_mm - np.clip(free.shifts_mm, -10, 10), atol=1e-9)
    assert found.extreme_shifts_mm[..., 2].min() == pytest.approx(10 - A, abs=0.01)


def test_holds_have_the_moments_of_patients_holds_and_drift() -> None:
    hold = BreathHold(between_sd_mm=2, within_sd_mm=1.5, drift_mm_per_s=0.15, drift_sd_mm_per_s=0.05, hold_s=20)
    course = Course(management=hold, fractions=10, fraction_s=60.0)
    found = sample_course(course, patients=3000, seed=1, samples=12)
    assert found.shifts_mm.mean() == pytest.approx(1.5, abs=0.06)
    assert found.shifts_mm.std() == pytest.approx(2.70801, abs=0.05)
    left = residual_errors(course, patients=3000)[-1]
    np.testing.assert_allclose(left.mean_mm, 1.5, atol=0.15)
    np.testing.assert_allclose(left.systematic_mm, 2.06155, atol=0.11)
    np.testing.assert_allclose(left.random_mm, np.hypot(1.5, 0.912871), atol=0.04)
    assert found.duty is not None
    assert found.duty[0, 0] == pytest.approx(60 / 100)
    edges = found.extreme_shifts_mm
    assert edges.shape[2] == 6
    assert (found.shifts_mm.max(axis=2) <= edges.max(axis=2)).all()


def test_a_verified_hold_is_seen_by_a_soft_tissue_match() -> None:
    guidance = ImageGuidance(match="soft_tissue")
    for verified, systematic in ((True, 0.0), (False, 3.0)):
        hold = BreathHold(between_sd_mm=3, hold_s=10, verified=verified)
        left = residual_errors(Course(management=hold, guidance=guidance, fractions=4))[-1]
        np.testing.assert_allclose(left.systematic_mm, systematic, atol=0.15)


@pytest.mark.parametrize("at", ["exhale", "inhale"])
@pytest.mark.parametrize("follows", [True, False])
def test_a_gate_on_varying_breaths_is_open_where_a_clock_says(at: Any, follows: bool) -> None:
    """Brute force: the gate is looked at every 2 ms; its latency shifts what was seen."""
    breathing = wave(variation=Variation(amplitude_mm=2.0, baseline_mm=(0, 0, 0.6), period_s=0.5, drift_mm=(0, 0, 4)))
    gate = Gate(at=at, window_mm=6.0, latency_s=(0.2, 0.1), follows_baseline=follows)
    found = drawn(breathing, gate, 6, 400, fractions=2, fraction_s=15.0)
    assert found.time_s is not None
    assert found.wave_mm is not None
    span = 15.0 / min(breathing.wave.share_open(gate._opening()) - 0.1 / 4.0, 1.0)
    streams = Streams(*(np.random.default_rng([3, 0, 2, n]) for n in range(3)))
    moved = breathing.motion(128, 2, span, streams)
    clock = np.arange(-1.0, span, 0.002)
    height = -(moved.moving.at(np.broadcast_to(clock, (128, 2, len(clock))))[..., 2]) + A * 0.3125  # type: ignore[union-attr]
    if not follows:
        height = height - moved.drift_mm[:, :, None, 2] * np.maximum(clock, 0) / 15.0
    seen = (height <= 6.0) if at == "exhale" else (height >= A - 6.0)
    for patient in range(6):
        for fraction in range(2):
            times = found.time_s[patient, fraction]
            is_on = _beam(clock, seen[patient, fraction], 0.2, 0.1)
            number = np.clip(np.round((times + 1.0) / 0.002).astype(int), 0, len(clock) - 1)
            assert is_on[number].mean() > 0.985  # within 2 ms of an edge the clock errs
            assert found.duty is not None
            assert found.duty[patient, fraction] == pytest.approx(is_on[clock >= 0].mean(), abs=0.01)


def _beam(clock: Floats, seen: NDArray[np.bool_], on_s: float, off_s: float) -> NDArray[np.bool_]:
    """When the beam is on: each interval in which the gate sees the target begins and ends later."""
    edges = np.flatnonzero(np.diff(np.r_[False, seen, False].astype(int)))
    on = np.zeros(len(clock), bool)
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        on |= (clock >= clock[begin] + on_s) & (clock <= clock[end - 1] + off_s)
    return on


def test_a_gate_on_a_recording_is_open_in_its_window_and_nowhere_else() -> None:
    breathing = measured()
    found = drawn(breathing, Gate(at="exhale", duty=0.4), 40, 50, fraction_s=60.0)
    assert found.duty is not None
    assert found.duty.mean() == pytest.approx(0.4, abs=0.03)
    # exhale is the reference in all fractions, so that what is left is nearer to it than the free breathing
    free = drawn(breathing, None, 40, 50, fraction_s=60.0)
    assert np.ptp(found.extreme_shifts_mm[..., 2]) < 0.6 * np.ptp(free.extreme_shifts_mm[..., 2])
    for both in (found, free):
        low, high = both.extreme_shifts_mm.min(axis=2), both.extreme_shifts_mm.max(axis=2)
        assert (both.shifts_mm.min(axis=2) >= low - 1e-9).all()
        assert (both.shifts_mm.max(axis=2) <= high + 1e-9).all()


def test_an_inhale_gate_by_phase_on_a_recording_is_at_inhale() -> None:
    found = drawn(measured(), Gate(at="inhale", duty=0.2, by="phase"), 60, 40, fraction_s=60.0)
    assert found.shifts_mm[..., 2].mean() < drawn(measured(), None, 60, 40).shifts_mm[..., 2].mean() - 3
    assert found.duty is not None
    assert found.duty.mean() == pytest.approx(0.2, abs=0.02)


def test_extremes_of_managed_loops_hold_all_beam_on_positions() -> None:
    """Containment does not depend on the times that means are taken over."""
    for management in (
        Gate(duty=0.4, latency_s=0.1),
        Tracking(latency_s=0.3),
        Tracking(latency_s=0.2, predictor="linear"),
    ):
        few, many = (drawn(loop(), management, 20, n, fractions=2, fraction_s=40.0) for n in (3, 900))
        np.testing.assert_array_equal(few.extreme_shifts_mm, many.extreme_shifts_mm)
        for towards in np.random.default_rng(1).standard_normal((20, 3)):
            towards = towards / np.linalg.norm(towards)
            reach = (many.extreme_shifts_mm @ towards).max(axis=2)
            assert ((many.shifts_mm @ towards).max(axis=2) <= reach + 0.03).all()


def test_a_gated_plan_has_its_mean_at_the_gate() -> None:
    for breathing in (wave(), wave(2, "time_mean"), measured()):
        gate = Gate(at="inhale", duty=0.3, planned="gate")
        found = drawn(breathing, gate, 500, 60, fraction_s=60.0).shifts_mm
        assert np.abs(found.mean(axis=(0, 1, 2))).max() < 0.25


def test_a_pause_of_the_beam_lets_drifts_go_on() -> None:
    drifting = wave(variation=Variation(drift_mean_mm=(0, 0, 3)))
    found = drawn(drifting, Gate(duty=0.5), 300, 50)
    mean = found.shifts_mm[..., 2].mean() + 0.0207159 * A
    assert mean == pytest.approx(3.0, abs=0.05)  # over twice the time: the mean of 0 to 6


def test_compression_makes_the_amplitude_smaller_and_keeps_drifts() -> None:
    breathing = wave(reference="time_mean", variation="free")
    half, free = (drawn(one, None, 50).shifts_mm for one in (Compression(0.5).compressed(breathing), breathing))
    np.testing.assert_allclose(half, free / 2, atol=1e-9)
    np.testing.assert_allclose(drawn(breathing, Compression(0.5), 50).shifts_mm, half, atol=1e-12)
    known = Compression(preset="liver-compression").compressed(breathing).wave
    assert known.amplitude_mm[2] == pytest.approx(5.3)  # type: ignore[index, union-attr]


def test_a_gate_on_phases_takes_those_nearest_to_exhale() -> None:
    """Of heights 0, 3, 9, 12, 6, 1 with equal weights, half of the time is 0, 1 and 3, each held in turn."""
    for gate, heights in (
        (Gate(duty=0.5), (0, 1, 3)),
        (Gate(window_mm=6.5), (0, 1, 3, 6)),
        (Gate(at="inhale", duty=0.3), (9, 12)),
    ):
        found = drawn(phased(), gate, 300, 60, fraction_s=40.0)
        height = -found.shifts_mm[..., 2] + np.mean([0, 3, 9, 12, 6, 1])
        np.testing.assert_allclose(np.unique(height.round(1)), heights, atol=0.11)
        assert height.mean() == pytest.approx(np.mean(heights), abs=0.15)
        ends = -found.extreme_shifts_mm[..., 2] + np.mean([0, 3, 9, 12, 6, 1])
        np.testing.assert_allclose([ends.min(), ends.max()], [min(heights), max(heights)], atol=0.1)
        assert found.duty is not None
        assert found.duty.mean() == pytest.approx(len(heights) / 6, abs=0.02)
    early = drawn(phased(), Gate(duty=1 / 6, by="phase", planned="gate"), 100, 20, fraction_s=20.0)
    np.testing.assert_allclose(early.shifts_mm, 0, atol=0.1)


def test_surrogates_add_an_error_that_no_match_sees() -> None:
    guidance = ImageGuidance(match="soft_tissue")
    course = Course(breathing=wave(), guidance=guidance, management=Gate(duty=0.3, correlation_sd_mm=2), fractions=6)
    rows = {row.name: row for row in residual_errors(course, patients=500)}
    np.testing.assert_allclose(rows["motion management"].random_mm, 2, atol=0.1)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Gate(), "one of duty and window_mm"),
        (lambda: Gate(duty=0.3, window_mm=2), "one of duty and window_mm"),
        (lambda: Gate(duty=0.0), "duty"),
        (lambda: Gate(window_mm=-1), "window_mm"),
        (lambda: Gate(window_mm=3, by="phase"), "give duty"),
        (lambda: Gate(duty=0.3, latency_s=(1, 2, 3)), "latency_s"),
        (lambda: Compression(), "factor"),
        (lambda: Compression(1.5), "factor"),
        (lambda: Compression(preset="none such"), "none such"),
        (lambda: Tracking(latency_s=-1), "latency_s"),
        (lambda: Tracking.preset("balloon"), "balloon"),
        (lambda: Tracking(predictor="best"), "predictor"),  # type: ignore[arg-type]
        (lambda: BreathHold(hold_s=0), "hold_s"),
        (lambda: Course(management=Gate(duty=0.3)), "needs breathing"),
        (lambda: drawn(wave(), Gate(duty=0.3), 1, 1, intrafraction=Intrafraction(rate_mm_per_min=1)), "pauses"),
        (lambda: Course(management=Tracking()), "needs breathing"),
        (lambda: Course(management=Compression(0.5)), "needs breathing"),
        (lambda: Course(breathing=wave(), management=Gate(duty=0.05, latency_s=(1, 0))), "never opens"),
        (lambda: Course(breathing=measured(), management=BreathHold(hold_s=300)), "longer than"),
        (
            lambda: drawn(
                wave(variation=Variation(drift_mean_mm=(0, 0, -60))),
                Gate(window_mm=1, follows_baseline=False),
                fraction_s=10.0,
            ),
            "never opens in",
        ),
        (lambda: Course(breathing=measured(), management=Compression(preset="liver-compression")), "recording"),
    ],
)
def test_bad_managements_are_refused(make: Any, says: str) -> None:
    with pytest.raises(MotionError, match=says) as refused:
        make()
    assert "\n" not in str(refused.value)


def test_patients_do_not_depend_on_how_many_there_are() -> None:
    for management in (Gate(duty=0.3), BreathHold(within_sd_mm=1), Tracking(latency_s=0.1, correlation_sd_mm=1)):
        course = Course(breathing=wave(variation="free"), management=management, fractions=2)
        few, many = (sample_course(course, patients=n, seed=1, samples=5).shifts_mm for n in (3, 140))
        np.testing.assert_array_equal(few, many[:3])


@pytest.mark.parametrize(("sigma", "inhale", "exhale"), [(0.0, 0.06320, 0.05330), (2.0, 0.99652, 0.98938)])
def test_margins_of_a_gated_wave_are_unequal(sigma: float, inhale: float, exhale: float) -> None:
    """95 % of the dose at the edge, penumbra 3.2 mm, cos⁶ of 15 mm in an exhale gate of 50 %, about its mean."""
    found = drawn(wave(), Gate(duty=0.5, planned="gate"), 400, 100).shifts_mm[..., 2].ravel()
    away = found - found.mean()
    width = np.hypot(3.2, sigma)
    edge = 3.2 * stats.norm.ppf(0.95)
    for towards, margin in ((-away, inhale), (away, exhale)):
        size = optimize.brentq(lambda m, x=towards: stats.norm.cdf((edge + m - x) / width).mean() - 0.95, -3, 6)
        assert size == pytest.approx(margin, abs=0.01)
