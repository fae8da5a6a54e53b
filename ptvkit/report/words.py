"""Keys of studies and columns of their tables in words with units: one function for charts, hovers and tables."""

from collections.abc import Sequence
from typing import Any, Final

SHARES_NOTE: Final = (
    "Read shares with what they are of: contained is the share of patients whose target stays inside the PTV at every"
    " sampled instant of the whole course, so one deep breath counts; Dmin and D98 are of the dose that each patient's"
    " target accumulates, averaged over the course, so a brief miss costs little. Both are of simulated courses of the"
    " one population described by these inputs, and an idealised dose falls off equally around the whole PTV."
)
COLUMNS: Final = {
    "case": "case",
    "lesion": "lesion",
    "ptv_cc": "PTV, cc",
    "ctv_cc": "CTV, cc",
    "gtv_cc": "GTV, cc",
    "organ_cc": "organ inside PTV, outside CTV, cc",
    "contained": "patients contained (never outside the PTV)",
    "within_2mm": "patients never more than 2 mm outside",
    "dmin_95": "patients with Dmin ≥ 95 %",
    "d98_95": "patients with D98 ≥ 95 %",
    "miss90_mm": "deepest miss of 9 in 10 patients is below, mm",
    "coverage_loss": "covered volume lost, an index",
    "time_out": "share of the time with some of it outside",
}
_SIDES: Final = {
    "R": "right",
    "L": "left",
    "A": "anterior",
    "P": "posterior",
    "S": "superior",
    "I": "inferior",
    "LR": "left-right",
    "AP": "anterior-posterior",
    "SI": "superior-inferior",
    "all": "all sides",
}
_LAST: Final = {
    "systematic": "systematic error Σ",
    "random": "random error σ",
    "amplitude": "breathing amplitude, peak to peak",
    "period": "breathing period",
    "action level": "action level",
    "penumbra": "penumbra",
    "prescription": "prescription",
}
_UNITS: Final = {"mm": "mm", "s": "s", "gy": "Gy", "cc": "cc", "deg": "degrees", "sd": "SD"}
_MARGINS: Final = {"ctv": "CTV margin", "ptv": "PTV margin", "breathing": "breathing margin"}


def words_of(key: str) -> str:
    """A key of a study or a column of its table, in words with its unit.

    Examples
    --------
    >>> words_of("targets.breathing.SI")
    'superior-inferior breathing margin, mm'
    >>> words_of("breathing.amplitude_mm.SI"), words_of("guidance.action_level_mm")
    ('superior-inferior breathing amplitude, peak to peak, mm', 'guidance: action level, mm')
    >>> words_of("errors.set-up.systematic_mm")
    'set-up: systematic error Σ, mm'
    """
    if key in COLUMNS:
        return COLUMNS[key]
    table, _, rest = key.partition(".")
    parts = rest.split(".") if rest else [table]
    side = _SIDES.get(parts[-1], "") if len(parts) > 1 else ""
    parts = parts[:-1] if side else parts
    if table == "targets" and parts[-1] in _MARGINS:
        return f"{side} {_MARGINS[parts[-1]]}, mm".strip()
    words, unit = _with_unit(parts[-1])
    place = parts[0] if table == "errors" and len(parts) > 1 else table
    words = " ".join(part for part in (side, words) if part)
    prefix = "" if place in ("targets", "simulation", "dose", key) or place in words else f"{place}: "
    return f"{prefix}{words}{unit}"


def _with_unit(name: str) -> tuple[str, str]:
    """What a key's last part means, and its unit with a comma."""
    head, _, tail = name.rpartition("_")
    unit = f", {_UNITS[tail]}" if head and tail in _UNITS else ""
    plain = (head if unit else name).replace("_", " ")
    return _LAST.get(plain, plain), unit


def cell_in_words(swept: Sequence[str], values: Sequence[Any]) -> str:
    """A combination of swept values in words."""
    pairs = zip(swept, values, strict=True)
    return ", ".join(f"{words_of(key).replace(', mm', '')} {_told(value, key)}" for key, value in pairs) or "as set"


def _told(value: Any, key: str) -> str:
    return f"{number(value)}{' mm' if words_of(key).endswith(', mm') else ''}"


def number(value: Any) -> str:
    """A value of a table, with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def value_in_words(value: Any) -> str:
    """A value of a study file: lists and tables without brackets and quotes."""
    if isinstance(value, dict):
        names = [_SIDES.get(str(key), str(key).replace("_", " ")) for key in value]
        return ", ".join(f"{name} {value_in_words(one)}" for name, one in zip(names, value.values(), strict=True))
    if isinstance(value, list | tuple):
        return ", ".join(value_in_words(one) for one in value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else number(value).replace("_", " ")
