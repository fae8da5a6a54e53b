"""The structures of a case, as its request describes them."""

from collections.abc import Callable

from ptvkit.errors import FileError, MarginError, MaskError
from ptvkit.geometry.components import lesions, parts
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.phases import Phases
from ptvkit.geometry.region import Region
from ptvkit.io.naming import StructureRef
from ptvkit.io.phases import phases_named, read_phases
from ptvkit.margins.margin import Margin, as_margin
from ptvkit.margins.structures import taken_cc
from ptvkit.margins.targets import Targets, make_targets
from ptvkit.request.request import Request

Reader = Callable[[str], Region | Mask]
"""Reads a structure by its name in a request; a study hands one on that reads each file once for all its cells."""


def read_named(name: str) -> Region | Mask:
    """Read a structure by its name in a request: ``FILE`` or ``FILE:NAME``.

    Raises
    ------
    FileError, MaskError, GridError
    """
    return StructureRef.parse(name).read()


def ctv_and_ptv(request: Request, read: Reader = read_named) -> tuple[Region | Mask, Region | Mask, dict[str, float]]:
    """CTV, PTV and volumes of a case, cc.

    Raises
    ------
    FileError, MaskError, GridError, MarginError
    """
    gtv, ctv, ptv = structures_of(request, read)
    volumes = {"gtv_cc": float("nan") if gtv is None else gtv.volume_cc}
    volumes |= {"ctv_cc": ctv.volume_cc, "ptv_cc": ptv.volume_cc}
    table = request.tables.targets
    if table is not None and table.organ is not None:
        volumes["organ_cc"] = taken_cc(ptv, ctv, read(table.organ))
    return ctv, ptv, volumes


def structures_of(
    request: Request, read: Reader = read_named
) -> tuple[Region | Mask | None, Region | Mask, Region | Mask]:
    """GTV, CTV and PTV of a case; no GTV where CTV and PTV are named.

    Raises
    ------
    FileError, MaskError, GridError, MarginError
    """
    cases = request.tables.cases
    if cases.ctv is not None and cases.ptv is not None:
        return None, read(cases.ctv), read(cases.ptv)
    gtv = gtv_of(request, read)
    targets = targets_of(request, gtv, read)
    return targets.gtv, judged_ctv(request, gtv, targets, read), targets.ptv


def judged_ctv(request: Request, gtv: Region | Mask | Phases, targets: Targets, read: Reader = read_named) -> Region:
    """The CTV that simulations displace: of an internal target, which holds all phases, the mean shape at the mean."""
    if targets.motion is None or targets.motion.motion != "itv":
        return targets.ctv
    of_mean = request.with_values({"targets.motion": "mid_position"})
    return targets_of(of_mean, gtv, read).ctv


def gtv_of(request: Request, read: Reader = read_named) -> Region | Mask | Phases:
    """The GTV of a case: all its lesions, or the chosen one; its phases where ``targets.motion`` is set.

    Raises
    ------
    FileError, MaskError, GridError
    """
    cases = request.tables.cases
    if cases.gtv is None:
        raise FileError(f"{request.source}: [cases] names no GTV; give gtv, or ctv and ptv")
    if request.tables.targets is not None and request.tables.targets.motion is not None:
        return _phases(request, cases.gtv)
    if cases.label is None:
        return _chosen(read(cases.gtv), request)
    return _chosen(StructureRef(path=StructureRef.parse(cases.gtv).path, name=cases.label).read(), request)


def _phases(request: Request, text: str) -> Phases:
    """The phases of a folder, or of ``FOLDER:NAME``."""
    assert request.tables.targets is not None
    if request.tables.targets.lesion != "all":
        raise MaskError(f"{request.label('targets.lesion')}: of phases all lesions are taken; leave it out")
    folder, label = phases_named(text)
    return read_phases(folder, label=request.tables.cases.label if label is None else label)


def targets_of(request: Request, gtv: Region | Mask | Phases, read: Reader = read_named) -> Targets:
    """CTV and PTV of a GTV, with all that the request says of them.

    Raises
    ------
    FileError, MaskError, GridError, MarginError
    """
    table = request.tables.targets
    if table is None:
        raise FileError(f"{request.source}: [cases] has a GTV; give [targets] with its margins")
    ctv, ptv = margins_of(request, gtv)
    return make_targets(
        gtv,
        ctv=ctv,
        ptv=ptv,
        motion=table.motion,
        breathing=as_margin(table.breathing, "targets.breathing"),
        breathing_shape=table.breathing_shape,
        limit_ctv=None if table.limit is None else read(table.limit),
        avoid=_read_all(table.avoid, read),
        avoid_clearance_mm=table.clearance_mm,
        eval_limit=None if table.eval_limit is None else read(table.eval_limit),
        eval_depth_mm=table.eval_depth_mm,
        eval_avoid=_read_all(table.eval_avoid, read),
    )


def _read_all(names: str | list[str], read: Reader) -> list[Region | Mask]:
    return [read(name) for name in ([names] if isinstance(names, str) else names)]


def margins_of(request: Request, gtv: Region | Mask | Phases) -> tuple[Margin | list[Margin], Margin | list[Margin]]:
    """One margin for all lesions, or one for each where some have their own."""
    table = request.tables.targets
    assert table is not None
    common = as_margin(table.ctv, "targets.ctv"), as_margin(table.ptv, "targets.ptv")
    if not table.lesions:
        return common
    shown = gtv.regions[gtv.mid_ventilation] if isinstance(gtv, Phases) else gtv
    count = len(lesions(shown) if isinstance(shown, Mask) else parts(shown))
    each = [common[0]] * count, [common[1]] * count
    for number, own in table.lesions.items():
        if not (number.isdecimal() and len(number) < 10 and 1 <= int(number) <= count):
            key = f"targets.lesions.{number}"
            label = next((request.labels[one] for one in (f"{key}.ctv", f"{key}.ptv") if one in request.labels), key)
            raise MarginError(f"{label}: {gtv.name} has lesions 1 to {count} (1 is the largest)")
        for margins, value, key in ((each[0], own.ctv, "ctv"), (each[1], own.ptv, "ptv")):
            if value is not None:
                margins[int(number) - 1] = as_margin(value, f"targets.lesions.{number}.{key}")
    return each


def _chosen(gtv: Region | Mask, request: Request) -> Region | Mask:
    lesion = "all" if request.tables.targets is None else request.tables.targets.lesion
    if lesion == "all":
        return gtv
    found = lesions(gtv) if isinstance(gtv, Mask) else parts(gtv)
    number = 1 if lesion == "largest" else int(lesion)
    if not 1 <= number <= len(found):
        raise MaskError(
            f"{request.label('targets.lesion')}: {gtv.name} has {len(found)} lesions; use all, largest, or 1 to"
            f" {len(found)} (1 is the largest)"
        )
    return found[number - 1]
