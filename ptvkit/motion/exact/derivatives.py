"""What a millimetre more of margin, error or breathing changes in the share of patients contained."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.geometry.directions import DIRECTIONS
from ptvkit.geometry.region import Region
from ptvkit.motion.course import Course
from ptvkit.motion.exact.allowed import Allowed
from ptvkit.motion.exact.model import DEPTH_STEP_MM, Model
from ptvkit.values import vector

Floats = NDArray[np.float64]

LETTERS: Final = tuple(DIRECTIONS)
AXES: Final = ("LR", "AP", "SI")
MARGIN_MM: Final = 0.25
"""Half of the step of a margin."""
SHARE: Final = 0.05
"""Half of the step of an error or an amplitude, as a share of it."""
POINTS: Final = 32
SETS: Final = 2
STEP_MM: Final = 0.75
LEAST_MM: Final = 0.1
"""A margin on a side where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Derivatives:
    """Derivatives of the share of patients contained, each per millimetre.

    Attributes
    ----------
    margin : mapping
        For each side R L A P S I: of the margin on that side. A margin's body is an ellipsoid in each octant, so that a
        millimetre on one side moves the PTV's surface by ``m_i n_i²/h``, with n its normal, m the margins (by the
        extents of CTV and PTV) and ``h = √Σ m_i² n_i²``.
    volume_cc : mapping
        For each side: cc of PTV per millimetre of that margin.
    systematic, random : mapping
        For each error by name, and each axis LR, AP, SI on which it has an SD: of Σ and of σ.
    amplitude : float or None
        Of the breathing amplitude on its largest axis, the others in proportion; None without breathing.
    """

    margin: Mapping[str, float]
    volume_cc: Mapping[str, float]
    systematic: Mapping[str, Mapping[str, float]]
    random: Mapping[str, Mapping[str, float]]
    amplitude: float | None

    def per_cc(self, side: str) -> float:
        """Share of patients won per cc of PTV on one side; 0 where the PTV would not grow."""
        cost = self.volume_cc[side]
        return self.margin[side] / cost if cost > 0 else 0.0

    def table(self) -> list[tuple[str, ...]]:
        """Headings, and a line for each side: percentage points per mm, cc per mm, points per cc."""
        rows = [("1 mm more", "contained, points", "PTV, cc", "points per cc")]
        for side in LETTERS:
            points = 100 * self.margin[side]
            rows.append((side, f"{points:+.2f}", f"{self.volume_cc[side]:+.1f}", f"{100 * self.per_cc(side):+.3f}"))
        return [*rows, *self._errors()]

    def _errors(self) -> Iterator[tuple[str, ...]]:
        for kind, named in (("Σ", self.systematic), ("σ", self.random)):
            for name, axes in named.items():
                for axis, value in axes.items():
                    yield f"{name} {kind} {axis}", f"{100 * value:+.2f}", "", ""
        if self.amplitude is not None:
            yield "breathing amplitude", f"{100 * self.amplitude:+.2f}", "", ""


def derivatives_of(model: Model, allowed: Allowed, margins: Floats) -> Derivatives:
    """Central differences on one lattice, with one set of patients of the quadrature for all.

    Parameters
    ----------
    model : Model
    allowed : Allowed
        Depths of the target or a lesion.
    margins : (3, 2) array
        Below and above on each axis, mm.
    """
    systematic, random = _by_errors(model, allowed)
    return Derivatives(
        margin=_by_margin(model, allowed, margins),
        volume_cc=volume_slopes(model.ctv, model.ptv),
        systematic=systematic,
        random=random,
        amplitude=_by_amplitude(model, allowed),
    )


def margins_between(ctv: Region, ptv: Region) -> Floats:
    """Distances (3, 2) between the extents of a PTV and its target, below and above on each axis, mm."""
    own, around = ctv.surface_points(), ptv.surface_points()
    below, above = own.min(axis=0) - around.min(axis=0), around.max(axis=0) - own.max(axis=0)
    margins: Floats = np.maximum(np.stack([below, above], axis=1), LEAST_MM)
    return margins


