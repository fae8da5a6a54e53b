from . import phantom as phantom
from .errors import FileError, GridError, MarginError, MaskError, PtvkitError, PtvkitWarning
from .geometry.boolean import difference, intersection, union
from .geometry.components import largest, lesions
from .geometry.extent import extent
from .geometry.grid import Grid
from .geometry.mask import Mask
from .geometry.reconstruct import region_from_mask
from .geometry.region import Region
from .io.nifti import read_grid, read_image, read_labels, read_mask, write_image, write_mask
from .margins.expand import contract, expand, expand_along
from .margins.margin import Margin
from .margins.structures import prv, ring, wall
from .margins.targets import Targets, make_targets

__all__ = [
    "FileError",
    "Grid",
    "GridError",
    "Margin",
    "MarginError",
    "Mask",
    "MaskError",
    "PtvkitError",
    "PtvkitWarning",
    "Region",
    "Targets",
    "contract",
    "difference",
    "expand",
    "expand_along",
    "extent",
    "intersection",
    "largest",
    "lesions",
    "make_targets",
    "phantom",
    "prv",
    "read_grid",
    "read_image",
    "read_labels",
    "read_mask",
    "region_from_mask",
    "ring",
    "union",
    "wall",
    "write_image",
    "write_mask",
]
