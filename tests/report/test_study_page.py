"""A study's page: what it says, that it needs nothing else, and that it works in a browser."""

import base64
import gzip
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptvkit.report.study_answer import answer, chosen
from ptvkit.report.study_page import write_study_page
from ptvkit.work.results import read_rows
from ptvkit.work.study import Outcome, plan_study, run_study
from tests.report.test_targets_page import browser_page
from tests.work.test_study import ball

SWEPT = ["targets.ptv", "errors.set-up <b>&.systematic_mm"]
STUDY = """
[cases]
masks = "masks"
[targets]
ptv = 4
[[errors]]
name = "set-up <b>&"
systematic_mm = 2
[dose]
prescription_gy = 20
[simulation]
patients = 60
[sweep.parameters]
"targets.ptv" = [3, 9]
"errors.set-up <b>&.systematic_mm" = [1, 2]
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("page")
    ball(home / "masks" / "one.nii.gz", 6)
    ball(home / "masks" / "two.nii.gz", 8)
    (home / "masks" / "three.nii.gz").write_bytes(b"<script>no mask")
    (home / "study.toml").write_text(STUDY, encoding="utf-8")
    outcome = run_study(home / "study.toml", home / "out")
    return write_study_page(plan_study(home / "study.toml"), outcome, home / "out")


def answering(page: Path) -> dict[str, str]:
    """The first case's line of the cell that answers the study."""
    rows = read_rows(page.parent / "results.csv")
    found = chosen(rows, SWEPT)
    assert found is not None
    return next(row for row in rows if row["case"] == "one" and tuple(row[key] for key in SWEPT) == found.values)


