"""Distributions along one axis: what a match sees, and what it leaves.

A distribution is a row of masses on a fine grid, one row for each patient of a quadrature. Convolutions are products of
Fourier transforms, so that a normal distribution adds no error of the grid.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

Floats = NDArray[np.float64]
Spectrum = NDArray[np.complex128]

PARTS: Final = 4
"""Nodes of the fine grid in a step of the lattice."""
TAIL: Final = 5.5
"""SDs to which a grid reaches."""


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """A periodic grid along one axis.

    Attributes
    ----------
    step : float
        Of the lattice, mm; the grid is `PARTS` times as fine.
    count : int
        Nodes of the grid; 0 is the middle one.
    """

    step: float
    count: int

    @classmethod
    def reaching(cls, step: float, reach_mm: float) -> "Axis":
        """The grid with at least this much on each side of 0."""
        half = int(np.ceil(reach_mm / step)) + 2
        return cls(step, 2 * PARTS * _even_length(half))

    @property
    def fine(self) -> float:
        """Spacing, mm."""
        return self.step / PARTS

    @property
    def at(self) -> Floats:
        """Positions of the nodes (M,), mm."""
        found: Floats = np.asarray((np.arange(self.count) - self.count // 2) * self.fine, float)
        return found

    @property
    def frequency(self) -> Floats:
        """Angular frequencies (M/2 + 1,), 1/mm."""
        found: Floats = 2 * np.pi * fft.rfftfreq(self.count, self.fine)
        return found

    def spectrum(self, masses: Floats) -> Spectrum:
        """Fourier transform of masses (..., M), phases counted from the first node."""
        found: Spectrum = fft.rfft(masses, axis=-1)
        return found

    def normal(self, mean: Floats, sd: float) -> Floats:
        """Masses (N, M) of normal distributions with means (N,); an SD below a node's spacing is raised to it."""
        wide = max(sd, self.fine)
        masses = np.exp(-0.5 * ((self.at - mean[:, None]) / wide) ** 2)
        found: Floats = masses / masses.sum(axis=-1, keepdims=True)
        return found

    def widened(self, sd: float) -> float:
        """What `normal` adds to a variance, mm²."""
        return max(self.fine**2 - sd**2, 0.0)

    def blurred(self, masses: Floats, shift: Floats, sd: float) -> Floats:
        """Masses (N, M) shifted by (N,) and blurred by a normal distribution."""
        turn = np.exp(-1j * self.frequency * shift[:, None] - 0.5 * (self.frequency * sd) ** 2)
        found: Floats = fft.irfft(self.spectrum(masses) * turn, self.count, axis=-1)
        return found

    def on_lattice(
        self, masses: Floats | None, shift: Floats, sd: float, excess: float, blur: float, smooth: float = 0.0
    ) -> Floats:
        """Weights (N, M/PARTS) at the lattice's nodes that integrate a function of the shift.

        The function is a set's share of each node's cell, blurred by a box of one step. With h the step, the blur's
        variance h²/12 and `excess` are taken off the distribution. One that is narrow is put on the nodes by linear
        weights, whose h²/6 is taken off by second differences.

        Parameters
        ----------
        masses : (N, M) or None
            None: all at 0.
        shift : (N,)
        sd : float
            Of a normal distribution that is added.
        excess : float
            Variance that the masses have too much, mm².
        blur : float
            Variance of the function's blur, mm².
        smooth : float
            SD of the narrowest normal distribution that the masses are blurred by already, mm.
        """
        w, h = self.frequency, self.step
        left = sd**2 - excess - blur
        if left + smooth**2 >= 0.7 * h**2:
            shape = np.exp(-0.5 * w**2 * left)
        else:
            sharper = 1 + (excess + blur + h**2 / 6) / h**2 * (1 - np.cos(w * h))
            shape = np.exp(-0.5 * (w * sd) ** 2) * np.sinc(w * h / (2 * np.pi)) ** 2 * sharper
        turned = shape * np.exp(-1j * w * shift[:, None])
        if masses is None:
            origin = np.exp(-1j * w * self.fine * (self.count // 2))
            turned = turned * origin
        else:
            turned = turned * self.spectrum(masses)
        found: Floats = fft.irfft(turned, self.count, axis=-1)[:, ::PARTS] * PARTS
        return found

    def inside(self, offset: Floats, sd: float, level: float) -> Floats:
        """Probability (N, M) that a position and an error N(offset, sd²) together stay below a level."""
        if sd < 0.5 * self.fine:
            middle = level - np.abs(self.at + offset[:, None])
            step: Floats = np.clip(middle / self.fine + 0.5, 0.0, 1.0)
            return step
        high, low = ((sign * level - self.at - offset[:, None]) / sd for sign in (1, -1))
        found: Floats = special.ndtr(high) - special.ndtr(low)
        return found

    def below(self, masses: Floats, level: float) -> Floats:
        """Masses (N, M) of positions that stay below a level when displaced by each node."""
        edges = np.concatenate([np.zeros((len(masses), 1)), np.cumsum(masses, axis=1)], axis=1)

        def up_to(limit: float) -> Floats:
            """Mass of positions below a limit less each node; even within a node's cell."""
            place = limit / self.fine + self.count + 0.5 - np.arange(self.count)
            place = np.clip(place, 0.0, self.count - 1e-9)
            base = place.astype(int)
            found: Floats = edges[:, base] + (place - base) * masses[:, base]
            return found

        return up_to(level) - up_to(-level)

    def mirrored(self, masses: Floats) -> Floats:
        """Masses (N, M) of minus the position."""
        found: Floats = np.roll(masses[:, ::-1], 1, axis=-1)
        return found


def _even_length(half: int) -> int:
    """A length of at least `half` whose Fourier transforms are fast."""
    return int(fft.next_fast_len(half, real=True))
