"""Synthetic liver phantom: thorax and abdomen of a patient with three liver metastases, the largest 7 cm.

Every structure is a level function in the patient frame RAS+ mm, negative inside, so that its surface is known at
sub-voxel precision. Spheres, capsules and cylinders are exact signed distances; for ellipsoids and differences only
the surface is exact. The lesions are spheres and capsules.

Lesion size (7 cm) and slice thickness (5 mm) follow a clinical protocol for liver metastases.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import MaskError
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.mask import Mask
from ptvkit.geometry.region import Region

Points = NDArray[np.float64]
Level = Callable[[Points], Points]
Triple = tuple[float, float, float]

LOW_MM: Final[Triple] = (-185.0, -125.0, -125.0)
HIGH_MM: Final[Triple] = (185.0, 130.0, 155.0)
"""Extent of an image of the phantom, (LR, AP, SI); the centre of the liver is near the origin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """A structure of the phantom.

    Attributes
    ----------
    name : str
    level : callable
        Function of patient points (..., 3), mm, that returns levels (...,), negative inside.
    low, high : (3,)
        Bounding box, mm.
    hu : float
        CT number.
    """

    name: str
    level: Level
    low: Triple
    high: Triple
    hu: float


def _length(vectors: Points) -> Points:
    length: Points = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))
    return length


def _sphere(centre: Triple, radius: float) -> Level:
    return lambda points: _length(points - centre) - radius


def _capsule(start: Triple, end: Triple, radius: float) -> Level:
    a, along = np.asarray(start), np.subtract(end, start)

    def level(points: Points) -> Points:
        share = np.clip((points - a) @ along / (along @ along), 0.0, 1.0)
        distance: Points = _length(points - a - share[..., None] * along) - radius
        return distance

    return level


def _ellipsoid(centre: Triple, semi_axes: Triple) -> Level:
    return lambda points: (_length((points - centre) / semi_axes) - 1.0) * min(semi_axes)


def _column(x: float, y: float, radius: float) -> Level:
    """Infinite cylinder along the patient."""
    return lambda points: np.hypot(points[..., 0] - x, points[..., 1] - y) - radius


def _oval(semi_x: float, semi_y: float) -> Level:
    """Superelliptic cylinder: the outline of the body."""
    power = 2.6

    def level(points: Points) -> Points:
        x, y = np.abs(points[..., 0]) / semi_x, np.abs(points[..., 1]) / semi_y
        distance: Points = ((x**power + y**power) ** (1 / power) - 1.0) * semi_y
        return distance

    return level


def _union(*levels: Level) -> Level:
    return lambda points: np.minimum.reduce([level(points) for level in levels])


def _blend(a: Level, b: Level, width: float) -> Level:
    """Union with a smooth transition over `width` mm."""

    def level(points: Points) -> Points:
        p, q = a(points), b(points)
        share = np.clip(0.5 + 0.5 * (q - p) / width, 0.0, 1.0)
        distance: Points = q + share * (p - q) - width * share * (1.0 - share)
        return distance

    return level


def _without(level: Level, *others: Level, gap: float = 0.0) -> Level:
    """A structure without the points closer than `gap` mm to others."""
    return lambda points: np.maximum.reduce([level(points), *(gap - other(points) for other in others)])


_LARGE = _capsule((90.0, -12.0, 10.0), (93.0, -7.0, 18.123106), 30.0)
_ROUND = _sphere((42.0, 28.0, -28.0), 12.0)
_SMALL = _capsule((-2.0, 44.0, 28.0), (8.0, 46.0, 39.0), 7.5)
_KIDNEYS = (_ellipsoid((52.0, -62.0, -72.0), (25.0, 22.0, 50.0)), _ellipsoid((-54.0, -62.0, -55.0), (25.0, 22.0, 52.0)))
_SPINE = _union(_column(0.0, -52.0, 20.0), _column(0.0, -90.0, 14.0))
_CANAL = _column(0.0, -77.0, 9.0)
_LOBES = _blend(
    _ellipsoid((60.0, 0.0, 0.0), (72.0, 70.0, 76.0)), _ellipsoid((2.0, 44.0, 30.0), (62.0, 32.0, 36.0)), 20.0
)
_LIVER = _without(_LOBES, *_KIDNEYS, _column(0.0, -52.0, 20.0), _column(-12.0, -20.0, 11.0), gap=3.0)
_BODY = _oval(170.0, 112.0)
_HEART = _ellipsoid((-25.0, 40.0, 118.0), (55.0, 42.0, 46.0))
_LUNGS = (_ellipsoid((78.0, -8.0, 120.0), (66.0, 82.0, 125.0)), _ellipsoid((-78.0, -8.0, 125.0), (66.0, 82.0, 120.0)))
_STOMACH = _ellipsoid((-72.0, 30.0, 5.0), (42.0, 46.0, 52.0))


