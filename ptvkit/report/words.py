"""Labels of study keys and table columns, in words with units."""

from collections.abc import Sequence
from typing import Any, Final

SHARES_NOTE: Final = (
    "Contained is the share of patients whose target stays inside the PTV throughout the course, judged at the ends of"
    " every breath, so that one deep breath counts. Dmin and D98 refer to the dose accumulated over the course, so that"
    " a brief miss has little effect. All shares refer to simulated courses of the population described by these"
    " inputs; an idealised dose has the same fall-off all around the PTV."
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
    "time_out": "share of the time with a part outside",
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
    """Label of a study key or table column, in words with its unit.

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
    """Words for the last part of a key, and its unit after a comma."""
    head, _, tail = name.rpartition("_")
    unit = f", {_UNITS[tail]}" if head and tail in _UNITS else ""
    plain = (head if unit else name).replace("_", " ")
    return _LAST.get(plain, plain), unit


def cell_in_words(swept: Sequence[str], values: Sequence[Any]) -> str:
    """Label of a combination of swept values."""
    pairs = zip(swept, values, strict=True)
    return ", ".join(f"{words_of(key).replace(', mm', '')} {_with_mm(value, key)}" for key, value in pairs) or "as set"


def _with_mm(value: Any, key: str) -> str:
    return f"{number(value)}{' mm' if words_of(key).endswith(', mm') else ''}"


def number(value: Any) -> str:
    """Text of a table value, with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def value_in_words(value: Any) -> str:
    """Text of a study value: lists and tables without brackets and quotes."""
    if isinstance(value, dict):
        names = [_SIDES.get(str(key), str(key).replace("_", " ")) for key in value]
        return ", ".join(f"{name} {value_in_words(one)}" for name, one in zip(names, value.values(), strict=True))
    if isinstance(value, list | tuple):
        return ", ".join(value_in_words(one) for one in value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else number(value).replace("_", " ")
