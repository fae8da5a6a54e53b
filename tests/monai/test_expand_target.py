"""`ExpandTarget` and `ExpandTargetd` against MONAI itself: ``pytest -m monai``, with ptvkit[monai] installed."""

import doctest
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

import ptvkit as pk
from ptvkit.errors import GridError, MarginError, MaskError, PtvkitWarning
from ptvkit.geometry.grid import Grid

MARGIN = pk.Margin(right=1, left=4, anterior=2, posterior=5, superior=3, inferior=9)
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def torch() -> Any:
    import torch

    return torch


@pytest.fixture(scope="module")
def monai() -> Any:
    import monai
    import monai.data
    import monai.transforms

    return monai


@pytest.fixture(scope="module")
def own() -> ModuleType:
    import ptvkit.monai.transforms

    return ptvkit.monai.transforms


@pytest.fixture
def array() -> NDArray[np.uint8]:
    """A structure without symmetry, off the centre."""
    array = np.zeros((23, 19, 17), np.uint8)
    array[8:12, 8:11, 7:10] = 1
    array[12, 8, 7] = 1
    return array


@pytest.fixture
def affine(any_grid: Grid) -> NDArray[np.float64]:
    return np.array(any_grid.affine)


@pytest.fixture
def ptv(array: NDArray[np.uint8], affine: NDArray[np.float64], tmp_path: Path) -> NDArray[np.bool_]:
    """The PTV by way of a file that nibabel wrote."""
    nib.save(nib.Nifti1Image(array, affine), tmp_path / "gtv.nii.gz")
    return pk.expand(pk.read_mask(tmp_path / "gtv.nii.gz"), MARGIN).array


def tensor(monai: Any, array: NDArray[Any], affine: NDArray[np.float64], **meta: Any) -> Any:
    return monai.data.MetaTensor(array, affine=affine, meta=meta or None)


@pytest.mark.monai
@pytest.mark.parametrize("kind", ["uint8", "bool", "float32", "float16", "bfloat16", "int64"])
def test_the_same_ptv_as_from_a_file(
    torch: Any, monai: Any, own: Any, array: Any, affine: Any, ptv: Any, kind: str
) -> None:
    image = tensor(monai, torch.as_tensor(array[None]).to(getattr(torch, kind)), affine, patient="x")
    image.push_applied_operation({"class": "Something"})
    before = image.clone()
    made = own.ExpandTarget(MARGIN)(image)
    assert type(made) is monai.data.MetaTensor
    assert made.dtype == image.dtype
    np.testing.assert_array_equal(made[0].float().numpy(), ptv)
    np.testing.assert_array_equal(made.affine.numpy(), affine)
    assert made.meta["patient"] == "x"
    assert [done["class"] for done in made.applied_operations] == ["Something"]
    assert bool((image == before).all())


@pytest.mark.monai
def test_a_tensor_in_lps_is_placed_as_one_in_ras(monai: Any, own: Any, array: Any, affine: Any, ptv: Any) -> None:
    made = own.ExpandTarget(MARGIN)(tensor(monai, array[None], LPS @ affine, space="LPS"))
    np.testing.assert_array_equal(made[0].numpy(), ptv)
    with pytest.raises(MaskError, match="space 'screen'"):
        own.ExpandTarget(MARGIN)(tensor(monai, array[None], affine, space="screen"))


@pytest.mark.monai
@pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader:UserWarning")  # MONAI, of a decoder that is not there
def test_in_a_pipeline_that_reads_and_turns_images(
    monai: Any, own: Any, array: Any, affine: Any, ptv: Any, tmp_path: Path
) -> None:
    """MONAI reads and turns the image; each PTV voxel is found again at its place in the patient."""
    t = monai.transforms
    steps = [t.LoadImaged("gtv"), t.EnsureChannelFirstd("gtv"), t.CopyItemsd("gtv", names="ptv")]
    turned = [t.Orientationd(["gtv", "ptv"], axcodes="ARI", labels=(("L", "R"), ("P", "A"), ("I", "S")))]
    region = pk.expand(pk.region_from_mask(pk.as_mask(array, affine)), MARGIN)
    for extra in ([], turned):
        made = t.Compose([*steps, *extra, own.ExpandTargetd("ptv", MARGIN)])({"gtv": str(tmp_path / "gtv.nii.gz")})
        found, wanted = placed(made["ptv"][0].numpy() > 0, made["ptv"].affine.numpy()), placed(ptv, affine)
        # which side of the surface a centre on it falls to, within a micrometre, may change as axes are turned
        assert all(abs(region.sample(point)) < 1e-3 for point in found ^ wanted)
        assert len(found ^ wanted) <= 2
        assert made["gtv"].sum() == 37


