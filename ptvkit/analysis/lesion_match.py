"""Which lesion of one scan is which of another: by overlap, then by distance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from ptvkit.errors import GridError, MaskError
from ptvkit.geometry.region import Region

Floats = NDArray[np.float64]

OVERLAP: Final = 0.1
"""Share of the smaller lesion's volume that two lesions share when they belong together."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesion:
    """A lesion prepared for matching.

    Attributes
    ----------
    region : Region
    volume_cc : float
    points_mm : (N, 3) array
        Nodes inside it, patient frame RAS+: equal parts of its volume.
    """

    region: Region
    volume_cc: float
    points_mm: Floats

    @classmethod
    def of(cls, region: Region) -> Self:
        """A lesion from its region."""
        nodes = [box.grid.to_mm(np.argwhere(box.level < 0)) for box in region.boxes]
        return cls(region=region, points_mm=np.concatenate(nodes), volume_cc=region.volume_cc)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Lesions that belong together, by their numbers in each scan."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    matched_by: Literal["overlap", "distance", ""] = ""
    distance_mm: float | None = None


def matched(
    before: Sequence[Lesion], after: Sequence[Lesion], transform: ArrayLike | None, distance_mm: float
) -> list[Group]:
    """Groups of lesions that belong together, in the order of the first scan; new ones last.

    Raises
    ------
    MaskError
        When both scans have lesions and none can be matched.
    GridError
        When the transform is no invertible affine.
    """
    matrix = _affine(transform)
    groups = _groups(before, after, matrix, distance_mm)
    if before and after and not any(group.matched_by for group in groups):
        raise MaskError(_unmatched(before, after, matrix, distance_mm))
    return groups


def _groups(before: Sequence[Lesion], after: Sequence[Lesion], matrix: Floats, distance_mm: float) -> list[Group]:
    linked = _overlapping(before, after, matrix)
    distance = _distances(before, after, matrix)
    alone = np.flatnonzero(~linked.any(axis=1)), np.flatnonzero(~linked.any(axis=0))
    near = {(int(i), int(j)) for i, j in _nearest(distance, alone, distance_mm)}
    for i, j in near:
        linked[i, j] = True
    groups = []
    for ours, theirs in _components(linked):
        by: Literal["overlap", "distance", ""] = "" if not (ours and theirs) else "overlap"
        if ours and theirs and (ours[0], theirs[0]) in near:
            by = "distance"
        apart = float(distance[ours[0], theirs[0]]) if len(ours) == len(theirs) == 1 else None
        groups.append(Group(before=ours, after=theirs, matched_by=by, distance_mm=apart))
    return sorted(groups, key=lambda group: (not group.before, group.before, group.after))


def _overlapping(before: Sequence[Lesion], after: Sequence[Lesion], matrix: Floats) -> NDArray[np.bool_]:
    """Which pairs share enough volume."""
    linked = np.zeros((len(before), len(after)), bool)
    boxes = [(one.points_mm.min(axis=0), one.points_mm.max(axis=0)) for one in after]
    for i, ours in enumerate(before):
        points = _moved(ours.points_mm, matrix)
        low, high = points.min(axis=0), points.max(axis=0)
        for j, theirs in enumerate(after):
            if (high < boxes[j][0]).any() or (low > boxes[j][1]).any():
                continue
            shared = float((theirs.region.sample(points) < 0).mean()) * ours.volume_cc
            linked[i, j] = shared >= OVERLAP * min(ours.volume_cc, theirs.volume_cc) > 0
    return linked


def _distances(before: Sequence[Lesion], after: Sequence[Lesion], matrix: Floats) -> Floats:
    """Distances between the centres of volume, mm."""
    if not (before and after):
        return np.zeros((len(before), len(after)))
    ours = np.array([_moved(one.points_mm.mean(axis=0), matrix) for one in before])
    return cdist(ours, np.array([one.points_mm.mean(axis=0) for one in after]))


def _nearest(
    distance: Floats, alone: tuple[NDArray[np.int64], NDArray[np.int64]], limit: float
) -> list[tuple[int, int]]:
    """Pairs of lesions without overlap, as many as lie within the distance, with the least sum of distances."""
    among = distance[np.ix_(*alone)]
    rows, columns = linear_sum_assignment(np.where(among <= limit, among, 1e6))
    return [(alone[0][i], alone[1][j]) for i, j in zip(rows, columns, strict=True) if among[i, j] <= limit]


def _components(linked: NDArray[np.bool_]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Connected groups of the two scans' lesions."""
    ours, theirs = linked.shape
    i, j = np.nonzero(linked)
    graph = coo_array((np.ones(len(i)), (i, j + ours)), shape=(ours + theirs,) * 2)
    count, label = connected_components(graph, directed=False)
    members = [np.flatnonzero(label == n).tolist() for n in range(count)]
    return [(tuple(m for m in one if m < ours), tuple(m - ours for m in one if m >= ours)) for one in members]


def _moved(points: Floats, matrix: Floats) -> Floats:
    moved: Floats = points @ matrix[:3, :3].T + matrix[:3, 3]
    return moved


def _affine(transform: ArrayLike | None) -> Floats:
    """The transform, validated.

    Raises
    ------
    GridError
    """
    if transform is None:
        return np.eye(4)
    try:
        matrix = np.asarray(transform, float)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not np.allclose(matrix[3], (0, 0, 0, 1)):
        raise GridError("transform: needs a finite 4×4 affine, RAS+ mm, whose last row is 0 0 0 1")
    if abs(np.linalg.det(matrix[:3, :3])) < 1e-6:
        raise GridError("transform: is singular; give the affine that takes the first scan's points to the second's")
    return matrix


def _unmatched(before: Sequence[Lesion], after: Sequence[Lesion], matrix: Floats, distance_mm: float) -> str:
    least = float(_distances(before, after, matrix).min())
    text = (
        f"no lesion can be matched: none overlap, and the nearest centres are {least:.1f} mm apart, above distance_mm"
        f" {distance_mm:g};"
    )
    if not np.allclose(matrix, np.eye(4)):
        inverse = _groups(before, after, np.asarray(np.linalg.inv(matrix), float), distance_mm)
        if any(group.matched_by for group in inverse):
            return f"{text} the inverse transform matches them: give the one that takes points of before to after"
    return f"{text} give the transform between the two frames, or a larger distance"
