"""The margin that an existing CTV and PTV hold: how far the CTV can move, and where the PTV is thinnest."""

import warnings
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import MaskError, PtvkitWarning
from ptvkit.geometry.directions import DIRECTIONS
from ptvkit.geometry.distance import signed_distance
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region

Floats = NDArray[np.float64]
Structure = Mask | Region

TOUCHING_MM: Final = 0.1
"""A CTV that reaches outside the PTV by up to this counts as inside, as surfaces between voxels are no more exact."""
PRECISION_MM: Final = 0.01
LARGEST_MM: Final = 100.0
OUTSIDE_MM: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldMargin:
    """The margin that a PTV holds around its CTV.

    Attributes
    ----------
    letters : dict of str to float
        How far the CTV can be displaced towards R, L, A, P, S, I and stays inside the PTV, mm; 0 where it reaches the
        PTV's surface or lies outside.
    least_mm : float
        Least distance from the CTV's surface to the PTV's; negative where the CTV lies outside.
    least_at_mm : (3,) array
        The point of the CTV's surface where that is, patient frame RAS+, mm.
    least_towards : str
        The letter of the direction in which the PTV's surface lies from there.
    """

    letters: dict[str, float]
    least_mm: float
    least_at_mm: Floats
    least_towards: str

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "margin_mm": dict(self.letters),
            "least_mm": self.least_mm,
            "least_at_mm": self.least_at_mm.tolist(),
            "least_towards": self.least_towards,
        }

    def __str__(self) -> str:
        sides = " ".join(f"{letter} {mm:.1f}" for letter, mm in self.letters.items())
        place = ", ".join(f"{mm:.1f}" for mm in self.least_at_mm)
        least = round(self.least_mm, 1) + 0.0  # no -0.0
        return f"{sides} mm; thinnest {least:.1f} mm towards {self.least_towards} at ({place}) mm RAS"


def margin_between(ctv: Structure, ptv: Structure) -> HeldMargin:
    """The margin that an existing pair of CTV and PTV holds.

    Parameters
    ----------
    ctv, ptv : Mask or Region
        On any grids.

    Raises
    ------
    MaskError
        When one is empty.

    Examples
    --------
    >>> from ptvkit import Margin, expand, phantom
    >>> ctv = phantom.region("lesion_3")
    >>> held = margin_between(ctv, expand(ctv, Margin("5,S=12,I=8")))
    >>> {letter: round(mm) for letter, mm in held.letters.items()}
    {'R': 5, 'L': 5, 'A': 5, 'P': 5, 'S': 12, 'I': 8}
    >>> round(held.least_mm)
    5
    """
    inner, outer = as_region(ctv), as_region(ptv)
    for structure, region in ((ctv, inner), (ptv, outer)):
        if region.is_empty:
            raise MaskError(f"{structure.name}: is empty; there is no margin between the two")
    if inner.volume_cc > outer.volume_cc:
        warnings.warn(
            f"{ctv.name} has {inner.volume_cc:.1f} cc, more than {ptv.name} with {outer.volume_cc:.1f} cc; check that"
            " they are not exchanged",
            PtvkitWarning,
            stacklevel=2,
        )
    points = inner.surface_points()
    distance = signed_distance(outer, outside_mm=OUTSIDE_MM, inside_mm=LARGEST_MM)
    depth = distance.sample(points)
    least = int(depth.argmax())
    return HeldMargin(
        letters={letter: _room(distance, points, depth, _unit(letter)) for letter in DIRECTIONS},
        least_mm=0.0 - _unclipped(outer, points[least], float(depth[least])),
        least_at_mm=points[least],
        least_towards=_towards(distance, points[least]),
    )


def _unit(letter: str) -> Floats:
    unit = np.zeros(3)
    unit[DIRECTIONS[letter].axis] = DIRECTIONS[letter].sign
    return unit


def _room(distance: Region, points: Floats, depth: Floats, unit: Floats) -> float:
    """How far points can move along a direction before the first of them leaves.

    Each moves on by its distance from the surface, which cannot be passed on the way; only those that could be the
    first to leave are followed.
    """
    travelled, inside = np.zeros(len(points)), -depth + TOUCHING_MM
    room = LARGEST_MM
    while len(points):
        left = inside < PRECISION_MM
        if left.any():
            room = min(room, float(travelled[left].min()))
        goes_on = ~left & (travelled + inside < room)
        points, travelled = points[goes_on], travelled[goes_on] + inside[goes_on]
        inside = -distance.sample(points + travelled[:, None] * unit) + TOUCHING_MM
    return max(room - TOUCHING_MM, 0.0)


def _unclipped(outer: Region, point: Floats, depth: float) -> float:
    """The distance of a point that lies further outside than distances are kept."""
    if depth < OUTSIDE_MM - PRECISION_MM:
        return depth
    return float(np.linalg.norm(outer.surface_points() - point, axis=1).min())


def _towards(distance: Region, point: Floats) -> str:
    """The direction in which the distance grows most."""
    steps = 0.5 * np.array([_unit(letter) for letter in DIRECTIONS])
    return list(DIRECTIONS)[int(distance.sample(point + steps).argmax())]
