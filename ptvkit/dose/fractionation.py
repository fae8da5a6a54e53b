"""Doses of unlike fractions, made comparable: BED and EQD2, voxel by voxel and phase by phase, then added."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ptvkit.dose.dose import Dose
from ptvkit.errors import DoseError
from ptvkit.geometry.grid import Grid
from ptvkit.values import number, whole

Floats = NDArray[np.float64]


def bed(dose: Dose, fractions: int, alpha_beta_gy: float) -> Dose:
    """Biologically effective dose of one phase: ``BED = D (1 + D / (n α/β))`` at each node, D the phase's total.

    Parameters
    ----------
    dose : Dose
        Of all fractions of the phase together.
    fractions : int
        n, equal ones.
    alpha_beta_gy : float
        α/β, above 0.

    Raises
    ------
    DoseError
        When a number is out of range, or the dose is a BED or EQD2 already.

    Examples
    --------
    >>> grid = Grid(shape=(4, 4, 4), affine=np.eye(4))
    >>> phase = Dose(values=np.full(grid.shape, 18 * 1.7), grid=grid)
    >>> round(float(bed(phase, 18, 10).values[0, 0, 0]), 3)
    35.802
    """
    count = whole("fractions", fractions, least=1, most=1000, error=DoseError)
    ratio = checked_ratio(alpha_beta_gy)
    check_physical(dose)
    values = dose.values * (1 + dose.values / np.float32(count * ratio))
    prescription = dose.prescription_gy
    if prescription is not None:
        prescription *= 1 + prescription / (count * ratio)
    return replace(dose, values=values, prescription_gy=prescription, name=f"BED of {dose.name}", quantity="bed")


def eqd2(dose: Dose, fractions: int, alpha_beta_gy: float) -> Dose:
    """Equivalent dose in 2 Gy fractions of one phase: ``EQD2 = BED / (1 + 2 / (α/β))``. Parameters as of `bed`."""
    found = bed(dose, fractions, alpha_beta_gy)
    factor = 1 / (1 + 2 / float(alpha_beta_gy))
    prescription = None if found.prescription_gy is None else found.prescription_gy * factor
    return replace(found.scaled(factor), prescription_gy=prescription, name=f"EQD2 of {dose.name}", quantity="eqd2")


def check_physical(dose: Dose) -> None:
    """Refuse a dose that is a BED or EQD2 already.

    Raises
    ------
    DoseError
    """
    if dose.quantity != "physical":
        raise DoseError(f"{dose.name}: is {dose.quantity.upper()} already; give the physical dose")


def eqd2_of_fractions(doses_gy: Floats, alpha_beta_gy: float) -> Floats:
    """EQD2 (N,) from the dose (fractions, N) in each fraction: ``Σ d (d + α/β) / (2 + α/β)``."""
    found: Floats = (doses_gy * (doses_gy + alpha_beta_gy)).sum(axis=0) / (2 + alpha_beta_gy)
    return found


def checked_ratio(alpha_beta_gy: float) -> float:
    """α/β, Gy, above 0."""
    return number("alpha_beta_gy", alpha_beta_gy, least=0.0, most=1000.0, above=True, error=DoseError)


def plan_sum(doses: Sequence[Dose]) -> Dose:
    """Sum of phases in one frame of reference, on the finest of their grids.

    Doses with unlike fractions are made comparable before, by `eqd2` or `bed`.

    Raises
    ------
    DoseError
        When quantities differ, a dose has no frame, or frames differ: a new planning CT is a new frame, and adding
        across needs a registration. Give ``frame=`` the same name where positions are known to agree.
    """
    if not doses:
        raise DoseError("plan_sum: needs one dose or more")
    frames = {dose.frame for dose in doses}
    if None in frames or len(frames) > 1:
        told = ", ".join(f"{dose.name}: {dose.frame or 'no frame'}" for dose in doses)
        raise DoseError(
            f"doses of phases are only added in one frame of reference ({told}); register the phases' CTs, resample one"
            " dose, and give both the same frame="
        )
    if len(kinds := {dose.quantity for dose in doses}) > 1:
        raise DoseError(f"plan_sum: {' and '.join(sorted(kinds))} doses do not add; convert all phases alike")
    finest = min(doses, key=lambda dose: dose.grid.voxel_volume_mm3)
    total = np.zeros(finest.grid.shape)
    for dose in doses:
        total += dose.values if dose.grid.matches(finest.grid) else _on(dose, finest.grid)
    known = [dose.prescription_gy for dose in doses]
    prescription = None if None in known else float(sum(gy for gy in known if gy is not None))
    return Dose(
        values=total.astype(np.float32),
        grid=finest.grid,
        prescription_gy=prescription,
        frame=finest.frame,
        quantity=finest.quantity,
        name="the sum of " + " and ".join(dose.name for dose in doses),
    )


def _on(dose: Dose, grid: Grid) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    found = dose.sample(points)
    lost = np.isnan(found)
    if lost.any():
        raise DoseError(
            f"{dose.name} does not cover the grid of the sum: {lost.mean():.1%} of it lie outside; export both doses on"
            " one grid"
        )
    return found
