"""Set-up errors by name: how large they are, and which match sees them."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import MotionError
from ptvkit.values import choice, triple, vector, whole

SeenBy = Literal["bone_and_soft_tissue", "soft_tissue", "nothing"]
SEEN_BY: Final = ("bone_and_soft_tissue", "soft_tissue", "nothing")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SetupError:
    """One source of geometric error, as a displacement of the target from where it was planned.

    Parameters
    ----------
    name : str
        What tables call it.
    mean_mm : (3,) array or float
        The same for all patients (LR, AP, SI), positive towards R, A, S.
    systematic_mm : (3,) array or float
        Σ: SD between patients of what is the same in all fractions of one.
    random_mm : (3,) array or float
        σ: SD within a patient of what is new in each fraction.
    trend_mm : (3,) array or float
        SD between patients of what each fraction adds to the one before, as in a patient who relaxes or loses weight.
    seen_by : {"bone_and_soft_tissue", "soft_tissue", "nothing"}
        Which match sees it. A body that lies wrong: bone and soft tissue (default). A liver that hangs lower than
        planned: soft tissue only. A target drawn wrong, a CT at some phase, a tumour that shrank: nothing.
    systematic_deg, random_deg : (3,) array or float
        SDs of rotations about the LR, AP and SI axes. Corrections translate; they do not turn the patient back.
    pivot_mm : (3,) array, optional
        Patient point about which these turn, such as the isocentre; by default the target's centroid. Where the pivot
        is elsewhere the target is also displaced, which a soft-tissue match sees and a bone match does not.
    patients : int, optional
        Size of the sample that Σ and σ were estimated from; results then say what its size leaves open.

    Raises
    ------
    MotionError
        When an SD is negative or absurd, or a word unknown.

    Examples
    --------
    >>> setup = SetupError(name="set-up", systematic_mm=(2, 2, 3), random_mm=(2, 2, 3))
    >>> delineation = SetupError(name="delineation", systematic_mm=2, seen_by="nothing")
    """

    name: str = "set-up"
    mean_mm: ArrayLike = 0.0
    systematic_mm: ArrayLike = 0.0
    random_mm: ArrayLike = 0.0
    trend_mm: ArrayLike = 0.0
    seen_by: SeenBy = "bone_and_soft_tissue"
    systematic_deg: ArrayLike = 0.0
    random_deg: ArrayLike = 0.0
    pivot_mm: ArrayLike | None = None
    patients: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise MotionError(f"a set-up error needs a name, found {self.name!r}")
        for field in ("systematic_mm", "random_mm", "trend_mm"):
            object.__setattr__(self, field, triple(f"{self.name}: {field}", getattr(self, field)))
        for field in ("systematic_deg", "random_deg"):
            object.__setattr__(self, field, triple(f"{self.name}: {field}", getattr(self, field), most=45.0))
        object.__setattr__(self, "mean_mm", triple(f"{self.name}: mean_mm", self.mean_mm, least=-200.0))
        choice(f"{self.name}: seen_by", self.seen_by, SEEN_BY)
        if self.pivot_mm is not None:
            pivot = triple(f"{self.name}: pivot_mm", self.pivot_mm, least=-1e4, most=1e4)
            object.__setattr__(self, "pivot_mm", pivot)
        if self.patients is not None:
            whole(f"{self.name}: patients", self.patients, least=2, most=1_000_000)

    @property
    def turns(self) -> bool:
        """Whether it has a rotation."""
        return bool(np.any(self.systematic_deg) or np.any(self.random_deg))


def draw(
    error: SetupError,
    patients: int,
    fractions: int,
    rng: np.random.Generator,
    shared: np.random.Generator | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Displacements and rotation vectors, both (patients, fractions, 3), mm and radians.

    Always as many numbers are drawn, so that courses that differ in their SDs alone see the same luck. With `shared`
    what a patient keeps is drawn from it.
    """
    own = rng.standard_normal((patients, 1, 6))
    systematic = own if shared is None else shared.standard_normal((patients, 1, 6))
    random = rng.standard_normal((patients, fractions, 6))
    shift = systematic[..., :3] * vector(error.systematic_mm) + random[..., :3] * vector(error.random_mm)
    trend = rng.standard_normal((patients, 1, 3)) * vector(error.trend_mm)
    shift = shift + trend * np.arange(fractions)[:, None]
    turn = systematic[..., 3:] * vector(error.systematic_deg) + random[..., 3:] * vector(error.random_deg)
    return vector(error.mean_mm) + shift, np.radians(turn)
