"""A request as a study file."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ptvkit.io.naming import PHANTOM
from ptvkit.request.named_files import map_files
from ptvkit.request.request import Request
from ptvkit.request.schema import Names

BARE: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
"""Characters of keys that need no quotes."""


def study_text(request: Request, folder: str | os.PathLike[str] | None = None) -> str:
    """The TOML text of a request, which `Request.load` reads back as the same.

    Parameters
    ----------
    request : Request
    folder : path, optional
        Where the file will be: names of files become relative to it. By default they stay as they are.

    Examples
    --------
    >>> ask = Request.load(None, {"cases.gtv": "phantom:gtv", "targets.ptv": {"all": 5, "S": 8.5}, "targets.lesion": 1})
    >>> print(study_text(ask))
    [cases]
    gtv = "phantom:gtv"
    <BLANKLINE>
    [targets]
    ptv = { all = 5, S = 8.5 }
    lesion = 1
    <BLANKLINE>
    """
    content = request.content
    if folder is not None:
        home = Path(folder).resolve()

        def placed(text: str, mark: Names) -> str:
            is_path = text and not text.startswith((PHANTOM, ":"))
            return os.path.relpath(Path(text).absolute(), home) if is_path else text

        content = map_files(content, placed)
    return "\n".join(line for name, table in content.items() for line in _table(name, table))


def _table(name: str, table: Any) -> Iterator[str]:
    """Lines of a table, or of a list of tables; what is below them stands in one line."""
    several = table if isinstance(table, list) else [table]
    heading = f"[[{_key(name)}]]" if isinstance(table, list) else f"[{_key(name)}]"
    for one in several:
        yield heading
        yield from (f"{_key(key)} = {_value(value)}" for key, value in one.items())
        yield ""


def _key(key: str) -> str:
    return key if key and set(key) <= BARE else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items()) + " }" if value else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    if isinstance(value, str):  # TOML's basic strings escape as JSON does, and DEL besides
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
