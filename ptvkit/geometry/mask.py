"""The mask: one structure as a binary array on a grid."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.display import figure_of, html_of, line
from ptvkit.errors import GridError, MaskError
from ptvkit.geometry.grid import Grid, Triple
from ptvkit.kernels.scan import bounding_box


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mask:
    """One structure as a binary array on a grid.

    Make one with `from_array` or `ptvkit.read_mask`. The array is a read-only view (no copy for bool, or for uint8
    holding 0 and 1) and the caller's array is left as it was. The bounding box is found once, here.

    Attributes
    ----------
    array : (I, J, K) bool, read-only
        Of a mask that was made from a part of it, put together anew each time it is read.
    grid : Grid
    box : (low, high) or None
        First and last index (inclusive) of the structure along each array axis; None when the mask is empty.
    name : str
        What messages call this mask: its file, or its role.
    """

    held: NDArray[np.bool_]
    """The whole array, or the part of it in the bounding box."""
    grid: Grid
    box: tuple[Triple, Triple] | None
    name: str = "the mask"

    def __post_init__(self) -> None:
        if self.held.dtype != np.bool_ or self.held.shape not in (self.grid.shape, self._box_shape):
            raise MaskError(
                f"{self.name}: needs a bool array of the grid's shape {self.grid.shape}, found {self.held.dtype} of"
                f" {self.held.shape}; use Mask.from_array"
            )
        object.__setattr__(self, "held", _read_only(self.held))

    def __reduce__(self) -> tuple[Any, ...]:
        # a copy is read-only again
        return _mask, (self.held, self.grid, self.box, self.name)

    @property
    def array(self) -> NDArray[np.bool_]:
        """The voxels (I, J, K), read-only."""
        if self.held.shape == self.grid.shape:
            return self.held
        array = np.zeros(self.grid.shape, bool)
        array[self._window] = self.held
        return _read_only(array)

    @property
    def _box_shape(self) -> Triple:
        if self.box is None:
            return (0, 0, 0)
        i, j, k = (b - a + 1 for a, b in zip(*self.box, strict=True))
        return (i, j, k)

    @property
    def _window(self) -> tuple[slice, ...]:
        low = (0, 0, 0) if self.box is None else self.box[0]
        return tuple(slice(a, a + n) for a, n in zip(low, self._box_shape, strict=True))

    @classmethod
    def from_array(cls, array: ArrayLike, affine: ArrayLike, *, name: str = "the mask") -> Self:
        """Make a mask from an array of 0 and one other value.

        Parameters
        ----------
        array : (I, J, K) bool or numbers
            0 or False outside, one other value inside.
        affine : (4, 4)
            Voxel indices to mm, patient frame RAS+.
        name : str
            What messages call it.

        Raises
        ------
        MaskError
            When the array is not 3-D, holds NaN, or holds more than one value besides 0.
        GridError
            When the affine is sheared or singular.

        Examples
        --------
        >>> array = np.zeros((7, 9, 11), bool)
        >>> array[2:4, 3:6, 5] = True
        >>> mask = Mask.from_array(array, np.diag([1.0, 2.0, 3.0, 1.0]))
        >>> mask.box, mask.volume_cc
        (((2, 3, 5), (3, 5, 5)), 0.036)
        """
        values = np.asarray(array)
        if values.ndim != 3:
            raise MaskError(f"{name}: a mask needs three axes, found shape {values.shape}")
        binary = _as_binary(values, name)
        try:
            grid = Grid(shape=binary.shape, affine=np.asarray(affine))
        except GridError as error:
            raise GridError(f"{name}: {error}") from None
        return cls(held=binary, grid=grid, box=bounding_box(binary), name=name)

    @classmethod
    def from_box(cls, inside: NDArray[np.bool_], start: Triple, grid: Grid, *, name: str = "the mask") -> Self:
        """Make a mask from the part of it that may be true, its first voxel at index `start` of the grid.

        Raises
        ------
        GridError
            When the grid has more than 2,000 million voxels.
        """
        grid.require_size(name)
        found = bounding_box(inside)
        if found is None:
            return cls(held=np.zeros((0, 0, 0), bool), grid=grid, box=None, name=name)
        window = tuple(slice(a, b + 1) for a, b in zip(*found, strict=True))
        (a, b, c), (d, e, f) = (np.add(start, corner).tolist() for corner in found)
        return cls(held=inside[window], grid=grid, box=((a, b, c), (d, e, f)), name=name)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.array, dtype=dtype) if copy else np.asarray(self.array, dtype=dtype)

    def __repr__(self) -> str:
        return line(self, self.name, f"{self.volume_cc:.4g} cc", str(self.grid))

    def _repr_html_(self) -> str:
        return html_of(self)

    def plot(self, **options: Any) -> Any:
        """Three planes with the outline, a matplotlib figure; options: `image` (array, Grid), `centre_mm`."""
        return figure_of(self, **options)

    @property
    def is_empty(self) -> bool:
        """Whether no voxel is inside."""
        return self.box is None

    @property
    def volume_cc(self) -> float:
        """Number of voxels times their volume, cm³. The sub-voxel volume is the region's."""
        return float(np.count_nonzero(self.cropped)) * self.grid.voxel_volume_mm3 / 1000.0

    @property
    def cropped(self) -> NDArray[np.bool_]:
        """The array inside the bounding box, read-only; empty for an empty mask."""
        return self.held[self._window] if self.held.shape == self.grid.shape else self.held


def _as_binary(values: NDArray[Any], name: str) -> NDArray[np.bool_]:
    if values.dtype == np.bool_:
        return np.asarray(values, np.bool_).view()
    if values.dtype.kind not in "iuf":
        raise MaskError(f"{name}: a mask holds numbers, found {values.dtype}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise MaskError(f"{name}: holds NaN or infinity; replace it by 0 or 1")
    top = values.max(initial=0)
    if values.dtype == np.uint8 and top <= 1:
        return values.view(np.bool_)
    if values.min(initial=0) < 0:
        raise MaskError(f"{name}: holds negative values; a mask is 0 outside and one positive value inside")
    inside: NDArray[np.bool_] = values != 0
    other = values[inside]
    if other.size and (other != other[0]).any():
        few = ", ".join(f"{v:g}" for v in np.unique(other)[:5])
        raise MaskError(f"{name}: holds several values besides 0 ({few}, …); choose one structure, as in array == 5")
    return inside


def _read_only(array: NDArray[np.bool_]) -> NDArray[np.bool_]:
    view = array.view()
    view.setflags(write=False)
    return view


def _mask(held: NDArray[np.bool_], grid: Grid, box: tuple[Triple, Triple] | None, name: str) -> Mask:
    return Mask(held=held, grid=grid, box=box, name=name)
