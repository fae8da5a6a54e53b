"""Where the error budget goes: what guidance leaves of each error."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptvkit.motion.breathed import BREATHING
from ptvkit.motion.course import INTRAFRACTION, Course, Seed, drawn_blocks
from ptvkit.motion.drawn import Drawn
from ptvkit.motion.guidance import Part
from ptvkit.motion.intrafraction import Path

Floats = NDArray[np.float64]
TOTAL: Final = "total"
WALK_STEPS: Final = 40


STEADY_GROWTH: Final = (np.full((1, 1, 1), 1 / 2), np.full((1, 1, 1), 1 / 12))
"""Mean and variance over time of a straight line from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """What is left of one error, or of all together. Triples are (LR, AP, SI), mm.

    Attributes
    ----------
    name : str
        ``"total"`` for all together.
    mean_mm : (3,) array
        The same for all patients.
    systematic_mm : (3,) array
        Σ', SD between patients.
    random_mm : (3,) array
        σ', SD within a patient, also within his fractions.
    """

    name: str
    mean_mm: Floats
    systematic_mm: Floats
    random_mm: Floats

    @property
    def is_some(self) -> bool:
        """Whether anything is left."""
        return bool(np.any(self.mean_mm) or np.any(self.systematic_mm) or np.any(self.random_mm))


def residual_errors(course: Course, *, patients: int = 2000, seed: Seed = 0) -> tuple[Residual, ...]:
    """Residual Σ' and σ' of each error after guidance, and of all together, by simulation.

    A correction moves everything that its match sees by what it measured, so that what is left of the errors adds up to
    the displacement; their SDs add in quadrature as far as they are independent. Σ' is unbiased by σ': of a variance of
    patient means the part σ'²/N is taken off, and what is below 0 counts as 0.

    Parameters
    ----------
    course : Course
    patients : int
    seed : int or Generator

    Returns
    -------
    tuple of Residual
        The last is the total.

    Examples
    --------
    >>> from ptvkit import ImageGuidance, SetupError
    >>> course = Course(setup=[SetupError(systematic_mm=3)], guidance=ImageGuidance(match="bone"), fractions=5)
    >>> [float(row.systematic_mm.max()) for row in residual_errors(course, patients=200) if row.name == "set-up"]
    [0.0]
    """
    samples = 20 if course.breathes else 1
    if course.intrafraction is not None:  # moments of a walk need few positions
        within = replace(course.intrafraction, walk_step_s=course.fraction_s / WALK_STEPS)
        course = replace(course, intrafraction=within)
    return residuals_of(drawn_blocks(course, patients=patients, seed=seed, samples=samples, extremes=False), course)


def residuals_of(blocks: Iterable[Drawn], course: Course) -> tuple[Residual, ...]:
    """What is left of each error of drawn courses, and of all together."""
    rows: dict[str, list[_Moments]] = {}
    for drawn in blocks:
        for name, moments in _moments_of(drawn):
            rows.setdefault(name, []).append(moments)
    total = _residual(TOTAL, rows.pop(TOTAL))
    named = {error.name for error in course.setup}
    found = [_residual(name, moments) for name, moments in rows.items()]
    return (*(row for row in found if row.name in named or row.is_some), total)


class _Moments(NamedTuple):
    """Means over time (P, F, 3), and variances in time (P, F, 3) or less of one error."""

    mean_mm: Floats
    within_mm2: Floats


def _moments_of(drawn: Drawn) -> Iterator[tuple[str, _Moments]]:
    """Moments of each error, and of all together."""
    growth = _growth(drawn)
    rows: dict[str, list[Part]] = {}
    for part in drawn.parts:
        rows.setdefault(part.name.split(", lever")[0], []).append(part)
    for name, parts in rows.items():
        yield name, _moments(parts, None, growth=growth)
    if drawn.wave_mm is not None:
        yield BREATHING, _moments([], drawn.wave_mm)
    if drawn.path is not None:
        yield INTRAFRACTION, _moments([], None, drawn.path)
    yield TOTAL, _moments(list(drawn.parts), drawn.wave_mm, drawn.path, growth)


def _growth(drawn: Drawn) -> tuple[Floats, Floats]:
    """Mean and variance over a fraction (P, F, 1) of what has grown in a straight line to 1 by the end of its beam."""
    if drawn.duty is None or drawn.time_s is None:
        return STEADY_GROWTH
    grown = drawn.time_s / drawn.fraction_s  # the beam pauses, and the drift goes on
    return grown.mean(axis=2)[..., None], grown.var(axis=2)[..., None]


def _moments(
    parts: list[Part],
    wave: Floats | None,
    path: Path | None = None,
    growth: tuple[Floats, Floats] | None = None,
) -> _Moments:
    middle, spread = STEADY_GROWTH if growth is None else growth
    like = _shape(parts, wave, path)
    mean, within = np.zeros(like), np.zeros(like)
    lines = sum((part.shift_mm for part in parts if part.grows), np.zeros(like))
    for part in parts:
        mean = mean + part.shift_mm * (middle if part.grows else 1.0)
    if path is not None:
        mean = mean + path.mean_mm
        # corrections follow what grows: their variances do not add up
        together = path._replace(path_mm=path.path_mm + lines[:, :, None] * path.shares[:, None])
        within = within + together.variance_mm2
    else:
        for part in parts:
            within = within + (part.shift_mm**2 * spread if part.grows else 0.0)
    if wave is not None:
        mean = mean + wave.mean(axis=2)
        within = within + wave.var(axis=2)
    return _Moments(mean, within)


def _shape(parts: list[Part], wave: Floats | None, path: Path | None) -> tuple[int, int, int]:
    like = wave if wave is not None else parts[0].shift_mm if parts or path is None else path.path_mm
    return like.shape[0], like.shape[1], 3


def _residual(name: str, blocks: list[_Moments]) -> Residual:
    """Mean, Σ' and σ': of fraction means between and within patients, and within fractions."""
    mean, within = (np.concatenate(arrays) for arrays in zip(*blocks, strict=True))
    patients, fractions, _ = mean.shape
    between_fractions = mean.var(axis=1, ddof=1).mean(axis=0) if fractions > 1 else np.zeros(3)
    of_means = mean.mean(axis=1)
    systematic = of_means.var(axis=0, ddof=1) - between_fractions / fractions if patients > 1 else np.zeros(3)
    return Residual(
        name=name,
        mean_mm=of_means.mean(axis=0),
        systematic_mm=_root(systematic),
        random_mm=_root(between_fractions + within.mean(axis=(0, 1))),
    )


def _root(variance: Floats) -> Floats:
    found: Floats = np.sqrt(np.maximum(variance, 0.0))
    found[found < 1e-9] = 0.0
    return found
