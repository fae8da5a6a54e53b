"""Dotted keys, identity of a request, files that it names, keys that nobody reads."""

from pathlib import Path

import pytest

from ptvkit.errors import FileError, PtvkitError
from ptvkit.margins.margin import Margin, as_margin
from ptvkit.request.cases import cases_of
from ptvkit.request.keys import parse_setting, with_values
from ptvkit.request.request import Consumer, Request
from ptvkit.request.sweep import check_cells

STUDY = """
[cases]
masks = ["a.nii.gz", "phantom:gtv"]
[targets]
ctv = "5,S=7"
limit = "organs.nii.gz:liver"
[[errors]]
name = "body"
systematic_mm = 2
[breathing]
trace = "trace.csv"
axes = "RAS"
reference = "time_mean"
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    for name in ("a.nii.gz", "organs.nii.gz", "trace.csv"):
        (tmp_path / name).write_text(name)
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("targets.ctv.I", 9, {"R": 5, "L": 5, "A": 5, "P": 5, "S": 7, "I": 9}),
        ("targets.ctv.SI", 9, {"R": 5, "L": 5, "A": 5, "P": 5, "S": 9, "I": 9}),
        ("targets.ctv", Margin(left=3), {"R": 0, "L": 3, "A": 0, "P": 0, "S": 0, "I": 0}),
        ("targets.ctv", {"all": 1, "LR": 2}, {"R": 2, "L": 2, "A": 1, "P": 1, "S": 1, "I": 1}),
    ],
)
def test_a_part_of_a_margin(study: Path, key: str, value: object, expected: dict[str, float]) -> None:
    table = Request.load(study, {key: value}).tables.targets
    assert table is not None
    assert as_margin(table.ctv).letters == expected


def test_a_table_of_a_list_by_its_name_and_one_axis(study: Path) -> None:
    ask = Request.load(study, {"errors.body.systematic_mm.SI": 5, "breathing.period_s": None})
    assert ask.tables.errors[0].systematic_mm == [2, 2, 5]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"errors.bodi.systematic_mm": 5}, "there is none named 'bodi'; there are 'body'"),
        ({"targets.ptvv": 5}, "targets.ptvv: no such key; did you mean ptv?"),
        ({"targetz.ptv": 5}, "targetz.ptv: no such key; did you mean targets?"),
        ({"breathing.perod_s": 5}, "breathing.perod_s: no such key; did you mean period_s?"),
        ({"targets.breathing": 5}, "targets.breathing: 5: name each side"),
        ({"targets.ptv": -3}, "targets.ptv: -3 mm; give a number from 0"),
        ({"targets.ptv": float("nan")}, "nan mm; give a number from 0"),
        ({"targets.lesions.2.cvt": 3}, "did you mean ctv?"),
        ({"simulation.patients": "many"}, "simulation.patients: input should be a valid integer"),
        ({"errors": 3}, "errors: input should be a valid list"),
    ],
)
def test_mistakes_in_overrides_name_the_key(study: Path, overrides: dict[str, object], says: str) -> None:
    with pytest.raises(PtvkitError) as raised:
        Request.load(study, overrides)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_override_is_named_as_it_was_written(study: Path) -> None:
    with pytest.raises(FileError, match=r"^--ptv 7x: ") as raised:
        Request.load(study, {"targets.ptv": "7x"}, labels={"targets.ptv": "--ptv 7x"})
    assert "'7x' is not a number" in str(raised.value)


def test_files_are_relative_to_the_study(study: Path) -> None:
    ask = Request.load(study)
    home = study.parent
    assert ask.tables.cases.masks == [str(home / "a.nii.gz"), "phantom:gtv"]
    named = {home / name for name in ("a.nii.gz", "organs.nii.gz", "trace.csv", "study.toml")}
    assert set(ask.files()) == named


@pytest.mark.parametrize("changed", ["a.nii.gz", "organs.nii.gz", "trace.csv"])
def test_the_content_of_every_named_file_is_part_of_the_identity(study: Path, changed: str) -> None:
    before = Request.load(study).identity()
    assert Request.load(study).identity() == before
    (study.parent / changed).write_text("other")
    assert Request.load(study).identity() != before


def test_the_identity_does_not_hold_paths(study: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("other")
    for path in study.parent.iterdir():
        (elsewhere / path.name).write_bytes(path.read_bytes())
    assert Request.load(elsewhere / "study.toml").identity() == Request.load(study).identity()
    renamed = Request.load(study, {"targets.limit": str(study.parent / "organs.nii.gz:spleen")})
    assert renamed.identity() != Request.load(study).identity()


def test_keys_that_are_not_read(study: Path) -> None:
    solve = Consumer(name="solve", reads=("cases.gtv", "cases.masks", "errors", "targets"))
    ask = Request.load(study)
    assert ask.require_read(solve) == (f"{study}: solve does not read [breathing]",)
    by_hand = Request.load(study, {"breathing.period_s": 5}, labels={"breathing.period_s": "--period 5"})
    with pytest.raises(FileError, match=r"^--period 5: solve does not read it; leave it out"):
        by_hand.require_read(solve)
    beside = Request.load(study, {"cases.image": "ct.nii"})
    with pytest.raises(FileError, match=r"cases.image: solve does not read it"):
        beside.require_read(solve)


def test_cases_have_their_own_request(study: Path) -> None:
    ask = Request.load(study, {"targets.limit": ":liver", "cases.image": "ct/{case}.nii.gz"})
    first, second = cases_of(ask)
    assert (first.name, second.name) == ("a", "phantom")
    own = ask.for_case(first.name, first.values).tables
    assert own.targets is not None
    assert (own.cases.gtv, own.targets.limit) == (str(study.parent / "a.nii.gz"), f"{study.parent / 'a.nii.gz'}:liver")
    assert (own.cases.masks, own.cases.image) == (None, "ct/a.nii.gz")


@pytest.mark.parametrize("values", ["[1, -10]", "{low = -3, high = 3}"])
def test_a_swept_value_that_no_cell_could_run_with(study: Path, values: str) -> None:
    method = "grid" if values.startswith("[") else "lhs"
    study.write_text(
        f'{STUDY}[sweep]\nmethod = "{method}"\npoints = 4\n[sweep.parameters]\n"targets.breathing.SI" = {values}\n'
    )
    with pytest.raises(PtvkitError, match=r"targets\.breathing: .*-(10|3) mm"):
        check_cells(Request.load(study))


def test_settings_are_toml() -> None:
    assert parse_setting("errors.body.systematic_mm=[1, 2, 3]") == ("errors.body.systematic_mm", [1, 2, 3])
    assert parse_setting("targets.ptv=7,S=12") == ("targets.ptv", "7,S=12")
    assert parse_setting(f"simulation.patients={'9' * 5000}")[0] == "simulation.patients"
    with pytest.raises(FileError, match="write KEY=VALUE"):
        parse_setting("period")


def test_values_are_put_into_a_copy() -> None:
    content = {"targets": {"ptv": 5}}
    assert with_values(content, {"targets.ptv.S": 7}, "x") != content
    assert content == {"targets": {"ptv": 5}}
