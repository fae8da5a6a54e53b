"""Rotations of a target that breathes, as a recording has them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Floats = NDArray[np.float64]


class Replayed(Protocol):
    """Values at any time of a fraction."""

    def at(self, time_s: Floats) -> Floats:
        """Values (P, F, T, 3) at times (P, F, T)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Turning:
    """Rotations of some patients in each fraction, about the target's centroid, from the planned orientation.

    Attributes
    ----------
    replays : tuple of (bool array (P,), Replayed, (own patients or 1, 3) array)
        Which patients have a recording, its rotation vectors, and that of their planned orientation; rad.
    """

    replays: tuple[tuple[NDArray[np.bool_], Replayed, Floats], ...]

    def at(self, time_s: Floats) -> Floats:
        """Rotation vectors (P, F, T, 3) at times (P, F, T) since the beginning of each fraction, rad."""
        turned = np.zeros((*time_s.shape, 3))
        for own, replayed, planned in self.replays:
            vectors = replayed.at(time_s[own])
            turned[own] = vectors if not planned.any() else _relative(vectors, planned)
        return turned


def _relative(vectors: Floats, planned: Floats) -> Floats:
    """Rotation vectors (P, F, T, 3) of ``R Rₚ⁻¹``, Rₚ of patients (P or 1, 3)."""
    first = np.array(np.broadcast_to(planned[:, None, None], vectors.shape)).reshape(-1, 3)
    turned = Rotation.from_rotvec(vectors.reshape(-1, 3)) * Rotation.from_rotvec(first).inv()
    relative: Floats = turned.as_rotvec().reshape(vectors.shape)
    return relative


def matrices(vectors_rad: Floats) -> Floats:
    """Rotation matrices (..., 3, 3) of rotation vectors (..., 3)."""
    found: Floats = Rotation.from_rotvec(vectors_rad.reshape(-1, 3)).as_matrix().reshape(*vectors_rad.shape, 3)
    return found
