"""Structures made from structures: rings, walls, planning organ-at-risk volumes."""

from ptvkit.errors import MarginError
from ptvkit.geometry.boolean import difference, intersection
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region
from ptvkit.margins.expand import dilate, erode
from ptvkit.margins.margin import Margin


def ring(target: Mask | Region, *, inner_mm: float, outer_mm: float) -> Region:
    """The shell between two distances outside a structure, as for dose fall-off.

    Parameters
    ----------
    target : Mask or Region
    inner_mm, outer_mm : float
        Where the shell begins and ends, mm outside the surface.

    Raises
    ------
    MarginError
        When the outer distance is not above the inner one.
    """
    if not inner_mm < outer_mm:
        raise MarginError(f"ring: the outer distance ({outer_mm:g} mm) must be above the inner one ({inner_mm:g} mm)")
    region = as_region(target)
    outer = dilate(region, Margin.uniform(outer_mm))
    return difference(outer, dilate(region, Margin.uniform(inner_mm)))


def wall(organ: Mask | Region, *, thickness_mm: float) -> Region:
    """The outermost layer of an organ, inside its surface, mm thick (the whole organ where it is thinner)."""
    region = as_region(organ)
    return difference(region, erode(region, Margin.uniform(thickness_mm)))


def prv(organ: Mask | Region, margin: Margin) -> Region:
    """Planning organ-at-risk volume (ICRU 62): the organ grown by a margin for its motion and set-up error."""
    return dilate(as_region(organ), margin)


def taken_cc(ptv: Mask | Region, ctv: Mask | Region, organ: Mask | Region) -> float:
    """What the margin takes of an organ: its volume inside the PTV and outside the CTV within it, cc."""
    # two volumes less one another: a thin shell between two surfaces would fall between the nodes
    return max(intersection(ptv, organ).volume_cc - intersection(ctv, organ).volume_cc, 0.0)
