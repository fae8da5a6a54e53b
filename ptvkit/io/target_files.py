"""Targets as files: masks, their sidecars, and `targets.json`."""

import warnings as warnings_
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from ptvkit.errors import MaskError, PtvkitWarning
from ptvkit.geometry.directions import OPPOSITES
from ptvkit.geometry.extent import extent, margins_between, share_on, volume_outside_cc
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region
from ptvkit.io.nifti import write_mask
from ptvkit.io.provenance import Provenance, file_entry, record, write_json, write_sidecar
from ptvkit.margins.phases import MotionTarget
from ptvkit.margins.targets import Targets

LEAST_SHARE: Final = 0.98
"""Share of a target's volume that its mask must hold, unless a cut is allowed."""
LEAST_VOLUME: Final = 1e-6
FEW_VOXELS: Final = 100
SCHEMA: Final = "ptvkit-targets/1"
NOTE: Final = "produced by a research tool, not a medical device; a physicist reviews targets before use"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """File names of a case.

    Attributes
    ----------
    masks, sidecars : mapping
        File names by structure: ``ctv``, ``ptv``, ``ptv_eval``.
    summary, picture, page, rtstruct : str
    extra : mapping
        Further sidecar entries, by structure.
    """

    masks: Mapping[str, str]
    sidecars: Mapping[str, str]
    summary: str = "targets.json"
    picture: str = "targets.png"
    page: str = "targets.html"
    rtstruct: str = "rtstruct.dcm"
    extra: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """All file names that a case may write."""
        names = (self.summary, self.picture, self.page, self.rtstruct)
        return [*self.masks.values(), *self.sidecars.values(), *names]


STRUCTURES: Final = ("ctv", "ptv", "ptv_eval")
PLAIN: Final = Layout(
    masks={name: f"{name}.nii.gz" for name in STRUCTURES},
    sidecars={name: f"{name}.nii.gz.json" for name in STRUCTURES},
)


