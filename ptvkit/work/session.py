"""A session: one request whose keys change one at a time; only what depends on a change is worked out again."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import FileError
from ptvkit.geometry.extent import margins_between
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.region import Region
from ptvkit.motion.course import Course
from ptvkit.motion.estimate import Estimate
from ptvkit.request.keys import REPLACED, chosen, replaced, with_values
from ptvkit.request.request import Request, plain_value
from ptvkit.values import choice, whole
from ptvkit.work.dependencies import RequestValues, Values
from ptvkit.work.session_nodes import NODES
from ptvkit.work.simulation import one_case

Floats = NDArray[np.float64]
PlaneName = Literal["axial", "coronal", "sagittal"]

FIRST_PATIENTS: Final = 400
"""Of the figures of a session, unless more are asked for."""
REFINED_PATIENTS: Final = 2000
MISS_LEVELS: Final = (0.5, 0.9, 0.95)
PLANES: Final[dict[str, int]] = {"axial": 2, "coronal": 1, "sagittal": 0}
"""The patient axis that each plane cuts."""
REFUSED: Final = ("parts", "treatment", "shape_change")
"""Tables whose figures a session does not have."""
STEP_MM: Final = 1.0
"""Spacing on which the levels of structures are sampled for contours, or less where theirs is less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFigures:
    """Figures of a request, as `run_simulation` writes them into ``coverage.json`` and ``dose.json``.

    Attributes
    ----------
    patients : int
    gtv_cc : float or None
        None where CTV and PTV are named instead of a GTV.
    ctv_cc, ptv_cc : float
    organ_cc : mapping of str to float
        Of each organ that the request names, what lies inside the PTV and outside the CTV.
    achieved : mapping
        Margins reached, as `Targets.achieved` has them.
    contained : Estimate or None
        Share of patients whose target never leaves the PTV; None when nothing displaces it.
    miss_mm : mapping of str to float
        Deepest miss that a share of the patients stays within: ``"0.5"``, ``"0.9"``, ``"0.95"``.
    sides : mapping of str to Estimate
        Share of patients whose deepest miss lies in each direction.
    criterion : str
        ``criteria.criterion``.
    reached : Estimate or None
        Share of patients that meet it; None without motion, or without a dose that it needs.
    is_estimate : bool
        Whether the shares are rough ones (`Session.estimate`); then there are no misses.
    """

    patients: int
    gtv_cc: float | None
    ctv_cc: float
    ptv_cc: float
    organ_cc: Mapping[str, float] = field(default_factory=dict)
    achieved: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    contained: Estimate | None = None
    miss_mm: Mapping[str, float] = field(default_factory=dict)
    sides: Mapping[str, Estimate] = field(default_factory=dict)
    criterion: str = ""
    reached: Estimate | None = None
    is_estimate: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON values; estimates as value, low and high."""
        return {name: _plain(getattr(self, name)) for name in self.__dataclass_fields__}


def _plain(value: Any) -> Any:
    if isinstance(value, Estimate):
        return {"value": value.value, "low": value.low, "high": value.high}
    return {key: _plain(one) for key, one in value.items()} if isinstance(value, Mapping) else value


class Session:
    """A request with its values kept, for one who changes a key and wants the figures at once.

    After any changes the figures are those of a fresh run of the same request, to the last digit. Several threads may
    ask for figures while another sets keys: each gets those of one request.

    Parameters
    ----------
    request : Request, optional
        Of one case; without one the built-in phantom's GTV. Its number of patients, precision and method are not used.

    Raises
    ------
    PtvkitError
        When the request has several cases or parts, a change of shape, or a key that simulations do not read.

    Examples
    --------
    >>> ask = Request.load(
    ...     {
    ...         "cases": {"gtv": "phantom:lesion_3"},
    ...         "targets": {"ptv": 6},
    ...         "errors": [{"systematic_mm": 2}],
    ...     }
    ... )
    >>> session = Session(ask)
    >>> before = session.figures()
    >>> session.set("targets.ptv.I", 9)
    >>> after = session.figures()
    >>> after.ptv_cc > before.ptv_cc, after.contained > before.contained, after.patients
    (True, True, 400)
    >>> session.request.tables.targets.ptv["I"], session.request.tables.simulation.patients
    (9, 400)
    """

    def __init__(self, request: Request | None = None) -> None:
        self._request = _settled(Request.load() if request is None else request)
        self._patients = FIRST_PATIENTS
        self._values = Values(NODES)

    def copy(self) -> Self:
        """Another session of the same request; both use the values that either has worked out."""
        other = object.__new__(type(self))
        other._request, other._patients, other._values = self._request, self._patients, self._values
        return other

    @property
    def request(self) -> Request:
        """The request that reproduces the latest figures with `run_simulation` or ``ptvkit simulate``."""
        return self._at(self._patients)

    def set(self, key: str, value: Any) -> None:
        """Change one key, as in ``set("targets.ptv.I", 12)``; None removes it.

        Raises
        ------
        FileError, MotionError
            When the key or its value is not legal; the session stays as it was.
        """
        self.set_all({key: value})

    def set_all(self, values: Mapping[str, Any]) -> None:
        """Change several keys at once, or none where one of them is not legal.

        Raises
        ------
        FileError, MotionError
        """
        content, source = self._request.content, self._request.source
        changes = _changes(content, {key: plain_value(value) for key, value in values.items()}, source)
        changed = _settled(Request(content=with_values(content, changes, source), source=source))
        if "simulation.patients" in values:
            self._patients = changed.tables.simulation.patients
        self._request = changed

    def figures(self, patients: int | None = None) -> SessionFigures:
        """The figures of the request as it is now.

        Parameters
        ----------
        patients : int, optional
            By default as many as for the latest figures: 400 at first.

        Raises
        ------
        PtvkitError
            When a file or a value cannot be used.
        """
        if patients is not None:
            self._patients = whole("patients", patients, least=1, most=1_000_000)
        request = self.request
        return _figures(self._values.of(request), request)

    def volumes(self) -> SessionFigures:
        """Volumes and margins alone, without the figures of motion.

        Raises
        ------
        PtvkitError
            When a file or a value cannot be used.
        """
        return _volumes(self._values.of(self._request), self.request)

    def estimate(self, patients: int = FIRST_PATIENTS) -> SessionFigures:
        """Volumes, and rough shares on a coarse lattice at once: contained, and Dmin where the criterion is on it.

        About .5 % of the patients lie on the wrong side. `figures` says how it truly is.

        Parameters
        ----------
        patients : int

        Raises
        ------
        PtvkitError
            When a file or a value cannot be used.
        """
        request = self._at(whole("patients", patients, least=1, most=1_000_000))
        values = self._values.of(request)
        volumes = replace(_volumes(values, request), is_estimate=True)
        if not _moves(values["course"]):
            return volumes
        contained, reached = values["estimates"]
        return replace(volumes, contained=contained, reached=reached)

    def growth_curve(self, growth_mm: ArrayLike, patients: int = FIRST_PATIENTS) -> Floats | None:
        """Share of patients (N,) that would meet the criterion on Dmin with a PTV larger on all sides, roughly.

        Parameters
        ----------
        growth_mm : (N,) array
            How much larger, mm; negative where it is smaller.
        patients : int

        Returns
        -------
        array or None
            None where nothing displaces the target, or the criterion is not on Dmin of an idealised dose.
        """
        values = self._values.of(self._at(whole("patients", patients, least=1, most=1_000_000)))
        lacking = values["lacking"] if _moves(values["course"]) else None
        return None if lacking is None else (lacking <= np.asarray(growth_mm, float)[:, None]).mean(axis=1)

    def structures(self) -> dict[str, Region]:
        """GTV, CTV, PTV and the organs that the request names, by name."""
        values = self._values.of(self._request)
        targets = {"GTV": values["gtv_region"], "CTV": values["ctv"], "PTV": values["ptv"], **values["organs"]}
        return {name: region for name, region in targets.items() if region is not None}

    def slices_mm(self, plane: PlaneName) -> Floats:
        """Where the slices of a plane are along the patient axis that it cuts, rising, mm.

        Parameters
        ----------
        plane : {"axial", "coronal", "sagittal"}
        """
        axis = PLANES[choice("plane", plane, tuple(PLANES))]
        return _positions(self._values.of(self._request)["image_grid"], axis)

    def contours(self, plane: PlaneName, index: int) -> dict[str, list[Floats]]:
        """Contours of all structures on a slice, by name.

        Parameters
        ----------
        plane : {"axial", "coronal", "sagittal"}
        index : int
            Of `slices_mm`.

        Returns
        -------
        dict of str to list of (N, 2) arrays
            Polylines in the plane's two patient axes (RAS+, mm): LR and AP, LR and SI, or AP and SI.

        Raises
        ------
        FileError
            When there is no such slice.
        """
        positions = self.slices_mm(plane)
        if not 0 <= index < len(positions):
            raise FileError(f"slice {index}: the {plane} slices are 0 to {len(positions) - 1}")
        axis = PLANES[plane]
        return {name: _outlines(one, axis, float(positions[index])) for name, one in self.structures().items()}

    def _at(self, patients: int) -> Request:
        return self._request.with_values({"simulation.patients": patients})


def _changes(content: Mapping[str, Any], values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Values with those that they imply; another value of the key that a model has already replaces no model."""
    same = {
        key: value
        for key, value in values.items()
        if value != "none" and any(key == f"{table}.{kind}" for table, (kinds, _) in REPLACED.items() for kind in kinds)
        if chosen(content, [key])
    }
    return {**replaced(content, {key: value for key, value in values.items() if key not in same}, source), **same}


