"""Charts: bars that add up, curves that are the data, letters and axes in their order."""

import numpy as np
import pytest
from matplotlib.patches import Rectangle

import ptvkit as pk
from ptvkit import phantom
from ptvkit.motion.course import sample_course
from ptvkit.report.coverage_charts import budget_figure, course_figure, miss_figure
from ptvkit.report.planes import Overlay, target_figure
from ptvkit.report.style import SIDES
from ptvkit.report.trace_chart import trace_figure
from tests.motion.bodies import ball

COURSE = pk.Course(
    setup=[
        pk.SetupError(systematic_mm=(2, 2, 4)),
        pk.SetupError(name="delineation", systematic_mm=1, seen_by="nothing"),
    ],
    guidance=pk.ImageGuidance(match="bone", action_level_mm=4),
    breathing=pk.Breathing.lujan(amplitude_mm=(0, 3, 9), inhale=(0, 1, -1), reference="time_mean"),
    fractions=3,
)


@pytest.fixture(scope="module")
def result() -> pk.CoverageResult:
    ctv = pk.union(ball(6.0, (-20, 0, 0)), ball(9.0, (20, 3, 5)))
    return pk.simulate_coverage(ctv, pk.expand(ctv, pk.Margin.uniform(5)), COURSE, patients=150, seed=2, samples=10)


def test_miss_bars_hold_all_patients(result: pk.CoverageResult) -> None:
    figure = miss_figure(result)
    assert len(figure.axes) == 3
    for axis, target in zip(figure.axes, (result, *result.lesions), strict=True):
        bars = [patch for patch in axis.patches if isinstance(patch, Rectangle)]
        assert sum(bar.get_height() for bar in bars) == pytest.approx(1)
        first = next(bar for bar in bars if bar.get_x() < -0.1)
        assert first.get_height() == pytest.approx(target.contained().value)
        assert f"contained {target.contained().value:.0%}" in axis.get_title(loc="left")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["right", "left", "anterior", "posterior", "superior", "inferior"]
    assert len(set(SIDES.values())) == 6


def test_course_shows_the_displacements() -> None:
    drawn = sample_course(COURSE, patients=1, seed=1, samples=50)
    depth = np.linspace(-4, 3, 150).reshape(3, 50)
    figure = course_figure(drawn, depth, title="A patient")
    days, within, misses, reach = figure.axes
    assert "Fraction 3" in within.get_title(loc="left")
    for number, line in enumerate(within.get_lines()):
        np.testing.assert_allclose(line.get_ydata(), drawn.shifts_mm[0, 2, :, number])
    assert drawn.time_s is not None
    np.testing.assert_allclose(within.get_lines()[0].get_xdata(), drawn.time_s[0, 2])
    heights = [patch.get_height() for patch in misses.patches]
    np.testing.assert_allclose(heights, np.maximum(depth.max(axis=1), 0))
    np.testing.assert_allclose(reach.get_lines()[0].get_ydata(), depth[2])
    assert [text.get_text() for text in days.get_legend().get_texts()] == ["LR", "AP", "SI"]


def test_budget_bars_are_the_residuals() -> None:
    rows = pk.residual_errors(COURSE, patients=300)
    ctv = phantom.region("lesion_3")
    costs = pk.coverage_split(ctv, pk.expand(ctv, pk.Margin.uniform(5)), COURSE, patients=60, samples=5)
    figure = budget_figure(rows, costs)
    assert len(figure.axes) == 4
    for number, axis in enumerate(figure.axes[:3]):
        widths = [patch.get_width() for patch in axis.patches if patch.get_height() < 0.4]
        expected = [row.systematic_mm[number] for row in rows[::-1]] + [row.random_mm[number] for row in rows[::-1]]
        np.testing.assert_allclose(widths, expected)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == [row.name for row in rows][::-1]
    labels = [label.get_text() for label in figure.axes[3].get_yticklabels()]
    assert labels[0] == "all together"
    assert labels[-1] == "without set-up"
    assert len(budget_figure(rows).axes) == 3


def test_trace_figure_marks_breaths() -> None:
    time = np.arange(0, 60, 0.2)
    moved = np.outer(np.sin(np.pi * time / 4) ** 6, [1, 3, -10])
    trace = pk.Trajectory(time_s=time, displacement_mm=moved)
    found = pk.trace_statistics(trace)
    figure = trace_figure(trace, found, title="a.csv")
    left = figure.axes[::2]
    for number, axis in enumerate(left):
        np.testing.assert_allclose(axis.get_lines()[0].get_ydata(), moved[:, number])
        assert found.cycles is not None
        assert len(axis.get_lines()[2].get_xdata()) == len(found.cycles.high)
    still = pk.Trajectory(time_s=time, displacement_mm=np.zeros((len(time), 3)))
    assert len(trace_figure(still, pk.trace_statistics(still)).axes) == 6


def test_overlay_lies_where_its_grid_says() -> None:
    target = ball(10.0)
    shares = np.where(target.level < 0, 0.25, np.nan)
    shares[:, :, shares.shape[2] // 2 :] *= 3  # the upper half 0.75
    overlay = Overlay(values=shares, grid=target.grid, label="share", low=0.2)
    figure = target_figure(None, None, {"CTV": target}, overlay=overlay)
    coronal = figure.axes[1]
    image = coronal.get_images()[0]
    left, right, bottom, top = image.get_extent()
    values = np.ma.filled(image.get_array().astype(float), np.nan)
    up = np.linspace(bottom, top, values.shape[0])
    middle = values[:, values.shape[1] // 2]
    assert np.nanmax(middle[up < 6]) == 0.25
    assert np.nanmin(middle[up > 10]) == 0.75
    assert np.isnan(middle[up > 19.5]).all()
    assert right > left
    assert figure.axes[-1].get_title(loc="left") == "share"
