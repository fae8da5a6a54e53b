"""Motion within a fraction other than breathing: drifts, random walks, images while the beam is on, adaptation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import MotionError
from ptvkit.motion.guidance import Part, sees
from ptvkit.motion.protocols import MODES, Mode, reaches
from ptvkit.values import choice, number, triple, vector

Floats = NDArray[np.float64]

MOST_STEPS: Final = 600
"""Positions of a random walk in a fraction, so that in fractions of over ten minutes they lie further apart."""
MOST_IMAGES: Final = 1000
MOST_MINUTES: Final = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Intrafraction:
    """How a target moves after the image before a fraction, and what is done about it while the beam is on.

    The beam is on for `Course.fraction_s`. Triples are (LR, AP, SI), positive towards R, A, S.

    Parameters
    ----------
    rate_mm_per_min : (3,) array or float
        Mean drift of all patients, with its sign.
    rate_between_mm_per_min, rate_within_mm_per_min : (3,) array or float
        SDs of the drift between patients, and between the fractions of one.
    walk_mm2_per_min : (3,) array or float
        Variance that a random walk gains in each minute.
    walk_step_s : float
        Time between the positions at which a walk is followed; at most 600 in a fraction.
    image_every_min : float, optional
        Time from one image to the next while the beam is on; None for no image.
    image_delay_min : float
        Time from an image to its correction, at the start of the fraction too.
    action_level_mm : float
        A measured error of at least this is corrected; 0 corrects always. A short `image_every_min` with a level is a
        threshold that is watched.
    mode : {"any_axis", "per_axis", "vector"}
        As in `ImageGuidance`.
    image_sees : {"bone", "soft_tissue"}
        Which errors the images see.
    matching_sd_mm : (3,) array or float
        SD of the matching error of each image.
    adaptation_min : float, optional
        Online adaptation: the time from the image to the beam that it takes to contour and to plan anew. It takes away
        every error that a soft-tissue match sees, rotations too.
    contour_sd_mm : (3,) array or float
        SD of the error of the adapted contour, new in each fraction, seen by nothing.

    Raises
    ------
    MotionError
        When a number is out of range, or a word unknown.

    Examples
    --------
    >>> walk = Intrafraction(walk_mm2_per_min=(0.1, 0.5, 0.8), image_every_min=3, matching_sd_mm=0.5)
    >>> from ptvkit import Course, residual_errors
    >>> total = residual_errors(Course(intrafraction=walk, fraction_s=600, fractions=5), patients=300)[-1]
    >>> bool((total.random_mm > 0.3).all())
    True
    """

    rate_mm_per_min: ArrayLike = 0.0
    rate_between_mm_per_min: ArrayLike = 0.0
    rate_within_mm_per_min: ArrayLike = 0.0
    walk_mm2_per_min: ArrayLike = 0.0
    walk_step_s: float = 1.0
    image_every_min: float | None = None
    image_delay_min: float = 0.0
    action_level_mm: float = 0.0
    mode: Mode = "any_axis"
    image_sees: Literal["bone", "soft_tissue"] = "soft_tissue"
    matching_sd_mm: ArrayLike = 0.0
    adaptation_min: float | None = None
    contour_sd_mm: ArrayLike = 0.0

    def __post_init__(self) -> None:
        rate = triple("rate_mm_per_min", self.rate_mm_per_min, least=-200.0)
        object.__setattr__(self, "rate_mm_per_min", rate)
        sds = ("rate_between_mm_per_min", "rate_within_mm_per_min", "walk_mm2_per_min")
        for name in (*sds, "matching_sd_mm", "contour_sd_mm"):
            object.__setattr__(self, name, triple(name, getattr(self, name)))
        for name in ("image_every_min", "adaptation_min"):
            if getattr(self, name) is not None:
                number(name, getattr(self, name), least=0.0, most=MOST_MINUTES, above=name == "image_every_min")
        number("walk_step_s", self.walk_step_s, least=0.0, most=1e5, above=True)
        number("image_delay_min", self.image_delay_min, least=0.0, most=MOST_MINUTES)
        number("action_level_mm", self.action_level_mm, least=0.0, most=100.0)
        choice("mode", self.mode, MODES)
        choice("image_sees", self.image_sees, ("bone", "soft_tissue"))
        if self.adaptation_min is None and np.any(self.contour_sd_mm):
            raise MotionError("contour_sd_mm: is the error of an adapted contour; give adaptation_min too")

    @property
    def start_min(self) -> float:
        """Time from the image before the fraction to the beam."""
        return self.image_delay_min + (self.adaptation_min or 0.0)

    @property
    def walks(self) -> bool:
        """Whether there is a random walk."""
        return bool(np.any(self.walk_mm2_per_min))

    def without_errors(self) -> Self:
        """The same protocol, nothing drifting, its images and contours exact."""
        return replace(
            self,
            rate_mm_per_min=0.0,
            rate_between_mm_per_min=0.0,
            rate_within_mm_per_min=0.0,
            walk_mm2_per_min=0.0,
            matching_sd_mm=0.0,
            contour_sd_mm=0.0,
        )


class Path(NamedTuple):
    """Motion within fractions: straight between times that all fractions share.

    Attributes
    ----------
    shares : (N,) array
        Rising from 0 to 1; twice the same where a correction moves the target.
    path_mm : (patients, fractions, N, 3) array
    between_mm2 : (3,) array
        Mean variance of a random walk about these straight lines: q∆t/6.
    """

    shares: Floats
    path_mm: Floats
    between_mm2: Floats = np.zeros(3)

    def at(self, shares: Floats) -> Floats:
        """Displacement (P, F, T, 3) at shares (P, F, T) of the fraction; at a correction the one after it."""
        after = np.clip(np.searchsorted(self.shares, shares, side="right"), 1, len(self.shares) - 1)
        start, end = self.shares[after - 1], self.shares[after]
        weight = ((shares - start) / np.where(end > start, end - start, 1.0))[..., None]
        index = after[..., None]
        low, high = (np.take_along_axis(self.path_mm, one, axis=2) for one in (index - 1, index))
        between: Floats = low + weight * (high - low)
        return between

    @property
    def mean_mm(self) -> Floats:
        """Time mean (P, F, 3) of each fraction, exact."""
        low, high = self.path_mm[:, :, :-1], self.path_mm[:, :, 1:]
        mean: Floats = np.einsum("n,pfnx->pfx", np.diff(self.shares), (low + high) / 2)
        return mean

    @property
    def variance_mm2(self) -> Floats:
        """Variance in time (P, F, 3) within each fraction, exact, also of what lies between a walk's positions."""
        low, high = self.path_mm[:, :, :-1], self.path_mm[:, :, 1:]
        square = np.einsum("n,pfnx->pfx", np.diff(self.shares), (low * low + low * high + high * high) / 3)
        variance: Floats = np.maximum(square - self.mean_mm**2, 0.0) + self.between_mm2
        return variance

    @property
    def corrections(self) -> NDArray[np.int64]:
        """Corrections that were made in each fraction (P, F) while the beam was on."""
        at = np.flatnonzero(np.diff(self.shares) == 0)
        made: NDArray[np.int64] = (self.path_mm[:, :, at + 1] != self.path_mm[:, :, at]).any(axis=3).sum(axis=2)
        return made


