"""A course of treatment: all that displaces the target, as one value that everything shares."""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ptvkit.errors import MotionError
from ptvkit.motion.breathing import Breathing, BreathingDraw, Streams
from ptvkit.motion.drawn import Drawn, joined
from ptvkit.motion.guidance import ImageGuidance, Part, Workload, guided
from ptvkit.motion.intrafraction import Intrafraction, within_fractions
from ptvkit.motion.setup import SeenBy, SetupError, draw
from ptvkit.motion.shape_change import ShapeChange
from ptvkit.values import number, whole

Floats = NDArray[np.float64]
Seed = int | np.random.Generator

BREATHING: Final = "breathing"
REFERENCE: Final = "breathing reference"
GUIDANCE: Final = "guidance errors"
INTRAFRACTION: Final = "intrafraction motion"
SHAPE_CHANGE: Final = "change of shape"

BLOCK: Final = 128
"""Patients that share random streams. Streams depend on the seed and the block alone, so that any number of workers,
and any number of patients more, leave the others as they were."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Course:
    """What displaces the target in a course of treatment.

    Parameters
    ----------
    setup : sequence of SetupError
        By name; each name once.
    guidance : ImageGuidance, optional
        None: nothing is corrected.
    breathing : Breathing, optional
        None: the target does not breathe.
    intrafraction : Intrafraction, optional
        Drifts and random walks after the match, images while the beam is on, online adaptation.
    shape_change : ShapeChange, optional
        Growth or shrinkage since the planning CT.
    fractions : int
    fraction_s : float
        How long the beam is on the target in each, s.

    Raises
    ------
    MotionError
        When a value is out of range, or two errors have one name.

    Examples
    --------
    >>> course = Course(setup=[SetupError(systematic_mm=2, random_mm=3)], fractions=12)
    >>> sample_course(course, patients=5, seed=1).shifts_mm.shape
    (5, 12, 1, 3)
    """

    setup: Sequence[SetupError] = ()
    guidance: ImageGuidance | None = None
    breathing: Breathing | None = None
    intrafraction: Intrafraction | None = None
    shape_change: ShapeChange | None = None
    fractions: int = 1
    fraction_s: float = 90.0

    def __post_init__(self) -> None:
        setup = (self.setup,) if isinstance(self.setup, SetupError) else tuple(self.setup)
        names = [error.name for error in setup]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise MotionError(f"setup: two errors are named {twice[0]!r}; give each its own name")
        if taken := {BREATHING, REFERENCE, GUIDANCE, INTRAFRACTION, SHAPE_CHANGE} & set(names):
            raise MotionError(f"setup: {min(taken)!r} is the name of what a course adds itself; choose another name")
        object.__setattr__(self, "setup", setup)
        whole("fractions", self.fractions, least=1, most=1000)
        number("fraction_s", self.fraction_s, least=0.0, most=1e5, above=True)

    @property
    def turns(self) -> bool:
        """Whether the target turns: a set-up error has a rotation, or the breathing has."""
        return any(error.turns for error in self.setup) or (self.breathing is not None and self.breathing.turns)

    @property
    def grows(self) -> bool:
        """Whether the target moves within a fraction."""
        return self.drifts_after_match or self.breathing is not None

    @property
    def drifts_after_match(self) -> bool:
        """Whether something other than breathing moves the target between the match and the end of the fraction."""
        drifts = self.guidance is not None and bool(np.any(self.guidance.drift_sd_mm))
        return drifts or self.intrafraction is not None


def sample_course(
    course: Course,
    *,
    patients: int,
    seed: Seed = 0,
    samples: int | None = None,
    centre_mm: Sequence[float] | Floats = (0.0, 0.0, 0.0),
) -> Drawn:
    """Displacements of simulated patients: where the target is, relative to where it was planned.

    Parameters
    ----------
    course : Course
    patients : int
    seed : int or Generator
        The same seed gives the same patients; more patients leave the first ones as they were.
    samples : int, optional
        Times within each fraction; by default 100 when something moves within it, else 1.
    centre_mm : (3,)
        The target's centroid, about which it turns.

    Examples
    --------
    >>> course = Course(setup=[SetupError(systematic_mm=2)], fractions=3)
    >>> many, few = (sample_course(course, patients=n, seed=4).shifts_mm for n in (200, 2))
    >>> bool((many[:2] == few).all())
    True
    """
    drawn = list(drawn_blocks(course, patients=patients, seed=seed, samples=samples, centre_mm=centre_mm))
    return drawn[0]._with(
        [np.concatenate(shifts) for shifts in zip(*([p.shift_mm for p in d.parts] for d in drawn), strict=True)],
        {name: joined([d._arrays[name] for d in drawn]) for name in drawn[0]._arrays},
    )


def drawn_blocks(
    course: Course,
    *,
    patients: int,
    seed: Seed = 0,
    samples: int | None = None,
    centre_mm: Sequence[float] | Floats = (0.0, 0.0, 0.0),
) -> Iterator[Drawn]:
    """The patients of `sample_course` block by block, where all together are too many to hold."""
    count, start = whole("patients", patients, least=1, most=1_000_000_000), root(seed)
    for block, patients_in in blocks(count):
        yield draw_block(course, block, patients_in, start, samples_of(course, samples), np.asarray(centre_mm, float))


def samples_of(course: Course, samples: int | None) -> int:
    """Times within a fraction: as asked, or what the course needs."""
    if samples is not None:
        return whole("samples", samples, least=1, most=1_000_000)
    within = course.breathing is not None or course.intrafraction is not None
    return 100 if within else 10 if course.grows else 1


def root(seed: Seed) -> int:
    """The number that all streams come from."""
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(2**62))
    return whole("seed", seed, least=0, most=2**63)


def blocks(patients: int, first: int = 0) -> Iterator[tuple[int, int]]:
    """Blocks of patients from number `first` on, which begins one: (block, patients in it)."""
    for start in range(first, patients, BLOCK):
        yield start // BLOCK, min(BLOCK, patients - start)


def components(course: Course) -> tuple[str, ...]:
    """Names of what displaces the target: each set-up error, what breathing, the time and guidance add."""
    found = [error.name for error in course.setup]
    if course.breathing is not None:
        found += [BREATHING, REFERENCE]
    if course.intrafraction is not None:
        found.append(INTRAFRACTION)
    if course.shape_change is not None:
        found.append(SHAPE_CHANGE)
    return (*found, GUIDANCE) if course.guidance is not None else tuple(found)


def draw_block(
    course: Course,
    block: int,
    patients: int,
    seed: int,
    samples: int,
    centre_mm: Floats,
    kept: Container[str] | None = None,
    shared: Mapping[str, tuple[int, int]] | None = None,
    moved: BreathingDraw | None = None,
) -> Drawn:
    """Displacements of one block of patients, the first `patients` of it.

    With `kept` only these `components` displace and the others are 0; all random draws stay the same. `shared` names
    set-up errors whose systematic part is drawn as that of another course: its seed, and the error's place there. With
    `moved` the block's breathing, which `draw_breathing` drew before, is not drawn again.
    """

    def stream(*key: int) -> np.random.Generator:
        return np.random.default_rng([seed, block, *key])

    def there(component: str) -> float:
        return 1.0 if kept is None or component in kept else 0.0

    elsewhere = {
        name: np.random.default_rng([other, block, 0, place]) for name, (other, place) in (shared or {}).items()
    }
    parts, turns = _set_up(course, stream, centre_mm, there, elsewhere)
    drift = []
    moved = draw_breathing(course, block, seed, samples) if moved is None else moved
    if moved is not None:
        parts += _breathing_parts(course, moved, there)
        drift.append(Part("breathing drift", "nothing", moved.drift_mm * there(BREATHING), grows=True))
    workload = None
    parts = parts or [Part("no error", "nothing", np.zeros((BLOCK, course.fractions, 3)))]
    if course.guidance is not None:
        protocol = course.guidance if there(GUIDANCE) else course.guidance.without_errors()
        parts, workload = guided(parts, protocol, [stream(1, 0), stream(1, 1), stream(1, 2)])
    path = None
    if course.intrafraction is not None:
        motion = course.intrafraction if there(INTRAFRACTION) else course.intrafraction.without_errors()
        parts, path = within_fractions(motion, [*parts, *drift], course.fraction_s / 60, stream)
        drift, turns = [], turns * (motion.adaptation_min is None)
    growth = None
    if course.shape_change is not None:
        growth = course.shape_change.draw(BLOCK, course.fractions, stream(4, 0)) * there(SHAPE_CHANGE)
    drawn = Drawn(
        parts=tuple(replace(part, shift_mm=part.shift_mm[:patients]) for part in [*parts, *drift]),
        wave_mm=None,
        rotations_rad=turns[:patients] if any(error.turns for error in course.setup) else None,
        time_s=None,
        samples=samples,
        path=None if path is None else path._replace(path_mm=path.path_mm[:patients]),
        workload=None if workload is None else Workload(*(one[:patients] for one in workload)),
        growth_mm=None if growth is None else growth[:patients],
        fraction_s=course.fraction_s,
    )
    return drawn if moved is None else replace(drawn, **_waves(moved, patients, course.fraction_s, there(BREATHING)))


def draw_breathing(course: Course, block: int, seed: int, samples: int) -> BreathingDraw | None:
    """Breathing of one block of patients, the same whatever else displaces them; None where nothing breathes."""
    if course.breathing is None:
        return None
    rng = Streams(*(np.random.default_rng([seed, block, 2, which]) for which in range(3)))
    return course.breathing.draw(
        BLOCK, course.fractions, samples, course.fraction_s, rng, drifts=course.drifts_after_match
    )


def _waves(moved: BreathingDraw, patients: int, fraction_s: float, there: float) -> dict[str, Any]:
    """The arrays of `Drawn` that breathing fills; what a match may see of the waves has become a part of its own."""
    seen = moved.day_amplitude_mm + moved.day_baseline_mm
    waves: dict[str, Floats] = {
        "wave_mm": (moved.wave_mm - seen[:, :, None, :]) * there,
        "wave_extremes_mm": (moved.extremes_mm - seen[:, :, None, :]) * there,
        "time_s": moved.time_s,
        "extreme_shares": moved.extremes_s / fraction_s,
    }
    if moved.turning is not None:
        waves["wave_turns_rad"] = moved.turning.at(moved.time_s) * there
        waves["extreme_turns_rad"] = moved.turning.at(moved.extremes_s) * there
    if moved.planned_mm is not None:
        waves["planned_mm"] = np.repeat(moved.planned_mm, seen.shape[1], axis=1)
        waves["wave_mean_mm"] = seen + moved.reference_mm + moved.planned_mm
    return {name: array[:patients] for name, array in waves.items()}


def _breathing_parts(course: Course, moved: BreathingDraw, there: Callable[[str], float]) -> list[Part]:
    """What breathing adds to a whole fraction, and whether a soft-tissue match sees it."""
    sees = "like_phase" if course.guidance is None else course.guidance.soft_tissue_sees
    alias = course.breathing is not None and course.breathing.reference_seen_by == "soft_tissue"
    offset: SeenBy = "soft_tissue" if sees == "time_mean" or alias else "nothing"
    baseline: SeenBy = "nothing" if sees == "nothing" else "soft_tissue"
    of_course = np.repeat(moved.reference_mm, course.fractions, axis=1)
    shift = moved.baseline_mm - moved.planning_day_mm + moved.day_baseline_mm
    return [
        Part(REFERENCE, offset, of_course * there(REFERENCE)),
        Part("breathing amplitude", offset, moved.day_amplitude_mm * there(BREATHING)),
        Part("breathing baseline", baseline, shift * there(BREATHING)),
    ]


def _set_up(
    course: Course,
    stream: Callable[..., np.random.Generator],
    centre_mm: Floats,
    there: Callable[[str], float],
    shared: Mapping[str, np.random.Generator],
) -> tuple[list[Part], Floats]:
    """The set-up errors' parts and their rotations; a pivot away from the target displaces it too."""
    parts, turns = [], np.zeros((BLOCK, course.fractions, 3))
    for index, error in enumerate(course.setup):
        shift, turn = draw(error, BLOCK, course.fractions, stream(0, index), shared.get(error.name))
        parts.append(Part(error.name, error.seen_by, shift * there(error.name)))
        if not error.turns:
            continue
        turn *= there(error.name)
        turns += turn
        if error.pivot_mm is not None:
            seen: SeenBy = "nothing" if error.seen_by == "nothing" else "soft_tissue"
            lever = _lever(turn, centre_mm - np.asarray(error.pivot_mm))
            parts.append(Part(f"{error.name}, lever", seen, lever))
    return parts, turns


def _lever(rotations_rad: Floats, arm_mm: Floats) -> Floats:
    """Displacement (..., 3) of a point at `arm_mm` from the pivot: ``(R − 1) arm``."""
    turned = Rotation.from_rotvec(rotations_rad.reshape(-1, 3)).apply(arm_mm)
    displaced: Floats = (turned - arm_mm).reshape(rotations_rad.shape)
    return displaced
