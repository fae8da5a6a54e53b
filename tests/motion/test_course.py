"""Courses: what is drawn, what stays the same, who sees what."""

import numpy as np
import pytest

from ptvkit.errors import MotionError
from ptvkit.motion.breathing import Breathing
from ptvkit.motion.course import BLOCK, Course, blocks, components, draw_block, sample_course
from ptvkit.motion.guidance import ImageGuidance
from ptvkit.motion.setup import SetupError

WAVE = Breathing.lujan(amplitude_mm=(0, 4, 12), inhale=(0, 1, -1), reference="snapshot", variation="free")
FULL = Course(
    setup=[
        SetupError(systematic_mm=(2, 2, 3), random_mm=(2, 2, 3)),
        SetupError(name="delineation", systematic_mm=2, seen_by="nothing"),
    ],
    guidance=ImageGuidance(action_level_mm=2, matching_sd_mm=1, drift_sd_mm=0.5),
    breathing=WAVE,
    fractions=4,
)


@pytest.mark.statistics
def test_set_up_errors_have_their_sds() -> None:
    error = SetupError(mean_mm=(1, 0, -2), systematic_mm=(1, 2, 3), random_mm=(3, 1, 2))
    shifts = sample_course(Course(setup=[error], fractions=20), patients=8000, seed=1).shifts_mm[:, :, 0]
    np.testing.assert_allclose(shifts.mean(axis=(0, 1)), [1, 0, -2], atol=0.12)
    np.testing.assert_allclose(shifts.std(axis=1, ddof=1).mean(axis=0), [3, 1, 2], rtol=0.02)
    between = shifts.mean(axis=1).var(axis=0, ddof=1) - np.array([9, 1, 4]) / 20
    np.testing.assert_allclose(np.sqrt(between), [1, 2, 3], rtol=0.03)


def test_more_patients_leave_the_first_as_they_were() -> None:
    few = sample_course(FULL, patients=3, seed=9, samples=5)
    many = sample_course(FULL, patients=BLOCK + 7, seed=9, samples=5)
    np.testing.assert_array_equal(many.shifts_mm[:3], few.shifts_mm)
    assert many.shifts_mm.shape == (BLOCK + 7, 4, 5, 3)
    assert list(blocks(BLOCK + 7)) == [(0, BLOCK), (1, 7)]


def test_parts_add_up_and_of_patient_takes_one() -> None:
    drawn = sample_course(FULL, patients=5, seed=2, samples=6)
    still = sum(part.shift_mm for part in drawn.parts if not part.grows)[:, :, None]
    grown = sum(part.shift_mm for part in drawn.parts if part.grows)[:, :, None]
    assert drawn.wave_mm is not None
    assert drawn.time_s is not None
    share = drawn.time_s[..., None] / FULL.fraction_s  # drift and breath at one moment
    np.testing.assert_allclose(drawn.shifts_mm, still + grown * share + drawn.wave_mm)
    np.testing.assert_array_equal(drawn.of_patient(3).shifts_mm, drawn.shifts_mm[3:4])


def test_luck_stays_when_components_go() -> None:
    """With everything kept it is the course; with nothing kept it is still; alone it has its own luck still."""
    names = components(FULL)
    assert names == ("set-up", "delineation", "breathing", "breathing reference", "guidance errors")
    centre = np.zeros(3)
    whole = draw_block(FULL, 0, 8, 1, 5, centre)
    np.testing.assert_array_equal(draw_block(FULL, 0, 8, 1, 5, centre, names).shifts_mm, whole.shifts_mm)
    assert np.abs(draw_block(FULL, 0, 8, 1, 5, centre, ()).shifts_mm).max() == 0
    alone = draw_block(FULL, 0, 8, 1, 5, centre, {"delineation"}).shifts_mm
    part = next(part for part in whole.parts if part.name == "delineation")
    np.testing.assert_allclose(alone, np.broadcast_to(part.shift_mm[:, :, None], alone.shape))


