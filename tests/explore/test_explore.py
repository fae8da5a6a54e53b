"""The page with sliders: who may ask, what may be moved, and that its figures are those of the command line."""

import json
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptvkit import Mask, PtvkitError, Request, Session, write_mask
from ptvkit.cli import main
from ptvkit.explore import server
from ptvkit.explore.controls import adjustable, controls_of
from ptvkit.explore.desk import Desk
from ptvkit.motion.presets import preset_named

TOKEN = "a-token"


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Request:
    """An ellipsoid and an organ beside it, on an anisotropic grid off the centre."""
    home = tmp_path_factory.mktemp("explore")
    affine = np.diag([-1.5, 2.0, 2.5, 1.0])
    affine[:3, 3] = (40.0, -31.0, 7.5)
    points = np.moveaxis(np.indices((40, 30, 22)), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    for name, centre, semi in (("gtv", (8, -2, 30), (8, 7, 6)), ("liver", (8, 10, 30), (12, 12, 12))):
        inside = (((points - centre) / semi) ** 2).sum(axis=-1) < 1
        write_mask(Mask.from_array(inside, affine), home / f"{name}.nii.gz")
    return Request.load(
        {
            "cases": {"gtv": str(home / "gtv.nii.gz")},
            "targets": {"ctv": 2, "ptv": 4, "organ": str(home / "liver.nii.gz")},
            "errors": [
                {"name": "set-up", "systematic_mm": 1.5, "random_mm": 1},
                {"name": "delineation", "systematic_mm": 1, "seen_by": "nothing"},
            ],
            "guidance": {"match": "bone", "matching_sd_mm": 1},
            "dose": {"prescription_gy": 22.8},
            "simulation": {"fractions": 2, "seed": 3},
        }
    )


@pytest.fixture(autouse=True)
def few_patients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ptvkit.explore.desk.FIRST_PATIENTS", 100)
    monkeypatch.setattr("ptvkit.explore.desk.REFINED_PATIENTS", 500)


@pytest.fixture
def desk(ask: Request, tmp_path: Path) -> Iterator[Desk]:
    found = Desk(ask, tmp_path / "saved")
    yield found
    found.close()


@pytest.fixture
def port(ask: Request, tmp_path: Path) -> Iterator[int]:
    """A server in a thread, which ends when told that its page is closed."""
    own = server.listening(0)
    number = own.getsockname()[1]
    thread = threading.Thread(target=server.serve, args=(Desk(ask, tmp_path / "saved"), own, TOKEN))
    thread.start()
    yield number
    with suppress(ConnectionError):  # it has ended where a browser's page was closed
        for path in ("/here/last", "/closed/last"):
            fetched(number, path, method="POST", token=TOKEN)
    thread.join(240)  # what is being worked out is waited for, and a page that went without a word for 150 s
    assert not thread.is_alive()


def fetched(
    port: int, path: str, method: str = "GET", body: Any = None, token: str | None = None, **headers: str
) -> tuple[int, str, Any]:
    connection = HTTPConnection(server.ADDRESS, port, timeout=30)
    own = {"Content-Type": "application/json"} | ({} if token is None else {"X-Ptvkit-Token": token})
    own |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, None if body is None else json.dumps(body), own)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text, answer.headers


def test_nothing_is_given_without_token_host_and_origin(port: int, ask: Request) -> None:
    asked = {"path": "/set", "method": "POST", "body": {"targets.ptv.I": 9}}
    host = f"{server.ADDRESS}:{port}"
    for refused in (
        {},
        {"token": "another"},
        {"token": TOKEN, "Host": f"evil.example:{port}"},
        {"token": TOKEN, "Host": f"localhost.evil.example:{port}"},
        {"token": TOKEN, "Host": server.ADDRESS},
        {"token": TOKEN, "Origin": "http://evil.example"},
        {"token": TOKEN, "Origin": "null"},
        {"token": TOKEN, "Origin": f"http://{server.ADDRESS}:{port + 1}"},
        {"token": TOKEN, "Sec-Fetch-Site": "cross-site"},
    ):
        status, text, _ = fetched(port, **asked, **refused)
        assert (status, text) == (403, '{"error":"refused"}')
        assert fetched(port, "/", **refused)[0] == 403
    status, text, headers = fetched(port, f"/?token={TOKEN}")
    assert status == 200
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers
    assert str(Path(str(ask.tables.cases.gtv)).parent) not in text
    status, text, _ = fetched(port, **asked, token=TOKEN, Origin=f"http://{host}")
    assert status == 200
    assert {control["key"]: control["value"] for control in json.loads(text)["controls"]}["targets.ptv.I"] == 9
    assert [fetched(port, path, token=TOKEN)[0] for path in ("/docs", "/openapi.json", "/../etc/passwd")] == [404] * 3


