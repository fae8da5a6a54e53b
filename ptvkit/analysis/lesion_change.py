"""How lesions changed between two scans: which is which, volumes, diameters, and the response by RECIST 1.1."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from numpy.typing import ArrayLike

from ptvkit.analysis.axial import AxialDiameter, axial_diameter
from ptvkit.analysis.lesion_match import Group, Lesion, matched
from ptvkit.display import line
from ptvkit.errors import MaskError
from ptvkit.geometry.components import lesions, parts
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region
from ptvkit.values import number

Structure = Mask | Region
Category = Literal["shrunk", "stable", "grown", "vanished", "new", "split", "merged", "split and merged"]
Response = Literal["CR", "PR", "SD", "PD"]
Pair = tuple[float | None, float | None]

THRESHOLD: Final = 0.2
"""Change of volume from which a lesion counts as shrunk or grown."""
DISTANCE_MM: Final = 15.0
"""Largest distance between the centres of lesions that do not overlap and are still matched."""
PARTIAL: Final = 0.70
PROGRESSION: Final = 1.20
PROGRESSION_MM: Final = 5.0
NOTE: Final = "measured on the given outlines; a research tool, not a medical device; a physician reviews"
HEADINGS: Final = ("", "before, cc", "after, cc", "volume", "before, mm", "after, mm", "diameter", "category")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LesionChange:
    """One lesion in two scans, or those that became one, or one that became several.

    Pairs are (before, after), None where the lesion is absent. Of several lesions volumes and diameters are sums, as
    RECIST 1.1 adds the parts of a lesion that fell apart.

    Attributes
    ----------
    name : str
    volume_cc : pair of float
    diameter_mm : pair of float
        Longest axial diameter between the voxels, in any axial plane.
    short_axis_mm : pair of float
        Across it in the same plane; of several lesions the largest.
    slice_diameter_mm : pair of float
        Longest axial diameter on the image's own slices; None for a structure without axial slices.
    before, after : tuple of AxialDiameter
        The section of each lesion.
    category : str
        shrunk, stable or grown by `threshold`; vanished, new, split, merged, or split and merged.
    threshold : float
        Change of volume, as a share, from which a lesion is shrunk or grown.
    matched_by : {"overlap", "distance", ""}
    distance_mm : float or None
        Between the centres of volume, in the frame of the first scan.
    """

    name: str
    volume_cc: Pair
    diameter_mm: Pair
    short_axis_mm: Pair
    slice_diameter_mm: Pair
    before: tuple[AxialDiameter, ...]
    after: tuple[AxialDiameter, ...]
    category: Category
    threshold: float
    matched_by: Literal["overlap", "distance", ""] = ""
    distance_mm: float | None = None

    @property
    def change(self) -> float | None:
        """Change of the volume as a share: −.35 is 35 % less, −1 vanished; None for a new lesion."""
        return relative_change(self.volume_cc)

    @property
    def diameter_change(self) -> float | None:
        """Change of the longest axial diameter as a share; None for a new lesion."""
        return relative_change(self.diameter_mm)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LesionComparison:
    """Lesions before and after.

    Attributes
    ----------
    rows : tuple of LesionChange
        The largest before first; new lesions last.
    distance_mm, threshold : float
        What the lesions were matched and classed with.
    """

    rows: tuple[LesionChange, ...]
    distance_mm: float
    threshold: float

    def __repr__(self) -> str:
        return line(self, self.response, f"{len(self.rows)} lesions")

    @property
    def volume_cc(self) -> tuple[float, float]:
        """Volume of all lesions, before and after."""
        return _sum([row.volume_cc for row in self.rows])

    @property
    def sum_mm(self) -> tuple[float, float]:
        """Sum of the longest axial diameters, before and after; new lesions do not count in it."""
        return _sum([row.diameter_mm for row in self.rows if row.category != "new"])

    @property
    def has_new(self) -> bool:
        """Whether a lesion is new."""
        return any(row.category == "new" for row in self.rows)

    @property
    def response(self) -> Response:
        """Response by RECIST 1.1, the first scan taken as baseline and nadir, all lesions as targets."""
        before, after = self.sum_mm
        return recist_response(before, before, after, has_new=self.has_new)

    def table(self) -> list[tuple[str, ...]]:
        """Headings and a line for each lesion."""
        return [HEADINGS, *(_row(row) for row in self.rows)]

    def summary(self) -> str:
        """The response and its reasons, in one sentence."""
        (before, after), change = self.sum_mm, relative_change(self.sum_mm)
        reason = "; a lesion is new" if self.has_new else ""
        share = "" if change is None else f" ({100 * change:+.1f} %)"
        return f"{self.response} by RECIST 1.1: sum of diameters {before:.1f} → {after:.1f} mm{share}{reason}"


def compare_lesions(
    before: Structure,
    after: Structure,
    transform: ArrayLike | None = None,
    *,
    distance_mm: float = DISTANCE_MM,
    threshold: float = THRESHOLD,
) -> LesionComparison:
    """Match the lesions of two scans, and tell how each changed.

    Lesions are connected parts. They belong together when they share 10 % of the smaller one's volume; of those that
    are left, the nearest within `distance_mm` between centres. Sizes are measured in each scan's own frame.

    Parameters
    ----------
    before, after : Mask or Region
        On any grids. One of them may be empty.
    transform : (4, 4) array, optional
        Takes patient points of the first scan to those of the second, RAS+ mm; without it they share one frame.
    distance_mm : float
    threshold : float
        Change of volume, as a share, from which a lesion is shrunk or grown.

    Returns
    -------
    LesionComparison

    Raises
    ------
    MaskError
        When both are empty, or no lesion of one scan can be matched with one of the other.
    GridError
        When the transform is no invertible affine.

    References
    ----------
    Eisenhauer et al. 2009, Eur J Cancer 45:228 (RECIST 1.1).

    Examples
    --------
    >>> from ptvkit import contract, phantom
    >>> lesion = phantom.region("lesion_3")
    >>> found = compare_lesions(lesion, contract(lesion, 2))
    >>> [row.category for row in found.rows], found.response
    (['shrunk'], 'SD')
    """
    limit = number("distance_mm", distance_mm, least=0.0, most=200.0, error=MaskError)
    least = number("threshold", threshold, least=0.0, most=10.0, error=MaskError)
    first, second = _lesions(before), _lesions(after)
    if not (first or second):
        raise MaskError(f"{before.name} and {after.name}: both are empty; there is no lesion to compare")
    groups = matched([one for _, one in first], [one for _, one in second], transform, limit)
    measured = [[_measured(*one) for one in scan] for scan in (first, second)]
    rows = [
        _change(group, [[measured[side][n] for n in (group.before, group.after)[side]] for side in (0, 1)], least, name)
        for name, group in enumerate(groups, start=1)
    ]
    return LesionComparison(rows=tuple(rows), distance_mm=limit, threshold=least)


def _change(group: Group, measured: Sequence[Sequence["_Measured"]], threshold: float, name: int) -> LesionChange:
    return LesionChange(
        name=f"lesion {name}",
        volume_cc=_pair(measured, "volume_cc", sum),
        diameter_mm=_pair(measured, "longest_mm", sum),
        short_axis_mm=_pair(measured, "short_mm", max),
        slice_diameter_mm=_pair(measured, "slice_mm", sum),
        before=tuple(one.section for one in measured[0]),
        after=tuple(one.section for one in measured[1]),
        category=_category(measured, threshold),
        threshold=threshold,
        matched_by=group.matched_by,
        distance_mm=group.distance_mm,
    )


def recist_response(baseline_mm: float, nadir_mm: float, now_mm: float, *, has_new: bool = False) -> Response:
    """Response of the target lesions by RECIST 1.1.

    Progression: the sum of diameters is at least 120 % of the smallest so far and at least 5 mm larger, or a lesion is
    new. Partial response: at most 70 % of the baseline sum. Complete response: nothing is left.

    Parameters
    ----------
    baseline_mm, nadir_mm, now_mm : float
        Sums of longest diameters.
    has_new : bool

    References
    ----------
    Eisenhauer et al. 2009, Eur J Cancer 45:228, table 3.

    Examples
    --------
    >>> [recist_response(50, 50, 35), recist_response(50, 20, 24), recist_response(100, 60, 72)]
    ['PR', 'PR', 'PD']
    """
    tie = 1e-9
    if has_new or (now_mm >= PROGRESSION * nadir_mm - tie and now_mm - nadir_mm >= PROGRESSION_MM - tie):
        return "PD"
    if now_mm == 0:
        return "CR"
    return "PR" if now_mm <= PARTIAL * baseline_mm + tie else "SD"


def relative_change(pair: Sequence[float | None]) -> float | None:
    """Change from before to after as a share; None without a before."""
    before, after = pair
    return ((after or 0.0) - before) / before if before else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Measured:
    volume_cc: float
    longest_mm: float
    short_mm: float
    slice_mm: float | None
    section: AxialDiameter


def _lesions(structure: Structure) -> list[tuple[Structure, Lesion]]:
    """The lesions as they are measured, and as they are matched."""
    if structure.is_empty:
        return []
    pieces: list[Structure] = [*(lesions(structure) if isinstance(structure, Mask) else parts(structure))]
    return [(piece, Lesion.of(as_region(piece))) for piece in pieces]


def _measured(piece: Structure, lesion: Lesion) -> _Measured:
    section = axial_diameter(piece)
    return _Measured(
        volume_cc=lesion.volume_cc,
        longest_mm=section.longest_mm,
        short_mm=section.short_mm,
        slice_mm=section.slice_mm,
        section=section,
    )


def _category(measured: Sequence[Sequence[_Measured]], threshold: float) -> Category:
    before, after = measured
    if not before or not after:
        return "new" if after else "vanished"
    if len(before) > 1 or len(after) > 1:
        return "split" if len(before) == 1 else "merged" if len(after) == 1 else "split and merged"
    change = after[0].volume_cc / before[0].volume_cc - 1
    return "shrunk" if change <= -threshold else "grown" if change >= threshold else "stable"


def _pair(measured: Sequence[Sequence[_Measured]], name: str, together: Any) -> Pair:
    before, after = ([getattr(one, name) for one in side] for side in measured)
    first, second = (None if not side or None in side else float(together(side)) for side in (before, after))
    return first, second


def _sum(pairs: Sequence[Pair]) -> tuple[float, float]:
    before, after = (float(sum(pair[side] or 0.0 for pair in pairs)) for side in (0, 1))
    return before, after


def _row(row: LesionChange) -> tuple[str, ...]:
    def text(value: float | None) -> str:
        return "–" if value is None else f"{value:.2f}"

    def share(value: float | None) -> str:
        return "–" if value is None else f"{100 * value:+.1f} %"

    return (
        *(row.name, *map(text, row.volume_cc), share(row.change)),
        *(*map(text, row.diameter_mm), share(row.diameter_change), row.category),
    )
