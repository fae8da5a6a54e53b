"""The tables of a study file, as TOML has them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Tag


def _vector(value: Any) -> Any:
    """One number, or three."""
    numbers = value if isinstance(value, list) else [value]
    right = all(isinstance(v, int | float) and not isinstance(v, bool) for v in numbers)
    if not right or (isinstance(value, list) and len(value) != 3):
        raise ValueError("needs one number or three, [LR, AP, SI]")
    return value


def _reference(value: Any) -> Any:
    return value if isinstance(value, str) else _vector(value)


def _kind(value: Any) -> str:
    return WORD if isinstance(value, str) else TABLE


def _length(value: Any) -> Any:
    """A margin as words have it."""
    parts = list(value.values()) if isinstance(value, dict) else [value]
    number = all(isinstance(v, int | float) and not isinstance(v, bool) for v in parts)
    if not number and not isinstance(value, str):
        raise ValueError("needs a number of mm, text such as 'S=12,I=18', or a table such as {S = 12, I = 18}")
    return value


Length = Annotated[Any, BeforeValidator(_length)]
Vector = Annotated[Any, BeforeValidator(_vector)]
WORD, TABLE = "<word>", "<table>"


class Table(BaseModel):
    """A table of the file: unknown keys are refused, numbers are not read from text."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class CaseTable(Table):
    """``[cases]``: the files; paths are relative to the study file."""

    # one case
    ctv: str | None = None
    ptv: str | None = None
    image: str | None = None
    # many: a mask, a folder, a glob, or several of them; phantom:gtv is the built-in phantom's
    masks: str | list[str] | None = None
    label: int | str | None = None
    manifest: str | None = None


class TargetsTable(Table):
    """``[targets]``: from a GTV to CTV and PTV, mm; a margin is a number, text, or a table of letters or axes."""

    ctv: Length = 0.0
    ptv: Length = 0.0
    breathing: Length = 0.0
    breathing_shape: Literal["semi_axes", "sweep"] = "semi_axes"
    limit: str | None = None
    organ: str | None = None
    lesion: int | Literal["all", "largest"] = "all"


class ErrorTable(Table):
    """``[[errors]]``: a `SetupError`."""

    name: str = "set-up"
    mean_mm: Vector = 0.0
    systematic_mm: Vector = 0.0
    random_mm: Vector = 0.0
    seen_by: Literal["bone_and_soft_tissue", "soft_tissue", "nothing"] = "bone_and_soft_tissue"
    systematic_deg: Vector = 0.0
    random_deg: Vector = 0.0
    pivot_mm: Vector | None = None
    patients: int | None = None


class GuidanceTable(Table):
    """``[guidance]``: an `ImageGuidance`."""

    match: Literal["bone", "soft_tissue", "bone_then_soft_tissue"] = "bone_then_soft_tissue"
    action_level_mm: float = 0.0
    mode: Literal["any_axis", "per_axis", "vector"] = "any_axis"
    matching_sd_mm: Vector = 0.0
    matching_systematic_mm: Vector = 0.0
    bone_matching_sd_mm: Vector | None = None
    bone_matching_systematic_mm: Vector | None = None
    couch_sd_mm: Vector = 0.0
    drift_sd_mm: Vector = 0.0
    corrected_from: Literal["each", "nal"] = "each"
    nal_fractions: int = 3


class VariationTable(Table):
    """``[breathing.variation]``: a `Variation`."""

    amplitude_mm: float = 0.0
    period_s: float = 0.0
    baseline_mm: Vector = 0.0
    correlation: float = 0.5
    amplitude_between_mm: float = 0.0
    drift_mm: Vector = 0.0
    baseline_shift_mm: Vector = 0.0


class BreathingTable(Table):
    """``[breathing]``: a `Breathing`, from a preset, an amplitude, or a trace."""

    reference: Annotated[Any, BeforeValidator(_reference)]
    reference_seen_by: Literal["nothing", "soft_tissue"] = "nothing"
    variation: Annotated[
        Annotated[Literal["none", "free", "coached"], Tag(WORD)] | Annotated[VariationTable, Tag(TABLE)],
        Discriminator(_kind),
    ] = "none"
    inhale: Vector | None = None
    # one of these three
    preset: str | None = None
    amplitude_mm: Vector | None = None
    trace: str | list[str] | None = None
    # with an amplitude
    amplitude_sd_mm: Vector = 0.0
    amplitude_correlation: float = 1.0
    period_s: float = 4.0
    n: int = 3
    phase: float = 0.0
    lag: Vector = 0.0
    # with a trace
    axes: str | None = None
    patient_position: str | None = None
    units: str | None = None
    time_units: str | None = None
    scale: Vector | None = None
    column: str | None = None
    block_s: float = 20.0


class DoseTable(Table):
    """``[dose]``: an idealised dose, or one from a file."""

    prescription_gy: float | None = None
    # idealised: conformal to the PTV
    penumbra_mm: Vector = 3.2
    edge_level: float = 0.95
    prescribed_to: Literal["plateau", "edge"] = "plateau"
    # from a file
    file: str | None = None
    units: Literal["Gy", "cGy"] | None = None
    covers: float | None = None


class LimitTable(Table):
    """``[[limits]]``: a `DoseLimit`."""

    structure: str
    metric: str
    at_most: float | None = None
    at_least: float | None = None


class LimitsFile(Table):
    """A file of limits."""

    limits: list[LimitTable] = []


class SimulationTable(Table):
    """``[simulation]``: how many, how often, how sure."""

    fractions: int = 1
    fraction_s: float = 90.0
    patients: int = 1000
    samples: int | None = None
    seed: int = 0
    precision: float | None = None


class RangeTable(Table):
    """From `low` to `high`, for a sweep by lhs or sobol."""

    low: float
    high: float


class SweepTable(Table):
    """``[sweep]``: which values of which keys are tried; ``parameters`` names keys of this file with their values."""

    method: Literal["grid", "lhs", "sobol"] = "grid"
    points: int | None = None
    parameters: dict[str, list[Any] | RangeTable] = {}


class StudyFile(Table):
    """The whole file."""

    cases: CaseTable = CaseTable()
    targets: TargetsTable | None = None
    errors: list[ErrorTable] = []
    guidance: GuidanceTable | None = None
    breathing: BreathingTable | None = None
    dose: DoseTable | None = None
    simulation: SimulationTable = SimulationTable()
    sweep: SweepTable | None = None
