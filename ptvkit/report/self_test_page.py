"""A self-test as one page to print and file: no network, no other files."""

from importlib.resources import files
from itertools import groupby
from pathlib import Path

import jinja2

from ptvkit.io.files import write_whole
from ptvkit.trust.orientation import ARMS_MM
from ptvkit.trust.self_test import NOTE, SelfTest


def write_self_test_page(result: SelfTest, path: Path) -> None:
    """Write the page, whole or not at all.

    Raises
    ------
    FileError
        When it cannot be written.
    """
    with write_whole(path) as file:
        file.write(self_test_page(result).encode())


def self_test_page(result: SelfTest) -> str:
    """The page as HTML."""
    home = files("ptvkit.report").joinpath("page")
    page = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
        home.joinpath("self_test.html.j2").read_text(encoding="utf-8")
    )
    left_out = [one.name for one in result.journeys if one.state == "not installed"]
    facts = [
        ("date", result.created.isoformat(sep=" ", timespec="seconds")),
        ("machine", result.machine),
        ("versions", ", ".join(f"{name} {release}" for name, release in result.versions.items())),
        ("took", f"{result.seconds:.1f} s"),
        ("not installed, not tested", ", ".join(left_out) or "none"),
    ]
    return page.render(
        found=result,
        verdict=verdict(result),
        note=NOTE,
        facts=facts,
        letters=list(ARMS_MM),
        cases=[(case, list(group)) for case, group in groupby(result.figures, key=lambda one: one.case)],
    )


def verdict(result: SelfTest) -> str:
    """The outcome in a line."""
    tried = [one for one in result.journeys if one.state != "not installed"]
    what = f"{len(tried)} formats and {len(result.figures)} figures"
    return f"Passed: {what}." if result.passed else f"FAILED: {len(result.failures)} of {what}."
