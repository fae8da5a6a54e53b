"""A course on a target, ready for exact answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ptvkit.errors import MotionError
from ptvkit.geometry.components import parts
from ptvkit.geometry.region import Region
from ptvkit.motion.course import Course
from ptvkit.motion.coverage import Prepared, prepare
from ptvkit.motion.estimate import Estimate
from ptvkit.motion.exact.allowed import FAR_MM, Allowed, Kept, drifting, inside_at, kept, lattice
from ptvkit.motion.exact.axis import Axis
from ptvkit.motion.exact.breaths import Masses, highest_breath, planned_heights, random_moment
from ptvkit.motion.exact.engine import NO_LINE, Kernels, Line, axes_of, contained, density, in_chunks, kernels
from ptvkit.motion.exact.matched import Patients
from ptvkit.motion.exact.quadrature import patients_of, reference_on_lattice
from ptvkit.motion.exact.sources import Group, Sources, sources_of

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]

DEPTH_STEP_MM: Final = 0.75
STEPS_MM: Final = (0.75, 0.5, 0.35, 0.25)
"""Of the lattice of shifts: refined until the answer changes by less than `SETTLED`."""
SETTLED: Final = 5e-4
FIRST_POINTS: Final = 16
MOST_POINTS: Final = 2048
FEW_POINTS: Final = 16
"""Of each scramble, by which a finer lattice is compared."""
REACH: Final = 4.3
"""SDs to which shifts are looked at."""
LOSS_STEP_MM: Final = 1.25
LOSS_POINTS: Final = 32
PRECISION: Final = 0.002
"""Width of the 95 % interval by default."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Model:
    """A target, its PTV and a course without drawn patients. Make one with `model_of`.

    Attributes
    ----------
    ctv, ptv : Region
    course : Course
    sources : Sources
    seed : int
        Of the scrambles.
    precision : float
        Width of the 95 % interval of containment that is aimed at.
    ready : Prepared or None
        What the caller has prepared.
    """

    ctv: Region
    ptv: Region
    course: Course
    sources: Sources
    seed: int
    precision: float
    ready: Prepared | None = None

    def with_course(self, course: Course) -> "Model":
        """Another course on the same target; what depends on breathing alone is kept where breathing is the same."""
        other = replace(self, course=course, sources=sources_of(course))
        same = course.breathing is self.course.breathing and course.fraction_s == self.course.fraction_s
        if same and "high" in self.__dict__:
            other.__dict__["high"] = self.high
        return other

    @cached_property
    def parts(self) -> tuple[Region, ...]:
        """The target's lesions, the largest first."""
        return tuple(parts(self.ctv))

    @cached_property
    def wide(self) -> Prepared:
        """Prepared for all shifts that can happen."""
        return self.ready or prepare(self.ctv, self.ptv, self.course, seed=self.seed, reach_mm=self.reach)

    @cached_property
    def near(self) -> Prepared:
        """Prepared for the shifts that can keep the whole target inside."""
        if self.ready is not None or "wide" in self.__dict__:
            return self.wide
        low, high = self._box(self.ctv, 0.0)
        return prepare(self.ctv, self.ptv, self.course, seed=self.seed, reach_mm=(low - 3, high + 3))

    @cached_property
    def reach(self) -> tuple[Floats, Floats]:
        """Corners (3,) of a box of shifts beyond which no fraction of note lies, mm."""
        own = self.sources
        variance = own.unseen.systematic**2 + own.unseen.random**2 + own.drift.random**2
        mean, level = own.unseen.mean, 0.0
        if own.stages:
            last = own.stages[-1]
            variance = variance + last.systematic_mm**2 + last.random_mm**2 + own.couch_mm**2
            level = own.level_mm
        half = REACH * np.sqrt(variance) + level
        ends = self._breathing_ends()
        return mean - half + ends.min(axis=0), mean + half + ends.max(axis=0)

    def _breathing_ends(self) -> Floats:
        """Shifts (E, 3) between which breathing and its reference lie."""
        wave = self.sources.wave
        if wave is None or self.course.breathing is None:
            return np.zeros((1, 3))
        size = 1 + 4 * np.asarray(wave.amplitude_sd_mm) / np.maximum(np.asarray(wave.amplitude_mm), 1e-9)
        ends: Floats = np.array([-wave.mean_share, self.high.at.max()])[:, None] * wave.signed_mm * size
        if self.sources.reference != "unseen":
            return ends
        planned = planned_heights(self.course.breathing).at
        line = (wave.mean_share - np.array([planned.min(), planned.max()]))[:, None] * wave.signed_mm * size
        fixed = self.course.breathing.reference
        offset = np.zeros(3) if isinstance(fixed, str) else -np.asarray(fixed, float)
        both: Floats = (ends[:, None] + line + offset).reshape(-1, 3)
        return both

    def _box(self, part: Region, tolerance_mm: float) -> tuple[Floats, Floats]:
        """Corners of the shifts that can keep a part of the target inside, by the extents of both."""
        own, around = part.surface_points(), self.ptv.surface_points()
        low, high = self.reach
        least: Floats = np.maximum(low, around.min(axis=0) - own.min(axis=0) - tolerance_mm)
        most: Floats = np.minimum(high, around.max(axis=0) - own.max(axis=0) + tolerance_mm)
        return least, np.maximum(most, least)

    @cached_property
    def high(self) -> Masses:
        """The highest breath about the time mean, in shares of the amplitude."""
        if self.sources.wave is None or self.course.breathing is None:
            return Masses(np.zeros(1), np.ones(1))
        found = highest_breath(self.course.breathing, self.course.fraction_s)
        return Masses(found.at - self.sources.wave.mean_share, found.mass)

    @cached_property
    def moment(self) -> Masses:
        """A random moment about the time mean, in shares of the amplitude; less the planned phase that none sees."""
        if self.sources.wave is None or self.course.breathing is None:
            return Masses(np.zeros(1), np.ones(1))
        found = random_moment(self.course.breathing)
        step = LOSS_STEP_MM / 2 / max(float(np.abs(self.sources.wave.signed_mm).max()), 1.0)
        moved = _gathered(Masses(found.at - self.sources.wave.mean_share, found.mass), step)
        away = np.subtract.outer(moved.at, self.line.heights.at).ravel()
        return _gathered(Masses(away, np.multiply.outer(moved.mass, self.line.heights.mass).ravel()), step)

    @cached_property
    def line(self) -> Line:
        """Planned phases that no match sees."""
        if self.course.breathing is None or not reference_on_lattice(self.sources):
            return NO_LINE
        assert self.sources.wave is not None, "only where something breathes"
        planned = planned_heights(self.course.breathing)
        top = max(float(np.abs(self.sources.wave.signed_mm).max()), 1.0)
        return Line(self.sources.wave.signed_mm, _gathered(planned, 0.4 / top))

    @property
    def fractions(self) -> int:
        """Fractions that can differ from each other."""
        same = self.sources.is_fixed and len(self.high.at) == 1
        return 1 if same else self.course.fractions

    def allowed(self, lesion: int | None = None, tolerance_mm: float = 0.0, room_mm: float = 0.0) -> Allowed:
        """Depths on a lattice of shifts, of all lesions together or of one (by number, from 0)."""
        tight = lesion is None and tolerance_mm == 0
        ready = self.near if tight else self.wide
        part = self.ctv if lesion is None else self.parts[lesion]
        low, high = self._box(part, tolerance_mm)
        room = 2.0 + room_mm
        first = np.floor((low - room) / DEPTH_STEP_MM).astype(np.int64)
        shape = np.ceil((high + room) / DEPTH_STEP_MM).astype(np.int64) + 1 - first
        nodes = lattice(first, shape, DEPTH_STEP_MM)
        chosen = ready.lesions if lesion is None else (ready.lesions[lesion],)
        depth = np.max([one.depths(nodes).depth_mm for one in chosen], axis=0)
        return Allowed(DEPTH_STEP_MM, first, depth.reshape(shape))

    def kept(self, allowed: Allowed, step: float, tolerance_mm: float, amplitude: Floats | None = None) -> Kept:
        """Where a fraction is contained; of another patient's amplitude (3,) where they differ."""
        wave = self.sources.wave
        signed = np.zeros(3) if wave is None else wave.signed_mm if amplitude is None else amplitude
        low = 0.0 if wave is None else -wave.mean_share
        still = kept(allowed, step, tolerance_mm, signed, low, self.high)
        return drifting(still, self.sources.drift.mean, self.sources.drift.random)

    def patients(self, count: int) -> list[Patients]:
        """Independent sets of patients of the quadrature."""
        return patients_of(self.sources, self.course.breathing, count, self.seed)

    def shares(self, allowed: Allowed, step: float, tolerance_mm: float, sets: Sequence[Patients]) -> Floats:
        """Share of patients contained by each set."""
        axes = axes_of(self.sources, self.line, step)
        if any(one.amplitude is not None for one in sets):
            return np.array([self._share_of_population(allowed, step, tolerance_mm, one, axes) for one in sets])
        inside = self.kept(allowed, step, tolerance_mm)
        return np.array(
            [
                np.concatenate(
                    [contained(self._kernels(some, axes, inside), inside, self.fractions) for some in in_chunks(one)]
                ).mean()
                for one in sets
            ]
        )

    def _kernels(self, patients: Patients, axes: Sequence[Axis], inside: Kept) -> Kernels:
        once = self.fractions == 1
        return kernels(self.sources, self.line, patients, axes, blur=inside.blur, together=once)

    def _share_of_population(
        self, allowed: Allowed, step: float, tolerance_mm: float, patients: Patients, axes: Sequence[Axis]
    ) -> float:
        assert patients.amplitude is not None, "only where patients differ"
        found = []
        for number, amplitude in enumerate(patients.amplitude):
            inside = self.kept(allowed, step, tolerance_mm, amplitude)
            one = patients.some(slice(number, number + 1))
            found.append(contained(self._kernels(one, axes, inside), inside, self.fractions)[0])
        return float(np.mean(found))

    def contained(
        self, lesion: int | None = None, tolerance_mm: float = 0.0, progress: Progress | None = None
    ) -> "Answer":
        """Share of patients contained, of all lesions together or of one (by number, from 0); worked out once."""
        key = (lesion, tolerance_mm)
        if key not in self._answers:
            self._answers[key] = self._contained(lesion, tolerance_mm, progress)
        return self._answers[key]

    @cached_property
    def _answers(self) -> "dict[tuple[int | None, float], Answer]":
        return {}

    def _contained(self, lesion: int | None, tolerance_mm: float, progress: Progress | None) -> "Answer":
        """Points until the standard error will do, then finer lattices."""
        allowed = self.allowed(lesion, tolerance_mm)
        rough, count = STEPS_MM[0], FIRST_POINTS
        wanted = self.precision / (2 * _student())
        sets = self.patients(count)
        shares = self.shares(allowed, rough, tolerance_mm, sets)
        while (error := _standard_error(shares)) > wanted and count < MOST_POINTS:
            # the first points of a sequence stay as they were
            sets = self.patients(2 * count)
            more = self.shares(allowed, rough, tolerance_mm, [one.some(slice(count, None)) for one in sets])
            shares, count = (shares + more) / 2, 2 * count
            if progress is not None:
                progress(count, MOST_POINTS)
        few = [one.some(slice(FEW_POINTS)) for one in sets[:2]]
        at, step, moved = self.shares(allowed, rough, tolerance_mm, few).mean(), rough, 1.0
        base = at
        for finer in STEPS_MM[1:]:
            now = self.shares(allowed, finer, tolerance_mm, few).mean()
            moved, at, step = abs(now - at), now, finer
            if moved < SETTLED:
                break
        value = float(np.clip(shares.mean() + at - base, 0.0, 1.0))
        return Answer(value, error, step, float(moved), count if len(shares) > 1 else 1)

    @cached_property
    def moments(self) -> list[tuple[Estimate, Estimate]]:
        """Covered volume that is lost, and time outside: of the target, then of each lesion."""
        sets = self.patients(LOSS_POINTS)
        lesions = range(len(self.wide.lesions))
        losses, outs = [], []
        for lesion in lesions:
            loss, out = self._moments(lesion, sets)
            losses.append(loss)
            outs.append(out)
        volumes = self.wide.volumes_cc / self.wide.volumes_cc.sum()
        together = np.tensordot(volumes, np.array(losses), axes=1)
        out = outs[0] if len(outs) == 1 else self._time_out(None, sets)
        pairs = [(together, out)] if len(outs) == 1 else [(together, out), *zip(losses, outs, strict=True)]
        return [(_estimate(one), _estimate(other)) for one, other in pairs]

    def _moments(self, lesion: int, sets: Sequence[Patients]) -> tuple[Floats, Floats]:
        low, high = self.reach
        first = np.floor(low / LOSS_STEP_MM).astype(np.int64)
        shape = np.ceil(high / LOSS_STEP_MM).astype(np.int64) + 1 - first
        look = self.wide.lesions[lesion]
        covered = look.translated(lattice(first, shape, LOSS_STEP_MM)).covered.reshape(shape)
        table = Allowed(LOSS_STEP_MM, first, 1 - covered)
        loss = self._mean(lambda step, signed: _lost_at(table, step, signed, self.moment), LOSS_STEP_MM, sets)
        return loss, self._time_out(lesion, sets)

    def _time_out(self, lesion: int | None, sets: Sequence[Patients]) -> Floats:
        allowed = self.allowed(lesion, 1e-9)
        step = STEPS_MM[0]
        inside = self._mean(lambda step, signed: inside_at(allowed, step, signed, self.moment), step, sets)
        return np.clip(1 - inside, 0.0, 1.0)

    def _mean(self, table: Callable[[float, Floats], Kept], step: float, sets: Sequence[Patients]) -> Floats:
        """Mean of a table over all moments of all patients, by each set."""
        wave = self.sources.wave
        signed = np.zeros(3) if wave is None else wave.signed_mm
        if wave is not None and wave.is_population:
            raise MotionError('means over patients whose amplitudes differ: use method="sampled"')
        values = table(step, signed)
        axes = axes_of(self.sources, NO_LINE, step)
        found = []
        for one in sets:
            mass = np.zeros(values.share.shape)
            for share, weight in _drift_shares(self.sources):
                moved = replace(self.sources, unseen=_with_drift(self.sources, share))
                for some in in_chunks(one):
                    own = kernels(moved, NO_LINE, some, axes, blur=values.blur, together=True)
                    part = density(own, values.first, values.share.shape)
                    mass += weight * part * len(some.first) / len(one.first)
            found.append(float((mass * values.share).sum()))
        return np.array(found)


