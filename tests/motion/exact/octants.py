"""Bodies that are an ellipsoid in each octant: six margins around a point, with their true distance."""

import numpy as np
from numpy.typing import NDArray

from ptvkit.motion.course import Course
from ptvkit.motion.exact.allowed import Allowed, lattice
from ptvkit.motion.exact.model import Model, model_of
from tests.motion.bodies import ball

Floats = NDArray[np.float64]


def ends(margins: tuple[float, ...]) -> tuple[Floats, Floats]:
    """Half axes below and above 0, from six margins R L A P S I."""
    right, left, anterior, posterior, superior, inferior = margins
    return np.array([left, posterior, inferior], float), np.array([right, anterior, superior], float)


def holds(margins: tuple[float, ...], shifts: Floats) -> NDArray[np.bool_]:
    """Which shifts (..., 3) lie in the body."""
    below, above = ends(margins)
    inside: NDArray[np.bool_] = ((shifts / np.where(shifts >= 0, above, below)) ** 2).sum(axis=-1) <= 1
    return inside


def allowed(margins: tuple[float, ...], step: float = 0.5) -> Allowed:
    """Distances on a lattice: the foot on an ellipsoid solves one equation, by bisection."""
    below, above = ends(margins)
    first = np.floor((-below - 3) / step).astype(np.int64)
    shape = np.ceil((above + 3) / step).astype(np.int64) + 1 - first
    at = lattice(first, shape, step)
    axes, away = np.where(at >= 0, above, below), np.maximum(np.abs(at), 1e-5)
    low = (axes * away - axes**2).max(axis=1)
    high = np.maximum(np.linalg.norm(axes * away, axis=1), low)
    for _ in range(45):
        middle = (low + high) / 2
        beyond = ((axes * away / (middle[:, None] + axes**2)) ** 2).sum(axis=1) > 1
        low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
    foot = axes**2 * away / (middle[:, None] + axes**2)
    outside = np.where(((away / axes) ** 2).sum(axis=1) > 1, 1.0, -1.0)
    return Allowed(step, first, (np.linalg.norm(away - foot, axis=1) * outside).reshape(shape))


def model(course: Course) -> Model:
    """A model whose shares are asked for a body of choice."""
    some = ball(10)
    return model_of(some, some, course, seed=3, precision=None, ready=None)


def share(margins: tuple[float, ...], course: Course, step: float = 0.5, points: int = 32) -> tuple[float, float]:
    """Share contained in the body, and its standard error."""
    own = model(course)
    shares = own.shares(allowed(margins), step, 0.0, own.patients(points))
    error = shares.std(ddof=1) / len(shares) ** 0.5 if len(shares) > 1 else 0.0
    return float(shares.mean()), float(error)
