"""`ptvkit measure`: a motion trace, a table of daily shifts, one patient of it, or the margin between CTV and PTV."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ptvkit.cli import groups
from ptvkit.cli.declared import Option, Words, argument, option
from ptvkit.cli.printing import print_json, print_rows, say, shown_warnings
from ptvkit.cli.texts import place, triple
from ptvkit.errors import FileError, MotionError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ptvkit.analysis.personal import PersonalMargin
    from ptvkit.motion.cycles import TraceStatistics
    from ptvkit.motion.population import SetupStatistics
    from ptvkit.motion.setup import SetupError
    from ptvkit.motion.trajectory import Trajectory

FILE: Final = argument(
    "file", "A CSV file with a header, or a .vxp: a trace has a time column, daily shifts have patients; or a CTV.",
    is_required=True,
)  # fmt: skip
SECOND: Final = argument("ptv", "Of a CTV: its PTV, to measure the margin between the two.")
AXES: Final = (
    option("--axes", "IEC61217, or three letters that say where x, y, z point, such as RAS."),
    option("--patient-position", "For IEC61217: HFS, HFP, FFS, …"),
    option("--units", "Where the header does not say: mm, cm or m."),
)
OF_TRACE: Final[tuple[Option, ...]] = (
    option("--time-units", "Where the header does not say: s, ms or min.", panel="Traces"),
    option(
        "--scale",
        "For a surrogate: the target's mm LR,AP,SI for each mm of it.",
        metavar="LR,AP,SI",
        value=triple,
        panel="Traces",
    ),
    option("--column", "The surrogate's column, where there are several.", panel="Traces"),
    option("--rotation-order", "In which order angles are applied: LR,SI,AP is about LR first.", panel="Traces"),
    option("--picture -p", "Draw it to this PNG file.", metavar="FILE", value=place, panel="Traces"),
)
OF_SHIFTS: Final[tuple[Option, ...]] = (
    option(
        "--sign",
        "displacement: where the anatomy was; couch: how the couch was moved to correct that.",
        panel="Daily shifts",
    ),
    option(
        "--matching-sd",
        "SD of the matching error in the shifts, LR,AP,SI in mm; taken off σ.",
        value=triple,
        panel="Daily shifts",
    ),
    option(
        "--matching-systematic",
        "The same of its systematic part; taken off Σ.",
        value=triple,
        panel="Daily shifts",
    ),
    option(
        "--allow-gaps",
        "Numbered fractions may be missing in the log.",
        kind=bool,
        panel="Daily shifts",
    ),
)
OF_PATIENT: Final[tuple[Option, ...]] = (
    option("--patient", "Correction and remaining margin of this patient.", metavar="NAME", panel="One patient"),
    option(
        "--prior",
        "Σ,σ in mm, or LR,AP,SI/LR,AP,SI, or a CSV file of other patients; by default the others of the log.",
        metavar="Σ,σ|FILE",
        panel="One patient",
    ),
    replace(groups.PENUMBRA, key=None, help="σp of the margin, mm.", panel="One patient"),
)
OPTIONS: Final = (FILE, SECOND, *AXES, *OF_TRACE, *OF_SHIFTS, *OF_PATIENT, groups.JSON)


def measure(words: Words) -> None:
    """Statistics of a measured file.

    A file with a time column is a motion trace: range, breaths, period, drift, where the time is spent. One with
    patients and fractions holds daily set-up shifts: M, Σ and σ, with 95 % intervals by the size of the sample; with
    --patient the correction of one patient and the margin that remains. A CTV and a PTV hold a margin: how far the CTV
    can move in each direction, and where the PTV is thinnest.
    """
    if words["ptv"] is not None:
        kind, what, other = margin, "a structure", (*AXES, *OF_TRACE, *OF_SHIFTS, *OF_PATIENT)
    elif is_trace(Path(words["file"])):
        kind, what, other = trace, "a trace", (*OF_SHIFTS, *OF_PATIENT)
    else:
        of_one = words["patient"] is not None
        kind, what, other = personal if of_one else shifts, "a table of shifts", OF_TRACE
        other = other if of_one else (*other, *OF_PATIENT)
    for one in other:
        if words[one.name] is not None:
            more = "; with --patient" if one in OF_PATIENT and kind is shifts else "; leave it out"
            raise MotionError(f"{one.label(words[one.name])}: {words['file']} is {what}{more}")
    kind(words)


def trace(words: Words) -> None:
    """Statistics of a motion trace: range, breaths, period, drift, where the time is spent."""
    from ptvkit.io.files import refuse_overwrite
    from ptvkit.io.traces import read_trace
    from ptvkit.motion.cycles import trace_statistics

    file, picture = Path(words["file"]), words["picture"]
    names = ("axes", "patient_position", "units", "time_units", "scale", "column", "rotation_order")
    with shown_warnings() as warned:
        if picture is not None:
            refuse_overwrite([picture], [file])
        recorded = read_trace(file, **{name: words[name] for name in names})
        statistics = trace_statistics(recorded)
        if picture is not None:
            from ptvkit.report.style import save_figure
            from ptvkit.report.trace_chart import trace_figure

            save_figure(trace_figure(recorded, statistics, title=file.name), picture)
    if words.json:
        print_json(trace_as_json(recorded, statistics, warned), "trace")
    else:
        print_trace(recorded, statistics)


def shifts(words: Words) -> None:
    """Population statistics of daily set-up shifts: M, Σ and σ, with 95 % intervals by the size of the sample."""
    from dataclasses import asdict

    from ptvkit.motion.population import setup_statistics

    with shown_warnings() as warned:
        daily = read_daily(Path(words["file"]), words)
        statistics = setup_statistics(
            list(daily.values()),
            matching_sd_mm=words["matching_sd"] or 0.0,
            matching_systematic_mm=words["matching_systematic"] or 0.0,
        )
    if words.json:
        values = {name: one.tolist() if hasattr(one, "tolist") else one for name, one in asdict(statistics).items()}
        print_json({**values, "warnings": warned}, "setup-stats")
    else:
        print_shifts(statistics, words["file"])


def read_daily(file: Path, words: Words) -> "dict[str, NDArray[np.float64]]":
    """Displacements (N, 3) of each patient of a log."""
    from ptvkit.io.columns import read_columns
    from ptvkit.io.shifts import read_shifts, stated_sign

    if words["sign"] is None and stated_sign(read_columns(file)) is None:
        raise MotionError("--sign: say displacement (where the anatomy was) or couch (how the couch was moved)")
    names = ("sign", "axes", "patient_position", "units")
    return read_shifts(file, **{name: words[name] for name in names}, allow_gaps=bool(words["allow_gaps"]))


def personal(words: Words) -> None:
    """Correction to make for one patient, and the margin that remains, from a prior and the shifts so far."""
    from dataclasses import asdict

    from ptvkit.analysis.personal import personal_margin

    name, matching = words["patient"], words["matching_sd"] or 0.0
    with shown_warnings() as warned:
        daily = read_daily(Path(words["file"]), words)
        if name not in daily:
            raise MotionError(f"--patient {name}: {words['file']} has {', '.join(list(daily)[:10])}")
        prior, source = prior_of(words, {other: own for other, own in daily.items() if other != name})
        penumbra = {} if words["penumbra"] is None else {"penumbra_mm": words["penumbra"]}
        own = personal_margin(daily[name], prior, matching_sd_mm=matching, **penumbra)
    if words.json:
        values = {key: one.tolist() if hasattr(one, "tolist") else one for key, one in asdict(own).items()}
        print_json({"patient": name, "prior": source, **values, "warnings": warned}, "personal")
    else:
        print_personal(own, name, source)


def prior_of(words: Words, others: "dict[str, NDArray[np.float64]]") -> "tuple[SetupError, str]":
    """The prior and where it comes from: numbers, the log of a clinic, or the other patients of the log."""
    from ptvkit.motion.population import setup_statistics
    from ptvkit.motion.setup import SetupError

    text = words["prior"]
    if text is not None and not Path(text).is_file():
        systematic, random = prior_numbers(text)
        return SetupError(name="prior", systematic_mm=systematic, random_mm=random), f"Σ, σ = {text}"
    is_own = text is None or Path(text).samefile(words["file"])  # then the patient's own days are no prior
    daily = others if text is None or is_own else read_daily(Path(text), words)
    source = words["file"] if text is None else text
    if len(daily) < 2:
        raise MotionError(
            f"{source}: a prior needs at least 2 other patients, found {len(daily)}; give --prior Σ,σ, or a larger log"
        )
    statistics = setup_statistics(
        list(daily.values()),
        matching_sd_mm=words["matching_sd"] or 0.0,
        matching_systematic_mm=words["matching_systematic"] or 0.0,
    )
    return statistics.as_error("prior"), f"{len(daily)} patients of {source}"


def prior_numbers(text: str) -> tuple[Any, Any]:
    """``Σ,σ``, or ``LR,AP,SI/LR,AP,SI``.

    Examples
    --------
    >>> prior_numbers("3,2"), prior_numbers("2,2,3/1")
    ((3.0, 2.0), ([2.0, 2.0, 3.0], 1.0))
    """
    systematic, slash, random = text.partition("/")
    if not slash:
        systematic, _, random = text.partition(",")
    try:
        return triple(systematic), triple(random)
    except MotionError:
        raise MotionError(
            f"--prior {text}: give Σ,σ in mm, or LR,AP,SI/LR,AP,SI, or an existing CSV file of other patients"
        ) from None


def margin(words: Words) -> None:
    """The margin that an existing pair of CTV and PTV holds."""
    from ptvkit.io.dicom.frames import refuse_other_frames
    from ptvkit.io.naming import StructureRef
    from ptvkit.margins.between import margin_between

    refs = [StructureRef.parse(words[name]) for name in ("file", "ptv")]
    with shown_warnings() as warned:
        for ref in refs:
            ref.check()
        refuse_other_frames([path for ref in refs for path in ref.files()])
        held = margin_between(*(ref.read() for ref in refs))
    if words.json:
        print_json({**held.as_json(), "warnings": warned}, "margin")
        return
    rows = [("mm", *held.letters), ("the CTV can move", *(f"{mm:.1f}" for mm in held.letters.values()))]
    place = ", ".join(f"{mm:.1f}" for mm in held.least_at_mm)
    caption = f"thinnest: {round(held.least_mm, 1) + 0.0:.1f} mm towards {held.least_towards}, at ({place}) mm R, A, S"
    print_rows(rows, f"{words['file']} in {words['ptv']}", caption)


def print_personal(own: "PersonalMargin", name: str, source: str) -> None:
    """A line for each figure, and what the sign of the correction means."""

    def row(title: str, values: Any, form: str = "+.2f") -> tuple[str, ...]:
        return (title, *(f"{value:{form}}" for value in values))

    rows: list[tuple[str, ...]] = [("mm", "LR", "AP", "SI"), row("mean displacement", own.mean_mm)]
    rows += [row("share believed", own.shrinkage, ".2f"), row("CORRECTION", own.correction_mm)]
    rows += [row("systematic SD that remains", own.remaining_sd_mm, ".2f")]
    rows += [row("margin before any shift", own.uncorrected_margin_mm, ".2f"), row("margin now", own.margin_mm, ".2f")]
    if own.margin_interval_mm is not None:
        ends = own.margin_interval_mm.T
        rows.append(("by the size of the prior's sample", *(f"{low:.2f}–{high:.2f}" for low, high in ends)))
    if own.nal_margin_mm is not None:
        rows.append(row("margin if the whole mean is corrected", own.nal_margin_mm, ".2f"))
    caption = (
        f"{own.shifts} shifts; prior: {source}. Positive towards R, A, S. The correction moves the anatomy, and the"
        " couch that carries it, by this much: it is minus the displacement. Margins: 2.5Σ + 1.64(√(σ² + σp²) − σp)"
    )
    print_rows(rows, f"Patient {name}", caption)


COMMANDS: Final = (("measure", measure, OPTIONS),)
OLD_COMMANDS: Final = (
    ("trace", trace, (FILE, *AXES, *OF_TRACE, groups.JSON)),
    ("setup-stats", shifts, (FILE, *AXES, *OF_SHIFTS, groups.JSON)),
)


def is_trace(file: Path) -> bool:
    """Whether a file is a trace, by its columns; else it is a table of shifts.

    Raises
    ------
    FileError
        When it is neither, or both.
    """
    from ptvkit.io.columns import column_named, read_columns
    from ptvkit.io.shifts import FRACTION_NAMES, PATIENT_NAMES
    from ptvkit.io.traces import TIME_NAMES

    if file.suffix.lower() == ".vxp":
        return True
    columns = read_columns(file)
    has_time, has_patient, has_fraction = (
        column_named(columns, names) is not None for names in (TIME_NAMES, PATIENT_NAMES, FRACTION_NAMES)
    )
    if has_time == (has_patient and has_fraction):
        raise FileError(
            f"{file}: has columns {', '.join(columns.names)}; a trace needs a time (t_s), daily shifts need patient and"
            " fraction, and no file has both"
        )
    return has_time


def trace_as_json(trace: "Trajectory", found: "TraceStatistics", warned: list[str]) -> dict[str, Any]:
    """Statistics as plain values; triples are LR, AP, SI."""
    from ptvkit.motion.cycles import position_histogram

    edges, density = position_histogram(trace)
    content: dict[str, Any] = {
        "trace": trace.name,
        "samples": found.samples,
        "duration_s": found.duration_s,
        "interval_s": found.interval_s,
        "largest_gap_s": found.largest_gap_s,
        **{
            name: getattr(found, name).tolist()
            for name in ("mean_mm", "sd_mm", "range_mm", "range95_mm", "drift_mm_per_min", "duty")
        },
        "position_pdf": {"edges_mm": edges.tolist(), "density_per_mm": density.tolist()},
        "breaths": None,
        "warnings": warned,
    }
    if found.cycles is not None:
        content["breaths"] = {
            "axis": found.cycles.axis.tolist(),
            "amplitude_mm": found.cycles.amplitude_mm.tolist(),
            "period_s": found.cycles.period_s.tolist(),
        }
    if found.rotation_sd_deg is not None:
        names = ("rotation_mean_deg", "rotation_sd_deg", "rotation_range_deg")
        content |= {name: getattr(found, name).tolist() for name in names}
    return content


def print_trace(trace: "Trajectory", statistics: "TraceStatistics") -> None:
    """Two tables: each axis, and the breaths along the main axis."""
    rows: list[tuple[str, ...]] = [("mm", "LR", "AP", "SI")]
    rows += [
        (name, *(f"{value:.2f}" for value in values))
        for name, values in (
            ("range", statistics.range_mm),
            ("95 % range", statistics.range95_mm),
            ("SD", statistics.sd_mm),
            ("mean", statistics.mean_mm),
            ("drift per minute", statistics.drift_mm_per_min),
        )
    ]
    if statistics.rotation_sd_deg is not None and statistics.rotation_range_deg is not None:
        for name, values in (("range, degrees", statistics.rotation_range_deg), ("SD", statistics.rotation_sd_deg)):
            rows.append((f"rotation {name}", *(f"{value:.2f}" for value in values)))
    title = (
        f"{Path(trace.name).name}: {statistics.samples} samples in {statistics.duration_s:.1f} s, every"
        f" {statistics.interval_s:.3g} s (largest gap {statistics.largest_gap_s:.3g} s)"
    )
    print_rows(rows, title, "positive towards R, A, S")
    print_breaths(statistics)


def print_breaths(statistics: "TraceStatistics") -> None:
    """Amplitude and period of the breaths, and where the time is spent."""
    import numpy as np

    if statistics.cycles is None:
        say("No breaths were detected.")
        return
    axis = ", ".join(f"{v:+.2f}" for v in statistics.cycles.axis)
    say(f"Breaths along ({axis}), towards where it spends less time:")
    for name, values, unit in (
        ("amplitude", statistics.cycles.amplitude_mm, "mm"),
        ("period", statistics.cycles.period_s, "s"),
    ):
        sd = np.std(values, ddof=1) if len(values) > 1 else 0.0
        say(
            f"  {name:9} {np.mean(values):6.2f} {unit}, SD {sd:.2f}, median {np.median(values):.2f},"
            f" {np.min(values):.2f} to {np.max(values):.2f} ({len(values)})"
        )
    shares = "  ".join(f"{share:.0%}" for share in statistics.duty)
    say(f"  time in each tenth of the 95 % range: {shares}")


def print_shifts(statistics: "SetupStatistics", file: str) -> None:
    """A line for each figure."""
    rows: list[tuple[str, ...]] = [("mm", "LR", "AP", "SI")]
    rows.append(("M", *(f"{value:.2f}" for value in statistics.mean_mm)))
    between = (statistics.apparent_systematic_mm, *statistics.systematic_interval_mm)
    rows.append(("Σ, SD of patient means", *_with_interval(*between)))
    rows.append(("Σ, less what σ brings into it", *(f"{value:.2f}" for value in statistics.systematic_mm)))
    rows.append(("σ", *_with_interval(statistics.random_mm, *statistics.random_interval_mm)))
    caption = (
        f"{statistics.patients} patients, {statistics.fractions:.1f} fractions each; positive towards R, A, S; in"
        " brackets 95 % by the size of the sample"
    )
    print_rows(rows, file, caption)


def _with_interval(values: Any, low: Any, high: Any) -> list[str]:
    return [f"{v:.2f} ({a:.2f}–{b:.2f})" for v, a, b in zip(values, low, high, strict=True)]
