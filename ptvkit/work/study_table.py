"""A study's table, made from its journals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ptvkit.errors import FileError
from ptvkit.work.journal import Record, read_journal
from ptvkit.work.schedule import Key, latest

Row = dict[str, Any]
FAILED_LATER: Final = "its input files changed while the study ran; resume it"
FIRST: Final = ("case", "lesion")
FIGURES: Final = (
    *("gtv_cc", "ctv_cc", "ptv_cc", "target_cc", "contained", "contained_low", "contained_high", "within_2mm"),
    *("within_2mm_low", "within_2mm_high", "miss90_mm", "coverage_loss", "coverage_loss_low", "coverage_loss_high"),
    *("time_out", "patients", "fractions", "seed", "version"),
)
"""Columns of every study, also of one whose cases all failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """What journals of one study hold.

    Attributes
    ----------
    head : mapping
        What the study is.
    opening : mapping
        Its cases, the parts of each, and the swept keys, as the last run had them.
    records : mapping
        The last record of each case and part.
    """

    head: Mapping[str, Any]
    opening: Mapping[str, Any]
    records: Mapping[Key, Record]

    @property
    def tasks(self) -> int:
        """How many there are in all."""
        return len(self.opening["cases"]) * int(self.opening["parts"])

    @property
    def done(self) -> dict[Key, Record]:
        """Records of the cases and parts of the last run; those of others are of earlier ones."""
        names, parts = set(self.opening["cases"]), int(self.opening["parts"])
        return {key: record for key, record in self.records.items() if key[0] in names and key[1] < parts}

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the table has whatever became of its cases."""
        return (*FIRST, *self.opening["swept"], *FIGURES)

    @staticmethod
    def mixed(records: Mapping[Key, Record]) -> set[str]:
        """Cases whose parts were computed from different inputs."""
        first: dict[str, str] = {}
        names = set()
        for (name, _), record in records.items():
            if "inputs" in record and first.setdefault(name, record["inputs"]) != record["inputs"]:
                names.add(name)
        return names


def joined(journals: Sequence[Path]) -> Records:
    """What the journals of one study hold.

    Raises
    ------
    FileError
        When one is damaged, or they are of different studies.
    """
    heads: list[Mapping[str, Any]] = []
    records: list[Record] = []
    opening: Record = {"cases": [], "parts": 0, "swept": []}
    for path in journals:
        content = read_journal(path)
        if content.head is None:
            raise FileError(f"{path}: its first line is damaged, or is no journal; resume, or move it away")
        if heads and content.head != heads[0]:
            raise FileError(f"{path}: belongs to another study than {journals[0].name}; move one of them away")
        last = next((record for record in reversed(content.records) if "cases" in record), None)
        if last is not None and last["content"] != opening.get("content", last["content"]):
            raise FileError(f"{path}: was run with other files than {journals[0].name}; resume it")
        opening = last or opening
        heads.append(content.head)
        records += content.records
    return Records(head=heads[0], opening=opening, records=latest(records))


def rows_of(held: Records) -> list[Row]:
    """Rows by case, then cell; their version last. Cases whose inputs changed in between have none."""
    done = held.done
    left_out = Records.mixed(done)
    entries: Iterable[dict[str, Any]] = [
        entry for key in sorted(done) if key[0] not in left_out for entry in done[key].get("rows", [])
    ]
    ordered = sorted(entries, key=lambda entry: (entry["case"], entry["cell"]))
    return [{**entry["row"], "version": held.head["version"]} for entry in ordered]