def within_fractions(
    motion: Intrafraction, parts: Sequence[Part], fraction_min: float, stream: Callable[..., np.random.Generator]
) -> tuple[list[Part], Path]:
    """What online adaptation leaves of the parts, and the motion within the fractions; `stream` gives generators."""
    left = list(parts) if motion.adaptation_min is None else adapted(motion, parts, stream(3, 3))
    return left, draw_path(motion, left, fraction_min, [stream(3, 0), stream(3, 1), stream(3, 2)])


def draw_path(
    motion: Intrafraction,
    parts: Sequence[Part],
    fraction_min: float,
    rngs: Sequence[np.random.Generator],
) -> Path:
    """Paths of a block of patients within their fractions.

    Parameters
    ----------
    motion : Intrafraction
    parts : sequence of Part
        What displaces the target besides, which the images see too.
    fraction_min : float
    rngs : sequence of Generator
        For the drifts, the walks, and the images.

    Raises
    ------
    MotionError
        With more than 1,000 images in a fraction.
    """
    shape = parts[0].shift_mm.shape
    images, corrections = _image_times(motion, fraction_min)
    times = _times(motion, fraction_min, images, corrections)
    free = _drift(motion, times, shape, rngs[0]) + _walk(motion, times, shape, rngs[1])
    seen = [part for part in parts if sees(motion.image_sees, part.seen_by) or part.grows]
    constant = sum((part.shift_mm for part in seen if not part.grows), np.zeros(shape))
    growing = sum((part.shift_mm for part in seen if part.grows), np.zeros(shape))
    noise = rngs[2].standard_normal((*shape[:2], len(images), 3)) * vector(motion.matching_sd_mm)
    moved, busy = np.zeros(shape), np.zeros(shape)
    nodes, values, start = [], [], 0
    for number_, (image, correction) in enumerate(zip(images, corrections, strict=True)):
        at = int(np.searchsorted(times, image))
        y = constant + growing * (image / fraction_min) + free[:, :, at] + moved + noise[:, :, number_]
        # an image that is taken before the last correction is made decides nothing
        acts = reaches(y, motion.action_level_mm, motion.mode) & (busy <= image + 1e-9)
        busy = np.where(acts, correction, busy)
        end = int(np.searchsorted(times, correction))
        nodes.append(times[start : end + 1])
        values.append(free[:, :, start : end + 1] + moved[:, :, None])
        moved, start = moved - np.where(acts, y, 0.0), end
    nodes.append(times[start:])
    values.append(free[:, :, start:] + moved[:, :, None])
    between = vector(motion.walk_mm2_per_min) * (np.diff(times) ** 2).sum() / (6 * fraction_min)
    return Path(np.concatenate(nodes) / fraction_min, np.concatenate(values, axis=2), between)


