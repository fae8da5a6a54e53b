"""Breaths: how high the highest of a fraction is, and where the target is at a random moment."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import interpolate, special

from ptvkit.motion.breathing import Breathing
from ptvkit.motion.lujan import SHORTEST, Lujan
from ptvkit.motion.variation import Variation, autoregressive
from ptvkit.values import is_snapshot

Floats = NDArray[np.float64]

WINDOWS: Final = 512
"""Fractions whose breaths' lengths are drawn; the heights are integrated."""
HEIGHTS: Final = 32
"""Steps of height in which the distribution of the highest breath is worked out."""
LOWEST: Final = -6.5
TINY: Final = 1e-7
NODES: Final = 24
"""Of the quadrature over one breath's height."""
PHASES: Final = 128
STRATA: Final = 24


class Masses(NamedTuple):
    """Points (K,) of a distribution in shares of the amplitude, and their masses (K,)."""

    at: Floats
    mass: Floats


def highest_breath(breathing: Breathing, fraction_s: float) -> Masses:
    """Distribution of the largest inhale of a fraction, in shares of the patient's amplitude, on even nodes.

    The heights of breaths are a stationary AR(1) series. The probability that none of those wholly within a fraction is
    higher than h is the integral of their joint density up to h, by a quadrature over each breath in turn; the first
    and the last are cut by the fraction's ends.
    """
    wave, vary = breathing.wave, breathing.variation
    assert isinstance(wave, Lujan), "sources_of refuses the others"
    sd = vary.amplitude_mm / _top(wave)
    day = vary.amplitude_between_mm / _top(wave)
    if not sd and not day:
        return Masses(np.ones(1), np.ones(1))
    windows = _windows(wave, vary, fraction_s)
    factors, weights = _day_factors(day)

    def below(heights: Floats) -> Floats:
        if not sd:
            only: Floats = special.ndtr((heights - 1) / day)
            return only
        many = _below(np.divide.outer(heights, factors).ravel(), windows, sd, vary.correlation)
        found: Floats = many.reshape(len(heights), -1) @ weights
        return found

    wide = np.linspace(0.0, (1 + 6 * sd) * (1 + 5.5 * day), HEIGHTS + 1)
    rough = below(wide)
    low, high = wide[max(int((rough > TINY).argmax()) - 1, 0)], wide[int((rough >= 1 - TINY).argmax())]
    if low >= high:  # all rough values are steps
        high = wide[-1]
    nodes = np.linspace(low, high, HEIGHTS + 1)
    return _on_nodes(nodes, below(nodes))


def random_moment(breathing: Breathing) -> Masses:
    """Distribution of the height at a random moment of a random fraction, in shares of the patient's amplitude."""
    wave, vary = breathing.wave, breathing.variation
    assert isinstance(wave, Lujan), "sources_of refuses the others"
    phase = (np.arange(PHASES) + 0.5) / PHASES
    u = np.cos(np.pi * phase / 2) ** (2 * wave.n)  # half a cycle: the other half is its mirror image
    heights = u
    for sd in (vary.amplitude_mm / _top(wave), vary.amplitude_between_mm / _top(wave)):
        if sd:
            heights = np.multiply.outer(heights, np.maximum(1 + sd * _strata(), 0.0)).ravel()
    return Masses(heights, np.full(len(heights), 1 / len(heights)))


def planned_heights(breathing: Breathing) -> Masses:
    """Distribution of the planned position along the amplitude; one point when it is not random.

    It holds the words of a reference; a vector is a shift, and stands at 0.
    """
    wave, vary = breathing.wave, breathing.variation
    assert isinstance(wave, Lujan), "sources_of refuses the others"
    if is_snapshot(breathing.reference):
        return random_moment(breathing)
    if not isinstance(breathing.reference, str):
        return Masses(np.zeros(1), np.ones(1))
    share = fixed_share(wave, breathing.reference)
    day = vary.amplitude_between_mm / _top(wave)
    if not day or not share:
        return Masses(np.full(1, share), np.ones(1))
    heights = share * np.maximum(1 + day * _strata(), 0.0)
    return Masses(heights, np.full(len(heights), 1 / len(heights)))


def snapshot_height(breathing: Breathing, phase: Floats, normals: Floats) -> Floats:
    """Planned heights (N,) of patients, from phases (N,) and normals (N, 2) of the day and of the breath."""
    wave, vary = breathing.wave, breathing.variation
    assert isinstance(wave, Lujan), "sources_of refuses the others"
    day = np.maximum(1 + normals[:, 0] * vary.amplitude_between_mm / _top(wave), 0.0)
    if not is_snapshot(breathing.reference):
        return day * fixed_share(wave, breathing.reference)
    # half a cycle, whose other half is its mirror image: the integrand is smooth in the phase
    breath = np.maximum(1 + normals[:, 1] * vary.amplitude_mm / _top(wave), 0.0)
    height: Floats = day * breath * np.cos(np.pi * phase / 2) ** (2 * wave.n)
    return height


