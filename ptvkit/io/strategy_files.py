"""A comparison of strategies as files: `strategies.json` and `strategies.csv`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ptvkit.io.provenance import Provenance, file_entry, record, write_json
from ptvkit.io.tables import write_table
from ptvkit.text import csv_text

SCHEMA: Final = "ptvkit-strategies/1"
NOTE: Final = "simulated, given these inputs; a research tool, not a medical device; a physicist reviews"
AXES: Final = ("LR", "AP", "SI")


def write_strategies(
    rows: Sequence[Mapping[str, Any]],
    about: Mapping[str, Any],
    stage: Path,
    *,
    home: Path,
    provenance: Provenance,
    warnings: Iterable[str] = (),
) -> None:
    """Write the rows of a comparison.

    Parameters
    ----------
    rows : sequence of mapping
        Plain values, as a comparison's table has them; a list of three is one column for each axis.
    about : mapping
        What all rows share.
    stage : Path
        Folder to write to, from `ptvkit.io.files.write_together`.
    home : Path
        Final folder of the files.
    provenance : Provenance
    warnings : iterable of str
    """
    flat = [_flat(row) for row in rows]
    with write_table(stage / "strategies.csv", list(flat[0])) as table:
        table.writerows([csv_text(one) if isinstance(one, str) else one for one in row.values()] for row in flat)
    files = {"strategies": file_entry(stage / "strategies.csv")}
    content = {
        "schema": SCHEMA,
        "note": NOTE,
        **about,
        "strategies": [dict(row) for row in rows],
        **record(provenance, home, files, warnings),
    }
    write_json(stage / "strategies.json", content)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row whose lists of three have become columns, numbers rounded to what they tell."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, list):
            flat |= {f"{key}_{axis}": round(one, 4) for axis, one in zip(AXES, value, strict=True)}
        else:
            flat[key] = "" if value is None else round(value, 4) if isinstance(value, float) else value
    return flat
