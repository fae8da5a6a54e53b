"""`ptvkit dose`: what structures get from a plan, and whether it keeps its limits."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ptvkit.cli.options import print_rows, structure, told_warnings
from ptvkit.errors import DoseError

if TYPE_CHECKING:
    from ptvkit.dose.limits import LimitCheck
    from ptvkit.dose.metrics import DoseMetrics
    from ptvkit.geometry.mask import Mask
    from ptvkit.geometry.region import Region
    from ptvkit.io.naming import StructureRef

FIGURES = ("dmin", "d98", "d95", "d50", "d2", "dmax", "mean")
SHARES = ("v95", "v100")


def dose(
    structures: Annotated[
        list[str], typer.Argument(help="Masks: FILE, FILE:LABEL, or NAME=FILE.", metavar="STRUCTURE…")
    ],
    dose: Annotated[Path, typer.Option("--dose", help="The plan's dose, a NIfTI file.", metavar="FILE")],
    units: Annotated[str | None, typer.Option(help="Gy or cGy; Gy when not said.")] = None,
    prescription: Annotated[float | None, typer.Option(help="Gy; for V95 and V100. Never guessed.")] = None,
    limits: Annotated[
        str | None, typer.Option(help="Dose limits: a TOML file, or liver-protocol.", metavar="FILE|NAME")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="More figures, such as D66%, D2cc, V20Gy. May be repeated.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", "-p", help="Draw the histograms to this PNG file.", metavar="FILE")
    ] = None,
    map_: Annotated[
        Path | None, typer.Option("--map", help="Draw isodoses in three planes to this PNG file.", metavar="FILE")
    ] = None,
    image: Annotated[Path | None, typer.Option(help="CT behind the isodoses.", metavar="FILE")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the histograms to this CSV file.", metavar="FILE")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
) -> None:
    """What structures get: D98, D95, D2, V95, mean, and limits, by partial volumes inside their sub-voxel surfaces."""
    from ptvkit.dose.limits import check_limits
    from ptvkit.dose.metrics import dose_metrics, unit_of
    from ptvkit.io.dicom.frames import refuse_other_frames
    from ptvkit.io.dose import read_dose
    from ptvkit.io.files import refuse_overwrite
    from ptvkit.request.limits import BUILT_IN, read_limits

    named = [name_and_file(text) for text in structures]
    files = [dose, *(path for _, one in named for path in one.files())]
    inputs = [*files, *([image] if image else [])]
    inputs += [Path(limits)] if limits is not None and limits not in BUILT_IN else []
    refuse_overwrite([path for path in (picture, map_, csv) if path is not None], inputs)
    refuse_other_frames(files)
    more = metric or []
    for one in more:
        unit_of(one)
    asked = read_limits(limits) if limits is not None else ()
    with told_warnings() as warned:
        plan = read_dose(dose, units=units, prescription_gy=prescription)
        masks = {name: one.read() for name, one in named}
        if len(masks) < len(named):
            raise DoseError("two structures have one name; give NAME=FILE")
        found = {name: dose_metrics(plan, mask) for name, mask in masks.items()}
        checks = check_limits(found, asked)
        if csv is not None:
            write_histograms(found, csv)
        if picture is not None or map_ is not None:
            draw(plan, masks, found, picture, map_, image)
    if json:
        import json as text

        content: dict[str, Any] = {
            "structures": {name: as_json(one, prescription, more) for name, one in found.items()}
        }
        content |= {"limits": [limit_as_json(check) for check in checks], "warnings": warned}
        sys.stdout.write(text.dumps(content, indent=1) + "\n")
        return
    print_rows(table(found, prescription, more), str(dose), "Gy, %; partial volumes, interpolated by a cubic spline")
    if checks:
        headings = ("structure", "metric", "limit", "found", "")
        print_rows([headings, *map(limit_row, checks)], "Limits", "–: the structure was not given")


def name_and_file(text: str) -> "tuple[str, StructureRef]":
    """``NAME=FILE[:LABEL]``, or a file whose name, or label, is the structure's."""
    name, equals, rest = text.partition("=")
    if equals and not Path(text).exists():
        return name, structure(rest)
    named = structure(text)
    return named.title, named


def table(found: dict[str, "DoseMetrics"], prescription: float | None, more: list[str]) -> list[tuple[str, ...]]:
    """Headings and a line for each structure."""
    from ptvkit.dose.criteria import metric_named

    shares = () if prescription is None else SHARES
    labels = [metric_named(name).label.removesuffix(" %") for name in (*FIGURES, *shares)]
    headings = ("", "cc", *labels, *more)
    rows: list[tuple[str, ...]] = [headings]
    for name, one in found.items():
        figures = [f"{one.value(metric):.2f}" for metric in FIGURES]
        percent = [f"{100 * one.value(metric):.2f} %" for metric in shares]
        rows.append(
            (name, f"{one.volume_cc:.2f}", *figures, *percent, *(f"{one.value(metric):.2f}" for metric in more))
        )
    return rows


def as_json(one: "DoseMetrics", prescription: float | None, more: list[str]) -> dict[str, Any]:
    """Figures as plain values."""
    names = ("near_min_gy", "near_max_gy", "homogeneity", "volume_cc")
    content = {f"{name}_gy": one.value(name) for name in FIGURES} | {name: getattr(one, name) for name in names}
    shares = () if prescription is None else SHARES
    return content | {metric: one.value(metric) for metric in (*more, *shares)}


def limit_as_json(check: "LimitCheck") -> dict[str, Any]:
    """A limit and what was found, as plain values."""
    limit = check.limit
    return {
        "structure": limit.structure,
        "metric": limit.metric,
        "at_most": limit.at_most,
        "at_least": limit.at_least,
        "value": check.value,
        "passed": check.passed,
    }


def limit_row(check: "LimitCheck") -> tuple[str, ...]:
    """A limit and what was found, in words."""
    verdict = {True: "pass", False: "FAIL", None: ""}[check.passed]
    value = "–" if check.value is None else f"{check.value:.2f} {check.limit.unit}"
    return check.limit.structure, check.limit.metric, check.limit.goal, value, verdict


def write_histograms(found: dict[str, "DoseMetrics"], path: Path) -> None:
    """Cumulative histograms, a column for each structure, every 0.1 Gy; whole or not at all."""
    from csv import writer
    from io import StringIO

    import numpy as np

    from ptvkit.io.files import write_whole
    from ptvkit.text import csv_text

    levels = np.arange(0.0, max(one.dmax_gy for one in found.values()) + 0.1, 0.1)
    columns = [one.volumes_at(levels) for one in found.values()]
    text = StringIO()
    table = writer(text, lineterminator="\n")
    table.writerow(("dose_gy", *map(csv_text, found)))
    for level, *shares in zip(levels, *columns, strict=True):
        table.writerow((f"{level:.1f}", *(f"{share:.6f}" for share in shares)))
    with write_whole(path) as file:
        file.write(text.getvalue().encode())


def draw(
    plan: Any,
    masks: "dict[str, Mask | Region]",
    found: dict[str, "DoseMetrics"],
    picture: Path | None,
    map_: Path | None,
    image: Path | None,
) -> None:
    """Histograms, and isodoses over the anatomy."""
    from ptvkit.io.nifti import read_image
    from ptvkit.report.dose_charts import dvh_figure, isodose_figure
    from ptvkit.report.style import save_figure

    if picture is not None:
        save_figure(dvh_figure(list(found.values()), prescription_gy=plan.prescription_gy), picture)
    if map_ is not None:
        save_figure(isodose_figure(plan, masks, None if image is None else read_image(image)), map_)
