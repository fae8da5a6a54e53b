"""From a request to the values that it describes: courses and doses; the files that it names are read."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from ptvkit.dose.conformal import conformal_dose
from ptvkit.dose.dose import Dose
from ptvkit.dose.prescription import prescribe
from ptvkit.errors import DoseError, GridError, MaskError, MotionError
from ptvkit.io.dose import read_dose
from ptvkit.io.phases import phases_named, read_phases
from ptvkit.io.traces import read_trace
from ptvkit.motion.breathing import Breathing
from ptvkit.motion.course import Course
from ptvkit.motion.coverage import Structure
from ptvkit.motion.guidance import ImageGuidance
from ptvkit.motion.intrafraction import Intrafraction
from ptvkit.motion.management.breath_hold import BreathHold
from ptvkit.motion.management.compression import Compression
from ptvkit.motion.management.gate import Gate
from ptvkit.motion.management.management import Management
from ptvkit.motion.management.tracking import Tracking
from ptvkit.motion.setup import SetupError
from ptvkit.motion.shape_change import ShapeChange
from ptvkit.motion.variation import Variation
from ptvkit.request.request import Request
from ptvkit.request.schema import BreathingTable, DoseTable, ManagementTable, VariationTable

Value = TypeVar("Value")

MANAGEMENTS: Final[dict[str, Callable[..., Management]]] = {
    "gate": Gate,
    "breath_hold": BreathHold,
    "tracking": Tracking,
    "compression": Compression,
}
OF_TRACE: Final = ("axes", "patient_position", "units", "time_units", "scale", "column", "rotation_order")
OF_WAVE: Final = ("amplitude_sd_mm", "amplitude_correlation", "period_s", "n", "phase", "lag")


def course_of(request: Request) -> Course:
    """The course that a request describes; traces are read. Of a treatment, the last part that is aimed at the PTV.

    Raises
    ------
    FileError, MotionError
        Naming the table whose value cannot be used.
    """
    if request.tables.parts:
        return course_of(request_of_part(request, part_at_ptv(request)))
    study, source = request.tables, request.source
    setup = [
        made_from(source, f"[[errors]] {number}", partial(SetupError, **table.model_dump()))
        for number, table in enumerate(study.errors, start=1)
    ]
    guidance = breathing = None
    if study.guidance is not None:
        guidance = made_from(source, "[guidance]", partial(ImageGuidance, **study.guidance.model_dump()))
    if study.breathing is not None:
        motion = None if study.targets is None else study.targets.motion
        breathing = made_from(source, "[breathing]", partial(_breathing, study.breathing, motion))
    within = None
    if study.intrafraction is not None:
        within = made_from(source, "[intrafraction]", partial(Intrafraction, **study.intrafraction.model_dump()))
    grown = None
    if study.shape_change is not None:
        grown = made_from(source, "[shape_change]", partial(ShapeChange, **study.shape_change.model_dump()))
    management = None
    if study.management is not None:
        management = made_from(source, "[management]", partial(managed_by, study.management, breathing))
    asked = study.simulation
    course = partial(
        Course,
        setup=setup,
        guidance=guidance,
        breathing=breathing,
        management=management,
        intrafraction=within,
        shape_change=grown,
    )
    return made_from(source, "[simulation]", partial(course, fractions=asked.fractions, fraction_s=asked.fraction_s))


def part_at_ptv(request: Request) -> int:
    """Place of the last part that is aimed at the PTV; of the last part where none is."""
    aimed = [place for place, part in enumerate(request.tables.parts) if part.structure is None]
    return aimed[-1] if aimed else len(request.tables.parts) - 1


def request_of_part(request: Request, place: int) -> Request:
    """The request of one part alone: its fractions, and its own errors, guidance and breathing where it has some."""
    table, content = request.tables.parts[place], request.content["parts"][place]
    own: dict[str, Any] = {key: content[key] for key in ("errors", "guidance", "breathing") if key in content}
    own |= {"parts": None, "treatment": None, "limits": None, "simulation.fractions": table.fractions}
    if table.fraction_s is not None:
        own["simulation.fraction_s"] = table.fraction_s
    return request.with_values(own)


def refuse_exact(request: Request) -> None:
    """Refuse the exact method where patients are needed one by one.

    Raises
    ------
    MotionError
    """
    if request.tables.simulation.method == "exact":
        raise MotionError(
            f"{request.label('simulation.method')}: a study draws patients and cannot use exact; set it to sampled"
        )


OF_MANAGEMENT: Final[dict[str, tuple[str, ...]]] = {
    "gate": (
        *("at", "duty", "window_mm", "by", "phase_offset", "latency_s", "correlation_sd_mm"),
        *("follows_baseline", "planned"),
    ),
    "breath_hold": (
        *("between_sd_mm", "within_sd_mm", "drift_mm_per_s", "drift_sd_mm_per_s"),
        *("hold_s", "rest_s", "holds", "verified"),
    ),
    "tracking": (
        *("latency_s", "predictor", "correlation_sd_mm", "noise_sd_mm", "interval_s", "update_s", "range_mm"),
        "system",
    ),
    "compression": ("factor", "preset"),
}
"""Keys of [management] by its kind."""


def managed_by(table: ManagementTable, breathing: Breathing | None) -> Management:
    """The management of a table, on this breathing.

    Raises
    ------
    MotionError
        When a value cannot be used, or a key has no meaning for the kind.
    """
    idle = sorted(table.model_fields_set - {"kind", *OF_MANAGEMENT[table.kind]})
    if idle:
        raise MotionError(f"{idle[0]} has no meaning for a {table.kind.replace('_', ' ')}; remove it")
    given = {key: getattr(table, key) for key in OF_MANAGEMENT[table.kind] if key in table.model_fields_set}
    system = given.pop("system", None)
    make = MANAGEMENTS[table.kind] if system is None else partial(Tracking.preset, system)
    management = make(**given)
    management.check(breathing)
    return management


def require_motion(course: Course) -> None:
    """Refuse a course in which nothing moves.

    Raises
    ------
    MotionError
    """
    moves = course.guidance, course.intrafraction, course.shape_change
    if not course.setup and not course.breathes and all(one is None for one in moves):
        raise MotionError("nothing displaces the target; give errors, breathing, or a study such as liver-protocol")


def dose_of(request: Request, ptv: Structure) -> Dose | None:
    """The dose that a request describes, idealised from the PTV or from a file; None when it describes none.

    Raises
    ------
    FileError, DoseError
        Naming the table whose value cannot be used.
    """
    table = request.tables.dose
    return None if table is None else made_from(request.source, "[dose]", partial(_dose, table, ptv))


IDEALISED: Final = {"penumbra_mm", "edge_level", "prescribed_to"}
"""Keys of [dose] that describe an idealised dose, without a file."""


def _dose(table: DoseTable, ptv: Structure) -> Dose:
    idle = sorted(table.model_fields_set & ({"units", "covers"} if table.file is None else IDEALISED))
    if idle:
        raise DoseError(f"{idle[0]} has no meaning {'without' if table.file is None else 'with'} file; remove it")
    if table.file is None:
        if table.prescription_gy is None:
            raise DoseError("prescription_gy is missing; the prescription is never guessed")
        return conformal_dose(ptv, table.prescription_gy, table.penumbra_mm, table.edge_level, table.prescribed_to)
    dose = read_dose(table.file, units=table.units, prescription_gy=table.prescription_gy)
    if table.covers is None:
        return dose
    if table.prescription_gy is None:
        raise DoseError("covers needs prescription_gy, what that share of the PTV gets")
    return prescribe(dose, ptv, table.prescription_gy, table.covers)


def made_from(source: str, where: str, make: Callable[[], Value]) -> Value:
    """A value of a table; what cannot be used names the table.

    Raises
    ------
    MotionError, DoseError, MaskError, GridError
    """
    try:
        return make()
    except (MotionError, DoseError, MaskError, GridError) as error:
        raise type(error)(f"{source}: {where}: {error}") from None


def _breathing(table: BreathingTable, motion: str | float | None) -> Breathing:
    given = [name for name in ("preset", "amplitude_mm", "trace", "phases") if getattr(table, name) is not None]
    if len(given) != 1:
        raise MotionError(f"give one of preset, amplitude_mm, trace and phases; found {', '.join(given) or 'none'}")
    _refuse_idle(table, given[0])
    vary = table.variation
    common: dict[str, Any] = {
        "reference": table.reference,
        "reference_seen_by": table.reference_seen_by,
        "variation": Variation(**vary.model_dump()) if isinstance(vary, VariationTable) else vary,
    }
    if table.phases is not None:
        return _of_phases(table, common, motion)
    if table.reference in PLANNED:
        raise MotionError(f"reference {table.reference!r}: has a meaning with phases alone")
    if table.inhale is not None:
        common["inhale"] = table.inhale
    if table.preset is not None:
        return Breathing.preset(table.preset, **common)
    if table.amplitude_mm is not None:
        if table.inhale is None:
            raise MotionError("amplitude_mm needs inhale, its direction on each axis; for a liver [1, 1, -1]")
        return Breathing.lujan(
            amplitude_mm=table.amplitude_mm, **{name: getattr(table, name) for name in OF_WAVE}, **common
        )
    paths = [table.trace] if isinstance(table.trace, str) else table.trace or []
    traces = [read_trace(path, **{name: getattr(table, name) for name in OF_TRACE}) for path in paths]
    return Breathing.from_trace(traces, block_s=table.block_s, **common)


PLANNED: Final = ("planned", "mid_ventilation")
"""References of phases: where targets.motion plans, and the phase nearest to the time mean."""


def _of_phases(table: BreathingTable, common: dict[str, Any], motion: str | float | None) -> Breathing:
    if table.inhale is not None:
        raise MotionError("inhale has no meaning with phases; remove it")
    if table.reference == "planned":
        if motion is None:
            raise MotionError("reference 'planned': needs targets.motion, which says where the phases are planned")
        common["reference"] = "time_mean" if motion in ("itv", "mid_position") else motion
    folder, label = phases_named(str(table.phases))
    period = table.period_s if "period_s" in table.model_fields_set else None
    return Breathing.from_phases(read_phases(folder, label=label), period_s=period, **common)


def _refuse_idle(table: BreathingTable, kind: str) -> None:
    """A key that has no meaning for this kind of breathing is a mistake, not to be passed over."""
    means = {"preset": (), "amplitude_mm": OF_WAVE, "trace": (*OF_TRACE, "block_s"), "phases": ("period_s",)}
    idle = sorted(table.model_fields_set & ({*OF_WAVE, *OF_TRACE, "block_s"} - set(means[kind])))
    if idle:
        raise MotionError(f"{idle[0]} has no meaning with {kind}; remove it")
