"""`ptvkit dose`, `ptvkit recipe`, and doses in `ptvkit simulate`, as a user runs them."""

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ptvkit.cli import main
from ptvkit.recipes import RECIPES
from tests.cli.test_simulate import AFFINE, ellipsoid


@pytest.fixture
def plan(tmp_path: Path) -> dict[str, Path]:
    """A dose that falls towards superior, a CTV and a PTV in it."""
    index = np.moveaxis(np.indices((50, 42, 32)), 0, -1)
    points = index @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    dose = 20 - 0.2 * points[..., 2]
    nib.save(nib.Nifti1Image(dose.astype(np.float32), AFFINE), tmp_path / "dose.nii.gz")
    found = {"dose": tmp_path / "dose.nii.gz"}
    return found | {name: ellipsoid(tmp_path / f"{name}.nii.gz", semi) for name, semi in (("ctv", 10), ("ptv", 15))}


def test_dose_table_files_and_limits(plan: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limits = tmp_path / "limits.toml"
    limits.write_text(
        '[[limits]]\nstructure = "target"\nmetric = "D98%"\nat_least = 19\n'
        '[[limits]]\nstructure = "ptv"\nmetric = "Dmax"\nat_most = 25\n'
        '[[limits]]\nstructure = "cord"\nmetric = "Dmax"\nat_most = 40\n',
        encoding="utf-8",
    )
    picture, isodoses, curves = (tmp_path / name for name in ("dvh.png", "map.png", "dvh.csv"))
    arguments = ["dose", f"target={plan['ctv']}", str(plan["ptv"]), "--dose", str(plan["dose"]), "--prescription", "20"]
    arguments += ["--limits", str(limits), "--metric", "D66%", "--metric", "V20Gy_cc"]
    arguments += ["--picture", str(picture), "--map", str(isodoses), "--csv", str(curves)]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "FAIL" in told
    assert "pass" in told
    assert "–" in told
    assert min(picture.stat().st_size, isodoses.stat().st_size) > 20_000
    with open(curves, encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["dose_gy", "target", "ptv"]
    assert rows[1] == ["0.0", "1.000000", "1.000000"]
    assert main([*arguments[:-6], "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    target = found["structures"]["target"]
    # an ellipsoid of 12 mm SI semi-axis about 0.5 mm: 20 − .2·z
    assert target["mean_gy"] == pytest.approx(19.9, abs=0.02)
    assert target["d98_gy"] == pytest.approx(19.9 - 0.83192 * 2.4, abs=0.04)
    assert target["D66%"] == pytest.approx(19.9 - 0.2 * 12 * 0.2160, abs=0.04)
    assert target["v95"] == pytest.approx(0.78, abs=0.1)
    assert [limit["passed"] for limit in found["limits"]] == [False, True, None]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--units", "rad"], "units 'rad': use 'Gy' or 'cGy'"),
        (["--metric", "D195"], "metric 'D195': there is none of that name; use one like Dmin"),
        (
            ["--limits", "none.toml"],
            "none.toml: no such file; check the path, and give a .toml file, or liver-protocol",
        ),
        (["--prescription", "-3"], "prescription_gy: needs a number above 0"),
        (["--csv", "{dose}"], "would overwrite the input"),
        (["{ctv}"], "two structures have one name; give NAME=FILE"),
    ],
)
def test_dose_refuses(
    plan: dict[str, Path], tmp_path: Path, more: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.iterdir())
    more = [word.format(**plan) for word in more]
    assert main(["dose", str(plan["ctv"]), "--dose", str(plan["dose"]), *more]) == 2
    told = capsys.readouterr()
    assert says in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert sorted(tmp_path.iterdir()) == before


def test_limits_with_a_wrong_key(plan: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text, says in (
        ('[[limits]]\nstructure = "a"\nmetric = "Dmax"\nat_mots = 3', "at_mots: no such key; did you mean at_most?"),
        ('[[limits]]\nstructure = "a"\nmetric = "D195"', "[[limits]] 1: metric 'D195'"),
        ("# none\n", "has no [[limits]]"),
        ("[[limits", "is not TOML"),
    ):
        (tmp_path / "l.toml").write_text(text, encoding="utf-8")
        assert main(["dose", str(plan["ctv"]), "--dose", str(plan["dose"]), "--limits", str(tmp_path / "l.toml")]) == 2
        assert says in capsys.readouterr().err


def test_simulate_with_an_idealised_dose_and_one_from_a_file(
    plan: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    case = ["simulate", "--ctv", str(plan["ctv"]), "--ptv", str(plan["ptv"]), "--patients", "60", "--fractions", "2"]
    assert main([*case, "--study", "liver-protocol", "-o", str(out), "--no-maps"]) == 0
    found = json.loads((out / "dose.json").read_text(encoding="utf-8"))
    assert found["prescription_gy"] == 22.8
    assert "static dose cloud" in found["note"]
    assert found["target"]["at_least_95_percent"]["dmin_gy"]["value"] <= 1
    assert {path.name for path in out.glob("dose_*.png")} == {"dose_dvh.png", "dose_population.png", "dose_map.png"}
    with open(out / "dose.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60
    assert float(rows[0]["dmin_gy"]) <= float(rows[0]["d98_gy"]) <= float(rows[0]["mean_gy"])
    assert "static dose cloud" in capsys.readouterr().out
    more = ["--error", "set-up:1/1", "--dose", str(plan["dose"]), "--no-maps", "--no-pictures"]
    assert main([*case, *more, "--prescription", "20", "-o", str(tmp_path / "two")]) == 0
    found = json.loads((tmp_path / "two" / "dose.json").read_text(encoding="utf-8"))
    assert found["target"]["planned"]["mean_gy"] == pytest.approx(19.9, abs=0.02)
    assert any(source["path"].endswith("dose.nii.gz") for source in found["inputs"])
    assert main([*case, "--study", "liver-protocol", "--dose", "none", "-o", str(tmp_path / "three"), *more[-2:]]) == 0
    assert not (tmp_path / "three" / "dose.json").exists()


def test_simulate_refuses_a_dose_without_its_prescription(
    plan: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = ["simulate", "--ctv", str(plan["ctv"]), "--ptv", str(plan["ptv"]), "--error", "x:1/1"]
    for more, says in (
        (["--penumbra", "3"], "[dose]: prescription_gy is missing; the prescription is never guessed"),
        (
            ["--dose", str(plan["dose"]), "--edge-level", "0.9"],
            "[dose]: edge_level has no meaning with file; remove it",
        ),
        (["--prescription", "0"], "[dose]: prescription_gy: needs a number above 0"),
    ):
        assert main([*case, *more, "-o", str(tmp_path / "out")]) == 2
        assert says in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


def test_recipes_are_listed_and_worked_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipe"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in RECIPES)
    assert main(["recipe", "van-herk", "--systematic", "2", "--random", "3"]) == 0
    told = capsys.readouterr().out
    assert "van-herk: 6.95 mm" in told
    assert "IJROBP 47:1121 (published)" in told
    assert main(["recipe", "stroom", "--error", "set-up:3,3,3/2", "--error", "drawing:4/0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["margin_mm"] == pytest.approx([11.4] * 3)
    assert main(["recipe", "stroom", "--error", "set-up:3/2", "--error", "drawing:4/0"]) == 0
    assert "together" in capsys.readouterr().out


def test_recipe_held_against_a_simulation(plan: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["recipe", "van-herk", "--systematic", "2", "--random", "3", "--fractions", "5", "--patients", "400"]
    assert main([*words, "--check", str(plan["ctv"])]) == 0
    told = capsys.readouterr().out
    assert "van-herk promises 90%; this 20 mm target with 5 fractions gets" in told
    assert main([*words, "--check", str(plan["ctv"]), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["check"]
    assert 0.5 < found["found"]["value"] < 0.75


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["van-herq"], "recipe 'van-herq': there is none of that name; use one of van-herk, "),
        (["van-herk", "--random", "3"], "van-herk needs --systematic"),
        (["stroom", "--systematic", "2", "--random", "3", "--penumbra", "3"], "--penumbra has no meaning for stroom"),
        (["van-herk", "--systematic", "a", "--random", "3"], "--systematic a: give one number, or three"),
        (["van-herk", "--systematic", "2", "--error", "x:1/1"], "--error and --systematic: give one or the other"),
        (["prv", "--systematic", "3", "--check", "x.nii"], "--check needs --systematic and --random"),
        (["van-herk", "--systematic", "2", "--random", "3", "--check", "x.nii"], "x.nii: no such file"),
    ],
)
def test_recipe_refuses(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipe", *words]) == 2
    told = capsys.readouterr()
    assert says in told.err
    assert told.err.count("\n") == 1
