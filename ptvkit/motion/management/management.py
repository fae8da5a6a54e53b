"""What every management of motion answers; another one is one more file beside this."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ptvkit.errors import MotionError
from ptvkit.motion.breathing import Breathing, BreathingDraw, Streams

Floats = NDArray[np.float64]


class Ask(NamedTuple):
    """What a course draws: the beam is on for `beam_s` in each fraction, and looked at at `samples` times.

    Without `extremes` those of the draw are not read.
    """

    patients: int
    fractions: int
    samples: int
    beam_s: float
    drifts: bool
    extremes: bool = True


class Management(Protocol):
    """A management of breathing.

    It draws what is left of the breathing while the beam is on, by the same random numbers as without it. Times are
    counted from the beginning of a fraction and go beyond `Ask.beam_s` where the beam pauses.
    """

    @property
    def moves_alone(self) -> bool:
        """Whether the target moves with it even if no breathing is given."""
        ...

    def check(self, breathing: Breathing | None) -> None:
        """Refuse breathing that it cannot manage.

        Raises
        ------
        MotionError
        """
        ...

    def draw(self, breathing: Breathing | None, ask: Ask, rng: Streams) -> BreathingDraw:
        """What is left of the breathing."""
        ...


def needed(breathing: Breathing | None, what: str) -> Breathing:
    """The breathing, which this management cannot do without.

    Raises
    ------
    MotionError
    """
    if breathing is None:
        raise MotionError(f"management: {what} needs breathing; give breathing, or take the management away")
    return breathing
