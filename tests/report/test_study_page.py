"""A study's page: what it says, that it needs nothing else, and that it works in a browser."""

import base64
import csv
import gzip
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from ptvkit.report.study_answer import answer, chosen
from ptvkit.report.study_page import write_study_page
from ptvkit.work.study import Outcome, plan_study, run_study
from tests.work.test_study import ball

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


def first_row(page: Path) -> dict[str, str]:
    with open(page.parent / "results.csv", encoding="utf-8") as file:
        return next(csv.DictReader(file))


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
    volumes = re.search(r'id="volumes">(.*?)</script>', text, re.S)
    assert volumes is not None
    first = json.loads(volumes[1])[0]
    labels = nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(first["targets"])))
    values = np.asarray(labels.dataobj)
    cc = [(values >= value).sum() * np.prod(labels.header.get_zooms()) / 1000 for value in (1, 3)]
    assert cc == pytest.approx([float(first_row(page)["ptv_cc"]), float(first_row(page)["gtv_cc"])], rel=0.03)
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert data is not None
    content: dict[str, Any] = json.loads(data[1])
    assert len(content["rows"]) == 8
    assert content["cases"] == ["one", "two"]
    assert {"contained", "dmin_95", "ptv_cc"} <= {figure["key"] for figure in content["figures"]}
    assert "three" in text
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
    said = answer(chosen(rows, ["m"]), ["m"])
    assert said.startswith(
        "The smallest PTV with at least 90% of patients never out in every case has 160 cc on average"
    )
    assert "m = 8 (92%). 2 of 3 cells reach it" in said
    assert answer(chosen(rows[:2], ["m"]), ["m"]).startswith(
        "No cell reaches 90% of patients never out in every case; the best, m = 5"
    )
    assert answer(chosen([], []), []).startswith("No case could be run")


def test_no_case_could_be_run(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "x.nii.gz").write_bytes(b"no")
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    outcome = run_study(tmp_path / "study.toml", tmp_path / "out")
    assert isinstance(outcome, Outcome)
    assert "No case could be run" in write_study_page(
        plan_study(tmp_path / "study.toml"), outcome, tmp_path / "out"
    ).read_text(encoding="utf-8")


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
        assert "patients with Dmin" in view.inner_text("#chart")
        view.select_option("#figure", "ptv_cc")
        view.wait_for_function("document.querySelector('#chart .ytitle').textContent === 'PTV, cc'")
        view.select_option("#along", index=1)
        view.wait_for_function("document.querySelector('#chart .xtitle').textContent.includes('systematic_mm')")
        for name, words in (("population", "Dmin"), ("dvh", "median"), ("budget", "all together")):
            assert words in view.inner_text(f"#{name}")
        view.select_option("#closer", "1")
        for expected in (sorted, lambda values: sorted(values, reverse=True)):
            view.click("#table th:has-text('ptv_cc')")
            column = view.eval_on_selector_all("#table th", "heads => heads.findIndex(h => h.textContent === 'ptv_cc')")
            cells = view.locator(f"#table tbody tr td:nth-child({column + 1})").all_inner_texts()
            assert [float(cell) for cell in cells] == expected(float(cell) for cell in cells)
        assert view.evaluate("document.documentElement.scrollWidth") <= width
        view.wait_for_selector("#slices[data-shown='one']")
        assert view.locator("#slices").bounding_box()["height"] > 300  # type: ignore[index]
        assert view.evaluate("getComputedStyle(document.querySelector('main')).backgroundColor") == "rgba(0, 0, 0, 0)"
        view.select_option("#viewed", "1")
        view.wait_for_selector("#slices[data-shown='two']")
        browser.close()
    assert told == []
    assert [address for address in asked if not address.startswith(("file:", "data:", "blob:"))] == []
