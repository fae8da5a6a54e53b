"""Images of other libraries in memory: reading, and writing an image of the same type.

A library is imported only when one of its images is already there, so none of them is needed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import MaskError
from ptvkit.geometry.grid import Grid

Array = NDArray[Any]
Inside = NDArray[np.bool_]

LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignImage:
    """Content of an image of another library.

    Attributes
    ----------
    array : (I, J, K) array
    affine : (4, 4) array or None
        Voxel indices to mm, patient frame RAS+; None when the image has no affine.
    names : mapping
        Label names by number.
    """

    array: Array
    affine: Array | None
    names: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """Functions that read an image type and convert a mask to it.

    Attributes
    ----------
    read : callable
        Function of an image that returns a `ForeignImage` or (array, affine).
    write : callable
        A bool array (I, J, K) and the image whose place and kind it takes, to a new image.
    """

    read: Callable[[Any], ForeignImage | tuple[Array, Array]]
    write: Callable[[Inside, Any], Any]


def _read_array(thing: Array) -> ForeignImage:
    return ForeignImage(array=np.asarray(thing), affine=None)


def _write_array(inside: Inside, thing: Array) -> Array:
    array: Array = inside.astype(thing.dtype)
    return array


def _read_pair(thing: tuple[Any, Any]) -> ForeignImage:
    if len(thing) != 2:
        raise MaskError(f"a tuple of {len(thing)}: give (array, affine)")
    return ForeignImage(array=np.asarray(thing[0]), affine=np.asarray(thing[1]))


def _write_pair(inside: Inside, thing: tuple[Any, Any]) -> tuple[Array, Array]:
    return inside.astype(np.asarray(thing[0]).dtype), np.array(thing[1])


def _read_nibabel(thing: Any) -> ForeignImage:
    from nibabel.nifti1 import Nifti1Header

    from ptvkit.io.labels import label_names
    from ptvkit.io.nifti_header import grid_of

    array = np.asanyarray(thing.dataobj)
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    affine: Any = thing.affine
    names: dict[int, str] = {}
    header: Any = thing.header
    if array.ndim == 3 and issubclass(type(header), Nifti1Header):
        # The header also shows units and contradictions, which the affine does not.
        i, j, k = array.shape
        affine = grid_of(header.copy(), (i, j, k), Path("the image")).affine
        for extension in header.extensions:
            content = extension.get_content()
            names |= label_names(content if isinstance(content, bytes) else str(content).encode())
    return ForeignImage(array=array, affine=affine, names=names)


def _write_nibabel(inside: Inside, thing: Any) -> Any:
    header = thing.header.copy()
    if hasattr(header, "extensions"):
        header.extensions.clear()  # they name labels that a mask no longer has
    dtype = thing.get_data_dtype()
    image = thing.__class__(inside.reshape(thing.shape).astype(dtype), thing.affine, header)
    image.set_data_dtype(dtype)
    if hasattr(image.header, "set_slope_inter"):
        image.header.set_slope_inter(1, 0)
        image.header["cal_max"] = image.header["cal_min"] = 0
    return image


def _read_itk(thing: Any) -> ForeignImage:
    import SimpleITK as sitk  # noqa: N813

    components = thing.GetNumberOfComponentsPerPixel()
    if thing.GetDimension() != 3 or components != 1:
        raise MaskError(
            f"a SimpleITK image of {thing.GetDimension()} axes and {components} components; give one of three axes and"
            " one component"
        )
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(thing.GetDirection(), (3, 3)) * thing.GetSpacing()
    affine[:3, 3] = thing.GetOrigin()
    return ForeignImage(array=sitk.GetArrayFromImage(thing).transpose(2, 1, 0), affine=LPS_TO_RAS @ affine)


def _write_itk(inside: Inside, thing: Any) -> Any:
    import SimpleITK as sitk  # noqa: N813

    image = sitk.GetImageFromArray(np.ascontiguousarray(inside.transpose(2, 1, 0)).astype(np.uint8))
    image = sitk.Cast(image, thing.GetPixelID())
    image.CopyInformation(thing)
    for key in thing.GetMetaDataKeys():
        image.SetMetaData(key, thing.GetMetaData(key))
    return image


def _read_torch(thing: Any) -> ForeignImage:
    return ForeignImage(array=_numbers(thing), affine=None)


def _read_monai(thing: Any) -> ForeignImage:
    affine = np.asarray(thing.affine.detach().cpu().numpy(), np.float64)
    while affine.ndim > 2 and affine.shape[0] == 1:
        affine = affine[0]
    space = str(getattr(thing.meta.get("space"), "value", thing.meta.get("space") or "RAS"))
    if space not in ("RAS", "LPS"):
        raise MaskError(f"a MetaTensor in the space {space!r}; give one in RAS or LPS, as MONAI's LoadImage makes them")
    return ForeignImage(array=_numbers(thing), affine=LPS_TO_RAS @ affine if space == "LPS" else affine)


def _numbers(thing: Any) -> Array:
    """Values of a tensor without leading axes of length one."""
    import torch

    tensor = thing.detach().as_subclass(torch.Tensor).cpu()
    if tensor.dtype in (torch.float16, torch.bfloat16):
        tensor = tensor.float()
    array: Array = tensor.numpy()
    while array.ndim > 3 and array.shape[0] == 1:
        array = array[0]
    return array


def _write_torch(inside: Inside, thing: Any) -> Any:
    import torch

    tensor = thing.detach().clone()
    tensor.copy_(torch.from_numpy(np.ascontiguousarray(inside).astype(np.uint8)).reshape(thing.shape))
    return tensor


BUILT_IN: Final[Mapping[str, Adapter]] = {
    "numpy.ndarray": Adapter(read=_read_array, write=_write_array),
    "builtins.tuple": Adapter(read=_read_pair, write=_write_pair),
    "nibabel.spatialimages.SpatialImage": Adapter(read=_read_nibabel, write=_write_nibabel),
    "SimpleITK.SimpleITK.Image": Adapter(read=_read_itk, write=_write_itk),
    "torch.Tensor": Adapter(read=_read_torch, write=_write_torch),
    "monai.data.meta_tensor.MetaTensor": Adapter(read=_read_monai, write=_write_torch),
}
"""Adapters by module and name of a type or its base class, so that the library need not be imported."""


def grid_in(image: ForeignImage, name: str) -> Grid:
    """Grid of an image with an affine.

    Raises
    ------
    MaskError, GridError
        When the image does not have three axes, or the affine is unusable.
    """
    from ptvkit.errors import GridError

    if image.array.ndim != 3:
        raise MaskError(f"{name}: a mask needs three axes, found shape {image.array.shape}; choose a channel or volume")
    i, j, k = image.array.shape
    try:
        return Grid(shape=(i, j, k), affine=np.asarray(image.affine))
    except GridError as error:
        raise GridError(f"{name}: {error}") from None
