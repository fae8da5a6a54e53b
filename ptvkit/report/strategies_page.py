"""A comparison of strategies as one page: bars with intervals, contours of the PTVs on one slice, a table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from skimage import measure

from ptvkit.analysis.strategies import Comparison
from ptvkit.geometry.extent import extent
from ptvkit.geometry.region import Region
from ptvkit.io.files import write_whole
from ptvkit.io.strategy_files import NOTE
from ptvkit.report.pages import embedded, rendered, script

STEP_MM: Final = 0.75
ROOM_MM: Final = 6.0
BARS: Final = (("margin", "CTV-to-PTV margin, mm"), ("ptv_cc", "PTV, cc"), ("minutes", "minutes of a fraction"))


def write_strategies_page(comparison: Comparison, path: Path, *, warnings: Sequence[str] = ()) -> Path:
    """Write the page of a comparison, whole or not at all.

    Raises
    ------
    FileError
        When it cannot be written.
    """
    with write_whole(path) as file:
        file.write(strategies_page(comparison, warnings).encode())
    return path


def strategies_page(comparison: Comparison, warnings: Sequence[str] = ()) -> str:
    """The page as HTML."""
    rows = comparison.table()
    has_organ = any(row["organ_cc"] is not None for row in rows)
    values = {
        "title": "Which way to manage the motion",
        "answer": comparison.in_words(),
        "note": NOTE[0].upper() + NOTE[1:],
        "asked": (
            f"{comparison.criterion} for {comparison.population:.0%} of {comparison.patients} simulated patients; the"
            " same patients for every strategy."
        ),
        "warnings": list(warnings),
        "has_organ": has_organ,
        "fixed": ", ".join(f"{letter} {mm:g}" for letter, mm in comparison.fixed.letters.items()),
        "rows": [_shown(one.title, one.row()) for one in comparison.strategies],
        "assumed": [(one.title, one.assumed) for one in comparison.strategies],
        "data": embedded(
            {"bars": _bars([one.title for one in comparison.strategies], rows), "contours": _contours(comparison)}
        ),
        "plotly": script("plotly-basic.min.js"),
        "script": script("strategies.js"),
    }
    return rendered("strategies.html.j2", values)


def _shown(title: str, row: dict[str, Any]) -> dict[str, str]:
    """Texts of a row of the table."""

    def triple(key: str) -> str:
        return ", ".join(f"{mm:.1f}" for mm in row[key])

    return {
        "name": title,
        "margin": f"{row['margin']:.1f} ({row['margin_low']:.1f} to {row['margin_high']:.1f})",
        "ptv_cc": f"{row['ptv_cc']:.0f}",
        "organ_cc": "" if row["organ_cc"] is None else f"{row['organ_cc']:.0f}",
        "systematic": triple("systematic_mm"),
        "random": triple("random_mm"),
        "duty": f"{row['duty']:.2f}",
        "minutes": f"{row['minutes']:.1f}",
        "reached": f"{row['reached']:.3f} ({row['reached_low']:.3f} to {row['reached_high']:.3f})",
        "fixed": f"{row['fixed_reached']:.3f}",
    }


def _bars(names: Sequence[str], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Values of each chart with the ends of their intervals."""
    return [
        {
            "title": title,
            "names": list(names),
            "values": [row[key] for row in rows],
            "low": [row.get(f"{key}_low", row[key]) for row in rows],
            "high": [row.get(f"{key}_high", row[key]) for row in rows],
        }
        for key, title in BARS
    ]


def _contours(comparison: Comparison) -> dict[str, Any]:
    """Outlines of GTV, CTV and all PTVs on the coronal slice through the GTV's middle, mm."""
    regions = {"GTV": comparison.gtv, "CTV": comparison.ctv}
    ptvs = {one.title: one.ptv for one in comparison.strategies}
    reaches = [extent(region) for region in (*regions.values(), *ptvs.values())]
    low = [min(reach[letter] for reach in reaches) - ROOM_MM for letter in "LI"]
    high = [max(reach[letter] for reach in reaches) + ROOM_MM for letter in "RS"]
    middle = extent(comparison.gtv)
    at = (middle["A"] + middle["P"]) / 2
    axes = [np.arange(a, b, STEP_MM) for a, b in zip(low, high, strict=True)]
    x, z = np.meshgrid(*axes, indexing="ij")
    points = np.stack([x, np.full_like(x, at), z], axis=-1)
    return {
        "at": f"coronal slice at AP {at:.0f} mm",
        "lines": [
            {"name": name, "kind": "target" if name in regions else "ptv", "paths": _outline(region, points, axes)}
            for name, region in (*regions.items(), *ptvs.items())
        ],
    }


def _outline(region: Region, points: Any, axes: Sequence[Any]) -> list[list[list[float]]]:
    """Outlines (N, 2) of a region on a plane, R to the left as in pictures is left to the axis of the chart."""
    level = np.nan_to_num(np.asarray(region.sample(points.reshape(-1, 3)), float).reshape(points.shape[:2]), nan=99.0)
    level = np.clip(level, -99.0, 99.0)
    found = []
    for line in measure.find_contours(level, 0.0):  # type: ignore[no-untyped-call]
        across, up = (np.interp(line[:, n], np.arange(len(axes[n])), axes[n]) for n in (0, 1))
        found.append([across.round(2).tolist(), up.round(2).tolist()])
    return found
