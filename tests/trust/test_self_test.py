"""The self-test passes here, and fails where something is wrong: a test that cannot fail is worth nothing."""

import json
import math
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import integrate

from ptvkit.cli import main
from ptvkit.errors import FileError
from ptvkit.geometry.mask import Mask
from ptvkit.io.nifti import read_mask, write_mask
from ptvkit.report.self_test_page import self_test_page
from ptvkit.trust import self_test, solids
from ptvkit.trust.commissioning import Figure
from ptvkit.trust.formats import FORMATS, Journey, RoundTrip, run_formats
from ptvkit.trust.orientation import ARMS_MM, body, grids, reach
from ptvkit.trust.self_test import SelfTest, as_json


@pytest.fixture(scope="module")
def found() -> SelfTest:
    return self_test.run_self_test()


def test_all_passes(found: SelfTest) -> None:
    assert found.failures == ()
    assert found.passed
    assert {one.state for one in found.journeys} == {"passed"}
    assert {one.name.split()[0] for one in found.journeys} >= {
        "NIfTI",
        "NRRD",
        "MetaImage",
        "STL,",
        "DICOM",
        "RTSTRUCT",
    }
    assert [one.tried for one in found.journeys if one.name.startswith("NIfTI")] == [51] * 4
    assert len(found.figures) >= 60
    assert json.loads(json.dumps(as_json(found), allow_nan=False))["passed"] is True


def test_every_grid_is_another_and_holds_the_body() -> None:
    every = grids()
    assert len(every) == 51
    for grid in every.values():
        lengths = reach(body(grid))
        assert lengths == pytest.approx(ARMS_MM, abs=2.6)
        assert len({round(value) for value in lengths.values()}) == 6


def mirrored(mask: Mask, path: Path) -> None:
    write_mask(Mask.from_array(mask.array[::-1], mask.grid.affine), path)


def in_lps(mask: Mask, path: Path) -> None:
    write_mask(Mask.from_array(mask.array, np.diag([-1.0, -1, 1, 1]) @ mask.grid.affine), path)


def half_a_voxel_off(mask: Mask, path: Path) -> None:
    affine = np.array(mask.grid.affine)
    affine[:3, 3] += 0.5 * affine[:3, 0]
    write_mask(Mask.from_array(mask.array, affine), path)


def refused(path: Path) -> Mask:
    raise FileError(f"{path}: is refused")


@pytest.mark.parametrize("write", [mirrored, in_lps, half_a_voxel_off])
def test_a_wrong_format_is_found_out(write: Any) -> None:
    journey = run_formats({"wrong": RoundTrip(write=write, read=read_mask, ending=".nii")})[0]
    assert journey.state == "failed"
    assert journey.off_mm > 0.5
    assert any(found != letter for letter, found in journey.went.items())
    assert journey.reason.startswith("on a ")


def test_swapped_axes_are_named() -> None:
    def swapped(mask: Mask, path: Path) -> None:
        affine = np.diag([-1.0, 1, 1, 1]) @ mask.grid.affine
        affine[0, 3] += 2 * -31.0  # mirrored about the body's centre, as when left and right are taken for each other
        write_mask(Mask.from_array(mask.array, affine), path)

    journey = run_formats({"x": RoundTrip(write=swapped, read=read_mask, ending=".nii")})[0]
    assert (journey.went["R"], journey.went["L"], journey.went["A"]) == ("L", "R", "A")
    assert "R became L, L became R" in journey.reason


def test_refused_and_not_installed_are_not_passed() -> None:
    first, second, third = run_formats(
        {
            "refused": RoundTrip(write=write_mask, read=refused, ending=".nii"),
            "absent": RoundTrip(write=write_mask, read=refused, needs="no_such_module_anywhere"),
            "axial": replace(FORMATS["NIfTI .nii"], grids="axial"),
        }
    )
    assert (first.state, set(first.went.values())) == ("failed", {"?"})
    assert "is refused" in first.reason
    assert (second.state, second.tried, second.reason) == (
        "not installed",
        0,
        "no_such_module_anywhere is not installed",
    )
    assert (third.state, third.tried) == ("passed", 1)
    for kind, count in (("axis-aligned", 48), ("right-handed", 27), ("some", 6)):
        assert run_formats({"x": replace(FORMATS["NIfTI .nii"], grids=kind)})[0].tried == count


