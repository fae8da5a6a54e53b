"""Options that only a changed result shows to be connected."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from ptvkit.cli import main
from tests.cli.test_simulate import AFFINE, ellipsoid

SIMULATED = ["--patients", "40", "--fractions", "2", "--seed", "3", "--no-pictures", "--no-maps"]
LARGE = ["--error", "set-up:2,3,4/2,3,4", "--match", "bone", "--action-level", "4"]
TRACE = "t_s,marker_mm\n" + "".join(f"{0.2 * n:.1f},{5 * np.sin(0.4 * n) ** 4:.4f}\n" for n in range(300))


def targets(gtv: Path, out: Path, *more: object) -> dict[str, Any]:
    assert main(["targets", str(gtv), "--ctv", "3", "--ptv", "2", *map(str, more), "-o", str(out)]) == 0
    found: dict[str, Any] = json.loads((out / "targets.json").read_text(encoding="utf-8"))
    return found


def test_options_of_targets_change_the_targets(tmp_path: Path) -> None:
    gtv, organ = ellipsoid(tmp_path / "gtv.nii.gz", 7), tmp_path / "organ.nii.gz"
    array = np.zeros((50, 42, 32), np.uint8)
    array[:, :15] = 1  # anterior of the GTV, and apart from it
    nib.save(nib.Nifti1Image(array, AFFINE), organ)

    def cc(name: str, *more: object) -> float:
        content = targets(gtv, tmp_path / "out", *more)
        volume: float = content["volume_cc"][name]["region"]
        return volume

    breathing = ["--breathing", "S=6,I=9"]
    assert cc("ptv", *breathing, "--sweep") > 1.02 * cc("ptv", *breathing)  # a swept ball holds the ellipsoid
    touching, clear = (cc("ctv", "--avoid", organ, *more) for more in ([], ["--clearance", 1.5]))
    assert clear < touching < cc("ctv")
    whole = cc("ptv_eval", "--eval-limit", ellipsoid(tmp_path / "body.nii.gz", 18))
    assert cc("ptv_eval", "--eval-avoid", organ) < whole == pytest.approx(cc("ptv"), rel=1e-3)
    assert cc("ptv_eval", "--eval-limit", tmp_path / "body.nii.gz", "--eval-depth", 8) < 0.8 * whole
    assert cc("gtv", "--label", 1, "--lesion", 1) == cc("gtv")


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    home = tmp_path_factory.mktemp("masks")
    (home / "marker.csv").write_text(TRACE, encoding="utf-8")
    return ["--ctv", str(ellipsoid(home / "ctv.nii.gz", 8)), "--ptv", str(ellipsoid(home / "ptv.nii.gz", 11))]


def simulated(masks: list[str], out: Path, *words: str) -> str:
    assert main(["simulate", *masks, *SIMULATED, *words, "-o", str(out)]) == 0
    return (out / "coverage.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("base", "more"),
    [
        (LARGE, ["--mode", "per_axis"]),
        (LARGE, ["--mode", "vector"]),
        (LARGE, ["--couch-sd", "3"]),
        (LARGE, ["--matching-sd", "3,1,1"]),
        (LARGE, ["--action-level", "1"]),
        (LARGE, ["--set", "guidance.matching_systematic_mm=3"]),
        (["--breathing-model", "liver-free-median", "--reference", "exhale"], ["--samples", "7"]),
        (["--trace", "marker.csv", "--reference", "time_mean", "--scale", "0,0,1"], ["--scale", "0,0,3"]),
        (["--amplitude", "1,4,12", "--inhale", "1,1,-1", "--reference", "exhale"], ["--inhale", "1,1,1"]),
        (["--amplitude", "1,4,12", "--inhale", "1,1,-1", "--reference", "exhale"], ["--reference", "inhale"]),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_options_of_simulate_change_the_courses(
    masks: list[str], base: list[str], more: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(masks[1]).parent)
    at = [base.index(more[0])] if more[0] in base and more[0] != "--set" else []
    changed = [*base[: at[0]], *more, *base[at[0] + 2 :]] if at else [*base, *more]
    before, after = simulated(masks, tmp_path / "a", *base), simulated(masks, tmp_path / "b", *changed)
    assert before != after
    assert simulated(masks, tmp_path / "c", *base) == before


def test_old_words_mean_the_new_ones(masks: list[str], tmp_path: Path) -> None:
    words = ["liver-free-median", "--reference", "exhale"]
    assert simulated(masks, tmp_path / "a", "--breathing", *words) == simulated(
        masks, tmp_path / "b", "--breathing-model", *words
    )


def test_shares_of_a_known_dose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The dose falls by 0.2 Gy/mm towards superior: V95 and V100 are caps of an ellipsoid of semi-axis 12 mm."""
    index = np.moveaxis(np.indices((50, 42, 32)), 0, -1)
    dose = 20 - 0.2 * (index @ AFFINE[:3, :3].T + AFFINE[:3, 3])[..., 2]
    nib.save(nib.Nifti1Image(dose.astype(np.float32), AFFINE), tmp_path / "dose.nii.gz")
    ctv = ellipsoid(tmp_path / "ctv.nii.gz", 10)
    assert main(["dose", str(ctv), "--dose", str(tmp_path / "dose.nii.gz"), "--prescription", "20", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["structures"]["ctv"]
    for name, height in (("v95", 5.0), ("v100", 0.0)):
        u = (height - 0.5) / 12
        assert found[name] == pytest.approx((2 + 3 * u - u**3) / 4, abs=0.01)


def test_measure_reads_what_the_columns_say(
    masks: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = Path(masks[1]).parent / "marker.csv"
    ranges = []
    for scale in ("0,0,1", "0,0,3"):
        assert main(["measure", str(marker), "--scale", scale, "--json"]) == 0
        ranges.append(json.loads(capsys.readouterr().out)["range_mm"][2])
    assert ranges[1] == pytest.approx(3 * ranges[0])
    shifts = tmp_path / "shifts.csv"
    shifts.write_text(
        "patient,fraction,LR_mm,AP_mm,SI_mm\na,1,4,0,1\na,2,-4,1,2\nb,1,6,0,-5\nb,2,-2,2,1\n", encoding="utf-8"
    )
    words = ["measure", str(shifts), "--sign", "displacement", "--axes", "RAS", "--json"]
    sigmas = []
    for more in ([], ["--matching-sd", "3"]):
        assert main([*words, *more]) == 0
        sigmas.append(json.loads(capsys.readouterr().out)["random_mm"][0])
    assert sigmas[1] ** 2 == pytest.approx(sigmas[0] ** 2 - 9)
    neither = tmp_path / "other.csv"
    neither.write_text("a,b\n1,2\n", encoding="utf-8")
    for refused, says in (
        ([str(neither)], "a trace needs a time"),
        ([str(marker), "--scale", "0,0,1", "--sign", "couch"], "--sign couch: "),
        ([*words[1:-1], "--column", "x"], "is a table of shifts; leave it out"),
    ):
        assert main(["measure", *refused]) == 2
        assert says in capsys.readouterr().err
