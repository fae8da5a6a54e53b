"""A trajectory: where a target was, how it was turned, and when."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.display import figure_of, html_of, line
from ptvkit.errors import MotionError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trajectory:
    """Displacements, and rotations where there are some, against time.

    Parameters
    ----------
    time_s : (T,) array
        Rising, s.
    displacement_mm : (T, 3) array
        (LR, AP, SI), positive towards R, A, S, patient frame RAS+, mm.
    rotation_deg : (T, 3) array, optional
        Rotation vectors: components along the LR, AP and SI axes, right-handed about R, A and S, degrees. The target
        is turned about its centroid, then displaced. For small angles they are the angles about the three axes.
    name : str
        What messages call it.

    Raises
    ------
    MotionError
        When the shapes differ, a value is not finite, or time does not rise.

    Examples
    --------
    >>> t = np.arange(0, 20, 0.2)
    >>> trace = Trajectory(time_s=t, displacement_mm=np.outer(np.cos(t), [0, 1, -4]))
    >>> trace.mean_mm.shape, round(trace.interval_s, 3)
    ((3,), 0.2)
    """

    time_s: Floats
    displacement_mm: Floats
    name: str = "the trace"
    rotation_deg: Floats | None = None

    def __post_init__(self) -> None:
        time, displacement = _copied(self.time_s), _copied(self.displacement_mm)
        rotation = None if self.rotation_deg is None else _copied(self.rotation_deg)
        if time.ndim != 1 or displacement.shape != (len(time), 3) or len(time) < 2:
            raise MotionError(
                f"{self.name}: needs times (T,) and displacements (T, 3) of at least 2 samples,"
                f" found {time.shape} and {displacement.shape}"
            )
        if rotation is not None and rotation.shape != displacement.shape:
            raise MotionError(f"{self.name}: needs rotations (T, 3) as displacements, found {rotation.shape}")
        for what, values in (("time", time), ("displacement", displacement), ("rotation", rotation)):
            if values is None:
                continue
            bad = ~np.isfinite(values).reshape(len(time), -1).all(axis=1)
            if bad.any():
                raise MotionError(f"{self.name}: sample {int(bad.argmax()) + 1} has a {what} that is not a number")
        if (np.diff(time) <= 0).any():
            at = int((np.diff(time) <= 0).argmax()) + 2
            raise MotionError(f"{self.name}: time does not rise at sample {at} ({time[at - 1]:g} s); sort or split it")
        object.__setattr__(self, "time_s", time)
        object.__setattr__(self, "displacement_mm", displacement)
        object.__setattr__(self, "rotation_deg", rotation)

    def __reduce__(self) -> tuple[Any, ...]:
        turned = None if self.rotation_deg is None else np.array(self.rotation_deg)
        return _trajectory, (np.array(self.time_s), np.array(self.displacement_mm), self.name, turned)

    @property
    def duration_s(self) -> float:
        """Last time less first, s."""
        return float(self.time_s[-1] - self.time_s[0])

    @property
    def interval_s(self) -> float:
        """Median time between samples, s."""
        return float(np.median(np.diff(self.time_s)))

    @property
    def weights(self) -> Floats:
        """Share of the time for which each sample (T,) stands."""
        gaps = np.diff(self.time_s)
        weights = 0.5 * (np.r_[gaps, 0.0] + np.r_[0.0, gaps])
        found: Floats = weights / weights.sum()
        return found

    def __repr__(self) -> str:
        seconds = f"{self.time_s[-1] - self.time_s[0]:.4g} s"
        return line(self, self.name, f"{len(self.time_s)} samples over {seconds}")

    def _repr_html_(self) -> str:
        return html_of(self)

    def plot(self, **options: Any) -> Any:
        """Displacement against time and the time spent at each position, a matplotlib figure."""
        return figure_of(self, **options)

    @property
    def mean_mm(self) -> Floats:
        """Time mean (3,), mm."""
        found: Floats = self.weights @ self.displacement_mm
        return found

    @property
    def sd_mm(self) -> Floats:
        """SD over time (3,), mm."""
        found: Floats = np.sqrt(self.weights @ (self.displacement_mm - self.mean_mm) ** 2)
        return found

    def at(self, time_s: ArrayLike) -> Floats:
        """Displacement (..., 3) at times (...), linearly between samples.

        Raises
        ------
        MotionError
            Before the first or after the last sample.
        """
        time = np.asarray(time_s, float)
        if time.size and not (time.min() >= self.time_s[0] - 1e-9 and time.max() <= self.time_s[-1] + 1e-9):
            raise MotionError(f"{self.name}: covers {self.time_s[0]:g} to {self.time_s[-1]:g} s; asked beyond")
        return self._between(time, self.displacement_mm)

    def _between(self, time: Floats, values: Floats) -> Floats:
        return np.stack([np.interp(time, self.time_s, values[:, axis]) for axis in range(3)], axis=-1)

    def even(self, interval_s: float | None = None) -> Self:
        """The trajectory at even steps, linearly between samples; by default at its median step."""
        step = self.interval_s if interval_s is None else interval_s
        count = max(2, round(self.duration_s / step) + 1)
        time = np.linspace(self.time_s[0], self.time_s[-1], count)
        turned = None if self.rotation_deg is None else self._between(time, self.rotation_deg)
        return type(self)(time_s=time, displacement_mm=self.at(time), rotation_deg=turned, name=self.name)


def _copied(values: ArrayLike) -> Floats:
    array = np.array(values, dtype=float)
    array.setflags(write=False)
    return array


def _trajectory(time_s: Floats, displacement_mm: Floats, name: str, rotation_deg: Floats | None = None) -> Trajectory:
    return Trajectory(time_s=time_s, displacement_mm=displacement_mm, rotation_deg=rotation_deg, name=name)
