"""What breathing adds to a course: parts that a match may see, and the waves about them."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.motion.breathing import Breathing, BreathingDraw
from ptvkit.motion.guidance import ImageGuidance, Part
from ptvkit.motion.setup import SeenBy

Floats = NDArray[np.float64]

BREATHING: Final = "breathing"
REFERENCE: Final = "breathing reference"


def breathing_parts(
    moved: BreathingDraw,
    breathing: Breathing | None,
    guidance: ImageGuidance | None,
    there: Callable[[str], float],
) -> list[Part]:
    """What breathing adds to a whole fraction, and whether a soft-tissue match sees it."""
    sees = "like_phase" if guidance is None else guidance.soft_tissue_sees
    alias = breathing is not None and breathing.reference_seen_by == "soft_tissue"
    offset: SeenBy = "soft_tissue" if sees == "time_mean" or alias else "nothing"
    baseline: SeenBy = "nothing" if sees == "nothing" else "soft_tissue"
    of_course = np.repeat(moved.reference_mm, moved.drift_mm.shape[1], axis=1)
    shift = moved.baseline_mm - moved.planning_day_mm + moved.day_baseline_mm
    parts = [
        Part(REFERENCE, offset, of_course * there(REFERENCE)),
        Part("breathing amplitude", offset, moved.day_amplitude_mm * there(BREATHING)),
        Part("breathing baseline", baseline, shift * there(BREATHING)),
    ]
    if moved.hidden_mm is not None:
        parts.append(Part("motion management", "nothing", moved.hidden_mm * there(BREATHING)))
    return parts


def waves_of(moved: BreathingDraw, fraction_s: float, there: float, extremes: bool) -> dict[str, Floats]:
    """The arrays of `Drawn` that breathing fills; what a match may see of the waves has become a part of its own."""
    seen = moved.day_amplitude_mm + moved.day_baseline_mm
    waves = {"wave_mm": (moved.wave_mm - seen[:, :, None, :]) * there, "time_s": moved.time_s}
    if extremes:
        waves["wave_extremes_mm"] = (moved.extremes_mm - seen[:, :, None, :]) * there
        waves["extreme_shares"] = moved.extremes_s / fraction_s
    if moved.duty is not None:
        waves["duty"] = moved.duty
    if moved.turning is not None:
        waves["wave_turns_rad"] = moved.turning.at(moved.time_s) * there
        if extremes:
            waves["extreme_turns_rad"] = moved.turning.at(moved.extremes_s) * there
    if moved.planned_mm is not None:
        waves["planned_mm"] = np.repeat(moved.planned_mm, seen.shape[1], axis=1)
        waves["wave_mean_mm"] = seen + moved.reference_mm + moved.planned_mm
    return waves
