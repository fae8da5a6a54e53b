"""What a patient's own shifts tell: shrinkage and margin against closed forms, logs that contradict themselves."""

import json
from pathlib import Path

import numpy as np
import pytest

import ptvkit as pk
from ptvkit.cli import main

PRIOR = pk.SetupError(name="prior", systematic_mm=3, random_mm=3)
MARGINS = [
    (9.44560, 9.44560),
    (7.24890, 7.38667),
    (6.27573, 6.42771),
    (5.69560, 5.84467),
    (5.29970, 5.442495),
    (5.00746, 5.14361),
]
LOG = """\
patient,fraction,LR_mm,AP_mm,SI_mm
P1,1,1,2,3
P1,2,1,2,2
P7,1,4,0,-3
P7,2,1,2,-6
P7,3,4,1,-3
P8,1,-1,0,1
P8,2,0,1,-1
"""


@pytest.mark.parametrize("count", range(6))
def test_margins_that_remain(count: int) -> None:
    """Σk = √(Σ²(σ² + σe²)/(kΣ² + σ² + σe²)), and van Herk; NAL needs at k what this needs at k − 1."""
    exact, noisy = (pk.personal_margin(np.zeros((count, 3)), PRIOR, matching_sd_mm=sd) for sd in (0, 1))
    assert exact.remaining_sd_mm == pytest.approx(np.full(3, 3 / np.sqrt(count + 1)))
    assert exact.margin_mm == pytest.approx(np.full(3, MARGINS[count][0]), abs=1e-5)
    assert noisy.margin_mm == pytest.approx(np.full(3, MARGINS[count][1]), abs=1e-5)
    if count:
        assert exact.nal_margin_mm == pytest.approx(np.full(3, MARGINS[count - 1][0]), abs=1e-5)


def test_the_correction_is_shrunk_and_moves_the_anatomy_back() -> None:
    own = pk.personal_margin([[4, 0, -3], [1, 2, -6], [4, 1, -3]], PRIOR)
    assert own.shrinkage == pytest.approx(np.full(3, 0.75))
    assert own.correction_mm == pytest.approx([-2.25, -0.75, 3])
    assert own.interval_mm[:, 2] == pytest.approx([-3 - 1.959964 * 1.5, -3 + 1.959964 * 1.5])
    # about the prior's mean, not about 0
    shifted = pk.personal_margin([[4, 0, 0]], pk.SetupError(systematic_mm=3, random_mm=3, mean_mm=(2, 0, 0)))
    assert shifted.correction_mm == pytest.approx([-3, 0, 0])


@pytest.mark.parametrize(("assumed", "sds"), [(1.5, (2.47386, 1.86810, 1.527525)), (6, (2.47386, 1.615385, 1.28571))])
def test_a_wrong_prior(assumed: float, sds: tuple[float, ...]) -> None:
    """True Σ = σ = 3: what the shrinkage of another Σ leaves."""
    for count, sd in zip((1, 3, 5), sds, strict=True):
        prior = pk.SetupError(systematic_mm=assumed, random_mm=3)
        share = pk.personal_margin(np.zeros((count, 3)), prior).shrinkage[0]
        assert np.sqrt(9 * (1 - share) ** 2 + share**2 * 9 / count) == pytest.approx(sd, abs=1e-5)


def test_intervals_know_the_size_of_the_sample() -> None:
    few, many = (
        pk.personal_margin(np.zeros((2, 3)), pk.SetupError(systematic_mm=3, random_mm=3, patients=n)) for n in (10, 200)
    )
    assert few.margin_interval_mm is not None
    assert many.margin_interval_mm is not None
    assert np.diff(few.margin_interval_mm, axis=0).min() > 2 * np.diff(many.margin_interval_mm, axis=0).max() > 0
    assert (few.margin_interval_mm[0] < few.margin_mm).all()
    assert pk.personal_margin(np.zeros((2, 3)), PRIOR).margin_interval_mm is None


def test_shifts_that_the_prior_does_not_expect_are_said() -> None:
    with pytest.warns(pk.PtvkitWarning, match="SI: a mean of \\+20.0 mm"):
        pk.personal_margin([[0, 0, 20], [1, 0, 20]], PRIOR)
    with pytest.warns(pk.PtvkitWarning, match="LR: shifts with an SD of .* contradict the prior's σ 3.0"):
        pk.personal_margin([[-20, 0, 0], [20, 0, 0]], PRIOR)
    with pytest.raises(pk.MotionError, match="shifts_mm: needs finite numbers"):
        pk.personal_margin([[1, 2]], PRIOR)
    with pytest.raises(pk.MotionError, match="nothing can be learned"):
        pk.personal_margin([[1, 2, 3]], pk.SetupError(random_mm=3))


def written(folder: Path, text: str, name: str = "log.csv") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_measure_one_patient(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["measure", written(tmp_path, LOG), "--patient", "P7", "--axes", "RAS", "--json"]
    assert main([*words, "--sign", "displacement", "--prior", "3,3"]) == 0
    own = json.loads(capsys.readouterr().out)
    assert own["correction_mm"] == pytest.approx([-2.25, -0.75, 3])
    assert main([*words, "--sign", "couch", "--prior", "3,3,3/3"]) == 0
    assert json.loads(capsys.readouterr().out)["correction_mm"] == pytest.approx([2.25, 0.75, -3])
    # a log of a clinic, or the other patients, give the prior
    assert main([*words, "--sign", "displacement", "--prior", written(tmp_path, LOG, "other.csv")]) == 0
    assert json.loads(capsys.readouterr().out)["prior"].startswith("3 patients of")
    assert main([*words, "--sign", "displacement"]) == 0
    assert json.loads(capsys.readouterr().out)["prior"].startswith("2 patients of")


REFUSED = [
    (LOG.replace("P7,2,", "P7,5,"), "has fractions 1 to 5 without 2"),
    (LOG.replace("P7,2,", "P7,1,"), "the same patient and fraction as in line 4"),
    (LOG.replace("LR_mm", "couch_LR_mm"), "sign 'displacement' contradicts it"),
    ("# couch shifts\n" + LOG, "sign 'displacement' contradicts it"),
    (LOG.split("P8,1")[0], "a prior needs at least 2 other patients, found 1"),
    (LOG.replace("P7", "P9"), "--patient P7"),
]


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_logs_that_are_refused(text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = written(tmp_path, text)
    assert main(["measure", log, "--patient", "P7", "--axes", "RAS", "--sign", "displacement"]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_header_may_say_the_sign_and_gaps_may_be_allowed(tmp_path: Path) -> None:
    couch = written(tmp_path, LOG.replace("LR_mm,AP_mm,SI_mm", "couch_LR_mm,couch_AP_mm,couch_SI_mm"))
    assert pk.read_shifts(couch, axes="RAS")["P7"][0] == pytest.approx([-4, 0, 3])
    gap = written(tmp_path, LOG.replace("P7,3,", "P7,6,"), "gap.csv")
    assert len(pk.read_shifts(gap, sign="couch", axes="RAS", allow_gaps=True)["P7"]) == 3
    with pytest.raises(pk.MotionError, match="sign= is missing"):
        pk.read_shifts(gap, axes="RAS")
