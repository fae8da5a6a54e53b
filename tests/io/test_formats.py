"""Formats: voxels out and back, and other readers that agree where they lie."""

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import trimesh
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

import ptvkit as pk
from ptvkit.cli import main
from ptvkit.errors import FileError, MaskError
from ptvkit.io.formats import read_segments, read_structure, write_segments
from ptvkit.io.segment import Segment, Wish
from tests.conftest import AXES, affine_of
from tests.io.dicom.making import random_mask, write_series

GRIDS = {name: pk.Grid(shape=(7, 9, 11), affine=affine_of(axes)) for name, axes in AXES.items()}
VOXELS = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".mha")


def segments_on(grid: pk.Grid, seed: int, *, overlap: bool) -> list[Segment]:
    rng = np.random.default_rng(seed)
    first, second = rng.random((2, *grid.shape)) > 0.7
    if not overlap:
        second &= ~first
    return [
        Segment(name=name, shape=pk.Mask.from_array(array, grid.affine), colour=colour)
        for name, array, colour in (("GTV 1", first, (255, 51, 0)), ("lésion & more", second, (0, 102, 204)))
    ]


@pytest.mark.parametrize("axes", GRIDS)
@pytest.mark.parametrize("ending", VOXELS)
def test_voxels_and_names_come_back(axes: str, ending: str, tmp_path: Path) -> None:
    for seed in range(3):
        overlap = ending.endswith("nrrd") and seed > 0
        given = segments_on(GRIDS[axes], seed, overlap=overlap)
        path = tmp_path / f"x{seed}{ending}"
        write_segments(path, given)
        back = read_segments(path)
        assert len(back) == 2
        for one, same in zip(given, back, strict=True):
            assert isinstance(one.shape, pk.Mask)
            assert isinstance(same.shape, pk.Mask)
            assert same.shape.grid.matches(GRIDS[axes])
            np.testing.assert_array_equal(same.shape.array, one.shape.array)
            if ending != ".mha":  # which has no names
                assert same.name == one.name
            if ending.endswith("nrrd"):
                assert same.colour == one.colour


@pytest.mark.statistics
def test_two_hundred_masks_come_back(tmp_path: Path) -> None:
    """Holes, islands, parts that touch, on flipped, permuted and oblique grids that are not square; ten to a file."""
    names = list(GRIDS)
    for block in range(65):  # 13 of them left-handed, which DICOM has not
        grid = replace(GRIDS[names[block % len(names)]], shape=(13, 17, 11))
        masks = [random_mask(10 * block + n, grid) for n in range(10)]
        given = [Segment(name=f"s{n}", shape=mask) for n, mask in enumerate(masks) if not mask.is_empty]
        write_segments(tmp_path / "x.seg.nrrd", given)
        ways = {".seg.nrrd": read_segments(tmp_path / "x.seg.nrrd")}
        if np.linalg.det(grid.axes) > 0:  # a series of DICOM is right-handed
            series = write_series(tmp_path / f"ct{block}", grid)
            write_segments(tmp_path / "x.dcm", given, Wish(reference=series), kind="seg")
            ways["SEG"] = read_segments(tmp_path / "x.dcm")
            (tmp_path / "x.dcm").unlink()
        for number, one in enumerate(given):
            pk.write_mask(one.shape, tmp_path / "x.nii.gz")
            ways.setdefault("NIfTI", []).append(Segment(name=one.name, shape=pk.read_mask(tmp_path / "x.nii.gz")))
            for way, found in ways.items():
                same = found[number].shape
                assert isinstance(same, pk.Mask)
                assert same.grid.matches(grid)
                np.testing.assert_array_equal(same.array, one.shape.array, err_msg=f"{way}, mask {10 * block + number}")


@pytest.mark.parametrize("axes", ["las", "oblique", "permuted"])
@pytest.mark.parametrize("ending", [".nii.gz", ".seg.nrrd", ".mha"])
def test_another_library_finds_each_voxel_in_its_place(axes: str, ending: str, tmp_path: Path) -> None:
    grid = GRIDS[axes]
    given = segments_on(grid, 4, overlap=False)
    path = tmp_path / f"x{ending}"
    write_segments(path, given)
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    for number, one in enumerate(given, start=1):
        assert isinstance(one.shape, pk.Mask)
        np.testing.assert_array_equal(array == number, one.shape.array)
    lps = np.array(image.TransformIndexToPhysicalPoint((2, 5, 8)))
    np.testing.assert_allclose(lps * [-1, -1, 1], grid.to_mm([2, 5, 8]), atol=1e-4)
    if ending == ".nii.gz":
        np.testing.assert_allclose(nib.load(path).affine, grid.affine, atol=1e-4)


