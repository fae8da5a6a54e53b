"""The parts of CTV and PTV, lesion by lesion."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal, NamedTuple

from ptvkit.geometry.boolean import union
from ptvkit.geometry.components import parts
from ptvkit.geometry.directions import OPPOSITES
from ptvkit.geometry.region import Region
from ptvkit.margins.barriers import Structure, stay_inside, stay_out
from ptvkit.margins.expand import dilate, sweep
from ptvkit.margins.margin import PATIENT, Margin

BreathingShape = Literal["semi_axes", "sweep"]
MOST_LESIONS: Final = 100
"""With more parts than this a segmentation is noisy, and its parts are taken together."""


def lesion_parts(gtv: Structure, whole: Region) -> tuple[Region, ...]:
    """The region of each lesion, the largest first; of too many parts the whole."""
    if isinstance(gtv, Region):
        return parts(gtv)
    if not 1 < len(whole.boxes) <= MOST_LESIONS:
        return (whole,)
    return tuple(replace(one, name=f"{gtv.name}, lesion {n}") for n, one in enumerate(whole.by_box(), start=1))


class ClinicalParts(NamedTuple):
    """The CTV of each lesion.

    Attributes
    ----------
    parts : tuple of Region
    cut_cc : mapping of str to float
        Volumes that a limit and organs to avoid take, cm³.
    beyond_cc : float
        Of the GTV, what lies beyond them and is kept.
    """

    parts: tuple[Region, ...]
    cut_cc: Mapping[str, float]
    beyond_cc: float


def clinical_parts(
    starts: Sequence[Region],
    margins: Sequence[Margin],
    limit: Structure | None = None,
    avoid: Sequence[Structure] = (),
    clearance_mm: float = 0.0,
) -> ClinicalParts:
    """The CTV of each lesion: grown by its margin, behind the barriers, and never less than the GTV."""
    grown = [dilate(start, margin) for start, margin in zip(starts, margins, strict=True)]
    if limit is None and not avoid:
        return ClinicalParts(tuple(grown), {}, 0.0)
    clear, cut_cc = _behind_barriers(grown, limit, tuple(avoid), clearance_mm)
    kept = tuple(union(part, start) for part, start in zip(clear, starts, strict=True))
    return ClinicalParts(kept, cut_cc, union(*kept).volume_cc - union(*clear).volume_cc)


def _behind_barriers(
    full: list[Region], limit: Structure | None, avoid: tuple[Structure, ...], clearance_mm: float
) -> tuple[list[Region], dict[str, float]]:
    """What the limit and the organs to avoid leave of each part, and the volumes that they take, cm³."""
    limited = full if limit is None else [stay_inside(part, limit) for part in full]
    clear = [stay_out(part, avoid, clearance_mm=clearance_mm) for part in limited]
    volumes = [union(*stage).volume_cc for stage in (full, limited, clear)]
    return clear, {"ctv_limit": volumes[0] - volumes[1], "ctv_avoid": volumes[1] - volumes[2]}


def planned_parts(
    ctvs: Sequence[Region], margins: Sequence[Margin], breathing: Margin, shape: BreathingShape
) -> list[Region]:
    """The PTVs of CTVs with a margin each, all with one breathing margin."""
    pairs = zip(ctvs, margins, strict=True)
    if shape == "sweep":
        return [_swept(ctv, margin, breathing) for ctv, margin in pairs]
    return [dilate(ctv, margin + breathing) for ctv, margin in pairs]


def _swept(ctv: Region, margin: Margin, breathing: Margin) -> Region:
    """CTV grown by the margin, then swept along each axis on which breathing has a margin."""
    region, letters = dilate(ctv, margin), breathing.letters
    for axis, (plus, minus) in enumerate(OPPOSITES):
        region = sweep(region, PATIENT[axis], forward_mm=letters[plus], backward_mm=letters[minus])
    return region
