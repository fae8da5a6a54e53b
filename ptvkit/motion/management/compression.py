"""Abdominal compression: a smaller amplitude, at planning and at treatment."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import MotionError
from ptvkit.motion.breathing import Breathing, BreathingDraw, Streams
from ptvkit.motion.from_phases import PhaseLoop
from ptvkit.motion.lujan import Lujan
from ptvkit.motion.management.management import Ask, needed
from ptvkit.motion.trajectory import Trajectory
from ptvkit.values import triple, vector

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Compression:
    """The breathing with a smaller amplitude; the planning CT is taken with compression too.

    What varies from breath to breath and from day to day shrinks with the amplitude; drifts and baseline shifts stay.
    A recording is made smaller about its mean.

    Parameters
    ----------
    factor : (3,) array or float
        By which the amplitude (LR, AP, SI) is multiplied, 0 to 1. It may be given without its name.
    preset : str, optional
        In place of a factor: a published population under compression, by its name in `ptvkit.breathing_presets`.

    Raises
    ------
    MotionError

    Examples
    --------
    >>> liver = Breathing.lujan(amplitude_mm=(0, 4, 12), inhale=(0, 1, -1), reference="exhale")
    >>> Compression(0.5).compressed(liver).wave.amplitude_mm
    array([0., 2., 6.])
    """

    factor: ArrayLike | None = None
    preset: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if (self.factor is None) == (self.preset is None):
            raise MotionError("compression: give a factor, or the name of a preset")
        if self.factor is not None:
            object.__setattr__(self, "factor", triple("factor", self.factor, most=1.0))
        if self.preset is not None:
            Breathing.preset(self.preset, reference="time_mean")  # refused now

    @property
    def moves_alone(self) -> bool:
        """Compression moves nothing."""
        return False

    def check(self, breathing: Breathing | None) -> None:
        """Refuse compression of no breathing."""
        self.compressed(needed(breathing, "compression"))

    def draw(self, breathing: Breathing | None, ask: Ask, rng: Streams) -> BreathingDraw:
        """The compressed breathing."""
        own = self.compressed(needed(breathing, "compression"))
        drawn = own.draw(ask.patients, ask.fractions, ask.samples, ask.beam_s, rng, drifts=ask.drifts)
        return drawn._replace(duty=np.ones((ask.patients, ask.fractions)))

    def compressed(self, breathing: Breathing) -> Breathing:
        """The same breathing under compression."""
        wave = breathing.wave
        if isinstance(wave, Lujan):
            return _with_wave(breathing, wave, self._smaller(wave))
        if self.factor is None:
            raise MotionError("compression: a preset replaces a wave; a recording or phases need a factor")
        if isinstance(wave, PhaseLoop):
            return _smaller_loop(breathing, wave, vector(self.factor))
        if not isinstance(breathing.reference, str):
            raise MotionError("compression: of a recording needs a named reference, such as time_mean")
        if any(trace.rotation_deg is not None for trace in wave.traces):
            raise MotionError("compression: what it does to rotations is not known; leave them out of the recording")
        traces = tuple(_smaller(trace, vector(self.factor)) for trace in wave.traces)
        return replace(breathing, wave=replace(wave, traces=traces))

    def _smaller(self, wave: Lujan) -> Lujan:
        if self.factor is not None:
            factor = vector(self.factor)
            amplitude, sd = vector(wave.amplitude_mm) * factor, vector(wave.amplitude_sd_mm) * factor
            return replace(wave, amplitude_mm=amplitude, amplitude_sd_mm=sd)
        towards = vector(wave.inhale)
        assert self.preset is not None
        known = Breathing.preset(
            self.preset, reference="time_mean", inhale=np.where(towards == 0, [1.0, 1.0, -1.0], towards)
        ).wave
        assert isinstance(known, Lujan)
        return replace(known, period_s=wave.period_s, n=wave.n, phase=wave.phase, lag=wave.lag)


def _with_wave(breathing: Breathing, before: Lujan, wave: Lujan) -> Breathing:
    """Breathing with a wave of another amplitude, that varies by the same share of it."""
    was, top = (float(np.abs(one.signed_mm).max()) for one in (before, wave))
    share = top / was if was > 0 else 1.0
    vary = breathing.variation
    varied = replace(
        vary, amplitude_mm=vary.amplitude_mm * share, amplitude_between_mm=vary.amplitude_between_mm * share
    )
    return replace(breathing, wave=wave, variation=varied)


def _smaller_loop(breathing: Breathing, loop: PhaseLoop, factor: Floats) -> Breathing:
    """Phases nearer to their mean; a reference given as a position, and what varies with the amplitude, shrink too."""
    was, top = (float(np.abs(loop.position_mm * one).max()) for one in (1.0, factor))
    share = top / was if was > 0 else 1.0
    vary = breathing.variation
    varied = replace(
        vary, amplitude_mm=vary.amplitude_mm * share, amplitude_between_mm=vary.amplitude_between_mm * share
    )
    reference = breathing.reference if isinstance(breathing.reference, str) else vector(breathing.reference) * factor
    wave = replace(loop, position_mm=loop.position_mm * factor)
    return replace(breathing, wave=wave, variation=varied, reference=reference)


def _smaller(trace: Trajectory, factor: Floats) -> Trajectory:
    """A trace made smaller about its mean."""
    middle = trace.displacement_mm.mean(axis=0)
    return replace(trace, displacement_mm=middle + (trace.displacement_mm - middle) * factor)
