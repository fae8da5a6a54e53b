"""Structures made from structures: rings, walls, planning organ-at-risk volumes."""

from ptvkit.errors import MarginError
from ptvkit.geometry.boolean import difference, intersection
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region
from ptvkit.margins.barriers import near
from ptvkit.margins.expand import dilate, erode
from ptvkit.margins.margin import MarginLike, as_margin


def ring(target: Mask | Region, *, inner_mm: MarginLike, outer_mm: MarginLike) -> Region:
    """The shell between two distances outside a structure, as for dose fall-off.

    Parameters
    ----------
    target : Mask or Region
    inner_mm, outer_mm : float, Margin or str
        Where the shell begins and ends, mm outside the surface.

    Raises
    ------
    MarginError
        When the outer distance is not above the inner one.
    """
    inner, outer = as_margin(inner_mm, "inner_mm"), as_margin(outer_mm, "outer_mm")
    within = all(inner.letters[letter] <= outer.letters[letter] for letter in inner.letters)
    if not within or inner == outer:
        raise MarginError(f"ring: the outer distance ({outer}) must be above the inner one ({inner})")
    region = as_region(target)
    return difference(dilate(region, outer), dilate(region, inner))


def wall(organ: Mask | Region, *, thickness_mm: MarginLike) -> Region:
    """The outermost layer of an organ, inside its surface, mm thick (the whole organ where it is thinner)."""
    region = as_region(organ)
    return difference(region, erode(region, as_margin(thickness_mm, "thickness_mm")))


def prv(organ: Mask | Region, margin: MarginLike) -> Region:
    """Planning organ-at-risk volume (ICRU 62): the organ grown by a margin for its motion and set-up error."""
    return dilate(as_region(organ), as_margin(margin))


def taken_cc(ptv: Mask | Region, ctv: Mask | Region, organ: Mask | Region) -> float:
    """What the margin takes of an organ: its volume inside the PTV and outside the CTV within it, cc."""
    # two volumes less one another: a thin shell between two surfaces would fall between the nodes
    around = near(organ, as_region(ptv), 0.0)
    return max(intersection(ptv, around).volume_cc - intersection(ctv, around).volume_cc, 0.0)
