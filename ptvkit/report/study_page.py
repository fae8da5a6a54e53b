"""A study as one page that can be read in a meeting: no network, no other files."""

import json
import shlex
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ptvkit.dose.result import NOTE as DOSE_NOTE
from ptvkit.errors import PtvkitError, PtvkitWarning
from ptvkit.io.files import write_whole
from ptvkit.io.nifti import read_image
from ptvkit.io.provenance import versions
from ptvkit.motion.result import NOTE
from ptvkit.report.pages import embedded, rendered, script
from ptvkit.report.planes import target_figure
from ptvkit.report.scene import scene_of
from ptvkit.report.study_answer import FIGURES, Chosen, answer, chosen
from ptvkit.report.study_asked import asked_in_words, errors_table
from ptvkit.report.study_closeup import closeups
from ptvkit.report.study_sensitivity import decides_in_words, sensitivity_figure
from ptvkit.report.style import png_address
from ptvkit.report.words import SHARES_NOTE, cell_in_words, number, words_of
from ptvkit.work.closeup import cell_with
from ptvkit.work.results import NAME, read_rows
from ptvkit.work.structures import structures_of
from ptvkit.work.study import Outcome, Plan
from ptvkit.work.study_tasks import request_of

MOST_ROWS: Final = 2000
MOST_PICTURES: Final = 6
SCRIPTS: Final = {
    "plotly": "plotly-basic.min.js",
    "script": "page.js",
    "planes": "planes.js",
    "viewer": "viewer.js",
    "closer_script": "closeup.js",
}
SHOWN: Final = (
    *("case", "lesion", "ptv_cc", "organ_cc", "contained", "within_2mm"),
    *("dmin_95", "d98_95", "miss90_mm", "time_out"),
)


