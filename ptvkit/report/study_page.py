"""A study as one page that can be read in a meeting: no network, no other files."""

import base64
import io
import json
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from ptvkit.dose.result import NOTE as DOSE_NOTE
from ptvkit.errors import PtvkitError, PtvkitWarning
from ptvkit.io.files import write_whole
from ptvkit.io.nifti import read_image
from ptvkit.io.provenance import versions
from ptvkit.motion.result import NOTE
from ptvkit.report.planes import target_figure
from ptvkit.report.study_answer import FIGURES, Chosen, answer, cell_told, chosen, told
from ptvkit.report.study_closeup import closeups
from ptvkit.report.style import PAPER, names_as_text
from ptvkit.report.volumes import VOXEL_MM, Pictured, volumes_of
from ptvkit.work.results import NAME, read_rows
from ptvkit.work.structures import structures_of
from ptvkit.work.study import Outcome, Plan
from ptvkit.work.study_tasks import request_of

MOST_ROWS: Final = 2000
MOST_PICTURES: Final = 6
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
    home = files("ptvkit.report").joinpath("page")
    page = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
        home.joinpath("report.html.j2").read_text(encoding="utf-8")
    )
    columns = [name for name in (*SHOWN[:2], *swept, *SHOWN[2:]) if any(row.get(name, "") != "" for row in rows)]
    has_dose = "dmin_95" in columns
    shown = _pictured(plan, outcome)
    found = chosen(rows, swept)
    closer = closeups(plan, outcome, found)
    return page.render(
        title=f"Margins of {len(plan.cases)} case{'s' if len(plan.cases) > 1 else ''}, {len(plan.cells)} cells",
        answer=answer(found, swept),
        cell="" if found is None else cell_told(swept, found.values),
        closeups=_embedded(closer),
        closer=len(closer),
        note=DOSE_NOTE if has_dose else NOTE,
        asked=_asked(plan),
        pictures=[(case.name, picture) for case, picture in zip(shown, map(_picture, shown), strict=True)],
        volumes=_embedded([volumes_of(case) for case in shown]),
        step=VOXEL_MM,
        rows=[{name: told(row.get(name, "")) for name in columns} for row in rows[:MOST_ROWS]],
        left_out=max(0, len(rows) - MOST_ROWS),
        columns=columns,
        failed=sorted(outcome.failed.items()),
        warned=outcome.warned,
        methods=methods(plan, has_dose=has_dose),
        provenance=_provenance(plan),
        study=json.dumps(plan.content, indent=1, default=str),
        data=_embedded(_data(rows, swept, found)),
        css=Markup(home.joinpath("page.css").read_text(encoding="utf-8")),
        plotly=_script("plotly-basic.min.js"),
        script=_script("page.js"),
        niivue=_script("niivue.umd.js") if shown else "",
        viewer=_script("viewer.js"),
        closer_script=_script("closeup.js"),
    )


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


def _asked(plan: Plan) -> list[tuple[str, str]]:
    ask = plan.content.get("simulation", {})
    names = ", ".join(case.name for case in plan.cases[:12]) + (", …" if len(plan.cases) > 12 else "")
    found = [("cases", f"{len(plan.cases)}: {names}")]
    for key in plan.cells[0].values:
        values = list(dict.fromkeys(str(cell.values[key]) for cell in plan.cells))
        found.append((key, ", ".join(values[:20]) + (", …" if len(values) > 20 else "")))
    found += [
        (key, json.dumps(plan.content[key], default=str))
        for key in ("targets", "guidance", "breathing", "dose")
        if key in plan.content
    ]
    return [*found, ("simulation", ", ".join(f"{key} {value}" for key, value in ask.items()))]


def _pictured(plan: Plan, outcome: Outcome) -> list[Pictured]:
    """Some cases, with the targets of the first cell."""
    found = []
    for case in [case for case in plan.cases if case.name not in outcome.failed][:MOST_PICTURES]:
        try:
            request = request_of(plan.request, case, plan.cells[0].values)
            gtv, ctv, ptv = structures_of(request)
            image = None if request.tables.cases.image is None else read_image(request.tables.cases.image)
        except PtvkitError:
            continue
        found.append(Pictured(name=case.name, gtv=gtv, ctv=ctv, ptv=ptv, image=image))
    return found


def _picture(case: Pictured) -> str:
    """Three planes as a PNG."""
    named = {"GTV": case.gtv, "CTV": case.ctv, "PTV": case.ptv}
    image, grid = (None, None) if case.image is None else case.image
    structures = {name: one for name, one in named.items() if one is not None}
    figure = target_figure(image, grid, structures, title=case.name, centre_mm=None)
    stream = io.BytesIO()
    names_as_text(figure)
    figure.savefig(stream, format="png", dpi=90, facecolor=PAPER)
    return base64.b64encode(stream.getvalue()).decode()


def _script(name: str) -> Markup:
    """A script that does not end the element that it stands in."""
    text = files("ptvkit.report").joinpath("page", name).read_text(encoding="utf-8")
    return Markup(text.replace("</script", "<\\/script"))


def _provenance(plan: Plan) -> list[tuple[str, str]]:
    told = [("study file", plan.source), ("SHA-256 of what is asked, with the content of its files", plan.head["study"])]
    told += [(name, release) for name, release in versions().items()]
    return [*told, ("written", datetime.now(UTC).isoformat(timespec="seconds"))]


def _data(rows: Sequence[Mapping[str, Any]], swept: Sequence[str], found: Chosen | None) -> dict[str, Any]:
    figures = [
        {"key": key, "name": name, "share": share}
        for key, (name, share) in FIGURES.items()
        if any(row.get(key, "") != "" for row in rows)
    ]
    names = [str(one["key"]) for one in figures]
    ends = [f"{name}_{end}" for name in names for end in ("low", "high")]
    keys = ["case", "lesion", *swept, *names, *ends]
    return {
        "swept": list(swept),
        "along": swept[0] if swept else "case",
        "by": swept[1] if len(swept) > 1 else "",
        "figures": figures,
        "figure": "" if found is None else found.figure,
        "cases": sorted({str(row["case"]) for row in rows}),
        "rows": [{key: row[key] for key in keys if row.get(key, "") != ""} for row in rows],
    }


def _embedded(data: Any) -> Markup:
    """JSON that ends no script, whatever a case is called."""
    return Markup(json.dumps(data).replace("<", "\\u003c").replace("&", "\\u0026"))
