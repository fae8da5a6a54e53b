"""BIDS derivatives: names of targets, their sidecars, and the dataset description."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from ptvkit.errors import FileError
from ptvkit.io.class_files import nifti_stem
from ptvkit.io.files import write_whole
from ptvkit.io.provenance import write_json
from ptvkit.io.target_files import Layout

BIDS_VERSION: Final = "1.10.0"
DESCRIPTION: Final = "dataset_description.json"
LINK: Final = "source"
IGNORED: Final = "cohort.*\n*_targets.*\n"
"""Files without a BIDS name."""
LABELS: Final = {"ctv": "CTV", "ptv": "PTV", "ptv_eval": "PTVeval"}
MEANINGS: Final = {
    "ctv": "Clinical target volume: the gross tumour grown by a margin for microscopic spread",
    "ptv": "Planning target volume: the clinical target volume grown by a margin for set-up error and motion",
    "ptv_eval": "Part of the planning target volume that its dose is judged in",
}
_ENTITY: Final = re.compile(r"([a-z]+)-([0-9A-Za-z+]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class BidsName:
    """Location of a case's targets in a BIDS dataset.

    Attributes
    ----------
    folder : Path
        Within the dataset, such as ``sub-01/ses-1/anat``.
    entities : tuple of str
        Such as ``("sub-01", "ses-1", "space-orig")``, in the order of the source.
    desc : str or None
        Of the source; else its segmentation (``seg``), which a mask's name has no place for.
    """

    folder: Path
    entities: tuple[str, ...]
    desc: str | None = None

    def file(self, structure: str, ending: str) -> str:
        """Name of a structure's mask or sidecar."""
        after = (f"desc-{self.desc}",) if self.desc else ()
        return "_".join((*self.entities, f"label-{LABELS[structure]}", *after, f"mask{ending}"))

    @property
    def stem(self) -> str:
        """Common prefix of file names of the whole case."""
        return "_".join((*self.entities, *((f"desc-{self.desc}",) if self.desc else ())))


def bids_name(path: Path, case: str, *, resampled: bool = False) -> BidsName:
    """Location of a case's targets, from the entities of its segmentation, else from its name.

    Parameters
    ----------
    path : Path
        The segmentation.
    case : str
        The case's name: a source without ``sub-`` becomes the subject of this name, letters and figures of it.
    resampled : bool
        Whether the targets are on another grid, so that the source's ``res`` is not theirs.

    Raises
    ------
    FileError
        When the name has neither a subject nor a letter or figure.

    Examples
    --------
    >>> name = bids_name(Path("sub-01_ses-2_acq-fb_seg-nnunet_dseg.nii.gz"), "x")
    >>> name.folder.as_posix(), name.file("ptv", ".nii.gz")
    ('sub-01/ses-2/anat', 'sub-01_ses-2_acq-fb_label-PTV_desc-nnunet_mask.nii.gz')
    >>> bids_name(Path("case_001.nii.gz"), "case_001").file("ctv", ".json")
    'sub-case001_label-CTV_mask.json'
    """
    parts = (nifti_stem(path.name) or path.name).split("_")
    entities = [(match[1], match[2]) for part in parts if (match := _ENTITY.fullmatch(part))]
    if not entities or entities[0][0] != "sub":
        entities = [("sub", "".join(re.findall("[0-9A-Za-z]", case)))]
        if not entities[0][1]:
            raise FileError(
                f"{path}: its name has no letter or figure that a BIDS subject could be named by; rename it"
            )
    dropped = {"label", "desc", "seg", "atlas", *(["res", "den"] if resampled else [])}
    values = dict(entities)
    folder = Path(f"sub-{values['sub']}", *([f"ses-{values['ses']}"] if "ses" in values else []), "anat")
    kept = tuple(f"{key}-{value}" for key, value in entities if key not in dropped)
    return BidsName(folder=folder, entities=kept, desc=values.get("desc", values.get("seg")))


def bids_layout(name: BidsName, inputs: list[Path], source: Path, root: Path, out: Path) -> Layout:
    """Names and sidecars of a case's files.

    Parameters
    ----------
    name : BidsName
    inputs : list of Path
        All input files.
    source : Path
        Segmentation, which defines the space of the targets.
    root : Path
        Dataset that `LINK` refers to, from `source_root`.
    out : Path
        Dataset of the targets.
    """
    common = {
        "Type": "ROI",
        "Sources": list(dict.fromkeys(_uri(path, root, out) for path in inputs)),
        "SpatialReference": _uri(source, root, out),
    }
    return Layout(
        masks={structure: name.file(structure, ".nii.gz") for structure in LABELS},
        sidecars={structure: name.file(structure, ".json") for structure in LABELS},
        summary=f"{name.stem}_targets.json",
        picture=f"{name.stem}_targets.png",
        page=f"{name.stem}_targets.html",
        rtstruct=f"{name.stem}_targets.dcm",
        extra={structure: {"Description": MEANINGS[structure], **common} for structure in LABELS},
    )


def source_root(path: Path) -> Path:
    """BIDS dataset that contains a file; else the file's folder."""
    home = Path(os.path.realpath(path if path.is_dir() else path.parent))
    return next((folder for folder in (home, *home.parents) if (folder / DESCRIPTION).is_file()), home)


def check_dataset(out: Path) -> Mapping[str, Any]:
    """Existing dataset description of a folder; empty when there is none.

    Raises
    ------
    FileError
        When the folder holds raw data or the dataset of another pipeline.
    """
    path = out / DESCRIPTION
    if not path.exists():
        return {}
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        makers = [maker.get("Name") for maker in content.get("GeneratedBy", [])]
    except (OSError, ValueError, AttributeError, TypeError):
        makers = []
    if "ptvkit" not in makers:
        raise FileError(f"{out}: holds a dataset that ptvkit did not write; choose another folder for --bids")
    description: Mapping[str, Any] = content
    return description


def describe_dataset(out: Path, root: Path) -> None:
    """Write the dataset description, and the list of files without a BIDS name.

    Raises
    ------
    FileError
        When targets from another source are there: one link cannot mean two datasets.
    """
    link = Path(os.path.relpath(root, os.path.realpath(out))).as_posix()
    before = check_dataset(out).get("DatasetLinks", {}).get(LINK, link)
    if before != link:
        raise FileError(f"{out}: holds targets made from {before}, not from {link}; choose another folder for --bids")
    content = {
        "Name": "Radiotherapy targets",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "ptvkit", "Version": version("ptvkit")}],
        "DatasetLinks": {LINK: link},
    }
    write_json(out / DESCRIPTION, content)
    if not (out / ".bidsignore").exists():
        with write_whole(out / ".bidsignore") as file:
            file.write(IGNORED.encode())


def _uri(path: Path, root: Path, out: Path) -> str:
    """BIDS URI of a file of the source dataset; other files by path relative to the target dataset."""
    real = Path(os.path.realpath(path))
    if real.is_relative_to(root):
        return f"bids:{LINK}:{real.relative_to(root).as_posix()}"
    return Path(os.path.relpath(real, os.path.realpath(out))).as_posix()