def placed(inside: NDArray[np.bool_], affine: NDArray[np.float64]) -> set[tuple[float, ...]]:
    """Centres of the voxels inside, mm, to a hundredth."""
    points = np.argwhere(inside) @ affine[:3, :3].T + affine[:3, 3]
    return {tuple(float(x) for x in point) for point in np.round(points + 0.0, 2) + 0.0}


@pytest.mark.monai
def test_one_hot_grows_one_channel_and_a_label_map_one_label(
    monai: Any, own: Any, array: Any, affine: Any, ptv: Any
) -> None:
    organ = np.zeros_like(array)
    organ[2:5, 2:5, 2:5] = 1
    onehot = tensor(monai, np.stack([organ, array]), affine)
    made = own.ExpandTarget(MARGIN, channel=1)(onehot)
    np.testing.assert_array_equal(made[0].numpy(), organ)
    np.testing.assert_array_equal(made[1].numpy(), ptv)
    np.testing.assert_array_equal(own.ExpandTarget(MARGIN, channel=-1)(onehot)[1].numpy(), ptv)
    labels = tensor(monai, (2 * organ + 5 * array)[None], affine)
    np.testing.assert_array_equal(own.ExpandTarget(MARGIN, label=5)(labels)[0].numpy(), ptv)
    both = own.ExpandTarget(0, label=[2, 5])(labels)
    np.testing.assert_array_equal(both[0].numpy(), organ | array)
    for wrong in ({}, {"channel": 2}, {"channel": -3}):
        with pytest.raises(MaskError, match="channel"):
            own.ExpandTarget(MARGIN, **wrong)(onehot)
    with pytest.raises(MaskError, match="several labels: 2, 5"):
        own.ExpandTarget(MARGIN)(labels)
    with pytest.raises(MarginError, match="not both"):
        own.ExpandTarget(MARGIN, label=1, channel=0)


@pytest.mark.monai
def test_margins_by_key_and_by_item(monai: Any, own: Any, array: Any, affine: Any) -> None:
    def sum_of(margin: Any) -> int:
        return int(pk.expand(pk.as_mask(array, affine), margin).array.sum())

    item = {"a": tensor(monai, array[None], affine), "b": tensor(monai, array[None], affine), "name": "x"}
    made = own.ExpandTargetd(["a", "b"], [2, "1,I=5"])(item)
    assert int(made["a"].sum()) == sum_of(pk.Margin.uniform(2))
    assert int(made["b"].sum()) == sum_of(pk.Margin.parse("1,I=5"))
    assert made["name"] == "x"
    grow = own.ExpandTargetd("a", 2, margin_key="margin")
    for own_margin, wanted in ((3, pk.Margin.uniform(3)), ("I=4", pk.Margin(inferior=4)), (MARGIN, MARGIN)):
        assert int(grow(item | {"margin": own_margin})["a"].sum()) == sum_of(wanted)
    assert int(grow(item)["a"].sum()) == sum_of(pk.Margin.uniform(2))  # an item without its own
    with pytest.raises(MarginError, match="1 margins for 2 keys"):
        own.ExpandTargetd(["a", "b"], [2])
    with pytest.raises(KeyError):
        own.ExpandTargetd("c", 2)(item)
    assert own.ExpandTargetd("c", 2, allow_missing_keys=True)(item).keys() == item.keys()
    with pytest.raises(MarginError):
        own.ExpandTargetd("a", -1)


