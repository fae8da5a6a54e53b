"""Phases of a breathing cycle: one structure at several moments of a 4D image."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.display import line
from ptvkit.errors import GridError, MaskError, MotionError, PtvkitWarning
from ptvkit.geometry.centroid import centroid
from ptvkit.geometry.distance import signed_distance
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region

Floats = NDArray[np.float64]

FEWEST: Final = 3
"""Phases below which neither a mean nor a loop is known."""
WEIGHT_TOLERANCE: Final = 0.005
"""How far time weights may be from adding up to 1: rounding of printed ones."""
VOLUME_CHANGE: Final = 0.10
"""Share of the mean volume by which the phases may differ; more is an artefact or a delineation, not breathing."""
OUT_OF_SEQUENCE_MM: Final = 1.0
"""How far a phase must lie beyond both of its neighbours to be out of sequence."""
SURFACE_REACH_MM: Final = 15.0
"""Distance to which a surface is registered to another."""
SURFACE_WIDTH_MM: Final = 4.0
"""Distance above which a point of the surface has no counterpart in the other shape."""
STEPS: Final = 25


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, init=False)
class Phases:
    """A structure at the phases of a breathing cycle, in their order. Read them with `read_phases`.

    Parameters
    ----------
    regions : sequence of Mask or Region
        One structure at each of at least 3 phases, in one frame of reference; masks on one grid.
    weights : (K,) array, optional
        Share of the cycle for which each phase stands; they add up to 1, or to 100. By default equal shares.
    numbers : (K,) array, optional
        Rising numbers of the phases, percent of the cycle; by default equal steps from 0.
    name : str
        What messages call them.

    Attributes
    ----------
    displacement_mm : (K, 3) array
        Centroid of each phase from the time-weighted mean of the centroids (LR, AP, SI), patient frame RAS+, mm.
    mean_mm : (3,) array
        That mean, a point of the patient, mm.
    volume_cc : (K,) array
    grid : Grid or None
        Of the masks; None when the phases have no common grid.

    Raises
    ------
    MaskError
        When a phase is empty.
    GridError
        When masks lie on different grids.
    MotionError
        When there are fewer than 3 phases, or weights or numbers cannot be used.

    Examples
    --------
    >>> from ptvkit import phantom
    >>> lesion = phantom.region("lesion_3")
    >>> poses = np.tile(np.eye(4), (4, 1, 1))
    >>> poses[:, 2, 3] = 0, -8, -2, -1
    >>> phases = Phases(regions=[lesion.moved(pose) for pose in poses], weights=(0.4, 0.1, 0.2, 0.3))
    >>> phases.displacement_mm.round(2)[:, 2], phases.mid_ventilation, phases.amplitude_mm.round(2)
    (array([ 1.5, -6.5, -0.5,  0.5]), 2, array([0., 0., 8.]))
    """

    regions: tuple[Region, ...]
    weights: Floats
    numbers: Floats
    name: str
    displacement_mm: Floats
    mean_mm: Floats
    volume_cc: Floats
    grid: Grid | None

    def __init__(
        self,
        *,
        regions: Sequence[Mask | Region],
        weights: ArrayLike | None = None,
        numbers: ArrayLike | None = None,
        name: str = "the phases",
    ) -> None:
        shapes = tuple(regions)
        if len(shapes) < FEWEST:
            raise MotionError(f"{name}: holds {len(shapes)} phases; a breathing cycle needs at least {FEWEST}")
        of_cycle = _numbers(numbers, len(shapes), name)
        for number, shape in zip(of_cycle, shapes, strict=True):
            if shape.is_empty:
                raise MaskError(f"{name}: phase {number:g} ({shape.name}) is empty; contour it, or leave it out")
        shares = _weights(weights, len(shapes), name)
        own = tuple(as_region(shape) for shape in shapes)
        centres = np.array([centroid(region) for region in own])
        values = {
            "regions": own,
            "weights": shares,
            "numbers": of_cycle,
            "name": name,
            "displacement_mm": centres - shares @ centres,
            "mean_mm": shares @ centres,
            "volume_cc": np.array([region.volume_cc for region in own]),
            "grid": _common_grid(shapes, name),
        }
        for key, value in values.items():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, key, value)

    def __repr__(self) -> str:
        amplitude = " × ".join(f"{mm:.1f}" for mm in self.amplitude_mm)
        return line(self, self.name, f"{len(self)} phases", f"{amplitude} mm (LR, AP, SI)")

    def __len__(self) -> int:
        return len(self.regions)

    @property
    def sd_mm(self) -> Floats:
        """SD over the cycle of the displacement (3,), mm."""
        found: Floats = np.sqrt(self.weights @ self.displacement_mm**2)
        return found

    @property
    def amplitude_mm(self) -> Floats:
        """Range of the displacement (3,), peak to peak, mm."""
        found: Floats = np.ptp(self.displacement_mm, axis=0)
        return found

    @property
    def hysteresis(self) -> float:
        """Area that the loop of the displacements encloses, mm²; 0 when in and out take one path."""
        after = np.roll(self.displacement_mm, -1, axis=0)
        return 0.5 * float(np.linalg.norm(np.cross(self.displacement_mm, after).sum(axis=0)))

    @property
    def mid_ventilation(self) -> int:
        """Index of the phase nearest to the time-weighted mean."""
        return int(np.linalg.norm(self.displacement_mm, axis=1).argmin())

    @property
    def main_axis(self) -> Floats:
        """Unit vector (3,) of the largest motion, from exhale towards inhale."""
        _, _, axes = np.linalg.svd(self.displacement_mm * np.sqrt(self.weights)[:, None])
        along = self.displacement_mm @ axes[0]
        found: Floats = axes[0] if along.max() >= -along.min() else -axes[0]
        return found

    @property
    def exhale(self) -> int:
        """Index of the end of exhale: of the two ends of the largest motion, the one nearer to the time mean."""
        return int((self.displacement_mm @ self.main_axis).argmin())

    @property
    def inhale(self) -> int:
        """Index of the end of inhale."""
        return int((self.displacement_mm @ self.main_axis).argmax())

    def index_of(self, number: float) -> int:
        """Index of the phase with a number.

        Raises
        ------
        MotionError
            When there is none.
        """
        known = self.numbers.tolist()
        if isinstance(number, bool) or number not in known:
            raise MotionError(f"{self.name}: has no phase {number:g}; use one of {', '.join(f'{n:g}' for n in known)}")
        return int(known.index(number))

    @property
    def out_of_sequence(self) -> tuple[float, ...]:
        """Numbers of the phases at which the motion turns, though they are neither the end of exhale nor of inhale."""
        along = self.displacement_mm @ self.main_axis
        before, after = along - np.roll(along, 1), along - np.roll(along, -1)
        turns = (np.minimum(before, after) > OUT_OF_SEQUENCE_MM) | (np.maximum(before, after) < -OUT_OF_SEQUENCE_MM)
        turns[[self.exhale, self.inhale]] = False
        return tuple(float(one) for one in self.numbers[turns])

    @property
    def surface_displacement_mm(self) -> Floats:
        """Displacement (K, 3) by registering each phase's surface to that of the mid-ventilation phase, mm.

        From the time-weighted mean, as `displacement_mm`. Where shapes change the two differ: the centroid follows the
        volume, the registration the surface, and a part that one delineation lacks moves the first more.
        """
        moved = self.displacement_mm - self.displacement_mm[self.mid_ventilation]
        fixed = signed_distance(
            self.regions[self.mid_ventilation],
            outside_mm=SURFACE_REACH_MM,
            inside_mm=SURFACE_REACH_MM,
        )
        found = np.array([_registered(fixed, region, start) for region, start in zip(self.regions, moved, strict=True)])
        about_mean: Floats = found - self.weights @ found
        return about_mean

    @property
    def findings(self) -> tuple[str, ...]:
        """What a physicist should see: volumes that change, and phases out of sequence."""
        found = []
        change = float(np.ptp(self.volume_cc) / (self.weights @ self.volume_cc))
        if change > VOLUME_CHANGE:
            low, high = (self._label(int(n)) for n in (self.volume_cc.argmin(), self.volume_cc.argmax()))
            found.append(
                f"{self.name}: the volume changes by {change:.0%} between phases ({low} {self.volume_cc.min():.1f} cc,"
                f" {high} {self.volume_cc.max():.1f} cc); check these for artefacts and their delineation"
            )
        if self.out_of_sequence:
            which = ", ".join(f"{number:g}" for number in self.out_of_sequence)
            found.append(
                f"{self.name}: out of sequence: phase {which}; the motion turns there, which is neither end of the"
                " breath; check the order of the phases and the sorting of the 4D image"
            )
        return tuple(found)

    def _label(self, index: int) -> str:
        return f"phase {self.numbers[index]:g}"

    def warn(self, stacklevel: int = 3) -> None:
        """Warn of the findings."""
        for text in self.findings:
            warnings.warn(text, PtvkitWarning, stacklevel=stacklevel)

    def of_each(self, function: Callable[[Region], Region]) -> Self:
        """The phases with a function applied to each region, such as a margin; weights and numbers are kept."""
        regions = [function(region) for region in self.regions]
        return type(self)(regions=regions, weights=self.weights, numbers=self.numbers, name=self.name)


def _registered(fixed: Region, moving: Region, start_mm: Floats) -> Floats:
    """Translation (3,) that carries the fixed surface onto a moving one, by Gauss-Newton steps on its distance.

    Points count by Tukey's weight, whose width narrows from step to step: parts that one of the two lacks are left out.

    Parameters
    ----------
    fixed : Region
        Its level the true signed distance.
    """
    points, shift = moving.surface_points(), np.asarray(start_mm, float)
    step = 0.5 * np.eye(3)
    for count in range(STEPS):
        width = max(SURFACE_REACH_MM * 0.75**count, SURFACE_WIDTH_MM)
        at = points - shift
        distance = fixed.sample(at)
        slope = np.stack([fixed.sample(at + h) - fixed.sample(at - h) for h in step], axis=1)
        weight = 1 - np.minimum(np.abs(distance) / width, 1) ** 2  # the square root of Tukey's
        change = np.linalg.lstsq(slope * weight[:, None], distance * weight, rcond=None)[0]
        shift = shift + change
        if width == SURFACE_WIDTH_MM and np.linalg.norm(change) < 1e-4:
            break
    return shift


def _numbers(raw: ArrayLike | None, count: int, name: str) -> Floats:
    numbers: Floats = np.array(np.arange(count) * 100.0 / count if raw is None else raw, np.float64)
    if numbers.shape != (count,) or not np.isfinite(numbers).all() or (np.diff(numbers) <= 0).any():
        raise MotionError(f"{name}: numbers must rise, one for each of {count} phases; found {numbers.tolist()}")
    return numbers


def _weights(raw: ArrayLike | None, count: int, name: str) -> Floats:
    """Shares that add up to 1."""
    weights: Floats = np.array([1.0 / count] * count if raw is None else raw, np.float64)
    if weights.shape != (count,) or not np.isfinite(weights).all() or (weights <= 0).any():
        raise MotionError(f"{name}: needs a time weight above 0 for each of {count} phases, found {weights.tolist()}")
    total = float(weights.sum())
    if min(abs(total - 1), abs(total / 100 - 1)) > WEIGHT_TOLERANCE:
        raise MotionError(f"{name}: the time weights add up to {total:g}; give shares of the cycle that add up to 1")
    weights /= total
    return weights


def _common_grid(shapes: Sequence[Mask | Region], name: str) -> Grid | None:
    masks = [shape for shape in shapes if isinstance(shape, Mask)]
    for mask in masks:
        if not mask.grid.matches(masks[0].grid):
            raise GridError(
                f"{name}: {mask.name} lies on another grid ({mask.grid}) than {masks[0].name} ({masks[0].grid}); give"
                " phases of one 4D image, resampled to one grid"
            )
    return masks[0].grid if masks else None
