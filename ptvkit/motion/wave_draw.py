"""What a breathing wave draws for a block of patients."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptvkit.motion.moving import Moving
from ptvkit.motion.turning import Turning

Floats = NDArray[np.float64]


class WaveDraw(NamedTuple):
    """The breathing of some patients; lengths in mm, P patients, F fractions, S times, E extremes.

    Attributes
    ----------
    mean_mm : (P, 3)
        Time mean of each patient's breathing.
    planned_mm : (P, 3)
        The position that counts as planned.
    wave_mm : (P, F, S, 3)
        About the mean.
    extremes_mm : (P, F, E, 3)
        Likewise, where the breathing reaches furthest within the fraction.
    extremes_s : (P, F, E)
        When, since the beginning of the fraction.
    amplitude_mm : (P, F, 3)
        Of the wave, what the amplitude of the day adds to its mean.
    baseline_mm : (P, F, 3)
        Of the wave, where the breathing lies when the match is done.
    moving : Moving
        The wave at any time.
    turning : Turning or None
        Rotations at any time of a fraction.
    """

    mean_mm: Floats
    planned_mm: Floats
    wave_mm: Floats
    extremes_mm: Floats
    extremes_s: Floats
    amplitude_mm: Floats
    baseline_mm: Floats
    moving: Moving
    turning: Turning | None = None
