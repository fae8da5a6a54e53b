"""Smoothing a level without shrinking it."""

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.jit import kernel, run_in_slices

Level = NDArray[np.float32]
Sigmas = tuple[float, float, float]


def flatten(level: Level, sigmas: Sigmas, scratch: Level) -> None:
    """Smooth a level in place by 2G − G∘G, a kernel without second moment: noise goes, curvature stays.

    Parameters
    ----------
    level, scratch : (I, J, K) float32
        The scratch array is overwritten.
    sigmas : (3,) floats
        Standard deviation of the Gaussian G along each axis, in nodes. It is cut at 3 of them; edges repeat.
    """
    taps = [_taps(sigma) for sigma in sigmas]
    run_in_slices(_gaussian, level.shape[0], level, *taps, scratch, False)
    run_in_slices(_gaussian, level.shape[0], scratch, *taps, level, True)


def _taps(sigma: float) -> Level:
    radius = int(np.ceil(3 * sigma))
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / max(sigma, 1e-6)) ** 2)
    return (weights / weights.sum()).astype(np.float32)


@kernel
def _gaussian(start: int, stop: int, source: Level, tx: Level, ty: Level, tz: Level, out: Level, twice: bool) -> None:
    """Plane by plane, so that each is filtered along three axes while it is in the cache; 2·source − it when twice."""
    ni, nj, nk = source.shape
    rx, ry, rz = tx.shape[0] // 2, ty.shape[0] // 2, tz.shape[0] // 2
    plane = np.empty((nj, nk), np.float32)
    padded = np.empty(nk + 2 * rz, np.float32)
    row = np.empty(nk, np.float32)
    for i in range(start, stop):
        plane[:] = 0
        for t in range(tx.shape[0]):
            w, other = tx[t], source[min(max(i + t - rx, 0), ni - 1)]
            for j in range(nj):
                for k in range(nk):
                    plane[j, k] += w * other[j, k]
        for j in range(nj):
            row[:] = 0
            for t in range(ty.shape[0]):
                w, line = ty[t], plane[min(max(j + t - ry, 0), nj - 1)]
                for k in range(nk):
                    row[k] += w * line[k]
            padded[:rz] = row[0]
            padded[rz : rz + nk] = row
            padded[rz + nk :] = row[nk - 1]
            row[:] = 0
            for t in range(tz.shape[0]):
                w = tz[t]
                for k in range(nk):
                    row[k] += w * padded[k + t]
            if twice:
                for k in range(nk):
                    out[i, j, k] = 2 * source[i, j, k] - row[k]
            else:
                for k in range(nk):
                    out[i, j, k] = row[k]


@kernel
def put_right(
    level: Level, inside: NDArray[np.bool_], factors: tuple[int, int, int], floor: float, widely: bool
) -> None:
    """Put a level on the mask's side at every voxel centre, by at least `floor`; in place.

    Parameters
    ----------
    level : (I', J', K') float32
        On a grid `factors` times finer than the mask's, which has the voxel centres among its nodes.
    inside : (I, J, K) bool
    widely : bool
        Spread each correction linearly towards the neighbouring voxel centres; else it is made at the centre only.
    """
    fi, fj, fk = factors
    wi, wj, wk = (fi - 1, fj - 1, fk - 1) if widely else (0, 0, 0)
    ni, nj, nk = level.shape
    for i in range(inside.shape[0]):
        for j in range(inside.shape[1]):
            for k in range(inside.shape[2]):
                value = level[i * fi, j * fj, k * fk]
                change = min(0.0, -floor - value) if inside[i, j, k] else max(0.0, floor - value)
                if change == 0:
                    continue
                for a in range(max(i * fi - wi, 0), min(i * fi + wi + 1, ni)):
                    u = change * (1 - abs(a - i * fi) / fi)
                    for b in range(max(j * fj - wj, 0), min(j * fj + wj + 1, nj)):
                        v = u * (1 - abs(b - j * fj) / fj)
                        for c in range(max(k * fk - wk, 0), min(k * fk + wk + 1, nk)):
                            level[a, b, c] += v * (1 - abs(c - k * fk) / fk)
                level[i * fi, j * fj, k * fk] = min(value, -floor) if inside[i, j, k] else max(value, floor)


def keep_sides(level: Level, inside: NDArray[np.bool_], factors: tuple[int, int, int], floor: float) -> None:
    """Keep a level on one side wherever the voxel centres around a node all are on that side; in place.

    Those around a node are the ends of its edge, the corners of its face or of its cell, as for linear interpolation.
    So voxels that share a face stay joined, and neither bubbles nor islands appear between voxels of one kind.
    """
    run_in_slices(_keep_sides, inside.shape[0], level, inside, factors, floor)


@kernel
def _keep_sides(
    start: int, stop: int, level: Level, inside: NDArray[np.bool_], factors: tuple[int, int, int], floor: float
) -> None:
    fi, fj, fk = factors
    ni, nj, nk = inside.shape
    for i in range(start, stop):
        for j in range(nj):
            for k in range(nk):
                for a in range(fi if i < ni - 1 else 1):
                    for b in range(fj if j < nj - 1 else 1):
                        for c in range(fk if k < nk - 1 else 1):
                            count, total = 0, 0
                            for p in range(2 if a > 0 else 1):
                                for q in range(2 if b > 0 else 1):
                                    for r in range(2 if c > 0 else 1):
                                        count += inside[i + p, j + q, k + r]
                                        total += 1
                            x, y, z = i * fi + a, j * fj + b, k * fk + c
                            if count == total:
                                level[x, y, z] = min(level[x, y, z], -floor)
                            elif count == 0:
                                level[x, y, z] = max(level[x, y, z], floor)