def _box(centre: Triple, reach: Triple) -> tuple[Triple, Triple]:
    low = (centre[0] - reach[0], centre[1] - reach[1], centre[2] - reach[2])
    high = (centre[0] + reach[0], centre[1] + reach[1], centre[2] + reach[2])
    return low, high


def _structure(name: str, level: Level, box: tuple[Triple, Triple], hu: float) -> Structure:
    return Structure(name=name, level=level, low=box[0], high=box[1], hu=hu)


def _lung(side: float) -> tuple[Triple, Triple]:
    return _box((side * 78.0, -8.0, 75.0), (68.0, 84.0, 82.0))


_EVERYWHERE = (LOW_MM, HIGH_MM)
_MIDLINE = ((-24.0, -106.0, LOW_MM[2]), (24.0, -30.0, HIGH_MM[2]))

STRUCTURES: Final[dict[str, Structure]] = {
    s.name: s
    for s in (
        _structure("body", _BODY, _EVERYWHERE, 45.0),
        _structure("lung_right", _without(_LUNGS[0], _LOBES, _HEART, _SPINE, gap=6.0), _lung(+1.0), -830.0),
        _structure("lung_left", _without(_LUNGS[1], _LOBES, _STOMACH, _HEART, _SPINE, gap=6.0), _lung(-1.0), -830.0),
        _structure("spine", _without(_SPINE, _CANAL), _MIDLINE, 260.0),
        _structure("cord", _column(0.0, -77.0, 6.0), _MIDLINE, 38.0),
        _structure("stomach", _without(_STOMACH, _LOBES, gap=3.0), _box((-72.0, 30.0, 5.0), (44.0, 48.0, 54.0)), 15.0),
        _structure("kidney_right", _KIDNEYS[0], _box((52.0, -62.0, -72.0), (27.0, 24.0, 52.0)), 170.0),
        _structure("kidney_left", _KIDNEYS[1], _box((-54.0, -62.0, -55.0), (27.0, 24.0, 54.0)), 170.0),
        _structure("liver", _LIVER, ((-80.0, -85.0, -90.0), (140.0, 90.0, 90.0)), 112.0),
        _structure("lesion_1", _LARGE, _box((91.5, -9.5, 14.0), (34.0, 35.0, 36.0)), 72.0),
        _structure("lesion_2", _ROUND, _box((42.0, 28.0, -28.0), (14.0, 14.0, 14.0)), 72.0),
        _structure("lesion_3", _SMALL, _box((3.0, 45.0, 33.5), (15.0, 11.0, 15.0)), 72.0),
        _structure("gtv", _union(_LARGE, _ROUND, _SMALL), ((-15.0, -48.0, -45.0), (130.0, 60.0, 55.0)), 72.0),
    )
}
"""Structures by name; later ones overwrite earlier ones. `gtv` is the union of the three lesions."""


def level(name: str, points_mm: ArrayLike) -> NDArray[np.float64]:
    """Level of a structure at patient points (..., 3), mm: negative inside, 0 on the exact surface.

    Examples
    --------
    >>> float(level("lesion_2", [42.0, 28.0, -28.0]))
    -12.0
    """
    return _named(name).level(np.asarray(points_mm, float))


