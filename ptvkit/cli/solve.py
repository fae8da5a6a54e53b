"""`ptvkit solve`: the smallest margin that holds for a share of the patients."""

from typing import TYPE_CHECKING, Final

from ptvkit.cli import groups
from ptvkit.cli.declared import Words, argument, option
from ptvkit.cli.printing import print_json, print_rows, remark, say, shown_warnings
from ptvkit.cli.progress import progress_of
from ptvkit.errors import MotionError

if TYPE_CHECKING:
    from ptvkit.analysis.solution import Solution
    from ptvkit.request.request import Request

COURSE: Final = "simulated, given these inputs; a research tool, not a medical device; a physicist reviews"
OWN: Final = "own_trace"
OPTIONS: Final = (
    argument("ctv", "CTV.", "cases.ctv", metavar=groups.STRUCTURE, is_required=True),
    groups.STUDY,
    groups.ERROR,
    groups.BREATHING_MODEL,
    groups.OLD_BREATHING,
    groups.REFERENCE,
    option("--criterion", "dmin>=0.95 (default), d98>=0.95, contained, or coverage>=0.99.", "criteria.criterion"),
    option("--population", "Share of the patients, 0.90 by default.", "criteria.population", kind=float),
    option("--shape", "isotropic (default), per_axis or six.", "criteria.shape"),
    option(
        "--organ",
        "A healthy organ: how much of it each margin takes.",
        "targets.organ",
        metavar=groups.STRUCTURE,
    ),
    groups.PATIENTS,
    groups.FRACTIONS,
    groups.JSON,
    groups.MATCH_IN_PANEL,
    groups.ACTION_LEVEL_IN_PANEL,
    *groups.GUIDANCE,
    option(
        "--own-trace",
        "The patient's own breathing: its margin beside the population's.",
        metavar="FILE",
        panel="Breathing",
    ),
    option("--axes", "The trace's axes: IEC61217, or letters such as RAS.", panel="Breathing"),
    option("--patient-position", "For IEC61217: HFS, HFP, FFS, …", panel="Breathing"),
    groups.MANAGEMENT,
    groups.PENUMBRA,
    groups.EDGE_LEVEL,
    groups.SAMPLES,
    groups.SEED,
    groups.SET,
)


def solve(words: Words) -> None:
    """Find the smallest CTV-to-PTV margin whose criterion holds for a share of the patients."""
    request = words.request(words["study"])
    requests = {"the population": request}
    if words[OWN] is not None:
        requests["this patient's breathing"] = own_request(words, request)
    with shown_warnings() as warned:
        solutions = {whose: solved(one, f"margins for {whose}", words.json) for whose, one in requests.items()}
    if words.json:
        own = {"own": as_json(solutions["this patient's breathing"])} if len(solutions) > 1 else {}
        print_json(as_json(solutions["the population"]) | {"warnings": warned} | own, "solve")
        return
    for whose, solution in solutions.items():
        print_solution(solution, f" for {whose}" if len(solutions) > 1 else "")


COMMANDS: Final = (("solve", solve, OPTIONS),)


def own_request(words: Words, request: "Request") -> "Request":
    """The same with the patient's own trace as the breathing."""
    if request.tables.breathing is None and "breathing.reference" not in words.overrides:
        raise MotionError("--own-trace: give --reference, the position that was planned on, or a --study")
    trace = {"trace": words[OWN], "axes": words["axes"], "patient_position": words["patient_position"]}
    population = {"breathing.preset", "breathing.amplitude_mm", "breathing.trace"}
    kept = {key: value for key, value in words.overrides.items() if key not in population}
    more = {f"breathing.{key}": value for key, value in trace.items() if value is not None}
    labels = {**words.labels, "breathing.trace": f"--own-trace {words[OWN]}"}
    return Words(overrides={**kept, **more}, labels=labels).request(words["study"])


def solved(request: "Request", what: str, json: bool) -> "Solution":
    """The margin of one request; remarks on what of the request is not read go to stderr."""
    from ptvkit.work.solve import run_solve

    with progress_of(what, json=json) as told:
        solution, notes = run_solve(request, progress=told)
    for text in notes:
        remark(text)
    return solution


def as_json(found: "Solution") -> dict[str, object]:
    """A solution as plain values."""
    return {
        "margin_mm": found.margin.letters,
        "scale": {"low": found.scale.low, "high": found.scale.high},
        "criterion": found.criterion,
        "population": found.population,
        "shape": found.shape,
        "reached": {"value": found.reached.value, "low": found.reached.low, "high": found.reached.high},
        "ptv_cc": found.ptv_cc,
        "organ_cc": found.organ_cc,
        "trials": [
            {
                "margin_mm": trial.margin.letters,
                "ptv_cc": trial.ptv_cc,
                "organ_cc": trial.organ_cc,
                "reached": trial.reached.value,
            }
            for trial in found.trials
        ],
        "note": found.note or COURSE,
    }


def print_solution(found: "Solution", whose: str = "") -> None:
    """The trade of volume against the criterion, and the answer."""
    has_organ = found.organ_cc is not None
    rows: list[tuple[str, ...]] = [
        ("R L A P S I, mm", "PTV, cc", *(["organ, cc"] if has_organ else []), found.criterion)
    ]
    for trial in found.trials:
        sides = " ".join(f"{mm:.1f}" for mm in trial.margin.letters.values())
        taken = [] if trial.organ_cc is None else [f"{trial.organ_cc:.1f}"]
        rows.append((sides, f"{trial.ptv_cc:.1f}", *taken, f"{trial.reached:.3f}"))
    organ = " Organ: inside the PTV, outside the CTV." if has_organ else ""
    caption = f"95 % simulation intervals.{organ} {COURSE}"
    print_rows(rows, f"Margins that were tried{whose}", caption)
    sides = ", ".join(
        f"{letter} {mm:.1f} ({mm * found.scale.low:.1f}–{mm * found.scale.high:.1f})"
        for letter, mm in found.margin.letters.items()
    )
    taken_of = f", {found.organ_cc:.1f} cc of the organ" if has_organ else ""
    say(
        f"{found.criterion} for {found.population:.0%} of the patients{whose}: {sides} mm; PTV {found.ptv_cc:.1f} cc"
        + taken_of
    )
    if found.note:
        say(found.note)
