"""What a structure gets: the dose-volume histogram and its figures."""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.display import figure_of, html_of, line
from ptvkit.dose.criteria import LEGAL, metric_named
from ptvkit.dose.dose import Dose, Quantity
from ptvkit.dose.points import Points, points_of
from ptvkit.errors import DoseError
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region
from ptvkit.kernels.histogram import histogram
from ptvkit.values import number, triple

Floats = NDArray[np.float64]

SMALL_CC: Final = 2.0
"""Below this volume ICRU report 91 takes D35 mm³ in place of D2 %."""
SPECK_CC: Final = 0.035
MISSING: Final = 1e-6
"""Share of a structure that may lie beyond the dose's grid, by rounding."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DoseMetrics:
    """A structure's dose-volume histogram.

    Attributes
    ----------
    name : str
        The structure.
    doses_gy : (N,) array
        Descending.
    share : (N,) array
        Share of the volume that gets as much or more.
    volume_cc : float
    dmin_gy, dmax_gy : float
        Over its surface and its interior.
    mean_gy : float
    prescription_gy : float or None
        For V95 and its like.
    quantity : {"physical", "eqd2", "bed"}
        What the doses are.
    part_shares : (N,) array or None
        Share of the volume that each dose belongs to; None where doses are the edges of bins.
    """

    name: str
    doses_gy: Floats
    share: Floats
    volume_cc: float
    dmin_gy: float
    dmax_gy: float
    mean_gy: float
    prescription_gy: float | None = None
    quantity: Quantity = "physical"
    part_shares: Floats | None = None

    def __repr__(self) -> str:
        return line(
            self, self.name, f"{self.volume_cc:.4g} cc", f"Dmin {self.dmin_gy:.4g} Gy, mean {self.mean_gy:.4g} Gy"
        )

    def _repr_html_(self) -> str:
        return html_of(self)

    def plot(self, **options: Any) -> Any:
        """The dose-volume histogram, a matplotlib figure; option `prescription_gy`."""
        return figure_of(self, **options)

    @property
    def parts(self) -> tuple[Floats, Floats]:
        """Doses (N,), Gy, and the shares (N,) of the volume that get them: its parts, or the middles of its bins."""
        if self.part_shares is not None:
            return self.doses_gy, self.part_shares
        return (self.doses_gy[1:] + self.doses_gy[:-1]) / 2, np.diff(self.share)

    def dose_at(self, share: float) -> float:
        """D at a share of the volume, Gy: at least this much is what that share gets; ``dose_at(0.98)`` is D98 %."""
        wanted = number("share", share, least=0.0, most=1.0, error=DoseError)
        ends = np.concatenate(([self.dmax_gy], self.doses_gy, [self.dmin_gy]))
        return float(np.interp(wanted, np.concatenate(([0.0], self.share, [1.0])), ends))

    def dose_at_cc(self, volume_cc: float) -> float:
        """D at a volume in cc, Gy; ``dose_at_cc(2)`` is D2cc. The least dose when the structure is no larger."""
        wanted = number("volume_cc", volume_cc, least=0.0, most=1e6, error=DoseError)
        return self.dose_at(min(1.0, wanted / self.volume_cc))

    def volume_at(self, dose_gy: float) -> float:
        """V at a dose: share of the volume that gets at least that, 0 to 1."""
        wanted = number("dose_gy", dose_gy, least=0.0, most=1e5, error=DoseError)
        return float(self.volumes_at(np.array([wanted]))[0])

    def volumes_at(self, doses_gy: Floats) -> Floats:
        """`volume_at` for many doses (N,)."""
        ends = np.concatenate(([self.dmin_gy], self.doses_gy[::-1], [self.dmax_gy]))
        shares = np.concatenate(([1.0], self.share[::-1], [0.0]))
        found: Floats = np.interp(doses_gy, ends, shares, right=0.0)
        found[doses_gy <= self.dmin_gy] = 1.0
        return found

    def volume_at_cc(self, dose_gy: float) -> float:
        """V at a dose in cc."""
        return self.volume_at(dose_gy) * self.volume_cc

    def volume_above(self, percent: float) -> float:
        """V at a percentage of the prescription: share of the volume, 0 to 1; ``volume_above(95)`` is V95.

        Raises
        ------
        DoseError
            When the prescription is not known.
        """
        if self.prescription_gy is None:
            raise DoseError(f"v{percent:g} needs prescription_gy, which {self.name}'s dose does not have")
        return self.volume_at(percent / 100 * self.prescription_gy)

    @property
    def d98_gy(self) -> float:
        """Near-minimum dose (ICRU report 83)."""
        return self.dose_at(0.98)

    @property
    def d95_gy(self) -> float:
        """D95 %."""
        return self.dose_at(0.95)

    @property
    def d50_gy(self) -> float:
        """Median dose."""
        return self.dose_at(0.50)

    @property
    def d2_gy(self) -> float:
        """Near-maximum dose (ICRU report 83)."""
        return self.dose_at(0.02)

    @property
    def d35mm3_gy(self) -> float:
        """Dose to the hottest 35 mm³."""
        return self.dose_at_cc(SPECK_CC)

    @property
    def d_less_35mm3_gy(self) -> float:
        """Dose to all but the coldest 35 mm³, D(V − 35 mm³)."""
        return self.dose_at_cc(max(self.volume_cc - SPECK_CC, 0.0))

    @property
    def near_min_gy(self) -> float:
        """Near-minimum dose by size (ICRU report 91): D98 % from 2 cc on, below that D(V − 35 mm³)."""
        return self.d98_gy if self.volume_cc >= SMALL_CC else self.d_less_35mm3_gy

    @property
    def near_max_gy(self) -> float:
        """Near-maximum dose by size (ICRU report 91): D2 % from 2 cc on, below that D35 mm³."""
        return self.d2_gy if self.volume_cc >= SMALL_CC else self.d35mm3_gy

    @property
    def homogeneity(self) -> float:
        """(D2 % − D98 %) / D50 % (ICRU report 83); 0 is best."""
        return (self.d2_gy - self.d98_gy) / self.d50_gy if self.d50_gy > 0 else float("inf")

    def value(self, metric: str) -> float:
        """A metric by its name.

        Parameters
        ----------
        metric : str
            ``Dmin``, ``Dmax``, ``mean``; ``D98``, ``D2cc``, ``D35mm3``, ``D(V-35mm3)`` in Gy; ``V20Gy`` in % and
            ``V20Gy_cc`` in cc; ``V95``, of the prescription, as a share; the models ``geud8`` or ``geud-10`` in Gy,
            ``tcp_metastases`` and ``ntcp_rild_metastases`` (see `tcp`, `ntcp`) as shares.

        Raises
        ------
        DoseError
            When there is no such metric; the message tells the legal ones.
        """
        return metric_named(metric).of_dose(self)


def dose_metrics(dose: Dose, structure: Mask | Region, shift_mm: ArrayLike = (0.0, 0.0, 0.0)) -> DoseMetrics:
    """Dose-volume histogram of a structure, by partial volumes inside its sub-voxel surface.

    Parameters
    ----------
    dose : Dose
    structure : Mask or Region
    shift_mm : (3,)
        Displacement of the structure from where it was planned, the dose staying where it is.

    Returns
    -------
    DoseMetrics

    Raises
    ------
    DoseError
        When the structure is empty, or the dose does not cover it; the message tells how much is outside.

    Examples
    --------
    >>> from ptvkit import Margin, conformal_dose, expand, phantom
    >>> ctv = phantom.region("lesion_3")
    >>> dose = conformal_dose(expand(ctv, Margin.uniform(5)), 22.8)
    >>> found = dose_metrics(dose, ctv, shift_mm=(0, 0, 8))
    >>> found.dmin_gy < found.d98_gy < found.d95_gy < found.mean_gy
    True
    >>> found.value("V21.66Gy") == 100 * found.volume_at(21.66)
    True
    """
    region = as_region(structure)
    if region.is_empty:
        raise DoseError(f"{structure.name}: is empty; it gets no dose")
    shift = triple("shift_mm", shift_mm, least=-1000.0, most=1000.0, error=DoseError)
    points = points_of(region)
    inner, surface = dose.sample(points.inner + shift), dose.sample(points.surface + shift)
    check_covered(dose, structure.name, points, inner, surface)
    found = metrics_of(structure.name, inner, points.volume_cc, surface, prescription_gy=dose.prescription_gy)
    return replace(found, quantity=dose.quantity)


def dvh(dose: Dose, structure: Mask | Region, *, step_gy: float = 0.1) -> tuple[Floats, Floats]:
    """Cumulative dose-volume histogram: doses (N,), Gy, from 0 on, and the share (N,) of the volume that gets as much.

    Raises
    ------
    DoseError
        As `dose_metrics`.
    """
    step = number("step_gy", step_gy, least=1e-3, most=100.0, error=DoseError)
    found = dose_metrics(dose, structure)
    doses = np.arange(0.0, found.dmax_gy + 2 * step, step)
    return doses, found.volumes_at(doses)


def check_covered(dose: Dose, name: str, points: Points, inner: Floats, surface: Floats) -> None:
    """Refuse a dose that does not reach over all of a structure.

    Raises
    ------
    DoseError
    """
    outside = np.isnan(inner)
    lost = float(points.volume_cc[outside].sum())
    total = float(points.volume_cc.sum())
    if lost > MISSING * total or np.isnan(surface).any():
        raise DoseError(
            f"{dose.name} does not cover {name}: {lost:.2f} cc ({lost / total:.1%}) lie outside its grid; export the"
            " dose on a larger grid"
        )


def metrics_of(
    name: str,
    inner_gy: Floats,
    volume_cc: Floats,
    surface_gy: Floats,
    *,
    bins: int | None = None,
    prescription_gy: float | None = None,
) -> DoseMetrics:
    """Metrics of parts (N,) with their doses and volumes, and of points (M,) on the surface.

    With `bins` the histogram is kept at so many doses from the least to the most, which is faster and hardly coarser.
    """
    total = float(volume_cc.sum())
    least = float(min(inner_gy.min(), surface_gy.min(initial=np.inf)))
    most = float(max(inner_gy.max(), surface_gy.max(initial=-np.inf)))
    if bins is None:
        order = np.argsort(inner_gy, kind="stable")[::-1]
        doses, parts = inner_gy[order], volume_cc[order]
        share, part_shares = (np.cumsum(parts) - parts / 2) / total, parts / total
    else:
        part_shares = None
        doses = np.linspace(most, least, bins + 1)
        share = np.r_[0.0, np.cumsum(histogram(inner_gy, volume_cc, least, most, bins)[::-1])] / total
    return DoseMetrics(
        name=name,
        doses_gy=doses,
        share=share,
        volume_cc=total,
        dmin_gy=least,
        dmax_gy=most,
        # not by a library whose threads wait for each other, and whose last digits depend on how many they are
        mean_gy=float((inner_gy * volume_cc).sum()) / total,
        prescription_gy=prescription_gy,
        part_shares=part_shares,
    )


def unit_of(metric: str) -> str:
    """Unit of a metric: Gy, % or cc, or share.

    Raises
    ------
    DoseError
        When there is no such metric of dose.
    """
    found = metric_named(metric)
    if found.entry.source != "dose":
        raise DoseError(f"metric {metric!r}: is told by coverage, not by a dose; use one like {LEGAL}")
    return found.unit
