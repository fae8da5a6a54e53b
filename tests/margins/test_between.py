"""The margin that an existing pair of CTV and PTV holds, against analytic bodies."""

import json
from pathlib import Path

import numpy as np
import pytest

import ptvkit as pk
from ptvkit.cli import main


def body(semi_axes: tuple[float, float, float], centre: tuple[float, float, float] = (0, 0, 0)) -> pk.Region:
    """An ellipsoid on an anisotropic grid, off its centre."""
    affine = np.array([[-1.0, 0, 0, 33.2], [0, -1.2, 0, 36.1], [0, 0, 1.5, -38.7], [0, 0, 0, 1]])
    grid = pk.Grid(shape=(67, 61, 53), affine=affine)
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)) - centre
    level = (np.linalg.norm(points / np.array(semi_axes), axis=-1) - 1) * min(semi_axes)
    return pk.Region(level=level, grid=grid)


def test_each_direction_and_the_thinnest_place() -> None:
    """A ball in a ball off its centre: towards u the room is r₂ − r₁ less the offset along u, and the slack across."""
    ctv, ptv = body((10, 10, 10)), body((22, 22, 22), (2, 0, -5))
    held = pk.margin_between(ctv, ptv)
    offset, slack = np.array([2.0, 0, -5]), 12.0
    for letter, unit in zip(
        "RLAPSI", [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)], strict=True
    ):
        along = float(np.dot(offset, unit))
        across = float(offset @ offset) - along**2
        assert held.letters[letter] == pytest.approx(np.sqrt(slack**2 - across) + along, abs=0.15)
    assert held.least_mm == pytest.approx(12 - np.sqrt(29), abs=0.1)
    assert held.least_at_mm == pytest.approx(10 * -offset / np.sqrt(29), abs=1.5)
    assert held.least_towards == "S"


def test_a_ptv_made_with_a_margin_holds_it() -> None:
    ctv = pk.phantom.region("lesion_3")
    wanted = pk.Margin("4,S=11,I=7")
    held = pk.margin_between(ctv, pk.expand(ctv, wanted))
    assert held.letters == pytest.approx(wanted.letters, abs=0.15)


def test_where_the_ptv_is_cut_or_left() -> None:
    ctv = body((12, 9, 10))
    ptv = pk.expand(ctv, 6)
    affine = ptv.grid.affine
    points = ptv.grid.to_mm(np.moveaxis(np.indices(ptv.grid.shape), 0, -1))
    skin = pk.Region(level=points[..., 1] - 11.0, grid=pk.Grid(shape=ptv.grid.shape, affine=affine))
    held = pk.margin_between(ctv, pk.intersection(ptv, skin))
    assert held.letters["A"] == pytest.approx(2, abs=0.15)
    assert held.letters["P"] == pytest.approx(6, abs=0.15)
    assert (held.least_mm, held.least_towards) == (pytest.approx(2, abs=0.1), "A")
    outside = pk.margin_between(ptv, ctv)
    assert set(outside.letters.values()) == {0.0}
    assert outside.least_mm == pytest.approx(-6, abs=0.15)


def test_measure_and_simulate_say_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ctv, ptv = tmp_path / "ctv.nii.gz", tmp_path / "ptv.nii.gz"
    own = body((10, 8, 9))
    grid = pk.Grid(
        shape=(60, 60, 40), affine=np.array([[-1.0, 0, 0, 30], [0, -1, 0, 30], [0, 0, 2, -40], [0, 0, 0, 1]])
    )
    pk.write_mask(own.to_mask(grid), ctv)
    pk.write_mask(pk.expand(own, 5).to_mask(grid), ptv)
    assert main(["measure", str(ctv), str(ptv), "--json"]) == 0
    held = json.loads(capsys.readouterr().out)
    # each surface is known to a third of a voxel, or of a 2 mm slice
    assert held["margin_mm"] == pytest.approx(dict.fromkeys("RLAPSI", 5), abs=1.0)
    assert all(held["margin_mm"][letter] == pytest.approx(5, abs=0.4) for letter in "RLAP")
    words = ["simulate", "--ctv", str(ctv), "--ptv", str(ptv), "--error", "a:1/1", "--patients", "20", "--no-pictures"]
    assert main([*words, "--no-maps", "-o", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["held_margin"]["least_mm"] == pytest.approx(held["least_mm"])
    assert main(["measure", str(ctv), str(ptv), "--patient", "P1"]) == 2
    assert main(["measure", str(ctv), str(tmp_path / "none.nii.gz")]) == 2
