"""A structure that gets the doses of a treatment, as points of its volume and its surface."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.dose.dose import Quantity
from ptvkit.dose.metrics import DoseMetrics
from ptvkit.dose.points import Points, points_of
from ptvkit.dose.simulate import FEWEST_POINTS, INNER_POINTS, SURFACE_POINTS, metrics_by_lesion
from ptvkit.geometry.centroid import centroid
from ptvkit.geometry.components import parts
from ptvkit.geometry.region import Region

Floats = NDArray[np.float64]

ORGAN_SHARE: Final = 1 / 3
"""Of the points of a target: those of an organ."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Target:
    """A structure that gets the doses. Make one with `target_of`.

    Attributes
    ----------
    names : tuple of str
        Of its lesions.
    lesions : tuple of Points
    points : (N, 3) array
        All of them: the parts of the first lesion, its surface, those of the next.
    centre_mm : (3,) array
    name : str
    alpha_beta_gy : float or None
    quantity : {"physical", "eqd2", "bed"}
    scale : float
        From EQD2 to the quantity.
    prescriptions_gy : (float or None, float or None)
        Absorbed, and biologically weighted.
    metrics : tuple of str
        Kept beside the usual ones.
    """

    names: tuple[str, ...]
    lesions: tuple[Points, ...]
    points: Floats
    centre_mm: Floats
    name: str
    alpha_beta_gy: float | None
    quantity: Quantity
    scale: float
    prescriptions_gy: tuple[float | None, float | None]
    metrics: tuple[str, ...]

    def figures(self, gy: NDArray[np.floating], quantity: Quantity) -> tuple[DoseMetrics, ...]:
        """Histograms of doses (N,) at its points: of all lesions together, then of each where there are several."""
        lengths = [len(part) for lesion in self.lesions for part in (lesion.inner, lesion.surface)]
        pieces = np.split(np.asarray(gy, float), np.cumsum(lengths)[:-1])
        doses = list(zip(pieces[::2], pieces[1::2], strict=True))
        prescription = self.prescriptions_gy[0 if quantity == "physical" else 1]
        found = metrics_by_lesion(self.lesions, self.names, doses, prescription)
        return tuple(replace(one, quantity=quantity) for one in (replace(found[0], name=self.name), *found[1:]))


def target_of(
    region: Region,
    name: str,
    *,
    alpha_beta_gy: float | None,
    quantity: Quantity,
    scale: float,
    prescriptions_gy: tuple[float | None, float | None],
    metrics: tuple[str, ...],
    is_organ: bool = False,
) -> Target:
    """Prepare a structure; its points are those of `simulate_dose`, of an organ fewer."""
    separate = parts(region)
    volumes = np.array([part.volume_cc for part in separate])
    few = ORGAN_SHARE if is_organ else 1.0
    shares = few * np.maximum(INNER_POINTS * volumes / volumes.sum(), FEWEST_POINTS)
    lesions = tuple(
        points_of(part, inner=int(inner), surface=int(few * SURFACE_POINTS))
        for part, inner in zip(separate, shares, strict=True)
    )
    points = np.concatenate([part for lesion in lesions for part in (lesion.inner, lesion.surface)])
    names = (name,) if len(lesions) == 1 else tuple(f"lesion {number}" for number in range(1, len(lesions) + 1))
    return Target(
        names=names,
        lesions=lesions,
        points=np.ascontiguousarray(points),
        centre_mm=centroid(region),
        name=name,
        alpha_beta_gy=alpha_beta_gy,
        quantity=quantity,
        scale=scale,
        prescriptions_gy=prescriptions_gy,
        metrics=metrics,
    )
