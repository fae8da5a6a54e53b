"""An idealised dose: conformal to a PTV, with a penumbra."""

from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from ptvkit.dose.dose import Dose, gray
from ptvkit.errors import DoseError
from ptvkit.geometry.distance import signed_distance
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region
from ptvkit.margins.margin import Margin
from ptvkit.values import choice, number, triple

Floats = NDArray[np.float64]
PrescribedTo = Literal["plateau", "edge"]
PRESCRIBED_TO: Final = ("plateau", "edge")

STEPS_PER_PENUMBRA: Final = 1.6
"""Nodes for each penumbra SD. A cubic spline through Φ at this spacing errs by .0002."""
WIDEST_MM: Final = 2.0
NEGLECTED: Final = 1e-4
"""Share of the prescription that is cut off far outside."""


def conformal_dose(
    ptv: Mask | Region,
    prescription_gy: float,
    penumbra_mm: ArrayLike | Margin = 3.2,
    edge_level: float = 0.95,
    prescribed_to: PrescribedTo = "plateau",
    *,
    name: str = "the conformal dose",
) -> Dose:
    """An idealised dose: a plateau inside, a share of it on the PTV's surface, and a Gaussian penumbra.

    ``D = D_max Φ(Φ⁻¹(edge_level) − d/σp)``, d the signed distance from the PTV's surface (van Herk et al. 2000, IJROBP
    47:1121, there for one direction).

    Parameters
    ----------
    ptv : Mask or Region
    prescription_gy : float
        Gy.
    penumbra_mm : float, (3,) or Margin
        SD σp of the penumbra, mm: 3.2 in water, 6.4 in lung. Three for (LR, AP, SI), or six as a `Margin`; on a surface
        that faces several of them they add in quadrature along its normal.
    edge_level : float
        Share of the maximum on the surface, .5 to .99; about .95 for homogeneous, .6 to .8 for stereotactic plans.
    prescribed_to : {"plateau", "edge"}
        Where the prescription is: on the plateau (D_max is the prescription, as in homogeneous plans), or on the PTV's
        surface (D_max is prescription / edge_level, as in stereotactic plans).

    Returns
    -------
    Dose

    Raises
    ------
    DoseError
        When the PTV is empty, or a number is out of range.

    Examples
    --------
    >>> from ptvkit import Margin, expand, phantom
    >>> ptv = expand(phantom.region("lesion_3"), Margin.uniform(5))
    >>> dose = conformal_dose(ptv, 22.8, penumbra_mm=3.2)
    >>> on_surface = dose.sample(ptv.surface_points()) / 22.8
    >>> bool(abs(on_surface - 0.95).max() < 0.01)
    True

    Stereotactic: 45 Gy on the surface, which is the 65 % isodose.

    >>> dose = conformal_dose(ptv, 45, edge_level=0.65, prescribed_to="edge")
    >>> bool(abs(dose.sample(ptv.surface_points()) - 45).mean() < 0.3), dose.prescription_gy
    (True, 45.0)
    """
    region = as_region(ptv)
    if region.is_empty:
        raise DoseError(f"{region.name}: is empty; no dose conforms to it")
    prescription = gray("prescription_gy", prescription_gy)
    level = number("edge_level", edge_level, least=0.5, most=0.99, error=DoseError)
    plateau = plateau_of(prescription, level, prescribed_to)
    plus, minus = _penumbra(penumbra_mm)
    edge = float(special.ndtri(level))
    far = float(max(plus.max(), minus.max()))
    reach = far * (edge - float(special.ndtri(NEGLECTED)))
    deep = far * max(-edge - float(special.ndtri(NEGLECTED / 10)), 1.0)
    spacing = min(float(min(plus.min(), minus.min())) / STEPS_PER_PENUMBRA, WIDEST_MM)
    distance = signed_distance(region, outside_mm=reach, inside_mm=deep)
    grid = _thinned(distance.grid, spacing)
    depth = np.minimum(np.asarray(distance.sample_on(grid), float), reach)
    width = far if np.ptp([*plus, *minus]) == 0 else _along_normals(depth, grid, plus, minus)
    values = plateau * special.ndtr(edge - depth / width)
    return Dose(values=values.astype(np.float32), grid=grid, prescription_gy=prescription, name=name)


def plateau_of(prescription: float, edge_level: float, prescribed_to: PrescribedTo) -> float:
    """Maximum of a conformal dose whose prescription is on its plateau or on the PTV's surface.

    Raises
    ------
    DoseError
    """
    choice("prescribed_to", prescribed_to, PRESCRIBED_TO, error=DoseError)
    return prescription if prescribed_to == "plateau" else prescription / edge_level


def _penumbra(given: ArrayLike | Margin) -> tuple[Floats, Floats]:
    """SD towards R, A, S and towards L, P, I."""
    if isinstance(given, Margin):
        six = np.array([[given.right, given.anterior, given.superior], [given.left, given.posterior, given.inferior]])
        plus, minus = (triple("penumbra_mm", side, least=0.5, most=50.0, error=DoseError) for side in six)
        return plus, minus
    both = triple("penumbra_mm", given, least=0.5, most=50.0, error=DoseError)
    return both, both


def _thinned(grid: Grid, spacing_mm: float) -> Grid:
    """Every n-th node along each axis, no further apart than asked where that is possible."""
    steps = [max(1, int(spacing_mm / h + 1e-6)) for h in grid.spacing_mm]
    i, j, k = ((n - 1) // step + 1 for n, step in zip(grid.shape, steps, strict=True))
    return Grid(shape=(i, j, k), affine=grid.affine @ np.diag([*map(float, steps), 1.0]))


def _along_normals(depth: Floats, grid: Grid, plus: Floats, minus: Floats) -> Floats:
    """Penumbra along the direction in which the distance grows: σ(n)² = Σ nᵢ² σᵢ²."""
    slope = np.stack([np.gradient(depth, h, axis=n) for n, h in enumerate(grid.spacing_mm)], axis=-1) @ grid.axes.T
    length = np.linalg.norm(slope, axis=-1, keepdims=True)
    normal = np.divide(slope, length, out=np.full_like(slope, 3**-0.5), where=length > 1e-6)
    width: Floats = np.sqrt(((normal * np.where(normal > 0, plus, minus)) ** 2).sum(axis=-1))
    return width