@dataclass(frozen=True, slots=True)
class Answer:
    """A share, and how sure it is.

    Attributes
    ----------
    value : float
    standard_error : float
        From independent scrambles; 0 where nothing was left to draw.
    step_mm : float
        Of the finest lattice.
    changed : float
        By how much the last refinement changed the answer.
    points : int
        Patients of the quadrature in each scramble.
    """

    value: float
    standard_error: float
    step_mm: float
    changed: float
    points: int

    @property
    def estimate(self) -> Estimate:
        """With its 95 % interval."""
        half = _student() * self.standard_error
        return Estimate(self.value, max(self.value - half, 0.0), min(self.value + half, 1.0))


def model_of(
    ctv: Region, ptv: Region, course: Course, *, seed: int, precision: float | None, ready: Prepared | None
) -> Model:
    """Prepare exact answers.

    Raises
    ------
    MotionError
        When the course has something that only ``method="sampled"`` can do.
    """
    width = PRECISION if precision is None else precision
    return Model(ctv=ctv, ptv=ptv, course=course, sources=sources_of(course), seed=seed, precision=width, ready=ready)


def _lost_at(table: Allowed, step: float, amplitude: Floats, heights: Masses) -> Kept:
    """Lost volume averaged over the moments of a fraction displaced by each node; beyond the table, none."""
    low = np.floor(table.first * table.step / step).astype(np.int64)
    shape = np.array(table.depth_mm.shape)
    total = np.zeros(tuple(shape))
    for at, mass in zip(heights.at, heights.mass, strict=True):
        moved = table.on(low, shape, step, amplitude * at)
        total += mass * np.where(moved < FAR_MM, np.clip(moved, 0.0, 1.0), 0.0)
    return Kept(step, low, total, 0.0)


