"""Doses as files."""

import os
from pathlib import Path
from typing import Final

import numpy as np

from ptvkit.dose.dose import Dose
from ptvkit.errors import DoseError, FileError
from ptvkit.io.dicom.dose import read_rtdose, write_rtdose
from ptvkit.io.dicom.reading import is_dicom
from ptvkit.io.nifti import read_image, write_image

PathLike = str | os.PathLike[str]

UNITS: Final = {"Gy": 1.0, "cGy": 0.01}
DOUBTFUL_GY: Final = 300.0
"""Dose above any external-beam course, Gy: larger values are taken for cGy unless the unit is stated."""


def read_dose(
    path: PathLike,
    *,
    units: str | None = None,
    prescription_gy: float | None = None,
    frame: str | None = None,
) -> Dose:
    """Read a dose distribution from NIfTI or RTDOSE; the format is detected from the content.

    Parameters
    ----------
    path : path
    units : {"Gy", "cGy"}, optional
        Unit of a NIfTI file; by default Gy, and values that must be cGy are refused. An RTDOSE states its own unit.
    prescription_gy : float, optional
        Prescribed dose; never inferred from the values.
    frame : str, optional
        Name of the frame of reference, for sums; an RTDOSE has its own.

    Returns
    -------
    Dose

    Raises
    ------
    FileError, GridError
        When the file cannot be read.
    DoseError
        When the values are not a dose in Gy: 0 everywhere, negative, NaN, or apparently in cGy.
    """
    if units is not None and units not in UNITS:
        raise DoseError(f"units {units!r}: use 'Gy' or 'cGy'")
    if is_dicom(path):
        if units is not None:
            raise DoseError(f"{path}: states its own units; leave units out")
        return read_rtdose(path, prescription_gy=prescription_gy, frame=frame)
    values, grid = read_image(path)
    if units is None and np.nanmax(values, initial=0.0) > DOUBTFUL_GY:
        raise DoseError(
            f"{path}: reaches {float(np.nanmax(values)):.6g}, which must be cGy; give units='cGy', or"
            " units='Gy' if it is right"
        )
    factor = np.float32(UNITS[units or "Gy"])
    return Dose(values=values * factor, grid=grid, prescription_gy=prescription_gy, frame=frame, name=str(path))


def write_dose(dose: Dose, path: PathLike, *, reference: PathLike | None = None) -> None:
    """Write a dose in Gy, whole or not at all: NIfTI (float32, sform and qform codes set, units mm) or RTDOSE.

    Parameters
    ----------
    dose : Dose
    path : path
        ``.nii``, ``.nii.gz``, or ``.dcm``.
    reference : path, optional
        Image series (folder or slice) that provides patient, study and frame of reference of an RTDOSE.

    Raises
    ------
    FileError
        When it cannot be written, or an RTDOSE has no reference.
    """
    if Path(path).suffix.lower() == ".dcm":
        if reference is None:
            raise FileError(f"{path}: an RTDOSE belongs to an image; give reference, its folder")
        write_rtdose(dose, path, reference=reference)
        return
    write_image(dose.values, dose.grid, Path(path))
