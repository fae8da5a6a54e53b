"""What matches leave of errors: sums of separable distributions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ptvkit.motion.exact.axis import Axis
from ptvkit.motion.exact.sources import Sources
from ptvkit.motion.guidance import Stage

Floats = NDArray[np.float64]
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """A signed product of three distributions, for each of N patients.

    Attributes
    ----------
    sign : float
    masses : three arrays (N, M_axis)
    excess : three floats
        Variances that the grid added, mm².
    """

    sign: float
    masses: tuple[Floats, Floats, Floats]
    excess: tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Patients:
    """What N patients of a quadrature keep, (N, 3) each, mm.

    Attributes
    ----------
    first, second : (N, 3)
        Systematic displacement of the groups of `Sources`, means included.
    matching : tuple of (N, 3)
        Systematic matching error of each stage.
    shift : (N, 3)
        What is unseen and not on the lattice.
    amplitude : (N, 3) or None
        Signed, where patients differ.
    """

    first: Floats
    second: Floats
    matching: tuple[Floats, ...]
    shift: Floats
    amplitude: Floats | None = None

    def some(self, chosen: slice) -> "Patients":
        """Part of them."""
        return Patients(
            self.first[chosen],
            self.second[chosen],
            tuple(one[chosen] for one in self.matching),
            self.shift[chosen],
            None if self.amplitude is None else self.amplitude[chosen],
        )


def residual_terms(sources: Sources, patients: Patients, axes: Sequence[Axis]) -> list[Term]:
    """What the matches leave of what they see, as separable terms (at most 3 after one match, 7 after two).

    A match that acts when any axis reaches the level leaves "all stay below it", a product over axes, and "acts", which
    is everything less the product of what acts would leave with all below.
    """
    three = [axis.normal(patients.first[:, a], sources.first.random[a]) for a, axis in enumerate(axes)]
    excess = tuple(axis.widened(sources.first.random[a]) for a, axis in enumerate(axes))
    terms = [Term(1.0, (three[0], three[1], three[2]), (excess[0], excess[1], excess[2]))]
    for number, (stage, constant) in enumerate(zip(sources.stages, patients.matching, strict=True)):
        if number == 1:
            terms = [_joined(term, sources, patients, axes) for term in terms]
        terms = _staged(terms, sources, stage, constant, axes)
    return terms


def narrowest(sources: Sources) -> Floats:
    """SD (3,) of the narrowest normal distribution that all terms are blurred by, mm."""
    if not sources.stages:
        return np.zeros(3)
    before = np.minimum(sources.first.random, sources.stages[0].random_mm)
    if len(sources.stages) == 1:
        return before
    found: Floats = np.minimum(np.hypot(before, sources.second.random), sources.stages[1].random_mm)
    return found


def _joined(term: Term, sources: Sources, patients: Patients, axes: Sequence[Axis]) -> Term:
    """A term with what only the second match sees."""
    random = sources.second.random
    added = [axis.blurred(term.masses[a], patients.second[:, a], random[a]) for a, axis in enumerate(axes)]
    return Term(term.sign, (added[0], added[1], added[2]), term.excess)


def _staged(
    terms: Sequence[Term], sources: Sources, stage: Stage, constant: Floats, axes: Sequence[Axis]
) -> list[Term]:
    stays, acts = [], []
    for term in terms:
        both = [_split(term, a, axis, sources, stage, constant[:, a]) for a, axis in enumerate(axes)]
        stays.append(Term(term.sign, _three([one[0] for one in both]), term.excess))
        acts.append(Term(-term.sign, _three([one[1] for one in both]), _noise_excess(axes, stage)))
    sd = np.hypot(stage.random_mm, sources.couch_mm)
    always = [axis.normal(-constant[:, a], sd[a]) for a, axis in enumerate(axes)]
    wide = _three([axis.widened(sd[a]) for a, axis in enumerate(axes)])
    if sources.mode == "any_axis":
        return [*stays, Term(1.0, _three(always), wide), *acts]
    # each axis on its own: one term goes in, one comes out
    alone = [stays[0].masses[a] + always[a] - acts[0].masses[a] for a in range(3)]
    return [Term(1.0, _three(alone), _three(np.maximum(np.minimum(stays[0].excess, wide), 0.0).tolist()))]


def _split(term: Term, a: int, axis: Axis, sources: Sources, stage: Stage, constant: Floats) -> tuple[Floats, Floats]:
    """Masses on one axis where the measured error stays below the level: left alone, and if it were corrected."""
    masses, sd, level = term.masses[a], float(stage.random_mm[a]), sources.level_mm
    stays = masses * axis.inside(constant, sd, level)
    corrected = axis.normal(constant, sd) * axis.below(masses, level)
    left = axis.mirrored(corrected)
    couch = float(sources.couch_mm[a])
    return stays, axis.blurred(left, np.zeros(len(left)), couch) if couch else left


def _noise_excess(axes: Sequence[Axis], stage: Stage) -> tuple[float, float, float]:
    return _three([axis.widened(float(stage.random_mm[a])) for a, axis in enumerate(axes)])


def _three(values: Sequence[Value]) -> tuple[Value, Value, Value]:
    first, second, third = values
    return first, second, third
