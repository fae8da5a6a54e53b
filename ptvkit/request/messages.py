"""One-line messages for invalid requests: the key, the legal values, and the nearest legal key."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from ptvkit.request.schema import TABLE, WORD
from ptvkit.request.toml_lines import line_of


def mistake(error: ValidationError, model: type[BaseModel]) -> tuple[str, str]:
    """Dotted key of the first error, and its description."""
    first = error.errors()[0]
    place = [part for part in first["loc"] if not _is_tag(part)]
    key = ".".join(str(part + 1) if isinstance(part, int) else part for part in place)
    if first["type"] == "extra_forbidden":
        legal = legal_keys(model, [part for part in place[:-1] if isinstance(part, str)])
        near = get_close_matches(str(place[-1]), legal, n=1, cutoff=0.0)
        return key, f"no such key; did you mean {near[0]}? Legal are {', '.join(legal)}"
    message = str(first["msg"]).removeprefix("Value error, ")
    found = first.get("input")
    shown = "" if first["type"] == "missing" or isinstance(found, dict) else f", found {_short(found)}"
    return key, f"{message[0].lower()}{message[1:]}{shown}"


def line_in(source: str, error: ValidationError) -> str:
    """File, and the line of the first error where known."""
    place = [part for part in error.errors()[0]["loc"] if not _is_tag(part)]
    try:
        line = line_of(Path(source).read_text(encoding="utf-8"), place)
    except (OSError, UnicodeDecodeError, ValueError):  # built in, or no file
        return source
    return source if line is None else f"{source}: line {line}"


def legal_keys(model: type[BaseModel], tables: Sequence[str]) -> list[str]:
    """Keys of the table at a sequence of table names."""
    here: type[BaseModel] = model
    for name in tables:
        field = here.model_fields.get(name)
        below = None if field is None else model_in(field.annotation)
        here = here if below is None else below
    return list(here.model_fields)


def model_in(annotation: Any) -> type[BaseModel] | None:
    """Table class in an annotation such as ``list[Table] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for inner in get_args(annotation) if (model := model_in(inner)) is not None), None)


def _is_tag(part: Any) -> bool:
    """Whether a part of a place is a union's member instead of a key of the file."""
    return part in (WORD, TABLE) or (isinstance(part, str) and part.startswith(("function-", "list[", "str", "float")))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
