"""A NIfTI mask as nibabel alone reads it, to check ptvkit's own reader against."""

from pathlib import Path
from typing import Any

import numpy as np

from ptvkit.errors import FileError
from ptvkit.geometry.mask import Mask


def read_mask_with_nibabel(path: Path) -> Mask:
    """A binary mask as nibabel's image loader has it.

    Raises
    ------
    FileError
        When nibabel cannot read the file.
    """
    import nibabel

    loader: Any = nibabel
    try:
        image = loader.load(path)
        return Mask.from_array(np.asarray(image.dataobj) != 0, image.affine, name=str(path))
    except (loader.filebasedimages.ImageFileError, OSError) as error:
        raise FileError(f"{path}: nibabel cannot read it ({error})") from error
