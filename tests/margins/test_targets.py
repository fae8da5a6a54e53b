"""GTV → CTV → PTV: what shapes which, and what is told."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ptvkit import (
    Grid,
    GridError,
    Margin,
    MarginError,
    Mask,
    MaskError,
    PtvkitWarning,
    Region,
    Targets,
    contract,
    expand,
    expand_along,
    extent,
    make_targets,
    region_from_mask,
)
from ptvkit.margins.barriers import stay_out
from ptvkit.margins.targets import unlike_asked
from ptvkit.margins.voxel import expand_voxels

AFFINE = np.array([[-1.0, 0, 0, 40.0], [0, -1.0, 0, 35.0], [0, 0, 2.5, -50.0], [0, 0, 0, 1.0]])
SHAPE = (84, 76, 44)
FIVE, TEN = Margin.uniform(5), Margin.uniform(10)


def ellipsoid(centre: tuple[float, float, float], semi: tuple[float, float, float], name: str) -> Mask:
    """Voxels of an ellipsoid around a voxel index, semi-axes in mm."""
    index = np.moveaxis(np.indices(SHAPE), 0, -1)
    inside = (((index - centre) * [1, 1, 2.5] / semi) ** 2).sum(axis=-1) <= 1
    return Mask.from_array(inside, AFFINE, name=name)


@pytest.fixture(scope="module")
def gtv() -> Mask:
    return ellipsoid((40.3, 36.8, 20.4), (11, 8, 13), "gtv")


@pytest.fixture(scope="module")
def liver() -> Mask:
    return ellipsoid((37, 36, 20), (19, 22, 34), "liver")


def array(region: object, like: Mask) -> NDArray[np.bool_]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PtvkitWarning)
        return region.to_mask(like.grid).array  # type: ignore[attr-defined, no-any-return]


def test_chain_and_what_it_reaches(gtv: Mask) -> None:
    targets = make_targets(gtv, ctv=FIVE, ptv=Margin.uniform(3), breathing=Margin(superior=4, inferior=9))
    assert isinstance(targets, Targets)
    np.testing.assert_array_equal(array(targets.gtv, gtv), gtv.array)
    # extremes are read off the edges of a grid of about 1 mm, and 1.25 mm along the slices
    assert targets.achieved["ctv"] == pytest.approx(FIVE.letters, abs=0.1)
    expected = {"R": 3, "L": 3, "A": 3, "P": 3, "S": 7, "I": 12}
    assert targets.achieved["ptv"] == pytest.approx(expected, abs=0.1)
    assert targets.cut_cc["breathing_lack"] > 0.5
    assert targets.warnings == ()


def test_no_voxels_in_between(gtv: Mask) -> None:
    """Three margins in a chain are one margin of their sum; through masks they would not be."""
    start = region_from_mask(gtv)
    chain = make_targets(gtv, ctv=Margin.uniform(3.3), ptv=Margin.uniform(3.3), breathing=Margin()).ptv
    # each margin places the surface to about h²/8r = .01 mm; over 30 cm² of surface .03 cc
    assert chain.volume_cc == pytest.approx(expand(start, Margin.uniform(6.6)).volume_cc, rel=0.005)


def test_breathing_as_a_sweep(gtv: Mask) -> None:
    breathing = Margin(superior=6, inferior=14)
    semi = make_targets(gtv, ctv=FIVE, ptv=FIVE, breathing=breathing)
    swept = make_targets(gtv, ctv=FIVE, ptv=FIVE, breathing=breathing, breathing_shape="sweep")
    assert swept.achieved["ptv"] == pytest.approx(semi.achieved["ptv"], abs=0.1)
    assert swept.ptv.volume_cc - semi.ptv.volume_cc == pytest.approx(semi.cut_cc["breathing_lack"], rel=1e-6)
    assert swept.ptv.sample(semi.ptv.surface_points()).max() < 0.2  # the sweep holds the other
    assert "breathing_lack" not in swept.cut_cc


def test_limit_and_clearance_shape_the_ctv_alone(gtv: Mask, liver: Mask) -> None:
    bone = ellipsoid((40, 17, 20), (8, 6, 42), "bone")
    targets = make_targets(gtv, ctv=TEN, ptv=FIVE, limit_ctv=liver, avoid=bone, avoid_clearance_mm=3)
    assert not (array(targets.ctv, gtv) & ~liver.array).any()
    near_bone = expand(bone, Margin.uniform(3)).array
    assert not (array(targets.ctv, gtv) & near_bone).any()
    assert targets.cut_cc["ctv_limit"] > 1
    assert targets.cut_cc["ctv_avoid"] > 0.1
    grown = expand(targets.ctv, FIVE)
    assert targets.ptv.volume_cc == pytest.approx(grown.volume_cc, rel=1e-5)
    assert (array(targets.ptv, gtv) & ~liver.array).any()
    assert min(targets.achieved["ctv"].values()) < 9  # and it is told


def test_ctv_always_holds_the_gtv(gtv: Mask) -> None:
    small = ellipsoid((36, 36, 20), (9, 9, 12), "small liver")
    with pytest.warns(PtvkitWarning, match="gtv: .* cc of the GTV lie beyond the CTV's limit"):
        targets = make_targets(gtv, ctv=FIVE, ptv=FIVE, limit_ctv=small)
    assert (array(targets.ctv, gtv) >= gtv.array).all()
    with pytest.warns(PtvkitWarning, match="kept"):
        targets = make_targets(gtv, ctv=FIVE, ptv=FIVE, avoid=[small])
    assert (array(targets.ctv, gtv) >= gtv.array).all()


def test_ptv_for_evaluation_lies_beside_the_ptv(gtv: Mask, liver: Mask) -> None:
    lung = ellipsoid((40, 36, 33), (30, 30, 14), "lung")
    whole = make_targets(gtv, ctv=FIVE, ptv=TEN)
    targets = make_targets(gtv, ctv=FIVE, ptv=TEN, eval_limit=liver, eval_depth_mm=4, eval_avoid=lung)
    assert targets.ptv.volume_cc == pytest.approx(whole.ptv.volume_cc)
    assert targets.ptv_eval is not None
    cropped = array(targets.ptv_eval, gtv)
    assert not (cropped & lung.array).any()
    assert (cropped <= contract(liver, Margin.uniform(3.9)).array).all()
    expected = array(whole.ptv, gtv) & contract(liver, Margin.uniform(4)).array & ~lung.array
    assert cropped.sum() == pytest.approx(expected.sum(), rel=0.01)
    with pytest.raises(MarginError, match="eval_limit"):
        make_targets(gtv, ctv=FIVE, ptv=TEN, eval_depth_mm=4)


def two_lesions(gap: int) -> Mask:
    found = np.zeros(SHAPE, bool)
    found[20:36, 30:42, 16:22] = True
    found[36 + gap : 44 + gap, 32:40, 18:21] = True
    return Mask.from_array(found, AFFINE, name="gtv")


def test_each_lesion_with_its_own_margin() -> None:
    mask = two_lesions(22)
    targets = make_targets(mask, ctv=[FIVE, Margin()], ptv=[FIVE, Margin(anterior=6)])
    first, second = targets.lesions
    assert first.gtv.volume_cc > second.gtv.volume_cc
    ptv = array(targets.ptv, mask)
    apart = np.zeros(SHAPE, bool)
    apart[50:] = True
    grown = expand(Mask.from_array(mask.array & apart, AFFINE), Margin(anterior=6)).array
    np.testing.assert_array_equal(ptv & apart, grown)
    assert targets.warnings == ()
    with pytest.raises(MarginError, match="ptv: 3 margins for 2 lesions"):
        make_targets(mask, ctv=FIVE, ptv=[FIVE] * 3)


def test_merging_ptvs_are_told() -> None:
    with pytest.warns(PtvkitWarning, match="gtv: the PTVs of lesions 1, 2 merge into one"):
        targets = make_targets(two_lesions(12), ctv=FIVE, ptv=FIVE)
    assert [lesion.merged_with for lesion in targets.lesions] == [(2,), (1,)]


def test_single_voxels_are_told() -> None:
    mask = two_lesions(22)
    found = mask.array.copy()
    found[5, 5, 5] = True
    with pytest.warns(PtvkitWarning, match="1 of its 3 parts are single voxels"):
        make_targets(Mask.from_array(found, AFFINE, name="gtv"), ctv=Margin(), ptv=Margin.uniform(2))


def test_target_at_the_image_edge_is_told() -> None:
    found = np.zeros(SHAPE, bool)
    found[30:40, 30:40, 38:] = True
    mask = Mask.from_array(found, AFFINE, name="gtv")
    with pytest.warns(PtvkitWarning, match=r"gtv: reaches the image's edge \(S\)"):
        targets = make_targets(mask, ctv=FIVE, ptv=FIVE)
    assert targets.cut_cc["ptv_outside_image"] > targets.cut_cc["ctv_outside_image"] > 1
    assert targets.achieved["ptv"]["S"] == pytest.approx(5, abs=0.1)  # the region itself is whole
    with pytest.warns(PtvkitWarning, match="PTV: .* fall outside the image"):
        targets.ptv.to_mask(mask.grid)


def test_regions_do_where_masks_do(gtv: Mask, liver: Mask) -> None:
    masks = make_targets(gtv, ctv=TEN, ptv=FIVE, limit_ctv=liver)
    regions = make_targets(region_from_mask(gtv), ctv=TEN, ptv=FIVE, limit_ctv=region_from_mask(liver))
    assert regions.ptv.volume_cc == pytest.approx(masks.ptv.volume_cc, rel=2e-3)


def test_what_cannot_be(gtv: Mask) -> None:
    moved = AFFINE.copy()
    moved[2, 3] += 1.0
    other = Mask.from_array(np.ones(SHAPE, bool), moved, name="liver.nii.gz")
    with pytest.raises(GridError, match=r"liver\.nii\.gz: its grid"):
        make_targets(gtv, ctv=FIVE, ptv=FIVE, limit_ctv=other)
    with pytest.raises(MaskError, match="is empty"):
        make_targets(Mask.from_array(np.zeros(SHAPE, bool), AFFINE), ctv=FIVE, ptv=FIVE)
    with pytest.raises(MarginError, match="breathing_shape"):
        make_targets(gtv, ctv=FIVE, ptv=FIVE, breathing_shape="box")  # type: ignore[arg-type]
    with pytest.raises(MarginError, match="method 'magic'"):
        expand(gtv, FIVE, method="magic")  # type: ignore[arg-type]
    with pytest.raises(MarginError, match="give it a Mask"):
        expand(region_from_mask(gtv), FIVE, method="voxel")
    for wrong in ((0, 0, 0), (1, 2), (np.nan, 0, 1)):
        with pytest.raises(MarginError, match="direction"):
            expand_along(gtv, wrong, forward_mm=5)


def test_very_large_margins_go_on_on_a_coarser_grid() -> None:
    found = np.zeros((9, 9, 9), bool)
    found[4, 4, 4] = True
    region = region_from_mask(Mask.from_array(found, np.diag([1.0, 1.0, 2.0, 1.0])))
    grown = expand(region, Margin.uniform(100))
    radius = (3 * region.volume_cc * 1000 / 4 / np.pi) ** (1 / 3)
    # nodes of 1 mm at the start and 2 mm at the end: .1 mm of a radius of 101 mm
    assert grown.volume_cc == pytest.approx(4 / 3 * np.pi * (radius + 100) ** 3 / 1000, rel=0.005)
    assert extent(grown)["S"] - extent(region)["S"] == pytest.approx(100, abs=0.3)


def test_each_lesion_tells_the_margins_that_it_reached() -> None:
    targets = make_targets(two_lesions(22), ctv=[FIVE, Margin()], ptv=[FIVE, Margin(anterior=6, superior=12)])
    first, second = (lesion.achieved for lesion in targets.lesions)
    assert first["ctv"] == pytest.approx(dict.fromkeys("RLAPSI", 5), abs=0.1)
    assert second["ctv"] == pytest.approx(dict.fromkeys("RLAPSI", 0), abs=0.1)
    assert second["ptv"] == pytest.approx(dict.fromkeys("RLPI", 0) | {"A": 6, "S": 12}, abs=0.1)
    assert targets.achieved["ptv"]["S"] != pytest.approx(12, abs=1)  # of both together it does not show


def test_a_margin_that_was_not_reached_is_told() -> None:
    lesions = make_targets(two_lesions(22), ctv=FIVE, ptv=FIVE).lesions
    assert unlike_asked("gtv", lesions, Margin(), limited=False) == ()
    short = (lesions[0], replace(lesions[1], ptv=lesions[1].ctv))
    told = unlike_asked("gtv", short, Margin(), limited=True)
    assert len(told) == 1
    assert told[0].startswith("gtv, lesion 2: the PTV margin reached differs")
    assert "S 0.0 for 5.0" in told[0]


def test_an_organ_within_a_long_clearance_is_kept_away_from() -> None:
    array = np.zeros((80, 60, 30), bool)
    array[60:, :, :] = True  # its face is at 59.5 mm
    organ = Mask.from_array(array, np.diag([1.0, 1.5, 2.0, 1.0]))
    start = np.zeros((80, 60, 30), bool)
    start[20:38, 20:40, 10:20] = True
    target = region_from_mask(Mask.from_array(start, organ.grid.affine))
    kept = stay_out(target, [organ], clearance_mm=30)
    assert extent(kept)["R"] == pytest.approx(29.5, abs=0.2)


def test_an_oblique_frame_has_its_own_directions() -> None:
    """A ball grown along a slanted axis reaches each margin beyond its radius along the frame's own axes."""
    grid = Grid(shape=(25, 25, 25), affine=[[1, 0, 0, -12], [0, 1, 0, -12], [0, 0, 1, -12], [0, 0, 0, 1]])
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    ball = Region(level=np.linalg.norm(points, axis=-1) - 8, grid=grid)
    along = np.array([2.0, -1.0, 0.5]) / np.linalg.norm([2.0, -1.0, 0.5])
    across = np.array([1.0, 2.0, 0.0]) / np.sqrt(5)
    grown = expand_along(ball, along, forward_mm=14, backward_mm=3, lateral_mm=6).surface_points()
    assert (grown @ along).max() == pytest.approx(22, abs=0.2)
    assert -(grown @ along).min() == pytest.approx(11, abs=0.2)
    assert (grown @ across).max() == pytest.approx(14, abs=0.2)


def test_voxel_rule_on_a_steep_grid_reaches_the_whole_body() -> None:
    turn = Rotation.from_euler("xyz", [35, 50, -25], degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn * [1.0, 1.5, 2.0]
    array = np.zeros((41, 31, 25), bool)
    array[20, 15, 12] = True
    margin = Margin(right=2, left=3, anterior=2, posterior=4, superior=15, inferior=9)
    away = (np.moveaxis(np.indices(array.shape), 0, -1) - [20, 15, 12]) @ affine[:3, :3].T
    plus, minus = np.array([2.0, 2, 15]), np.array([3.0, 4, 9])
    expected = ((away / np.where(away >= 0, plus, minus)) ** 2).sum(axis=-1) <= 1 + 1e-6
    np.testing.assert_array_equal(expand_voxels(Mask.from_array(array, affine), margin).array, expected)
