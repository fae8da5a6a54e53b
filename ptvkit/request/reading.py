"""TOML files, including those of the package."""

import os
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from ptvkit.errors import FileError
from ptvkit.io.columns import decoded
from ptvkit.io.files import open_input

BUILT_IN: Final = {
    "liver-protocol": "liver-protocol.toml",
    "liver-protocol-two-parts": "liver-protocol-two-parts.toml",
}
"""Built-in study files by name."""
MOST_BYTES: Final = 10_000_000


def read_toml(source: str | os.PathLike[str], built_in: Mapping[str, str] = BUILT_IN) -> dict[str, Any]:
    """Content of a TOML file, or of a built-in one by name.

    Raises
    ------
    FileError
        When it cannot be read or is not TOML.
    """
    if str(source) in built_in:
        return tomllib.loads(packaged(built_in[str(source)]).decode())
    path = Path(source)
    with open_input(path, f"a .toml file, or {' or '.join(built_in)}") as file:
        text = decoded(file.read(MOST_BYTES), path)
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:  # also a number of 5,000 digits
        raise FileError(f"{path}: is not TOML: {' '.join(str(error).split())}") from None


def packaged(name: str) -> bytes:
    """Bytes of a built-in TOML file."""
    return files("ptvkit.request").joinpath(name).read_bytes()
