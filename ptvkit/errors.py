"""The errors that a user can cause and mend, and the warnings that a result carries.

Each message says what was found, where, and what to do. The command line prints a `PtvkitError` as one line and
exits with status 2; any other exception is a bug and keeps its traceback.
"""


class PtvkitError(Exception):
    """Base class of all errors that the user can mend."""


class GridError(PtvkitError, ValueError):
    """A grid that cannot be used: a bad shape, a sheared or singular affine, or two grids that do not match."""


class MaskError(PtvkitError, ValueError):
    """A mask that cannot be used: empty, not a number, or not a choice of one structure."""


class EmptyMaskError(MaskError):
    """A mask without a voxel inside."""


class MarginError(PtvkitError, ValueError):
    """A margin that cannot be used: negative, not a number, absurdly large, or misspelt."""


class MotionError(PtvkitError, ValueError):
    """A trace, a breathing model, a set-up error, a guidance or a course that cannot be used."""


class DoseError(PtvkitError, ValueError):
    """A dose, a prescription, a metric, a limit or a recipe that cannot be used."""


class FileError(PtvkitError, OSError):
    """A file that cannot be read or written; the message names it."""


class PtvkitWarning(UserWarning):
    """Something in a result that a physicist should see: a target at the image's edge, merged lesions, and so on."""
