"""Giving back the edges that smoothing rounds off, where the faces on both sides of them are flat.

Smoothing turns the rim of a flat end into an arc about as wide as itself. On a cap of a smooth body the surface goes on
bending on both sides of such an arc; beside an edge it is straight. So a node near a strong bend looks at two places on
either side; where both faces are straight and the turn between them lies in the arc alone, the level becomes that of
the two planes.
"""

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.jit import kernel, run_in_slices

Level = NDArray[np.float32]
Point = tuple[float, float, float]

BEND = 1.2
"""Least bend of the surface at an edge, over the reach."""
FIRST = (0.4, 0.8)
TURN = (0.9, 1.3)
"""Turn between two faces, radians, from which they meet in an edge; in full from the second on."""
BENT = (0.13, 0.21)
"""Turn within a face, as a share of the turn between the two, up to which it is flat; beyond the second it is not."""
ASIDE = (0.2, 0.3)
"""Distance of a face from the straight line out of the edge, over the reach, likewise."""
LIFT = 0.15
"""Between nodes an edge is cut off by linear interpolation; its nodes are lifted by this share of a spacing."""
JUST_OUTSIDE = 0.02
"""Level of a node that stays outside, as nothing beside it is inside, mm."""


def sharpen(level: Level, spacing_mm: Point, reach_mm: float, band_mm: float, scratch: Level) -> None:
    """Extend flat faces to the convex edge in which they meet; in place.

    Parameters
    ----------
    level, scratch : (I, J, K) float32
        A smooth level, near the surface a distance, mm; the scratch array is overwritten.
    spacing_mm : (3,) floats
    reach_mm : float
        How far from the edge the faces are looked at: beyond the arc that smoothing leaves.
    band_mm : float
        Levels up to which nodes are looked at.
    """
    scratch[:] = level
    run_in_slices(_sharpen, level.shape[0] - 4, scratch, spacing_mm, reach_mm, band_mm, level)


@kernel
def _sharpen(start: int, stop: int, level: Level, h: Point, reach: float, band: float, out: Level) -> None:
    _, nj, nk = level.shape
    for i in range(start + 2, stop + 2):
        for j in range(2, nj - 2):
            for k in range(2, nk - 2):
                d = level[i, j, k]
                if d < -0.6 * band or d > band:
                    continue
                bend = (level[i + 1, j, k] + level[i - 1, j, k] - 2 * d) / h[0] ** 2
                bend += (level[i, j + 1, k] + level[i, j - 1, k] - 2 * d) / h[1] ** 2
                bend += (level[i, j, k + 1] + level[i, j, k - 1] - 2 * d) / h[2] ** 2
                if bend * (1 + max(d, 0.0) * bend) < BEND / reach:
                    continue
                slope, across = _slope(level, i, j, k, h), _across(level, i, j, k, h)
                new = _edge(level, h, reach, (i * h[0], j * h[1], k * h[2]), slope, across, d)
                if d >= 0 and new < JUST_OUTSIDE and not _touches(level, i, j, k):
                    new = JUST_OUTSIDE
                out[i, j, k] = min(d, np.float32(new))


@kernel
def _touches(level: Level, i: int, j: int, k: int) -> bool:
    """Whether a node beside this one is inside."""
    x = min(level[i - 1, j, k], level[i + 1, j, k])
    y = min(level[i, j - 1, k], level[i, j + 1, k])
    return bool(min(x, y, level[i, j, k - 1], level[i, j, k + 1]) < 0)


@kernel
def _slope(level: Level, i: int, j: int, k: int, h: Point) -> Point:
    """Gradient at a node, from its neighbours on both sides."""
    x = (level[i + 1, j, k] - level[i - 1, j, k]) / (2 * h[0])
    y = (level[i, j + 1, k] - level[i, j - 1, k]) / (2 * h[1])
    return x, y, (level[i, j, k + 1] - level[i, j, k - 1]) / (2 * h[2])


@kernel
def _across(level: Level, i: int, j: int, k: int, h: Point) -> Point:
    """Direction along the surface in which it bends most at a node."""
    a, b, c = h
    d = 2 * level[i, j, k]
    n = _unit(_slope(level, i, j, k, h))
    m = np.empty((3, 3))
    m[0, 0] = (level[i + 1, j, k] + level[i - 1, j, k] - d) / a**2
    m[1, 1] = (level[i, j + 1, k] + level[i, j - 1, k] - d) / b**2
    m[2, 2] = (level[i, j, k + 1] + level[i, j, k - 1] - d) / c**2
    u, v = level[i + 1], level[i - 1]
    m[0, 1] = m[1, 0] = (u[j + 1, k] - u[j - 1, k] - v[j + 1, k] + v[j - 1, k]) / (4 * a * b)
    m[0, 2] = m[2, 0] = (u[j, k + 1] - u[j, k - 1] - v[j, k + 1] + v[j, k - 1]) / (4 * a * c)
    u, v = level[i, j + 1], level[i, j - 1]
    m[1, 2] = m[2, 1] = (u[k + 1] - u[k - 1] - v[k + 1] + v[k - 1]) / (4 * b * c)
    p = np.eye(3)
    for r in range(3):
        for s in range(3):
            p[r, s] -= n[r] * n[s]
    m = _product(p, _product(m, p))
    for _ in range(4):
        m = _product(m, m)
        m /= max(np.sqrt((m * m).sum()), 1e-12)
    best = 0
    for r in range(3):
        if m[r, r] > m[best, best]:
            best = r
    return _unit((m[0, best], m[1, best], m[2, best]))


