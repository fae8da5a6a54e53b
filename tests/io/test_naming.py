"""One way to name a structure in every format, and neighbours that do not matter."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ptvkit as pk
from ptvkit.cli import main
from ptvkit.errors import FileError, MaskError, PtvkitError
from ptvkit.geometry.contours import region_from_contours
from ptvkit.io.formats import list_structures, read_segments, read_structure, write_segments
from ptvkit.io.naming import StructureRef
from ptvkit.io.segment import Segment, Wish
from tests.conftest import AXES, affine_of
from tests.io.dicom.making import opened, write_series

GRID = pk.Grid(shape=(9, 11, 13), affine=affine_of(AXES["lps"]))


def two_blocks() -> list[Segment]:
    first, second = np.zeros((2, *GRID.shape), bool)
    first[1:4, 2:5, 3:7], second[5:8, 6:10, 4:11] = True, True
    return [
        Segment(name=name, shape=pk.Mask.from_array(array, GRID.affine))
        for name, array in (("GTV 1", first), ("liver: left", second))
    ]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    series = write_series(tmp_path / "ct", GRID)
    paths = {}
    for ending, kind in ((".nii.gz", None), (".seg.nrrd", None), (".dcm", "rtstruct"), ("-seg.dcm", "seg")):
        paths[ending] = tmp_path / f"s{ending}"
        write_segments(paths[ending], two_blocks(), Wish(reference=series), kind=kind)
    folder = tmp_path / "masks"
    folder.mkdir()
    for one in two_blocks():
        assert isinstance(one.shape, pk.Mask)
        pk.write_mask(one.shape, folder / f"{one.name}.nii.gz")
    return {**paths, "folder": folder}


@pytest.mark.parametrize("ending", [".nii.gz", ".seg.nrrd", ".dcm", "-seg.dcm", "folder"])
def test_a_name_and_a_number_read_the_same_structure(ending: str, files: dict[str, Path]) -> None:
    expected = two_blocks()[1].shape.volume_cc
    for name in ("liver: left", "2"):
        ref = StructureRef.parse(f"{files[ending]}:{name}")
        assert all(path.is_file() for path in ref.files())
        assert ref.read().volume_cc == pytest.approx(expected, rel=0.15)
    assert [one.name for one in list_structures(files[ending])] == ["GTV 1", "liver: left"]


def test_a_damaged_neighbour_does_not_matter(files: dict[str, Path], tmp_path: Path) -> None:
    data = opened(files[".dcm"])
    data.ROIContourSequence[0].ContourSequence[0].ContourData = [1.0, 2.0]
    data.save_as(tmp_path / "half.dcm")
    assert read_structure(tmp_path / "half.dcm", "liver: left").volume_cc > 0
    assert pk.read_rtstruct(tmp_path / "half.dcm", "liver: left").volume_cc > 0
    for broken in (lambda: read_structure(tmp_path / "half.dcm", 1), lambda: read_segments(tmp_path / "half.dcm")):
        with pytest.raises(FileError, match="ContourData is not a list of points"):
            broken()
    (files["folder"] / "GTV 1.nii.gz").write_bytes(b"damaged")
    assert StructureRef.parse(f"{files['folder']}:liver: left").read().volume_cc > 0


def test_only_the_structure_that_is_named_is_built(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    built = []

    def counted(*args: Any, **kwargs: Any) -> pk.Region:
        built.append(kwargs["name"])
        return region_from_contours(*args, **kwargs)

    monkeypatch.setattr("ptvkit.io.dicom.rtstruct.region_from_contours", counted)
    read_structure(files[".dcm"], "GTV 1")
    assert len(built) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a structure needs a file"),
        (":liver", "names a structure of no file"),
        ("a.nii.gz:", "names no structure after the colon"),
        ("a.nii.gz:" + "9" * 5000, "no such file"),
        ("phantom:livr", "the phantom has no 'livr'"),
        ("a\0b.nii", "no such file"),
        ("9" * 5000, "no such file"),
    ],
)
def test_what_names_nothing_is_one_short_line(text: str, says: str) -> None:
    with pytest.raises(PtvkitError, match=says) as refusal:
        StructureRef.parse(text).read()
    assert len(str(refusal.value)) < 500


@pytest.mark.parametrize("ending", [".nii.gz", ".seg.nrrd", ".dcm", "-seg.dcm", "folder"])
@pytest.mark.parametrize("name", ["9" * 5000, "no such"])
def test_a_structure_that_is_not_there_is_one_short_line(ending: str, name: str, files: dict[str, Path]) -> None:
    with pytest.raises((MaskError, FileError), match=r"no structure|no label|holds no") as refusal:
        StructureRef.parse(f"{files[ending]}:{name}").read()
    assert len(str(refusal.value)) < 800


def test_the_phantom_is_a_structure_without_files() -> None:
    ref = StructureRef.parse("phantom:lesion_3")
    assert (ref.files(), ref.title) == ((), "lesion_3")
    assert ref.read().volume_cc > 1


def test_convert_leaves_out_what_is_no_mask(files: dict[str, Path], tmp_path: Path) -> None:
    folder = files["folder"]
    share = np.full(GRID.shape, 0.25, np.float32)
    pk.write_image(share, GRID, folder / "probability.nii.gz")
    pk.write_image(np.arange(share.size).reshape(GRID.shape).astype(np.int16), GRID, folder / "ct.nii.gz")
    out = tmp_path / "all.seg.nrrd"
    with pytest.warns(pk.PtvkitWarning, match="left out"):
        assert len(read_segments(folder)) == 2
    assert main(["convert", str(folder), "-o", str(out)]) == 0
    assert [one.name for one in read_segments(out)] == ["GTV 1", "liver: left"]
    assert main(["convert", str(folder)]) == 2


def test_voxels_too_small_for_a_patient_are_refused(tmp_path: Path) -> None:
    mask = pk.Mask.from_array(np.ones((3, 4, 5), bool), np.diag([0.001, 0.001, 0.002, 1]))
    pk.write_mask(mask, tmp_path / "tiny.nii.gz")
    with pytest.raises(pk.GridError, match=r"less than 0\.05 mm"):
        pk.read_mask(tmp_path / "tiny.nii.gz")