def slicer_header(array: NDArray[np.uint8], space: str) -> bytes:
    """As 3D Slicer writes layers; no line of it from our own writer."""
    return f"""NRRD0004
# Complete NRRD file format specification at:
# http://teem.sourceforge.net/nrrd/format.html
type: unsigned char
dimension: 4
space: {space}
sizes: {" ".join(map(str, array.shape))}
space directions: none (0,2,0) (-1.5,0,0) (0,0,3)
kinds: list domain domain domain
encoding: raw
space origin: (10,-20,30)
Segment0_Color:=1 0 0.5
Segment0_Extent:=0 3 0 2 0 1
Segment0_ID:=Segment_1
Segment0_LabelValue:=1
Segment0_Layer:=0
Segment0_Name:=liver
Segment1_ID:=Segment_2
Segment1_LabelValue:=2
Segment1_Layer:=1
Segment1_Name:=tumour
Segmentation_MasterRepresentation:=Binary labelmap

""".encode()


@pytest.mark.parametrize(("space", "sides"), [("left-posterior-superior", [-1, -1, 1]), ("RAS", [1, 1, 1])])
def test_layers_as_slicer_writes_them(space: str, sides: list[int], tmp_path: Path) -> None:
    array = np.zeros((2, 4, 3, 2), np.uint8)
    array[0, 1:3, :, :] = 1
    array[1, 2, 1, 1] = 2
    path = tmp_path / "s.seg.nrrd"
    path.write_bytes(slicer_header(array, space) + array.tobytes(order="F"))
    liver, tumour = read_segments(path)
    assert (liver.name, liver.colour, tumour.name) == ("liver", (255, 0, 128), "tumour")
    mask = read_structure(path, "tumour")
    assert isinstance(mask, pk.Mask)
    assert mask.box == ((2, 1, 1), (2, 1, 1))
    where = (np.array([10, -20, 30]) + 2 * np.array([0, 2, 0]) + np.array([-1.5, 0, 0]) + np.array([0, 0, 3])) * sides
    np.testing.assert_allclose(mask.grid.to_mm([2, 1, 1]), where)


@pytest.mark.parametrize("ending", [".stl", ".ply"])
@pytest.mark.parametrize("frame", ["RAS", "LPS"])
def test_meshes_against_their_formulas(ending: str, frame: str, tmp_path: Path) -> None:
    ellipsoid = trimesh.creation.icosphere(subdivisions=4)
    ellipsoid.apply_scale([12, 7, 9])
    ellipsoid.apply_transform(trimesh.transformations.rotation_matrix(0.6, [1, 2, 3], [0, 0, 0]))
    ellipsoid.apply_translation([33, -41, 17])
    ellipsoid.invert()  # inside out, as some programs write it
    ellipsoid.export(tmp_path / f"in{ending}")
    (one,) = read_segments(tmp_path / f"in{ending}", frame=frame)  # type: ignore[arg-type]
    assert one.shape.volume_cc == pytest.approx(abs(ellipsoid.volume) / 1000, rel=0.005)
    sides = [1, 1, 1] if frame == "RAS" else [-1, -1, 1]
    assert isinstance(one.shape, pk.Region)
    centre = one.shape.surface_points().mean(axis=0)
    np.testing.assert_allclose(centre, np.array([33, -41, 17]) * sides, atol=0.4)
    out = tmp_path / f"out{ending}"
    write_segments(out, [one], Wish(frame=frame))  # type: ignore[arg-type]
    back = trimesh.load_mesh(out)
    assert back.is_watertight
    assert back.volume == pytest.approx(abs(ellipsoid.volume), rel=0.01)  # positive: it faces outwards
    np.testing.assert_allclose(back.center_mass, [33, -41, 17], atol=0.1)


