"""`ptvkit simulate`: what motion costs a target and its PTV."""

from time import perf_counter
from typing import TYPE_CHECKING, Final

from ptvkit.cli import groups
from ptvkit.cli.declared import Words, option
from ptvkit.cli.printing import print_file, print_rows, remark, say, shown_warnings
from ptvkit.cli.progress import EVERY_S, stages

if TYPE_CHECKING:
    from pathlib import Path

    from ptvkit.analysis.simulation import Simulation
    from ptvkit.dose.limits import LimitShare
    from ptvkit.dose.result import DoseResult
    from ptvkit.motion.residuals import Residual
    from ptvkit.motion.result import CoverageResult
    from ptvkit.work.treatment import Treatment

DOSE: Final = (
    option("--dose", "The plan's dose, a file in Gy; or none.", "dose.file", metavar="FILE", panel="Dose"),
    option("--units", "Of the dose file: Gy or cGy.", "dose.units", panel="Dose"),
    option(
        "--prescription",
        "Gy; without --dose an idealised dose conforms to the PTV.",
        "dose.prescription_gy",
        kind=float,
        panel="Dose",
    ),
    groups.PENUMBRA,
    groups.EDGE_LEVEL,
)
OPTIONS: Final = (
    option("--ctv", "CTV.", "cases.ctv", metavar=groups.STRUCTURE),
    option("--ptv", "PTV.", "cases.ptv", metavar=groups.STRUCTURE),
    groups.STUDY,
    groups.OUT,
    groups.ERROR,
    groups.MATCH,
    groups.ACTION_LEVEL,
    groups.BREATHING_MODEL,
    groups.OLD_BREATHING,
    groups.REFERENCE,
    groups.PATIENTS,
    groups.FRACTIONS,
    groups.JSON,
    *groups.GUIDANCE,
    *groups.BREATHING,
    *DOSE,
    groups.SAMPLES,
    groups.SEED,
    option(
        "--precision",
        "Go on until the 95 % interval of containment is no wider than this.",
        "simulation.precision",
        kind=float,
        panel="Simulation",
    ),
    option(
        "--method",
        "sampled draws patients; exact integrates over them, far faster, with derivatives, without single patients.",
        "simulation.method",
        panel="Simulation",
    ),
    option("--image", "CT behind the map of probability.", "cases.image", metavar="FILE", panel="Output"),
    option("--pictures/--no-pictures", "Write pictures.", "output.pictures", kind=bool, panel="Output"),
    option("--maps/--no-maps", "Write two maps of probability.", "output.maps", kind=bool, panel="Output"),
    groups.SET,
)


def simulate(words: Words) -> None:
    """Simulate courses of treatment: does the CTV stay inside the PTV, and what dose does it get.

    Writes coverage.json, coverage.csv, two maps of probability and four pictures; with a dose also dose.json, dose.csv
    and three pictures. Options go before the study file; the masks may be named there too.
    """
    simulated(words, EVERY_S)


COMMANDS: Final = (("simulate", simulate, OPTIONS),)


def simulated(words: Words, every_s: float) -> None:
    """Simulate, write and print."""
    from ptvkit.work.simulation import run_simulation

    started, out = perf_counter(), words["out"]
    request = words.request(words["study"])
    with shown_warnings():
        outcome = run_simulation(request, out, progress=stages(json=words.json, every_s=every_s))
    for text in outcome.notes:
        remark(text)
    found = outcome.simulation
    if words.json:
        print_file(outcome.record)
        return
    if found.slopes is not None:
        print_exact(found, out, perf_counter() - started)
    else:
        print_result(found.result, out, perf_counter() - started)
    print_dose(found.dosed)
    print_treatment(outcome.treatment, out)
    print_budget(found)
    if outcome.held is not None:
        say(f"Margin that the pair holds: {outcome.held}")
    if outcome.beam is not None:
        say(f"Time within a fraction: {outcome.beam}")


