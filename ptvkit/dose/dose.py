"""A dose distribution: Gy on a grid, and between its nodes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from ptvkit.display import figure_of, html_of, line
from ptvkit.errors import DoseError
from ptvkit.geometry.grid import Grid
from ptvkit.kernels.spline import mean_of_shifts, sample_spline
from ptvkit.values import choice, number

Floats = NDArray[np.float64]
Quantity = Literal["physical", "bed", "eqd2"]
QUANTITIES: Final = ("physical", "bed", "eqd2")

FEWEST_NODES: Final = 4
ROUNDING: Final = 1e-5
"""Doses below 0 by up to this share of the maximum are an export's rounding and count as 0."""
LARGEST_GY: Final = 10_000.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Dose:
    """A dose distribution.

    Between its nodes the dose is the cubic spline through them: exact at the nodes, smooth between, as dose is.

    Parameters
    ----------
    values : (I, J, K) array
        Gy at the nodes, 0 or more.
    grid : Grid
        Patient frame RAS+ mm.
    prescription_gy : float, optional
        What was prescribed. It is never guessed from the values.
    frame : str, optional
        Which frame of reference the positions belong to, such as the planning CT's. Doses are only added in one frame.
    name : str
        What messages call it.
    quantity : {"physical", "bed", "eqd2"}
        Absorbed dose, or what `bed` or `eqd2` made of it.

    Raises
    ------
    DoseError
        When the dose is 0 everywhere, negative, not finite, or has fewer than four nodes along an axis.

    Examples
    --------
    >>> grid = Grid(shape=(5, 6, 7), affine=np.diag([2.0, 2.0, 3.0, 1.0]))
    >>> dose = Dose(values=np.full(grid.shape, 20.0), grid=grid)
    >>> float(dose.sample([3.0, 4.0, 7.5]).round(6)), bool(np.isnan(dose.sample([0.0, 0.0, 100.0])))
    (20.0, True)
    """

    values: NDArray[np.float32]
    grid: Grid
    prescription_gy: float | None = None
    frame: str | None = None
    name: str = "the dose"
    quantity: Quantity = "physical"

    def __post_init__(self) -> None:
        choice("quantity", self.quantity, QUANTITIES, error=DoseError)
        values = np.asarray(self.values)
        if values.shape != self.grid.shape:
            raise DoseError(f"{self.name}: values {values.shape} and grid {self.grid.shape} differ in shape")
        if min(values.shape) < FEWEST_NODES:
            raise DoseError(
                f"{self.name}: has {min(values.shape)} nodes along an axis; a dose needs {FEWEST_NODES} or more"
            )
        object.__setattr__(self, "values", _checked(values, self.name))
        if self.prescription_gy is not None:
            prescription = gray("prescription_gy", self.prescription_gy)
            object.__setattr__(self, "prescription_gy", prescription)

    def __repr__(self) -> str:
        return line(self, self.name, f"up to {self.values.max():.4g} Gy", str(self.grid))

    def _repr_html_(self) -> str:
        return html_of(self)

    def plot(self, **options: Any) -> Any:
        """Isodoses in three planes, a matplotlib figure; options: `structures` by name, `image` (array, Grid)."""
        return figure_of(self, **options)

    def sample(self, points_mm: ArrayLike) -> Floats:
        """Dose (...,), Gy, at patient points (..., 3), mm; NaN beyond the outer faces of the grid's cells."""
        points = np.asarray(points_mm, float)
        flat = np.ascontiguousarray(points.reshape(-1, 3))
        found = np.maximum(sample_spline(self._coefficients, self._to_index, flat), 0.0)
        return found.reshape(points.shape[:-1])

    def mean_over(self, points_mm: Floats, shifts_mm: Floats) -> Floats:
        """Mean dose (N,), Gy, of points (N, 3) over displacements (M, 3), mm; beyond the grid its edge goes on."""
        found = mean_of_shifts(self._coefficients, self._to_index, points_mm, shifts_mm)
        return np.maximum(found, 0.0, out=found)

    def scaled(self, factor: float) -> Self:
        """The same distribution times a factor."""
        by = number("factor", factor, least=0.0, most=1e6, above=True, error=DoseError)
        return replace(self, values=self.values * np.float32(by))

    def around(self, low: Sequence[int], high: Sequence[int]) -> NDArray[np.float32]:
        """Values at the nodes from index `low` to `high` inclusive; beyond the grid those of its edge."""
        index = [np.clip(np.arange(a, b + 1), 0, n - 1) for a, b, n in zip(low, high, self.values.shape, strict=True)]
        return self.values[np.ix_(*index)]

    @cached_property
    def _coefficients(self) -> NDArray[np.float32]:
        return spline_of(self.values)

    @cached_property
    def _to_index(self) -> Floats:
        return np.ascontiguousarray(np.linalg.inv(self.grid.affine)[:3])

    def __getstate__(self) -> dict[str, Any]:
        # what is worked out when asked for is left behind
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_")}


def spline_of(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Coefficients of the cubic spline through values, mirrored at the edges."""
    found: NDArray[np.float32] = ndimage.spline_filter(values, order=3, output=np.float32, mode="mirror")
    return found


def _checked(values: NDArray[Any], name: str) -> NDArray[np.float32]:
    array = np.array(values, np.float32, order="C")
    if not np.isfinite(array).all():
        raise DoseError(f"{name}: holds NaN or infinity; export it again")
    least, most = float(array.min()), float(array.max())
    if most <= 0:
        raise DoseError(f"{name}: is 0 everywhere" if least == 0 else f"{name}: has no dose above 0")
    if least < -ROUNDING * most:
        raise DoseError(f"{name}: holds negative doses, down to {least:.4g} Gy; a dose is 0 or more")
    if least < 0:
        np.maximum(array, 0.0, out=array)
    array.setflags(write=False)
    return array


def gray(name: str, given: float) -> float:
    """A dose above 0, Gy."""
    return number(name, given, least=0.0, most=LARGEST_GY, above=True, error=DoseError)
