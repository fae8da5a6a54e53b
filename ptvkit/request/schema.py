"""The schema of a request: its tables and keys, the same in TOML, on the command line and in Python."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Tag

from ptvkit.errors import MarginError
from ptvkit.margins.margin import as_margin

WORD, TABLE = "<word>", "<table>"
LARGEST = 1e100
"""Upper limit of numbers; the largest TOML integers cannot be represented as floats."""


@dataclass(frozen=True, slots=True)
class Names:
    """Mark of a key whose text names files.

    Attributes
    ----------
    kind : {"file", "structure", "grid", "cases"}
        A file; a structure in a file (``FILE``, ``FILE:NAME``, ``:NAME`` of the case's own file, ``phantom:NAME``); an
        image or a spacing; a file, a folder or a pattern of cases.
    """

    kind: Literal["file", "structure", "grid", "cases"]


def _vector(value: Any) -> Any:
    """One number, or three."""
    numbers = value if isinstance(value, list) else [value]
    is_numeric = all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < LARGEST for v in numbers)
    if not is_numeric or (isinstance(value, list) and len(value) != 3):
        raise ValueError("needs one number or three, [LR, AP, SI]")
    return value


def _reference(value: Any) -> Any:
    return value if isinstance(value, str) else _vector(value)


def _kind(value: Any) -> str:
    return WORD if isinstance(value, str) else TABLE


def _margin(value: Any, *, name_sides: bool = False) -> Any:
    """A margin: a number, text, or a table of letters, axes and ``all``; kept as written."""
    try:
        as_margin(value, "margin", name_sides=name_sides)
    except MarginError as error:
        raise ValueError(str(error).removeprefix("margin: ")) from None
    return value


def _sides(value: Any) -> Any:
    """A breathing margin with named sides."""
    return _margin(value or 0.0, name_sides=True)


MarginValue = Annotated[Any, BeforeValidator(_margin)]
SidesValue = Annotated[Any, BeforeValidator(_sides)]
Vector = Annotated[Any, BeforeValidator(_vector)]
FileName = Annotated[str, Names("file")]
StructureName = Annotated[str, Names("structure")]
GridName = Annotated[str, Names("grid")]
CaseNames = Annotated[str, Names("cases")]


class Table(BaseModel):
    """A table of the file: unknown keys are refused, numbers are not read from text."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class CaseTable(Table):
    """``[cases]``: the files; paths are relative to the study file."""

    # one case: a GTV from which targets are made, or a CTV and its PTV
    gtv: StructureName | None = None
    ctv: StructureName | None = None
    ptv: StructureName | None = None
    image: FileName | None = None
    # many: a mask, a folder, a pattern, or several of them; phantom:gtv is the built-in phantom's
    masks: CaseNames | list[CaseNames] | None = None
    label: int | str | None = None
    manifest: FileName | None = None


class LesionTable(Table):
    """``[targets.lesions.N]``: margins of one lesion, 1 is the largest; unset keys default to ``[targets]``."""

    ctv: MarginValue | None = None
    ptv: MarginValue | None = None


class TargetsTable(Table):
    """``[targets]``: from a GTV to CTV and PTV, mm; a margin is a number, text, or a table of letters or axes."""

    ctv: MarginValue = 0.0
    ptv: MarginValue = 0.0
    # cases.gtv is then a folder of phases
    motion: Literal["itv", "mid_ventilation", "mid_position"] | float | None = None
    breathing: SidesValue = 0.0
    breathing_shape: Literal["semi_axes", "sweep"] = "semi_axes"
    limit: StructureName | None = None
    avoid: StructureName | list[StructureName] = []
    clearance_mm: float = 0.0
    eval_limit: StructureName | None = None
    eval_depth_mm: float = 0.0
    eval_avoid: StructureName | list[StructureName] = []
    organ: StructureName | None = None
    lesion: int | Literal["all", "largest"] = "all"
    lesions: dict[str, LesionTable] = {}
    grid: float | GridName | None = None
    pad: bool = False
    allow_cut: bool = False


class ErrorTable(Table):
    """``[[errors]]``: a `SetupError`."""

    name: str = "set-up"
    mean_mm: Vector = 0.0
    systematic_mm: Vector = 0.0
    random_mm: Vector = 0.0
    trend_mm: Vector = 0.0
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
    soft_tissue_sees: Literal["like_phase", "time_mean", "nothing"] = "like_phase"
    blur_sd_mm: Vector = 0.0
    corrected_from: Literal["each", "nal", "enal", "sal", "posterior"] = "each"
    nal_fractions: int = 3
    image_every: int = 5
    prior_systematic_mm: Vector = 0.0
    prior_random_mm: Vector = 0.0
    prior_trend_mm: Vector = 0.0


class IntrafractionTable(Table):
    """``[intrafraction]``: an `Intrafraction`; the beam is on for ``simulation.fraction_s``."""

    rate_mm_per_min: Vector = 0.0
    rate_between_mm_per_min: Vector = 0.0
    rate_within_mm_per_min: Vector = 0.0
    walk_mm2_per_min: Vector = 0.0
    walk_step_s: float = 1.0
    image_every_min: float | None = None
    image_delay_min: float = 0.0
    action_level_mm: float = 0.0
    mode: Literal["any_axis", "per_axis", "vector"] = "any_axis"
    image_sees: Literal["bone", "soft_tissue"] = "soft_tissue"
    matching_sd_mm: Vector = 0.0
    adaptation_min: float | None = None
    contour_sd_mm: Vector = 0.0


class ShapeChangeTable(Table):
    """``[shape_change]``: a `ShapeChange`."""

    mm_per_day: float = 0.0
    sd_mm_per_day: float = 0.0
    first_day: float = 7.0
    days_per_fraction: float = 1.4


class VariationTable(Table):
    """``[breathing.variation]``: a `Variation`."""

    amplitude_mm: float = 0.0
    period_s: float = 0.0
    baseline_mm: Vector = 0.0
    correlation: float = 0.5
    amplitude_between_mm: float = 0.0
    drift_mm: Vector = 0.0
    drift_mean_mm: Vector = 0.0
    baseline_shift_mm: Vector = 0.0


class BreathingTable(Table):
    """``[breathing]``: a `Breathing`, from a preset, an amplitude, a trace, or phases."""

    reference: Annotated[Any, BeforeValidator(_reference)]
    reference_seen_by: Literal["nothing", "soft_tissue"] = "nothing"
    variation: Annotated[
        Annotated[Literal["none", "free", "coached"], Tag(WORD)] | Annotated[VariationTable, Tag(TABLE)],
        Discriminator(_kind),
    ] = "none"
    inhale: Vector | None = None
    # one of these four
    preset: str | None = None
    amplitude_mm: Vector | None = None
    trace: FileName | list[FileName] | None = None
    phases: StructureName | None = None
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
    rotation_order: str | None = None
    block_s: float | None = None


def _latency(value: Any) -> Any:
    """One number, or two: on and off."""
    numbers = value if isinstance(value, list) else [value]
    is_numeric = all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < LARGEST for v in numbers)
    if not is_numeric or len(numbers) not in (1, 2):
        raise ValueError("needs one number, or two, [on, off]")
    return value