def test_only_what_a_control_moves_can_be_set(port: int) -> None:
    for values, said in (
        ({"cases.gtv": "/etc/passwd"}, "cases.gtv"),
        ({"targets.organ": "/etc/passwd"}, "targets.organ"),
        ({"dose.file": "/etc/passwd"}, "dose.file"),
        ({"targets.ptv.I": [1]}, "targets.ptv.I"),
        ({"targets.ptv.I": -3}, "inferior: -3 mm"),
        ({"guidance.mode": "sideways"}, "guidance.mode"),
        ({"targets.ptv.I": 6, "output.page": False}, "output.page"),
    ):
        status, text, _ = fetched(port, "/set", "POST", values, TOKEN)
        assert (status, said in text) == (422, True)
    assert fetched(port, "/slice/axial/99999", token=TOKEN)[0] == 422
    assert fetched(port, "/slice/..%2f..%2fetc/1", token=TOKEN)[0] in (404, 422)
    content = json.loads(fetched(port, "/figures", token=TOKEN)[1])
    assert {control["key"]: control["value"] for control in content["controls"]}["targets.ptv.I"] == 4


def test_telemetry_is_off_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch, desk: Desk) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9/")
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "false")
    guard = server.application(desk, TOKEN, 1, server.Pages())
    import os

    assert os.environ["OTEL_SDK_DISABLED"] == "true"
    assert not {"OTEL_EXPORTER_OTLP_ENDPOINT", "FASTAPI_OTEL_AUTO_CONFIGURE"} & set(os.environ)
    app: Any = guard._app
    assert not app._telemetry["auto_configure"]
    assert not any(app._telemetry[name] for name in ("tracing", "metrics", "logs"))


def settled(desk: Desk) -> dict[str, Any]:
    content = desk.content()
    while content["state"] != "refined" and not content["error"]:
        content = desk.wait(content["version"], content["state"])
    return content


def test_first_figures_are_rough_and_refined_ones_follow(desk: Desk) -> None:
    before = settled(desk)
    first = desk.change({"targets.ptv.I": 6})
    assert (first["version"], first["state"]) == (before["version"] + 1, "first")
    assert first["figures"]["ptv_cc"] > before["figures"]["ptv_cc"]
    assert (first["figures"]["patients"], first["figures"]["is_estimate"]) == (100, True)
    last = settled(desk)
    assert (last["figures"]["patients"], last["figures"]["is_estimate"]) == (500, False)
    for share in ("contained", "reached"):
        assert last["figures"][share]["low"] < first["figures"][share]["high"]
        assert last["figures"][share]["high"] > first["figures"][share]["low"]


def test_guidance_that_is_switched_off_and_on_is_what_it_was(desk: Desk) -> None:
    before = desk.change({"guidance.action_level_mm": 3})
    without = desk.change({"guidance.match": "none"})
    assert "guidance.mode" not in {control["key"] for control in without["controls"]}
    assert desk.change({"guidance.match": "bone"})["controls"] == before["controls"]
    with pytest.raises(PtvkitError, match="no control"):
        desk.change({"guidance.nal_fractions": 2})


def test_save_writes_the_study_of_the_figures_and_the_targets(desk: Desk, tmp_path: Path) -> None:
    desk.change({"targets.ptv.I": 7.5, "errors.set-up.systematic_mm.SI": 2.2})
    saved = desk.save()
    assert saved["state"] == "refined"
    assert {"study.toml", "ctv.nii.gz", "ptv.nii.gz", "targets.html", "targets.json"} <= set(saved["files"])
    again = Session(Request.load(tmp_path / "saved" / "study.toml")).figures(saved["figures"]["patients"])
    assert again.as_dict() == saved["figures"]


def test_a_preset_is_spelled_out_and_moves_nothing() -> None:
    plain = Request.load("liver-protocol", {"cases.gtv": "phantom:lesion_3", "targets.ptv": 5})
    spelled = adjustable(plain)
    values = {control["key"]: control["value"] for control in controls_of(spelled)}
    known = preset_named("liver-free-median")
    assert [values[f"breathing.amplitude_mm.{axis}"] for axis in ("LR", "AP", "SI")] == list(known.amplitude_mm)
    assert values["errors.liver position.random_mm.SI"] == 3.6
    drawn = [Session(one)._values.of(one)["course"].breathing.wave for one in (plain, spelled)]
    for name in drawn[0].__dataclass_fields__:
        np.testing.assert_equal(getattr(drawn[0], name), getattr(drawn[1], name))


