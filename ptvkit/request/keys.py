"""Dotted keys: setting values, listing the keys that are set, and parsing ``KEY=VALUE``."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from pydantic import BaseModel

from ptvkit.errors import FileError, MotionError
from ptvkit.margins.margin import PAIRS, as_margin

AXES: Final = ("LR", "AP", "SI")
MARGINS: Final = ("ctv", "ptv", "breathing")
"""Keys of ``[targets]`` that hold a margin."""


def with_values(content: Mapping[str, Any], values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Content with values set at dotted keys; None removes a key.

    A step of a key is a table's key; in a list of tables the ``name`` of one; in a triple an axis, LR, AP or SI; in a
    margin a letter or an axis.

    Raises
    ------
    MotionError
        When a key leads nowhere.
    """
    changed = deepcopy(dict(content))
    for key, value in values.items():
        steps = key.split(".")
        if value is None:
            _remove(changed, steps)
        else:
            _put(changed, steps, value, f"{source}: {key}")
    return changed


def _remove(table: dict[str, Any], steps: Sequence[str]) -> None:
    here: Any = table
    for step in steps[:-1]:
        if isinstance(here, list):
            here = next((one for one in here if isinstance(one, dict) and one.get("name", "set-up") == step), None)
        else:
            here = here.get(step) if isinstance(here, dict) else None
    if isinstance(here, dict):
        here.pop(steps[-1], None)


def _put(table: dict[str, Any], steps: Sequence[str], value: Any, where: str) -> None:
    here: Any = table
    for number, step in enumerate(steps[:-1]):
        if isinstance(here, list):
            here = _named(here, step, where)
            continue
        below = here.get(step)
        if number == len(steps) - 2 and _put_in_value(here, steps, value):
            return
        if below is None:
            below = here[step] = {}
        if not isinstance(below, dict | list):
            raise MotionError(f"{where}: {step} is {below!r}, no table that has {steps[number + 1]!r}")
        here = below
    if isinstance(here, list):
        raise MotionError(f"{where}: leads to a list; name one of its tables")
    here[steps[-1]] = value


def _named(tables: list[Any], name: str, where: str) -> dict[str, Any]:
    named = [one for one in tables if isinstance(one, dict) and one.get("name", "set-up") == name]
    if not named:
        names = ", ".join(repr(str(one.get("name", "set-up"))) for one in tables if isinstance(one, dict))
        raise MotionError(f"{where}: there is none named {name!r}; there are {names or 'none'}")
    return named[0]


def _put_in_value(table: dict[str, Any], steps: Sequence[str], value: Any) -> bool:
    """Set one side of a margin or one axis of a triple; False for other keys."""
    key, part = steps[-2:]
    below = table.get(key)
    if below is None and steps[0] == "errors":  # the default of all that an error has
        below = 0.0
    if steps[0] == "targets" and key in MARGINS and (part in PAIRS or part in "RLAPSI"):
        table[key] = {**as_margin(below or 0.0, key).letters, **dict.fromkeys(PAIRS.get(part, part), value)}
        return True
    if part in AXES and isinstance(below, int | float | list):
        triple = [below] * 3 if isinstance(below, int | float) else list(below)
        triple[AXES.index(part)] = value
        table[key] = triple
        return True
    return False


def value_at(tables: BaseModel, key: str, where: str) -> Any:
    """The value at a dotted key, with the schema's defaults; steps as for `with_values`.

    Raises
    ------
    MotionError
        When there is none, such as a side's when a margin's two sides differ and an axis is named.
    """
    here: Any = tables
    for step in key.split("."):
        if isinstance(here, BaseModel):
            here = getattr(here, step, None)
        elif isinstance(here, list) and here and isinstance(here[0], BaseModel):
            here = next((one for one in here if getattr(one, "name", None) == step), None)
        elif step in AXES and isinstance(here, list):
            here = here[AXES.index(step)]
        elif key.startswith("targets.") and here is not None and (step in PAIRS or step in "RLAPSI"):
            sides = {as_margin(here, key).letters[letter] for letter in PAIRS.get(step, step)}
            here = sides.pop() if len(sides) == 1 else None
        elif step not in AXES or not isinstance(here, int | float):  # a number stands for all three axes
            here = here.get(step) if isinstance(here, dict) else None
    if here is None or isinstance(here, dict | BaseModel):
        raise MotionError(f"{where}: {key} has no single base value; set it in the study, all else is compared with it")
    return here