def fixed_share(wave: Lujan, reference: object) -> float:
    """Share of the amplitude at which a reference stands; 0 for a vector."""
    if not isinstance(reference, str):
        return 0.0
    return {"time_mean": wave.mean_share, "exhale": 0.0, "inhale": 1.0, "mid_range": 0.5}[reference]


def _top(wave: Lujan) -> float:
    return max(float(np.abs(wave.signed_mm).max()), 1e-9)


def _strata() -> Floats:
    """Normal deviates (STRATA,) of equal masses, scaled to unit variance."""
    found: Floats = special.ndtri((np.arange(STRATA) + 0.5) / STRATA)
    scaled: Floats = found / found.std()
    return scaled


def _day_factors(day: float) -> tuple[Floats, Floats]:
    if not day:
        return np.ones(1), np.ones(1)
    at, weights = np.polynomial.hermite_e.hermegauss(15)
    return np.maximum(1 + day * at, 0.0), weights / weights.sum()


class _Windows(NamedTuple):
    """Of fractions: how many breaths lie wholly within (W,), how much of the first and of the last is seen (W,)."""

    whole: NDArray[np.int64]
    first: Floats
    last: Floats


def _windows(wave: Lujan, vary: Variation, span_s: float) -> _Windows:
    """Breaths of fractions that begin at even phases, their lengths drawn once and for all."""
    begin = (np.arange(WINDOWS) + 0.5) / WINDOWS * wave.period_s
    spread = 6 * vary.period_s * np.sqrt((1 + vary.correlation) / (1 - vary.correlation))
    need = span_s / wave.period_s
    count = int(1.1 * (need + 1 + spread / wave.period_s * np.sqrt(need + 2))) + 3
    drawn = np.random.default_rng(0).standard_normal((WINDOWS // 2, count))
    x = autoregressive(np.concatenate([drawn, -drawn[::-1]]), vary.correlation)
    end = np.cumsum(np.maximum(wave.period_s + vary.period_s * x, SHORTEST * wave.period_s), axis=1)
    start = np.hstack([np.zeros((WINDOWS, 1)), end[:, :-1]])
    last = begin + span_s
    first = (end > begin[:, None]).argmax(axis=1)
    final = (start < last[:, None]).sum(axis=1) - 1

    def seen(number: NDArray[np.int64], moment: Floats, *, from_end: bool) -> Floats:
        """Largest u of a breath on one side of a moment."""
        row = np.arange(WINDOWS)
        share = (moment - start[row, number]) / (end - start)[row, number]
        whole = share < 0.5 if from_end else share > 0.5
        found: Floats = np.where(whole, 1.0, np.sin(np.pi * np.clip(share, 0.0, 1.0)) ** (2 * wave.n))
        return found

    return _Windows(final - first - 1, seen(first, begin, from_end=True), seen(final, last, from_end=False))


def _below(heights: Floats, windows: _Windows, sd: float, rho: float) -> Floats:
    """Probability that no breath of a fraction exceeds each height."""
    below = np.zeros(len(heights))
    for index in np.argsort(heights):
        top = (heights[index] - 1) / sd
        if top > LOWEST:
            below[index] = _none_above(float(top), float(heights[index]), windows, sd, rho)
    return np.clip(below, 0.0, 1.0)


def _none_above(top: float, height: float, windows: _Windows, sd: float, rho: float) -> float:
    """Mean over fractions of the probability that all breaths stay below a height, `top` SDs above the mean."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    low, high = min(LOWEST, top - 2.0), min(top, 6.5)
    x, mass = low + (high - low) * (nodes + 1) / 2, weights * (high - low) / 2
    narrow = np.sqrt(1 - rho**2)

    def density(away: Floats) -> Floats:
        found: Floats = np.exp(-0.5 * away**2) / np.sqrt(2 * np.pi)
        return found

    def cut(seen: Floats) -> Floats:
        """Probability (W, NODES) that a breath at the fraction's end stays below, given its neighbour's height."""
        limit = (height / np.maximum(seen, 1e-3) - 1) / sd
        found: Floats = special.ndtr((limit[:, None] - rho * x) / narrow)
        return found

    before, after = density(x) * mass * cut(windows.first), cut(windows.last)
    step = density((x - rho * x[:, None]) / narrow) / narrow * mass
    total, chain = 0.0, np.eye(NODES)
    for count in range(1, int(windows.whole.max()) + 1):
        here = windows.whole == count
        if here.any():
            total += float((before[here].T @ after[here] * chain).sum())
        chain = chain @ step
    return total / len(windows.whole)


def _on_nodes(nodes: Floats, below: Floats) -> Masses:
    """Masses at even nodes by linear weights, from a distribution function; their h²/6 is taken off."""
    step = nodes[1] - nodes[0]
    integral = interpolate.PchipInterpolator(nodes, below).antiderivative()(nodes)
    reach = np.concatenate([[0.0], integral, [integral[-1] + step]])
    mass = np.diff(reach, 2) / step
    mass = mass - np.diff(np.pad(mass, 1), 2) / 12
    kept = np.abs(mass) > TINY
    return Masses(nodes[kept], mass[kept] / mass[kept].sum())
