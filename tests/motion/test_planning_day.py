"""The planning CT's day is a day like others; what a soft-tissue match sees of breathing."""

import numpy as np
import pytest

import ptvkit as pk
from ptvkit.errors import MotionError
from ptvkit.motion.breathing import Breathing
from ptvkit.motion.course import Course, sample_course
from ptvkit.motion.guidance import ImageGuidance
from ptvkit.motion.residuals import Residual, residual_errors
from ptvkit.motion.variation import Variation

SD_SHARE, MEAN_SHARE = 0.3576726, 0.3125


def wave(reference: object = "time_mean", **more: object) -> Breathing:
    return Breathing.lujan(amplitude_mm=(0, 0, 12), inhale=(0, 0, -1), reference=reference, **more)


def total(breathing: Breathing, guidance: ImageGuidance | None = None, name: str = "total") -> Residual:
    course = Course(breathing=breathing, guidance=guidance, fractions=12)
    return next(row for row in residual_errors(course, patients=3000, seed=1) if row.name == name)


@pytest.mark.statistics
@pytest.mark.parametrize("reference", ["time_mean", "exhale", "mid_range", (0.0, 0.0, -4.0)])
def test_shifts_between_days_are_systematic_too(reference: object) -> None:
    """Σ' = σ_day: the CT of one day is compared with the days of treatment."""
    found = total(wave(reference, variation=Variation(baseline_shift_mm=(0, 0, 5))))
    assert found.systematic_mm[2] == pytest.approx(5.0, rel=0.05)
    assert found.random_mm[2] == pytest.approx(np.hypot(5.0, SD_SHARE * 12), rel=0.03)
    assert found.systematic_mm[1] < 0.01


@pytest.mark.statistics
@pytest.mark.parametrize(("reference", "share"), [("time_mean", MEAN_SHARE), ("inhale", 1.0), ("exhale", 0.0)])
def test_the_amplitude_of_the_planning_day(reference: str, share: float) -> None:
    found = total(wave(reference, variation=Variation(amplitude_between_mm=2)))
    assert found.systematic_mm[2] == pytest.approx(share * 2, abs=0.05)


@pytest.mark.statistics
def test_a_snapshot_is_of_some_breath_of_some_day() -> None:
    """E[x²] of the planned position: E[u²] (A² + the variance of A), each source with its own SD."""
    second = SD_SHARE**2 + MEAN_SHARE**2
    for vary in (Variation(amplitude_between_mm=4), Variation(amplitude_mm=4)):
        breathing = wave("snapshot", variation=vary)
        drawn = sample_course(Course(breathing=breathing), patients=20_000, seed=1, samples=1)
        part = next(part for part in drawn.parts if part.name == "breathing reference")
        planned = -MEAN_SHARE * 12 - part.shift_mm[:, 0, 2]
        # both variances are 16 mm², little of which is lost below amplitude 0
        assert np.mean(planned**2) == pytest.approx(second * (144 + 16), rel=0.03)


def margin_needed(breathing: Breathing, *by_hand: pk.SetupError) -> float:
    course = Course(setup=[pk.SetupError(systematic_mm=1), *by_hand], breathing=breathing, fractions=12)
    solved = pk.solve_margin(pk.phantom.region("lesion_3"), course, patients=2000, seed=1, samples=12)
    assert solved.margin.superior == solved.margin.left
    return float(solved.margin.superior)


@pytest.mark.statistics
def test_margin_with_shifts_between_days() -> None:
    """4 mm SI of baseline shifts, a wave of 8 mm, Σ 1: as with set-up errors of the same SD that nothing sees."""
    still, varied = (
        Breathing.lujan(amplitude_mm=(0, 0, 8), inhale=(0, 0, -1), reference="time_mean", variation=variation)
        for variation in ("none", Variation(baseline_shift_mm=(0, 0, 4)))
    )
    treatment = pk.SetupError(name="days", random_mm=(0, 0, 4), seen_by="nothing")
    planning = pk.SetupError(name="day of the CT", systematic_mm=(0, 0, 4), seen_by="nothing")
    needed = margin_needed(varied)
    assert needed == pytest.approx(margin_needed(still, treatment, planning), abs=0.2)
    assert needed > 1.4 * margin_needed(still, treatment)  # treatment days alone