def test_rotations_turn_about_the_centroid_and_a_pivot_displaces() -> None:
    still = Course(setup=[SetupError(systematic_deg=(0, 0, 2))], fractions=2)
    drawn = sample_course(still, patients=2000, seed=1, centre_mm=(50, 0, 0))
    assert drawn.rotations_rad is not None
    assert np.abs(drawn.shifts_mm).max() == 0
    assert np.degrees(drawn.rotations_rad[:, 0, 2]).std() == pytest.approx(2, rel=0.05)
    np.testing.assert_array_equal(drawn.rotations_rad[:, 0], drawn.rotations_rad[:, 1])
    about = Course(setup=[SetupError(systematic_deg=(0, 0, 1), pivot_mm=(0, 0, 0))], fractions=1)
    moved = sample_course(about, patients=4000, seed=1, centre_mm=(50, 0, 0)).shifts_mm[:, 0, 0]
    # tangential SD d·σ = 50 mm · 1° = 0.872665 mm, radial of second order only
    np.testing.assert_allclose(moved.std(axis=0), [0, 0.872665, 0], atol=0.03)


def test_a_lever_displaces_as_a_rotation_does() -> None:
    """Turning from R towards A about a pivot at the left moves a target anteriorly: (R − 1) times the arm."""
    about = Course(setup=[SetupError(systematic_deg=(0, 0, 5), pivot_mm=(-10, 0, 0))])
    drawn = sample_course(about, patients=20, seed=1, centre_mm=(40, 0, 0))
    assert drawn.rotations_rad is not None
    angle, moved = drawn.rotations_rad[:, 0, 2], drawn.shifts_mm[:, 0, 0]
    np.testing.assert_allclose(moved[:, 1], 50 * np.sin(angle))
    np.testing.assert_allclose(moved[:, 0], 50 * (np.cos(angle) - 1))


def test_a_lever_is_seen_by_soft_tissue_alone() -> None:
    error = SetupError(systematic_deg=(0, 0, 3), pivot_mm=(0, 0, 0))
    spread = {
        match: sample_course(
            Course(setup=[error], guidance=ImageGuidance(match=match)), patients=200, centre_mm=(50, 0, 0)
        ).shifts_mm.std()
        for match in ("bone", "soft_tissue")
    }
    assert spread["bone"] > 1
    assert spread["soft_tissue"] == 0


@pytest.mark.parametrize("seen", ["nothing", "soft_tissue"])
def test_the_snapshot_stays_unless_told_otherwise(seen: str) -> None:
    wave = Breathing.lujan(amplitude_mm=(0, 0, 12), inhale=(0, 0, -1), reference="snapshot", reference_seen_by=seen)
    for match in ("bone", "soft_tissue", "bone_then_soft_tissue"):
        course = Course(guidance=ImageGuidance(match=match), breathing=wave, fractions=3)
        mean = sample_course(course, patients=300, seed=1).shifts_mm.mean(axis=(1, 2))[:, 2]
        gone = seen == "soft_tissue" and match != "bone"
        assert mean.std() == pytest.approx(0.1, abs=0.2) if gone else mean.std() == pytest.approx(4.3, rel=0.15)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"setup": [SetupError(), SetupError()]}, "two errors are named 'set-up'"),
        ({"setup": [SetupError(name="breathing")]}, "'breathing' is the name of what a course adds itself"),
        ({"fractions": 0}, "fractions: needs a whole number from 1"),
        ({"fraction_s": 0}, "fraction_s: needs a number above 0"),
    ],
)
def test_what_is_no_course(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(MotionError, match=says):
        Course(**wrong)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"systematic_mm": -1}, "set-up: systematic_mm: needs numbers from 0"),
        ({"random_mm": (1, 2)}, "set-up: random_mm: needs one number or three"),
        ({"random_mm": float("nan")}, "set-up: random_mm"),
        ({"seen_by": "x-ray"}, "set-up: seen_by: use 'bone_and_soft_tissue', 'soft_tissue', 'nothing'"),
        ({"name": " "}, "needs a name"),
        ({"patients": 1}, "patients: needs a whole number from 2"),
        ({"systematic_deg": 90}, "systematic_deg: needs numbers from 0 to 45"),
    ],
)
def test_what_is_no_set_up_error(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(MotionError, match=says):
        SetupError(**wrong)


def test_a_generator_is_a_seed() -> None:
    a, b = (sample_course(FULL, patients=2, seed=np.random.default_rng(4), samples=2).shifts_mm for _ in range(2))
    np.testing.assert_array_equal(a, b)
    with pytest.raises(MotionError, match="seed"):
        sample_course(FULL, patients=2, seed=-1)
