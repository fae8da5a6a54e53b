"""A treatment of several parts: each with its own dose, course and planning CT, accumulated fraction by fraction."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.dose.accumulate import Accumulation, Drawing, accumulated_groups
from ptvkit.dose.conformal import conformal_dose
from ptvkit.dose.criteria import check_models, metric_named, metrics_of_ratio
from ptvkit.dose.dose import Dose, Quantity, gray
from ptvkit.dose.fractionation import check_physical, checked_ratio, eqd2_of_fractions
from ptvkit.dose.metrics import metrics_of
from ptvkit.dose.points import points_of
from ptvkit.dose.result import DoseResult
from ptvkit.dose.target import Target, target_of
from ptvkit.errors import DoseError, MotionError, PtvkitWarning
from ptvkit.kernels.jit import thread_count
from ptvkit.motion.course import Course, Seed, root, samples_of
from ptvkit.motion.coverage import Structure, filled
from ptvkit.motion.simulate import MOST_SAMPLES, Progress, check_size
from ptvkit.values import choice, whole

Floats = NDArray[np.float64]
Ratios = float | Mapping[str, float | None] | None

MATCHING: Final = 1e-6
"""Relative difference of two prescriptions that are the same."""
FEW_POINTS: Final = 3000
NEAR: Final = (0.5, 2.0)
"""Of the prescription: where the median dose of a part's PTV is, unless they do not belong together."""
WEIGHTED: Final = ("eqd2", "bed")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """One part of a treatment, planned on one CT.

    Parameters
    ----------
    course : Course
        Its fractions and all that displaces the anatomy in them.
    dose : Dose, optional
        Of all its fractions together. Without it, a dose that conforms to `ptv`.
    ptv : Mask or Region, optional
        With a dose, that its median dose belongs to the prescription is checked.
    prescription_gy : float, optional
        Of all its fractions together, Gy; by default what the dose says.
    fraction_gy : float, optional
        Of each fraction; it must agree with the prescription.
    name : str
        What messages and pages call it.
    frame : str, optional
        Frame of reference of its planning CT; by default the dose's.
    transform : (4, 4) array, optional
        Affine registration, mm, from the frame of the structures (that of the first part) to this part's: where a point
        of the structures lies in this part's planning CT.

    Raises
    ------
    DoseError
        When there is neither dose nor PTV, the dose is biologically weighted already, prescriptions disagree, or the
        transform is no invertible affine matrix.

    Examples
    --------
    >>> from ptvkit import SetupError, phantom
    >>> part = Part(
    ...     name="boost",
    ...     ptv=phantom.region("lesion_3"),
    ...     fraction_gy=1.9,
    ...     course=Course(setup=[SetupError(systematic_mm=2)], fractions=12),
    ... )
    >>> round(part.dose.prescription_gy, 1)
    22.8
    """

    course: Course
    dose: Dose | None = None
    ptv: Structure | None = None
    prescription_gy: float | None = None
    fraction_gy: float | None = None
    name: str = ""
    frame: str | None = None
    transform: ArrayLike | None = None

    def __post_init__(self) -> None:
        called = self.name or "the part"
        prescription = _prescription(self, called)
        dose = self.dose
        if dose is None:
            if self.ptv is None or prescription is None:
                raise DoseError(f"{called}: give its dose, or its ptv with prescription_gy or fraction_gy")
            dose = conformal_dose(self.ptv, prescription, name=f"the dose of {called}")
        check_physical(dose)
        if self.dose is not None and self.ptv is not None and prescription is not None:
            _check_belongs(called, dose, self.ptv, prescription)
        if self.frame is not None and dose.frame not in (None, self.frame):
            raise DoseError(f"{called}: frame is {self.frame}, its dose is in {dose.frame}; leave frame out")
        dose = replace(dose, prescription_gy=prescription, frame=self.frame or dose.frame)
        for key, value in (("dose", dose), ("prescription_gy", prescription), ("frame", dose.frame)):
            object.__setattr__(self, key, value)
        if self.transform is not None:
            object.__setattr__(self, "transform", _affine(called, self.transform))

    def located(self, points_mm: Floats) -> Floats:
        """Points (..., 3) of the structures in this part's frame, mm."""
        if self.transform is None:
            return points_mm
        matrix = np.asarray(self.transform, float)
        moved: Floats = points_mm @ matrix[:3, :3].T + matrix[:3, 3]
        return np.ascontiguousarray(moved)


