"""A course of displacements reduced to few positions: what a dose, which is smooth, needs of a fraction's motion."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.jit import thread_count
from ptvkit.kernels.needed import Positions
from ptvkit.motion.course import Course, blocks, draw_block
from ptvkit.motion.coverage import turned_at
from ptvkit.motion.drawn import Drawn
from ptvkit.motion.simulate import in_threads

Floats = NDArray[np.float64]

NODES: Final = 4
"""Positions that stand for the motion within a fraction: a Gauss rule along its stroke."""
LOOP_MM: Final = 0.1
"""RMS distance from the stroke's curve above which each position becomes two, one on each side."""
TIMES: Final = 12
"""Times of each fraction that covered volume is counted at."""

FEW: Final = 8
"""Positions by which most of the surface is left out without looking at all."""
NONE: Final = Positions(np.zeros((0, 0, 0, 3)), np.zeros((0, 0, 0)), np.zeros((0, 0, 3, 3)))


def positions_of(
    course: Course,
    patients: int,
    seed: int,
    samples: int,
    centre_mm: Floats,
    *,
    smooth: bool,
    extremes: bool = False,
) -> Positions:
    """Draw patients; `smooth` reduces a fraction to a Gauss rule, else it is kept at some times, or at its extremes.

    A point of the target relative to its centroid is turned by the rotations, then moved by the displacements.
    """

    def one(task: tuple[int, int]) -> Positions:
        drawn = draw_block(course, *task, seed, samples, centre_mm, extremes=extremes)
        if drawn.wave_turns_rad is not None:
            return _each_time(drawn, extremes=extremes)
        if smooth:
            return _gauss_rule(drawn)
        return _equally(drawn, drawn.extreme_shifts_mm if extremes else _some_times(drawn.shifts_mm))

    found = list(in_threads(one, list(blocks(patients)), thread_count()))
    most = max(part.weights.shape[2] for part in found)
    padded = [_padded(part, most) for part in found]
    return Positions(*(np.ascontiguousarray(np.concatenate(arrays)) for arrays in zip(*padded, strict=True)))


def _padded(part: Positions, most: int) -> Positions:
    lacking = most - part.weights.shape[2]
    if not lacking:
        return part
    shifts = np.concatenate([part.shifts, np.repeat(part.shifts[:, :, :1], lacking, axis=2)], axis=2)
    weights = np.concatenate([part.weights, np.zeros((*part.weights.shape[:2], lacking))], axis=2)
    return Positions(shifts, weights, part.turns)


def _turns_of(drawn: Drawn) -> Floats:
    return np.zeros((0, 0, 3, 3)) if drawn.turns is None else drawn.turns


