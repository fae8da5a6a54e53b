"""Study files: read, checked, and made into the values that the rooms below share."""

import os
import tomllib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from ptvkit.dose.conformal import conformal_dose
from ptvkit.dose.dose import Dose
from ptvkit.dose.prescription import prescribe
from ptvkit.errors import DoseError, FileError, MotionError
from ptvkit.io.columns import decoded
from ptvkit.io.dose import read_dose
from ptvkit.io.files import open_input
from ptvkit.io.traces import read_trace
from ptvkit.motion.breathing import Breathing
from ptvkit.motion.course import Course
from ptvkit.motion.coverage import Structure
from ptvkit.motion.guidance import ImageGuidance
from ptvkit.motion.setup import SetupError
from ptvkit.motion.variation import Variation
from ptvkit.study.lines import line_of
from ptvkit.study.schema import TABLE, WORD, BreathingTable, DoseTable, StudyFile, VariationTable

Value = TypeVar("Value")

BUILT_IN: Final = {"liver-protocol": "liver-protocol.toml"}
"""Study files that come with the package, by name."""
MOST_BYTES: Final = 10_000_000
PATHS: Final = (
    ("cases", ("ctv", "ptv", "image", "masks", "manifest")),
    ("targets", ("limit", "organ")),
    ("breathing", ("trace",)),
    ("dose", ("file",)),
)
"""Keys that hold paths, by table."""
OF_TRACE: Final = ("axes", "patient_position", "units", "time_units", "scale", "column")
OF_WAVE: Final = ("amplitude_sd_mm", "amplitude_correlation", "period_s", "n", "phase", "lag")


def read_study(source: str | os.PathLike[str]) -> dict[str, Any]:
    """Content of a study file, or of a built-in one by its name, as nested tables; paths in it made absolute.

    Raises
    ------
    FileError
        When it cannot be read or is not TOML.
    """
    content = read_toml(source, BUILT_IN)
    if str(source) in BUILT_IN:
        return content
    path = Path(source)
    for table, keys in PATHS:
        found = content.get(table)
        for key in keys if isinstance(found, dict) else ():
            content[table][key] = _beside(path, content[table].get(key))
            if content[table][key] is None:
                del content[table][key]
    return content


def read_toml(source: str | os.PathLike[str], built_in: Mapping[str, str]) -> dict[str, Any]:
    """Content of a TOML file, or of one that comes with the package by its name.

    Raises
    ------
    FileError
    """
    if str(source) in built_in:
        return tomllib.loads(files("ptvkit.study").joinpath(built_in[str(source)]).read_text(encoding="utf-8"))
    path = Path(source)
    with open_input(path, f"a .toml file, or {' or '.join(built_in)}") as file:
        text = decoded(file.read(MOST_BYTES), path)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FileError(f"{path}: is not TOML: {error}") from None


def checked(content: Mapping[str, Any], source: str) -> StudyFile:
    """A study file's content as tables.

    Raises
    ------
    FileError
        Naming the file, the key, and what is legal there; for an unknown key the nearest legal one.
    """
    try:
        return StudyFile.model_validate(dict(content))
    except ValidationError as error:
        raise FileError(f"{_with_line(source, error)}: {told(error, StudyFile)}") from None


def _with_line(source: str, error: ValidationError) -> str:
    """The file, and the line of its first mistake where it has one."""
    place = [part for part in error.errors()[0]["loc"] if part not in (WORD, TABLE)]
    try:
        line = line_of(Path(source).read_text(encoding="utf-8"), place)
    except (OSError, UnicodeDecodeError):  # built in, or options
        return source
    return source if line is None else f"{source}: line {line}"


def course_of(study: StudyFile, source: str) -> Course:
    """The course that a study file describes; traces are read.

    Raises
    ------
    FileError, MotionError
        Naming the table whose value cannot be used.
    """
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


def dose_of(study: StudyFile, ptv: Structure, source: str) -> Dose | None:
    """The dose that a study file describes, idealised from the PTV or from a file; None when it describes none.

    Raises
    ------
    FileError, DoseError
        Naming the table whose value cannot be used.
    """
    table = study.dose
    return None if table is None else _made(source, "[dose]", partial(_dose, table, ptv))


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


def _beside(path: Path, given: Any) -> Any:
    """Paths as they are meant: relative to the file that names them."""
    if isinstance(given, list):
        return [_beside(path, one) for one in given]
    return str(path.parent / given) if isinstance(given, str) and not given.startswith("phantom:") else given


def told(error: ValidationError, model: type[BaseModel]) -> str:
    """The first thing that is wrong, in one line."""
    first = error.errors()[0]
    loc = [part for part in first["loc"] if part not in (WORD, TABLE)]
    where = ".".join(str(part + 1) if isinstance(part, int) else part for part in loc)
    if first["type"] == "extra_forbidden":
        legal = _legal_keys(model, [part for part in loc[:-1] if isinstance(part, str)])
        near = get_close_matches(str(loc[-1]), legal, n=1, cutoff=0.0)
        return f"{where}: no such key; did you mean {near[0]}? Legal are {', '.join(legal)}"
    message = str(first["msg"]).removeprefix("Value error, ")
    found = first.get("input")
    shown = "" if first["type"] == "missing" or isinstance(found, dict) else f", found {found!r}"
    return f"{where}: {message[0].lower()}{message[1:]}{shown}"


def _legal_keys(model: Any, where: list[str]) -> list[str]:
    for part in where:
        model = _model_in(model.model_fields[part].annotation)
    return list(model.model_fields)


def _model_in(annotation: Any) -> Any:
    """The table that an annotation such as ``list[Table] | None`` holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_in(inner)) is not None), None)