class Tags(HTMLParser):
    """Tags and their addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action")]


def test_page_stands_alone_and_escapes_what_it_is_given(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = Tags()
    found.feed(text)
    assert all(address.startswith("data:") for address in found.addresses)
    assert found.tags.count("img") == 2
    assert found.tags.count("script") == 8
    assert "set-up &lt;b&gt;&amp;" in text
    assert "<b>" not in re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    scenes = re.search(r'id="scenes">(.*?)</script>', text, re.S)
    assert scenes is not None
    first = json.loads(scenes[1])[0]
    for structure, column in ((first["structures"][0], "gtv_cc"), (first["structures"][2], "ptv_cc")):
        level = np.frombuffer(gzip.decompress(base64.b64decode(structure["level"])), np.int8)
        # the viewer's targets are those of the cell that answers the study
        assert (level <= 0).sum() * first["step"] ** 3 / 1000 == pytest.approx(float(answering(page)[column]), rel=0.04)
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert data is not None
    content: dict[str, Any] = json.loads(data[1])
    assert len(content["rows"]) == 8
    assert content["cases"] == ["one", "two"]
    assert {"contained", "dmin_95", "ptv_cc"} <= {figure["key"] for figure in content["figures"]}
    assert "three" in text
    assert text.index("Cases that failed") < text.index("Request")
    assert "targets.ptv</th>" not in text
    assert "2, 2, 2" in text  # Σ of the error in words
    assert page.stat().st_size < 5_000_000
    assert "accumulated over the course" in text
    assert "static dose cloud" in text
    assert "IJROBP 2000;47:1121" in text


def test_answer_is_the_smallest_that_does_it_in_every_case() -> None:
    rows = [
        {"case": case, "lesion": "all", "m": m, "ptv_cc": cc, "contained": share}
        for case, m, cc, share in (
            ("a", 5, 100, 0.95),
            ("b", 5, 120, 0.80),
            ("a", 8, 150, 0.99),
            ("b", 8, 170, 0.92),
            ("a", 9, 190, 1.0),
            ("b", 9, 200, 1.0),
        )
    ]
    said = answer(chosen(rows, ["m"]), ["targets.ptv"])
    assert "in every case, supported by the lower end of the interval, has 160 cc on average" in said
    assert "PTV margin 8 mm (92%" in said
    assert "2 of 3 cells reach it" in said
    assert answer(chosen(rows[:2], ["m"]), ["m"]).startswith("No cell is shown to reach 90% of patients contained")
    assert answer(chosen([], []), []).startswith("No case could be simulated")


def test_answer_claims_only_what_its_interval_supports() -> None:
    shared = {"case": "a", "lesion": "all"}
    near = {"m": 3.0, "ptv_cc": 100, "dmin_95": 0.92, "dmin_95_low": 0.88, "dmin_95_high": 0.95, "contained": 0.175}
    sure = {"m": 5.0, "ptv_cc": 130, "dmin_95": 0.97, "dmin_95_low": 0.94, "dmin_95_high": 0.99, "contained": 0.6}
    said = answer(chosen([shared | near | {"miss90_mm": 4.2}], ["m"]), ["m"])
    assert said.startswith("No cell is shown to reach 90%")
    assert "92%, 95 % interval 88% to 95%" in said
    assert "18% of patients are contained at every instant and 9 in 10 patients miss by less than 4.2 mm" in said
    both = chosen([shared | near, shared | sure], ["m"])
    assert both is not None
    assert (both.values, both.supported) == ((5.0,), 1)
    assert "130 cc" in answer(both, ["m"])


def test_no_case_could_be_run(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "x.nii.gz").write_bytes(b"no")
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    outcome = run_study(tmp_path / "study.toml", tmp_path / "out")
    assert isinstance(outcome, Outcome)
    assert "No case could be simulated" in write_study_page(
        plan_study(tmp_path / "study.toml"), outcome, tmp_path / "out"
    ).read_text(encoding="utf-8")


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_click_opens_the_cell_or_shows_its_command(page: Path, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "x.nii.gz").write_bytes(b"no")
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    outcome = run_study(tmp_path / "study.toml", tmp_path / "out")
    failed = write_study_page(plan_study(tmp_path / "study.toml"), outcome, tmp_path / "out")
    told: list[str] = []
    with sync_playwright() as playwright:
        view = browser_page(playwright, page, told, 1280, "light")
        view.wait_for_selector("#chart .xtitle")
        assert view.text_content("#chart .xtitle") == "PTV margin, mm"
        view.select_option("#case", "one")
        data = json.loads(view.text_content("#data"))
        points = view.locator("#chart .point")
        said = set()
        for number in range(points.count()):
            view.evaluate("document.getElementById('chart').scrollIntoView({ block: 'center', behavior: 'instant' })")
            box = points.nth(number).bounding_box()
            view.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            view.wait_for_selector("#point:not([hidden])")
            said.add("command" if view.locator("#point code").count() else "opened")
        assert said == {"command", "opened"}
        assert data["chosen"]
        view.goto(failed.as_uri())
        assert "No case could be simulated" in view.inner_text("main")
        view.context.browser.close()
    assert told == []


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_page_in_a_browser(page: Path, width: int, scheme: str) -> None:
    from playwright.sync_api import sync_playwright

    told: list[str] = []
    asked: list[str] = []
    with sync_playwright() as playwright:
        quiet = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        quiet += ["--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=quiet)
        view = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        view.on("console", lambda message: told.append(message.text) if message.type in ("error", "warning") else None)
        view.on("pageerror", lambda error: told.append(str(error)))
        view.on("request", lambda request: asked.append(request.url))
        view.goto(page.as_uri())
        view.wait_for_selector("#chart .xtitle")
        assert "set-up <b>&: systematic error" in view.inner_text("#chart")
        assert "patients with Dmin" in view.inner_text("#chart")
        view.select_option("#figure", "ptv_cc")
        view.wait_for_function("document.querySelector('#chart .ytitle').textContent === 'PTV, cc'")
        view.select_option("#along", index=1)
        view.wait_for_function("document.querySelector('#chart .xtitle').textContent.includes('systematic error')")
        for name, words in (("population", "Dmin"), ("dvh", "median"), ("budget", "all together")):
            assert words in view.inner_text(f"#{name}")
        view.select_option("#closer", "1")
        for expected in (sorted, lambda values: sorted(values, reverse=True)):
            view.click("#table th[data-key=ptv_cc]")
            column = view.eval_on_selector_all("#table th", "heads => heads.findIndex(h => h.dataset.key === 'ptv_cc')")
            cells = view.locator(f"#table tbody tr td:nth-child({column + 1})").all_inner_texts()
            assert [float(cell) for cell in cells] == expected(float(cell) for cell in cells)
        assert view.evaluate("document.documentElement.scrollWidth") <= width
        view.wait_for_selector("#planes[data-shown='one']")
        assert view.locator("figure[data-plane=sagittal] .letter").all_inner_texts() == ["A", "P", "I", "S"]
        assert view.evaluate("getComputedStyle(document.querySelector('main')).backgroundColor") == "rgba(0, 0, 0, 0)"
        view.select_option("#viewed", "1")
        view.wait_for_selector("#planes[data-shown='two']")
        browser.close()
    assert told == []
    assert [address for address in asked if not address.startswith(("file:", "data:", "blob:"))] == []
