"""The controls of the page, as data: which key of the request each one moves, and between which values."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from ptvkit.dose.criteria import criterion_of
from ptvkit.geometry.directions import DIRECTIONS
from ptvkit.margins.margin import as_margin
from ptvkit.margins.phases import MOTIONS
from ptvkit.motion.presets import preset_named
from ptvkit.request.request import Request
from ptvkit.request.schema import BreathingTable, ErrorTable

AXES: Final = ("LR", "AP", "SI")
REFERENCES: Final = ("time_mean", "exhale", "inhale", "mid_range", "snapshot")
MATCHES: Final = ("none", "bone", "soft_tissue", "bone_then_soft_tissue")
MODES: Final = ("any_axis", "per_axis", "vector")
CRITERIA: Final = ("dmin>=0.90", "dmin>=0.95", "dmin>=0.98", "d98>=0.90", "d98>=0.95", "d98>=0.98", "contained")


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A slider with its number, or a choice.

    Attributes
    ----------
    group : str
        Heading that it stands under.
    key : str
        Dotted key of the request.
    label : str
        With the unit.
    value : float or str
    low, high, step : float
        Of a slider.
    options, words : tuple of str
        Of a choice, and what the page calls them; empty for a slider.
    """

    group: str
    key: str
    label: str
    value: float | str
    low: float = 0.0
    high: float = 1.0
    step: float = 0.5
    options: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


def controls_of(request: Request) -> list[dict[str, Any]]:
    """Controls of a request with their present values, as JSON values."""
    return [asdict(replace(control, words=tuple(map(_words, control.options)))) for control in _controls(request)]


def _words(option: str) -> str:
    return criterion_of(option).words if ">=" in option else option.replace("_", " ")


def _controls(request: Request) -> Iterator[Control]:
    tables = request.tables
    if tables.cases.gtv is not None:
        yield from _margins(request)
    if tables.breathing is not None:
        yield from _breathing(tables.breathing)
    guidance = tables.guidance
    match = "none" if guidance is None else guidance.match
    yield Control(group="Guidance", key="guidance.match", label="match", value=match, options=MATCHES)
    if guidance is not None:
        yield Control(
            group="Guidance",
            key="guidance.action_level_mm",
            label="action level, mm",
            value=guidance.action_level_mm,
            high=10.0,
        )
        yield Control(group="Guidance", key="guidance.mode", label="mode", value=guidance.mode, options=MODES)
    for error in tables.errors:
        if "." not in error.name:  # else no dotted key leads to it
            yield from _error(error)
    yield from _treatment(request)


def _margins(request: Request) -> Iterator[Control]:
    table = request.tables.targets
    assert table is not None, "a session has [targets]"
    if isinstance(table.motion, str):
        yield Control(group="Phases", key="targets.motion", label="planned on", value=table.motion, options=MOTIONS)
    for key, value, high in (("ctv", table.ctv, 30.0), ("ptv", table.ptv, 40.0), ("breathing", table.breathing, 40.0)):
        group = "Breathing margin" if key == "breathing" else f"{key.upper()} margin"
        for letter, mm in as_margin(value, key).letters.items():
            word = DIRECTIONS[letter].name
            yield Control(group=group, key=f"targets.{key}.{letter}", label=f"{word}, mm", value=mm, high=high)


def _breathing(table: BreathingTable) -> Iterator[Control]:
    if table.amplitude_mm is not None:
        for axis, mm in zip(AXES, _three(table.amplitude_mm), strict=True):
            yield Control(
                group="Breathing",
                key=f"breathing.amplitude_mm.{axis}",
                label=f"{axis} stroke, mm",
                value=mm,
                high=40.0,
                step=0.1,
            )
    if isinstance(table.reference, str) and table.reference in REFERENCES:
        yield Control(
            group="Breathing", key="breathing.reference", label="planned on", value=table.reference, options=REFERENCES
        )


def _error(error: ErrorTable) -> Iterator[Control]:
    for key, sign in (("systematic_mm", "Σ"), ("random_mm", "σ")):
        for axis, mm in zip(AXES, _three(getattr(error, key)), strict=True):
            yield Control(
                group=f"Error: {error.name}",
                key=f"errors.{error.name}.{key}.{axis}",
                label=f"{sign} {axis}, mm",
                value=mm,
                high=10.0,
                step=0.1,
            )


def _treatment(request: Request) -> Iterator[Control]:
    dose, group = request.tables.dose, "Treatment"
    yield Control(
        group=group,
        key="simulation.fractions",
        label="fractions",
        value=request.tables.simulation.fractions,
        low=1,
        high=40,
        step=1,
    )
    if dose is not None and dose.prescription_gy is not None:
        yield Control(
            group=group,
            key="dose.prescription_gy",
            label="prescription, Gy",
            value=dose.prescription_gy,
            low=1.0,
            high=80.0,
            step=0.1,
        )
    chosen = request.tables.criteria.criterion
    options = CRITERIA if chosen in CRITERIA else (chosen, *CRITERIA)
    yield Control(group=group, key="criteria.criterion", label="criterion", value=chosen, options=options)


def _three(value: Any) -> list[float]:
    return [float(mm) for mm in value] if isinstance(value, list) else [float(value)] * 3


def adjustable(request: Request) -> Request:
    """The same request with its values spelled out where a preset stood for them, so that each can be moved."""
    breathing, errors = request.content.get("breathing"), request.content.get("errors", [])
    changes: dict[str, Any] = {}
    if isinstance(breathing, Mapping) and breathing.get("preset") is not None:
        known = preset_named(str(breathing["preset"]))
        wave = {"amplitude_mm": list(known.amplitude_mm), "amplitude_sd_mm": list(known.amplitude_sd_mm)}
        rest = {key: value for key, value in breathing.items() if key != "preset"}
        changes["breathing"] = {"inhale": [1, 1, -1], **rest, **wave}
    changes["errors"] = [{"name": "set-up", "systematic_mm": 0.0, "random_mm": 0.0, **error} for error in errors]
    criterion = request.tables.criteria.criterion
    spelled = {one.replace("0.90", "0.9"): one for one in CRITERIA}
    if criterion in spelled:
        changes["criteria"] = {**request.content.get("criteria", {}), "criterion": spelled[criterion]}
    return Request(content={**request.content, **changes}, source=request.source)
