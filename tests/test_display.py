"""Values in a notebook: one line, a table and a picture; names are text."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

import ptvkit as pk

EVIL = "<b onclick=x>$\\frac$ & 'gtv'"


def mask(name: str = "the mask") -> pk.Mask:
    array = np.zeros((30, 26, 14), bool)
    array[12:18, 9:17, 5:9] = True
    affine = np.diag([-1.5, 2.0, 3.0, 1.0])
    affine[:3, 3] = (40, -17, 9)
    return pk.Mask.from_array(array, affine, name=name)


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    gtv = mask(EVIL)
    targets = pk.make_targets(gtv, ctv=2, ptv=5, breathing="S=2")
    course = pk.Course(setup=[pk.SetupError(systematic_mm=3, random_mm=1)], fractions=3)
    result = pk.simulate_coverage(targets.ctv, targets.ptv, course, patients=50, seed=1)
    dose = pk.conformal_dose(targets.ptv, 20)
    time = np.arange(0, 40, 0.25)
    return {
        "mask": gtv,
        "grid": gtv.grid,
        "region": targets.gtv,
        "targets": targets,
        "lesion": targets.lesions[0],
        "coverage": result,
        "dose": dose,
        "dose result": pk.simulate_dose(dose, targets.ctv, course, patients=50, seed=1),
        "metrics": pk.dose_metrics(dose, targets.ctv),
        "trace": pk.Trajectory(time_s=time, displacement_mm=np.outer(np.sin(time), (1, 2, -8)), name=EVIL),
        "margin": pk.Margin(7, superior=12),
    }


def test_repr_is_one_short_line(values: dict[str, Any]) -> None:
    for value in values.values():
        assert "\n" not in repr(value)
        assert len(repr(value)) < 120
    assert len(repr(mask("/a/long/folder" * 30 + "/gtv.nii.gz"))) < 120
    assert "gtv.nii.gz', 1.728 cc, 30×26×14 of 1.5×2×3 mm, LAS)" in repr(mask("/a/long/folder" * 30 + "/gtv.nii.gz"))


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.said = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.said += data


def test_html_is_a_table_and_a_picture(values: dict[str, Any]) -> None:
    for name in set(values) - {"grid", "margin", "lesion"}:
        found = Tags()
        found.feed(values[name]._repr_html_())
        assert set(found.tags) <= {"div", "table", "thead", "tbody", "tr", "th", "td", "img"}
        assert found.tags.count("img") == 1
    said = Tags()
    said.feed(values["mask"]._repr_html_())
    assert EVIL in said.said


def test_plot_gives_a_figure_that_draws(values: dict[str, Any]) -> None:
    for name in ("mask", "targets", "trace", "dose"):
        figure = values[name].plot()
        assert figure._repr_png_().startswith(b"\x89PNG")
    image = (np.zeros(values["mask"].grid.shape), values["mask"].grid)
    assert len(values["targets"].plot(image=image, centre_mm=(20, 0, 30)).axes[0].images) == 1
    array = np.zeros((5, 6, 7), bool)
    empty = pk.Mask.from_array(array, np.eye(4), name="empty")
    assert "<img" not in empty._repr_html_()
    assert re.search("is empty|no structure", empty._repr_html_())
    with pytest.raises(pk.MaskError):
        empty.plot()


def test_a_mask_is_an_array() -> None:
    one = mask()
    found = np.asarray(one)
    assert found.dtype == bool
    assert found.shape == (30, 26, 14)
    assert np.shares_memory(found, one.array)
    assert found.sum() == 6 * 8 * 4
    assert np.array(mask(), dtype=np.uint8).max() == 1
    np.array(mask(), copy=True)[0, 0, 0] = True


def test_values_do_not_import_the_drawing_library() -> None:
    script = (
        "import sys, numpy as np, ptvkit as pk\n"
        "m = pk.Mask.from_array(np.ones((3, 4, 5), bool), np.eye(4)); repr(m)\n"
        "pk.make_targets\n"
        "sys.exit('matplotlib' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
