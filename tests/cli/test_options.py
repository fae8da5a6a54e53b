"""Every key of a request and every option reaches its value."""

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import pytest
import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ptvkit.cli import demo, lesions, measure, recipe, run, simulate, solve, targets
from ptvkit.cli import main as run_command
from ptvkit.cli.declared import EACH, Option, Words, command
from ptvkit.errors import FileError
from ptvkit.request.keys import parse_setting
from ptvkit.request.messages import model_in
from ptvkit.request.request import Request
from ptvkit.request.schema import RangeTable, SweepTable, Tables

BY_VALIDATOR = {
    "_vector": [1.5, 2.5, 3.5],
    "_margin": "4,S=5",
    "_sides": "S=5",
    "_reference": "exhale",
    "_latency": [0.2, 0.1],
}
LISTS = {"errors": {}, "limits": {"structure": "cord", "metric": "d2"}, "parts": {"name": "a", "fractions": 3}}
"""Tables that there may be several of, and what each must have."""
CONTEXT = {
    "treatment": {"treatment.structures.2.structure": "organ.nii"},
    "breathing": {"breathing.reference": "time_mean"},
    "management": {"management.kind": "tracking"},
}
"""What a table needs beside the key at hand."""
TEXTS = {"errors": "a:1/2", "targets.lesions.{}.ctv": "2:4", "targets.lesions.{}.ptv": "2:4"}
VALUES = {"errors": [{"name": "a", "systematic_mm": 1.0, "random_mm": 2.0}], "targets.breathing_shape": "sweep"}


def sample(field: FieldInfo) -> Any:
    """A legal value that is not the default."""
    names = [getattr(one, "func", None) for one in field.metadata]
    known = [BY_VALIDATOR[name.__name__] for name in names if name is not None and name.__name__ in BY_VALIDATOR]
    return known[0] if known else _of_type(field.annotation, field.default)


