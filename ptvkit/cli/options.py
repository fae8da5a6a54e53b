"""How the words of a command line become values."""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

from ptvkit.errors import FileError, PtvkitWarning

if TYPE_CHECKING:
    from ptvkit.geometry.mask import Mask
    from ptvkit.geometry.region import Region
    from ptvkit.motion.simulate import Progress


class Structure(NamedTuple):
    """A structure in a file: ``gtv.nii.gz`` or, of several, ``seg.nii.gz:liver``, ``rs.dcm:GTV``, ``seg.nrrd:2``."""

    path: Path
    label: int | str | None

    @classmethod
    def parse(cls, text: str) -> "Structure":
        """Split FILE:LABEL; a path that is there as it is written stays whole."""
        head, colon, label = text.rpartition(":")
        if not colon or Path(text).exists() or not (head.lower().endswith(ENDINGS) or Path(head).is_dir()):
            return cls.at(Path(text), None)
        return cls.at(Path(head), as_label(label))

    @classmethod
    def at(cls, path: Path, label: int | str | None) -> "Structure":
        """A structure of a file; in a folder of masks, its file."""
        if not path.is_dir():
            return cls(path, label)
        from ptvkit.io.class_files import mask_file

        return cls(*mask_file(path, label))

    def read(self) -> "Mask | Region":
        """A mask where the file holds voxels, a region where it holds contours."""
        if self.path.name.lower().endswith(ENDINGS[:2]) or not self.path.exists():
            from ptvkit.io.nifti import read_mask

            return read_mask(self.path, label=self.label)
        from ptvkit.io.formats import read_structure

        return read_structure(self.path, self.label)


ENDINGS = (".nii", ".nii.gz", ".nrrd", ".mha", ".dcm")
"""Of files that a structure can be named in; the first two are NIfTI's."""


def as_label(text: str | None) -> int | str | None:
    """A label's number where the text is one, else its name."""
    return int(text) if text is not None and text.lstrip("-").isdecimal() else text


def files_of(path: Path) -> list[Path]:
    """A file, or those of a folder, such as a DICOM series."""
    return sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]


@contextmanager
def told_warnings() -> Iterator[list[str]]:
    """Print each warning as one line on stderr, and collect it."""
    seen: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", PtvkitWarning)
        usual = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if not issubclass(category, PtvkitWarning):
                usual(message, category, filename, lineno, file, line)
            elif str(message) not in seen:
                seen.append(str(message))
                print(f"ptvkit: warning: {message}", file=sys.stderr)

        warnings.showwarning = show
        yield seen


def output_folder(path: Path) -> Path:
    """The folder to write to; refused when it is a file."""
    if path.exists() and not path.is_dir():
        raise FileError(f"{path}: is a file; give a folder to write to")
    return path


def note(warned: list[str], text: str) -> None:
    """A remark that is no warning: said, and kept in the result."""
    warned.append(text)
    print(f"ptvkit: {text}", file=sys.stderr)


def print_rows(rows: Sequence[Sequence[str]], title: str, caption: str) -> None:
    """A table on stdout: headings first; the first column and those without a heading to the left."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", caption_justify="left")
    table.caption = caption
    headings, *lines = rows
    for column, heading in enumerate(headings):
        table.add_column(heading, justify="right" if column and heading else "left")
    for line in lines:
        table.add_row(*line)
    Console(width=None if sys.stdout.isatty() else 140, highlight=False).print(table)


@contextmanager
def progress_bar(what: str) -> "Iterator[Progress | None]":
    """A bar on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
