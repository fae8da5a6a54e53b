"""Treatments of several parts against closed forms, and against what single parts give."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy import special

import ptvkit as pk
from ptvkit.dose import accumulate
from ptvkit.dose.fractions import add_chunk, fractions_of, tables_of
from ptvkit.errors import DoseError, MotionError
from ptvkit.geometry.grid import Grid
from tests.conftest import AXES
from tests.motion.bodies import ball

CENTRE = np.array([3.0, -5.0, 8.0])
EDGE = 1.644854 * 3.2


def flat(gy: float, slope: float = 0.0, half: float = 40.0, frame: str | None = None) -> pk.Dose:
    """A dose of `gy` at the origin that grows by `slope` of it for each mm towards the right."""
    size = int(half / 2)
    grid = Grid(
        shape=(2 * size + 1,) * 3, affine=np.diag([2.0, 2, 2, 1]) + np.array([[0, 0, 0, -half]] * 3 + [[0] * 4])
    )
    x = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))[..., 0]
    return pk.Dose(values=gy * (1 + slope * x), grid=grid, prescription_gy=gy, frame=frame)


def two_parts(first: pk.Course, second: pk.Course, slope: float = 0.0) -> list[pk.Part]:
    return [
        pk.Part(name="liver", dose=flat(30.6, slope), course=first, fraction_gy=1.7),
        pk.Part(name="boost", dose=flat(22.8, slope), course=second, fraction_gy=1.9),
    ]


@pytest.mark.parametrize(("ratio", "eqd2"), [(10, 52.445), (3, 51.108), (2, 50.535)])
def test_sums_of_two_unlike_parts(ratio: float, eqd2: float) -> None:
    setup = [pk.SetupError(random_mm=2)]
    parts = two_parts(pk.Course(setup=setup, fractions=18), pk.Course(setup=setup, fractions=12))
    found = pk.simulate_treatment(parts, ball(8, CENTRE), alpha_beta_gy=ratio, patients=3)
    assert found.prescription_gy == pytest.approx(eqd2, abs=6e-4)
    for name in ("dmin", "d50", "dmax"):
        np.testing.assert_allclose(found.metric(name), eqd2, atol=1e-3)
        np.testing.assert_allclose(found.metric(f"{name}_gy"), 53.4, atol=1e-3)
    bed = pk.simulate_treatment(parts, ball(8, CENTRE), alpha_beta_gy=ratio, quantity="bed", patients=3)
    np.testing.assert_allclose(bed.metric("mean_bed_gy"), eqd2 * (1 + 2 / ratio), atol=2e-3)


@pytest.mark.parametrize(("kept", "right"), [((), 3.66637), (("CT",), 4.74236)])
def test_what_parts_share_adds_up_and_what_they_do_not_averages(kept: tuple[str, ...], right: float) -> None:
    """Dose-weighted shift: Σ² = Σ_shared² + (w₁² + w₂²) Σ_CT², and σ² Σ w²/n beside it."""
    setup = [
        pk.SetupError(name="delineation", systematic_mm=(2, 0, 0), seen_by="nothing"),
        pk.SetupError(name="CT", systematic_mm=(4.3, 0, 0), seen_by="nothing"),
        pk.SetupError(name="set-up", random_mm=(3, 0, 0)),
    ]
    # another order in the second part: errors are shared by name
    courses = pk.Course(setup=setup, fractions=18), pk.Course(setup=setup[::-1], fractions=12)
    patients = 2000
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pk.PtvkitWarning)  # the linear dose ends with its grid
        found = pk.simulate_treatment(
            two_parts(*courses, slope=0.01),
            ball(4, (0, 0, 0)),
            shared=("delineation", *kept),
            patients=patients,
            seed=3,
        )
    shift = found.metric("mean_gy") / 53.4 * 100 - 100
    total = (right**2 + 0.548552**2) ** 0.5
    assert shift.std() == pytest.approx(total, abs=3 * total / (2 * patients) ** 0.5)
    assert abs(shift.mean()) < 3 * total / patients**0.5


def accumulated(shifts: np.ndarray, ratio: float, edge: float) -> np.ndarray:
    """Dose and its EQD2 at the origin, of 15 Gy fractions with an edge of 3.2 mm; shifts (patients, F, T)."""
    grid = Grid(
        shape=(61, 7, 7), affine=np.diag([1.5, 2, 2, 1]) + np.array([[0, 0, 0, -45.0], *[[0, 0, 0, -6.0]] * 2, [0] * 4])
    )
    x = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))[..., 0]
    fractions = shifts.shape[1]
    dose = pk.Dose(values=15 * fractions * special.ndtr((edge - x) / 3.2), grid=grid)
    moved = np.stack([shifts, 0 * shifts, 0 * shifts], axis=-1)
    point = np.zeros((1, 3))
    tables = tables_of(dose, point, moved.min(axis=(0, 1, 2)), moved.max(axis=(0, 1, 2)))
    total, weighted = np.zeros((len(shifts), 1), np.float32), np.zeros((len(shifts), 1), np.float32)
    held = [fractions_of(tables, own, fractions) for own in moved]
    assert not any(one.beyond for one in held)
    add_chunk(tables.table(point), held, np.array([0]), total, weighted, ratio)
    return np.column_stack([total, weighted])


@pytest.mark.parametrize(
    ("edge", "reach", "gy", "of_3", "of_10"),
    [
        (0.0, 3.0, 22.5, (56.8001, 47.2500), (36.7917, 32.8125)),
        (EDGE, 6.0, 35.3816, (114.3493, 104.6861), (68.2848, 64.2585)),
        (EDGE, 10.0, 30.2912, (104.0040, 79.3454), (61.0049, 50.7305)),
    ],
)
def test_dose_is_averaged_within_fractions_and_weighted_between(edge, reach, gy, of_3, of_10) -> None:
    places = np.array([-reach, 0.0, reach])
    each_its_own, all_in_each = places.reshape(1, 3, 1), np.tile(places, (1, 3, 1))
    for ratio, right in ((3, of_3), (10, of_10)):
        for shifts, eqd2 in zip((each_its_own, all_in_each), right, strict=True):
            np.testing.assert_allclose(accumulated(shifts, ratio, edge)[0], (gy, eqd2), atol=0.06)


def test_expected_eqd2_between_and_within_fractions() -> None:
    rng = np.random.default_rng(5)
    patients = 4000
    within = 2 * special.ndtri((np.arange(64) + 0.5) / 64)
    shifts = 2 * rng.standard_normal((patients, 3, 1)) + within
    for ratio, right in ((3, 132.4671), (10, 78.5862)):
        found = accumulated(shifts, ratio, EDGE)[:, 1].astype(float)
        assert found.mean() == pytest.approx(right, abs=3 * found.std() / patients**0.5 + 0.05)


def breathing_course(**more: float) -> pk.Course:
    breathing = pk.Breathing.lujan(amplitude_mm=(1, 3, 12), inhale=(1, 1, -1), reference="snapshot", variation="free")
    setup = [pk.SetupError(name="delineation", systematic_mm=2, random_mm=1.5, **more)]
    return pk.Course(setup=setup, breathing=breathing, fractions=4)


@pytest.mark.parametrize("axes", ["las", "oblique"])
@pytest.mark.parametrize("turned", [0.0, 3.0])
def test_one_part_is_what_simulate_dose_gives(axes: str, turned: float) -> None:
    ctv = ball(9, CENTRE, AXES[axes])
    course = breathing_course(systematic_deg=turned)
    dose = pk.conformal_dose(pk.expand(ctv, 6), 20.0)
    part = pk.Part(dose=dose, course=course)
    found = pk.simulate_treatment([part], ctv, alpha_beta_gy=3, patients=12, seed=4, samples=20)
    again = pk.simulate_treatment([part], ctv, alpha_beta_gy=3, patients=12, seed=4, samples=20, workers=1)
    eqd2, plain = (
        pk.simulate_dose(dose, ctv, course, patients=12, seed=4, samples=20, alpha_beta_gy=ab) for ab in (3, None)
    )
    for name in ("dmin", "d98", "d50", "mean"):
        np.testing.assert_allclose(found.metric(f"{name}_eqd2_gy"), eqd2.metric(name), atol=0.02)
        np.testing.assert_allclose(found.metric(f"{name}_gy"), plain.metric(name), atol=0.02)
        np.testing.assert_array_equal(found.metric(name), again.metric(name))


def test_displacements_beyond_the_tables_are_as_right(monkeypatch: pytest.MonkeyPatch) -> None:
    ctv = ball(9, CENTRE)
    parts = [pk.Part(ptv=pk.expand(ctv, 6), prescription_gy=20, course=breathing_course(), name=name) for name in "ab"]
    ask = {"patients": 3, "seed": 2, "samples": 10, "shared": ["delineation"]}
    right = [pk.simulate_treatment(parts, ctv, alpha_beta_gy=ab, **ask) for ab in (None, 3)]
    monkeypatch.setattr(accumulate, "shift_range", lambda *_: (np.full(3, -4.0), np.full(3, 4.0)))
    monkeypatch.setattr(accumulate, "within_reach", lambda dose, points, _: (np.ones(len(points), bool), 40.0))
    for one, ratio in zip(right, (None, 3), strict=True):
        found = pk.simulate_treatment(parts, ctv, alpha_beta_gy=ratio, **ask)
        np.testing.assert_allclose(found.metric("dmin"), one.metric("dmin"), atol=0.02)
        np.testing.assert_allclose(found.metric("mean"), one.metric("mean"), atol=0.01)


def test_a_registered_part_is_as_one_in_the_same_frame() -> None:
    ctv = ball(9, CENTRE)
    course = pk.Course(setup=[pk.SetupError(systematic_mm=3)], fractions=3)
    moved = np.eye(4)
    moved[:3, 3] = (30, -20, 15)
    there = ball(9, CENTRE + moved[:3, 3])
    first = pk.Part(name="first", dose=pk.conformal_dose(pk.expand(ctv, 5), 20.0), course=course, frame="CT 1")
    same = pk.Part(name="second", dose=pk.conformal_dose(pk.expand(ctv, 5), 20.0), course=course, frame="CT 1")
    other = pk.Part(name="second", dose=pk.conformal_dose(pk.expand(there, 5), 20.0), course=course, frame="CT 2")
    right = pk.simulate_treatment([first, same], ctv, patients=20, seed=1)
    registered = replace(other, transform=moved)
    found = pk.simulate_treatment([first, registered], ctv, patients=20, seed=1)
    np.testing.assert_allclose(found.metric("dmin_gy"), right.metric("dmin_gy"), atol=0.1)
    with pytest.raises(DoseError, match=r"second is in frame CT 2, first in frame CT 1.*transform"):
        pk.simulate_treatment([first, other], ctv, patients=20)


def test_organs_keep_limits_in_a_share_of_courses() -> None:
    """A small organ in a linear dose: its maximum is normal, and so is the share below any limit."""
    organ = ball(3, (4, 0, 0))
    course = pk.Course(setup=[pk.SetupError(systematic_mm=(3, 0, 0))], fractions=2)
    part = pk.Part(dose=flat(20, 0.01), course=course, name="it")
    limits = [
        pk.DoseLimit(structure="Cord", metric="Dmax", at_most=21.4),
        pk.DoseLimit(structure="cord", metric="geud8", at_most=25, quantity="eqd2"),
        pk.DoseLimit(structure="kidney", metric="mean", at_most=25),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pk.PtvkitWarning)
        found = pk.simulate_treatment(
            [part],
            {"CTV": ball(3, (0, 0, 0)), "cord": organ},
            alpha_beta_gy={"CTV": None, "cord": 2},
            metrics=["geud8", "V21Gy"],
            patients=1200,
        )
    assert found["CTV"].quantity == "physical"
    assert found["cord"].quantity == "eqd2"
    dmax, uniform, absent = pk.limits_kept(found, limits)
    right = float(special.ndtr((21.4 - 21.4) / (20 * 0.01 * 3)))
    assert dmax.kept.value == pytest.approx(right, abs=3 * 0.5 / 1200**0.5)
    assert dmax.planned == pytest.approx(21.4, abs=0.02)
    assert "Dmax ≤ 21.4 Gy: kept in" in dmax.words
    assert uniform.kept.value < 1
    assert "EQD2" in uniform.words
    assert absent.kept is None
    assert "not there" in absent.words
    with pytest.raises(DoseError, match="CTV"):
        pk.limits_kept(found, [pk.DoseLimit(structure="CTV", metric="mean", at_most=1, quantity="eqd2")])
    with pytest.raises(DoseError, match="kept when they are named in metrics"):
        pk.limits_kept(found, [pk.DoseLimit(structure="cord", metric="D66%", at_most=1)])


COURSE = pk.Course(setup=[pk.SetupError(systematic_mm=1)], fractions=12)
GOOD = {"dose": flat(22.8), "course": COURSE, "name": "boost"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: pk.Part(course=COURSE), "give its dose, or its ptv"),
        (lambda: pk.Part(**GOOD, prescription_gy=1.9), "prescribed 22.8 Gy, prescription_gy is 1.9 Gy"),
        (lambda: pk.Part(**GOOD, fraction_gy=2), "12 fractions of 2 Gy are 24 Gy"),
        (lambda: pk.Part(dose=flat(1.9), ptv=ball(5, (0, 0, 0)), prescription_gy=1.9, course=COURSE, frame=""), None),
        (
            lambda: pk.Part(
                dose=replace(flat(1.9), prescription_gy=None), ptv=ball(5, (0, 0, 0)), fraction_gy=1.9, course=COURSE
            ),
            "half of its PTV gets 1.9 Gy.*prescribed are 22.8 Gy",
        ),
        (lambda: pk.Part(dose=pk.eqd2(flat(22.8), 12, 3), course=COURSE), "is EQD2 already"),
        (lambda: pk.Part(**GOOD, transform=np.diag([-1, 1, 1, 1])), "keeps right and left"),
        (lambda: pk.Part(**GOOD, transform=np.eye(3)), "affine matrix"),
        (lambda: pk.Part(dose=flat(22.8, frame="A"), course=COURSE, frame="B"), "frame is B, its dose is in A"),
        (lambda: pk.simulate_treatment([], ball(5, CENTRE)), "one part or more"),
        (lambda: pk.simulate_treatment([pk.Part(**GOOD)] * 2, ball(5, CENTRE)), "two parts are named 'boost'"),
        (
            lambda: pk.simulate_treatment([pk.Part(**GOOD)], ball(5, CENTRE), shared=["delineation"]),
            "'delineation' is an error of 0 of 1 parts.*set-up",
        ),
        (
            lambda: pk.simulate_treatment(
                [pk.Part(**GOOD)], {"CTV": ball(5, CENTRE), "cord": ball(5, CENTRE)}, alpha_beta_gy={"CTV": 10}
            ),
            "cord has none; give its α/β",
        ),
        (
            lambda: pk.simulate_treatment(
                [pk.Part(**GOOD)], {"CTV": ball(5, CENTRE)}, alpha_beta_gy={"CTV": 10, "crod": 2}
            ),
            "no structure 'crod'",
        ),
        (lambda: pk.simulate_treatment([pk.Part(**GOOD)], ball(5, CENTRE), alpha_beta_gy=0), "alpha_beta_gy"),
        (lambda: pk.simulate_treatment([pk.Part(**GOOD)], ball(5, CENTRE), metrics=["contained"]), "of coverage"),
        (lambda: pk.simulate_treatment([pk.Part(**GOOD)], ball(5, CENTRE + 200)), "does not cover"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(wrong, message) -> None:
    if message is None:
        wrong()
        return
    with pytest.raises((DoseError, MotionError), match=message) as refusal:
        wrong()
    assert "\n" not in str(refusal.value)
