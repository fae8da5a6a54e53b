"""The targets: GTV → CTV → PTV, without returning to voxels in between."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeGuard

import numpy as np
from numpy.typing import NDArray

from ptvkit.display import figure_of, html_of
from ptvkit.errors import MarginError, PtvkitWarning
from ptvkit.geometry.boolean import union
from ptvkit.geometry.box import Box
from ptvkit.geometry.components import lesion_sizes
from ptvkit.geometry.extent import edges_touched, extent, margins_between, volume_outside_cc
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.phases import Phases
from ptvkit.geometry.reconstruct import as_region, check_structure
from ptvkit.geometry.region import LEAST_CC, Region
from ptvkit.kernels.parts import labelled
from ptvkit.margins.barriers import Structure, same_grid, stay_inside, stay_out
from ptvkit.margins.lesion_parts import MOST_LESIONS, BreathingShape, clinical_parts, lesion_parts, planned_parts
from ptvkit.margins.margin import Margin, MarginLike, as_margin
from ptvkit.margins.phases import MotionTarget, target_of

PerLesion = MarginLike | Sequence[MarginLike]
UNLIKE_MM: Final = 0.5
"""Difference between the margin that was asked for and the one reached that is worth a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """One of several lesions, the largest first.

    Attributes
    ----------
    number : int
        From 1, by falling number of voxels.
    gtv, ctv, ptv : Region
        Of this lesion alone, before its PTV is joined with others'.
    ctv_margin, ptv_margin : Margin
        What was asked for it, mm; the PTV margin without breathing.
    merged_with : tuple of int
        Numbers of the lesions whose PTV touches this one's.
    """

    number: int
    gtv: Region
    ctv: Region
    ptv: Region
    ctv_margin: Margin
    ptv_margin: Margin
    merged_with: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return f"Lesion({self.number}, GTV {self.gtv.volume_cc:.4g} cc, ctv {self.ctv_margin}, ptv {self.ptv_margin})"

    @property
    def achieved(self) -> dict[str, dict[str, float]]:
        """Margins reached by this lesion, mm by direction letter; as `Targets.achieved`."""
        return _achieved(self.gtv, self.ctv, self.ptv)


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """GTV, CTV and PTV of one plan, as `make_targets` made them.

    Attributes
    ----------
    gtv, ctv, ptv : Region
    ptv_eval : Region or None
        The PTV cropped for evaluation, when that was asked for. The PTV itself is never cut.
    lesions : tuple of Lesion
    breathing : Margin
        The breathing margin, and its shape in `breathing_shape`.
    cut_cc : dict
        Volumes lost, cm³: ``ctv_limit``, ``ctv_avoid``, ``ctv_outside_image``, ``ptv_outside_image`` (beyond the GTV's
        image; the regions hold it all), and
        ``breathing_lack``, what the breathing margin as larger semi-axes lacks against the sweep.
    warnings : tuple of str
    motion : MotionTarget or None
        How the GTV was made from phases.
    """

    gtv: Region
    ctv: Region
    ptv: Region
    ptv_eval: Region | None = None
    lesions: tuple[Lesion, ...]
    breathing: Margin
    breathing_shape: BreathingShape
    cut_cc: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    motion: MotionTarget | None = None

    def __repr__(self) -> str:
        volumes = [f"{name} {region.volume_cc:.4g} cc" for name, region in self.structures.items()]
        return f"Targets({', '.join(volumes)}, lesions: {len(self.lesions)}, warnings: {len(self.warnings)})"

    def _repr_html_(self) -> str:
        return html_of(self)

    def plot(self, **options: Any) -> Any:
        """Three planes with the outlines, a matplotlib figure; options: `image` (array, Grid), `centre_mm`."""
        return figure_of(self, **options)

    @property
    def structures(self) -> dict[str, Region]:
        """The regions by name: GTV, CTV, PTV, and PTV_eval where there is one."""
        evaluated = {} if self.ptv_eval is None else {"PTV_eval": self.ptv_eval}
        return {"GTV": self.gtv, "CTV": self.ctv, "PTV": self.ptv} | evaluated

    @property
    def achieved(self) -> dict[str, dict[str, float]]:
        """Margins reached, mm by direction letter: ``["ctv"]`` beyond the GTV, ``["ptv"]`` beyond the CTV.

        Differences of the surfaces' extremes in each direction; smaller than asked where a limit cut the CTV.
        """
        return _achieved(self.gtv, self.ctv, self.ptv)


