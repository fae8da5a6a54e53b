"""What one source of displacement costs."""

from dataclasses import dataclass
from typing import Final

from ptvkit.motion.estimate import Estimate

ALL: Final = "all together"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one source of displacement costs.

    Attributes
    ----------
    name : str
        A set-up error's name, ``breathing``, ``breathing reference`` (the planned position less the time mean), or
        ``guidance errors`` (of matching and couch, and drift after the match), ``intrafraction motion``, ``change of
        shape``; ``all together`` for everything.
    loss_alone, loss_without : Estimate
        Coverage loss when it is the only one, and when it alone is missing.
    contained_alone, contained_without : Estimate
        Share of patients who are contained, likewise.
    """

    name: str
    loss_alone: Estimate
    loss_without: Estimate
    contained_alone: Estimate
    contained_without: Estimate