def _prescription(part: Part, called: str) -> float | None:
    """What the dose, the part and its fractions say alike."""
    known: dict[str, float] = {}
    if part.dose is not None and part.dose.prescription_gy is not None:
        known[f"{part.dose.name} is prescribed"] = part.dose.prescription_gy
    if part.prescription_gy is not None:
        known["prescription_gy is"] = gray(f"{called}: prescription_gy", part.prescription_gy)
    if part.fraction_gy is not None:
        each = gray(f"{called}: fraction_gy", part.fraction_gy)
        known[f"{part.course.fractions} fractions of {each:g} Gy are"] = part.course.fractions * each
    values = list(known.values())
    if values and max(values) - min(values) > MATCHING * max(values):
        found = ", ".join(f"{what} {gy:g} Gy" for what, gy in known.items())
        raise DoseError(f"{called}: {found}; a part's dose and prescription are those of all its fractions together")
    return values[0] if values else None


def _check_belongs(called: str, dose: Dose, ptv: Structure, prescription_gy: float) -> None:
    points = points_of(filled(ptv), inner=FEW_POINTS, surface=1)
    doses = dose.mean_over(points.inner, np.zeros((1, 3)))
    median = metrics_of(ptv.name, doses, points.volume_cc, doses).d50_gy
    if not NEAR[0] * prescription_gy <= median <= NEAR[1] * prescription_gy:
        raise DoseError(
            f"{called}: half of its PTV gets {median:.4g} Gy of {dose.name}, prescribed are {prescription_gy:g} Gy;"
            " give the dose of all its fractions together, in Gy"
        )


def _affine(called: str, raw: ArrayLike) -> Floats:
    try:
        matrix = np.array(raw, float)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    right = matrix.shape == (4, 4) and np.isfinite(matrix).all() and (matrix[3] == (0, 0, 0, 1)).all()
    if not right or np.linalg.det(matrix[:3, :3]) <= 1e-6:
        raise DoseError(
            f"{called}: transform needs an affine matrix (4, 4), mm, that keeps right and left, found"
            f" {' '.join(str(raw).split())}"
        )
    matrix.setflags(write=False)
    return matrix


@overload
def simulate_treatment(
    parts: Sequence[Part],
    structures: Structure,
    *,
    alpha_beta_gy: Ratios = ...,
    shared: Sequence[str] = ...,
    quantity: Literal["eqd2", "bed"] = ...,
    metrics: Sequence[str] = ...,
    patients: int = ...,
    seed: Seed = ...,
    samples: int | None = ...,
    workers: int | None = ...,
    progress: Progress | None = ...,
) -> DoseResult: ...


@overload
def simulate_treatment(
    parts: Sequence[Part],
    structures: Mapping[str, Structure],
    *,
    alpha_beta_gy: Ratios = ...,
    shared: Sequence[str] = ...,
    quantity: Literal["eqd2", "bed"] = ...,
    metrics: Sequence[str] = ...,
    patients: int = ...,
    seed: Seed = ...,
    samples: int | None = ...,
    workers: int | None = ...,
    progress: Progress | None = ...,
) -> dict[str, DoseResult]: ...