def test_closed_forms() -> None:
    # oracles 4.7
    assert solids.octant_box_mm3((40, 30, 20), (8, 11, 16)) == pytest.approx(67464.659861)
    assert solids.octant_box_mm3((40, 30, 20), (10, 10, 20)) == pytest.approx(75613.568166)
    cylinder = (math.pi * 225 * 40, 2 * math.pi * 15 * 55, math.pi * (40 + math.pi * 15))
    assert solids.steiner_mm3(*cylinder, 5) == pytest.approx(61558.766354)
    assert solids.ellipsoid_steiner((7, 7, 7)) == pytest.approx(
        (4 / 3 * math.pi * 343, 4 * math.pi * 49, 4 * math.pi * 7)
    )
    # a prolate spheroid's surface, 10 × 10 × 20
    e = math.sqrt(1 - 0.25)
    surface = 2 * math.pi * 100 * (1 + 2 / e * math.asin(e))
    assert solids.ellipsoid_steiner((10, 10, 20))[1] == pytest.approx(surface, rel=1e-9)
    width, _ = integrate.quad(lambda z: 2 * math.pi * math.sqrt(100 * (1 - z * z) + 400 * z * z), -1, 1)
    assert solids.ellipsoid_steiner((10, 10, 20))[2] == pytest.approx(width, rel=1e-9)


def failing_test() -> SelfTest:
    wrong = {letter: "?" if letter == "I" else letter for letter in ARMS_MM}
    journeys = (
        Journey(name="<b>&", state="failed", tried=3, went=wrong, off_mm=7, tolerance_mm=0.01, reason="I is <lost>"),
        Journey(
            name="absent",
            state="not installed",
            tried=0,
            went={},
            off_mm=0,
            tolerance_mm=1,
            reason="x is not installed",
        ),
    )
    figure = Figure(
        case="c", quantity="q", expected=1, found=math.nan, tolerance=0.1, unit="mm", source="s", because="b"
    )
    return SelfTest(
        journeys=journeys,
        figures=(figure, replace(figure, found=1.05)),
        seconds=1.0,
        created=datetime(2026, 1, 2, tzinfo=UTC),
        machine="m",
        versions={"ptvkit": "0"},
    )


def test_failures_are_said_and_change_the_status(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(self_test, "run_self_test", failing_test)
    assert main(["self-test", "-o", str(tmp_path / "out")]) == 3
    told = capsys.readouterr()
    assert "FAILED: 2" in told.out
    assert "self-test failed: <b>&: I is <lost>" in told.err
    content = json.loads((tmp_path / "out" / "self-test.json").read_text(encoding="utf-8"))
    assert content["passed"] is False
    assert content["commissioning"][0]["found"] is None
    page = (tmp_path / "out" / "self-test.html").read_text(encoding="utf-8")
    assert "FAILED: 2 of 1 formats and 2 figures." in page
    assert "&lt;b&gt;&amp;" in page
    assert "<b>" not in page
    (tmp_path / "file").write_text("")
    assert main(["self-test", "-o", str(tmp_path / "file")]) == 2


class Addresses(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "action")]


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_page_in_a_browser(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    found = self_test.run_self_test({"NIfTI .nii": FORMATS["NIfTI .nii"]})
    text = self_test_page(found)
    addresses = Addresses()
    addresses.feed(text)
    assert addresses.found == []
    page = tmp_path / "self-test.html"
    page.write_text(text, encoding="utf-8")
    papers = []
    with sync_playwright() as playwright:
        quiet = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=quiet)
        for width, scheme in ((1200, "light"), (390, "dark")):
            view = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
            asked: list[str] = []
            view.on("request", lambda request, asked=asked: asked.append(request.url))
            view.goto(page.as_uri())
            assert view.inner_text(".verdict").startswith("Passed: ")
            assert view.locator("tbody td.passed").count() == len(found.figures) + len(found.journeys)
            assert view.evaluate("document.documentElement.scrollWidth") <= width
            papers.append(view.evaluate("getComputedStyle(document.body).backgroundColor"))
            assert asked == [page.as_uri()]
        assert len(view.pdf(format="A4")) > 10_000
        browser.close()
    assert papers == ["rgb(255, 255, 255)", "rgb(16, 22, 28)"]
