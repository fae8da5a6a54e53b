"""A course of treatment: all that displaces the target, as one value that everything shares."""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ptvkit.errors import MotionError
from ptvkit.motion.breathed import BREATHING, REFERENCE, breathing_parts, waves_of
from ptvkit.motion.breathing import Breathing, BreathingDraw, Streams
from ptvkit.motion.drawn import Drawn, joined
from ptvkit.motion.guidance import ImageGuidance, Part, Workload, guided
from ptvkit.motion.intrafraction import Intrafraction, within_fractions
from ptvkit.motion.management.breath_hold import BreathHold
from ptvkit.motion.management.management import Ask, Management
from ptvkit.motion.setup import SeenBy, SetupError, draw
from ptvkit.motion.shape_change import ShapeChange
from ptvkit.values import number, whole

Floats = NDArray[np.float64]
Seed = int | np.random.Generator

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
    management : Gate, BreathHold, Tracking or Compression, optional
        What is done about the breathing.
    fractions : int
    fraction_s : float
        How long the beam is on the target in each, s.

    Raises
    ------
    MotionError
        When a value is out of range, two errors have one name, or the breathing cannot be managed so.

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
    management: Management | None = None
    fractions: int = 1
    fraction_s: float = 90.0

    def __post_init__(self) -> None:
        setup = (self.setup,) if isinstance(self.setup, SetupError) else tuple(self.setup or ())
        names = [error.name for error in setup]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise MotionError(f"setup: two errors are named {twice[0]!r}; give each its own name")
        if taken := {BREATHING, REFERENCE, GUIDANCE, INTRAFRACTION, SHAPE_CHANGE} & set(names):
            raise MotionError(f"setup: {min(taken)!r} is the name of what a course adds itself; choose another name")
        object.__setattr__(self, "setup", setup)
        whole("fractions", self.fractions, least=1, most=1000)
        number("fraction_s", self.fraction_s, least=0.0, most=1e5, above=True)
        if self.management is not None:
            self.management.check(self.breathing)

    @property
    def turns(self) -> bool:
        """Whether the target turns: a set-up error has a rotation, or the breathing has."""
        return any(error.turns for error in self.setup) or (self.breathing is not None and self.breathing.turns)

    @property
    def grows(self) -> bool:
        """Whether the target moves within a fraction."""
        return self.drifts_after_match or self.breathes

    @property
    def breathes(self) -> bool:
        """Whether the target moves with breathing, or with what manages it."""
        return self.breathing is not None or (self.management is not None and self.management.moves_alone)

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
    extremes: bool = True,
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
    extremes : bool
        Whether to find out where the displacement reaches furthest in each fraction.

    Examples
    --------
    >>> course = Course(setup=[SetupError(systematic_mm=2)], fractions=3)
    >>> many, few = (sample_course(course, patients=n, seed=4).shifts_mm for n in (200, 2))
    >>> bool((many[:2] == few).all())
    True
    """
    drawn = list(
        drawn_blocks(course, patients=patients, seed=seed, samples=samples, centre_mm=centre_mm, extremes=extremes)
    )
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
    extremes: bool = True,
) -> Iterator[Drawn]:
    """The patients of `sample_course` block by block, where all together are too many to hold."""
    count, start = whole("patients", patients, least=1, most=1_000_000_000), root(seed)
    times, centre = samples_of(course, samples), np.asarray(centre_mm, float)
    for block, patients_in in blocks(count):
        yield draw_block(course, block, patients_in, start, times, centre, extremes=extremes)


def samples_of(course: Course, samples: int | None) -> int:
    """Times within a fraction: as asked, or what the course needs."""
    if samples is not None:
        return whole("samples", samples, least=1, most=1_000_000)
    within = course.breathes or course.intrafraction is not None
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
    if course.breathes:
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
    *,
    extremes: bool = True,
) -> Drawn:
    """Displacements of one block of patients, the first `patients` of it.

    With `kept` only these `components` displace and the others are 0; all random draws stay the same. `shared` names
    set-up errors whose systematic part is drawn as that of another course: its seed, and the error's place there. With
    `moved` the block's breathing, which `draw_breathing` drew before, is not drawn again.
    Without `extremes` nothing is known of where breathing reaches furthest, which takes time to find.
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
    moved = draw_breathing(course, block, seed, samples, extremes=extremes) if moved is None else moved
    if moved is not None:
        parts += breathing_parts(moved, course.breathing, course.guidance, there)
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
        if course.intrafraction is not None and course.intrafraction.adaptation_min is not None:
            growth = 0.0 * growth  # the target is drawn anew before each fraction
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
    if moved is None:
        return drawn
    waves = waves_of(moved, course.fraction_s, there(BREATHING), extremes)
    return drawn._with(
        [part.shift_mm for part in drawn.parts],
        drawn._arrays | {name: one[:patients] for name, one in waves.items()},
    )


def draw_breathing(
    course: Course, block: int, seed: int, samples: int, *, extremes: bool = True
) -> BreathingDraw | None:
    """Breathing of one block of patients, as far as its management leaves it, the same whatever else displaces them.

    None where nothing breathes.

    Raises
    ------
    MotionError
        When the beam pauses, and other motion is given for a fraction without pauses.
    """
    if not course.breathes:
        return None
    rng = Streams(*(np.random.default_rng([seed, block, 2, which]) for which in range(3)))
    ask = Ask(BLOCK, course.fractions, samples, course.fraction_s, course.drifts_after_match, extremes)
    if course.management is None:
        assert course.breathing is not None
        return course.breathing.draw(BLOCK, course.fractions, samples, course.fraction_s, rng, drifts=ask.drifts)
    _check_holds(course)
    moved = course.management.draw(course.breathing, ask, rng)
    if course.intrafraction is not None and moved.time_s.max() > course.fraction_s * (1 + 1e-9):
        raise MotionError("intrafraction: is not known for a beam that pauses; leave it or the management out")
    return moved


def _check_holds(course: Course) -> None:
    """Refuse holds that end before the beam time that drifts and other motion are given for."""
    hold = course.management
    if not isinstance(hold, BreathHold) or hold.holds is None or not course.drifts_after_match:
        return
    if hold.holds * hold.hold_s < course.fraction_s * (1 - 1e-9):
        raise MotionError(
            f"breath hold: {hold.holds} of {hold.hold_s:g} s are shorter than the beam time, {course.fraction_s:g} s,"
            " over which the drift is given; give more holds, or a shorter fraction"
        )


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