def test_two_nodules_far_apart_are_written_and_come_back_from_all_kinds_of_files(tmp_path: Path) -> None:
    affine = np.diag([-2.0, -2.0, 3.0, 1.0])
    affine[:3, 3] = (200, 30, -60)
    array = np.zeros((200, 30, 40), bool)
    index = np.moveaxis(np.indices(array.shape), 0, -1) * [2.0, 2.0, 3.0]
    for centre in ([22.0, 25, 31], [371.0, 33, 88]):
        array |= np.linalg.norm(index - centre, axis=-1) <= 9
    mask = pk.Mask.from_array(array, affine)
    region = pk.region_from_mask(mask)
    assert len(region.boxes) == 2
    series = write_series(tmp_path / "ct", mask.grid)
    for name, kind, wish in (
        ("rs.dcm", "rtstruct", Wish(reference=series)),
        ("seg.dcm", "seg", Wish(reference=series)),
        ("x.stl", None, Wish(frame="RAS")),
    ):
        path = tmp_path / name
        write_segments(path, [Segment(name="GTV", shape=region)], wish, kind=kind)
        back = pk.region_from_mask(found) if isinstance(found := _back(path), pk.Mask) else found
        assert len(back.boxes) == 2, name
        assert back.volume_cc == pytest.approx(region.volume_cc, rel=0.03), name
        assert pk.extent(back) == pytest.approx(pk.extent(region), abs=1.6), name  # half a slice at the ends
    np.testing.assert_array_equal(_back(tmp_path / "seg.dcm").cropped, mask.cropped)  # which holds no empty slices


def _back(path: Path) -> Any:
    return read_segments(path, frame="RAS" if path.suffix == ".stl" else None)[0].shape


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    given = segments_on(GRIDS["ras"], 1, overlap=True)
    for name in ("x.nii.gz", "x.mha"):
        with pytest.raises(MaskError, match="share voxels, which a label file cannot hold"):
            write_segments(tmp_path / name, given)
    with pytest.raises(FileError, match="has an unknown format"):
        write_segments(tmp_path / "x.tiff", given)
    with pytest.raises(MaskError, match="a mesh file holds one structure"):
        write_segments(tmp_path / "x.stl", given, Wish(frame="RAS"))
    with pytest.raises(FileError, match="RAS or LPS"):
        write_segments(tmp_path / "x.stl", given[:1])
    box = trimesh.creation.box([9, 9, 9])
    box.faces = box.faces[:-1]
    box.export(tmp_path / "open.stl")
    with pytest.raises(MaskError, match="its surface is open"):
        read_segments(tmp_path / "open.stl", frame="RAS")
    assert [file.name for file in tmp_path.iterdir()] == ["open.stl"]