def _settled(request: Request) -> Request:
    """The request of its only case, with nothing left that is not of one simulation."""
    cases = request.tables.cases
    none = all(one is None for one in (cases.gtv, cases.ctv, cases.ptv, cases.masks, cases.manifest))
    for key in REFUSED:
        if request.content.get(key):
            raise FileError(f"{request.source}: [{key}]: a session has one part, whose shape stays; leave it out")
    values: dict[str, Any] = {"simulation.precision": None, "simulation.method": None}
    values |= {"cases.gtv": "phantom:gtv"} if none else {}
    content = {"targets": {}, **request.with_values(values).content}
    return one_case(Request(content=content, source=request.source))[1]


def _volumes(values: RequestValues, request: Request) -> SessionFigures:
    gtv = values["gtv_region"]
    extents = [values[f"{name}_extent"] for name in (("gtv",) if gtv is not None else ()) + ("ctv", "ptv")]
    between = [margins_between(inner, outer) for inner, outer in pairwise(extents)]
    return SessionFigures(
        patients=request.tables.simulation.patients,
        gtv_cc=None if gtv is None else values["gtv_cc"],
        ctv_cc=values["ctv_cc"],
        ptv_cc=values["ptv_cc"],
        organ_cc=values["organ_cc"],
        achieved=dict(zip(("ctv", "ptv")[-len(between) :], between, strict=True)),
        criterion=request.tables.criteria.criterion,
    )


