"""A case's targets, as its tables describe them."""

from functools import lru_cache
from typing import Any, Final

from ptvkit import phantom
from ptvkit.errors import FileError, MarginError, MaskError
from ptvkit.geometry.components import lesions
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region
from ptvkit.io.nifti import read_mask
from ptvkit.margins.margin import Margin
from ptvkit.margins.structures import taken_cc
from ptvkit.margins.targets import make_targets
from ptvkit.study.plan import PHANTOM
from ptvkit.study.schema import StudyFile, TargetsTable

PAIRS: Final = {"LR": "LR", "AP": "AP", "SI": "SI", "all": "RLAPSI"}
"""Letters that a key of a margin's table stands for."""


def margin_of(given: Any, where: str) -> Margin:
    """A margin as a study file has it: a number, text, or a table of letters, axes and ``all``.

    Examples
    --------
    >>> margin_of({"all": 5, "SI": 8, "I": 9}, "ptv").letters
    {'R': 5.0, 'L': 5.0, 'A': 5.0, 'P': 5.0, 'S': 8.0, 'I': 9.0}

    Raises
    ------
    MarginError
    """
    try:
        if isinstance(given, dict):
            letters = dict.fromkeys("RLAPSI", 0.0)
            for key, value in sorted(given.items(), key=lambda pair: -len(PAIRS.get(pair[0], "x"))):
                if key not in PAIRS and key not in letters:
                    raise MarginError(f"{key!r} is no direction; use R L A P S I, LR AP SI, or all")
                letters |= dict.fromkeys(PAIRS.get(key, str(key)), float(value))
            return Margin.from_letters(letters)
        return Margin.parse(given) if isinstance(given, str) else Margin.uniform(given)
    except MarginError as error:
        raise MarginError(f"{where}: {error}") from None


@lru_cache(maxsize=4)
def read_structure(path: str, label: int | str | None = None) -> Mask:
    """A mask from a file, ``FILE:LABEL`` or the built-in phantom; the last few are kept.

    Raises
    ------
    FileError, MaskError, GridError
    """
    if path.startswith(PHANTOM):
        return phantom.mask(path.removeprefix(PHANTOM), phantom.grid())
    head, colon, name = path.rpartition(":")
    if label is None and colon and head.endswith((".nii", ".nii.gz")):
        return read_mask(head, label=int(name) if name.isdecimal() else name)
    return read_mask(path, label=label)


def ctv_and_ptv(study: StudyFile) -> tuple[Region | Mask, Region | Mask, dict[str, float]]:
    """CTV, PTV and volumes of a case, cc.

    Raises
    ------
    FileError, MaskError, GridError, MarginError
    """
    gtv, ctv, ptv = structures_of(study)
    volumes = {"gtv_cc": float("nan") if gtv is None else gtv.volume_cc}
    volumes |= {"ctv_cc": ctv.volume_cc, "ptv_cc": ptv.volume_cc}
    if study.targets is not None and study.targets.organ is not None:
        volumes["organ_cc"] = taken_cc(ptv, ctv, read_structure(study.targets.organ))
    return ctv, ptv, volumes


def structures_of(study: StudyFile) -> tuple[Region | Mask | None, Region | Mask, Region | Mask]:
    """GTV, CTV and PTV of a case; no GTV where CTV and PTV were given.

    Raises
    ------
    FileError, MaskError, GridError, MarginError
    """
    cases = study.cases
    if study.targets is None:
        if cases.ctv is None or cases.ptv is None:
            raise FileError("[cases] has masks, which are GTVs; give [targets] with their margins")
        return None, read_structure(cases.ctv), read_structure(cases.ptv)
    path = cases.masks if cases.masks is not None else cases.ctv
    if not isinstance(path, str):
        raise FileError("[targets] needs one GTV for each case; give [cases] masks")
    gtv = _chosen(read_structure(path, cases.label), study.targets)
    asked = study.targets
    made = make_targets(
        gtv,
        ctv=margin_of(asked.ctv, "targets.ctv"),
        ptv=margin_of(asked.ptv, "targets.ptv"),
        breathing=margin_of(asked.breathing, "targets.breathing"),
        breathing_shape=asked.breathing_shape,
        limit_ctv=None if asked.limit is None else read_structure(asked.limit),
    )
    return made.gtv, made.ctv, made.ptv


def _chosen(gtv: Mask, table: TargetsTable) -> Mask:
    if table.lesion == "all":
        return gtv
    found = lesions(gtv)
    number = 1 if table.lesion == "largest" else table.lesion
    if not isinstance(number, int) or not 1 <= number <= len(found):
        raise MaskError(f"{gtv.name}: has {len(found)} lesions; targets.lesion is {table.lesion!r}")
    return found[number - 1]
