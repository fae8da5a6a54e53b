"""The targets of one case as a page to review and sign: contours, volumes, margins, cuts, provenance."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ptvkit.geometry.directions import DIRECTIONS
from ptvkit.io.files import write_whole
from ptvkit.io.provenance import versions
from ptvkit.io.target_files import NOTE
from ptvkit.margins.margin import Margin
from ptvkit.margins.phases import MotionTarget
from ptvkit.margins.targets import Targets
from ptvkit.report.colours import ON_LIGHT, colours_of
from ptvkit.report.pages import embedded, rendered, script
from ptvkit.report.scene import Image, scene_of

Reached = Mapping[str, Mapping[str, float]]

TOLERANCE_MM: Final = 0.5
"""A margin that is reached to within this is not marked."""
CUTS: Final = {
    "ctv_limit": "CTV cut by its limit",
    "ctv_avoid": "CTV cut by what it avoids",
    "ctv_outside_image": "CTV beyond the image",
    "ptv_outside_image": "PTV beyond the image",
    "ptv_eval_outside_image": "PTV for evaluation beyond the image",
    "breathing_lack": "PTV that breathing as a sweep would add",
}
LEAST_CC: Final = 0.005
MOST_LESIONS: Final = 30
"""Lesions with lines of their own; of more the page would be a list."""


def write_targets_page(
    targets: Targets,
    path: str | os.PathLike[str],
    *,
    name: str = "",
    content: Mapping[str, Any] | None = None,
    image: Image | None = None,
) -> Path:
    """Write the page of targets, whole or not at all.

    Parameters
    ----------
    targets : Targets
    path : path
        Of the HTML file; it needs no other file and no network.
    name : str
        The case.
    content : mapping, optional
        What `targets.json` holds: the masks' volumes, warnings, and where all came from.
    image : (array, Grid), optional
        CT numbers behind the contours.

    Raises
    ------
    FileError
        When it cannot be written.
    """
    page = targets_page(targets, name=name, content=content or {}, image=image)
    with write_whole(Path(path)) as file:
        file.write(page.encode())
    return Path(path)


def targets_page(targets: Targets, *, name: str, content: Mapping[str, Any], image: Image | None = None) -> str:
    """The page as HTML."""
    structures = targets.structures
    achieved = content["margin_achieved_mm"]["region"] if "margin_achieved_mm" in content else targets.achieved
    cuts = {**targets.cut_cc, **content.get("cut_cc", {})}
    lesions = {f"lesion {lesion.number}": lesion.gtv for lesion in targets.lesions[:MOST_LESIONS]}
    values = {
        "title": f"Targets of {name or targets.gtv.name}",
        "answer": _in_words(targets),
        "note": NOTE[0].upper() + NOTE[1:],
        "warnings": content.get("warnings", targets.warnings),
        "pictured": "" if image is None else ", over the image",
        "volumes": _volumes(targets, content),
        "directions": [f"{letter}, {one.name}" for letter, one in DIRECTIONS.items()],
        "margins": _margins(targets, achieved),
        "shape": "" if targets.breathing.is_zero else f" ({targets.breathing_shape.replace('_', '-')})",
        "tolerance": TOLERANCE_MM,
        "cuts": [(CUTS.get(key, key), f"{cc:.2f}") for key, cc in cuts.items() if cc > LEAST_CC],
        "provenance": _provenance(content),
        "scene": embedded(scene_of(structures, image, name=name, places=lesions, around=targets.ptv)),
        "planes": script("planes.js"),
    }
    return rendered("targets.html.j2", values)


def _in_words(targets: Targets) -> str:
    volumes = ", ".join(f"{name} {region.volume_cc:.1f} cc" for name, region in targets.structures.items())
    count = len(targets.lesions)
    text = f"{count} lesion{'s' if count != 1 else ''}: {volumes.replace('PTV_eval', 'PTV for evaluation')}."
    return text if targets.motion is None else f"{text} {_motion_in_words(targets.motion)}"


def _motion_in_words(how: MotionTarget) -> str:
    kinds = {
        "itv": "the union of all phases (ITV)",
        "mid_position": "the mean shape of the phases at their mean position",
        "mid_ventilation": f"the mid-ventilation phase, {how.phase:g} %" if how.phase is not None else "",
        "phase": f"the phase {how.phase:g} %" if how.phase is not None else "",
    }
    off = ", ".join(f"{mm:.1f}" for mm in how.residual_mm)
    sides = ", ".join(f"{letter} {mm:.1f}" for letter, mm in how.internal_margin_mm.items())
    return (
        f"The GTV is {kinds[how.motion]}; it lies ({off}) mm (LR, AP, SI) from the time mean, a systematic error."
        f" Internal margins, all phases beyond the mean phase: {sides} mm."
    )


def _volumes(targets: Targets, content: Mapping[str, Any]) -> list[dict[str, str]]:
    masks = content.get("volume_cc", {})
    colours = colours_of(targets.structures)
    return [
        {
            "name": name.replace("PTV_eval", "PTV for evaluation"),
            "on_light": ON_LIGHT.get(colours[name], colours[name]),
            "on_dark": colours[name],
            "region": f"{region.volume_cc:.2f}",
            "mask": f"{masks[name.lower()]['mask']:.2f}" if name.lower() in masks else "–",
        }
        for name, region in targets.structures.items()
    ]


def _margins(targets: Targets, achieved: Reached) -> list[dict[str, Any]]:
    """Rows of requested and reached margins per lesion, and reached margins of all lesions together."""
    rows = []
    for lesion in targets.lesions[:MOST_LESIONS]:
        prefix = f"lesion {lesion.number}: " if len(targets.lesions) > 1 else ""
        reached: Reached | None = getattr(lesion, "achieved", None)
        reached = achieved if reached is None and len(targets.lesions) == 1 else reached
        full = lesion.ptv_margin + targets.breathing
        for kind, margin, wanted in (("CTV", lesion.ctv_margin, lesion.ctv_margin), ("PTV", full, full)):
            breathing = "" if kind == "CTV" or targets.breathing.is_zero else ", breathing included"
            rows.append(_row(f"{prefix}{kind} requested{breathing}", margin.letters))
            if reached is not None:
                rows.append(_row(f"{prefix}{kind} reached", reached[kind.lower()], wanted))
    if len(targets.lesions) > 1:
        rows += [_row(f"all lesions together: {k.upper()} reached", mm) for k, mm in achieved.items()]
    return rows


def _row(name: str, letters: Mapping[str, float], requested: Margin | None = None) -> dict[str, Any]:
    wanted = {} if requested is None else requested.letters
    cells = [
        {"text": f"{letters[x]:.1f}", "short": x in wanted and letters[x] < wanted[x] - TOLERANCE_MM}
        for x in DIRECTIONS
    ]
    return {"name": name, "cells": cells, "reached": requested is not None}


def _provenance(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [("input", f"{one['path']}, SHA-256 {one['sha256']}") for one in content.get("inputs", [])]
    rows += [
        (f"file {name}", f"{one['path']}, SHA-256 {one['sha256']}") for name, one in content.get("files", {}).items()
    ]
    if "command" in content:
        rows.append(("command", " ".join(content["command"])))
    rows += [(name, release) for name, release in content.get("versions", versions()).items()]
    return [*rows, *([("written", content["created"])] if "created" in content else [])]