def _achieved(gtv: Region, ctv: Region, ptv: Region) -> dict[str, dict[str, float]]:
    inner, middle, outer = extent(gtv), extent(ctv), extent(ptv)
    return {"ctv": margins_between(inner, middle), "ptv": margins_between(middle, outer)}


def make_targets(
    gtv: Structure | Phases,
    *,
    ctv: PerLesion,
    ptv: PerLesion,
    motion: str | float | None = None,
    breathing: MarginLike | None = None,
    breathing_shape: BreathingShape = "semi_axes",
    limit_ctv: Structure | None = None,
    avoid: Structure | Sequence[Structure] = (),
    avoid_clearance_mm: float = 0.0,
    eval_limit: Structure | None = None,
    eval_depth_mm: float = 0.0,
    eval_avoid: Structure | Sequence[Structure] = (),
) -> Targets:
    """Make CTV and PTV from a GTV, without returning to voxels in between.

    Parameters
    ----------
    gtv : Mask, Region or Phases
    ctv, ptv : Margin, float, str, or a sequence of them
        GTV to CTV, and CTV to PTV, mm; a sequence gives each lesion its own, the largest first.
    motion : {"itv", "mid_ventilation", "mid_position"} or number, optional
        What the GTV is of phases: their union, the phase nearest to the time mean, the mean shape at the mean
        position, or the phase with a number. Phases need it.
    breathing : Margin or str, optional
        More margin on the PTV for breathing, each side named, such as ``"S=12,I=18"``; one number is refused, as it may
        mean one side or both together.
    breathing_shape : {"semi_axes", "sweep"}
        Larger semi-axes, as planning systems do, or the Minkowski sum with the segment, which keeps the whole lateral
        margin at the ends. The first reports in ``cut_cc["breathing_lack"]`` what it lacks against the second.
    limit_ctv : Mask or Region, optional
        The CTV stays inside it (the liver, the body).
    avoid : Mask, Region or a sequence of them
        The CTV keeps `avoid_clearance_mm` from each (bone, an organ).
    eval_limit, eval_depth_mm, eval_avoid
        Make `ptv_eval`: the part of the PTV inside `eval_limit`, at least `eval_depth_mm` below its surface, and
        outside `eval_avoid`. The PTV itself is never cut: set-up error does not stop at bone or skin.

    Returns
    -------
    Targets
        The CTV always holds the whole GTV, also where that leaves the limit or enters an organ to avoid: a warning
        says so.

    Warns
    -----
    PtvkitWarning
        A GTV at the image's edge or beyond its limit; lesions whose PTVs merge. (`Region.to_mask` warns of what
        leaves the image.)

    Raises
    ------
    MaskError, GridError, MarginError
        An empty mask; masks on different grids; another number of margins than of lesions; phases without a motion.

    Examples
    --------
    >>> array = np.zeros((60, 60, 25), bool)
    >>> array[25:35, 22:36, 10:14] = True
    >>> gtv = Mask.from_array(array, np.diag([1.0, 1.0, 3.0, 1.0]))
    >>> targets = make_targets(gtv, ctv=5, ptv=5, breathing="S=3,I=6")
    >>> {letter: round(mm) for letter, mm in targets.achieved["ptv"].items()}
    {'R': 5, 'L': 5, 'A': 5, 'P': 5, 'S': 8, 'I': 11}
    """
    if not isinstance(gtv, Phases):
        check_structure(gtv)
    breathing = as_margin("0" if breathing is None else breathing, "breathing", name_sides=True)
    if breathing_shape not in ("semi_axes", "sweep"):
        raise MarginError(f"breathing_shape {breathing_shape!r}: use 'semi_axes' or 'sweep'")
    avoid, eval_avoid = _listed(avoid), _listed(eval_avoid)
    image, (gtv, how) = gtv.grid if isinstance(gtv, Mask | Phases) else None, _start(gtv, motion)
    for other in (limit_ctv, eval_limit, *avoid, *eval_avoid):
        if other is not None:
            same_grid(other, gtv)
    whole = as_region(gtv)
    starts = lesion_parts(gtv, whole)
    ctvs, ptvs = _one_each(ctv, len(starts), "ctv"), _one_each(ptv, len(starts), "ptv")
    grown_ctv = clinical_parts(starts, ctvs, limit_ctv, avoid, avoid_clearance_mm)
    kept, beyond_cc, cut_cc = grown_ctv.parts, grown_ctv.beyond_cc, dict(grown_ctv.cut_cc)
    grown = planned_parts(kept, ptvs, breathing, breathing_shape)
    ctv_region, ptv_region = replace(union(*kept), name="CTV"), replace(union(*grown), name="PTV")
    cut_cc |= _outside_image(image, ctv_region, ptv_region)
    if not breathing.is_zero and breathing_shape == "semi_axes":
        swept = union(*planned_parts(kept, ptvs, breathing, "sweep"))
        cut_cc["breathing_lack"] = max(0.0, swept.volume_cc - ptv_region.volume_cc)
    each = zip(starts, kept, grown, ctvs, ptvs, strict=True)
    own = [
        Lesion(number=n, gtv=a, ctv=b, ptv=c, ctv_margin=d, ptv_margin=e) for n, (a, b, c, d, e) in enumerate(each, 1)
    ]
    found = _merged(own, ptv_region)
    told = _findings(gtv, found, beyond_cc)
    told += unlike_asked(gtv.name, found, breathing, limited=limit_ctv is not None or bool(avoid))
    for text in told:
        warnings.warn(text, PtvkitWarning, stacklevel=2)
    return Targets(
        gtv=replace(whole, name="GTV"),
        ctv=ctv_region,
        ptv=ptv_region,
        ptv_eval=_evaluated(ptv_region, eval_limit, eval_depth_mm, eval_avoid),
        lesions=found,
        breathing=breathing,
        breathing_shape=breathing_shape,
        cut_cc=cut_cc,
        warnings=told,
        motion=how,
    )


