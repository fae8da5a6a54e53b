"""Commissioning: margins, volumes, coverage and dose against formulas."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import norm

from ptvkit.dose.conformal import conformal_dose
from ptvkit.dose.metrics import dose_metrics
from ptvkit.geometry.extent import extent, margins_between
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.reconstruct import region_from_mask
from ptvkit.geometry.region import Region
from ptvkit.margins.expand import expand
from ptvkit.margins.margin import Margin
from ptvkit.motion.course import Course
from ptvkit.motion.coverage import coverage
from ptvkit.motion.setup import SetupError
from ptvkit.motion.simulate import simulate_coverage
from ptvkit.trust import solids

UNEQUAL: Final = Margin(left=5, right=3, anterior=7, posterior=4, superior=10, inferior=6)
PATIENTS: Final = 4000
LETTERS: Final = {"R": "right", "L": "left", "A": "anterior", "P": "posterior", "S": "superior", "I": "inferior"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A measured value and its expected value.

    Attributes
    ----------
    case, quantity : str
    expected, found, tolerance : float
        In `unit`.
    unit : str
    source : str
        Source of the expected value.
    because : str
        Source of the tolerance.
    """

    case: str
    quantity: str
    expected: float
    found: float
    tolerance: float
    unit: str
    source: str
    because: str

    @property
    def deviation(self) -> float:
        """Measured minus expected."""
        return self.found - self.expected

    @property
    def passed(self) -> bool:
        """Whether the deviation is within the tolerance; False for NaN."""
        return abs(self.deviation) <= self.tolerance


def run_commissioning() -> tuple[Figure, ...]:
    """Compute all values of the commissioning table."""
    return (*_margins(), *_volumes(), *_coverage(), *_dose())


ASKED = "requested margin"
ALIGNED = "0.1 mm: extremes are taken on a 1 mm lattice, h²/8r of both surfaces"
TURNED = "0.15 mm: as above, and an oblique grid is resampled for the margin"
SLICES = "0.15 mm: the surface is reconstructed in the same way before and after"


def _margins() -> Iterator[Figure]:
    """Achieved margins in six directions."""
    fine = (1.0, 1.0, 1.0)
    plain: dict[str, tuple[Region | Mask, Margin, float, str]] = {
        "sphere 20 mm": (_region(solids.sphere(20), fine), UNEQUAL, 0.1, ALIGNED),
        "ellipsoid 25 × 18 × 12 mm": (_region(solids.ellipsoid((25, 18, 12)), fine), UNEQUAL, 0.1, ALIGNED),
        "rod 15 mm, 40 mm long": (_region(solids.rod(15, 20), fine), UNEQUAL, 0.1, ALIGNED),
        "sphere 18 mm, oblique grid": (_region(solids.sphere(18), fine, solids.TURN), UNEQUAL, 0.15, TURNED),
        "sphere 20 mm on 5 mm slices, 10 mm": (_scan("sphere", 20), Margin.uniform(10), 0.15, SLICES),
        "sphere 20 mm on 5 mm slices, 3 mm": (_scan("sphere", 20), Margin.uniform(3), 0.15, SLICES),
        "sphere 20 mm on 5 mm slices": (_scan("sphere", 20), UNEQUAL, 0.15, SLICES),
        "sphere 20 mm on oblique 5 mm slices": (_scan("sphere", 20, solids.TURN), UNEQUAL, 0.2, f"0.2 mm: {OBLIQUE}"),
    }
    for case, (solid, margin, tolerance, because) in plain.items():
        start = region_from_mask(solid) if isinstance(solid, Mask) else solid
        reached = margins_between(extent(start), extent(expand(start, margin)))
        for letter, side in LETTERS.items():
            yield Figure(
                case=case,
                quantity=f"margin {side}",
                expected=margin.letters[letter],
                found=reached[letter],
                tolerance=tolerance,
                unit="mm",
                source=ASKED,
                because=because,
            )


OBLIQUE = "thick slices, and resampled for the margin"


def _volumes() -> Iterator[Figure]:
    """Volumes after expansion, against closed forms."""
    fine, half = (1.0, 1.0, 1.0), (0.5, 0.5, 0.5)
    semi = (25.0, 18.0, 12.0)
    ball = "Minkowski sum of ball and octant body, by quadrature"
    smooth = "0.3 %: linear cells of 1 mm lose (h/r)²/4 of a volume at either end"
    rims = "0.8 %: the rims around sharp edges, half a node of 0.5 mm"
    five = Margin.uniform(5)
    cylinder = (math.pi * 15**2 * 40, 2 * math.pi * 15 * (15 + 40), math.pi * (40 + math.pi * 15))
    cases = (
        ("sphere 20 mm", solids.sphere(20), fine, UNEQUAL, 73118.938713, ball, 0.003, smooth),
        ("sphere 20 mm", solids.sphere(20), fine, five, 4 / 3 * math.pi * 25**3, "4/3 π r³", 0.003, smooth),
        ("ellipsoid 25 × 18 × 12 mm", solids.ellipsoid(semi), fine, five,
         solids.steiner_mm3(*solids.ellipsoid_steiner(semi), 5), "Steiner's formula", 0.005,
         smooth.replace("0.3", "0.5")),
        ("box 40 × 30 × 20 mm", solids.box((20, 15, 10)), half, UNEQUAL,
         solids.octant_box_mm3((40, 30, 20), (8, 11, 16)), "Steiner's formula for octant bodies", 0.008, rims),
        ("rod 15 mm, 40 mm long", solids.rod(15, 20), half, five,
         solids.steiner_mm3(*cylinder, 5), "Steiner's formula", 0.008, rims),
    )  # fmt: skip
    for case, level, spacing, margin, expected, source, share, because in cases:
        yield Figure(
            case=f"{case}, grown by {'5 mm' if margin is five else 'six margins'}",
            quantity="volume",
            expected=expected / 1000,
            found=expand(_region(level, spacing), margin).volume_cc,
            tolerance=share * expected / 1000,
            unit="cm³",
            source=source,
            because=because,
        )
    grown = expand(region_from_mask(_scan("sphere", 20)), Margin.uniform(10))
    yield Figure(
        case="sphere 20 mm on 5 mm slices, grown by 10 mm",
        quantity="radius of equal volume",
        expected=30.0,
        found=(grown.volume_cc * 1000 * 3 / (4 * math.pi)) ** (1 / 3),
        tolerance=0.3,
        unit="mm",
        source="radius + margin",
        because="0.3 mm: what voxels of 0.98 × 0.98 × 5 mm leave unknown of a sphere",
    )


