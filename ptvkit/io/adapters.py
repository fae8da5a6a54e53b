"""Conversion between masks and images in memory: nibabel, SimpleITK, NumPy, torch, MONAI and registered types."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from ptvkit.errors import GridError, MaskError
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region
from ptvkit.io.foreign import BUILT_IN, Adapter, Array, ForeignImage, Inside, grid_in
from ptvkit.io.labels import Label, as_labels, labels_in, none_chosen, not_present, numbers_of
from ptvkit.io.nifti import read_mask

Thing = TypeVar("Thing")

_adapters: dict[str, Adapter] = dict(BUILT_IN)


def as_mask(
    thing: Any, affine: ArrayLike | None = None, *, label: Label | None = None, name: str | None = None
) -> Mask:
    """A mask from a file or from an image in memory.

    Parameters
    ----------
    thing : path, nibabel image, SimpleITK image, MONAI MetaTensor, (array, affine), array, torch tensor, or Mask
        0 outside and one other value inside, or a label map from which `label` selects. Tensors may have a leading
        channel axis of length one. `register_adapter` adds further types.
    affine : (4, 4), optional
        Voxel indices to mm, patient frame RAS+; required for an array or tensor, which has no affine of its own.
    label : int, str or several ints, optional
        As in `read_mask`; names where the image has them.
    name : str, optional
        Name used in messages.

    Returns
    -------
    Mask
        In the patient frame RAS+ mm, also for libraries that use another frame (SimpleITK uses LPS).

    Raises
    ------
    MaskError
        When the type is unknown, no voxel is inside, values are not labels, the affine is missing or redundant, or
        the image does not have three axes.
    GridError
        When the affine is sheared, singular or not finite.
    FileError
        When a file cannot be read.

    Examples
    --------
    >>> import nibabel
    >>> array = np.zeros((7, 9, 11), np.uint8)
    >>> array[2:4, 3:6, 5] = 2
    >>> image = nibabel.Nifti1Image(array, np.diag([-1.0, 2.0, 3.0, 1.0]))
    >>> as_mask(image).grid.codes, as_mask(image, label=2).volume_cc
    (('L', 'A', 'S'), 0.036)
    """
    if isinstance(thing, Region):
        raise MaskError("a Region has no voxels; sample it on a grid with region.to_mask(grid)")
    if isinstance(thing, Mask | str | os.PathLike) and affine is not None:
        raise MaskError(
            f"{thing if not isinstance(thing, Mask) else thing.name}: has an affine of its own; leave affine out"
        )
    if isinstance(thing, str | os.PathLike):
        return read_mask(thing, label=label, name=name)
    if isinstance(thing, Mask):
        if label is not None:
            raise MaskError(f"{thing.name}: is a single structure; leave label out")
        return thing
    called = name or f"the {type(thing).__name__}"
    image = _placed(_read(thing), affine, called)
    return _mask_of(image, label, called)


def like(result: Mask | Region, thing: Thing) -> Thing:
    """Convert a mask or region to the image type of `thing`: same class, data type, geometry and header.

    Parameters
    ----------
    result : Mask or Region
        A region is sampled on the image's grid; a mask must be on it.
    thing : nibabel image, SimpleITK image, MONAI MetaTensor, (array, affine), array, torch tensor, or Mask
        Image to imitate; it is not changed. Its labels are not copied: the result is 0 outside and 1 inside.

    Returns
    -------
    of the kind of `thing`

    Raises
    ------
    GridError
        When the mask is not on the image's grid.
    MaskError
        When the type is unknown, or when a region is to be written like an array, which has no affine.

    Examples
    --------
    The PTV as an image of the same type:

    >>> import nibabel
    >>> from ptvkit import Margin, expand
    >>> array = np.zeros((30, 25, 11), np.int16)
    >>> array[12:18, 10:15, 5] = 1
    >>> image = nibabel.Nifti1Image(array, np.diag([-1.0, 1.0, 3.0, 1.0]))
    >>> ptv = like(expand(as_mask(image), Margin.uniform(3)), image)
    >>> type(ptv).__name__, ptv.get_data_dtype().name, ptv.shape
    ('Nifti1Image', 'int16', (30, 25, 11))
    """
    if isinstance(thing, str | os.PathLike):
        raise MaskError(f"{thing}: a path is not an image; write the result with write_mask")
    adapter = _adapter_of(thing) if not isinstance(thing, Mask) else None
    image = ForeignImage(array=thing.array, affine=thing.grid.affine) if isinstance(thing, Mask) else _read(thing)
    mask = _on_grid(result, image, f"the {type(thing).__name__}")
    return mask if adapter is None else adapter.write(mask.array, thing)  # type: ignore[return-value]


def register_adapter(
    kind: str,
    *,
    read: Callable[[Any], tuple[Array, Array]],
    write: Callable[[Inside, Any], Any],
) -> None:
    """Register an image type for `as_mask` and `like`.

    Parameters
    ----------
    kind : str
        Module and name of the type, such as ``"mylab.volumes.Volume"``; subclasses are included. The module need not
        be imported yet.
    read : callable
        Function of an image that returns its array (I, J, K) and affine (4, 4), voxel indices to mm, frame RAS+.
    write : callable
        Function of a bool array (I, J, K) and an image that returns a new image of the same type and geometry.

    Raises
    ------
    MaskError
        When the name has no module, or `read` or `write` is not callable.

    Examples
    --------
    >>> class Volume:
    ...     def __init__(self, voxels):
    ...         self.voxels = voxels
    >>> kind = f"{Volume.__module__}.{Volume.__qualname__}"
    >>> register_adapter(kind, read=lambda v: (v.voxels, np.eye(4)), write=lambda inside, v: Volume(inside))
    >>> volume = Volume(np.ones((3, 4, 5), np.uint8))
    >>> like(as_mask(volume), volume).voxels.sum()
    np.int64(60)
    """
    if "." not in kind.strip(".") or not callable(read) or not callable(write):
        raise MaskError(f"adapter {kind!r}: give module and name of the type, and two functions, read and write")
    _adapters[kind] = Adapter(read=read, write=write)


def _adapter_of(thing: Any) -> Adapter:
    for kind in type(thing).__mro__:
        adapter = _adapters.get(f"{kind.__module__}.{kind.__qualname__}")
        if adapter is not None:
            return adapter
    raise MaskError(
        f"a {type(thing).__module__}.{type(thing).__qualname__} is not a known image type; pass a path, a nibabel or"
        " SimpleITK image, a MetaTensor, or an array with its affine, or register it with register_adapter"
    )


def _read(thing: Any) -> ForeignImage:
    image = _adapter_of(thing).read(thing)
    if isinstance(image, ForeignImage):
        return image
    return ForeignImage(array=np.asarray(image[0]), affine=np.asarray(image[1]))


def _placed(image: ForeignImage, affine: ArrayLike | None, name: str) -> ForeignImage:
    if (affine is None) == (image.affine is None):
        if affine is not None:
            raise MaskError(f"{name}: has an affine of its own; leave affine out")
        raise MaskError(f"{name}: has no affine; pass affine=, 4×4, voxel indices to mm in the patient frame RAS+")
    return image if affine is None else ForeignImage(array=image.array, affine=np.asarray(affine), names=image.names)


def _mask_of(image: ForeignImage, label: Label | None, name: str) -> Mask:
    grid = grid_in(image, name)
    path = Path(name)
    if image.array.dtype.kind not in "biuf":
        raise MaskError(f"{name}: mask values must be numbers, found {image.array.dtype}")
    stored = image.array if image.array.dtype.kind != "b" else image.array.view(np.uint8)
    labels = as_labels(stored, 1.0, 0.0, path).reshape(stored.shape)
    present = labels_in(labels.reshape(-1), path)
    chosen = present if label is None else set(numbers_of(label, image.names, path))
    if label is not None and not present & chosen:
        raise not_present(label, present, image.names, path)
    if not present:
        raise MaskError(f"{name}: is empty: no voxel is inside; pass a mask that contains a structure")
    if label is None and len(present) > 1:
        raise none_chosen(present, image.names, path)
    inside = labels != 0 if label is None else np.isin(labels, sorted(chosen))
    return Mask.from_array(inside, grid.affine, name=name if label is None else f"{name} ({label})")


def _on_grid(result: Mask | Region, image: ForeignImage, name: str) -> Mask:
    """The result as a mask on an image's grid."""
    if image.affine is None:
        if isinstance(result, Region):
            raise MaskError(f"{name}: has no affine; sample the region with region.to_mask(grid) first")
        if image.array.shape != result.grid.shape:
            raise GridError(
                f"{name}: has the shape {image.array.shape}, the mask {result.grid.shape}; they must be equal"
            )
        return result
    grid = grid_in(image, name)
    if isinstance(result, Region):
        return result.to_mask(grid)
    if not result.grid.matches(grid):
        raise GridError(
            f"{name}: is on another grid than {result.name}; create the mask on the image's grid, or pass the region"
        )
    return result