@pytest.mark.statistics
def test_what_a_soft_tissue_match_sees_of_breathing() -> None:
    """Σ' SI of a snapshot (4.29 mm) and of shifts between days (3 mm), perfectly matched."""
    breathing = wave("snapshot", variation=Variation(baseline_shift_mm=(0, 0, 3)))
    snapshot = SD_SHARE * 12
    expected = {"time_mean": 0.0, "like_phase": snapshot, "nothing": np.hypot(snapshot, 3)}
    for sees, systematic in expected.items():
        for match in ("soft_tissue", "bone_then_soft_tissue"):
            found = total(breathing, ImageGuidance(match=match, soft_tissue_sees=sees))
            assert found.systematic_mm[2] == pytest.approx(systematic, rel=0.05, abs=0.06)
        bone = total(breathing, ImageGuidance(match="bone", soft_tissue_sees=sees))
        assert bone.systematic_mm[2] == pytest.approx(expected["nothing"], rel=0.05)
    old = Breathing.lujan(
        amplitude_mm=(0, 0, 12), inhale=(0, 0, -1), reference="snapshot", reference_seen_by="soft_tissue"
    )
    assert total(old, ImageGuidance(match="soft_tissue")).systematic_mm[2] < 0.06
    assert ImageGuidance().soft_tissue_sees == "like_phase"
    with pytest.raises(MotionError, match="soft_tissue_sees"):
        ImageGuidance(soft_tissue_sees="bone")


@pytest.mark.statistics
def test_the_days_amplitude_is_seen_by_a_match_of_means() -> None:
    """A fraction's mean is MEAN_SHARE times its amplitude; a match of like phases leaves what that varies by."""
    breathing = wave("time_mean", variation=Variation(amplitude_between_mm=4))
    means = {}
    for sees in ("time_mean", "like_phase"):
        course = Course(breathing=breathing, guidance=ImageGuidance(soft_tissue_sees=sees), fractions=10)
        drawn = sample_course(course, patients=500, samples=90, seed=1)
        means[sees] = drawn.shifts_mm.mean(axis=2)[..., 2].std()
    assert means["time_mean"] < 0.15
    assert means["like_phase"] == pytest.approx(MEAN_SHARE * 4 * np.sqrt(2), rel=0.05)  # of the CT's day as well


@pytest.mark.statistics
def test_blur_is_a_matching_error_of_means_alone() -> None:
    for sees, sd in (("time_mean", np.hypot(1.0, 1.5)), ("like_phase", 1.0)):
        guidance = ImageGuidance(match="soft_tissue", matching_sd_mm=1, blur_sd_mm=1.5, soft_tissue_sees=sees)
        row = total(wave(), guidance, "soft tissue match")
        np.testing.assert_allclose(row.random_mm, sd, rtol=0.03)
    assert guidance.without_errors().stages[0].random_mm.max() == 0


@pytest.mark.statistics
def test_each_match_has_systematic_errors_of_its_own() -> None:
    guidance = ImageGuidance(
        matching_systematic_mm=(1, 2, 3), bone_matching_systematic_mm=0.5, bone_matching_sd_mm=0.2, action_level_mm=0
    )
    course = Course(setup=[pk.SetupError(systematic_mm=3)], guidance=guidance, fractions=4)
    rows = {row.name: row for row in residual_errors(course, patients=3000, seed=2)}
    # the second match removes what the first left, and adds its own
    np.testing.assert_allclose(rows["total"].systematic_mm, [1, 2, 3], rtol=0.05)
    only = Course(setup=[pk.SetupError(systematic_mm=3)], guidance=pk.ImageGuidance(match="bone"), fractions=4)
    assert residual_errors(only, patients=200)[-1].systematic_mm.max() == 0
