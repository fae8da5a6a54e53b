"""The share of patients that are contained, from where a fraction is and what patients keep.

With Φ_Σ and φ_σ the distributions of what a patient keeps and of what changes from fraction to fraction, K the shifts
that keep the target inside and F the number of fractions::

    P = Φ_Σ ∗ [(φ_σ ∗ 1_K)^F]

All convolutions are separable: a distribution that is no product over axes is a sum of some.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.separable import contract, product_sum
from ptvkit.motion.exact.allowed import Kept
from ptvkit.motion.exact.axis import TAIL, Axis
from ptvkit.motion.exact.breaths import Masses
from ptvkit.motion.exact.matched import Patients, narrowest, residual_terms
from ptvkit.motion.exact.sources import Sources

Floats = NDArray[np.float64]

CHUNK: Final = 64
"""Patients of the quadrature at once."""
COARSE: Final = 0.9
"""Largest step, in SDs, of the nodes on which a systematic normal error is integrated."""
CUT: Final = 4.5
"""SDs to which it is."""


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Shifts along a line that patients keep: a planned phase, seen by no match.

    Attributes
    ----------
    amplitude : (3,) array
        Signed, mm.
    heights : Masses
        The shift is minus the amplitude times these.
    """

    amplitude: Floats
    heights: Masses


NO_LINE: Final = Line(np.zeros(3), Masses(np.zeros(1), np.ones(1)))


@dataclass(frozen=True, slots=True, eq=False)
class Kernels:
    """Weights of a set of patients on the lattice of `Kept`.

    Attributes
    ----------
    sign : (T,) array
    along : three arrays (N, T, Q)
        Masses on the lattice, axis by axis; the middle entry is no shift.
    nodes : three arrays of ints
        Systematic shifts at which a fraction is looked at, in steps.
    mass : array over those nodes
    """

    sign: Floats
    along: tuple[Floats, Floats, Floats]
    nodes: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    mass: Floats


def axes_of(sources: Sources, line: Line, step: float, shift: float = 0.0) -> list[Axis]:
    """Grids that hold all that displaces along each axis."""
    groups = (sources.first, sources.second, sources.unseen)
    squares = [sd**2 for group in groups for sd in (group.systematic, group.random)]
    squares += [sd**2 for stage in sources.stages for sd in (stage.random_mm, stage.systematic_mm)]
    variance = np.sum([*squares, sources.couch_mm**2], axis=0)
    mean = sum(np.abs(group.mean) for group in groups)
    breath = 0.0 if sources.wave is None else 2.0 * np.abs(sources.wave.signed_mm)
    spread = 0.0 if sources.wave is None else 8.0 * np.asarray(sources.wave.amplitude_sd_mm)
    line_reach = np.abs(line.amplitude) * np.abs(line.heights.at).max()
    reach = TAIL * np.sqrt(variance) + mean + breath + spread + line_reach + sources.level_mm + shift + 4 * step
    return [Axis.reaching(step, float(one)) for one in np.asarray(reach)]


def kernels(
    sources: Sources, line: Line, patients: Patients, axes: Sequence[Axis], *, blur: float, together: bool = False
) -> Kernels:
    """Weights for patients of a quadrature.

    Parameters
    ----------
    sources : Sources
    line : Line
    patients : Patients
    axes : three of Axis
    blur : float
        Of `Kept`.
    together : bool
        Whether systematic and random shifts are convolved with each other: the weights of any fraction of any patient.
    """
    count = len(patients.first)
    terms = residual_terms(sources, patients, axes) if sources.stages else []
    sd = np.hypot(sources.unseen.random, sources.unseen.systematic if together else 0.0)
    narrow, along = narrowest(sources), []
    for a, axis in enumerate(axes):
        rows = [
            axis.on_lattice(term.masses[a], patients.shift[:, a], float(sd[a]), term.excess[a], blur, float(narrow[a]))
            for term in terms
        ] or [axis.on_lattice(None, patients.shift[:, a], float(sd[a]), 0.0, blur)]
        along.append(np.stack(rows, axis=1))
    sign = np.array([term.sign for term in terms] or [1.0])
    systematic = np.zeros(3) if together else sources.unseen.systematic
    nodes, mass = _systematic(systematic, line, axes)
    assert all(len(one) == count for one in along), "a row for each patient"
    return Kernels(sign, (along[0], along[1], along[2]), nodes, mass)