def _coverage() -> Iterator[Figure]:
    """Coverage of one sphere in another, and the probability of containment."""
    inner, outer = _region(solids.sphere(20), (1, 1, 1)), _region(solids.sphere(25), (1, 1, 1))
    for away in (6.0, 8.0, 10.0):
        shift = away * np.array([[2.0, -1.0, 2.0]]) / 3
        yield Figure(
            case="sphere 20 mm in sphere 25 mm",
            quantity=f"share covered when {away:g} mm off",
            expected=lens_share(20, 25, away),
            found=float(coverage(inner, outer, shift)[0]),
            tolerance=0.003,
            unit="",
            source="volume common to two spheres",
            because="0.003: rim voxels of 1 mm, taken by their inside share",
        )
    course = Course(setup=[SetupError(systematic_mm=(2, 2, 2), random_mm=(0, 0, 0))], fractions=1)
    margin = 2.5002777 * 2
    result = simulate_coverage(
        inner, expand(inner, Margin.uniform(margin)), course, patients=PATIENTS, seed=20000
    ).contained(0.0)
    yield Figure(
        case="sphere 20 mm, Σ = 2 mm, margin 2.5003 Σ",
        quantity="share of patients contained",
        expected=0.9,
        found=result.value,
        tolerance=3 * math.sqrt(0.09 / PATIENTS) + 0.01,
        unit="",
        source="Maxwell's distribution; van Herk et al., IJROBP 2000;47:1121",
        because=f"three standard errors of {PATIENTS} patients, and 0.05 mm of the margin",
    )


def _dose() -> Iterator[Figure]:
    """Dose to a displaced sphere in a conformal dose."""
    target, planned = _region(solids.sphere(20), (1, 1, 1)), _region(solids.sphere(25), (1, 1, 1))
    dose = conformal_dose(planned, prescription_gy=100, penumbra_mm=3.2, edge_level=0.95)
    edge = 25 + 3.2 * float(norm.ppf(0.95))
    for away in (5.0, 8.0):
        shift = tuple(float(x) for x in away * np.array([-2.0, 2.0, 1.0]) / 3)
        metrics = dose_metrics(dose, target, shift_mm=(shift[0], shift[1], shift[2]))
        expected = {
            "Dmin": 100 * float(norm.cdf((edge - 20 - away) / 3.2)),
            "D98 %": 100 * _dose_of_share(0.98, away, edge),
            "D95 %": 100 * _dose_of_share(0.95, away, edge),
        }
        measured = {"Dmin": metrics.dmin_gy, "D98 %": metrics.d98_gy, "D95 %": metrics.d95_gy}
        for name, value in expected.items():
            yield Figure(
                case=f"sphere 20 mm in the dose of sphere 25 mm, {away:g} mm off",
                quantity=f"{name}, of the prescription",
                expected=value,
                found=measured[name],
                tolerance=0.5,
                unit="%",
                source="penumbra Φ over distance; volume common to two spheres",
                because="0.5 %: 0.05 mm where the dose falls fastest",
            )


def lens_share(inner: float, outer: float, away: float) -> float:
    """Share of a sphere inside another sphere at a distance.

    Examples
    --------
    >>> round(lens_share(20, 25, 8), 10), lens_share(20, 25, 5), lens_share(20, 25, 45)
    (0.9478720703, 1.0, 0.0)
    """
    if away <= abs(outer - inner):
        return 1.0 if inner <= outer else (outer / inner) ** 3
    if away >= inner + outer:
        return 0.0
    common = (inner + outer - away) ** 2 * (away**2 + 2 * away * (inner + outer) - 3 * (outer - inner) ** 2)
    return common / (12 * away) / (4 / 3 * inner**3)


def _dose_of_share(share: float, away: float, edge: float) -> float:
    """Dose that is reached or exceeded in a share of the displaced sphere."""
    low, high = 1.0, 60.0  # radius of the isodose that contains the share
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (low, middle) if lens_share(20, middle, away) >= share else (middle, high)
    return float(norm.cdf((edge - high) / 3.2))


def _region(level: solids.Level, spacing: tuple[float, float, float], axes: solids.Floats | None = None) -> Region:
    return solids.as_region(level, solids.grid_for(30, spacing, axes))


def _scan(name: str, radius: float, axes: solids.Floats | None = None) -> Mask:
    """Sphere sampled on CT voxels of 0.98 × 0.98 × 5 mm."""
    return solids.as_mask(solids.sphere(radius), solids.grid_for(radius + 15, (0.98, 0.98, 5.0), axes), name)