def print_result(result: "CoverageResult", out: "Path", seconds: float) -> None:
    """The figures that a physicist looks for first, a line for the target and one for each lesion."""
    from ptvkit.motion.result import NOTE

    caption = (
        f"{result.patients} patients × {result.fractions} fractions × {result.samples} times, seed {result.seed}; 95 %"
        f" simulation intervals. Contained: patients whose target never leaves the PTV. {seconds:.1f} s.\n{NOTE}"
    )
    print_rows(result.table(), f"Coverage in {out}", caption)
    for name, estimate in result.parameter_intervals.items():
        say(f"By the size of the samples behind Σ, {name} lies between {estimate.low:.3f} and {estimate.high:.3f}.")


def print_exact(found: "Simulation", out: "Path", seconds: float) -> None:
    """Figures without drawn patients, and what a millimetre more would change."""
    from ptvkit.motion.exact.result import ExactCoverage
    from ptvkit.motion.result import NOTE

    assert isinstance(found.result, ExactCoverage), "slopes come with it"
    assert found.slopes is not None, "the caller looked"
    print_rows(found.result.table(), f"Coverage in {out}", f"{found.result.method_note()}. {seconds:.1f} s.\n{NOTE}")
    print_rows(
        found.slopes.table(),
        "One millimetre more",
        "percentage points of patients contained; of a margin on that side, of an error's SD, of breathing",
    )


def print_dose(result: "DoseResult | None") -> None:
    """The same for the accumulated dose, where one was simulated."""
    from ptvkit.dose.result import NOTE
    from ptvkit.report.words import SHARES_NOTE

    if result is not None:
        prescription = f"Prescription {result.prescription_gy:g} Gy. " if result.prescription_gy else ""
        print_rows(
            result.table(), "Accumulated dose", f"{prescription}10 % below: of the patients.\n{SHARES_NOTE}\n{NOTE}"
        )


def print_treatment(treatment: "Treatment | None", out: "Path") -> None:
    """The dose of the whole treatment and the shares of courses that keep its limits, where there are parts."""
    if treatment is None:
        return
    from ptvkit.dose.result import NOTE
    from ptvkit.report.treatment_page import parts_in_words
    from ptvkit.report.words import SHARES_NOTE

    target = next(iter(treatment.results.values()))
    parts = parts_in_words(treatment)
    for one in (target, *([] if target.physical is None else [target.physical])):
        notes = "\n".join([SHARES_NOTE, *one.notes, NOTE])
        print_rows(
            one.table(), f"{'Absorbed dose' if one.quantity == 'physical' else one.quantity.upper()}: {parts}", notes
        )
    if treatment.limits:
        rows = [("", "planned", "median", "worst tenth", "kept in"), *(limit_row(one) for one in treatment.limits)]
        print_rows(
            rows, f"Limits, of the simulated sum, in {out / 'treatment.html'}", "share of courses, 95 % interval"
        )


def limit_row(one: "LimitShare") -> tuple[str, ...]:
    """A limit, what was planned, what courses give and how many keep it."""
    name = f"{one.limit.structure} {one.limit.metric} {one.limit.goal}"
    figures = (one.planned, one.median, one.worst_tenth)
    values = ["not there" if gy is None else f"{gy:.2f} {one.limit.unit}" for gy in figures]
    return (name, *values, "–" if one.kept is None else f"{one.kept:.3f}")


def sds(left: "Residual") -> tuple[str, str]:
    """Σ' and σ' as text."""
    systematic, random = (", ".join(f"{mm:.1f}" for mm in sd) for sd in (left.systematic_mm, left.random_mm))
    return systematic, random


def print_budget(found: "Simulation") -> None:
    """What guidance leaves of each error, and what would be contained without it."""
    from ptvkit.motion.cost import ALL

    without = {cost.name: f"{cost.contained_without:.3f}" for cost in found.costs if cost.name != ALL}
    *parts, total = found.residuals
    rows = [("", "systematic Σ'", "random σ'", "contained without")]
    rows += [(left.name, *sds(left), without.pop(left.name, "")) for left in parts]
    rows += [(name, "", "", contained) for name, contained in without.items()]
    rows += [(total.name, *sds(total), "")]
    caption = "left after guidance, SD in mm: LR, AP, SI; contained when a source is missing"
    print_rows(rows, "Where the error budget goes", caption)