def test_pages_that_are_loaded_again_do_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(server, "monotonic", lambda: now[0])
    pages = server.Pages()
    assert not pages.are_gone()
    pages.is_here("a")
    pages.is_closed("a")
    now[0] += 1
    assert not pages.are_gone()
    pages.is_here("b")
    now[0] += 60
    assert not pages.are_gone()
    now[0] += server.QUIET_S
    assert not pages.are_gone()
    now[0] += server.GONE_S + 1
    assert pages.are_gone()


def test_refused_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = server.listening(0)
    try:
        for words in (["--port", "70000"], ["--port", str(taken.getsockname()[1])], ["missing.nii.gz"]):
            assert main(["explore", "--no-browser", "-o", str(tmp_path / "out"), *words]) == 2
            said = capsys.readouterr()
            assert words[-1] in said.err
            assert said.out == ""
    finally:
        taken.close()
    assert not (tmp_path / "out").exists()


@pytest.mark.browser
def test_a_bug_while_it_refines_ends_no_wait(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object, **__: object) -> None:
        raise ValueError("by design")

    monkeypatch.setattr(Session, "figures", bug)
    desk.change({"targets.ptv.I": 7})
    with pytest.raises(PtvkitError, match="nothing was saved: a bug in ptvkit: ValueError: by design"):
        desk.save()
    with pytest.raises(PtvkitError, match="no control of the page"):
        desk.change({"targets.ptv.I": True})


def test_save_writes_over_no_study_of_the_users(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "study.toml").write_text("# mine\n", encoding="utf-8")
    with pytest.raises(PtvkitError, match="is there already"):
        desk.save()
    assert [path.name for path in (tmp_path / "saved").iterdir()] == ["study.toml"]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_sliders_moved_at_random_give_what_the_saved_study_gives(port: int, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    rng, told, asked = np.random.default_rng(5), [], []
    address = f"http://{server.ADDRESS}:{port}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-background-networking"]
        )
        view = browser.new_page(viewport={"width": 390, "height": 800})
        view.on("console", lambda one: told.append(one.text) if one.type in ("error", "warning") else None)
        view.on("pageerror", lambda error: told.append(str(error)))
        view.on("request", lambda one: asked.append(one.url))
        view.goto(f"{address}/?token={TOKEN}")
        view.wait_for_selector("path[data-structure=PTV]")
        assert view.evaluate("document.documentElement.scrollWidth") == 390
        view.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        keys = view.eval_on_selector_all("input[type=range][data-key]", "all => all.map(one => one.dataset.key)")
        moved = [str(key) for key in rng.permutation([key for key in keys if "fractions" not in key])[:20]]
        before = view.inner_text("[data-figure=ptv] dd")
        for key in moved:
            slider = view.locator(f"input[type=range][data-key='{key}']")
            slider.focus()
            view.keyboard.press("ArrowLeft" if "targets" in key else "ArrowRight")
        view.wait_for_selector("#figures[data-state=refined][aria-busy=false]", timeout=60_000)
        assert view.inner_text("[data-figure=ptv] dd") != before
        shown = json.loads(view.get_attribute("#figures", "data-figures"))
        contained = view.inner_text("[data-figure=contained] dd")
        view.click("#save")
        view.wait_for_selector("#save[data-saved]", timeout=60_000)
        view.goto("about:blank")  # which closes the page
        view.wait_for_timeout(1000)  # it says so by a beacon
        browser.close()
    assert told == []
    assert all(url.startswith((f"{address}/", "data:")) for url in asked)
    study, out = tmp_path / "saved" / "study.toml", tmp_path / "simulated"
    assert main(["simulate", "--study", str(study), "-o", str(out), "--no-maps", "--no-pictures"]) == 0
    target = json.loads((out / "coverage.json").read_text())["target"]
    dose = json.loads((out / "dose.json").read_text())["target"]
    assert 0.01 < shown["contained"]["value"] < 0.9
    assert shown["contained"] == target["contained_within_mm"]["0"]
    assert shown["miss_mm"] == target["deepest_miss_mm"]
    assert shown["sides"] == target["side_of_deepest_miss"]
    assert shown["reached"] == dose["at_least_95_percent"]["dmin_gy"]
    assert re.match(rf"{100 * shown['contained']['value']:.1f} %", contained)
