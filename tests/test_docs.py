"""The pages: links that lead somewhere, and every public name in the reference once."""

import re
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

import ptvkit as pk

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=[path.relative_to(ROOT).as_posix() for path in PAGES])
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s#]+)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), target


def test_the_reference_has_every_public_name_once() -> None:
    named = [line for page in ROOT.glob("docs/api/*.md") for line in re.findall(r"^::: (\S+)$", page.read_text(), re.M)]
    assert Counter(name.rpartition(".")[2] for name in named) == Counter(pk.__all__)
    for name in named:
        module, _, last = name.rpartition(".")
        assert getattr(import_module(module), last) is getattr(pk, last)


def test_every_example_and_page_is_listed() -> None:
    listed = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    assert all(path.name in listed for path in (ROOT / "examples").glob("*.py"))
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert all(path.relative_to(ROOT / "docs").as_posix() in nav for path in ROOT.glob("docs/**/*.md"))