def simulate_treatment(
    parts: Sequence[Part],
    structures: Structure | Mapping[str, Structure],
    *,
    alpha_beta_gy: Ratios = None,
    shared: Sequence[str] = (),
    quantity: Literal["eqd2", "bed"] = "eqd2",
    metrics: Sequence[str] = (),
    patients: int = 1000,
    seed: Seed = 0,
    samples: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> DoseResult | dict[str, DoseResult]:
    """Accumulate the doses of all parts of a treatment over simulated courses, fraction by fraction.

    In each fraction a point x of a structure gets ``d_f(x) = mean over the fraction of D(x + u) / n``, D the dose of
    the part's n fractions. Absorbed dose is ``Σ d_f``, and ``BED = Σ d_f (1 + d_f / (α/β))``: within a fraction dose is
    averaged before, between fractions after it is weighted. All structures of a patient move together; the first one is
    the target, about whose centroid the patient's rotations turn.

    Parameters
    ----------
    parts : sequence of Part
        In the order of treatment.
    structures : Mask or Region, or several by name
        In the frame of the first part.
    alpha_beta_gy : float or mapping of name to float, optional
        α/β, Gy, of all structures or of each: the results are then biologically weighted, with the absorbed dose as
        `DoseResult.physical`. None, also for one of several, gives absorbed dose.
    shared : sequence of str
        Set-up errors, by name, whose systematic part a patient keeps over the parts, such as the delineation by one
        physician. What a planning CT brings, its breathing phase and baseline, and all other errors are drawn anew in
        each part.
    quantity : {"eqd2", "bed"}
        What biologically weighted results are.
    metrics : sequence of str
        Kept for each patient beside the usual ones: ``D66%``, ``V20Gy``, ``geud8``, ``tcp_metastases``.
    patients : int
    seed : int or Generator
        The same seed gives the same bytes. The patients of the first part are those of `simulate_dose`.
    samples : int, optional
        Times within each fraction; by default 100 with breathing.
    workers : int, optional
        Threads; by default all cores.
    progress : callable, optional
        Called with (steps done, steps in all).

    Returns
    -------
    DoseResult, or dict of str to DoseResult
        As `structures`.

    Raises
    ------
    DoseError
        When parts are in different frames without a transform, a name is not known, an α/β is missing, or a dose does
        not cover a structure.
    MaskError
        When a structure is empty.
    MotionError
        When more than 1e9 samples are asked for.

    Notes
    -----
    The mean over a fraction is the one of `simulate_dose`, sampled by the spline through the dose's nodes. Points whose
    dose varies by less than .05 % of the maximum within the reach of the displacements count as constant. Beyond a grid
    on whose faces less than .1 % of the maximum is left, the dose of the faces is continued; else a structure there is
    refused. Organs, all but the first structure, have a third of the points of a target.

    Examples
    --------
    >>> from ptvkit import Margin, SetupError, expand, phantom
    >>> lesion = phantom.region("lesion_3")
    >>> delineation = SetupError(name="delineation", systematic_mm=2, seen_by="nothing")
    >>> parts = [
    ...     Part(
    ...         name=name,
    ...         ptv=expand(lesion, Margin.uniform(margin)),
    ...         fraction_gy=gy,
    ...         course=Course(setup=[delineation], fractions=n),
    ...     )
    ...     for name, margin, gy, n in (("wide", 15, 1.7, 18), ("boost", 5, 1.9, 12))
    ... ]
    >>> result = simulate_treatment(
    ...     parts, lesion, alpha_beta_gy=10, shared=("delineation",), patients=50, seed=1
    ... )
    >>> round(result.prescription_gy, 3), round(result.physical.prescription_gy, 1), result.fractions
    (52.445, 53.4, 30)
    """
    named, ratios = _named(structures), alpha_beta_gy
    choice("quantity", quantity, WEIGHTED, error=DoseError)
    treated = _checked(parts)
    for metric in metrics:
        if metric_named(metric).entry.source != "dose":
            raise DoseError(f"metrics: {metric!r} is of coverage; a treatment has metrics of dose")
    count = whole("patients", patients, least=1, most=MOST_SAMPLES)
    times = [samples_of(part.course, samples) for part in treated]
    fractions = sum(part.course.fractions for part in treated)
    check_size(count, fractions, max(times), len(named))
    start = root(seed)
    accumulation = Accumulation(
        parts=tuple((part.dose, part.located) for part in treated),  # type: ignore[misc]
        drawings=_drawings(treated, tuple(shared), times, start),
        patients=count,
        threads=thread_count() if workers is None else whole("workers", workers, least=1, most=1024),
    )
    first = next(iter(named))
    own = dict(zip(named, _ratios(ratios, tuple(named)), strict=True))
    check_models(metrics, own)
    by_name = {
        name: _target(name, one, treated, own[name], quantity, metrics_of_ratio(metrics, own[name]), name != first)
        for name, one in named.items()
    }
    if any(part.course.shape_change is not None for part in treated):
        text = "the dose is that of the structures as planned, without their change of shape"
        warnings.warn(text, PtvkitWarning, stacklevel=2)
    found = accumulated_groups(accumulation, tuple(by_name.values()), progress)
    done = {name: _numbered(result, fractions, max(times), start) for name, result in zip(by_name, found, strict=True)}
    return done if isinstance(structures, Mapping) else next(iter(done.values()))


def _named(structures: Structure | Mapping[str, Structure]) -> dict[str, Structure]:
    if not isinstance(structures, Mapping):
        return {"CTV": structures}
    if not structures:
        raise DoseError("structures: give one or more")
    return dict(structures)


def _checked(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Parts with a name each, in one frame or registered to the first."""
    if not parts:
        raise DoseError("a treatment needs one part or more")
    named = tuple(one if one.name else replace(one, name=f"part {number}") for number, one in enumerate(parts, start=1))
    names = [part.name for part in named]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DoseError(f"two parts are named {twice[0]!r}; give each its own name")
    first = named[0]
    for part in named[1:]:
        if part.frame != first.frame and part.transform is None:
            raise DoseError(
                f"{part.name} is in {_frame(part)}, {first.name} in {_frame(first)}: doses are accumulated in one frame"
                f" of reference only; register the planning CTs and give {part.name} its transform, or both the same"
                " frame where positions are known to agree"
            )
    return named


def _frame(part: Part) -> str:
    return "no named frame" if part.frame is None else f"frame {part.frame}"


def _ratios(given: Ratios, names: Sequence[str]) -> list[float | None]:
    """α/β of each structure, checked."""
    if not isinstance(given, Mapping):
        return [None if given is None else checked_ratio(given)] * len(names)
    if unknown := sorted(set(given) - set(names)):
        raise DoseError(f"alpha_beta_gy: there is no structure {unknown[0]!r}; there are {', '.join(names)}")
    if missing := [name for name in names if name not in given]:
        raise DoseError(f"alpha_beta_gy: {missing[0]} has none; give its α/β in Gy, or None for its absorbed dose")
    return [None if (ratio := given[name]) is None else checked_ratio(ratio) for name in names]


def _drawings(parts: Sequence[Part], shared: tuple[str, ...], times: Sequence[int], seed: int) -> tuple[Drawing, ...]:
    """How each part's displacements are drawn: the first as in any course, shared errors as where they are first."""
    seeds = [
        seed if number == 0 else int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> 1)
        for number in range(len(parts))
    ]
    origin: dict[str, tuple[int, int]] = {}
    drawings = []
    for part, own, samples in zip(parts, seeds, times, strict=True):
        names = [error.name for error in part.course.setup]
        known = {name: origin[name] for name in names if name in origin}
        drawings.append(Drawing(course=part.course, seed=own, samples=samples, shared=known))
        origin |= {name: (own, names.index(name)) for name in shared if name in names and name not in origin}
    for name in shared:
        holders = sum(name in [error.name for error in part.course.setup] for part in parts)
        if holders < min(2, len(parts)):
            every = sorted({error.name for part in parts for error in part.course.setup})
            raise MotionError(
                f"shared: {name!r} is an error of {holders} of {len(parts)} parts; what is shared has one name in two"
                f" parts or more. The set-up errors are {', '.join(every) or 'none'}"
            )
    return tuple(drawings)


def _target(
    name: str,
    structure: Structure,
    parts: Sequence[Part],
    ratio: float | None,
    quantity: Quantity,
    metrics: tuple[str, ...],
    is_organ: bool,
) -> Target:
    region = filled(structure)
    known = [part.prescription_gy for part in parts]
    physical = None if None in known else float(sum(gy for gy in known if gy is not None))
    scale = 1.0 if ratio is None or quantity == "eqd2" else 1 + 2 / ratio
    weighted = None
    if physical is not None and ratio is not None:
        each = [
            np.full((part.course.fractions, 1), gy / part.course.fractions)
            for part, gy in zip(parts, known, strict=True)
            if gy is not None
        ]
        weighted = scale * float(eqd2_of_fractions(np.concatenate(each), ratio)[0])
    return target_of(
        region,
        name,
        alpha_beta_gy=ratio,
        quantity="physical" if ratio is None else quantity,
        scale=scale,
        prescriptions_gy=(physical, weighted),
        metrics=metrics,
        is_organ=is_organ,
    )


def _numbered(result: DoseResult, fractions: int, samples: int, seed: int) -> DoseResult:
    """A result, and what belongs to it, with how it was simulated."""
    return replace(
        result,
        fractions=fractions,
        samples=samples,
        seed=seed,
        lesions=tuple(_numbered(lesion, fractions, samples, seed) for lesion in result.lesions),
        physical=None if result.physical is None else _numbered(result.physical, fractions, samples, seed),
    )