def growth(normals: Floats, margins: Floats) -> dict[str, Floats]:
    """By how much a surface with outward normals (N, 3) moves for a millimetre of margin on each side, (N,) each."""
    towards = np.where(normals >= 0, margins[:, 1], margins[:, 0])
    height = np.sqrt((towards**2 * normals**2).sum(axis=1)) + 1e-12
    slopes = {}
    for letter, side in DIRECTIONS.items():
        there = side.sign * normals[:, side.axis] > 0
        slopes[letter] = np.where(there, towards[:, side.axis] * normals[:, side.axis] ** 2 / height, 0.0)
    return slopes


def volume_slopes(ctv: Region, ptv: Region) -> dict[str, float]:
    """Volume of PTV, cc, per millimetre of margin on each side: the growth integrated over its surface."""
    mesh = ptv.to_mesh()
    corners = np.asarray(mesh.vertices)[np.asarray(mesh.faces)]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2
    area = np.linalg.norm(across, axis=1)
    normals = across[area > 0] / area[area > 0][:, None]
    slopes = growth(normals, margins_between(ctv, ptv))
    return {letter: float((slope * area[area > 0]).sum()) / 1000 for letter, slope in slopes.items()}


def _share(model: Model, allowed: Allowed) -> float:
    few = [one.some(slice(POINTS)) for one in model.patients(POINTS)[:SETS]]
    return float(model.shares(allowed, STEP_MM, 0.0, few).mean())


def _by_margin(model: Model, allowed: Allowed, margins: Floats) -> dict[str, float]:
    slopes_by_axis = [np.gradient(allowed.depth_mm, DEPTH_STEP_MM, axis=axis) for axis in range(3)]
    gradient = np.stack(slopes_by_axis, axis=-1).reshape(-1, 3)
    length = np.linalg.norm(gradient, axis=1, keepdims=True)
    slopes = growth(gradient / np.maximum(length, 1e-9), margins)
    found = {}
    for letter, slope in slopes.items():
        more = MARGIN_MM * slope.reshape(allowed.depth_mm.shape)
        shares = [_share(model, replace(allowed, depth_mm=allowed.depth_mm + sign * more)) for sign in (1.0, -1.0)]
        found[letter] = (shares[1] - shares[0]) / (2 * MARGIN_MM)
    return found


def _by_errors(model: Model, allowed: Allowed) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    found: list[dict[str, dict[str, float]]] = []
    for field in ("systematic_mm", "random_mm"):
        slopes: dict[str, dict[str, float]] = {}
        for error in model.course.setup:
            for axis, letters in enumerate(AXES):
                if vector(getattr(error, field))[axis] > 0:
                    other = _with_error(model.course, error.name, field, axis)
                    step = SHARE * float(vector(getattr(error, field))[axis])
                    slopes.setdefault(error.name, {})[letters] = _difference(model, allowed, other, step)
        found.append(slopes)
    return found[0], found[1]


def _by_amplitude(model: Model, allowed: Allowed) -> float | None:
    breathing = model.course.breathing
    if breathing is None or model.sources.wave is None:
        return None
    wave = model.sources.wave

    def scaled(factor: float) -> Course:
        wider = replace(wave, amplitude_mm=vector(wave.amplitude_mm) * factor)
        return replace(model.course, breathing=replace(breathing, wave=wider))

    return _difference(model, allowed, scaled, SHARE * float(np.abs(wave.signed_mm).max()))


def _with_error(course: Course, name: str, field: str, axis: int) -> Callable[[float], Course]:
    def scaled(factor: float) -> Course:
        scale = np.ones(3)
        scale[axis] = factor
        setup = [
            replace(error, **_one(field, vector(getattr(error, field)) * scale)) if error.name == name else error
            for error in course.setup
        ]
        return replace(course, setup=setup)

    return scaled


def _one(field: str, value: Floats) -> dict[str, Any]:
    return {field: value}


def _difference(model: Model, allowed: Allowed, scaled: Callable[[float], Course], step: float) -> float:
    shares = [_share(model.with_course(scaled(factor)), allowed) for factor in (1 + SHARE, 1 - SHARE)]
    return (shares[0] - shares[1]) / (2 * step)
