"""Dose under motion: a static dose distribution, accumulated by targets that move through it."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptvkit.dose.blur import Blur, blur_of
from ptvkit.dose.dose import Dose, Quantity
from ptvkit.dose.fractionation import checked_ratio, eqd2_of_fractions
from ptvkit.dose.metrics import DoseMetrics, check_covered, metrics_of
from ptvkit.dose.points import Points, points_of
from ptvkit.dose.result import DoseResult, figures_of, kept_metrics
from ptvkit.errors import DoseError, PtvkitWarning
from ptvkit.geometry.centroid import centroid
from ptvkit.geometry.components import parts
from ptvkit.geometry.region import Region
from ptvkit.kernels.jit import thread_count
from ptvkit.motion.course import BLOCK, Course, Seed, blocks, draw_block, root, samples_of
from ptvkit.motion.coverage import Structure, filled, shift_range
from ptvkit.motion.drawn import Drawn
from ptvkit.motion.simulate import MOST_SAMPLES, Progress, check_size, in_threads
from ptvkit.values import number, whole

Floats = NDArray[np.float64]

INNER_POINTS: Final = 12_000
"""Parts of the target's volume, shared among lesions; none has fewer than `FEWEST_POINTS`, if it has so many nodes."""
FEWEST_POINTS: Final = 3_000
SURFACE_POINTS: Final = 3_000
BINS: Final = 1000
"""Of each patient's histogram, between his least and most dose."""
LEVELS: Final = 241
HEADROOM: Final = 1.02
EDGE_SHARE: Final = 0.02
"""Of the maximum: what the edge of a dose's grid may have where targets leave it, unsaid."""
ROOM: Final = 1.1
"""Rotations beyond this share of the first block's largest are slower, not wrong."""


def simulate_dose(
    dose: Dose,
    ctv: Structure,
    course: Course,
    *,
    patients: int = 1000,
    seed: Seed = 0,
    samples: int | None = None,
    prescription_gy: float | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    alpha_beta_gy: float | None = None,
) -> DoseResult:
    """Accumulate a dose over simulated courses, in a target that moves through it.

    ``D̄(x) = mean over fractions and times of D(x + u)``, x a point of the target as planned, u its displacement:
    errors, guidance and breathing as in `simulate_coverage`, patient for patient. The dose cloud is static.

    Parameters
    ----------
    dose : Dose
        Of the whole course.
    ctv : Mask or Region
    course : Course
    patients : int
    seed : int or Generator
        The same seed gives the same bytes, whatever the number of workers; and the patients of `simulate_coverage`.
    samples : int, optional
        Times within each fraction; by default 100 with breathing.
    prescription_gy : float, optional
        For V95 and the table; by default what the dose says.
    workers : int, optional
        Threads; by default all cores.
    progress : callable, optional
        Called with (patients done, patients in all).
    alpha_beta_gy : float, optional
        α/β, Gy: the result is the EQD2 of the target. It is formed in each fraction, from the mean dose over the motion
        within that fraction, and then summed; metrics end in ``_eqd2_gy``. Each fraction has the same planned dose.

    Returns
    -------
    DoseResult

    Raises
    ------
    MaskError
        When the target is empty.
    DoseError
        When the dose does not cover the target as planned, or is a BED or EQD2 already: what is biologically weighted
        before it is accumulated over motion is not the weighted dose of what was accumulated.
    MotionError
        When more than 1e9 samples are asked for.

    Examples
    --------
    >>> from ptvkit import Margin, SetupError, conformal_dose, expand, phantom
    >>> ctv = phantom.region("lesion_3")
    >>> dose = conformal_dose(expand(ctv, Margin.uniform(5)), 22.8)
    >>> course = Course(setup=[SetupError(systematic_mm=2)], fractions=3)
    >>> result = simulate_dose(dose, ctv, course, patients=200, seed=1)
    >>> result.metric("dmin_gy").shape, result.probability("dmin_gy", at_least=0.95 * 22.8) > 0.7
    ((200,), True)
    """
    count = whole("patients", patients, least=1, most=MOST_SAMPLES)
    times, start = samples_of(course, samples), root(seed)
    if dose.quantity != "physical":
        raise DoseError(f"{dose.name}: is {dose.quantity.upper()} already; give the physical dose, and alpha_beta_gy")
    if prescription_gy is not None:
        asked = number("prescription_gy", prescription_gy, least=0.0, most=1e4, above=True, error=DoseError)
        dose = replace(dose, prescription_gy=asked)
    ratio = None if alpha_beta_gy is None else checked_ratio(alpha_beta_gy)
    if course.shape_change is not None:
        warnings.warn(
            "the dose is that of the target as planned, without its change of shape", PtvkitWarning, stacklevel=2
        )
    ready = prepare_dose(dose, ctv, course, seed=start, alpha_beta_gy=ratio)
    check_size(count, course.fractions, times, len(ready.lesions))
    threads = thread_count() if workers is None else whole("workers", workers, least=1, most=1024)

    def one(task: tuple[int, int]) -> list[list[_Patient]]:
        return _block(ready, draw_block(course, *task, start, times, ready.centre_mm))

    found: list[list[_Patient]] = []
    for number_, block in enumerate(in_threads(one, list(blocks(count)), threads), start=1):
        found.extend(block)
        if progress is not None:
            progress(min(number_ * BLOCK, count), count)
    each = [
        replace(
            _result(ready, which, [patient[which] for patient in found]),
            fractions=course.fractions,
            samples=times,
            seed=start,
        )
        for which in range(len(ready.planned))
    ]
    return replace(each[0], lesions=tuple(each[1:]) or (each[0],))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedDose:
    """A dose and a target, prepared for many courses. Make one with `prepare_dose`.

    Attributes
    ----------
    blurs : tuple of Blur
        One for each lesion.
    lesions : tuple of Points
    names : tuple of str
    centre_mm : (3,) array
        Centroid of the whole target, about which it turns.
    planned : tuple of DoseMetrics
        Without motion: of the whole, and of each lesion where there are several.
    levels_gy : (L,) array
    alpha_beta_gy : float or None
        Of an EQD2.
    """

    blurs: tuple[Blur, ...]
    lesions: tuple[Points, ...]
    names: tuple[str, ...]
    centre_mm: Floats
    planned: tuple[DoseMetrics, ...]
    levels_gy: Floats
    alpha_beta_gy: float | None = None


