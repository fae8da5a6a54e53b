"""The wave of Lujan: a power of a cosine, longer at exhale than at inhale."""

import warnings
from dataclasses import dataclass
from math import comb
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from ptvkit.errors import MotionError, PtvkitWarning
from ptvkit.kernels.wave import cycle_wave
from ptvkit.motion.variation import Variation, autoregressive
from ptvkit.values import is_snapshot, number, triple, vector, whole

Floats = NDArray[np.float64]

SHORTEST: Final = 0.4
"""Share of the mean period below which no cycle is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lujan:
    """``x(t) = A·u·inhale``, ``u = cos²ⁿ(πt/τ − φ)``: 0 at exhale, 1 at inhale. Parameters as of `Breathing.lujan`.

    Examples
    --------
    >>> wave = Lujan(amplitude_mm=(0, 4, 12), inhale=(0, 1, -1))
    >>> wave.position("time_mean")
    array([ 0.  ,  1.25, -3.75])
    """

    amplitude_mm: ArrayLike
    inhale: ArrayLike
    period_s: float = 4.0
    n: int = 3
    phase: float = 0.0
    lag: ArrayLike = 0.0
    amplitude_sd_mm: ArrayLike = 0.0
    amplitude_correlation: float = 1.0

    def __post_init__(self) -> None:
        amplitude = triple("amplitude_mm", self.amplitude_mm, most=100.0)
        inhale = triple("inhale", self.inhale, least=-1.0, most=1.0)
        if not np.isin(inhale, (-1, 0, 1)).all():
            raise MotionError(f"inhale: needs -1, 0 or 1 on each axis (LR, AP, SI), found {tuple(inhale.tolist())}")
        for axis, letters in enumerate(("LR", "AP", "SI")):
            if amplitude[axis] > 0 and inhale[axis] == 0:
                warnings.warn(
                    f"the {letters} amplitude of {amplitude[axis]:g} mm has no direction of inhale and is left out;"
                    " give its sign in inhale=",
                    PtvkitWarning,
                    stacklevel=4,
                )
        object.__setattr__(self, "amplitude_mm", amplitude)
        object.__setattr__(self, "inhale", inhale)
        object.__setattr__(self, "period_s", number("period_s", self.period_s, least=0.0, most=60.0, above=True))
        object.__setattr__(self, "n", whole("n", self.n, least=1, most=10))
        object.__setattr__(self, "phase", number("phase", self.phase, least=-1e3, most=1e3))
        object.__setattr__(self, "lag", triple("lag", self.lag, least=-0.5, most=0.5))
        object.__setattr__(self, "amplitude_sd_mm", triple("amplitude_sd_mm", self.amplitude_sd_mm))
        rho = number("amplitude_correlation", self.amplitude_correlation, least=-0.5, most=1.0)
        object.__setattr__(self, "amplitude_correlation", rho)

    @property
    def signed_mm(self) -> Floats:
        """Amplitude times direction (3,), mm."""
        return vector(self.amplitude_mm) * vector(self.inhale)

    @property
    def mean_share(self) -> float:
        """E[u] = C(2n, n)/4ⁿ."""
        return comb(2 * self.n, self.n) / float(4**self.n)

    @property
    def is_population(self) -> bool:
        """Whether patients differ."""
        return bool(np.any(self.amplitude_sd_mm))

    def check(self, variation: Variation) -> None:
        """Every variation can be had."""

    def plain(self, time_s: Floats) -> Floats:
        """Displacement from exhale (..., 3) at times (...), mm."""
        share = time_s[..., None] / self.period_s - np.asarray(self.lag)
        found: Floats = self.signed_mm * np.cos(np.pi * share - self.phase) ** (2 * self.n)
        return found

    def position(self, reference: object) -> Floats:
        """A reference position, from exhale (3,), mm."""
        return self._positions(reference, self.signed_mm)

    def _positions(self, reference: object, signed: Floats) -> Floats:
        """A reference position for each signed amplitude (..., 3)."""
        if not isinstance(reference, str):
            return np.broadcast_to(np.asarray(reference, float), signed.shape)
        return signed * {"time_mean": self.mean_share, "exhale": 0.0, "inhale": 1.0, "mid_range": 0.5}[reference]

    def draw(
        self,
        patients: int,
        fractions: int,
        time_s: Floats,
        reference: object,
        vary: Variation,
        of_patient: np.random.Generator,
        of_fraction: np.random.Generator,
    ) -> tuple[Floats, Floats, Floats]:
        """Time mean (P, 3), planned position (P, 3), wave about the mean (P, F, S, 3) at times (P, F, S), mm."""
        signed = self._amplitudes(of_patient.standard_normal((patients, 4)))
        top = max(float(np.abs(self.signed_mm).max()), 1e-9)
        at_ct = of_patient.random((patients, 1)), of_patient.standard_normal((patients, 2))
        planned = (
            self._snapshot(signed, vary, top, *at_ct) if is_snapshot(reference) else self._positions(reference, signed)
        )
        day = np.maximum(1 + of_fraction.standard_normal((patients, fractions)) * vary.amplitude_between_mm / top, 0.0)
        mean = signed * self.mean_share
        cycles = self._cycles(time_s, vary, top, of_fraction)
        rows = patients * fractions
        wave = cycle_wave(
            *cycles, (signed[:, None, :] * day[..., None]).reshape(rows, 3), self.n, np.asarray(self.lag, float)
        )
        return mean, planned, wave.reshape(*time_s.shape, 3) - mean[:, None, None, :]

    def _amplitudes(self, normals: Floats) -> Floats:
        """Signed amplitudes (P, 3) of patients: gamma distributed, one common and three own normals (P, 4) behind."""
        mean, sd = np.asarray(self.amplitude_mm, float), np.asarray(self.amplitude_sd_mm, float)
        rho = self.amplitude_correlation
        if rho >= 0:
            mixed = np.sqrt(rho) * normals[:, :1] + np.sqrt(1 - rho) * normals[:, 1:]
        else:  # what one axis has more the others have less
            own = normals[:, 1:]
            inner = own - (1 - np.sqrt(1 + 2 * rho) / np.sqrt(1 - rho)) * own.mean(axis=1, keepdims=True)
            mixed = inner * np.sqrt(1 - rho)
        drawn = np.tile(mean, (len(normals), 1))
        varied = (mean > 0) & (sd > 0)
        shape, scale = mean[varied] ** 2 / sd[varied] ** 2, sd[varied] ** 2 / mean[varied]
        drawn[:, varied] = stats.gamma.ppf(special.ndtr(mixed[:, varied]), shape, scale=scale)
        found: Floats = drawn * np.asarray(self.inhale)
        return found

    def _snapshot(self, signed: Floats, vary: Variation, top: float, phase: Floats, normals: Floats) -> Floats:
        """Position at a random phase of some cycle of some day."""
        own = normals @ np.array([vary.amplitude_mm, vary.amplitude_between_mm]) / top
        u = np.cos(np.pi * (phase - np.asarray(self.lag))) ** (2 * self.n)
        found: Floats = signed * u * np.maximum(1 + own, 0.0)[:, None]
        return found

    def _cycles(
        self, time_s: Floats, vary: Variation, top: float, rng: np.random.Generator
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """Times from the first exhale on, and each cycle's end, height and baseline, a row for each fraction."""
        rows = time_s.shape[0] * time_s.shape[1]
        time = time_s.reshape(rows, -1)
        begin = rng.random((rows, 1)) * self.period_s
        time = time - time.min(initial=0.0) + begin
        if not vary.of_cycles:
            # one long row of like cycles: only the share of the cycle counts
            count = int(time.max() / self.period_s) + 2
            end = np.broadcast_to(np.arange(1, count + 1) * self.period_s, (rows, count))
            return time, np.ascontiguousarray(end), np.ones((rows, count)), np.zeros((rows, count, 3))
        # the mean length decides how many are needed; a tenth more than six SDs of their sum, then the last goes on
        spread = 6 * vary.period_s * np.sqrt((1 + vary.correlation) / (1 - vary.correlation))
        need = time.max() / self.period_s
        count = int(1.1 * (need + spread / self.period_s * np.sqrt(need + 1))) + 3
        x = autoregressive(rng.standard_normal((rows, 5, count)), vary.correlation)
        length = np.maximum(self.period_s + vary.period_s * x[:, 0], SHORTEST * self.period_s)
        scale = np.maximum(1 + vary.amplitude_mm / top * x[:, 1], 0.0)
        base = np.moveaxis(x[:, 2:], 1, -1) * np.asarray(vary.baseline_mm)
        return time, np.cumsum(length, axis=1), scale, np.ascontiguousarray(base)