def _start(gtv: Structure | Phases, motion: str | float | None) -> tuple[Structure, MotionTarget | None]:
    """The GTV to plan on, and how it was made from phases."""
    if not isinstance(gtv, Phases):
        if motion is not None:
            raise MarginError(f"motion {motion!r}: {gtv.name} is one structure; give Phases, or leave motion out")
        return gtv, None
    if motion is None:
        raise MarginError(f"{gtv.name}: phases need motion: 'itv', 'mid_ventilation', 'mid_position', a phase's number")
    return target_of(gtv, motion)


def _listed(structures: Structure | Sequence[Structure]) -> tuple[Structure, ...]:
    return (structures,) if isinstance(structures, Mask | Region) else tuple(structures)


def _is_listed(margins: PerLesion) -> TypeGuard[Sequence[MarginLike]]:
    """Whether there is a margin for each lesion."""
    return isinstance(margins, Sequence) and not isinstance(margins, str)


def _one_each(margins: PerLesion, count: int, role: str) -> tuple[Margin, ...]:
    if not _is_listed(margins):
        return (as_margin(margins, role),) * count  # type: ignore[arg-type]
    if len(margins) != count:
        raise MarginError(f"{role}: {len(margins)} margins for {count} lesions; give one for each, the largest first")
    return tuple(as_margin(margin, f"{role} of lesion {n}") for n, margin in enumerate(margins, start=1))


def _outside_image(image: Grid | None, ctv: Region, ptv: Region) -> dict[str, float]:
    if image is None:
        return {}
    return {"ctv_outside_image": volume_outside_cc(ctv, image), "ptv_outside_image": volume_outside_cc(ptv, image)}