def write_study_page(plan: Plan, outcome: Outcome, folder: Path) -> Path:
    """Write `report.html` of a study that has run, whole or not at all.

    Raises
    ------
    FileError
        When it cannot be written, or the table cannot be read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PtvkitWarning)  # the study had them, and they are on the page
        content = _page(plan, outcome, read_rows(folder / NAME))
    with write_whole(folder / "report.html") as file:
        file.write(content.encode())
    return folder / "report.html"


def _page(plan: Plan, outcome: Outcome, rows: Sequence[Mapping[str, Any]]) -> str:
    swept = list(plan.cells[0].values)
    columns = [name for name in (*SHOWN[:2], *swept, *SHOWN[2:]) if any(row.get(name, "") != "" for row in rows)]
    has_dose = "dmin_95" in columns
    choice = chosen(rows, swept)
    shown = _pictured(plan, outcome, choice)
    closer, decides = closeups(plan, outcome, choice), outcome.sensitivity
    cell = "" if choice is None else cell_in_words(swept, choice.values)
    values = {
        "title": f"Margins of {_count(len(plan.cases), 'case')}, {_count(len(plan.cells), 'cell')}",
        "answer": answer(choice, swept),
        "decides": [] if decides is None else decides_in_words(decides),
        "decides_picture": None if decides is None else png_address(sensitivity_figure(decides)),
        "cell": cell,
        "has_rows": bool(rows),
        "closeups": embedded(closer),
        "closer": len(closer),
        "note": DOSE_NOTE if has_dose else NOTE,
        "shares_note": SHARES_NOTE,
        "asked": asked_in_words(plan),
        "errors": errors_table(plan),
        "pictures": [(scene["name"], picture) for scene, picture in shown],
        "scenes": embedded([scene for scene, _ in shown]),
        "rows": [{name: number(row.get(name, "")) for name in columns} for row in rows[:MOST_ROWS]],
        "left_out": max(0, len(rows) - MOST_ROWS),
        "columns": [(name, words_of(name)) for name in columns],
        "failed": sorted(outcome.failed.items()),
        "warned": outcome.warned,
        "methods": methods(plan, has_dose=has_dose),
        "provenance": _provenance(plan),
        "study": json.dumps(plan.content, indent=1, default=str),
        "data": embedded(_data(plan, rows if decides is None else rows[:MOST_ROWS], swept, choice)),
        **{name: script(file) for name, file in SCRIPTS.items()},
    }
    return rendered("report.html.j2", values)


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


def methods(plan: Plan, *, has_dose: bool) -> list[str]:
    """A paragraph ready to paste, and what was left out."""
    content = plan.content
    ask = plan.request.with_values(plan.cells[0].values).tables.simulation
    errors = ", ".join(str(error.get("name", "set-up")) for error in content.get("errors", [])) or "none"
    text = (
        f"Targets were grown with ptvkit {versions()['ptvkit']} by Minkowski sums of sub-voxel surfaces with bodies of"
        f" six semi-axes. For each of {len(plan.cells)} combinations of parameters, {ask.patients} courses of"
        f" {ask.fractions} fractions were simulated with these sources of error: {errors}"
    )
    text += "; breathing after Lujan et al. (Med Phys 1999;26:715) or measured" if "breathing" in content else ""
    text += "; image guidance with an action level" if "guidance" in content else ""
    text += (
        ". All combinations saw the same simulated patients. Containment is the share of patients whose target never"
        " leaves the PTV; shares have Wilson's 95 % intervals."
    )
    if has_dose:
        text += (
            " Dose conformed to each PTV with a Gaussian penumbra and was accumulated as a static cloud; the criterion"
            " is that of van Herk et al. (IJROBP 2000;47:1121)."
        )
    limits = (
        "Left out: deformation, rotation unless given, interplay, changes of the tumour during the course, and what"
        " motion changes in the dose itself. The truth of the segmentations is taken as given."
    )
    return [text, limits]


def _pictured(plan: Plan, outcome: Outcome, choice: Chosen | None) -> list[tuple[dict[str, Any], str]]:
    """The viewer's data and three planes as a picture of some cases, with the targets of the chosen cell."""
    if choice is None:
        return []
    cell = cell_with(plan, choice.values)
    shown = []
    for case in [case for case in plan.cases if case.name not in outcome.failed][:MOST_PICTURES]:
        try:
            request = request_of(plan.request, case, cell.values)
            named = dict(zip(("GTV", "CTV", "PTV"), structures_of(request), strict=True))
            name = request.tables.cases.image
            image = None if name is None else read_image(name)
        except PtvkitError:  # its files have gone since
            continue
        structures = {role: one for role, one in named.items() if one is not None}
        values, grid = image or (None, None)
        figure = target_figure(values, grid, structures, title=case.name)
        shown.append((scene_of(structures, image, name=case.name), png_address(figure)))
    return shown


def _provenance(plan: Plan) -> list[tuple[str, str]]:
    rows = [
        ("study file", plan.source),
        ("SHA-256 of the study, files included", plan.identity),
    ]
    rows += [(name, release) for name, release in versions().items()]
    return [*rows, ("written", datetime.now(UTC).isoformat(timespec="seconds"))]


def _data(plan: Plan, rows: Sequence[Mapping[str, Any]], swept: Sequence[str], choice: Chosen | None) -> dict[str, Any]:
    names = [key for key in FIGURES if any(row.get(key, "") != "" for row in rows)]
    ends = [f"{name}_{end}" for name in names for end in ("low", "high")]
    keys = ["case", "lesion", *swept, *names, *ends]
    return {
        "swept": [{"key": key, "name": words_of(key)} for key in swept],
        "along": swept[0] if swept else "case",
        "by": swept[1] if len(swept) > 1 else "",
        "figures": [{"key": key, "name": words_of(key), "share": FIGURES[key]} for key in names],
        "figure": "" if choice is None else choice.figure,
        "chosen": {} if choice is None else dict(zip(swept, choice.values, strict=True)),
        "command": f"ptvkit simulate --study {shlex.quote(plan.source)}",
        "cases": sorted({str(row["case"]) for row in rows}),
        "rows": [{key: row[key] for key in keys if row.get(key, "") != ""} for row in rows],
    }
