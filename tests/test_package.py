"""The package's front door: light to import, complete, and as the README says."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ptvkit
from ptvkit import errors, phantom
from ptvkit.io.nifti import read_mask, write_mask

ROOT = Path(__file__).resolve().parents[1]
STUB = ast.parse((ROOT / "ptvkit" / "__init__.pyi").read_text(encoding="utf-8"))
HEAVY = {"numba", "scipy", "nibabel", "skimage", "trimesh", "matplotlib", "numpy"}
DOORS = {
    "Margin",
    "Mask",
    "Region",
    "contract",
    "expand",
    "expand_along",
    "make_targets",
    "phantom",
    "read_mask",
    "write_mask",
}


def imported_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after running code."""
    script = f"{code}; import sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def block_after(comment: str, language: str) -> str:
    """The code block of the README that follows a comment."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"<!--\s*{comment}\s*-->\s*```{language}\n(.*?)```", text, re.S)
    assert found, f"README.md has no {language} block after <!-- {comment} -->"
    return found.group(1)


@pytest.mark.parametrize("code", ["import ptvkit", "from ptvkit.cli import main"])
def test_importing_is_light(code: str) -> None:
    modules = imported_by(code)
    assert "ptvkit" in modules
    assert not modules & HEAVY


def test_a_name_brings_what_it_needs_when_it_is_used() -> None:
    assert "numba" in imported_by("import ptvkit; ptvkit.expand")


def test_all_is_what_the_stub_imports_and_what_it_lists() -> None:
    imported = {
        alias.asname or alias.name for node in STUB.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    listed = next(ast.literal_eval(node.value) for node in STUB.body if isinstance(node, ast.Assign))
    assert listed == sorted(listed)
    assert set(listed) == imported == set(ptvkit.__all__)
    assert set(dir(ptvkit)) >= imported


def test_all_holds_the_doors_and_every_error() -> None:
    named = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert set(ptvkit.__all__) >= DOORS | named


@pytest.mark.parametrize("name", sorted(ptvkit.__all__))
def test_every_name_resolves_to_what_the_stub_says_and_is_documented(name: str) -> None:
    found = getattr(ptvkit, name)
    module = next(
        node.module
        for node in STUB.body
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}
    )
    home = importlib.import_module(f"ptvkit.{module}" if module else "ptvkit")
    assert found is getattr(home, name)
    assert found.__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="expnad"):
        ptvkit.expnad  # noqa: B018


def test_the_types_are_marked_as_shipped() -> None:
    assert (ROOT / "ptvkit" / "py.typed").is_file()


@pytest.mark.parametrize("comment", ["run", "test"])
def test_the_readmes_commands_are_one_line_each(comment: str) -> None:
    lines = [line for line in block_after(comment, "bash").splitlines() if line.strip()]
    assert len(lines) == 1
    assert lines[0].startswith("pip install ")


def test_the_readmes_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    grid = phantom.grid()
    write_mask(phantom.mask("lesion_2", grid), "gtv.nii.gz")
    write_mask(phantom.mask("liver", grid), "liver.nii.gz")
    exec(compile(block_after("example", "python"), "README.md", "exec"), {})
    ptv = read_mask("ptv.nii.gz")
    assert ptv.grid.matches(grid)
    assert ptv.volume_cc > 10 * read_mask("gtv.nii.gz").volume_cc
