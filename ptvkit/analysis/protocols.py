"""Correction protocols and beam times compared on one population: what stays, what it costs in images and minutes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import MotionError
from ptvkit.motion.course import Course, Seed, drawn_blocks, root
from ptvkit.motion.drawn import Drawn
from ptvkit.motion.guidance import ImageGuidance
from ptvkit.motion.protocols import PROTOCOLS
from ptvkit.motion.residuals import Residual, residual_errors, residuals_of
from ptvkit.recipes import PENUMBRA_MM, van_herk
from ptvkit.values import number, triple

Floats = NDArray[np.float64]
NO_GUIDANCE: Final = "none"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProtocolRow:
    """One protocol on a population. Triples are (LR, AP, SI), mm.

    Attributes
    ----------
    name : str
    residual : Residual
        Mean, Σ' and σ' that stay over the whole course.
    margin_mm : (3,) array
        |mean| + 2.5Σ' + 1.64(√(σ'² + σp²) − σp).
    images, corrections : float
        For each patient and course, on average.
    """

    name: str
    residual: Residual
    margin_mm: Floats
    images: float
    corrections: float


def compare_protocols(
    course: Course,
    protocols: Sequence[str] = (NO_GUIDANCE, "nal", "enal", "sal", "each"),
    *,
    patients: int = 2000,
    seed: Seed = 0,
    penumbra_mm: ArrayLike = PENUMBRA_MM,
) -> tuple[ProtocolRow, ...]:
    """Correction protocols on one population: residual errors, margin and workload.

    Parameters
    ----------
    course : Course
        Its guidance says what is matched, how well, and the settings of the protocols; all see the same errors.
    protocols : sequence of str
        Values of `ImageGuidance.corrected_from`, or ``"none"``.
    patients : int
    seed : int or Generator
    penumbra_mm : (3,) array or float
        σp of the margin.

    Raises
    ------
    MotionError
        When a protocol is unknown, or the guidance has two matches.

    Examples
    --------
    >>> from ptvkit import SetupError
    >>> course = Course(
    ...     setup=[SetupError(systematic_mm=3, random_mm=3, trend_mm=0.1)],
    ...     guidance=ImageGuidance(match="bone"),
    ...     fractions=20,
    ... )
    >>> rows = compare_protocols(course, ("none", "nal", "each"), patients=400)
    >>> [(row.name, round(row.images), bool(row.margin_mm.max() < 8)) for row in rows]
    [('none', 0, False), ('nal', 3, True), ('each', 20, True)]
    """
    guidance = course.guidance or ImageGuidance(match="bone")
    unknown = [name for name in protocols if name not in (NO_GUIDANCE, *PROTOCOLS)]
    if unknown:
        raise MotionError(f"protocols: {unknown[0]!r} is unknown; use {', '.join((NO_GUIDANCE, *PROTOCOLS))}")
    rows, start = [], root(seed)
    for name in protocols:
        own = None if name == NO_GUIDANCE else replace(guidance, corrected_from=name)  # type: ignore[arg-type]
        counted: list[tuple[Floats, Floats]] = []
        blocks = drawn_blocks(replace(course, guidance=own), patients=patients, seed=start, samples=20)
        left = residuals_of(_counted(blocks, counted), course)[-1]
        images, corrections = (
            (float(np.concatenate(one).mean()) for one in zip(*counted, strict=True)) if counted else (0.0, 0.0)
        )
        rows.append(
            ProtocolRow(
                name=name, residual=left, margin_mm=_margin(left, penumbra_mm), images=images, corrections=corrections
            )
        )
    return tuple(rows)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BeamTime:
    """What the time within a fraction costs.

    Attributes
    ----------
    minutes : (N,) array
        Time for which the beam is on in each fraction.
    mean_mm, systematic_mm, random_mm : (N, 3) array
        Mean, Σ' and σ' that stay.
    margin_mm : (N, 3) array
        |mean| + 2.5Σ' + 1.64(√(σ'² + σp²) − σp).
    """

    minutes: Floats
    mean_mm: Floats
    systematic_mm: Floats
    random_mm: Floats
    margin_mm: Floats

    @property
    def mm_per_10_min(self) -> Floats:
        """Margin (3,) that each ten minutes more cost, the slope of a straight line through all times, mm."""
        slope: Floats = 10 * np.polyfit(self.minutes, self.margin_mm, 1)[0]
        return slope

    def __str__(self) -> str:
        axis = int(np.argmax(np.abs(self.mm_per_10_min)))
        cost = float(self.mm_per_10_min[axis])
        verb = "cost" if cost >= 0 else "save"
        return f"each ten minutes more {verb} {abs(cost):.1f} mm of margin {('LR', 'AP', 'SI')[axis]}"


def beam_time(
    course: Course,
    minutes: Sequence[float] = (2, 5, 10, 15, 20),
    *,
    patients: int = 2000,
    seed: Seed = 0,
    penumbra_mm: ArrayLike = PENUMBRA_MM,
) -> BeamTime:
    """Residual errors and margin against the time for which the beam is on in each fraction.

    Parameters
    ----------
    course : Course
        With an `Intrafraction`; its `fraction_s` is replaced.
    minutes : sequence of float
        At least two.
    patients, seed, penumbra_mm
        As in `compare_protocols`.

    Raises
    ------
    MotionError
        When the course has no intrafraction motion, or fewer than two times are given.

    Examples
    --------
    >>> from ptvkit import Intrafraction, SetupError
    >>> walk = Intrafraction(walk_mm2_per_min=(0.1, 0.5, 1))
    >>> course = Course(setup=[SetupError(systematic_mm=1)], intrafraction=walk, fractions=10)
    >>> print(beam_time(course, (5, 15), patients=400))
    each ten minutes more cost 1.0 mm of margin SI
    """
    if course.intrafraction is None:
        raise MotionError("course: has no intrafraction motion; time within a fraction costs nothing")
    times = [number("minutes", one, least=0.0, most=1000.0, above=True) for one in minutes]
    if len(set(times)) < 2:
        raise MotionError(f"minutes: needs at least two different times, found {times}")
    start = root(seed)
    left = [residual_errors(replace(course, fraction_s=60 * t), patients=patients, seed=start)[-1] for t in times]
    return BeamTime(
        minutes=np.array(times),
        mean_mm=np.array([one.mean_mm for one in left]),
        systematic_mm=np.array([one.systematic_mm for one in left]),
        random_mm=np.array([one.random_mm for one in left]),
        margin_mm=np.array([_margin(one, penumbra_mm) for one in left]),
    )


def _margin(left: Residual, penumbra_mm: ArrayLike) -> Floats:
    recipe = van_herk(left.systematic_mm, left.random_mm, triple("penumbra_mm", penumbra_mm))
    margin: Floats = np.abs(left.mean_mm) + np.asarray(recipe, float)
    return margin


def _counted(blocks: Iterable[Drawn], counted: list[tuple[Floats, Floats]]) -> Iterator[Drawn]:
    """The blocks as they are; images and corrections of each patient are put into a list."""
    for drawn in blocks:
        if drawn.workload is not None:
            counted.append((drawn.workload.images.sum(axis=1), drawn.workload.corrections.sum(axis=1)))
        yield drawn
