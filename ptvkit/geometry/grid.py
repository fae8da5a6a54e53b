"""The grid: a box of voxels and the affine that places it in the patient."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.display import times
from ptvkit.errors import GridError
from ptvkit.geometry.directions import axis_codes

Triple = tuple[int, int, int]
MOST_VOXELS: Final = 2_000_000_000
"""Voxels above which no mask is laid on a grid: 2 GB as bytes."""

SHEAR_TOLERANCE = 1e-3
"""Largest cosine between two array axes. Scanners and registrations write affines that are orthogonal to about 1e-6;
a thousandth is .06 degree, or .03 mm over a 30 mm margin."""

LARGEST_MM = 1e6
LARGEST_VOXEL_MM = 50.0

ALIGNED_TOLERANCE = 1e-4
"""Largest off-axis component of a unit axis vector for a grid to count as aligned: .05 mm across 500 mm."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """A box of voxels placed in the patient.

    Parameters
    ----------
    shape : (3,) ints
        Number of voxels (I, J, K).
    affine : (4, 4) array
        From voxel indices to millimetres in the patient frame RAS+; index (0, 0, 0) is the *centre* of the first voxel.
        Flipped, permuted and oblique affines are fine; sheared and singular ones are refused.

    Raises
    ------
    GridError
        When the shape is not three positive integers, or the affine is not finite, singular or sheared.

    Examples
    --------
    >>> grid = Grid(shape=(7, 9, 11), affine=np.diag([-1.0, -2.0, 3.0, 1.0]))
    >>> grid.spacing_mm, grid.codes
    ((1.0, 2.0, 3.0), ('L', 'P', 'S'))
    """

    shape: Triple
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        shape = _checked_shape(self.shape)
        try:
            affine = np.array(self.affine, dtype=np.float64)
        except (TypeError, ValueError):
            raise GridError("the affine must be a 4×4 matrix of numbers from voxel indices to mm (RAS+)") from None
        affine.setflags(write=False)
        _check_affine(affine)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", affine)

    def __reduce__(self) -> tuple[Any, ...]:
        # a copy is read-only again
        return _grid, (type(self), self.shape, np.array(self.affine))

    def __repr__(self) -> str:
        return f"Grid({self})"

    def __str__(self) -> str:
        return f"{times(self.shape)} of {times(self.spacing_mm)} mm, {''.join(self.codes)}"

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along each array axis, mm."""
        a, b, c = np.linalg.norm(self.affine[:3, :3], axis=0)
        return (float(a), float(b), float(c))

    @property
    def axes(self) -> NDArray[np.float64]:
        """Unit vector of each array axis in the columns of a (3, 3) array, patient frame RAS+."""
        columns: NDArray[np.float64] = self.affine[:3, :3] / np.asarray(self.spacing_mm)
        return columns

    @property
    def codes(self) -> tuple[str, str, str]:
        """Letters towards which the array axes mostly point, such as ``('L', 'P', 'S')``."""
        return axis_codes(self.axes)

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel, mm³."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def size(self) -> int:
        """Number of voxels."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def corners_mm(self) -> NDArray[np.float64]:
        """Centres (8, 3) of the corner voxels, patient frame RAS+, mm."""
        return self.to_mm(
            [[i * (n - 1) for i, n in zip(bits, self.shape, strict=True)] for bits in np.ndindex(2, 2, 2)]
        )

    def is_aligned(self, frame: NDArray[np.float64] | None = None) -> bool:
        """Whether each array axis runs along one axis of the frame (default: the patient's), either way."""
        columns = self.axes if frame is None else frame.T @ self.axes
        return bool((np.sort(np.abs(columns), axis=0)[1] < ALIGNED_TOLERANCE).all())

    def to_mm(self, index: ArrayLike) -> NDArray[np.float64]:
        """Patient coordinates (..., 3) in mm of voxel indices (..., 3), whole or fractional."""
        points: NDArray[np.float64] = np.asarray(index, float) @ self.affine[:3, :3].T + self.affine[:3, 3]
        return points

    def to_index(self, points_mm: ArrayLike) -> NDArray[np.float64]:
        """Fractional voxel indices (..., 3) of patient coordinates (..., 3) in mm."""
        inverse = np.linalg.inv(self.affine)
        index: NDArray[np.float64] = np.asarray(points_mm, float) @ inverse[:3, :3].T + inverse[:3, 3]
        return index

    def box(self, low: Sequence[int], high: Sequence[int]) -> Self:
        """The grid of the same voxels from index `low` to index `high` inclusive; may reach beyond this grid."""
        return type(self)(
            shape=(high[0] - low[0] + 1, high[1] - low[1] + 1, high[2] - low[2] + 1),
            affine=self._moved(np.asarray(low, float)),
        )

    def covering(self, points_mm: ArrayLike, room: int = 0) -> Self:
        """The part of this grid's lattice, extended as needed, around points (N, 3), with some nodes to spare."""
        index = self.to_index(points_mm)
        low = np.floor(index.min(axis=0) + 1e-6).astype(int) - room
        return self.box(low.tolist(), (np.ceil(index.max(axis=0) - 1e-6).astype(int) + room).tolist())

    def refined(self, factors: Sequence[int]) -> Self:
        """The grid with `factors` times more voxels between neighbouring centres; keeps every voxel centre."""
        affine = np.array(self.affine)
        affine[:3, :3] /= np.asarray(factors, float)
        n = [(size - 1) * factor + 1 for size, factor in zip(self.shape, factors, strict=True)]
        return type(self)(shape=(n[0], n[1], n[2]), affine=affine)

    def resampled(self, spacing_mm: Sequence[float]) -> Self:
        """A grid over the same voxel *faces* with about the given spacing along each array axis, mm.

        The spacing is adjusted to divide each extent into whole voxels.
        """
        wanted = np.asarray(spacing_mm, float)
        if wanted.shape != (3,) or not (np.isfinite(wanted).all() and (wanted > 0).all()):
            raise GridError(f"a spacing needs three positive numbers of mm, found {tuple(spacing_mm)}")
        old = np.asarray(self.spacing_mm)
        extent = old * self.shape
        n = np.maximum(1, np.rint(extent / wanted)).astype(int)
        new = extent / n
        affine = np.array(self.affine)
        affine[:3, :3] *= new / old
        affine[:3, 3] = self.to_mm(0.5 * new / old - 0.5)
        return type(self)(shape=(int(n[0]), int(n[1]), int(n[2])), affine=affine)

    def offset_in(self, other: "Grid") -> Triple | None:
        """Index in `other` of this grid's first voxel when the two share one lattice of voxel centres, else None."""
        if not np.allclose(self.affine[:3, :3], other.affine[:3, :3], atol=1e-6 * min(self.spacing_mm)):
            return None
        start = other.to_index(self.affine[:3, 3])
        whole = np.rint(start)
        if np.abs(start - whole).max() > 1e-3:
            return None
        return (int(whole[0]), int(whole[1]), int(whole[2]))

    def matches(self, other: "Grid") -> bool:
        """Whether both grids hold the same voxels: one shape, and centres equal within a thousandth of a voxel."""
        corners = np.vstack([np.zeros((1, 3)), np.diag(np.asarray(self.shape, float))])
        near = np.abs(other.to_index(self.to_mm(corners)) - corners).max() <= 1e-3
        return self.shape == other.shape and bool(near)

    def require_size(self, name: str) -> None:
        """Refuse to lay a structure on more voxels than a computer has room for.

        Raises
        ------
        GridError
            Above 2,000 million voxels.
        """
        if self.size > MOST_VOXELS:
            raise GridError(
                f"{name}: a grid of {self} has {self.size / 1e6:,.0f} million voxels, above {MOST_VOXELS / 1e6:,.0f}"
                " million; use larger voxels, or a grid around the structure alone"
            )

    def _moved(self, start: NDArray[np.float64]) -> NDArray[np.float64]:
        affine = np.array(self.affine)
        affine[:3, 3] = self.to_mm(start)
        return affine


def _checked_shape(shape: Sequence[int]) -> Triple:
    try:
        i, j, k = (int(n) for n in shape)
        if min(i, j, k) >= 1 and (i, j, k) == tuple(shape):
            return (i, j, k)
    except (TypeError, ValueError, OverflowError):
        pass
    raise GridError(f"a grid needs three positive sizes (I, J, K), found {shape}")


def _grid(kind: type[Grid], shape: Triple, affine: NDArray[np.float64]) -> Grid:
    return kind(shape=shape, affine=affine)


def _check_affine(affine: NDArray[np.float64]) -> None:
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or np.abs(affine).max() > LARGEST_MM:
        raise GridError("the affine must be a finite 4×4 matrix from voxel indices to mm (RAS+)")
    if not np.allclose(affine[3], (0, 0, 0, 1)):
        raise GridError(f"the affine's last row must be 0 0 0 1, found {affine[3]}")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if spacing.min() < 1e-6:
        raise GridError("the affine is singular (a voxel has no extent along an axis); rewrite the image's geometry")
    if spacing.max() > LARGEST_VOXEL_MM:
        raise GridError(
            f"the affine makes voxels of {' × '.join(f'{s:g}' for s in spacing)} mm, more than {LARGEST_VOXEL_MM:g} mm"
            " along an axis; is its unit mm?"
        )
    columns = affine[:3, :3] / spacing
    cosines = np.abs(columns.T @ columns - np.eye(3)).max()
    if abs(np.linalg.det(columns)) < 1e-3:
        raise GridError("the affine is singular (two array axes run along each other); rewrite the image's geometry")
    if cosines > SHEAR_TOLERANCE:
        degrees = 90 - np.degrees(np.arccos(min(1.0, float(cosines))))
        raise GridError(
            f"the affine is sheared (array axes {90 - degrees:.2f}° apart, not 90°): margins in mm need right-angled"
            " voxels; resample the image to a grid without shear or gantry tilt"
        )
