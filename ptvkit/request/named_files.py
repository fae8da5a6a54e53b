"""Files named by a request, identified by the marks of the schema."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, get_args

from pydantic import BaseModel

from ptvkit.request.messages import model_in
from ptvkit.request.schema import Names, Tables


def map_files(
    content: Mapping[str, Any], change: Callable[[str, Names], Any], model: type[BaseModel] = Tables
) -> dict[str, Any]:
    """Content with a function applied to every text that names files.

    Parameters
    ----------
    content : mapping
        Nested tables, as `model` has them; what the schema does not know stays as it is.
    change : callable
        Of the text and its mark.
    """
    changed = dict(content)
    for key, value in content.items():
        mark, below = _of_field(model, key)
        if mark is not None:
            changed[key] = _each(value, partial(_swapped, change, mark))
        elif below is not None:
            changed[key] = _in_tables(value, below, change)
    if model is Tables and "sweep" in changed:
        changed["sweep"] = _in_sweep(changed["sweep"], change)
    return changed


def mark_of(key: str) -> Names | None:
    """Mark of a dotted key; None when its values are not file names.

    Examples
    --------
    >>> mark_of("breathing.trace"), mark_of("targets.ptv.SI")
    (Names(kind='file'), None)
    """
    model: type[BaseModel] = Tables
    mark = None
    for step in key.split("."):
        if step in model.model_fields:  # else the name of one of several tables, or a part of a value
            mark, below = _of_field(model, step)
            model = below or model
    return mark


def _in_sweep(sweep: Any, change: Callable[[str, Names], Any]) -> Any:
    """A sweep whose values name files."""
    parameters = sweep.get("parameters") if isinstance(sweep, Mapping) else None
    if not isinstance(parameters, Mapping):
        return sweep
    marks = {key: mark_of(key) for key in parameters}
    swept = {
        key: value if mark is None else _each(value, partial(_swapped, change, mark))
        for (key, value), mark in zip(parameters.items(), marks.values(), strict=True)
    }
    return {**sweep, "parameters": swept}


def _in_tables(value: Any, model: type[BaseModel], change: Callable[[str, Names], Any]) -> Any:
    """A table, a list of tables, or tables by name."""
    if isinstance(value, list):
        return [_in_tables(one, model, change) for one in value]
    if not isinstance(value, Mapping):
        return value
    if value and not model.model_fields.keys() & value.keys() and all(isinstance(v, Mapping) for v in value.values()):
        return {name: map_files(table, change, model) for name, table in value.items()}
    return map_files(value, change, model)


def _each(value: Any, change: Callable[[str], Any]) -> Any:
    if isinstance(value, list):
        return [_each(one, change) for one in value]
    return change(value) if isinstance(value, str) else value


def _swapped(change: Callable[[str, Names], Any], mark: Names, text: str) -> Any:
    return change(text, mark)


@cache
def _of_field(model: type[BaseModel], key: str) -> tuple[Names | None, type[BaseModel] | None]:
    """Mark of a field of the schema, and the table that it holds; neither of what the schema does not know."""
    field = model.model_fields.get(key)
    return (None, None) if field is None else (_mark([field.annotation, *field.metadata]), model_in(field.annotation))


def _mark(annotations: Any) -> Names | None:
    for one in annotations:
        if isinstance(one, Names):
            return one
        inner = _mark([*get_args(one), *getattr(one, "__metadata__", ())])
        if inner is not None:
            return inner
    return None
