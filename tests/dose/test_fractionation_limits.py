"""EQD2 and BED, sums of phases, limits."""

from dataclasses import replace

import numpy as np
import pytest

import ptvkit as pk
from ptvkit.geometry.grid import Grid
from tests.motion.bodies import ball

GRID = Grid(shape=(6, 7, 8), affine=np.diag([2.0, 2.0, 3.0, 1.0]))
PHASES = [
    (10, 35.802, 27.132, 29.835, 22.610),
    (3, 47.940, 37.240, 28.764, 22.344),
    (2.5, 51.408, 40.128, 28.56, 22.293333),
    (2, 56.61, 44.46, 28.305, 22.23),
]


def flat(gy: float, **more: object) -> pk.Dose:
    return pk.Dose(values=np.full(GRID.shape, gy), grid=GRID, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("ratio", "bed18", "bed12", "eqd18", "eqd12"), PHASES)
def test_two_phases(ratio: float, bed18: float, bed12: float, eqd18: float, eqd12: float) -> None:
    whole, boost = flat(18 * 1.7, frame="CT"), flat(12 * 1.9, frame="CT")
    assert pk.bed(whole, 18, ratio).values[0, 0, 0] == pytest.approx(bed18, rel=1e-5)
    assert pk.bed(boost, 12, ratio).values[0, 0, 0] == pytest.approx(bed12, rel=1e-5)
    total = pk.plan_sum([pk.eqd2(whole, 18, ratio), pk.eqd2(boost, 12, ratio)])
    assert total.values[0, 0, 0] == pytest.approx(eqd18 + eqd12, rel=1e-5)


def test_the_prescription_is_converted_like_the_dose() -> None:
    whole = flat(30.6, prescription_gy=30.6)
    assert pk.bed(whole, 18, 3).prescription_gy == pytest.approx(47.94, rel=1e-5)
    assert pk.eqd2(whole, 18, 3).prescription_gy == pytest.approx(28.764, rel=1e-5)


def test_what_is_converted_is_not_converted_again() -> None:
    once = pk.eqd2(flat(30.6, frame="CT", name="phase"), 18, 3)
    assert once.quantity == "eqd2"
    with pytest.raises(pk.DoseError, match="EQD2 of phase: is EQD2 already"):
        pk.bed(once, 18, 3)
    with pytest.raises(pk.DoseError, match="eqd2 and physical doses do not add"):
        pk.plan_sum([once, flat(1, frame="CT")])
    assert pk.plan_sum([once, once]).quantity == "eqd2"


def test_before_summing_is_not_after() -> None:
    """Voxel by voxel: half of the dose is more than halved."""
    values = np.full(GRID.shape, 20.0)
    values[:3] = 10.0
    found = pk.eqd2(pk.Dose(values=values, grid=GRID), 10, 3)
    np.testing.assert_allclose(found.values[[0, 5], 0, 0], [10 * (1 + 1 / 3) / (1 + 2 / 3), 20.0], rtol=1e-6)


@pytest.mark.parametrize("ratio", [0, -3, float("nan")])
def test_alpha_beta_is_above_zero(ratio: float) -> None:
    with pytest.raises(pk.DoseError, match="alpha_beta_gy"):
        pk.eqd2(flat(10), 5, ratio)


def test_phases_are_summed_in_one_frame_only() -> None:
    first, second = flat(30.6, frame="first CT", name="phase 1"), flat(22.8, frame="new CT", name="phase 2")
    with pytest.raises(pk.DoseError, match=r"phase 1: first CT, phase 2: new CT.*register"):
        pk.plan_sum([first, second])
    with pytest.raises(pk.DoseError, match="no frame"):
        pk.plan_sum([flat(1), flat(2)])
    with pytest.raises(pk.DoseError, match="one dose or more"):
        pk.plan_sum([])
    assert pk.plan_sum([first, replace(second, frame="first CT")]).values.max() == pytest.approx(53.4)


def test_sum_on_the_finer_grid() -> None:
    fine = Grid(shape=(11, 13, 15), affine=np.diag([1.0, 1.0, 1.5, 1.0]))
    finer = pk.Dose(values=np.full(fine.shape, 2.0), grid=fine, frame="a", prescription_gy=2)
    total = pk.plan_sum([flat(3, frame="a", prescription_gy=3), finer])
    assert total.grid.matches(fine)
    np.testing.assert_allclose(total.values, 5, rtol=1e-5)
    assert total.prescription_gy == 5
    with pytest.raises(pk.DoseError, match="does not cover the grid of the sum"):
        pk.plan_sum([replace(finer, grid=Grid(shape=fine.shape, affine=np.diag([1.5, 1, 1, 1]))), flat(3, frame="a")])


def test_limits_pass_and_fail() -> None:
    liver = pk.dose_metrics(pk.conformal_dose(ball(25), 30.0), ball(20))
    limits = [
        pk.DoseLimit(structure="Liver", metric="mean", at_most=29),
        pk.DoseLimit(structure="liver", metric="V25Gy", at_least=99),
        pk.DoseLimit(structure="liver", metric="Dmax"),
        pk.DoseLimit(structure="cord", metric="Dmax", at_most=40),
    ]
    checks = pk.check_limits({"LIVER": liver}, limits)
    assert [check.passed for check in checks] == [False, True, None, None]
    assert checks[0].value == liver.mean_gy
    assert checks[3].value is None
    assert [limit.goal for limit in limits] == ["≤ 29 Gy", "≥ 99 %", "told only", "≤ 40 Gy"]
    exactly = [pk.DoseLimit(structure="liver", metric="mean", at_most=liver.mean_gy, at_least=liver.mean_gy)]
    assert pk.check_limits({"liver": liver}, exactly)[0].passed is True
    covered = pk.DoseLimit(structure="liver", metric="V95", at_least=0.98)
    assert (covered.unit, pk.check_limits({"liver": liver}, [covered])[0].value) == ("share", liver.volume_at(28.5))
    with pytest.raises(pk.DoseError, match="is told by coverage, not by a dose"):
        pk.DoseLimit(structure="liver", metric="contained")
    with pytest.raises(pk.DoseError, match="none of that name"):
        pk.DoseLimit(structure="cord", metric="D195", at_most=40)
    with pytest.raises(pk.DoseError, match="cord, Dmax, at_most"):
        pk.DoseLimit(structure="cord", metric="Dmax", at_most=-1)
