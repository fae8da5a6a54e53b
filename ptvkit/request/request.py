"""Requests: one value for study files, command lines and Python."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from ptvkit.errors import FileError
from ptvkit.io.naming import PHANTOM, StructureRef
from ptvkit.io.provenance import source_of
from ptvkit.margins.margin import Margin
from ptvkit.request.keys import replaced, set_keys, with_values
from ptvkit.request.messages import line_in, mistake
from ptvkit.request.named_files import map_files
from ptvkit.request.reading import BUILT_IN, read_toml
from ptvkit.request.schema import Names, Tables

CASE = "{case}"
"""Placeholder for the case name in file names."""
OPTIONS = "the request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """Command or function that executes requests, with the tables and keys that it reads.

    Attributes
    ----------
    name : str
        What messages call it.
    reads : tuple of str
        Tables and dotted keys.
    """

    name: str
    reads: tuple[str, ...]

    def reads_key(self, key: str) -> bool:
        """Whether a dotted key, or the table that it is in, is read."""
        return any(key == one or key.startswith(f"{one}.") for one in self.reads)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Request:
    """Request: cases, targets, errors, guidance, breathing, dose or parts, criteria, simulation, sweep, output.

    Make one with `Request.load`.

    Attributes
    ----------
    content : mapping
        The tables that are set, as TOML has them; names of files are absolute, or relative to the working folder.
    source : str
        The file that it came from, for messages.
    overrides : mapping
        Values that were put over the file's, by dotted key.
    labels : mapping
        What messages call an override, by dotted key: the option with its value.
    tables : Tables
        The same, checked, with defaults.
    """

    content: Mapping[str, Any]
    source: str = OPTIONS
    overrides: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    tables: Tables = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tables", _checked(self.content, self.source, self.labels))

    @classmethod
    def load(
        cls,
        source: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        overrides: Mapping[str, Any] | None = None,
        *,
        labels: Mapping[str, str] | None = None,
    ) -> Self:
        """Read a request.

        Parameters
        ----------
        source : path, str or mapping, optional
            A TOML file, the name of one that comes with the package, or the tables themselves. Names of files in a TOML
            file are relative to it.
        overrides : mapping, optional
            Values by dotted key, put over the file's: ``{"targets.ptv": 7, "errors.set-up.systematic_mm.SI": 3}``.
            None removes a key; ``"none"`` as the match of guidance, the preset of breathing or the file of a dose
            removes its table. Another breathing, or a dose from a file, leaves behind what described the one before.
        labels : mapping, optional
            What messages call an override, by dotted key.

        Raises
        ------
        FileError
            When the file cannot be read or is not TOML; when a key is not known, with the nearest one that is; when
            a value is not legal.
        MotionError
            When a key leads nowhere.

        Examples
        --------
        >>> ask = Request.load("liver-protocol", {"guidance.action_level_mm": 3, "targets.ptv": "7,S=12"})
        >>> ask.tables.guidance.action_level_mm, ask.tables.simulation.fractions, ask.tables.targets.ptv
        (3.0, 12, '7,S=12')
        """
        content: Mapping[str, Any]
        if source is None or isinstance(source, Mapping):
            name, content = OPTIONS, {key: plain_value(value) for key, value in (source or {}).items()}
        else:
            name, content = str(source), read_toml(source)
            if name not in BUILT_IN:
                content = map_files(content, _beside(Path(source)))
        changes = replaced(content, {key: plain_value(value) for key, value in (overrides or {}).items()}, name)
        return cls(
            content=with_values(content, changes, name),
            source=name,
            overrides=changes,
            labels={key: key for key in changes} | dict(labels or {}),
        )

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """Request with other values at dotted keys, such as those of a cell or a case."""
        return type(self)(
            content=with_values(self.content, values, self.source),
            source=self.source,
            overrides=self.overrides,
            labels=self.labels,
        )

    def for_case(self, name: str, values: Mapping[str, Any]) -> Self:
        """Request of one case: its own values, its name for ``{case}``, and its file for labels without a file.

        Examples
        --------
        >>> common = Request.load(None, {"targets.limit": ":liver", "cases.image": "ct/{case}.nii.gz"})
        >>> own = common.for_case("p01", {"cases.gtv": "seg/p01.nii.gz"})
        >>> own.tables.targets.limit, own.tables.cases.image
        ('seg/p01.nii.gz:liver', 'ct/p01.nii.gz')
        """
        content = with_values(self.content, {"cases.masks": None, "cases.manifest": None, **values}, self.source)
        gtv, label = (content.get("cases", {}).get(key) for key in ("gtv", "label"))
        if gtv is not None and label is not None and _exists(gtv):
            content = with_values(content, {"cases.gtv": f"{gtv}:{label}", "cases.label": None}, self.source)

        def own(text: str, mark: Names) -> str:
            is_label = mark.kind == "structure" and text.startswith(":") and gtv is not None
            return (f"{_file_of(gtv)}{text}" if is_label else text).replace(CASE, name)

        return type(self)(
            content=map_files(content, own), source=self.source, overrides=self.overrides, labels=self.labels
        )

    def require_read(self, consumer: Consumer) -> tuple[str, ...]:
        """Refuse keys that the consumer does not read; keys of a shared file for other commands are noted.

        Returns
        -------
        tuple of str
            Remarks: whole tables of the file that this consumer does not read.

        Raises
        ------
        FileError
            When an override, or a key in a table that is read otherwise, is not read.
        """
        tables = {key.split(".")[0] for key in consumer.reads}
        passed_over = []
        for key in set_keys(self.content):
            if consumer.reads_key(key):
                continue
            table = key.split(".")[0]
            by_hand = [one for one in self.overrides if one in (key, table) or one.startswith(f"{key}.")]
            if by_hand or table in tables:
                label = self.labels.get(by_hand[0], by_hand[0]) if by_hand else f"{self.source}: {key}"
                raise FileError(f"{label}: {consumer.name} does not read it; leave it out")
            passed_over.append(table)
        names = ", ".join(f"[{table}]" for table in dict.fromkeys(passed_over))
        return (f"{self.source}: {consumer.name} does not read {names}",) if names else ()

    def files(self) -> tuple[Path, ...]:
        """Files and folders that the request names, and its own; sorted, each once."""
        named: list[Path] = [] if self.source in (OPTIONS, *BUILT_IN) else [Path(self.source)]
        map_files(self.content, lambda text, mark: named.extend(_paths(text, mark)))
        return tuple(sorted(set(named)))

    def label(self, key: str) -> str:
        """Name of a key in messages: the option that set it, if any."""
        return self.labels.get(key, key)

    def identity(self, *tables: str, hash_of: Callable[[Path], str] = lambda path: source_of(path).sha256) -> str:
        """SHA-256 of the request, with file contents in place of file names.

        Parameters
        ----------
        *tables : str
            Only of these tables; by default of all.
        hash_of : callable
            SHA-256 of a file, such as one that is kept for a later comparison.

        Raises
        ------
        FileError
            When a file cannot be read.
        """
        content = {key: value for key, value in self.content.items() if not tables or key in tables}
        text = json.dumps(map_files(content, partial(_by_content, hash_of)), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def plain_value(value: Any) -> Any:
    """A value as TOML holds it: margins as tables, paths as text, arrays and tuples as lists."""
    if isinstance(value, Margin):
        return value.letters
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {str(key): plain_value(one) for key, one in value.items()}
    if hasattr(value, "tolist"):
        return value.tolist()
    return [plain_value(one) for one in value] if isinstance(value, list | tuple) else value


def _checked(content: Mapping[str, Any], source: str, labels: Mapping[str, str]) -> Tables:
    try:
        return Tables.model_validate(dict(content))
    except ValidationError as error:
        key, text = mistake(error, Tables)
        by_hand = _label_of(key, labels)
        where = f"{line_in(source, error)}: {key}" if by_hand is None else by_hand
        raise FileError(f"{where}: {text}") from None


def _label_of(key: str, labels: Mapping[str, str]) -> str | None:
    """What messages call the override that set a key, one above it, or one below it."""
    below = (label for one, label in labels.items() if f"{one}.".startswith(f"{key}."))
    above = (label for one, label in labels.items() if key.startswith(f"{one}.") and label != one)
    return next(iter((*below, *above)), None)


def _beside(file: Path) -> Callable[[str, Names], str]:
    """File names resolved relative to the file that contains them."""

    def placed(text: str, mark: Names) -> str:
        is_path = text and not text.startswith((PHANTOM, ":"))
        return str(file.parent / text) if is_path else text

    return placed


def _file_of(text: str) -> str:
    """File or mask folder of a structure; the phantom is a file of all its structures."""
    if text.startswith(PHANTOM) and not _exists(text):
        return PHANTOM.removesuffix(":")
    folder = text.rpartition(":")[0]
    return next((one for one in (text, folder) if one and _exists(one)), None) or str(StructureRef.parse(text).path)


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # no system could hold such a name
        return False


def _paths(text: str, mark: Names) -> Sequence[Path]:
    """Existing files that a text names; a pattern, a built-in structure and a case's own label name none."""
    if mark.kind == "structure":
        return [] if text.startswith((PHANTOM, ":")) else StructureRef.parse(text).files()
    path = Path(text)
    return [] if text.startswith(PHANTOM) or (mark.kind == "cases" and not path.is_file()) else [path]


def _by_content(hash_of: Callable[[Path], str], text: str, mark: Names) -> Any:
    """What a name stands for: hashes of its files, and which structure of them; its last part where there is none."""
    paths = _paths(text, mark)
    files = [file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    hashes = [hash_of(file) for file in files if file.is_file()]
    if hashes:
        return [*hashes, StructureRef.parse(text).name if mark.kind == "structure" else None]
    return text if text.startswith((PHANTOM, ":")) else Path(text).name
