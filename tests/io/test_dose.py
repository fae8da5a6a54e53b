"""Dose files: units, refusals, and back again."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import ptvkit as pk
from ptvkit.geometry.grid import Grid
from tests.conftest import AXES, affine_of


def save(path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nib.save(nib.Nifti1Image(values.astype(np.float32), np.diag([2.0, 2, 3, 1]) if affine is None else affine), path)
    return path


def test_there_and_back_on_an_oblique_grid(tmp_path: Path) -> None:
    grid = Grid(shape=(5, 6, 7), affine=affine_of(AXES["oblique"]))
    rng = np.random.default_rng(1)
    dose = pk.Dose(values=rng.uniform(0, 60, grid.shape), grid=grid)
    pk.write_dose(dose, tmp_path / "dose.nii.gz")
    found = pk.read_dose(tmp_path / "dose.nii.gz", prescription_gy=54, frame="CT 1")
    np.testing.assert_array_equal(found.values, dose.values)
    assert found.grid.matches(grid)
    assert (found.prescription_gy, found.frame) == (54, "CT 1")


def test_units(tmp_path: Path) -> None:
    path = save(tmp_path / "d.nii", np.full((5, 5, 5), 2280.0))
    with pytest.raises(pk.DoseError, match=r"d\.nii: reaches 2280, which must be cGy; give units='cGy'"):
        pk.read_dose(path)
    assert pk.read_dose(path, units="cGy").values.max() == pytest.approx(22.8)
    assert pk.read_dose(path, units="Gy").values.max() == 2280  # asked for
    with pytest.raises(pk.DoseError, match="use 'Gy' or 'cGy'"):
        pk.read_dose(path, units="rad")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.zeros((5, 5, 5)), "is 0 everywhere"),
        (np.full((5, 5, 5), -2.0), "has no dose above 0"),
        (np.full((5, 5, 5), np.nan), "holds NaN"),
    ],
)
def test_no_dose_in_the_file(tmp_path: Path, values: np.ndarray, says: str) -> None:
    with pytest.raises(pk.PtvkitError, match=rf"d\.nii: {says}"):
        pk.read_dose(save(tmp_path / "d.nii", values))
    with pytest.raises(pk.FileError, match="no such file"):
        pk.read_dose(tmp_path / "none.nii")
