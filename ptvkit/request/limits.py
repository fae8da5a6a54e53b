"""Tables of dose limits, in TOML."""

import os
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from ptvkit.dose.limits import DoseLimit
from ptvkit.errors import DoseError, FileError
from ptvkit.request.messages import mistake
from ptvkit.request.reading import read_toml
from ptvkit.request.schema import LimitsFile

BUILT_IN: Final = {"liver-protocol": "liver-protocol-limits.toml"}
"""Tables that come with the package, by name."""


def read_limits(source: str | os.PathLike[str]) -> tuple[DoseLimit, ...]:
    """Dose limits from a TOML file, or a built-in table by its name.

    ``[[limits]]`` with ``structure``, ``metric``, and ``at_most`` or ``at_least``.

    Raises
    ------
    FileError, DoseError
        When it cannot be read, or a limit cannot be used.

    Examples
    --------
    >>> limit = read_limits("liver-protocol")[0]
    >>> limit.structure, limit.metric, limit.goal
    ('cord', 'Dmax', '≤ 40 Gy')
    """
    content = read_toml(source, BUILT_IN)
    try:
        tables = LimitsFile.model_validate(content).limits
    except ValidationError as error:
        key, text = mistake(error, LimitsFile)
        raise FileError(f"{source}: {key}: {text}") from None
    if not tables:
        raise FileError(f"{Path(source)}: has no [[limits]]")
    found = []
    for number, table in enumerate(tables, start=1):
        try:
            found.append(DoseLimit(**table.model_dump()))
        except DoseError as error:
            raise DoseError(f"{source}: [[limits]] {number}: {error}") from None
    return tuple(found)