def _systematic(
    sd: Floats, line: Line, axes: Sequence[Axis]
) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]], Floats]:
    """Nodes of the systematic shifts along each axis and their masses (m, m, m)."""
    nodes, weights = [], []
    for a, axis in enumerate(axes):
        shifts = -line.amplitude[a] * line.heights.at
        stride = max(int(COARSE * sd[a] / axis.step), 1)
        low, high = shifts.min() - CUT * sd[a], shifts.max() + CUT * sd[a]
        first, last = int(np.floor(low / axis.step / stride)), int(np.ceil(high / axis.step / stride))
        edge = 0 if first == last else 1
        at = np.arange(first - edge, last + edge + 1) * stride
        nodes.append(at.astype(np.int64))
        weights.append(_normal_at(shifts, float(sd[a]), np.asarray(at * axis.step, float), stride * axis.step))
    mass = np.einsum("t,ti,tj,tk->ijk", line.heights.mass, *weights, optimize=True)
    return (nodes[0], nodes[1], nodes[2]), mass


def _normal_at(shifts: Floats, sd: float, at: Floats, step: float) -> Floats:
    """Masses (T, m) of N(shift, sd²) at even nodes that integrate a smooth function."""
    if sd * 1.25 >= step:
        masses = np.exp(-0.5 * ((at - shifts[:, None]) / sd) ** 2)
        found: Floats = masses / masses.sum(axis=1, keepdims=True)
        return found
    if len(at) == 1:
        return np.ones((len(shifts), 1))
    deviates, weights = np.polynomial.hermite_e.hermegauss(9)
    places = (shifts[:, None] + sd * deviates)[:, None, :]
    hats = np.maximum(1 - np.abs(at[:, None] - places) / step, 0.0) @ (weights / weights.sum())
    sharp: Floats = hats - np.diff(np.pad(hats, ((0, 0), (1, 1))), 2, axis=1) / 12
    return sharp


def in_chunks(patients: Patients) -> Iterator[Patients]:
    """Patients, some at a time."""
    for start in range(0, len(patients.first), CHUNK):
        yield patients.some(slice(start, start + CHUNK))


def contained(weights: Kernels, inside: Kept, fractions: int) -> Floats:
    """Probability (N,) that each patient's fractions are all contained."""
    x, y, z = (np.ascontiguousarray(np.swapaxes(_gathered(weights, inside, a), 1, 2)) for a in range(3))
    of_fraction = contract(inside.share, x, y, z, weights.sign)
    if fractions > 1:
        of_fraction = np.clip(of_fraction, 0.0, 1.0)
    found: Floats = (of_fraction**fractions * weights.mass).sum(axis=(1, 2, 3))
    return found


def density(weights: Kernels, first: NDArray[np.int64], shape: Sequence[int]) -> Floats:
    """Mean over patients of the masses of shifts on a lattice; nothing systematic is left out of `weights`."""
    like = Kept(0.0, first, np.zeros(tuple(shape)), 0.0)
    x, y, z = (np.ascontiguousarray(_gathered(weights, like, a)[..., 0]) for a in range(3))
    return product_sum(x, y, z, weights.sign) / len(x)


def _gathered(weights: Kernels, inside: Kept, axis: int) -> Floats:
    """Masses (N, T, n, m) at each node of the lattice for each systematic shift."""
    along, nodes = weights.along[axis], weights.nodes[axis]
    middle = along.shape[-1] // 2
    at = np.arange(inside.share.shape[axis])[:, None] + int(inside.first[axis]) - nodes + middle
    there = (at >= 0) & (at < along.shape[-1])
    found: Floats = along[..., np.where(there, at, 0)] * there
    return found
