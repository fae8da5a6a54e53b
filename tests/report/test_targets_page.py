"""The page of targets: its own file, names as text, margins as they were reached, contours where the surfaces are."""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ptvkit as pk
from ptvkit.io.colours import TARGETS
from ptvkit.report.targets_page import write_targets_page
from tests.report.test_planes import AXES, CENTRE, SEMI, ellipsoid

EVIL = "<script>alert(1)</script> & co"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    gtv = ellipsoid(AXES["permuted"])
    limit = pk.expand(gtv, "20,S=1")
    targets = pk.make_targets(gtv, ctv=4, ptv=3, breathing="I=5", limit_ctv=limit)
    return write_targets_page(targets, tmp_path_factory.mktemp("page") / "targets.html", name=EVIL)


class Cells(HTMLParser):
    """The cells of all rows."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        self.addresses += [value or "" for key, value in attrs if key in ("src", "href")]

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


def test_page_tells_margins_and_escapes_names(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    cells = Cells()
    cells.feed(text)
    assert all(address.startswith("data:") for address in cells.addresses)
    assert EVIL not in text
    assert "&lt;script&gt;alert(1)" in text
    rows = {row[0]: row[1:] for row in cells.rows if row}
    assert rows["PTV requested, breathing included"] == ["3.0", "3.0", "3.0", "3.0", "3.0", "8.0"]
    reached = rows["CTV reached"]
    assert reached[4].endswith("▾")  # the limit leaves 1 mm of 4 superiorly
    assert float(reached[4].rstrip(" ▾")) == pytest.approx(1.0, abs=0.3)
    assert float(reached[0]) == pytest.approx(4.0, abs=0.15)
    assert "CTV cut by its limit" in rows
    assert "Signature" in text
    assert page.stat().st_size < 1_000_000


def browser_page(playwright: Any, path: Path, told: list[str], width: int, scheme: str) -> Any:
    quiet = [
        "--no-sandbox",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
        "--disable-background-networking",
    ]
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=quiet)
    view = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    view.on("console", lambda message: told.append(message.text) if message.type in ("error", "warning") else None)
    view.on("pageerror", lambda error: told.append(str(error)))
    view.on("request", lambda request: told.append(request.url) if request.url.startswith("http") else None)
    view.goto(path.as_uri())
    return view


def extremes(view: Any, plane: str, structure: str) -> tuple[float, float, float, float]:
    """Left, right, top and bottom of a contour in the drawing, mm."""
    drawn = view.get_attribute(f"figure[data-plane={plane}] path[data-structure={structure}]", "d")
    points = np.array(re.findall(r"[ML]([-\d.]+) ([-\d.]+)", drawn), float)
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return left, right, top, bottom


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_contours_in_a_browser_are_radiological(page: Path, width: int, scheme: str) -> None:
    """The PTV reaches 8 mm inferiorly, 4 superiorly: its side is read back, as are the ellipsoid's semi-axes."""
    from playwright.sync_api import sync_playwright

    told: list[str] = []
    with sync_playwright() as playwright:
        view = browser_page(playwright, page, told, width, scheme)
        view.wait_for_selector("#planes[data-shown]")
        for plane, (across, up) in {"axial": (0, 1), "coronal": (0, 2), "sagittal": (1, 2)}.items():
            left, right, top, bottom = extremes(view, plane, "GTV")
            assert (right - left) / 2 == pytest.approx(SEMI[across], abs=0.3)
            assert (bottom - top) / 2 == pytest.approx(SEMI[up], abs=0.3)
        left, right, top, bottom = extremes(view, "sagittal", "GTV")
        outer = extremes(view, "sagittal", "PTV")
        assert top - outer[2] == pytest.approx(1 + 3, abs=0.4)
        assert outer[3] - bottom == pytest.approx(4 + 8, abs=0.4)
        letters = view.locator("figure[data-plane=sagittal] .letter").all_inner_texts()
        assert letters == ["A", "P", "I", "S"]  # left, right, bottom, top
        assert view.inner_text("figure[data-plane=axial] output") == f"S {CENTRE[2]:.1f} mm"
        slider = view.locator("figure[data-plane=axial] input")
        slider.evaluate("one => { one.value = 33; one.dispatchEvent(new Event('input')); }")
        left, right, _, _ = extremes(view, "axial", "GTV")
        share = np.sqrt(1 - ((33 - CENTRE[2]) / SEMI[2]) ** 2)
        assert (right - left) / 2 == pytest.approx(SEMI[0] * share, abs=0.5)
        assert view.get_attribute("path[data-structure=CTV]", "stroke") == TARGETS["CTV"]
        assert view.evaluate("document.documentElement.scrollWidth") <= width
        view.context.browser.close()
    assert told == []


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_image_and_contours_in_a_browser_lie_on_one_another(tmp_path: Path) -> None:
    """A bright block to the right, anterior, superior of the target: in which corner of each plane it is shown."""
    from playwright.sync_api import sync_playwright

    region = ellipsoid(AXES["permuted"])
    points = region.grid.to_mm(np.moveaxis(np.indices(region.grid.shape), 0, -1)) - CENTRE
    image = np.where((points > 0).all(axis=-1), 240.0, -160.0)
    targets = pk.make_targets(region, ctv=1, ptv=2)
    path = write_targets_page(targets, tmp_path / "a.html", name="a", image=(image, region.grid))
    told: list[str] = []
    with sync_playwright() as playwright:
        view = browser_page(playwright, path, told, 1280, "light")
        view.wait_for_selector("#planes[data-shown]")
        for plane, expected in {"axial": "left top", "coronal": "left top", "sagittal": "left top"}.items():
            number = ["axial", "coronal", "sagittal"].index(plane)
            normal = (2, 1, 0)[number]
            slider = view.locator(f"figure[data-plane={plane}] input")
            slider.evaluate(f"one => {{ one.value = {CENTRE[normal] + 4}; one.dispatchEvent(new Event('input')); }}")
            grey = np.array(
                view.evaluate(
                    "name => { const c = document.querySelector(`figure[data-plane=${name}] canvas`); const d ="
                    " c.getContext('2d').getImageData(0, 0, c.width, c.height).data; return [...Array(c.height)].map("
                    "(_, y) => [...Array(c.width)].map((_, x) => d[4 * (y * c.width + x)])); }",
                    plane,
                )
            )
            rows, columns = np.nonzero(grey > 128)
            assert rows.size
            where = f"{'left' if columns.mean() < grey.shape[1] / 2 else 'right'}"
            where += f" {'top' if rows.mean() < grey.shape[0] / 2 else 'bottom'}"
            assert where == expected
        view.select_option(".keys select", label="bone")
        view.context.browser.close()
    assert told == []