class ManagementTable(Table):
    """``[management]``: a `Gate`, `BreathHold`, `Tracking` or `Compression`; each kind has keys of its own."""

    kind: Literal["gate", "breath_hold", "tracking", "compression"]
    # a gate
    at: Literal["exhale", "inhale"] = "exhale"
    duty: float | None = None
    window_mm: float | None = None
    by: Literal["amplitude", "phase"] = "amplitude"
    phase_offset: float = 0.0
    follows_baseline: bool = True
    planned: Literal["reference", "gate"] = "reference"
    # a breath hold
    between_sd_mm: Vector = 0.0
    within_sd_mm: Vector = 0.0
    drift_mm_per_s: Vector = 0.0
    drift_sd_mm_per_s: Vector = 0.0
    hold_s: float = 20.0
    rest_s: float = 20.0
    holds: int | None = None
    verified: bool = False
    # tracking; latency_s and correlation_sd_mm are a gate's too
    system: Literal["robotic", "mlc", "couch"] | None = None
    latency_s: Annotated[Any, BeforeValidator(_latency)] = 0.0
    predictor: Literal["none", "linear"] = "none"
    correlation_sd_mm: Vector = 0.0
    noise_sd_mm: Vector = 0.0
    interval_s: float = 0.1
    update_s: float = 0.0
    range_mm: Vector | None = None
    # compression: one of the two
    factor: Vector | None = None
    preset: str | None = None