def grid(spacing_mm: Sequence[float] = (0.98, 0.98, 5.0)) -> Grid:
    """Return a grid over the phantom with axes towards L, P and S, as in clinical CT.

    Examples
    --------
    >>> grid().shape, grid().codes
    ((378, 260, 56), ('L', 'P', 'S'))
    """
    spacing = np.asarray(spacing_mm, float)
    low, high = np.asarray(LOW_MM), np.asarray(HIGH_MM)
    shape = np.rint((high - low) / spacing).astype(int)
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    affine[:3, 3] = (high[0] - 0.5 * spacing[0], high[1] - 0.5 * spacing[1], low[2] + 0.5 * spacing[2])
    return Grid(shape=(int(shape[0]), int(shape[1]), int(shape[2])), affine=affine)


def mask(name: str, grid: Grid) -> Mask:
    """Return the voxels of a grid whose centres lie inside a structure.

    Examples
    --------
    >>> round(mask("lesion_2", grid()).volume_cc)  # a sphere of radius 12 mm has 7.24 cc
    7
    """
    window, values = _near(_named(name), grid)
    inside = np.zeros(grid.shape, bool)
    inside[window] = values <= 0
    return Mask.from_array(inside, grid.affine, name=f"phantom {name}")


def region(name: str, spacing_mm: float = 1.0) -> Region:
    """Return a structure as a region, sampled on a fine grid."""
    structure = _named(name)
    low = np.asarray(structure.low) - 3 * spacing_mm
    size = np.ceil((np.asarray(structure.high) + 3 * spacing_mm - low) / spacing_mm).astype(int) + 1
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = low
    around = Grid(shape=(int(size[0]), int(size[1]), int(size[2])), affine=affine)
    return Region(level=structure.level(_centres(around)).astype(np.float32), grid=around, name=f"phantom {name}")


def image(grid: Grid, *, seed: int = 0) -> NDArray[np.int16]:
    """Return a CT-like image (I, J, K) of the phantom, HU.

    Surface voxels contain partial volumes; noise has a standard deviation of 12 HU.
    """
    values = np.full(grid.shape, -1000.0, np.float32)
    rng = np.random.default_rng(seed)
    for structure in STRUCTURES.values():
        window, distance = _near(structure, grid)
        share = np.clip(0.5 - distance / 1.5, 0.0, 1.0)
        hu: NDArray[np.float64] | float = structure.hu
        if structure.name == "body":
            hu = np.where(distance > -14.0, -105.0, structure.hu)  # subcutaneous fat
        part = values[window]
        part += (share * (hu - part)).astype(np.float32)
    values += rng.normal(0.0, 12.0, grid.shape).astype(np.float32)
    return np.rint(values).astype(np.int16)


def labels(grid: Grid) -> tuple[NDArray[np.uint8], dict[int, str]]:
    """Return a label array (later structures overwrite earlier ones) and the label names, without body and gtv."""
    names = [name for name in STRUCTURES if name not in ("body", "gtv")]
    array = np.zeros(grid.shape, np.uint8)
    for number, name in enumerate(names, start=1):
        array[mask(name, grid).array] = number
    return array, dict(enumerate(names, start=1))


def _named(name: str) -> Structure:
    if name not in STRUCTURES:
        raise MaskError(f"the phantom has no {name!r}; it has {', '.join(STRUCTURES)}")
    return STRUCTURES[name]


def _centres(grid: Grid) -> Points:
    return grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))


def _near(structure: Structure, grid: Grid) -> tuple[tuple[slice, ...], Points]:
    """Part of a grid around a structure, and the level there."""
    corners = np.array(np.meshgrid(*zip(structure.low, structure.high, strict=True), indexing="ij")).reshape(3, -1).T
    index = grid.to_index(corners)
    low = np.clip(np.floor(index.min(axis=0)).astype(int) - 2, 0, grid.shape)
    high = np.clip(np.ceil(index.max(axis=0)).astype(int) + 3, low, grid.shape)
    window = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    if (high == low).any():
        return window, np.zeros(tuple(high - low))
    part = grid.box(low.tolist(), (high - 1).tolist())
    return window, structure.level(_centres(part))
