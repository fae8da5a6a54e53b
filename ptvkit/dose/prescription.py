"""Prescribing: the share of the PTV that gets the prescription; and how tightly the dose fits."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ptvkit.dose.dose import Dose
from ptvkit.dose.metrics import dose_metrics
from ptvkit.errors import DoseError
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region
from ptvkit.values import number

LEAST_SHARE: Final = 0.01
"""Of the maximum: a lower isodose is not one that anybody prescribes to."""


def prescribe(dose: Dose, ptv: Mask | Region, gy: float, covers: float = 0.90) -> Dose:
    """Scale a dose so that a share of the PTV gets the prescription: D90 % = `gy` for ``covers=0.90``.

    "The isodose that covers 90 % of the PTV" can also be read as the 90 % isodose enclosing the PTV; that is
    ``conformal_dose(…, edge_level=0.90)``.

    Parameters
    ----------
    dose : Dose
    ptv : Mask or Region
    gy : float
        The prescription.
    covers : float
        Share of the PTV's volume, above 0 to 1.

    Raises
    ------
    DoseError
        When the dose does not cover the PTV, or hardly reaches that share of it.

    Examples
    --------
    >>> from ptvkit import Margin, conformal_dose, expand, phantom
    >>> ptv = expand(phantom.region("lesion_3"), Margin.uniform(5))
    >>> dose = prescribe(conformal_dose(ptv, 1.0), ptv, 22.8)
    >>> round(dose_metrics(dose, ptv).dose_at(0.90), 2), dose.prescription_gy
    (22.8, 22.8)
    """
    wanted = number("gy", gy, least=0.0, most=1e4, above=True, error=DoseError)
    share = number("covers", covers, least=0.0, most=1.0, above=True, error=DoseError)
    reached = dose_metrics(dose, ptv).dose_at(share)
    if reached < LEAST_SHARE * float(dose.values.max()):
        raise DoseError(
            f"{dose.name}: {share:.0%} of {ptv.name} get no more than {reached:.3g} Gy, of a maximum of"
            f" {float(dose.values.max()):.3g} Gy; no isodose to prescribe to. Check that dose and PTV belong together"
        )
    return replace(dose.scaled(wanted / reached), prescription_gy=wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformity:
    """How tightly the prescription isodose fits a PTV.

    Attributes
    ----------
    covered : float
        Share of the PTV inside the isodose.
    isodose_cc : float
        Volume inside the isodose, wherever it is.
    paddick : float
        ``TV_PI² / (TV · PI)`` (Paddick 2000, J Neurosurg 93 Suppl 3:219); 1 is best.
    rtog : float
        ``PI / TV``.
    """

    covered: float
    isodose_cc: float
    paddick: float
    rtog: float


def conformity(dose: Dose, ptv: Mask | Region, prescription_gy: float) -> Conformity:
    """How tightly the prescription isodose fits a PTV.

    Raises
    ------
    DoseError
        When the dose nowhere reaches the prescription.
    """
    wanted = number("prescription_gy", prescription_gy, least=0.0, most=1e4, above=True, error=DoseError)
    if float(dose.values.max()) < wanted:
        raise DoseError(f"{dose.name}: reaches {float(dose.values.max()):.4g} Gy, nowhere the {wanted:g} Gy prescribed")
    target = dose_metrics(dose, ptv)
    isodose = isodose_cc(dose, wanted)
    inside = target.volume_at_cc(wanted)
    return Conformity(
        covered=target.volume_at(wanted),
        isodose_cc=isodose,
        paddick=inside**2 / (target.volume_cc * isodose),
        rtog=isodose / target.volume_cc,
    )


def isodose_cc(dose: Dose, gy: float) -> float:
    """Volume of all that gets a dose, cm³; between the nodes by the dose's spline."""
    reached = np.argwhere(dose.values >= 0.9 * gy)
    if not len(reached):
        return 0.0
    low, high = (
        np.maximum(reached.min(axis=0) - 1, 0),
        np.minimum(reached.max(axis=0) + 1, np.array(dose.grid.shape) - 1),
    )
    half = dose.grid.affine @ np.diag([0.5, 0.5, 0.5, 1.0])
    half[:3, 3] = dose.grid.to_mm(low.astype(float))
    shape = 2 * (high - low) + 1
    fine = Grid(shape=(int(shape[0]), int(shape[1]), int(shape[2])), affine=half)
    level = gy - dose.sample(fine.to_mm(np.moveaxis(np.indices(fine.shape), 0, -1)))
    return Region(level=level.astype(np.float32), grid=fine).volume_cc
