"""The package's front door: light to import, complete, and as the README says."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
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


def readme_block(language: str, comment: str = "") -> str:
    """The first code block of the README in a language, or the one that follows a comment."""
    before = rf"<!--\s*{comment}\s*-->\s*" if comment else ""
    found = re.search(rf"{before}```{language}\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    assert found, f"README.md has no {language} block {comment}"
    return found[1]


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
def test_the_readmes_commands_are_one_line_each_that_installs_and_goes_on(comment: str) -> None:
    lines = [line for line in readme_block("bash", comment).splitlines() if line.strip()]
    assert len(lines) == 1
    assert re.match(r"(python -m )?pip install \S+ && ", lines[0])


def test_the_readmes_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    grid = phantom.grid()
    write_mask(phantom.mask("lesion_2", grid), "GTV.nii.gz")
    exec(compile(readme_block("python"), "README.md", "exec"), {})
    ptv = read_mask("ptv.nii.gz")
    assert ptv.grid.matches(grid)
    # a ball of 12 mm and 20 mm of margin, 12 mm more superiorly and 18 mm inferiorly: nearly two halves of ellipsoids
    lateral, superior, inferior = 32.0, 44.0, 50.0
    assert ptv.volume_cc == pytest.approx(2 / 3 * np.pi * lateral**2 * (superior + inferior) / 1000, rel=0.05)


def test_targets_loads_only_what_it_uses(tmp_path: Path) -> None:
    write_mask(phantom.mask("lesion_3", phantom.grid()), tmp_path / "gtv.nii.gz")
    command = ["targets", str(tmp_path / "gtv.nii.gz"), "--ctv", "5", "--ptv", "5", "-o", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-c", f"from ptvkit.cli import main; main({command}); import sys; print('\\n', *sys.modules)"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert {"ptvkit.report.targets_page", "numba", "nibabel"} <= loaded
    slow = {"interpolate", "ndimage", "optimize", "signal", "spatial", "stats"}
    slow_parts = {f"scipy.{name}" for name in slow}
    assert not loaded & (slow_parts | {"matplotlib", "networkx", "pandas", "skimage", "trimesh"})
