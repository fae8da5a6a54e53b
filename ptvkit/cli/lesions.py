"""`ptvkit lesions`: how lesions changed between two scans."""

from typing import TYPE_CHECKING, Final

from ptvkit.cli import groups
from ptvkit.cli.declared import Words, argument, option
from ptvkit.cli.printing import print_file, print_json, print_rows, say, shown_warnings
from ptvkit.cli.texts import folder

if TYPE_CHECKING:
    from ptvkit.analysis.lesion_change import LesionComparison

OPTIONS: Final = (
    argument("before", "Lesions of the first scan.", metavar="BEFORE", is_required=True),
    argument("after", "Lesions of the second scan, on any grid.", metavar="AFTER", is_required=True),
    option("--out -o", "Folder for lesions.json, lesions.csv and lesions.png.", metavar="DIR", value=folder),
    option(
        "--transform",
        "Text file of a 4×4 affine that takes points of BEFORE to points of AFTER, RAS mm.",
        metavar="FILE",
    ),
    option(
        "--distance",
        "Lesions without overlap match up to this distance of their centres, mm.",
        kind=float,
        default=15.0,
    ),
    option("--threshold", "Change of volume, as a share, that counts.", kind=float, default=0.2),
    groups.JSON,
)


def lesions(words: Words) -> None:
    """How lesions changed between two scans: which is which, volumes, axial diameters, response by RECIST 1.1."""
    from ptvkit.work.lesions import RECORD, run_lesions

    with shown_warnings() as warned:
        outcome = run_lesions(
            words["before"],
            words["after"],
            words["out"],
            transform=words["transform"],
            distance_mm=words["distance"],
            threshold=words["threshold"],
        )
    if not words.json:
        print_comparison(outcome.comparison)
    elif outcome.folder is not None:
        print_file(outcome.folder / RECORD)
    else:
        print_json({**outcome.content, "warnings": warned})


COMMANDS: Final = (("lesions", lesions, OPTIONS),)


def print_comparison(comparison: "LesionComparison") -> None:
    """A line for each lesion, and the response."""
    caption = (
        f"longest axial diameters; shrunk or grown from {100 * comparison.threshold:g} % of the volume on; matched by"
        f" overlap, else up to {comparison.distance_mm:g} mm between centres"
    )
    print_rows(comparison.table(), "Lesions", caption)
    say(comparison.summary())