class DoseTable(Table):
    """``[dose]``: an idealised dose, or one from a file."""

    prescription_gy: float | None = None
    # idealised: conformal to the PTV
    penumbra_mm: Vector = 3.2
    edge_level: float = 0.95
    prescribed_to: Literal["plateau", "edge"] = "plateau"
    # from a file
    file: FileName | None = None
    units: Literal["Gy", "cGy"] | None = None
    covers: float | None = None


class PartTable(DoseTable):
    """``[[parts]]``: a `Part` of a treatment, with a dose as ``[dose]`` has it."""

    name: str
    fractions: int
    fraction_s: float | None = None
    fraction_gy: float | None = None
    # what its dose conforms to, and what `covers` is a share of; by default the case's PTV
    structure: StructureName | None = None
    margin: MarginValue = 0.0
    # of a new planning CT; its GTV, to see how the lesions changed since the first part that names its own
    gtv: StructureName | None = None
    frame: str | None = None
    transform: list[list[float]] | None = None
    # in place of what all parts have
    errors: list[ErrorTable] | None = None
    guidance: GuidanceTable | None = None
    breathing: BreathingTable | None = None


class OrganTable(Table):
    """``[treatment.structures.NAME]``: what gets dose beside the CTV."""

    structure: StructureName
    alpha_beta_gy: float | None = None


class TreatmentTable(Table):
    """``[treatment]``: what the parts have in common."""

    shared: list[str] = []
    alpha_beta_gy: float | None = None
    quantity: Literal["eqd2", "bed"] = "eqd2"
    metrics: list[str] = []
    structures: dict[str, OrganTable] = {}


class LimitTable(Table):
    """``[[limits]]``: a `DoseLimit`."""

    structure: str
    metric: str
    at_most: float | None = None
    at_least: float | None = None
    quantity: Literal["physical", "eqd2", "bed"] = "physical"


class LimitsFile(Table):
    """A file of limits."""

    limits: list[LimitTable] = []


class CriteriaTable(Table):
    """``[criteria]``: criterion of a margin, and share of patients."""

    criterion: str = "dmin>=0.95"
    population: float = 0.9
    shape: Literal["isotropic", "per_axis", "six"] = "isotropic"


class SimulationTable(Table):
    """``[simulation]``: number of patients, samples, and precision."""

    fractions: int = 1
    fraction_s: float = 90.0
    patients: int = 1000
    samples: int | None = None
    seed: int = 0
    precision: float | None = None
    method: Literal["sampled", "exact"] = "sampled"


class RangeTable(Table):
    """Values of a swept parameter: from `low` to `high`, or a distribution."""

    distribution: Literal["uniform", "triangular", "normal", "lognormal"] = "uniform"
    low: float | None = None
    high: float | None = None
    mode: float | None = None
    mean: float | None = None
    sd: float | None = None


class SweepTable(Table):
    """``[sweep]``: keys and values of the sweep; ``parameters`` names keys of this file with their values."""

    method: Literal["grid", "lhs", "sobol", "sensitivity", "one_at_a_time"] = "grid"
    points: int | None = None
    parameters: dict[str, list[Any] | RangeTable] = {}


class OutputTable(Table):
    """``[output]``: additional output files."""

    page: bool = True
    picture: bool = False
    pictures: bool = True
    maps: bool = True
    rtstruct: bool = False
    bids: bool = False
    patients: bool = False


class Tables(Table):
    """A whole request."""

    cases: CaseTable = CaseTable()
    targets: TargetsTable | None = None
    errors: list[ErrorTable] = []
    guidance: GuidanceTable | None = None
    breathing: BreathingTable | None = None
    intrafraction: IntrafractionTable | None = None
    shape_change: ShapeChangeTable | None = None
    management: ManagementTable | None = None
    dose: DoseTable | None = None
    parts: list[PartTable] = []
    treatment: TreatmentTable | None = None
    limits: list[LimitTable] = []
    criteria: CriteriaTable = CriteriaTable()
    simulation: SimulationTable = SimulationTable()
    sweep: SweepTable | None = None
    output: OutputTable = OutputTable()


DISPLACING: Final = ("errors", "guidance", "breathing", "management", "intrafraction", "shape_change")
"""Tables that say what displaces a target."""
