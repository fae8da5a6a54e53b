"""Margins as MONAI transforms, in patient directions and mm, using the tensor's affine."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms.transform import MapTransform, Transform
from monai.utils import TransformBackends
from numpy.typing import ArrayLike

from ptvkit.errors import MarginError, MaskError
from ptvkit.io.adapters import as_mask, like
from ptvkit.margins.expand import Method, expand
from ptvkit.margins.margin import Margin, MarginLike, as_margin

AXES: Final = 4


class ExpandTarget(Transform):  # type: ignore[misc]
    """Grow a target by a margin, sub-voxel, in patient directions.

    Computed in main memory on a copy of the tensor. The transform is neither random nor lazy, and has no inverse.

    Parameters
    ----------
    margin : Margin, float or str
        mm: a `Margin`, one number for all directions, or text such as ``"S=12,I=18"``.
    label : int or sequence of int, optional
        Label to expand, for a label map in one channel. The result is 0 and 1.
    channel : int, optional
        Channel to expand, for one-hot channels. The others are not changed, so channels may overlap afterwards.
    affine : (4, 4), optional
        Voxel indices to mm, patient frame RAS+; required for tensors and arrays without an affine.
    method : {"region", "voxel"}
        See `ptvkit.expand`.
    allow_empty : bool
        Return an empty channel unchanged instead of raising an error.

    Raises
    ------
    MarginError
        When the margin is not valid, or both label and channel are set.

    Examples
    --------
    >>> from monai.data import MetaTensor
    >>> image = torch.zeros(1, 30, 25, 11, dtype=torch.uint8)
    >>> image[0, 12:18, 10:15, 5] = 1
    >>> gtv = MetaTensor(image, affine=torch.diag(torch.tensor([-1.0, 1.0, 3.0, 1.0])))
    >>> ptv = ExpandTarget(5)(gtv)
    >>> tuple(ptv.shape), ptv.dtype, bool((ptv >= gtv).all())
    ((1, 30, 25, 11), torch.uint8, True)
    """

    backend = (TransformBackends.TORCH, TransformBackends.NUMPY)

    def __init__(
        self,
        margin: MarginLike,
        *,
        label: int | Sequence[int] | None = None,
        channel: int | None = None,
        affine: ArrayLike | None = None,
        method: Method = "region",
        allow_empty: bool = False,
    ) -> None:
        if label is not None and channel is not None:
            raise MarginError("ExpandTarget: give label, for a label map, or channel, for one-hot, not both")
        self.margin = as_margin(margin)
        self.label = label
        self.channel = channel
        self.affine = None if affine is None else np.asarray(affine, np.float64)
        self.method: Method = method
        self.allow_empty = allow_empty

    def __call__(self, img: Any, margin: MarginLike | None = None) -> Any:
        """Expand one image (C, I, J, K); `margin` overrides the transform's own."""
        if not hasattr(img, "shape") or len(img.shape) != AXES:
            kind = f"shape {tuple(img.shape)}" if hasattr(img, "shape") else f"a {type(img).__name__}"
            raise MaskError(f"ExpandTarget: needs (channel, I, J, K), found {kind}; use EnsureChannelFirst before it")
        channel = self._channel_of(img)
        grown = self._grown(img[channel], self.margin if margin is None else as_margin(margin))
        result = img.detach().clone() if isinstance(img, torch.Tensor) else np.array(img)
        result[channel] = grown
        return result

    def _channel_of(self, img: Any) -> int:
        count = img.shape[0]
        if self.channel is None and count != 1:
            raise MaskError(f"ExpandTarget: found {count} channels; choose the one to expand with channel=")
        channel = self.channel or 0
        if not -count <= channel < count:
            raise MaskError(f"ExpandTarget: there is no channel {channel}, the image has {count}")
        return channel

    def _grown(self, structure: Any, margin: Margin) -> Any:
        if self.allow_empty and not self._holds_any(structure):
            return structure * 0
        mask = as_mask(structure, self._affine_for(structure), label=self.label, name="ExpandTarget")
        return like(expand(mask, margin, method=self.method), structure)

    def _holds_any(self, structure: Any) -> bool:
        tensor = structure.detach().cpu().double() if isinstance(structure, torch.Tensor) else structure
        values = np.asarray(tensor)
        if not np.isfinite(values).all():
            return True  # and is refused as it should be
        wanted = values != 0 if self.label is None else np.isin(np.rint(values), self.label)
        return bool(wanted.any())

    def _affine_for(self, structure: Any) -> Any:
        """Affine to pass; None when the tensor has its own."""
        return None if hasattr(structure, "affine") else self.affine


class ExpandTargetd(MapTransform):  # type: ignore[misc]
    """`ExpandTarget` for items of a data set, dictionaries.

    Parameters
    ----------
    keys : str or several
        Items to grow. To keep the GTV beside its PTV, copy it first (``CopyItemsd``).
    margin : Margin, float, str, or a list of them
        For all keys, or one for each key.
    margin_key : str, optional
        The item that holds each case's own margin, where it has one; it goes before `margin`.
    label, channel, affine, method, allow_empty
        As in `ExpandTarget`.
    allow_missing_keys : bool
        Whether an item may lack a key.

    Raises
    ------
    MarginError
        When a margin cannot be used, or there are not as many as keys.

    Examples
    --------
    >>> from monai.data import MetaTensor
    >>> image = torch.zeros(1, 30, 25, 11)
    >>> image[0, 12:18, 10:15, 5] = 1
    >>> item = {"gtv": MetaTensor(image, affine=torch.eye(4)), "margin": "4,I=5"}
    >>> grown = ExpandTargetd("gtv", margin=5, margin_key="margin")(item)
    >>> bool(grown["gtv"].sum() > item["gtv"].sum())
    True
    """

    backend = ExpandTarget.backend

    def __init__(
        self,
        keys: KeysCollection,
        margin: MarginLike | Sequence[MarginLike],
        *,
        margin_key: Hashable | None = None,
        label: int | Sequence[int] | None = None,
        channel: int | None = None,
        affine: ArrayLike | None = None,
        method: Method = "region",
        allow_empty: bool = False,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        margins: list[Any] = list(margin) if isinstance(margin, list | tuple) else [margin] * len(self.keys)
        if len(margins) != len(self.keys):
            raise MarginError(
                f"ExpandTargetd: {len(margins)} margins for {len(self.keys)} keys; give one, or one for each"
            )
        self.margin_key = margin_key
        self.transforms = [
            ExpandTarget(m, label=label, channel=channel, affine=affine, method=method, allow_empty=allow_empty)
            for m in margins
        ]

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Grow the keys' items; the others stay as they are."""
        kind = dict(data)
        own = kind.get(self.margin_key) if self.margin_key is not None else None
        for key, transform in self.key_iterator(kind, self.transforms):
            kind[key] = transform(kind[key], own)
        return kind