def adapted(motion: Intrafraction, parts: Sequence[Part], rng: np.random.Generator) -> list[Part]:
    """What online adaptation leaves: nothing of what a soft-tissue match sees, and the error of the new contour."""
    error = rng.standard_normal(parts[0].shift_mm.shape) * vector(motion.contour_sd_mm)
    left = [
        replace(part, shift_mm=np.zeros_like(error)) if sees("soft_tissue", part.seen_by) else part for part in parts
    ]
    return [*left, Part("adapted contour", "nothing", error)]


def _image_times(motion: Intrafraction, fraction_min: float) -> tuple[Floats, Floats]:
    """When images are taken while the beam is on, and when their corrections are made, min."""
    every = motion.image_every_min
    if every is None:
        return np.empty(0), np.empty(0)
    count = int(np.ceil(fraction_min / every - 1e-9)) - 1
    if count > MOST_IMAGES:
        raise MotionError(
            f"image_every_min: {every:g} min are {count} images in a fraction of {fraction_min:g} min, above"
            f" {MOST_IMAGES}; take fewer"
        )
    corrections = every * np.arange(1.0, count + 1)
    images: Floats = corrections - motion.image_delay_min
    return images[images >= -1e-12], corrections[images >= -1e-12]


def _times(motion: Intrafraction, fraction_min: float, images: Floats, corrections: Floats) -> Floats:
    """Times between which the motion is straight, min."""
    steps = min(int(np.ceil(60 * fraction_min / motion.walk_step_s - 1e-9)), MOST_STEPS) if motion.walks else 1
    all_times = np.concatenate([np.linspace(0.0, fraction_min, steps + 1), np.maximum(images, 0.0), corrections])
    return np.unique(all_times)


def _drift(motion: Intrafraction, times: Floats, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Straight drifts (P, F, N, 3) since the image before the fraction."""
    between, within = rng.standard_normal((shape[0], 1, 3)), rng.standard_normal(shape)
    rate = (
        vector(motion.rate_mm_per_min)
        + between * vector(motion.rate_between_mm_per_min)
        + within * vector(motion.rate_within_mm_per_min)
    )
    drift: Floats = rate[:, :, None, :] * (motion.start_min + times)[:, None]
    return drift


def _walk(motion: Intrafraction, times: Floats, shape: tuple[int, ...], rng: np.random.Generator) -> Floats | float:
    """Random walks (P, F, N, 3) since the image before the fraction."""
    if not motion.walks:
        return 0.0
    variance = np.diff(times, prepend=-motion.start_min)[:, None] * vector(motion.walk_mm2_per_min)
    steps = rng.standard_normal((*shape[:2], len(times), 3)) * np.sqrt(variance)
    walk: Floats = steps.cumsum(axis=2)
    return walk