@pytest.mark.monai
def test_tensors_and_arrays_without_a_place_need_one(torch: Any, own: Any, array: Any, affine: Any, ptv: Any) -> None:
    grow = own.ExpandTarget(MARGIN, affine=affine)
    np.testing.assert_array_equal(grow(torch.as_tensor(array[None]))[0].numpy(), ptv)
    made = grow(array[None])
    assert type(made) is np.ndarray
    np.testing.assert_array_equal(made[0], ptv)
    for image in (torch.as_tensor(array[None]), array[None]):
        with pytest.raises(MaskError, match="has no affine"):
            own.ExpandTarget(MARGIN)(image)
    for image in (array, array[None, None], [1], None):
        with pytest.raises(MaskError, match="needs \\(channel, I, J, K\\)"):
            grow(image)


@pytest.mark.monai
def test_an_empty_channel_is_refused_unless_allowed(monai: Any, own: Any, array: Any, affine: Any) -> None:
    empty = tensor(monai, 0.0 * array[None], affine)
    with pytest.raises(MaskError, match="is empty"):
        own.ExpandTarget(MARGIN)(empty)
    allowed = own.ExpandTarget(MARGIN, allow_empty=True)
    assert allowed(empty).sum() == 0
    assert allowed(tensor(monai, array[None], affine)).sum() > 37
    others = own.ExpandTarget(MARGIN, label=9, allow_empty=True)(tensor(monai, array[None], affine))
    assert others.sum() == 0
    almost = own.ExpandTarget(0, label=1, allow_empty=True)(tensor(monai, array[None] * 1.0000001, affine))
    assert almost.sum() == 37
    with pytest.raises(MaskError, match="holds NaN"):
        own.ExpandTarget(MARGIN, label=9, allow_empty=True)(tensor(monai, array[None] + np.nan, affine))


@pytest.mark.monai
def test_what_cannot_be_placed_or_grown(monai: Any, own: Any, array: Any) -> None:
    sheared = np.array([[1.0, 0.3, 0, 0], [0, 2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]])
    with pytest.raises(GridError, match="sheared"):
        own.ExpandTarget(2)(tensor(monai, array[None], sheared))
    with pytest.raises(MaskError, match=r"0\.4"):
        own.ExpandTarget(2)(tensor(monai, array[None] * 0.4, np.eye(4)))
    edge = np.zeros((1, 7, 9, 11), np.uint8)
    edge[0, 0, 8, 10] = 1
    with pytest.warns(PtvkitWarning, match="fall outside the image"):
        assert own.ExpandTarget(3)(tensor(monai, edge, np.eye(4))).sum() > 1


@pytest.mark.monai
def test_in_a_loader_and_between_processes(torch: Any, monai: Any, own: Any, array: Any, affine: Any, ptv: Any) -> None:
    from ptvkit.monai import ExpandTargetd

    assert ExpandTargetd is own.ExpandTargetd
    grow = pickle.loads(pickle.dumps(ExpandTargetd("gtv", MARGIN, margin_key="margin")))
    items = [{"gtv": tensor(monai, array[None], affine)} for _ in range(3)]
    loader = monai.data.DataLoader(monai.data.Dataset(items, grow), batch_size=3)
    (batch,) = list(loader)
    assert batch["gtv"].shape == (3, 1, *array.shape)
    np.testing.assert_array_equal(batch["gtv"][2, 0].numpy(), ptv)
    assert not isinstance(grow, monai.transforms.InvertibleTransform)
    assert isinstance(grow, monai.transforms.MapTransform)


@pytest.mark.monai
def test_the_documented_examples(own: ModuleType) -> None:
    found = doctest.testmod(own)
    assert (found.attempted > 8, found.failed) == (True, 0)


def test_without_monai_the_module_is_there_and_says_what_is_missing() -> None:
    code = (
        "import sys; sys.modules['monai'] = sys.modules['torch'] = None\n"
        "import ptvkit.monai; print(dir(ptvkit.monai))\n"
        "try:\n    from ptvkit.monai import ExpandTargetd\n"
        "except ptvkit.PtvkitError as error:\n    print(error)\n"
        "try:\n    ptvkit.monai.Other\n"
        "except AttributeError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "['ExpandTarget', 'ExpandTargetd']",
        'ExpandTargetd needs MONAI; install it with  pip install "ptvkit[monai]"',
        "module 'ptvkit.monai' has no attribute 'Other'",
    ]
