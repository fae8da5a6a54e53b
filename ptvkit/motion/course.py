"""A course of treatment: all that displaces the target, as one value that everything shares."""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ptvkit.errors import MotionError
from ptvkit.motion.breathing import Breathing, BreathingDraw, Streams
from ptvkit.motion.guidance import ImageGuidance, Part, guided
from ptvkit.motion.setup import SeenBy, SetupError, draw
from ptvkit.motion.turning import matrices
from ptvkit.values import number, whole

Floats = NDArray[np.float64]
Seed = int | np.random.Generator

BREATHING: Final = "breathing"
REFERENCE: Final = "breathing reference"
GUIDANCE: Final = "guidance errors"

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
        None: the target keeps still within a fraction.
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
    fractions: int = 1
    fraction_s: float = 90.0

    def __post_init__(self) -> None:
        setup = (self.setup,) if isinstance(self.setup, SetupError) else tuple(self.setup)
        names = [error.name for error in setup]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise MotionError(f"setup: two errors are named {twice[0]!r}; give each its own name")
        if taken := {BREATHING, REFERENCE, GUIDANCE} & set(names):
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
        """Whether guidance adds a drift between the match and the end of the fraction."""
        return self.guidance is not None and bool(np.any(self.guidance.drift_sd_mm))


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """Displacements of a block of patients.

    Attributes
    ----------
    parts : tuple of Part
        Add up to the fraction's displacement.
    wave_mm : (patients, fractions, samples, 3) array or None
        Breathing about its time mean.
    rotations_rad : (patients, fractions, 3) array or None
        Rotation vectors of the set-up errors about the target's centroid.
    time_s : (patients, fractions, samples) array or None
        When the wave was sampled, since the beginning of each fraction.
    samples : int
    wave_extremes_mm : (patients, fractions, extremes, 3) array or None
        As `wave_mm`, where the breathing reaches furthest.
    extreme_shares : (patients, fractions, extremes) array or None
        When, as a share of the fraction.
    wave_turns_rad, extreme_turns_rad : (patients, fractions, samples or extremes, 3) array or None
        Rotation vectors of the breathing, before those of the set-up errors.
    wave_mean_mm : (patients, fractions, 3) array or None
        What makes `wave_mm` a position about the time mean of the patient's breathing.
    planned_mm : (patients, fractions, 3) array or None
        The planned position about that mean.
    fraction_s : float
    """

    parts: tuple[Part, ...]
    wave_mm: Floats | None
    rotations_rad: Floats | None
    time_s: Floats | None
    samples: int
    wave_extremes_mm: Floats | None = None
    extreme_shares: Floats | None = None
    wave_turns_rad: Floats | None = None
    extreme_turns_rad: Floats | None = None
    wave_mean_mm: Floats | None = None
    planned_mm: Floats | None = None
    fraction_s: float = 1.0

    @cached_property
    def shifts_mm(self) -> Floats:
        """Displacements (patients, fractions, samples, 3) at the times that stand for the whole of a fraction, mm."""
        if self.time_s is not None:
            return self._moved(self.time_s / self.fraction_s, self.wave_mm)
        share = (np.arange(self.samples) + 0.5) / self.samples
        return self._moved(np.broadcast_to(share, (*self._shape, self.samples)), self.wave_mm)

    @cached_property
    def extreme_shifts_mm(self) -> Floats:
        """Displacements (patients, fractions, extremes, 3) between which all others of a fraction lie, mm.

        The ends of breaths, or every point of a recording; the beginning and the end of a fraction of steady drift.
        They do not depend on `samples`.
        """
        if self.extreme_shares is not None:
            return self._moved(self.extreme_shares, self.wave_extremes_mm)
        drifts = any(part.grows and part.shift_mm.any() for part in self.parts)
        share = np.array([0.0, 1.0] if drifts else [0.0])
        return self._moved(np.broadcast_to(share, (*self._shape, len(share))), None)

    @property
    def _shape(self) -> tuple[int, int]:
        patients, fractions, _ = self.parts[0].shift_mm.shape
        return patients, fractions

    def _moved(self, share: Floats, wave_mm: Floats | None) -> Floats:
        """Displacements at shares (patients, fractions, T) of the fraction; drifts grow in straight lines."""
        total = np.zeros((*share.shape, 3)) if wave_mm is None else wave_mm.copy()
        for part in self.parts:
            if not part.grows:
                total += part.shift_mm[:, :, None, :]
            elif part.shift_mm.any():
                total += part.shift_mm[:, :, None, :] * share[..., None]
        return total

    def of_patient(self, number: int) -> "Drawn":
        """One patient's alone; every array keeps its axes."""
        own = slice(number, number + 1)
        return self._with(
            [part.shift_mm[own] for part in self.parts],
            {name: array[own] for name, array in self._arrays.items()},
        )

    @property
    def _arrays(self) -> dict[str, Floats]:
        """The arrays that there are beside those of the parts."""
        arrays = {name: getattr(self, name) for name in ARRAYS}
        return {name: array for name, array in arrays.items() if array is not None}

    def _with(self, shifts_mm: Sequence[Floats], arrays: Mapping[str, Any]) -> "Drawn":
        parts = tuple(replace(part, shift_mm=shift) for part, shift in zip(self.parts, shifts_mm, strict=True))
        return replace(self, parts=parts, **arrays)

    @property
    def turns(self) -> Floats | None:
        """Rotation matrices of the set-up errors (patients, fractions, 3, 3)."""
        return None if self.rotations_rad is None else matrices(self.rotations_rad)

    @cached_property
    def sample_turns(self) -> Floats | None:
        """Rotation matrices (patients, fractions, samples or 1, 3, 3) at the times of `shifts_mm`."""
        return self._turned(self.wave_turns_rad)

    @cached_property
    def extreme_turns(self) -> Floats | None:
        """Rotation matrices (patients, fractions, extremes or 1, 3, 3) at the times of `extreme_shifts_mm`."""
        return self._turned(self.extreme_turns_rad)

    def _turned(self, wave_rad: Floats | None) -> Floats | None:
        """Of the breathing in the patient, who is then turned by the set-up errors."""
        setup = None if self.turns is None else self.turns[:, :, None]
        if wave_rad is None:
            return setup
        return matrices(wave_rad) if setup is None else setup @ matrices(wave_rad)


