"""`ptvkit compare`: ways to manage breathing side by side."""

import json
import sys
from typing import TYPE_CHECKING, Final

from ptvkit.cli import groups
from ptvkit.cli.declared import Words, argument, option
from ptvkit.cli.printing import print_rows, remark, say, shown_warnings
from ptvkit.cli.progress import progress_of
from ptvkit.cli.texts import folder

if TYPE_CHECKING:
    from ptvkit.analysis.strategies import Comparison
    from ptvkit.request.request import Request

OPTIONS: Final = (
    argument("gtv", "GTV.", "cases.gtv", metavar=groups.STRUCTURE, is_required=True),
    groups.STUDY,
    option("--out -o", "Folder to write to.", metavar="DIR", value=folder),
    option("--ctv", "GTV to CTV, mm; 10 unless the study says.", "targets.ctv", metavar="MARGIN"),
    option("--ptv", "The clinic's CTV-to-PTV margin, mm: 10 unless the study says.", "targets.ptv", metavar="MARGIN"),
    option("--organ", "A healthy organ: how much of it each PTV takes.", "targets.organ", metavar=groups.STRUCTURE),
    option(
        "--strategies",
        "Some of free_breathing,itv,mid_ventilation,mid_position,gating,breath_hold,tracking,compression.",
        metavar="NAMES",
    ),
    groups.ERROR,
    option("--criterion", "dmin>=0.95 (default), d98>=0.95, contained, or coverage>=0.99.", "criteria.criterion"),
    option("--population", "Share of the patients, 0.90 by default.", "criteria.population", kind=float),
    groups.BREATHING_MODEL,
    groups.REFERENCE,
    groups.PATIENTS,
    groups.FRACTIONS,
    option("--mu", "Monitor units of a fraction, with --mu-rate.", kind=float),
    option("--mu-rate", "Monitor units per minute.", kind=float),
    groups.JSON,
    *groups.BREATHING,
    groups.PENUMBRA,
    groups.EDGE_LEVEL,
    groups.SEED,
    groups.SET,
)


def compare(words: Words) -> None:
    """Compare ways to manage breathing: the margin that each needs, its PTV, what it takes of an organ, and its time.

    With --out writes strategies.csv, strategies.json and a page, strategies.html. With --trace the breathing is the
    patient's own.
    """
    from ptvkit.analysis.strategy_courses import STRATEGIES
    from ptvkit.work.compare import run_compare

    names = words["strategies"]
    with shown_warnings(), progress_of("strategies", json=words.json) as told:
        outcome = run_compare(
            _request(words),
            words["out"],
            strategies=STRATEGIES if names is None else tuple(name.strip() for name in names.split(",")),
            mu=words["mu"],
            mu_per_min=words["mu_rate"],
            progress=told,
        )
    for text in outcome.notes:
        remark(text)
    if words.json:
        sys.stdout.write(json.dumps(outcome.comparison.table(), indent=1, allow_nan=False) + "\n")
        return
    print_comparison(outcome.comparison)


COMMANDS: Final = (("compare", compare, OPTIONS),)


def _request(words: Words) -> "Request":
    """The request; a trace alone is planned on its time mean, which each strategy replaces by its own."""
    has_reference = words["study"] is not None or "breathing.reference" in words.overrides
    breathes = any(key.startswith("breathing.") for key in words.overrides)
    more = {} if has_reference or not breathes else {"breathing.reference": "time_mean"}
    return words.request(words["study"], more)


def print_comparison(found: "Comparison") -> None:
    """A line for each strategy, and what decides."""
    has_organ = any(one.organ_cc is not None for one in found.strategies)
    organ = ["organ, cc"] if has_organ else []
    fixed = f"with {_sides(found.fixed.letters)} mm"
    rows: list[tuple[str, ...]] = [
        ("", "margin, mm", "PTV, cc", *organ, "systematic Σ'", "random σ'", "duty", "minutes", "reached", fixed)
    ]
    for one in found.strategies:
        rows.append(
            (
                one.title,
                f"{one.margin_mm:.1f}",
                f"{one.ptv_cc.value:.0f}",
                *([] if one.organ_cc is None else [f"{one.organ_cc:.0f}"]),
                _triple(one.systematic_mm.tolist()),
                _triple(one.random_mm.tolist()),
                f"{one.duty:.2f}",
                f"{one.minutes:.1f}",
                f"{one.reached.value:.3f}",
                f"{one.fixed_reached.value:.3f}",
            )
        )
    caption = (
        f"{found.criterion} for {found.population:.0%} of {found.patients} patients; 95 % simulation intervals;"
        " Σ', σ' LR, AP, SI in mm; simulated, given these inputs; a research tool, not a medical device; a"
        " physicist reviews"
    )
    print_rows(rows, "Ways to manage breathing", caption)
    say(found.in_words())


def _triple(values: list[float]) -> str:
    return ", ".join(f"{mm:.1f}" for mm in values)


def _sides(letters: dict[str, float]) -> str:
    values = list(letters.values())
    return f"{values[0]:g}" if len(set(values)) == 1 else ", ".join(f"{key} {mm:g}" for key, mm in letters.items())
