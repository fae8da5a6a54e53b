"""Options of a course: from words to the tables of a study file."""

from collections.abc import Mapping
from typing import Any, Final

from ptvkit.errors import MotionError

REPLACED: Final = {
    "breathing": ((frozenset({"preset", "amplitude_mm", "trace"}), ("reference", "reference_seen_by")),),
    "dose": ((frozenset({"file"}), ("prescription_gy",)),),
}
"""Tables in which some options begin anew, and what of the old one still holds then."""


def guidance_flags(
    match: str | None, action_level: float | None, mode: str | None, matching_sd: str | None, couch_sd: str | None
) -> dict[str, Any] | str:
    """The table of guidance that options ask for; ``"none"`` for none at all."""
    if match == "none":
        return "none"
    return {
        "match": match,
        "action_level_mm": action_level,
        "mode": mode,
        "matching_sd_mm": triple("--matching-sd", matching_sd),
        "couch_sd_mm": triple("--couch-sd", couch_sd),
    }


def merged(content: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A study's tables with what options ask for over them."""
    found = {name: dict(table) if isinstance(table, Mapping) else table for name, table in content.items()}
    for name, table in given.items():
        if isinstance(table, list):
            found[name] = table
        elif table == "none":
            found.pop(name, None)
        elif isinstance(table, Mapping):
            asked = {key: value for key, value in table.items() if value is not None}
            if "none" in (asked.get("preset"), asked.get("file")):
                found.pop(name, None)
                continue
            # another breathing, or a dose from a file, leaves behind what described the one before
            for kinds, kept in REPLACED.get(name, ()):
                if kinds & asked.keys():
                    found[name] = {key: value for key, value in found.get(name, {}).items() if key in kept}
            if asked:
                found[name] = {**found.get(name, {}), **asked}
    return found


def parsed_error(text: str) -> dict[str, Any]:
    """``NAME:Σ/σ[:SEEN_BY]`` as a table of errors."""
    parts = text.split(":")
    if len(parts) not in (2, 3) or parts[1].count("/") > 1:
        raise MotionError(f"--error {text}: give NAME:Σ/σ or NAME:Σ/σ:SEEN_BY, as in 'set-up:2,2,3/2,2,3'")
    systematic, _, random = parts[1].partition("/")
    found = {
        "name": parts[0],
        "systematic_mm": triple(f"--error {text}", systematic),
        "random_mm": triple(f"--error {text}", random or "0"),
    }
    return found if len(parts) == 2 else {**found, "seen_by": parts[2]}


def triple(option: str, text: str | None) -> float | list[float] | None:
    """One number, or three with commas between."""
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3):
        raise MotionError(f"{option} {text}: give one number, or three for LR,AP,SI")
    return numbers[0] if len(numbers) == 1 else numbers


def as_reference(text: str | None) -> str | float | list[float] | None:
    """A word, or three numbers."""
    return triple("--reference", text) if text is not None and "," in text else text