def prepare_dose(
    dose: Dose, ctv: Structure, course: Course, *, seed: Seed = 0, alpha_beta_gy: float | None = None
) -> PreparedDose:
    """Prepare a dose and a target for a course; with `alpha_beta_gy` for its EQD2.

    Raises
    ------
    MaskError
        When the target is empty.
    DoseError
        When the dose does not cover it.
    """
    target = filled(ctv)
    separate = parts(target)
    volumes = np.array([part.volume_cc for part in separate])
    shares = np.maximum(INNER_POINTS * volumes / volumes.sum(), FEWEST_POINTS).astype(int)
    lesions = tuple(
        points_of(part, inner=int(inner), surface=SURFACE_POINTS) for part, inner in zip(separate, shares, strict=True)
    )
    centre, start = centroid(target), root(seed)
    least, most = shift_range([course], start, centre)
    angle = _largest_angle(course, start)
    names = tuple("CTV" if len(lesions) == 1 else f"lesion {number_}" for number_ in range(1, len(lesions) + 1))
    planned = _planned(dose, target, lesions, names, lambda gy: _weighted(gy[None], course.fractions, alpha_beta_gy))
    return PreparedDose(
        blurs=tuple(_blur(dose, part, centre, angle, least, most) for part in lesions),
        lesions=lesions,
        names=names,
        centre_mm=centre,
        planned=planned,
        levels_gy=np.linspace(0.0, HEADROOM * max(found.dmax_gy for found in planned), LEVELS),
        alpha_beta_gy=alpha_beta_gy,
    )


def _largest_angle(course: Course, seed: int) -> float:
    """Of the rotations of the first block, rad, and some room."""
    drawn = draw_block(course, 0, BLOCK, seed, 1, np.zeros(3))
    turns = [one for one in (drawn.rotations_rad, drawn.extreme_turns_rad) if one is not None]
    return ROOM * sum(float(np.linalg.norm(one, axis=-1).max()) for one in turns)


def _blur(dose: Dose, part: Points, centre: Floats, angle: float, least: Floats, most: Floats) -> Blur:
    points = np.concatenate([part.inner, part.surface])
    room = angle * float(np.linalg.norm(points - centre, axis=1).max())
    low, high = points.min(axis=0) - room, points.max(axis=0) + room
    warn_of_edge(dose, low + least, high + most)
    return blur_of(dose, low, high, least, most)


def warn_of_edge(dose: Dose, low_mm: Floats, high_mm: Floats) -> None:
    """Say so when displaced targets may leave the dose's grid where it still has dose."""
    corners = np.array([[(low_mm, high_mm)[bit][axis] for axis, bit in enumerate(b)] for b in np.ndindex(2, 2, 2)])
    index = dose.grid.to_index(corners)
    for axis, length in enumerate(dose.grid.shape):
        for end, beyond in ((0, index[:, axis].min() < -0.5), (length - 1, index[:, axis].max() > length - 0.5)):
            face = float(np.take(dose.values, end, axis=axis).max())
            if beyond and face > EDGE_SHARE * float(dose.values.max()):
                text = (
                    f"{dose.name}: displaced targets leave its grid, where it still has {face:.3g} Gy; its edge goes on"
                )
                warnings.warn(text, PtvkitWarning, stacklevel=5)
                return


def _planned(
    dose: Dose,
    target: Region,
    lesions: Sequence[Points],
    names: Sequence[str],
    weighted: Callable[[Floats], Floats],
) -> tuple[DoseMetrics, ...]:
    doses = [(dose.sample(part.inner), dose.sample(part.surface)) for part in lesions]
    for part, sampled in zip(lesions, doses, strict=True):
        check_covered(dose, target.name, part, *sampled)
    prescription = None if dose.prescription_gy is None else float(weighted(np.array([dose.prescription_gy]))[0])
    return metrics_by_lesion(lesions, names, [(weighted(a), weighted(b)) for a, b in doses], prescription)


