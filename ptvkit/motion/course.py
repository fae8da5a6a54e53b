"""A course of treatment: all that displaces the target, as one value that everything shares."""

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ptvkit.errors import MotionError
from ptvkit.motion.breathing import Breathing, Streams
from ptvkit.motion.guidance import ImageGuidance, Part, guided
from ptvkit.motion.setup import SeenBy, SetupError, draw
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
        """Whether some set-up error has a rotation."""
        return any(error.turns for error in self.setup)

    @property
    def grows(self) -> bool:
        """Whether the target moves within a fraction."""
        drifts = self.guidance is not None and bool(np.any(self.guidance.drift_sd_mm))
        return drifts or self.breathing is not None


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
        Rotation vectors about the target's centroid.
    time_s : (patients, fractions, samples) array or None
        When the wave was sampled, since the begin of each fraction.
    samples : int
    """

    parts: tuple[Part, ...]
    wave_mm: Floats | None
    rotations_rad: Floats | None
    time_s: Floats | None
    samples: int

    @cached_property
    def shifts_mm(self) -> Floats:
        """Displacements (patients, fractions, samples, 3), mm."""
        still = np.sum([part.shift_mm for part in self.parts if not part.grows], axis=0)[:, :, None, :]
        grown = [part.shift_mm for part in self.parts if part.grows]
        share = ((np.arange(self.samples) + 0.5) / self.samples)[:, None]
        total = still + (np.sum(grown, axis=0)[:, :, None, :] * share if grown else 0.0)
        moved: Floats = np.broadcast_to(total, (*still.shape[:2], self.samples, 3)) + (
            0.0 if self.wave_mm is None else self.wave_mm
        )
        return moved

    def of_patient(self, number: int) -> "Drawn":
        """One patient's alone; every array keeps its axes."""
        own = slice(number, number + 1)
        return Drawn(
            parts=tuple(Part(p.name, p.seen_by, p.shift_mm[own], grows=p.grows) for p in self.parts),
            wave_mm=None if self.wave_mm is None else self.wave_mm[own],
            rotations_rad=None if self.rotations_rad is None else self.rotations_rad[own],
            time_s=None if self.time_s is None else self.time_s[own],
            samples=self.samples,
        )

    @property
    def turns(self) -> Floats | None:
        """Rotation matrices (patients, fractions, 3, 3)."""
        if self.rotations_rad is None:
            return None
        shape = self.rotations_rad.shape
        matrices: Floats = Rotation.from_rotvec(self.rotations_rad.reshape(-1, 3)).as_matrix().reshape(*shape, 3)
        return matrices


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
    first = drawn[0]
    parts = [
        Part(part.name, part.seen_by, np.concatenate([d.parts[i].shift_mm for d in drawn]), grows=part.grows)
        for i, part in enumerate(first.parts)
    ]
    return Drawn(
        parts=tuple(parts),
        wave_mm=_joined([d.wave_mm for d in drawn]),
        rotations_rad=_joined([d.rotations_rad for d in drawn]),
        time_s=_joined([d.time_s for d in drawn]),
        samples=first.samples,
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
) -> Drawn:
    """Displacements of one block of patients, the first `patients` of it.

    With `kept` only these `components` displace; the others are 0, and everybody's luck stays the same.
    """

    def stream(*key: int) -> np.random.Generator:
        return np.random.default_rng([seed, block, *key])

    def there(component: str) -> float:
        return 1.0 if kept is None or component in kept else 0.0

    parts, turns = _set_up(course, stream, centre_mm, there)
    wave, time, drift = None, None, []
    if course.breathing is not None:
        rng = Streams(stream(2, 0), stream(2, 1), stream(2, 2))
        moved = course.breathing.draw(BLOCK, course.fractions, samples, course.fraction_s, rng)
        wave, time = moved.wave_mm[:patients] * there(BREATHING), moved.time_s[:patients]
        kept_mm = np.repeat(moved.reference_mm, course.fractions, axis=1) * there(REFERENCE)
        parts.append(Part(REFERENCE, course.breathing.reference_seen_by, kept_mm))
        parts.append(Part("breathing baseline", "soft_tissue", moved.baseline_mm * there(BREATHING)))
        drift.append(Part("breathing drift", "nothing", moved.drift_mm * there(BREATHING), grows=True))
    parts = parts or [Part("no error", "nothing", np.zeros((BLOCK, course.fractions, 3)))]
    if course.guidance is not None:
        protocol = course.guidance if there(GUIDANCE) else course.guidance.without_errors()
        parts = guided(parts, protocol, [stream(1, 0), stream(1, 1), stream(1, 2)])
    return Drawn(
        parts=tuple(Part(p.name, p.seen_by, p.shift_mm[:patients], grows=p.grows) for p in [*parts, *drift]),
        wave_mm=wave,
        rotations_rad=turns[:patients] if course.turns else None,
        time_s=time,
        samples=samples,
    )


def _set_up(
    course: Course,
    stream: Callable[..., np.random.Generator],
    centre_mm: Floats,
    there: Callable[[str], float],
) -> tuple[list[Part], Floats]:
    """The set-up errors' parts and their rotations; a pivot away from the target displaces it too."""
    parts, turns = [], np.zeros((BLOCK, course.fractions, 3))
    for index, error in enumerate(course.setup):
        shift, turn = draw(error, BLOCK, course.fractions, stream(0, index))
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
    found: Floats = (turned - arm_mm).reshape(rotations_rad.shape)
    return found


def _joined(arrays: Sequence[Floats | None]) -> Floats | None:
    there = [array for array in arrays if array is not None]
    return np.concatenate(there) if there else None
