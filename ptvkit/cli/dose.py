"""`ptvkit dose`: what structures get from a plan, and whether it keeps its limits."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ptvkit.cli import groups
from ptvkit.cli.declared import Words, argument, option
from ptvkit.cli.printing import print_json, print_rows, shown_warnings
from ptvkit.cli.texts import place
from ptvkit.errors import DoseError

if TYPE_CHECKING:
    from ptvkit.dose.limits import LimitCheck
    from ptvkit.dose.metrics import DoseMetrics
    from ptvkit.geometry.mask import Mask
    from ptvkit.geometry.region import Region
    from ptvkit.io.naming import StructureRef

FIGURES: Final = ("dmin", "d98", "d95", "d50", "d2", "dmax", "mean")
SHARES: Final = ("v95", "v100")
OPTIONS: Final = (
    argument(
        "structures",
        "Structures: FILE, FILE:NAME, or OWN_NAME=FILE.",
        metavar="STRUCTURE…",
        many=True,
        is_required=True,
    ),
    option("--dose", "The plan's dose.", metavar="FILE", is_required=True),
    option("--units", "Gy or cGy; Gy when not said."),
    option("--prescription", "Gy; for V95 and V100. Never guessed.", kind=float),
    option("--limits", "Dose limits: a TOML file, or liver-protocol.", metavar="FILE|NAME"),
    option("--metric", "More figures, such as D66%, D2cc, V20Gy. May be repeated.", many=True),
    option("--picture -p", "Draw the histograms to this PNG file.", metavar="FILE", value=place),
    option("--map", "Draw isodoses in three planes to this PNG file.", metavar="FILE", value=place),
    option("--image", "CT behind the isodoses.", metavar="FILE"),
    option("--csv", "Write the histograms to this CSV file.", metavar="FILE", value=place),
    groups.JSON,
)


def dose(words: Words) -> None:
    """What structures get: D98, D95, D2, V95, mean, and limits, by partial volumes inside their sub-voxel surfaces."""
    from ptvkit.dose.limits import check_limits
    from ptvkit.dose.metrics import dose_metrics, unit_of
    from ptvkit.io.dicom.frames import refuse_other_frames
    from ptvkit.io.dose import read_dose
    from ptvkit.io.files import refuse_overwrite
    from ptvkit.request.limits import BUILT_IN, read_limits

    file, limits, more = Path(words["dose"]), words["limits"], words["metric"] or []
    named = [name_and_file(text) for text in words["structures"]]
    paths = [file, *(path for _, ref in named for path in ref.files())]
    inputs = [*paths, *([Path(words["image"])] if words["image"] else [])]
    inputs += [Path(limits)] if limits is not None and limits not in BUILT_IN else []
    refuse_overwrite([words[name] for name in ("picture", "map", "csv") if words[name] is not None], inputs)
    refuse_other_frames(paths)
    for one in more:
        unit_of(one)
    asked = read_limits(limits) if limits is not None else ()
    with shown_warnings() as warned:
        plan = read_dose(file, units=words["units"], prescription_gy=words["prescription"])
        masks = {name: ref.read() for name, ref in named}
        if len(masks) < len(named):
            raise DoseError("two structures have one name; give NAME=FILE")
        metrics = {name: dose_metrics(plan, mask) for name, mask in masks.items()}
        checks = check_limits(metrics, asked)
        if words["csv"] is not None:
            write_histograms(metrics, words["csv"], inputs)
        draw(plan, masks, metrics, words)
    if words.json:
        structures = {name: as_json(one, words["prescription"], more) for name, one in metrics.items()}
        checked = [limit_as_json(check) for check in checks]
        print_json({"structures": structures, "limits": checked, "warnings": warned}, "dose")
        return
    rows = table(metrics, words["prescription"], more)
    print_rows(rows, str(file), "Gy, %; partial volumes, interpolated by a cubic spline")
    if checks:
        headings = ("structure", "metric", "limit", "found", "")
        print_rows([headings, *map(limit_row, checks)], "Limits", "–: the structure was not given")


COMMANDS: Final = (("dose", dose, OPTIONS),)


def name_and_file(text: str) -> "tuple[str, StructureRef]":
    """``NAME=FILE[:LABEL]``, or a file whose name, or label, is the structure's."""
    from ptvkit.io.naming import StructureRef

    name, equals, rest = text.partition("=")
    if equals and not Path(text).exists():
        return name, StructureRef.parse(rest)
    ref = StructureRef.parse(text)
    return ref.title, ref


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


def write_histograms(found: dict[str, "DoseMetrics"], path: Path, inputs: list[Path]) -> None:
    """Cumulative histograms, a column for each structure, every 0.1 Gy, and the sidecar that names their schema."""
    from csv import writer
    from io import StringIO

    import numpy as np

    from ptvkit.io.files import write_whole
    from ptvkit.io.provenance import DVH_TABLE_SCHEMA, Provenance, source_of, write_sidecar
    from ptvkit.text import csv_text

    sources = tuple(source_of(one) for one in dict.fromkeys(inputs))
    levels = np.arange(0.0, max(one.dmax_gy for one in found.values()) + 0.1, 0.1)
    columns = [one.volumes_at(levels) for one in found.values()]
    text = StringIO()
    table = writer(text, lineterminator="\n")
    table.writerow(("dose_gy", *map(csv_text, found)))
    for level, *shares in zip(levels, *columns, strict=True):
        table.writerow((f"{level:.1f}", *(f"{share:.6f}" for share in shares)))
    with write_whole(path) as file:
        file.write(text.getvalue().encode())
    write_sidecar(path, Provenance(inputs=sources, method="histogram", margins={}), schema=DVH_TABLE_SCHEMA)


def draw(plan: Any, masks: "dict[str, Mask | Region]", metrics: dict[str, "DoseMetrics"], words: Words) -> None:
    """Histograms, and isodoses over the anatomy, where they are wanted."""
    if words["picture"] is None and words["map"] is None:
        return
    from ptvkit.io.nifti import read_image
    from ptvkit.report.dose_charts import dvh_figure, isodose_figure
    from ptvkit.report.style import save_figure

    if words["picture"] is not None:
        save_figure(dvh_figure(list(metrics.values()), prescription_gy=plan.prescription_gy), words["picture"])
    if words["map"] is not None:
        image = None if words["image"] is None else read_image(Path(words["image"]))
        save_figure(isodose_figure(plan, masks, image), words["map"])