def write_targets(
    targets: Targets,
    stage: Path,
    *,
    home: Path,
    grid: Grid,
    provenance: Provenance,
    warnings: Iterable[str] = (),
    layout: Layout = PLAIN,
    request: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write CTV and PTV masks, their sidecars and `targets.json` into a folder.

    Parameters
    ----------
    targets : Targets
    stage : Path
        Folder to write to, from `ptvkit.io.files.write_together`.
    home : Path
        Final folder of the files: paths in the JSON files are relative to it.
    grid : Grid
        Grid of the masks.
    provenance : Provenance
    warnings : iterable of str
        Warnings for `targets.json`; a list may still grow while the masks are sampled.
    layout : Layout
        File names.
    request : mapping, optional
        Options as entered, for `targets.json`.

    Returns
    -------
    dict
        The content of `targets.json`.

    Warns
    -----
    PtvkitWarning
        When a target does not fit on the grid.
    """
    masks = {name: region.to_mask(grid) for name, region in _derived(targets).items()}
    files = {}
    for name, mask in masks.items():
        path = stage / layout.masks[name]
        write_mask(mask, path)
        write_sidecar(path, provenance, home=home, name=layout.sidecars[name], extra=layout.extra.get(name, {}))
        files[name] = file_entry(path)
    content = {
        "schema": SCHEMA,
        "note": NOTE,
        **summary(targets, grid, masks),
        **({} if request is None else {"request": dict(request)}),
        **record(provenance, home, files, warnings),
    }
    write_json(stage / layout.summary, content)
    return content


def refuse_cut_masks(targets: Targets, grid: Grid, *, allow_cut: bool = False) -> None:
    """Refuse a grid on which a target's mask would be empty or, unless a cut is allowed, would lose too much volume.

    Raises
    ------
    MaskError
        When a mask of CTV, PTV or `ptv_eval` would contain no voxel, or less than 98 % of its region. An empty
        `ptv_eval` is accepted.
    """
    for name, region in _derived(targets).items():
        if region.is_empty and name == "ptv_eval":
            continue
        share = share_on(region, grid)
        if region.is_empty or share <= LEAST_VOLUME or _no_voxel(region, grid):
            raise MaskError(
                f"{name}: its mask would be empty on the output grid; choose the grid of the image that shows the"
                " target, or enlarge it to hold the targets"
            )
        if share < LEAST_SHARE and not allow_cut:
            raise MaskError(
                f"{name}: {100 * (1 - share):.1f} % of it lie outside the output grid and would be cut off; enlarge the"
                " grid to hold the targets, or allow the cut"
            )


def _no_voxel(region: Region, grid: Grid) -> bool:
    """Whether a region contains no voxel centre of a grid; computed for small regions only."""
    with warnings_.catch_warnings():
        warnings_.simplefilter("ignore", PtvkitWarning)
        return region.volume_cc * 1000 < FEW_VOXELS * grid.voxel_volume_mm3 and region.to_mask(grid).is_empty


def margins_asked(targets: Targets) -> dict[str, Any]:
    """Requested margins, mm by direction letter; per lesion where they differ."""
    pairs = [(lesion.ctv_margin.letters, lesion.ptv_margin.letters) for lesion in targets.lesions]
    if all(pair == pairs[0] for pair in pairs):
        ctv, ptv = pairs[0]
        requested: dict[str, Any] = {"ctv": ctv, "ptv": ptv}
    else:
        requested = {"lesions": [{"ctv": ctv, "ptv": ptv} for ctv, ptv in pairs]}
    return {**requested, "breathing": targets.breathing.letters, "breathing_shape": targets.breathing_shape}


def summary(targets: Targets, grid: Grid, masks: Mapping[str, Mask]) -> dict[str, Any]:
    """Volumes, margins, cuts and lesions of targets and of their masks on a grid, as JSON values."""
    gtv = targets.gtv.to_mask(grid)
    return {
        "volume_cc": {
            name: {"region": region.volume_cc, "mask": ({"gtv": gtv} | dict(masks))[name].volume_cc}
            for name, region in {"gtv": targets.gtv, **_derived(targets)}.items()
        },
        "margin_asked_mm": margins_asked(targets),
        **({} if targets.motion is None else {"motion": motion_as_json(targets.motion)}),
        "margin_achieved_mm": {
            "region": targets.achieved,
            "mask": {
                "ctv": margins_between(extent(gtv), extent(masks["ctv"])),
                "ptv": margins_between(extent(masks["ctv"]), extent(masks["ptv"])),
            },
        },
        "cut_cc": targets.cut_cc
        | {f"{name}_outside_image": volume_outside_cc(region, grid) for name, region in _derived(targets).items()},
        "lesions": [
            {
                "number": lesion.number,
                "volume_cc": lesion.gtv.volume_cc,
                "margin_achieved_mm": lesion.achieved,
                "centre_mm": _centre(lesion.gtv),
                "merged_with": list(lesion.merged_with),
            }
            for lesion in targets.lesions
        ],
        "grid": {"shape": grid.shape, "spacing_mm": grid.spacing_mm, "axes": "".join(grid.codes)},
    }


def motion_as_json(how: MotionTarget) -> dict[str, Any]:
    """How the GTV was made from phases; triples are LR, AP, SI, mm."""
    return {
        "target": how.motion,
        "phase": how.phase,
        "residual_mm": np.round(how.residual_mm, 3).tolist(),
        "internal_margin_mm": {letter: round(mm, 2) for letter, mm in how.internal_margin_mm.items()},
        "amplitude_mm": np.round(how.amplitude_mm, 3).tolist(),
        "sd_mm": np.round(how.sd_mm, 3).tolist(),
    }


def _derived(targets: Targets) -> dict[str, Region]:
    regions = {"ctv": targets.ctv, "ptv": targets.ptv}
    return regions if targets.ptv_eval is None else {**regions, "ptv_eval": targets.ptv_eval}


def _centre(region: Region) -> list[float]:
    """Centre of a region's extent, patient frame RAS+, mm."""
    reach = extent(region)
    return [round(0.5 * (reach[a] + reach[b]), 2) for a, b in OPPOSITES]