def _weighted(gy: Floats, fractions: int, alpha_beta_gy: float | None) -> Floats:
    """Dose (N,) of the course from that of the whole course (1, N), or of its fractions at that rate (fractions, N).

    The rows are mean doses of the whole course, as if all fractions went like that one.
    """
    if alpha_beta_gy is None:
        mean: Floats = gy.mean(axis=0)
        return mean
    return eqd2_of_fractions(gy / fractions, alpha_beta_gy) * (fractions / len(gy))


def metrics_by_lesion(
    lesions: Sequence[Points],
    names: Sequence[str],
    doses: Sequence[tuple[Floats, Floats]],
    prescription_gy: float | None,
) -> tuple[DoseMetrics, ...]:
    """Of all lesions together, then of each."""
    each = tuple(
        metrics_of(name, inner, part.volume_cc, surface, bins=BINS, prescription_gy=prescription_gy)
        for name, part, (inner, surface) in zip(names, lesions, doses, strict=True)
    )
    if len(each) == 1:
        return each
    inner, surface = (np.concatenate([pair[n] for pair in doses]) for n in (0, 1))
    volumes = np.concatenate([part.volume_cc for part in lesions])
    return (metrics_of("CTV", inner, volumes, surface, bins=BINS, prescription_gy=prescription_gy), *each)


class _Patient(NamedTuple):
    """One patient's accumulated dose in one target."""

    figures: dict[str, float]
    dvh: NDArray[np.float32]


def _block(ready: PreparedDose, drawn: Drawn) -> list[list[_Patient]]:
    """Each patient of a block: the whole target, then each lesion where there are several."""
    quantity: Quantity = "physical" if ready.alpha_beta_gy is None else "eqd2"
    kept = kept_metrics(quantity)
    return [
        [
            _Patient(figures_of(one, kept), one.volumes_at(ready.levels_gy).astype(np.float32))
            for one in accumulated(ready, drawn.of_patient(number_))
        ]
        for number_ in range(len(drawn.shifts_mm))
    ]


def accumulated(ready: PreparedDose, drawn: Drawn) -> tuple[DoseMetrics, ...]:
    """What one patient's target gets over his course: all lesions together, then each where there are several."""
    shifts, turns = drawn.shifts_mm[0], None if drawn.sample_turns is None else drawn.sample_turns[0]
    doses = [_accumulated(ready, which, shifts, turns) for which in range(len(ready.lesions))]
    return metrics_by_lesion(ready.lesions, ready.names, doses, ready.planned[0].prescription_gy)


def _accumulated(ready: PreparedDose, which: int, shifts_mm: Floats, turns: Floats | None) -> tuple[Floats, Floats]:
    """Dose of one patient's lesion, inside and on its surface, over fractions and times (fractions, times, 3).

    A fraction has one rotation (fractions, 1, 3, 3), or one at each time (fractions, times, 3, 3).
    """
    part, blur = ready.lesions[which], ready.blurs[which]
    points = np.concatenate([part.inner, part.surface])
    if turns is None and ready.alpha_beta_gy is None:
        of_fractions = blur.mean(points, shifts_mm.reshape(-1, 3))[None]
    elif turns is None:
        of_fractions = np.stack([blur.mean(points, shift) for shift in shifts_mm])
    else:
        away = points - ready.centre_mm
        each = zip(turns, shifts_mm, strict=True)
        of_fractions = np.stack([turned_mean(blur, away, ready.centre_mm, turn, shift) for turn, shift in each])
    mean = _weighted(of_fractions, len(shifts_mm), ready.alpha_beta_gy)
    return mean[: len(part.inner)], mean[len(part.inner) :]


def turned_mean(blur: Blur, away: Floats, centre: Floats, turns: Floats, shifts_mm: Floats) -> Floats:
    """Mean dose (N,) over the times of one fraction, at points that are turned about a centre, then displaced."""
    if len(turns) == 1:
        return blur.mean(away @ turns[0].T + centre, shifts_mm)
    mean = np.zeros(len(away))
    for turn, shift in zip(turns, shifts_mm, strict=True):
        mean += blur.mean(away @ turn.T + centre, shift[None])
    return mean / len(turns)


def _result(ready: PreparedDose, which: int, found: Sequence[_Patient]) -> DoseResult:
    planned = ready.planned[which]
    quantity: Quantity = "physical" if ready.alpha_beta_gy is None else "eqd2"
    figures = figures_of(planned, kept_metrics(quantity))
    return DoseResult(
        name=planned.name,
        volume_cc=planned.volume_cc,
        prescription_gy=planned.prescription_gy,
        metrics={key: np.array([patient.figures[key] for patient in found]) for key in figures},
        planned=figures,
        levels_gy=ready.levels_gy,
        dvh=np.stack([patient.dvh for patient in found]),
        planned_dvh=planned.volumes_at(ready.levels_gy),
        quantity=quantity,
    )