def _figures(values: RequestValues, request: Request) -> SessionFigures:
    volumes = _volumes(values, request)
    if not _moves(values["course"]):
        return volumes
    coverage = values["coverage"]
    return replace(
        volumes,
        contained=coverage.contained(),
        miss_mm={f"{level:g}": coverage.miss_quantile(level) for level in MISS_LEVELS},
        sides=coverage.sides,
        reached=values["reached"],
    )


def _moves(course: Course) -> bool:
    return bool(course.setup or course.breathes or course.guidance or course.intrafraction)


def _positions(grid: Grid, axis: int) -> Floats:
    """Of a grid's slices across a patient axis; where it is oblique, of slices as thin as its thinnest."""
    along = np.abs(grid.axes[axis])
    lowest, highest = grid.corners_mm[:, axis].min(), grid.corners_mm[:, axis].max()
    is_aligned = along.max() > 1 - 1e-6
    step = grid.spacing_mm[int(along.argmax())] if is_aligned else min(grid.spacing_mm)
    found: Floats = lowest + step * np.arange(round((highest - lowest) / step) + 1)
    return found


def _outlines(region: Region, axis: int, at_mm: float) -> list[Floats]:
    """Polylines of a region on a plane of the patient."""
    from skimage import measure  # slow to load

    found = []
    for box in region.boxes:
        corners, step = box.grid.corners_mm, min(STEP_MM, *box.grid.spacing_mm)
        low, high = corners.min(axis=0) - step, corners.max(axis=0) + step
        if box.is_empty or not low[axis] < at_mm < high[axis]:
            continue
        across = [other for other in range(3) if other != axis]
        low[axis] = at_mm
        i, j, k = (1 if other == axis else int((high[other] - low[other]) / step) + 2 for other in range(3))
        affine = np.diag([step, step, step, 1.0])
        affine[:3, 3] = low
        level = Region(boxes=[box], name=region.name).sample_on(Grid(shape=(i, j, k), affine=affine))
        lines = measure.find_contours(np.squeeze(level, axis), 0.0)  # type: ignore[no-untyped-call]
        found += [low[across] + step * line for line in lines]
    return found
