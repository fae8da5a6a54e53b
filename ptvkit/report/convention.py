"""How planes of the patient are shown, in pictures and pages alike: the radiological convention."""

from dataclasses import dataclass
from typing import Final

from ptvkit.geometry.components import parts
from ptvkit.geometry.directions import OPPOSITES
from ptvkit.geometry.extent import extent
from ptvkit.geometry.region import Region

WINDOW_HU: Final = (-160.0, 240.0)
WINDOWS_HU: Final = {
    "soft tissue": WINDOW_HU,
    "liver": (-10.0, 170.0),
    "lung": (-1350.0, 150.0),
    "bone": (-450.0, 1050.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """A plane through the patient: its name, its patient axes and their signs towards the right and the top."""

    name: str
    across: int
    right: int
    up: int
    top: int

    @property
    def normal(self) -> int:
        """The patient axis that the plane cuts."""
        return 3 - self.across - self.up

    def letters(self) -> tuple[str, str, str, str]:
        """Directions at the left, the right, the bottom and the top."""
        right, left = OPPOSITES[self.across][:: self.right]
        top, bottom = OPPOSITES[self.up][:: self.top]
        return left, right, bottom, top


PLANES: Final = (
    # the patient is seen from the feet, and from the front: the right side is on the left
    Plane(name="axial", across=0, right=-1, up=1, top=+1),
    Plane(name="coronal", across=0, right=-1, up=2, top=+1),
    Plane(name="sagittal", across=1, right=-1, up=2, top=+1),
)


def middle_of(region: Region) -> list[float]:
    """Middle of the largest part's extent, mm: a point between several lesions would show none of them."""
    reach = extent(parts(region)[0])
    return [0.5 * (reach[a] + reach[b]) for a, b in OPPOSITES]
