"""Breathing: a wave, how it varies, and the position that counts as planned."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import MotionError
from ptvkit.geometry.phases import Phases
from ptvkit.motion.from_phases import PhaseLoop, loop_of, period_of, reference_of, variation_of
from ptvkit.motion.lujan import Lujan
from ptvkit.motion.measured import Measured
from ptvkit.motion.moving import Moving
from ptvkit.motion.trajectory import Trajectory
from ptvkit.motion.turning import Turning
from ptvkit.motion.variation import STEADY, Variation, as_variation
from ptvkit.values import choice, is_snapshot, triple, vector

Floats = NDArray[np.float64]
Reference = Literal["time_mean", "exhale", "inhale", "mid_range", "snapshot"]
REFERENCES: Final = ("time_mean", "exhale", "inhale", "mid_range", "snapshot")


class BreathingDraw(NamedTuple):
    """Breathing of some patients, in parts that add up to the displacement, mm.

    Attributes
    ----------
    reference_mm : (patients, 1, 3)
        Time mean of the patient's breathing less the position that was planned on: systematic.
    planning_day_mm : (patients, 1, 3)
        Shift of the whole wave on the day of the planning CT: what it adds to all fractions is minus this.
    baseline_mm : (patients, fractions, 3)
        Shift of the whole wave on each day.
    drift_mm : (patients, fractions, 3)
        Displacement between the beginning and the end of each fraction.
    wave_mm : (patients, fractions, samples, 3)
        About the time mean of the patient's breathing.
    time_s : (patients, fractions, samples)
        Since the beginning of each fraction.
    extremes_mm : (patients, fractions, extremes, 3)
        As `wave_mm`, where the breathing reaches furthest.
    extremes_s : (patients, fractions, extremes)
    day_amplitude_mm, day_baseline_mm : (patients, fractions, 3)
        Of `wave_mm`, what the day's amplitude adds to its mean, and where a recording lies when the match is done.
    planned_mm : (patients, 1, 3) or None
        The planned position about the time mean of the patient's breathing.
    turning : Turning or None
        Rotations from the planned orientation, at any time of a fraction.
    moving : Moving or None
        The wave at any time; None where nothing breathes.
    hidden_mm : (patients, fractions, 3) or None
        Of a management: what no match sees.
    duty : (patients, fractions) or None
        Share of the time that the beam is on; None without management.
    """

    reference_mm: Floats
    planning_day_mm: Floats
    baseline_mm: Floats
    drift_mm: Floats
    wave_mm: Floats
    time_s: Floats
    extremes_mm: Floats
    extremes_s: Floats
    day_amplitude_mm: Floats
    day_baseline_mm: Floats
    planned_mm: Floats | None = None
    turning: Turning | None = None
    moving: Moving | None = None
    hidden_mm: Floats | None = None
    duty: Floats | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Breathing:
    """How a target moves with breathing, relative to where it was planned.

    Make one with `Breathing.lujan`, `Breathing.from_trace`, `Breathing.from_phases` or `Breathing.preset`.

    Attributes
    ----------
    wave : Lujan, Measured or PhaseLoop
    reference : str or (3,) array
        The position that counts as planned: ``time_mean``, ``exhale``, ``inhale``, ``mid_range``, a vector (from
        exhale, in a trace's own coordinates, or from the time mean of phases, mm), or ``snapshot``: a random phase,
        drawn once for each patient's planning CT and kept for the whole course.
    reference_seen_by : {"nothing", "soft_tissue"}
        Deprecated: say what the match compares in ``ImageGuidance(soft_tissue_sees=)``. With ``soft_tissue`` the match
        sees the planned position's distance from the time mean.
    variation : Variation
        From cycle to cycle, within a fraction, from day to day; none unless asked for.
    """

    wave: Lujan | Measured | PhaseLoop
    reference: Reference | ArrayLike
    reference_seen_by: Literal["nothing", "soft_tissue"] = "nothing"
    variation: Variation = STEADY

    def __post_init__(self) -> None:
        choice("reference_seen_by", self.reference_seen_by, ("nothing", "soft_tissue"))
        if isinstance(self.reference, str):
            choice("reference", self.reference, REFERENCES)
        else:
            object.__setattr__(self, "reference", triple("reference", self.reference, least=-200.0))
        self.wave.check(self.variation)
        if not self.is_snapshot and isinstance(self.wave, Measured):
            self.wave.position(self.reference)  # refused now, not in the midst of a simulation

    @property
    def is_snapshot(self) -> bool:
        """Whether the planned position is a random phase."""
        return is_snapshot(self.reference)

    @property
    def turns(self) -> bool:
        """Whether the target turns as it breathes."""
        return isinstance(self.wave, Measured) and self.wave.turns

    @classmethod
    def lujan(
        cls,
        *,
        amplitude_mm: ArrayLike,
        inhale: ArrayLike,
        reference: Reference | ArrayLike,
        period_s: float = 4.0,
        n: int = 3,
        phase: float = 0.0,
        lag: ArrayLike = 0.0,
        amplitude_sd_mm: ArrayLike = 0.0,
        amplitude_correlation: float = 1.0,
        variation: Variation | Literal["none", "free", "coached"] = "none",
        reference_seen_by: Literal["nothing", "soft_tissue"] = "nothing",
    ) -> Self:
        """Breathing after Lujan: ``x(t) = A·cos²ⁿ(πt/τ − φ)`` from exhale towards inhale, on each axis.

        Parameters
        ----------
        amplitude_mm : (3,) array
            A (LR, AP, SI), peak to peak.
        inhale : (3,) array
            Direction of inhale on each axis: −1, 0 or 1. A liver moves anteriorly and inferiorly: (0, 1, −1); its LR
            direction is not known beforehand, and an amplitude whose direction is 0 is left out, with a warning.
        reference : str or (3,) array
            See the class.
        period_s, n, phase
            τ, n and φ (radians).
        lag : (3,) array
            By which share of a cycle each axis follows behind (hysteresis).
        amplitude_sd_mm : (3,) array
            SD between patients. Each patient's amplitude is drawn from a gamma distribution of this mean and SD.
        amplitude_correlation : float
            Between the axes of one patient, −0.5 to 1.
        variation : Variation or {"none", "free", "coached"}
        reference_seen_by : str

        Raises
        ------
        MotionError
            When a number is out of range, or a word unknown.

        References
        ----------
        Lujan et al. 1999, Med Phys 26:715.

        Examples
        --------
        >>> liver = Breathing.lujan(amplitude_mm=(0, 4, 12), inhale=(0, 1, -1), reference="exhale")
        >>> liver.displacement([0.0, 2.0]).round(3)
        array([[  0.,   4., -12.],
               [  0.,   0.,  -0.]])
        """
        wave = Lujan(
            amplitude_mm=amplitude_mm,
            inhale=inhale,
            period_s=period_s,
            n=n,
            phase=phase,
            lag=lag,
            amplitude_sd_mm=amplitude_sd_mm,
            amplitude_correlation=amplitude_correlation,
        )
        return cls(
            wave=wave, reference=reference, reference_seen_by=reference_seen_by, variation=as_variation(variation, n)
        )

    @classmethod
    def from_trace(
        cls,
        trace: Trajectory | Sequence[Trajectory],
        *,
        reference: Reference | ArrayLike,
        inhale: ArrayLike | None = None,
        block_s: float | None = None,
        variation: Variation | Literal["none"] = "none",
        reference_seen_by: Literal["nothing", "soft_tissue"] = "nothing",
    ) -> Self:
        """Breathing as it was measured: each fraction replays the recording, rotations too, from a random sample on.

        A recording shorter than a fraction is played to its end and back again. The match before a fraction sees the
        mean of the 20 s before it; the drift since then stays.

        Parameters
        ----------
        trace : Trajectory, or several
            Rotations count from the orientation at the reference: for a vector, from the recording's own zero.
            Of several each patient has one, drawn at random.
        reference : str or (3,) array
            See the class. ``exhale`` and ``inhale`` need `inhale`: a trace alone does not tell which end is which.
        inhale : (3,) array, optional
            Direction of inhale (LR, AP, SI), such as (0, 0.3, −0.95).
        block_s : float, optional
            Put each fraction together of blocks of this length, s, blended where they join. By default it is one
            piece, so that slow drifts stay.
        variation : Variation
            Only drift and baseline shifts between days: breaths vary as they were measured.
        reference_seen_by : str

        Raises
        ------
        MotionError
            When the reference cannot be had from the trace.
        """
        traces = (trace,) if isinstance(trace, Trajectory) else tuple(trace)
        wave = Measured(traces=traces, inhale=inhale, block_s=block_s)
        return cls(
            wave=wave, reference=reference, reference_seen_by=reference_seen_by, variation=as_variation(variation)
        )

    @classmethod
    def from_phases(
        cls,
        phases: Phases,
        *,
        reference: Reference | Literal["mid_ventilation"] | float | ArrayLike,
        period_s: float | None = None,
        variation: Variation | Trajectory | Literal["none", "free", "coached"] = "none",
        reference_seen_by: Literal["nothing", "soft_tissue"] = "nothing",
    ) -> Self:
        """Breathing as the phases of a patient's 4D image show it: each position is held for its share of the cycle.

        A 4D image knows no positions between its phases, no ends beyond them, and nothing of how one breath differs
        from the next: that is what `variation` adds.

        Parameters
        ----------
        phases : Phases
        reference : str, number or (3,) array
            See the class; also ``mid_ventilation``, whose distance from the time mean is then a systematic error, or
            the number of a phase.
        period_s : float, optional
            By default that of the trace in `variation`, else 4 s.
        variation : Variation, Trajectory or {"none", "free", "coached"}
            A trace, such as that of an external marker in mm of the target, gives the spread of its breaths' amplitudes
            (as a share of their mean), periods and baselines.
        reference_seen_by : str

        Raises
        ------
        MotionError
            When the reference is unknown, or the trace has too few breaths.

        Examples
        --------
        >>> from ptvkit import phantom
        >>> poses = np.tile(np.eye(4), (4, 1, 1))
        >>> poses[:, 2, 3] = -8, -2, 0, -2
        >>> phases = Phases(regions=[phantom.region("lesion_3").moved(pose) for pose in poses])
        >>> breathing = Breathing.from_phases(phases, reference="exhale")
        >>> breathing.displacement([0.0, 1.0, 2.0]).round(1)[:, 2]
        array([-8., -2.,  0.])
        """
        loop = loop_of(phases, period_of(variation, period_s))
        return cls(
            wave=loop,
            reference=reference_of(phases, reference),
            reference_seen_by=reference_seen_by,
            variation=variation_of(variation, float(phases.amplitude_mm.max())),
        )

    @classmethod
    def preset(
        cls,
        name: str,
        *,
        reference: Reference | ArrayLike,
        inhale: ArrayLike = (1, 1, -1),
        variation: Variation | Literal["none", "free", "coached"] = "none",
        reference_seen_by: Literal["nothing", "soft_tissue"] = "nothing",
    ) -> Self:
        """Breathing of a published population, by name; `ptvkit.breathing_presets` lists them with their sources.

        Inhale is inferior, anterior and, as in most measured liver traces, to the right.

        Examples
        --------
        >>> from ptvkit import breathing_presets
        >>> print(breathing_presets["liver-compression"].note)
        mean and SD between patients
        >>> Breathing.preset("liver-compression", reference="time_mean").wave.is_population
        True
        """
        from ptvkit.motion.presets import preset_named

        known = preset_named(name)
        return cls.lujan(
            amplitude_mm=known.amplitude_mm,
            amplitude_sd_mm=known.amplitude_sd_mm,
            inhale=inhale,
            reference=reference,
            reference_seen_by=reference_seen_by,
            variation=variation,
        )

    def path_mm(self) -> Floats:
        """Positions (N, 3) in their order, from the planned position, joined by straight lines, mm; no variation.

        Raises
        ------
        MotionError
            When the planned position is a snapshot, or patients differ.
        """
        if self.is_snapshot or (self.wave.is_population and not isinstance(self.wave, Measured)):
            raise MotionError(
                "this breathing has no one path (snapshot or population): give a reference and one patient"
            )
        path: Floats = self.wave.path_mm - self.wave.position(self.reference)
        return path

    def displacement(self, time_s: ArrayLike, rng: np.random.Generator | None = None) -> Floats:
        """Displacement (T, 3) from the planned position at times (T,), mm.

        Without a generator this is the plain wave, or the trace itself. With one, a patient and a fraction are drawn.

        Raises
        ------
        MotionError
            When it varies, or its reference is a snapshot, and no generator is given.
        """
        time = np.asarray(time_s, float)
        if rng is not None:
            span = max(float(np.ptp(np.append(time, 0.0))), 1e-9)
            drawn = self._draw(1, 1, time.reshape(1, 1, -1), span, rng, rng)
            drift = drawn.drift_mm[0, 0] * ((time.reshape(-1, 1) - time.min()) / span)
            still = drawn.reference_mm[0] + drawn.baseline_mm[0] - drawn.planning_day_mm[0]
            total: Floats = (still + drawn.wave_mm[0, 0] + drift).reshape(*time.shape, 3)
            return total
        if self.is_snapshot or not self.variation.is_none or self.wave.is_population:
            raise MotionError("this breathing is random (snapshot, variation or population): give rng=")
        return self.wave.plain(time) - self.wave.position(self.reference)

    def draw(
        self,
        patients: int,
        fractions: int,
        samples: int,
        fraction_s: float,
        rng: "Streams",
        *,
        drifts: bool = False,
    ) -> BreathingDraw:
        """Breathing of patients over their fractions, at `samples` times spread over each fraction.

        With `drifts` something else drifts within the fraction, so that the ends of all breaths are extremes.
        """
        time = rng.times(patients, fractions, samples, fraction_s)
        return self._draw(patients, fractions, time, fraction_s, rng.patient, rng.fraction, drifts=drifts)

    def motion(self, patients: int, fractions: int, span_s: float, rng: "Streams") -> BreathingDraw:
        """Breathing over fractions that last `span_s`, to be looked at through its `moving`; one time, the first."""
        start = np.zeros((patients, fractions, 1))
        return self._draw(patients, fractions, start, span_s, rng.patient, rng.fraction)

    def _draw(
        self,
        patients: int,
        fractions: int,
        time_s: Floats,
        span_s: float,
        of_patient: np.random.Generator,
        of_fraction: np.random.Generator,
        *,
        drifts: bool = False,
    ) -> BreathingDraw:
        vary = self.variation
        normals = of_fraction.standard_normal((patients, fractions, 2, 3))
        drifts = drifts or vary.drifts
        wave = self.wave.draw(
            patients, fractions, time_s, span_s, self.reference, vary, of_patient, of_fraction, drifts=drifts
        )
        shift = vector(vary.baseline_shift_mm)
        return BreathingDraw(
            reference_mm=(wave.mean_mm - wave.planned_mm)[:, None, :],
            planning_day_mm=of_patient.standard_normal((patients, 1, 3)) * shift,
            baseline_mm=normals[:, :, 0] * shift,
            drift_mm=vector(vary.drift_mean_mm) + normals[:, :, 1] * vector(vary.drift_mm),
            wave_mm=wave.wave_mm,
            time_s=time_s,
            extremes_mm=wave.extremes_mm,
            extremes_s=wave.extremes_s,
            day_amplitude_mm=wave.amplitude_mm,
            day_baseline_mm=wave.baseline_mm,
            planned_mm=(wave.planned_mm - wave.mean_mm)[:, None, :],
            turning=wave.turning,
            moving=wave.moving,
        )


class Streams(NamedTuple):
    """Generators of a block of patients: for what a patient keeps, for his fractions, for when a fraction begins."""

    patient: np.random.Generator
    fraction: np.random.Generator
    phase: np.random.Generator

    def times(self, patients: int, fractions: int, samples: int, span_s: float) -> Floats:
        """Times (P, F, S), one in each stretch of each fraction, at places that do not beat with the breathing, s."""
        start = self.phase.random((patients, fractions, 1))
        within = (start + np.arange(samples) * GOLDEN) % 1.0
        times: Floats = (np.arange(samples) + within) * (span_s / samples)
        return times


GOLDEN: Final = (5**0.5 - 1) / 2