@pytest.mark.parametrize("ending", [".seg.nrrd", ".mha", ".stl"])
def test_damaged_files_are_told(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{ending}"
    write_segments(path, segments_on(GRIDS["oblique"], 2, overlap=False)[:1], Wish(frame="RAS"))
    content = path.read_bytes()
    rng = np.random.default_rng(5)
    for turn in range(60):
        damaged = bytearray(content)
        if turn % 3 == 0:
            damaged = damaged[: int(rng.integers(1, len(content)))]
        else:
            for at in rng.integers(0, min(len(content), 700), 6):
                damaged[at] = int(rng.integers(0, 256))
        path.write_bytes(bytes(damaged))
        told = path.name
        try:
            read_segments(path, frame="RAS")
        except pk.PtvkitError as error:
            told = str(error)
        assert path.name in told
        assert "\n" not in told


HEADERS = {
    "sizes no array has": (".seg.nrrd", rb"sizes: \d+", b"sizes: 1e99", "is damaged"),
    "sizes that promise gigabytes": (".seg.nrrd", rb"sizes: \d+", b"sizes: 900000000", "is damaged"),
    "origin that is no number": (".seg.nrrd", rb"space origin: \([^,]*", b"space origin: (nan", "must be a finite"),
    "label beyond its type": (".seg.nrrd", rb"LabelValue:=\d+", b"LabelValue:=nan", "is damaged"),
    "voxels elsewhere": (".seg.nrrd", rb"encoding: gzip", b"encoding: gzip\ndata file: /etc/passwd", "in another file"),
    "matrix that is searched for ever": (".mha", rb"(TransformMatrix = \S+ \S+ \S+) \S+", rb"\1 1e308", "holds 1e+308"),
    "a million axes": (".mha", rb"NDims = 3", b"NDims = 999999", "needs three axes"),
    "other file": (".mha", rb"ElementDataFile = LOCAL", b"ElementDataFile = /etc/passwd", "in another file"),
    "compressed size": (".mha", rb"CompressedDataSize = \d+", b"CompressedDataSize = 0", "unlike its header"),
    "damaged voxels": (".mha", rb"(?<=LOCAL\n.)[^\0](?=.{9})", b"\xff", "is damaged"),
    "end of voxels": (".mha", rb".{4}\Z", b"abcd", "is damaged"),
    "no header": (".mha", rb"ElementDataFile", b"ElementDataFill", "header does not end"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_headers_that_lie(case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ending, old, new, says = HEADERS[case]
    path = tmp_path / f"x{ending}"
    write_segments(path, segments_on(GRIDS["oblique"], 2, overlap=False)[:1])
    content, count = re.subn(old, new, path.read_bytes(), count=1, flags=re.DOTALL)
    assert count == 1
    path.write_bytes(content)
    with pytest.raises(pk.PtvkitError, match=re.escape(says)) as raised:
        read_segments(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)
    assert capfd.readouterr().err == ""  # a library in C++ has words of its own


def test_convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = pk.Grid(shape=(24, 20, 12), affine=np.diag([-1.5, -1.5, 3.0, 1.0]) @ shift())
    series = write_series(tmp_path / "ct", grid)
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    array = np.linalg.norm((index - [11, 9, 5]) * [1.5, 1.5, 3], axis=-1) < 10
    pk.write_mask(pk.Mask.from_array(array, grid.affine), tmp_path / "gtv.nii.gz")
    steps = ["gtv.nii.gz", "rs.dcm", "gtv.seg.nrrd", "gtv.mha", "seg.dcm", "back.nii.gz"]
    for before, after in itertools.pairwise(steps):
        words = ["convert", str(tmp_path / before), str(tmp_path / after)]
        words += ["--reference", str(series)] if after.endswith(".dcm") or before.endswith(".dcm") else []
        words += ["--as", "seg"] if after == "seg.dcm" else []
        assert main(words) == 0, capsys.readouterr().err
        record = json.loads((tmp_path / f"{after}.json").read_text())
        assert "Secret" not in json.dumps(record)
    np.testing.assert_array_equal(pk.read_mask(tmp_path / "back.nii.gz").array, array)
    assert "Secret" not in capsys.readouterr().out
    targets = ["targets", str(tmp_path / "rs.dcm"), "--ctv", "3", "--ptv", "2", "-o", str(tmp_path / "out")]
    assert main(targets) == 2
    assert "contours have no voxels to write on; give targets.grid" in capsys.readouterr().err
    assert main([*targets, "--grid", str(series), "--pad"]) == 0
    assert (
        main(["targets", f"{tmp_path / 'gtv.seg.nrrd'}", "--ctv", "3", "--ptv", "2", "-o", str(tmp_path / "o2")]) == 0
    )
    a, b = (json.loads((tmp_path / name / "targets.json").read_text())["volume_cc"] for name in ("out", "o2"))
    # contours end flat, half a slice beyond the last; from voxels the ball's poles are rounded
    assert 1 < a["ptv"]["region"] / b["ptv"]["region"] < 1.03


def shift() -> NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3, 3] = [-8.0, 11.0, 4.0]
    return affine


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["none.nii.gz", "x.nrrd"], "no such file"),
        (["a.nii.gz", "a.nii.gz"], "would overwrite the input"),
        (["a.nii.gz", "x.dcm"], "a structure set belongs to an image"),
        (["a.nii.gz", "x.nrrd", "--structure", "b"], "has no structure 'b'"),
        (["a.nii.gz", "x.nrrd", "--frame", "XYZ"], "use RAS or LPS"),
        (["a.nii.gz", "x.dcm", "--as", "pdf"], "use rtstruct or seg"),
    ],
)
def test_convert_refuses(words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    array = np.zeros((7, 9, 11), bool)
    array[2:4, 3:6, 5] = True
    pk.write_mask(pk.Mask.from_array(array, affine_of(Rotation.identity().as_matrix())), tmp_path / "a.nii.gz")
    assert main(["convert", *(str(tmp_path / word) if "." in word else word for word in words)]) == 2
    told = capsys.readouterr().err
    assert says in told
    assert told.count("\n") == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.nii.gz"]
