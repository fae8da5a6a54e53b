"""From a request to the values that it describes: courses and doses; the files that it names are read."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from ptvkit.dose.conformal import conformal_dose
from ptvkit.dose.dose import Dose
from ptvkit.dose.prescription import prescribe
from ptvkit.errors import DoseError, MotionError
from ptvkit.io.dose import read_dose
from ptvkit.io.traces import read_trace
from ptvkit.motion.breathing import Breathing
from ptvkit.motion.course import Course
from ptvkit.motion.coverage import Structure
from ptvkit.motion.guidance import ImageGuidance
from ptvkit.motion.setup import SetupError
from ptvkit.motion.variation import Variation
from ptvkit.request.request import Request
from ptvkit.request.schema import BreathingTable, DoseTable, VariationTable

Value = TypeVar("Value")

OF_TRACE: Final = ("axes", "patient_position", "units", "time_units", "scale", "column")
OF_WAVE: Final = ("amplitude_sd_mm", "amplitude_correlation", "period_s", "n", "phase", "lag")


def course_of(request: Request) -> Course:
    """The course that a request describes; traces are read.

    Raises
    ------
    FileError, MotionError
        Naming the table whose value cannot be used.
    """
    study, source = request.tables, request.source
    setup = [
        _made(source, f"[[errors]] {number}", partial(SetupError, **table.model_dump()))
        for number, table in enumerate(study.errors, start=1)
    ]
    guidance = breathing = None
    if study.guidance is not None:
        guidance = _made(source, "[guidance]", partial(ImageGuidance, **study.guidance.model_dump()))
    if study.breathing is not None:
        breathing = _made(source, "[breathing]", partial(_breathing, study.breathing))
    asked = study.simulation
    course = partial(Course, setup=setup, guidance=guidance, breathing=breathing)
    return _made(source, "[simulation]", partial(course, fractions=asked.fractions, fraction_s=asked.fraction_s))


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


def require_motion(course: Course) -> None:
    """Refuse a course in which nothing moves.

    Raises
    ------
    MotionError
    """
    if not course.setup and course.breathing is None and course.guidance is None:
        raise MotionError("nothing displaces the target; give errors, breathing, or a study such as liver-protocol")


def dose_of(request: Request, ptv: Structure) -> Dose | None:
    """The dose that a request describes, idealised from the PTV or from a file; None when it describes none.

    Raises
    ------
    FileError, DoseError
        Naming the table whose value cannot be used.
    """
    table = request.tables.dose
    return None if table is None else _made(request.source, "[dose]", partial(_dose, table, ptv))


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


def _made(source: str, where: str, make: Callable[[], Value]) -> Value:
    try:
        return make()
    except (MotionError, DoseError) as error:
        raise type(error)(f"{source}: {where}: {error}") from None


def _breathing(table: BreathingTable) -> Breathing:
    given = [name for name in ("preset", "amplitude_mm", "trace") if getattr(table, name) is not None]
    if len(given) != 1:
        raise MotionError(f"give one of preset, amplitude_mm and trace; found {', '.join(given) or 'none'}")
    _refuse_idle(table, given[0])
    vary = table.variation
    common: dict[str, Any] = {
        "reference": table.reference,
        "reference_seen_by": table.reference_seen_by,
        "variation": Variation(**vary.model_dump()) if isinstance(vary, VariationTable) else vary,
    }
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


def _refuse_idle(table: BreathingTable, kind: str) -> None:
    """A key that has no meaning for this kind of breathing is a mistake, not to be passed over."""
    means = {"preset": (), "amplitude_mm": OF_WAVE, "trace": (*OF_TRACE, "block_s")}
    idle = sorted(table.model_fields_set & ({*OF_WAVE, *OF_TRACE, "block_s"} - set(means[kind])))
    if idle:
        raise MotionError(f"{idle[0]} has no meaning with {kind}; remove it")
