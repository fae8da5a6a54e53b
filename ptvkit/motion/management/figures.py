"""What a managed course costs in time, and what it leaves of the errors."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import MotionError
from ptvkit.motion.course import BLOCK, Course, Seed, draw_block, root
from ptvkit.motion.residuals import residual_errors
from ptvkit.values import number

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamFigures:
    """Time and residual errors of a course. Triples are (LR, AP, SI), mm.

    Attributes
    ----------
    duty : float
        Share of the time that the beam is on.
    beam_on_factor : float
        1/duty: by how much a fraction takes longer.
    minutes : float
        From the first beam to the last in a fraction, without matching.
    mean_mm, systematic_mm, random_mm : (3,) array
        M', Σ' and σ' of all errors that are left.
    """

    duty: float
    beam_on_factor: float
    minutes: float
    mean_mm: Floats
    systematic_mm: Floats
    random_mm: Floats


def beam_figures(
    course: Course, *, mu: float | None = None, mu_per_min: float | None = None, patients: int = 1000, seed: Seed = 0
) -> BeamFigures:
    """Duty, minutes and residual errors of a course.

    Parameters
    ----------
    course : Course
    mu, mu_per_min : float, optional
        Monitor units of a fraction and their rate; by default the beam is on for the course's ``fraction_s``.
    patients : int
    seed : int or Generator

    Raises
    ------
    MotionError
        When only one of `mu` and `mu_per_min` is given, or a gate never opens.

    Examples
    --------
    >>> from ptvkit import Breathing, Gate
    >>> liver = Breathing.lujan(amplitude_mm=(0, 0, 15), inhale=(0, 0, -1), reference="time_mean")
    >>> gated = Course(breathing=liver, management=Gate(duty=0.3, planned="gate"), fractions=3)
    >>> figures = beam_figures(gated, mu=600, mu_per_min=600, patients=100)
    >>> round(figures.duty, 2), round(figures.minutes, 1), figures.random_mm[2] < 0.05
    (0.3, 3.3, np.True_)
    """
    start = root(seed)
    minutes = beam_minutes(course, mu, mu_per_min)
    duty = duty_of(course, start)
    left = residual_errors(course, patients=patients, seed=start)[-1]
    return BeamFigures(
        duty=duty,
        beam_on_factor=1 / duty,
        minutes=minutes / duty,
        mean_mm=left.mean_mm,
        systematic_mm=left.systematic_mm,
        random_mm=left.random_mm,
    )


def beam_minutes(course: Course, mu: float | None = None, mu_per_min: float | None = None) -> float:
    """How long the beam is on in a fraction, minutes.

    Raises
    ------
    MotionError
        When only one of the two is given, or one is out of range.
    """
    if mu is None and mu_per_min is None:
        return course.fraction_s / 60
    if mu is None or mu_per_min is None:
        raise MotionError("mu and mu_per_min: give both, the monitor units of a fraction and their rate, or neither")
    units = number("mu", mu, least=0.0, most=1e6, above=True)
    return units / number("mu_per_min", mu_per_min, least=0.0, most=1e5, above=True)


def duty_of(course: Course, seed: int) -> float:
    """Mean share of the time that the beam is on; 1 without management."""
    if course.management is None:
        return 1.0
    duty = draw_block(course, 0, BLOCK, seed, 1, np.zeros(3)).duty
    return 1.0 if duty is None else float(duty.mean())
