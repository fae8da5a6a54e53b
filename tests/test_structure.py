"""Numbers that keep the code readable: short functions, few parameters, no file that does everything."""

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np

PACKAGE = Path(__file__).parents[1] / "ptvkit"
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> Iterator[tuple[str, Function]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, Function):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}", node


def body_lines(node: Function) -> int:
    first = node.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    statements = node.body[1:] if is_docstring else node.body
    return 0 if not statements else (statements[-1].end_lineno or 0) - statements[0].lineno + 1


def test_functions_are_short() -> None:
    lengths = np.array([body_lines(node) for _, node in functions()])
    assert np.median(lengths) <= 6
    assert np.quantile(lengths, 0.99) <= 40


def test_functions_take_few_parameters() -> None:
    counts = {where: len(node.args.args) + len(node.args.kwonlyargs) for where, node in functions()}
    most = {where: 15 if where.startswith("cli/") else 14 for where in counts}
    assert {where: n for where, n in counts.items() if n > most[where]} == {}


def test_files_are_short() -> None:
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {path: n for path, n in lengths.items() if n > 430} == {}