def _gathered(masses: Masses, step: float) -> Masses:
    """The same on even nodes, by linear weights."""
    low = masses.at.min()
    count = int(np.ceil((masses.at.max() - low) / step)) + 1
    if count == 1:
        return Masses(masses.at[:1], np.array([masses.mass.sum()]))
    place = (masses.at - low) / step
    base = np.minimum(place.astype(int), count - 2)
    mass: Floats = np.asarray(np.bincount(base, masses.mass * (1 - place + base), count), float)
    mass += np.bincount(base + 1, masses.mass * (place - base), count)
    return Masses(low + step * np.arange(count), mass)


def _drift_shares(sources: Sources) -> list[tuple[float, float]]:
    if not np.any(sources.drift.random):
        return [(0.0, 1.0)]
    nodes, weights = np.polynomial.legendre.leggauss(4)
    return [(float(x + 1) / 2, float(w) / 2) for x, w in zip(nodes, weights, strict=True)]


def _with_drift(sources: Sources, share: float) -> Group:
    return sources.unseen._replace(random=np.hypot(sources.unseen.random, share * sources.drift.random))


def _estimate(values: Floats) -> Estimate:
    middle = float(values.mean())
    half = _student() * _standard_error(values)
    return Estimate(middle, max(middle - half, 0.0), min(middle + half, 1.0))


def _standard_error(values: Floats) -> float:
    """Of the mean of independent scrambles; 0 where there is one set alone."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def _student() -> float:
    """Factor from a standard error to half of a 95 % interval."""
    return float(stats.t.ppf(0.975, 7))