def _some_times(shifts_mm: Floats) -> Floats:
    return shifts_mm[:, :, :: max(1, shifts_mm.shape[2] // TIMES)]


def _equally(drawn: Drawn, shifts_mm: Floats) -> Positions:
    weights = np.full(shifts_mm.shape[:3], 1.0 / (shifts_mm.shape[1] * shifts_mm.shape[2]))
    return Positions(shifts_mm, weights, _turns_of(drawn))


def _each_time(drawn: Drawn, *, extremes: bool) -> Positions:
    """Times that have a rotation each, as if each were a fraction."""
    shifts = drawn.extreme_shifts_mm if extremes else drawn.shifts_mm
    turns = turned_at(drawn.extreme_turns if extremes else drawn.sample_turns, shifts)
    if not extremes:
        shifts, turns = _some_times(shifts), _some_times(turns)
    count = shifts.shape[1] * shifts.shape[2]
    weights = np.full((len(shifts), count, 1), 1.0 / count)
    return Positions(shifts.reshape(-1, count, 1, 3), weights, turns.reshape(-1, count, 3, 3))


def _gauss_rule(drawn: Drawn) -> Positions:
    """Positions along each fraction's stroke that have the first moments of all its times."""
    shifts = drawn.shifts_mm
    patients, fractions, times = shifts.shape[:3]
    if times == 1:
        return Positions(shifts, np.full((patients, fractions, 1), 1.0 / fractions), _turns_of(drawn))
    rows = shifts.reshape(-1, times, 3)
    mean = rows.mean(axis=1, keepdims=True)
    away = rows - mean
    stroke = np.linalg.eigh(away.transpose(0, 2, 1) @ away)[1][..., -1:]
    basis, jacobi = _orthogonal((away @ stroke)[..., 0], min(NODES, times))
    vectors = np.linalg.eigh(jacobi)[1]
    first = vectors[:, :1]
    known = np.abs(first) > 1e-9
    value = np.where(known, vectors / np.where(known, first, 1.0), 0.0)  # of each polynomial at each position
    path = basis @ away / times
    at, weights = value.transpose(0, 2, 1) @ path, first[:, 0] ** 2
    rest = away - basis.transpose(0, 2, 1) @ path
    spread, across = np.linalg.eigh(rest.transpose(0, 2, 1) @ rest / times)
    if np.sqrt(max(spread[:, -1].max(), 0.0)) > LOOP_MM:
        side = (across[..., -1] * np.sqrt(np.maximum(spread[:, -1:], 0.0)))[:, None]
        at, weights = np.concatenate([at + side, at - side], axis=1), np.concatenate([weights, weights], axis=1) / 2
    shape = (patients, fractions, -1)
    return Positions((mean + at).reshape(*shape, 3), weights.reshape(shape) / fractions, _turns_of(drawn))


def _orthogonal(values: Floats, count: int) -> tuple[Floats, Floats]:
    """Polynomials (R, count, T) orthonormal over each row's values (R, T), and their Jacobi matrices."""
    rows, times = values.shape
    basis, jacobi = np.zeros((rows, count, times)), np.zeros((rows, count, count))
    basis[:, 0] = 1.0
    before, last = np.zeros((rows, times)), np.zeros((rows, 1))
    for n in range(count):
        here = basis[:, n]
        moved = values * here
        jacobi[:, n, n] = (moved * here).mean(axis=1)
        if n + 1 == count:
            break
        rest = moved - jacobi[:, n, n, None] * here - last * before
        length = np.sqrt((rest**2).mean(axis=1, keepdims=True))
        last = np.where(length > 1e-6, length, 0.0)
        jacobi[:, n, n + 1] = jacobi[:, n + 1, n] = last[:, 0]
        basis[:, n + 1] = np.where(last > 0, rest / np.where(last > 0, last, 1.0), 0.0)
        before = here
    return basis, jacobi


def few_of(at: Positions) -> tuple[Positions, float]:
    """A few positions of each patient with the means of those near them, and their RMS distance from these, mm."""
    count, size = len(at.shifts), at.weights[0].size
    if len(at.turns) or size <= FEW:
        return NONE, 0.0
    shifts, weights = at.shifts.reshape(count, size, 3), at.weights.reshape(count, size)
    mean = (weights[:, None] @ shifts)[:, 0]
    away = shifts - mean[:, None]
    stroke = np.linalg.eigh((away * weights[..., None]).transpose(0, 2, 1) @ away)[1][..., -1:]
    order = np.argsort((away @ stroke)[..., 0], axis=1)
    shifts = np.take_along_axis(shifts, order[..., None], axis=1)
    weights = np.take_along_axis(weights, order, axis=1)
    group = np.minimum((FEW * (np.cumsum(weights, axis=1) - weights / 2)).astype(np.int64), FEW - 1)
    flat = (np.arange(count)[:, None] * FEW + group).reshape(-1)
    total = np.bincount(flat, weights.reshape(-1), count * FEW)
    sums = [np.bincount(flat, (weights * shifts[..., a]).reshape(-1), count * FEW) for a in range(3)]
    centres = np.stack(sums, axis=1) / np.maximum(total, 1e-12)[:, None]
    rest = ((shifts.reshape(-1, 3) - centres[flat]) ** 2).sum(axis=1) @ weights.reshape(-1) / count
    few = Positions(centres.reshape(count, 1, FEW, 3), np.asarray(total, float).reshape(count, 1, FEW), at.turns)
    return few, float(np.sqrt(rest))
