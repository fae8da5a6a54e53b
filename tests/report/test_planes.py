"""The picture: letters on the right edges, contours where the structures are, one scale."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ptvkit.errors import FileError, MaskError
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.region import Region
from ptvkit.io.colours import TARGETS
from ptvkit.report.planes import target_figure
from ptvkit.report.style import save_figure
from tests.conftest import AXES

ROOT = Path(__file__).parents[2]
CENTRE = np.array([12.0, -7.0, 21.0])
SEMI = np.array([14.0, 9.0, 19.0])


def ellipsoid(axes: NDArray[np.float64]) -> Region:
    """An ellipsoid off the centre, another length along each patient axis, on a grid along any axes."""
    affine = np.eye(4)
    affine[:3, :3] = axes * [1.0, 1.25, 1.5]
    affine[:3, 3] = CENTRE - affine[:3, :3] @ [32, 30, 26]
    grid = Grid(shape=(65, 61, 53), affine=affine)
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    level = (np.linalg.norm((points - CENTRE) / SEMI, axis=-1) - 1) * SEMI.min()
    return Region(level=level.astype(np.float32), grid=grid)


def at_edges(axis: Axes) -> dict[str, str]:
    """The letter at each edge of a plane."""
    found = {}
    for text in axis.texts:
        if text.get_text() in set("RLAPSI"):
            x, y = text.get_position()
            found["left" if x < 0.1 else "right" if x > 0.9 else "bottom" if y < 0.1 else "top"] = text.get_text()
    return found


def drawn(axis: Axes) -> NDArray[np.float64]:
    """Points of the coloured contour, in mm."""
    paths = [c for c in axis.collections if len(c.get_edgecolor()) and tuple(c.get_edgecolor()[0][:3]) != (0, 0, 0)]
    return np.vstack([path.vertices for c in paths for path in c.get_paths()])


@pytest.mark.parametrize("axes", sorted(AXES))
def test_planes_letters_and_contours(axes: str) -> None:
    region = ellipsoid(AXES[axes])
    figure = target_figure(np.zeros(region.grid.shape), region.grid, {"GTV": region})
    axial, coronal, sagittal = figure.axes
    assert at_edges(axial) == {"left": "R", "right": "L", "bottom": "P", "top": "A"}
    assert at_edges(coronal) == {"left": "R", "right": "L", "bottom": "I", "top": "S"}
    assert at_edges(sagittal) == {"left": "A", "right": "P", "bottom": "I", "top": "S"}
    for axis, (across, up) in zip(figure.axes, ((0, 1), (0, 2), (1, 2)), strict=True):
        points = drawn(axis)
        for column, patient in enumerate((across, up)):
            low, high = points[:, column].min(), points[:, column].max()
            # the surface is drawn on a 0.5 mm grid from nodes up to 1.5 mm apart
            assert (low, high) == pytest.approx(
                (CENTRE[patient] - SEMI[patient], CENTRE[patient] + SEMI[patient]), abs=0.3
            )
        assert axis.xaxis_inverted()  # towards the right of the picture lie L and P
        assert not axis.yaxis_inverted()
        assert axis.get_aspect() == 1


def test_image_and_contours_lie_on_one_another() -> None:
    """A bright block in the image is shown where its own mask is outlined, on flipped and permuted axes."""
    region = ellipsoid(AXES["permuted"])
    image = np.where(region.level < 0, 200.0, -150.0)
    axial = target_figure(image, region.grid, {"GTV": region}).axes[0]
    picture = axial.images[0]
    values = np.ma.filled(picture.get_array(), np.nan)
    left, right, bottom, top = picture.get_extent()
    rows, columns = np.nonzero(values > 25)
    across = left + columns / (values.shape[1] - 1) * (right - left)
    up = bottom + rows / (values.shape[0] - 1) * (top - bottom)
    assert (across.mean(), up.mean()) == pytest.approx(CENTRE[:2], abs=0.6)
    assert np.ptp(across) == pytest.approx(2 * SEMI[0], abs=2)
    assert np.ptp(up) == pytest.approx(2 * SEMI[1], abs=2)


def test_all_planes_have_one_scale_and_the_bar_is_5_cm() -> None:
    figure = target_figure(None, None, {"GTV": ellipsoid(AXES["ras"])})
    figure.canvas.draw()
    per_mm = []
    for axis in figure.axes:
        box = axis.get_window_extent()
        (x0, x1) = axis.get_xlim()
        per_mm.append(box.width / abs(x1 - x0))
        bar = max(axis.lines, key=lambda line: line.get_linewidth())
        assert np.ptp(bar.get_xdata()) == pytest.approx(50)
    assert per_mm == pytest.approx([per_mm[0]] * 3, rel=0.02)


def test_legend_names_each_structure_in_its_colour() -> None:
    region = ellipsoid(AXES["las"])
    figure = target_figure(None, None, {"GTV": region, "PTV": region}, title="A plan")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["GTV", "PTV"]
    assert [line.get_color() for line in legend.get_lines()] == [TARGETS["GTV"], TARGETS["PTV"]]


def test_nothing_to_draw() -> None:
    region = ellipsoid(AXES["ras"])
    empty = Region(level=np.abs(region.level) + 1, grid=region.grid)
    with pytest.raises(MaskError, match="no structure"):
        target_figure(None, None, {"GTV": empty})


def test_saved_whole(tmp_path: Path) -> None:
    figure = target_figure(None, None, {"GTV": ellipsoid(AXES["ras"])})
    save_figure(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(FileError, match="create it first"):
        save_figure(Figure(), tmp_path / "none" / "a.png")


def test_pyplot_and_its_windows_are_left_alone(tmp_path: Path) -> None:
    # in an interpreter of its own: another test, or a library it uses, may have imported pyplot
    script = f"""
import sys
from ptvkit.report.planes import target_figure
from ptvkit.report.style import save_figure
from tests.report.test_planes import AXES, ellipsoid

save_figure(target_figure(None, None, {{"GTV": ellipsoid(AXES["ras"])}}), {str(tmp_path / "a.png")!r})
sys.exit("matplotlib.pyplot" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
    assert (tmp_path / "a.png").exists()
