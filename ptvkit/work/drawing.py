"""The pictures and pages that a request writes beside its figures."""

from importlib import import_module
from typing import Any


def drawing(module: str) -> Any:
    """A module of `ptvkit.report`, which stands above and is loaded by name when something is drawn."""
    return import_module(f"ptvkit.report.{module}")