ARRAYS: Final = (
    "wave_mm",
    "rotations_rad",
    "time_s",
    "wave_extremes_mm",
    "extreme_shares",
    "wave_turns_rad",
    "extreme_turns_rad",
    "wave_mean_mm",
    "planned_mm",
)
"""Arrays of `Drawn` whose first axis counts patients."""


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
    count = whole("patients", patients, least=1, most=1_000_000_000)
    drawn = [
        draw_block(course, block, n, root(seed), samples_of(course, samples), np.asarray(centre_mm, float))
        for block, n in blocks(count)
    ]
    return drawn[0]._with(
        [np.concatenate(shifts) for shifts in zip(*([p.shift_mm for p in d.parts] for d in drawn), strict=True)],
        {name: _joined([d._arrays[name] for d in drawn]) for name in drawn[0]._arrays},
    )


def samples_of(course: Course, samples: int | None) -> int:
    """Times within a fraction: as asked, or what the course needs."""
    if samples is not None:
        return whole("samples", samples, least=1, most=1_000_000)
    return 100 if course.breathing is not None else 10 if course.grows else 1


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
    """Names of what displaces the target: each set-up error, what breathing adds, what guidance adds."""
    found = [error.name for error in course.setup]
    if course.breathing is not None:
        found += [BREATHING, REFERENCE]
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
) -> Drawn:
    """Displacements of one block of patients, the first `patients` of it.

    With `kept` only these `components` displace and the others are 0; all random draws stay the same. `shared` names
    set-up errors whose systematic part is drawn as that of another course: its seed, and the error's place there.
    """

    def stream(*key: int) -> np.random.Generator:
        return np.random.default_rng([seed, block, *key])

    def there(component: str) -> float:
        return 1.0 if kept is None or component in kept else 0.0

    elsewhere = {
        name: np.random.default_rng([other, block, 0, place]) for name, (other, place) in (shared or {}).items()
    }
    parts, turns = _set_up(course, stream, centre_mm, there, elsewhere)
    moved, drift = None, []
    if course.breathing is not None:
        rng = Streams(stream(2, 0), stream(2, 1), stream(2, 2))
        moved = course.breathing.draw(
            BLOCK, course.fractions, samples, course.fraction_s, rng, drifts=course.drifts_after_match
        )
        parts += _breathing_parts(course, moved, there)
        drift.append(Part("breathing drift", "nothing", moved.drift_mm * there(BREATHING), grows=True))
    parts = parts or [Part("no error", "nothing", np.zeros((BLOCK, course.fractions, 3)))]
    if course.guidance is not None:
        protocol = course.guidance if there(GUIDANCE) else course.guidance.without_errors()
        parts = guided(parts, protocol, [stream(1, 0), stream(1, 1), stream(1, 2)])
    drawn = Drawn(
        parts=tuple(replace(part, shift_mm=part.shift_mm[:patients]) for part in [*parts, *drift]),
        wave_mm=None,
        rotations_rad=turns[:patients] if any(error.turns for error in course.setup) else None,
        time_s=None,
        samples=samples,
        fraction_s=course.fraction_s,
    )
    return drawn if moved is None else replace(drawn, **_waves(moved, patients, course.fraction_s, there(BREATHING)))


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


def _joined(arrays: Sequence[Floats]) -> Floats:
    longest = max(array.shape[2] for array in arrays)  # of the last cycle, some blocks have extremes more
    return np.concatenate([_extended(array, longest) for array in arrays])


def _extended(array: Floats, length: int) -> Floats:
    """An array (P, F, E, ...) whose last entry along E is repeated up to a length."""
    rest = [(0, 0)] * array.ndim
    rest[2] = (0, length - array.shape[2])
    return np.pad(array, rest, mode="edge")
