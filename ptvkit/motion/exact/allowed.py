"""Which shifts keep a target inside its PTV, on a lattice."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ptvkit.motion.exact.breaths import Masses

Floats = NDArray[np.float64]

FAR_MM: Final = 1e3
"""Depth of shifts beyond the lattice."""


@dataclass(frozen=True, slots=True, eq=False)
class Allowed:
    """Depth of the target outside its PTV for a lattice of shifts, axis by axis LR, AP, SI.

    Attributes
    ----------
    step : float
        mm.
    first : (3,) ints
        The lattice's first shift, in steps.
    depth_mm : (I, J, K) array
        Negative when all of the target is inside. Shifts beyond the lattice lie far outside.
    """

    step: float
    first: NDArray[np.int64]
    depth_mm: Floats

    def on(self, first: NDArray[np.int64], shape: NDArray[np.int64], step: float, shift_mm: Floats) -> Floats:
        """Depths (I, J, K) on another lattice, all its nodes shifted by (3,) mm; cubic between nodes."""
        found: Floats = self.depth_mm
        beyond = np.zeros(tuple(shape), bool)
        for axis in range(3):
            at = ((np.arange(shape[axis]) + first[axis]) * step + shift_mm[axis]) / self.step - self.first[axis]
            found = _cubic(found, axis, at)
            outside = (at < 0) | (at > self.depth_mm.shape[axis] - 1)
            beyond |= outside.reshape([-1 if a == axis else 1 for a in range(3)])
        found[beyond] = FAR_MM
        return found

    def softened(self, step: float) -> "Allowed":
        """The depth blurred by a box of one step: where its surface bends, the share of a cell follows it."""
        inner = np.pad(self.depth_mm, 1, mode="reflect", reflect_type="odd")
        middle = inner[1:-1, 1:-1, 1:-1]
        bend = sum(
            inner[tuple(slice(2, None) if b == a else slice(1, -1) for b in range(3))]
            - 2 * middle
            + inner[tuple(slice(None, -2) if b == a else slice(1, -1) for b in range(3))]
            for a in range(3)
        )
        return replace(self, depth_mm=self.depth_mm + bend * (step / self.step) ** 2 / 24)

    def box(self, tolerance_mm: float) -> tuple[Floats, Floats]:
        """Corners (3,) of a box, mm, that holds all shifts of at most this depth; None of them when there are none."""
        inside = np.argwhere(self.depth_mm <= tolerance_mm + 2 * self.step)
        if not len(inside):
            return np.zeros(3), np.zeros(3)
        low, high = inside.min(axis=0) + self.first, inside.max(axis=0) + self.first
        return low * self.step, high * self.step


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Probability that a fraction displaced by each node of a lattice is contained.

    Attributes
    ----------
    step : float
    first : (3,) ints
    share : (I, J, K) array
    blur : float
        Variance that the share of a cell is blurred by, mm².
    """

    step: float
    first: NDArray[np.int64]
    share: Floats
    blur: float


def kept(allowed: Allowed, step: float, tolerance_mm: float, amplitude: Floats, low: float, high: Masses) -> Kept:
    """Where a fraction is contained at the exhale end of its breathing and at its largest inhale.

    Parameters
    ----------
    allowed : Allowed
    step : float
        Of the new lattice, mm.
    tolerance_mm : float
    amplitude : (3,) array
        Signed, mm.
    low : float
        Height of the exhale end about the mean, in shares of the amplitude.
    high : Masses
        Heights of the largest inhale about the mean.
    """
    bottom, top = allowed.box(tolerance_mm)
    exhale, least = amplitude * low, amplitude * high.at.min()
    bottom, top = np.maximum(bottom - exhale, bottom - least), np.minimum(top - exhale, top - least)
    first = np.floor(bottom / step).astype(np.int64) - 1
    shape = np.maximum(np.ceil(top / step).astype(np.int64) + 1 - first, 0) + 1
    soft = allowed.softened(step)
    share = occupied(soft.on(first, shape, step, exhale) - tolerance_mm, step)
    if np.any(amplitude):
        above = np.zeros(share.shape)
        for at, mass in zip(high.at, high.mass, strict=True):
            above += mass * occupied(soft.on(first, shape, step, amplitude * at) - tolerance_mm, step)
        share *= np.clip(above, 0.0, 1.0)
    return Kept(step, first, share, step**2 / 12)


def inside_at(allowed: Allowed, step: float, amplitude: Floats, heights: Masses) -> Kept:
    """Share of the time in which a fraction displaced by each node is wholly inside."""
    bottom, top = allowed.box(0.0)
    ends = np.array([amplitude * heights.at.min(), amplitude * heights.at.max()])
    first = np.floor((bottom - ends.max(axis=0)) / step).astype(np.int64) - 1
    shape = np.ceil((top - ends.min(axis=0)) / step).astype(np.int64) + 2 - first
    soft = allowed.softened(step)
    share = np.zeros(tuple(shape))
    for at, mass in zip(heights.at, heights.mass, strict=True):
        share += mass * occupied(soft.on(first, shape, step, amplitude * at), step)
    return Kept(step, first, share, step**2 / 12)


def drifting(still: Kept, mean: Floats, sd: Floats) -> Kept:
    """Contained at the beginning and at the end of a drift N(mean, sd²); the drift is a straight line."""
    if not np.any(mean) and not np.any(sd):
        return still
    room = [int(np.ceil((6 * s + abs(m)) / still.step)) for s, m in zip(sd, mean, strict=True)]
    shape = [fft.next_fast_len(n + more) for n, more in zip(still.share.shape, room, strict=True)]
    spectrum = fft.fftn(still.share, shape)
    for axis, (m, s) in enumerate(zip(mean, sd, strict=True)):
        w = 2 * np.pi * fft.fftfreq(shape[axis], still.step)
        factor = np.exp(1j * w * m - 0.5 * w**2 * max(s**2 - still.blur, 0.0))
        spectrum *= factor.reshape([-1 if a == axis else 1 for a in range(3)])
    ends = fft.ifftn(spectrum).real[tuple(slice(n) for n in still.share.shape)]
    return Kept(still.step, still.first, still.share * np.clip(ends, 0.0, 1.0), still.blur)


def lattice(first: NDArray[np.int64], shape: NDArray[np.int64], step: float) -> Floats:
    """Nodes (N, 3), mm."""
    axes = [(np.arange(n) + a) * step for a, n in zip(first, shape, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def occupied(level_mm: Floats, step: float) -> Floats:
    """Share of a cell where a distance is below 0: blurred along its normal by a box of one step.

    A box along the axes has the same variance h²/12 in every direction.
    """
    share: Floats = np.clip(0.5 - level_mm / step, 0.0, 1.0)
    return share


def _cubic(values: Floats, axis: int, at: Floats) -> Floats:
    """Values along one axis at positions (N,) in indices, by cubic interpolation (Lagrange); held at the ends."""
    count = values.shape[axis]
    base = np.clip(np.floor(at).astype(int), 1, count - 3)
    t = np.clip(at, 0, count - 1) - base
    weights = (
        -t * (t - 1) * (t - 2) / 6,
        (t + 1) * (t - 1) * (t - 2) / 2,
        -(t + 1) * t * (t - 2) / 2,
        (t + 1) * t * (t - 1) / 6,
    )
    along = [-1 if a == axis else 1 for a in range(3)]
    total: Floats = sum(
        values.take(base + step, axis=axis) * weight.reshape(along)
        for step, weight in zip(range(-1, 3), weights, strict=True)
    )
    return total