def _of_type(annotation: Any, default: Any) -> Any:
    if get_origin(annotation) is Literal:
        return next(one for one in get_args(annotation) if one != default)
    plain = {bool: default is not True, int: 7, float: 0.75, str: "some text"}
    if annotation in plain:
        return plain[annotation]
    if get_origin(annotation) is list:
        return [_of_type(get_args(annotation)[0], None)]
    for inner in get_args(annotation):
        if getattr(inner, "func", None) is not None and inner.func.__name__ in BY_VALIDATOR:
            return BY_VALIDATOR[inner.func.__name__]
        if inner is not type(None) and (value := _of_type(inner, default)) is not None:
            return value
    return None


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Dotted keys of the schema, with their fields."""
    for name, field in model.model_fields.items():
        below = model_in(field.annotation)
        if below is None or below is RangeTable:
            yield f"{prefix}{name}", field
        elif get_origin(field.annotation) is dict:
            yield from leaves(below, f"{prefix}{name}.2.")
        else:
            yield from leaves(below, f"{prefix}{name}.")


KEYS = dict(leaves(Tables))


def value_at(request: Request, key: str) -> Any:
    """What a request holds at a key."""
    here: Any = request.tables
    for step in key.split("."):
        here = here[0] if isinstance(here, list) else here
        here = here.get(step) if isinstance(here, dict) else getattr(here, step)
    return here


def nested(steps: list[str], value: Any) -> dict[str, Any]:
    """Tables that hold a value at a key."""
    if len(steps) == 1:
        return {steps[0]: value}
    below = ({"reference": "time_mean"} if steps[0] == "breathing" else {}) | nested(steps[1:], value)
    return {steps[0]: [below] if steps[0] in LISTS else below}


@pytest.mark.parametrize("key", KEYS)
def test_every_key_reaches_its_value(key: str) -> None:
    value = {"targets.ptv": [1, 2]} if key == "sweep.parameters" else sample(KEYS[key])
    table, _, rest = key.partition(".")
    if table in LISTS:
        assert value_at(Request.load({table: [LISTS[table] | nested(rest.split("."), value)]}), key) == value
        return
    context = CONTEXT.get(table, {})
    request = Request.load(None, {**context, key: value})
    assert value_at(request, key) == value != KEYS[key].default
    assert request.identity() != Request.load(None, context).identity()
    with pytest.raises(FileError, match="did you mean"):
        Request.load(None, {**context, f"{key}x": value})


def test_a_setting_is_read_as_toml() -> None:
    for text, value in (("5", 5), ("[1, 2.5]", [1, 2.5]), ("true", True), ("any_axis", "any_axis"), ('"a b"', "a b")):
        assert parse_setting(f"a.b={text}") == ("a.b", value)


def typed(options: tuple[Option, ...], words: list[str]) -> Words:
    """What the parser and the table of options make of some words."""
    seen: list[Words] = []
    app = typer.Typer()
    app.command()(command(seen.append, options))
    typer.main.get_command(app).main(words, standalone_mode=False)
    return seen[0]


COMMANDS = {name: options for module in (targets, simulate, solve, run) for name, _, options in module.COMMANDS}
KEYED = [(name, one) for name, options in COMMANDS.items() for one in options if one.key not in (None, EACH)]
REQUIRED = {"targets": ["-o", "out"], "simulate": ["-o", "out"], "solve": ["ctv.nii"], "run": []}


def text_of(value: Any) -> str:
    """As it is typed."""
    return ",".join(map(str, value)) if isinstance(value, list) and not isinstance(value[0], str) else str(value)


@pytest.mark.parametrize(("name", "one"), KEYED, ids=[f"{name} {one.name}" for name, one in KEYED])
def test_every_option_reaches_its_key(name: str, one: Option) -> None:
    assert one.key is not None
    key = one.key.replace(EACH, "2")
    value = VALUES[key] if key in VALUES else sample(KEYS[key])
    value = [value] if one.many and EACH not in one.key and not isinstance(value, list) else value
    if one.kind is bool:
        words = [one.flags[0].split("/")[-1] if value is False else one.flags[0].split("/")[0]]
    else:
        first = value[0] if isinstance(value, list) and isinstance(value[0], str) else value
        text = TEXTS.get(one.key, text_of(first))
        value = "4" if EACH in one.key else value
        words = [one.flags[0], text] if one.flags else [text]
    required = REQUIRED[name] if one.flags or name != "solve" else []
    heard = typed(COMMANDS[name], [*words, *required])
    assert heard.overrides[key] == value
    context = CONTEXT.get(key.partition(".")[0], {})
    request = heard.request(None, None if key in context else context)
    got = value_at(request, key)
    assert [one.model_dump(exclude_unset=True) for one in got] if key == "errors" else got == value
    assert heard.labels[key].startswith(one.flags[0].split("/")[0] if one.flags else one.name.upper())


@pytest.mark.parametrize("name", COMMANDS)
def test_set_reaches_every_key(name: str) -> None:
    words = typed(COMMANDS[name], ["--set", "simulation.seed=9", "--set", "guidance.mode=vector", *REQUIRED[name]])
    request = words.request(None)
    assert (request.tables.simulation.seed, value_at(request, "guidance.mode")) == (9, "vector")
    with pytest.raises(FileError, match=r"--set brething.period_s=5: no such key; did you mean breathing"):
        typed(COMMANDS[name], ["--set", "brething.period_s=5", *REQUIRED[name]]).request(None)


def test_one_key_is_set_once() -> None:
    with pytest.raises(FileError, match=r"--ctv 5 and --set targets.ctv=6: both set targets.ctv"):
        typed(targets.OPTIONS, ["--ctv", "5", "--set", "targets.ctv=6", "-o", "out"])


@pytest.mark.parametrize("module", [demo, targets, simulate, solve, run, recipe, lesions, measure])
def test_first_panels_are_short(module: Any) -> None:
    for _, _, options in module.COMMANDS:
        shown = [one for one in options if one.flags and one.panel is None and not one.is_hidden]
        assert len(shown) <= 12
        assert len({one.name for one in options}) == len(options)
        assert any(one.name == "json" for one in options)


@pytest.mark.parametrize(
    "words",
    [
        ["targets", "g.nii", "--ctv", "9" * 5000, "--ptv", "1", "-o", "o"],
        ["targets", "g.nii", "--ctv", "1", "--ptv", "1", "--clearance", "nan", "-o", "o"],
        ["targets", "g.nii", "--ctv", "1", "--ptv", "1", "--lesion", "9" * 5000, "-o", "o"],
        ["targets", "g.nii", "--ctv", "1", "--ptv", "1", "--label", "9" * 5000, "-o", "o"],
        ["targets", "g.nii", "--ctv", "1", "--ptv", "1", "--set", "simulation.seed=" + "9" * 5000, "-o", "o"],
        ["targets", "g.nii", "--ctv", "1", "--ptv", "1", "-o", ""],
        ["simulate", "--ctv", "phantom:gtv", "--ptv", "phantom:gtv", "--error", "a[/b]:2/2", "-o", ""],
        ["simulate", "--ctv", "w[/x].nii", "--ptv", "p.nii", "--error", "a[/b]:2/2", "-o", "w/[/x]"],
        ["simulate", "--ctv", "c\x1b[2J.nii", "--ptv", "p.nii", "--error", "a:1/inf", "-o", "o"],
        ["run", "no.toml", "--shard", "9" * 5000 + "/3", "-o", "o"],
        ["run", "no.toml"],
        ["run"],
        ["convert", "a.nii"],
        ["measure", "a\x1b]0;x\x07.csv"],
        ["check", "nowhere"],
        ["recipe", "rotation", "--distance", "nan", "--systematic", "1", "--random", "1"],
        ["solve", "c.nii", "--population", "nan", "--error", "a:1/1"],
        ["dose", "c.nii", "--dose", "d.nii", "--csv", ""],
        ["self-test", "-o", ""],
        ["demo", "-o", ""],
    ],
    ids=lambda words: " ".join(words)[:60].encode("ascii", "replace").decode(),
)
def test_refused_in_one_line_and_as_json(
    words: list[str], tmp_path: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(words) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert len(told.err) < 2200
    assert told.err[:-1].isprintable()
    assert run_command([*words, "--json"]) == 2
    import json

    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["error"]
    assert found["error"]
    assert list(tmp_path.iterdir()) == []


def test_sweep_table_is_covered() -> None:
    assert set(SweepTable.model_fields) == {key.split(".")[1] for key in KEYS if key.startswith("sweep.")}
