"""What a search for the smallest margin ends with."""

from dataclasses import dataclass, field

from ptvkit.analysis.shapes import Shape
from ptvkit.margins.margin import Margin
from ptvkit.motion.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A margin that was tried.

    Attributes
    ----------
    margin : Margin
    ptv_cc : float
    reached : Estimate
        Share of the patients of the search that meet the criterion.
    organ_cc : float or None
        Of the organ, what lies inside the PTV and outside the CTV.
    """

    margin: Margin
    ptv_cc: float
    reached: Estimate
    organ_cc: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """The smallest margin that meets a criterion.

    Attributes
    ----------
    margin : Margin
    scale : Estimate
        Of the margin: 1, and by which factors its 95 % simulation interval reaches from it.
    sides : mapping of str to Estimate
        Each side's margin by its letter, mm, with its 95 % interval. Sides that trade against each other with hardly
        any change of volume have wide ones.
    criterion : str
    population : float
    shape : str
    reached : Estimate
        Share that meets the criterion with this margin among patients that the search did not see.
    ptv_cc : float
    organ_cc : float or None
        What the margin takes of the organ.
    trials : tuple of Trial
        Other margins, by size: the trade of PTV volume, and of the organ, against the criterion.
    note : str
        What the criterion is not, where that matters.
    """

    margin: Margin
    scale: Estimate
    criterion: str
    population: float
    shape: Shape
    reached: Estimate
    ptv_cc: float
    trials: tuple[Trial, ...]
    sides: dict[str, Estimate] = field(default_factory=dict)
    note: str = ""
    organ_cc: float | None = None