def _merged(found: Sequence[Lesion], ptv: Region) -> tuple[Lesion, ...]:
    """The lesions, each with the numbers of those that lie in the same connected part of the PTV."""
    if len(found) == 1:
        return tuple(found)
    homes = _homes(ptv, np.array([_deepest(lesion.gtv.boxes[0]) for lesion in found]))
    return tuple(
        replace(
            lesion,
            merged_with=tuple(x.number for x, at in zip(found, homes, strict=True) if at == home and x is not lesion),
        )
        for lesion, home in zip(found, homes, strict=True)
    )


def _deepest(box: Box) -> NDArray[np.float64]:
    """Patient point of a box's lowest level, mm."""
    return box.grid.to_mm(np.unravel_index(int(np.argmin(box.level)), box.level.shape))


def _homes(region: Region, points_mm: NDArray[np.float64]) -> list[tuple[int, int]]:
    """The box and the connected part of it that each point lies in."""
    homes = [(-1, n) for n in range(len(points_mm))]
    for number, box in enumerate(region.boxes):
        index = np.rint(box.grid.to_index(points_mm)).astype(int)
        within = np.flatnonzero(((index >= 0) & (index < box.grid.shape)).all(axis=1))
        if len(within):
            labels, _ = labelled(box.level < 0)
            for n, label in zip(within.tolist(), labels[tuple(index[within].T)].tolist(), strict=True):
                homes[n] = (number, label) if label else homes[n]
    return homes


def unlike_asked(name: str, found: Sequence[Lesion], breathing: Margin, *, limited: bool) -> tuple[str, ...]:
    """Where a lesion's surfaces lie further apart, or less far, than its margin says, and no limit explains it."""
    told = []
    for lesion in found:
        reached = lesion.achieved
        for what, margin in (("ctv", lesion.ctv_margin), ("ptv", lesion.ptv_margin + breathing)):
            if what == "ctv" and limited:
                continue
            lengths = margin.letters
            off = {a: mm for a, mm in reached[what].items() if abs(mm - lengths[a]) > UNLIKE_MM}
            if off:
                sides = ", ".join(f"{a} {mm:.1f} for {lengths[a]:.1f}" for a, mm in off.items())
                which = f", lesion {lesion.number}" if len(found) > 1 else ""
                told.append(f"{name}{which}: the {what.upper()} margin reached differs from the one asked: {sides} mm")
    return tuple(told)


def _findings(gtv: Structure, found: tuple[Lesion, ...], beyond_cc: float) -> tuple[str, ...]:
    """What a physicist should see, one sentence each."""
    told = []
    touched = edges_touched(gtv) if isinstance(gtv, Mask) else ()
    if touched:
        told.append(
            f"{gtv.name}: reaches the image's edge ({', '.join(touched)}); the tumour may go on beyond it,"
            " and its end is taken half a voxel further"
        )
    if isinstance(gtv, Mask):
        told += _specks(gtv)
    if beyond_cc > LEAST_CC:
        told.append(f"{gtv.name}: {beyond_cc:.2f} cc of the GTV lie beyond the CTV's limit or in what it avoids; kept")
    groups = sorted({tuple(sorted((x.number, *x.merged_with))) for x in found if x.merged_with})
    for group in groups:
        told.append(f"{gtv.name}: the PTVs of lesions {', '.join(map(str, group))} merge into one")
    return tuple(told)


def _specks(gtv: Mask) -> list[str]:
    sizes = lesion_sizes(gtv)
    told = []
    if len(sizes) > MOST_LESIONS:
        told.append(
            f"{gtv.name}: holds {len(sizes)} separate parts, which are taken together; noise in the segmentation?"
        )
    if len(sizes) > 1 and sizes[-1] == 1:
        told.append(
            f"{gtv.name}: {sizes.count(1)} of its {len(sizes)} parts are single voxels, and grow as lesions do; remove"
            " them, or choose one lesion, if they are noise"
        )
    return told


def _evaluated(ptv: Region, limit: Structure | None, depth_mm: float, avoid: tuple[Structure, ...]) -> Region | None:
    if limit is None and not avoid:
        if depth_mm:
            raise MarginError("eval_depth_mm needs eval_limit: the structure below whose surface it is measured")
        return None
    inner = ptv if limit is None else stay_inside(ptv, limit, depth_mm=depth_mm)
    return replace(stay_out(inner, avoid), name="PTV_eval")