def replaced(content: Mapping[str, Any], overrides: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Overrides, preceded by those that they imply when a model is replaced.

    Another breathing, and a dose from a file, keep of the table before them what `REPLACED` names; ``none`` for
    `NONE_REMOVES` removes the table.

    Raises
    ------
    FileError
        When a table is removed and set at once.

    Examples
    --------
    >>> replaced({"breathing": {"preset": "a", "variation": "free"}}, {"breathing.trace": "t.csv"}, "study")
    {'breathing.preset': None, 'breathing.variation': None, 'breathing.trace': 't.csv'}
    >>> replaced({}, {"guidance.match": "none"}, "study")
    {'guidance': None}
    """
    changes: dict[str, Any] = {}
    kept = dict(overrides)
    for key in NONE_REMOVES & overrides.keys():
        if overrides[key] != "none":
            continue
        table = key.split(".")[0]
        also = [one for one in overrides if one.startswith(f"{table}.") and one != key]
        if also:
            raise FileError(f"{source}: {key} is none, and {also[0]} is set; leave one of them out")
        del kept[key]
        changes[table] = None
    for table, (kinds, keeps) in REPLACED.items():
        before = content.get(table)
        if isinstance(before, Mapping) and any(f"{table}.{kind}" in kept for kind in kinds):
            behind = [f"{table}.{name}" for name in before if name not in keeps]
            changes |= {key: None for key in behind if not any(one == key or one.startswith(f"{key}.") for one in kept)}
    return {**changes, **kept}


REPLACED: Final = {
    "breathing": (("preset", "amplitude_mm", "trace", "phases"), ("reference", "reference_seen_by")),
    "management": (("kind",), ()),
    "dose": (("file",), ("prescription_gy",)),
}
"""Tables that are reset when one of these keys is overridden, and the keys that are kept."""
NONE_REMOVES: Final = frozenset({"guidance.match", "breathing.preset", "management.kind", "dose.file"})


def set_keys(content: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted keys that are set, table by table; a list counts as one key.

    Examples
    --------
    >>> list(set_keys({"targets": {"ctv": 5, "ptv": {"all": 5}}, "errors": [{}]}))
    ['targets.ctv', 'targets.ptv', 'errors']
    """
    for key, value in content.items():
        if isinstance(value, Mapping) and not prefix:
            yield from set_keys(value, f"{key}.")
        else:
            yield f"{prefix}{key}"


def chosen(content: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """Content of some dotted keys alone, each with all that is below it.

    Examples
    --------
    >>> chosen({"targets": {"ctv": 5, "ptv": {"S": 5}}, "dose": {}, "errors": [{}]}, ["targets.ptv", "errors"])
    {'targets': {'ptv': {'S': 5}}, 'errors': [{}]}
    """
    wanted = set(keys)
    found: dict[str, Any] = {}
    for key, value in content.items():
        below = [one.partition(".")[2] for one in wanted if one.startswith(f"{key}.")]
        if key in wanted:
            found[key] = value
        elif below and isinstance(value, Mapping) and (part := chosen(value, below)):
            found[key] = part
    return found


def parse_setting(text: str) -> tuple[str, Any]:
    """Key and value of ``KEY=VALUE``; the value is TOML, and a bare word is text.

    Raises
    ------
    FileError

    Examples
    --------
    >>> parse_setting("breathing.period_s=5"), parse_setting("guidance.mode=vector")
    (('breathing.period_s', 5), ('guidance.mode', 'vector'))
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise FileError(f"{text!r}: write KEY=VALUE, as in breathing.period_s=5")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        return key.strip(), value.strip()
