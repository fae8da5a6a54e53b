"""Which points of a target decide what its patients need, and where they are then."""

from dataclasses import replace
from typing import Final

import numpy as np

from ptvkit.analysis.needed import NEVER_MM, Floats, Judge, Population, centred, searched
from ptvkit.kernels.field import Field, distances
from ptvkit.kernels.needed import Bounds, Positions, curve_slope, weighted_curve
from ptvkit.kernels.needed_share import GEUD, MEAN, WITHIN

TOGETHER_MM: Final = 0.3
"""Points decide together whose needed margins differ by about this."""
STILL: Final = np.zeros((0, 3, 3))
DECIDING_POINTS: Final = 20
"""Of a patient's volume, that say which sides matter."""


def deciding_positions(judge: Judge, field: Field, people: Population, needed: Floats) -> tuple[Floats, Floats]:
    """Where the points that decide are in the patient's frame (N, 3), mm, and how much each counts (N,).

    Of the worst points of the surface's six directions those count that need nearly as much as the worst of all: at the
    best margin several decide together.
    """
    at, curve, near = people.at, judge.plan.curve(), centred(field, judge.centre_mm)
    points, counts = [], []
    for patient, (own, share) in enumerate(_deciding(judge, field, people, needed)):
        turns = at.turns[patient] if len(at.turns) else STILL
        distance = distances(near, own, at.shifts[patient], turns) - needed[patient]
        slope = curve_slope(curve, distance) if judge.level > 0 else (distance > distance.max() - 0.5) * 1.0
        weight = slope * at.weights[patient].reshape(-1)
        turned = own[:, None] if not len(turns) else np.einsum("fij,nj->nfi", turns, own)
        place = turned[:, :, None] + at.shifts[patient]
        points.append((place + judge.centre_mm).reshape(-1, 3))
        counts.append((share[:, None] * weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)).reshape(-1))
    return np.concatenate(points), np.concatenate(counts)


def _deciding(judge: Judge, field: Field, people: Population, needed: Floats) -> list[tuple[Floats, Floats]]:
    """Each patient's deciding points (N, 3), relative to the centre, and how much each counts (N,)."""
    if judge.points is not None:
        near = centred(field, judge.centre_mm)
        own = [_deciding_points(judge, near, people.at, patient, needed[patient]) for patient in range(people.size)]
        return [(each, np.full(len(each), 1.0 / len(each))) for each in own]
    bounds = Bounds(NEVER_MM, float(needed.min()) - 5 * TOGETHER_MM, np.inf)  # e⁻⁵ counts for nothing
    found = [searched(replace(judge, tree=tree), field, people, bounds) for tree in judge.facing]
    places = np.stack([tree.centres[worst] for tree, (_, worst) in zip(judge.facing, found, strict=True)], axis=1)
    most = np.stack([each for each, _ in found], axis=1)
    share = np.exp((most - most.max(axis=1, keepdims=True)) / TOGETHER_MM)
    share /= share.sum(axis=1, keepdims=True)
    return [
        (np.ascontiguousarray(own[part > 0.01]), part[part > 0.01]) for own, part in zip(places, share, strict=True)
    ]


def _deciding_points(judge: Judge, field: Field, at: Positions, patient: int, margin: float) -> Floats:
    """Points of the volume whose dose is nearest to the one that the criterion asks for."""
    assert judge.points is not None, "only criteria of volume are judged by all points"
    turns = at.turns[patient] if len(at.turns) else STILL
    inner = distances(field, judge.points.inner, at.shifts[patient], turns)
    if judge.kind == WITHIN:
        away = np.abs(inner - margin).min(axis=1)
    else:
        dose = weighted_curve(inner, at.weights[patient].reshape(-1), judge.plan.curve(), margin)
        away = dose if judge.kind in (MEAN, GEUD) else np.abs(dose - judge.level)
    return np.ascontiguousarray(judge.points.inner[np.argsort(away)[:DECIDING_POINTS]])
