"""Displacements of drawn patients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import EllipsisType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.motion.guidance import Part, Workload
from ptvkit.motion.intrafraction import Path
from ptvkit.motion.turning import matrices

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """Displacements of a block of patients.

    Attributes
    ----------
    parts : tuple of Part
        Add up to the fraction's displacement.
    wave_mm : (patients, fractions, samples, 3) array or None
        Breathing about its time mean.
    rotations_rad : (patients, fractions, 3) array or None
        Rotation vectors of the set-up errors about the target's centroid.
    time_s : (patients, fractions, samples) array or None
        When the wave was sampled, since the beginning of each fraction.
    samples : int
    wave_extremes_mm : (patients, fractions, extremes, 3) array or None
        As `wave_mm`, where the breathing reaches furthest.
    extreme_shares : (patients, fractions, extremes) array or None
        When, as a share of the fraction; above 1 where the beam pauses and the fraction takes longer.
    wave_turns_rad, extreme_turns_rad : (patients, fractions, samples or extremes, 3) array or None
        Rotation vectors of the breathing, before those of the set-up errors.
    wave_mean_mm : (patients, fractions, 3) array or None
        What makes `wave_mm` a position about the time mean of the patient's breathing.
    planned_mm : (patients, fractions, 3) array or None
        The planned position about that mean.
    path : Path or None
        Other motion within the fractions.
    workload : Workload or None
        Images and corrections of guidance.
    growth_mm : (patients, fractions) array or None
        How far the target's surface has moved outwards.
    fraction_s : float
    duty : (patients, fractions) array or None
        Share of the time that the beam is on; None without management of the motion.
    """

    parts: tuple[Part, ...]
    wave_mm: Floats | None
    rotations_rad: Floats | None
    time_s: Floats | None
    samples: int
    wave_extremes_mm: Floats | None = None
    extreme_shares: Floats | None = None
    wave_turns_rad: Floats | None = None
    extreme_turns_rad: Floats | None = None
    wave_mean_mm: Floats | None = None
    planned_mm: Floats | None = None
    path: Path | None = None
    workload: Workload | None = None
    growth_mm: Floats | None = None
    fraction_s: float = 1.0
    duty: Floats | None = None

    @cached_property
    def shifts_mm(self) -> Floats:
        """Displacements (patients, fractions, samples, 3) at the times that stand for the whole of a fraction, mm."""
        return self._sampled(...)

    def shifts_of(self, fractions: NDArray[np.bool_]) -> Floats:
        """Displacements as `shifts_mm`, (N, samples, 3), of the fractions in a mask (patients, fractions)."""
        if self.path is not None or "shifts_mm" in vars(self):
            return self.shifts_mm[fractions]
        return self._sampled(fractions)

    def _sampled(self, fractions: NDArray[np.bool_] | EllipsisType) -> Floats:
        wave = None if self.wave_mm is None else self.wave_mm[fractions]
        if self.time_s is not None:
            return self._moved(self.time_s[fractions] / self.fraction_s, wave, fractions)
        share = (np.arange(self.samples) + 0.5) / self.samples
        return self._moved(np.broadcast_to(share, (*self._shape, self.samples))[fractions], wave, fractions)

    @cached_property
    def extreme_shifts_mm(self) -> Floats:
        """Displacements (patients, fractions, extremes, 3) between which all others of a fraction lie, mm.

        The ends of breaths, or every point of a recording; both ends of a steady drift, and of its parts between
        corrections; every position of a random walk. They do not depend on `samples`.
        """
        if self.extreme_shares is not None:
            ends = self._moved(self.extreme_shares, self.wave_extremes_mm)
            if self.path is None or self.wave_extremes_mm is None:
                return ends
            nodes = self._moved(self._path_shares, self.path.path_mm) + self._at_path(self.wave_extremes_mm)
            return np.concatenate([ends, nodes], axis=2)
        if self.wave_mm is not None:
            raise ValueError("these displacements were drawn without their extremes")
        if self.path is not None:
            return self._moved(self._path_shares, self.path.path_mm)
        drifts = any(part.grows and part.shift_mm.any() for part in self.parts)
        share = np.array([0.0, 1.0] if drifts else [0.0])
        return self._moved(np.broadcast_to(share, (*self._shape, len(share))), None)

    @property
    def _path_shares(self) -> Floats:
        assert self.path is not None
        return np.broadcast_to(self.path.shares, (*self._shape, len(self.path.shares)))

    def _at_path(self, extremes: Floats) -> Floats:
        """Values of breathing (P, F, N, 3) at the nodes of the path, on straight lines between its extremes."""
        assert self.path is not None
        assert self.extreme_shares is not None
        found = np.empty((*self._shape, len(self.path.shares), extremes.shape[3]))
        for place in np.ndindex(self._shape):
            order = np.argsort(self.extreme_shares[place], kind="stable")
            at = self.extreme_shares[place][order]
            for axis in range(extremes.shape[3]):
                found[place][:, axis] = np.interp(self.path.shares, at, extremes[place][order, axis])
        return found

    @property
    def _shape(self) -> tuple[int, int]:
        patients, fractions, _ = self.parts[0].shift_mm.shape
        return patients, fractions

    def _moved(
        self, share: Floats, wave_mm: Floats | None, fractions: NDArray[np.bool_] | EllipsisType = ...
    ) -> Floats:
        """Displacements at shares (patients, fractions, T) of the fraction; drifts grow in straight lines."""
        total = np.zeros((*share.shape, 3)) if wave_mm is None else wave_mm.copy()
        if self.path is not None and wave_mm is not self.path.path_mm:
            total += self.path.at(share)
        for part in self.parts:
            if not part.shift_mm.any():
                continue
            shift = part.shift_mm[fractions][..., None, :]
            total += shift * share[..., None] if part.grows else shift
        return total

    def of_patient(self, number: int) -> "Drawn":
        """One patient's alone; every array keeps its axes."""
        own = slice(number, number + 1)
        return self._with(
            [part.shift_mm[own] for part in self.parts],
            {name: array[own] for name, array in self._arrays.items()},
        )

    @property
    def _arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays that there are beside those of the parts."""
        arrays = {name: getattr(self, name) for name in ARRAYS}
        arrays |= {} if self.path is None else {"path_mm": self.path.path_mm}
        arrays |= {} if self.workload is None else self.workload._asdict()
        return {name: array for name, array in arrays.items() if array is not None}

    def _with(self, shifts_mm: Sequence[Floats], arrays: Mapping[str, Any]) -> "Drawn":
        """The same with other values for `parts` and `_arrays`."""
        parts = tuple(replace(part, shift_mm=shift) for part, shift in zip(self.parts, shifts_mm, strict=True))
        path = None if self.path is None else self.path._replace(path_mm=arrays["path_mm"])
        workload = None if self.workload is None else Workload(arrays["images"], arrays["corrections"])
        own = {name: array for name, array in arrays.items() if name in ARRAYS}
        return replace(self, parts=parts, path=path, workload=workload, **own)

    @property
    def turns(self) -> Floats | None:
        """Rotation matrices of the set-up errors (patients, fractions, 3, 3)."""
        return None if self.rotations_rad is None else matrices(self.rotations_rad)

    @cached_property
    def sample_turns(self) -> Floats | None:
        """Rotation matrices (patients, fractions, samples or 1, 3, 3) at the times of `shifts_mm`."""
        return self._turned(self.wave_turns_rad)

    @cached_property
    def extreme_turns(self) -> Floats | None:
        """Rotation matrices (patients, fractions, extremes or 1, 3, 3) at the times of `extreme_shifts_mm`."""
        turns = self.extreme_turns_rad
        if turns is not None and self.path is not None:
            turns = np.concatenate([turns, self._at_path(turns)], axis=2)
        return self._turned(turns)

    def _turned(self, wave_rad: Floats | None) -> Floats | None:
        """Of the breathing in the patient, who is then turned by the set-up errors."""
        setup = None if self.turns is None else self.turns[:, :, None]
        if wave_rad is None:
            return setup
        return matrices(wave_rad) if setup is None else setup @ matrices(wave_rad)


ARRAYS: Final = (
    "wave_mm",
    "rotations_rad",
    "time_s",
    "wave_extremes_mm",
    "extreme_shares",
    "wave_turns_rad",
    "extreme_turns_rad",
    "wave_mean_mm",
    "planned_mm",
    "growth_mm",
    "duty",
)
"""Arrays of `Drawn` whose first axis counts patients."""


def joined(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Arrays of several blocks of patients as one."""
    if arrays[0].ndim < 3:
        return np.concatenate(arrays)
    longest = max(array.shape[2] for array in arrays)  # of the last cycle, some blocks have extremes more
    return np.concatenate([_extended(array, longest) for array in arrays])


def _extended(array: Floats, length: int) -> Floats:
    """An array (P, F, E, ...) whose last entry along E is repeated up to a length."""
    rest = [(0, 0)] * array.ndim
    rest[2] = (0, length - array.shape[2])
    return np.pad(array, rest, mode="edge")