@kernel
def _product(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    out = np.zeros((3, 3))
    for r in range(3):
        for s in range(3):
            for t in range(3):
                out[r, s] += a[r, t] * b[t, s]
    return out


@kernel
def _look(level: Level, h: Point, p: Point) -> tuple[float, float, float, float]:
    """Level and its gradient at a point (mm from the first node), trilinear."""
    ni, nj, nk = level.shape
    u = min(max(p[0] / h[0], 0.0), ni - 1.001)
    v = min(max(p[1] / h[1], 0.0), nj - 1.001)
    w = min(max(p[2] / h[2], 0.0), nk - 1.001)
    i, j, k = int(u), int(v), int(w)
    x, y, z = u - i, v - j, w - k
    a, b = level[i, j, k], level[i, j, k + 1]
    c, d = level[i, j + 1, k], level[i, j + 1, k + 1]
    e, f = level[i + 1, j, k], level[i + 1, j, k + 1]
    g, m = level[i + 1, j + 1, k], level[i + 1, j + 1, k + 1]
    near = (1 - y) * ((1 - z) * a + z * b) + y * ((1 - z) * c + z * d)
    far = (1 - y) * ((1 - z) * e + z * f) + y * ((1 - z) * g + z * m)
    gy = (1 - x) * ((1 - z) * (c - a) + z * (d - b)) + x * ((1 - z) * (g - e) + z * (m - f))
    gz = (1 - x) * ((1 - y) * (b - a) + y * (d - c)) + x * ((1 - y) * (f - e) + y * (m - g))
    return (1 - x) * near + x * far, (far - near) / h[0], gy / h[1], gz / h[2]


@kernel
def _foot(level: Level, h: Point, p: Point) -> tuple[Point, Point]:
    """The surface point below a point, and the normal there."""
    for _ in range(2):
        f, x, y, z = _look(level, h, p)
        s = max(x * x + y * y + z * z, 0.04)
        p = (p[0] - f * x / s, p[1] - f * y / s, p[2] - f * z / s)
    _, x, y, z = _look(level, h, p)
    s = max(np.sqrt(x * x + y * y + z * z), 1e-6)
    return p, (x / s, y / s, z / s)


@kernel
def _dot(a: Point, b: Point) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@kernel
def _ahead(p: Point, t: Point, s: float) -> Point:
    return (p[0] + s * t[0], p[1] + s * t[1], p[2] + s * t[2])


@kernel
def _unit(a: Point) -> Point:
    s = max(np.sqrt(_dot(a, a)), 1e-9)
    return (a[0] / s, a[1] / s, a[2] / s)


@kernel
def _angle(a: Point, b: Point) -> float:
    return float(np.arccos(min(max(_dot(a, b), -1.0), 1.0)))


@kernel
def _ramp(x: float, low: float, high: float) -> float:
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3 - 2 * t)


@kernel
def _edge(level: Level, h: Point, reach: float, x: Point, slope: Point, across: Point, d: float) -> float:
    """Level at a point near an edge: the higher of the two planes that meet there, as far as they are flat."""
    p, _ = _foot(level, h, _ahead(x, slope, -d / max(_dot(slope, slope), 0.04)))
    pa, a = _foot(level, h, _ahead(p, across, reach))
    pb, b = _foot(level, h, _ahead(p, across, -reach))
    weight = _ramp(_dot(a, across) - _dot(b, across), *FIRST)
    if weight == 0:
        return d
    bent, edge = 0.0, x
    for _ in range(2):
        g = _dot(a, b)
        if g > 0.95 or g < -0.9:
            return d
        # the point nearest x on both planes lies in the span of their normals
        ra, rb = -_dot(a, _minus(x, pa)), -_dot(b, _minus(x, pb))
        ca, cb = (ra - g * rb) / (1 - g * g), (rb - g * ra) / (1 - g * g)
        if abs(ca) > 2 * reach or abs(cb) > 2 * reach:
            return d
        edge = _ahead(_ahead(x, a, ca), b, cb)
        along_a, along_b = _unit(_minus(_times(a, g), b)), _unit(_minus(_times(b, g), a))
        a, pa, bent_a = _face(level, h, reach, edge, along_a)
        b, pb, bent_b = _face(level, h, reach, edge, along_b)
        bent = max(bent_a, bent_b)
    turn = _angle(a, b)
    weight *= _ramp(turn, *TURN) * (1 - _ramp(bent / turn, *BENT))
    new = max(_dot(a, _minus(x, pa)), _dot(b, _minus(x, pb)))
    new -= LIFT * max(0.0, min(h[0], h[1], h[2]) - 0.6 * _away(edge, x))
    return d + weight * min(new - d, 0.0)


@kernel
def _face(level: Level, h: Point, reach: float, edge: Point, along: Point) -> tuple[Point, Point, float]:
    """Normal and a point of the face that leaves an edge in a direction, and how much it bends (9: there is none)."""
    p, n = _foot(level, h, _ahead(edge, along, 0.5 * reach))
    q, m = _foot(level, h, _ahead(edge, along, reach))
    bent = _angle(n, m) + 9 * _ramp(_away(_ahead(edge, along, reach), q) / reach, *ASIDE)
    return _unit(_ahead(n, m, 1.0)), (0.5 * (p[0] + q[0]), 0.5 * (p[1] + q[1]), 0.5 * (p[2] + q[2])), bent


@kernel
def _minus(a: Point, b: Point) -> Point:
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


@kernel
def _times(a: Point, s: float) -> Point:
    return (s * a[0], s * a[1], s * a[2])


@kernel
def _away(a: Point, b: Point) -> float:
    d = _minus(a, b)
    return float(np.sqrt(_dot(d, d)))
