"""The patients of a quadrature: what they keep for the whole course, from scrambled Sobol points."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.stats import qmc

from ptvkit.motion.breathing import Breathing
from ptvkit.motion.exact.breaths import fixed_share, snapshot_height
from ptvkit.motion.exact.matched import Patients
from ptvkit.motion.exact.sources import Sources
from ptvkit.values import is_snapshot

Floats = NDArray[np.float64]

SCRAMBLES: Final = 8
"""Independent scrambles, whose spread is the standard error."""


def dimensions(sources: Sources, breathing: Breathing | None) -> dict[str, tuple[int, ...]]:
    """The axes of what is random over patients and cannot be put on the lattice, by name."""
    found: dict[str, tuple[int, ...]] = {}
    if sources.stages:
        for number, stage in reversed(list(enumerate(sources.stages))):
            found[f"matching {number}"] = _axes(stage.systematic_mm)
        found["second"], found["first"] = _axes(sources.second.systematic), _axes(sources.first.systematic)
    if sources.wave is not None and breathing is not None:
        if sources.wave.is_population:
            found["amplitude"] = (0, 1, 2, 3)
        day = bool(breathing.variation.amplitude_between_mm)
        if sources.reference != "removed" and not reference_on_lattice(sources):
            snapshot = is_snapshot(breathing.reference)
            found["phase"] = (0,) if snapshot else ()
            found["height"] = tuple(a for a, there in enumerate((day, snapshot)) if there)
    return {name: axes for name, axes in found.items() if axes}


def reference_on_lattice(sources: Sources) -> bool:
    """Whether the planned phase is a line of shifts that all patients share."""
    return sources.wave is not None and sources.reference == "unseen" and not sources.wave.is_population


def patients_of(sources: Sources, breathing: Breathing | None, count: int, seed: int) -> list[Patients]:
    """`SCRAMBLES` independent sets of `count` patients (a power of 2); one of one when nothing is left to them."""
    there = dimensions(sources, breathing)
    size = sum(map(len, there.values()))
    if not size:
        return [_patients(sources, breathing, {}, 1)]
    found = []
    for scramble in range(SCRAMBLES):
        points = qmc.Sobol(size, rng=np.random.default_rng([seed, 77, scramble])).random(count)
        points = np.clip(points, 1e-12, 1 - 1e-12)
        columns = np.split(points, np.cumsum([len(axes) for axes in there.values()])[:-1], axis=1)
        drawn = {}
        for (name, axes), values in zip(there.items(), columns, strict=True):
            drawn[name] = np.full((count, 4), 0.5)
            drawn[name][:, list(axes)] = values
        found.append(_patients(sources, breathing, drawn, count))
    return found


def _patients(sources: Sources, breathing: Breathing | None, drawn: dict[str, Floats], count: int) -> Patients:
    middle = np.full((count, 4), 0.5)

    def normals(name: str) -> Floats:
        found: Floats = special.ndtri(drawn.get(name, middle))
        return found

    first = sources.first.mean + normals("first")[:, :3] * sources.first.systematic
    second = sources.second.mean + normals("second")[:, :3] * sources.second.systematic
    matching = tuple(
        normals(f"matching {number}")[:, :3] * stage.systematic_mm for number, stage in enumerate(sources.stages)
    )
    shift = np.tile(sources.unseen.mean, (count, 1))
    amplitude = None
    if sources.wave is not None and breathing is not None:
        signed = np.broadcast_to(sources.wave.signed_mm, (count, 3))
        if sources.wave.is_population:
            amplitude = signed = sources.wave._amplitudes(normals("amplitude"))
        offset = _offset(sources, breathing, signed, drawn.get("phase", middle)[:, 0], normals("height"))
        group = {"first": first, "second": second, "unseen": shift}.get(sources.reference)
        if group is not None:
            group += offset
    return Patients(first, second, matching, shift, amplitude)


def _offset(sources: Sources, breathing: Breathing, signed: Floats, phase: Floats, normals: Floats) -> Floats:
    """Time mean less the planned position (N, 3); without what is put on the lattice."""
    assert sources.wave is not None, "only where something breathes"
    fixed = 0.0 if isinstance(breathing.reference, str) else np.asarray(breathing.reference, float)
    if reference_on_lattice(sources):
        return np.tile(signed[0] * sources.wave.mean_share - fixed, (len(signed), 1))
    if isinstance(breathing.reference, str):
        height = snapshot_height(breathing, phase, normals)
    else:
        height = np.full(len(signed), fixed_share(sources.wave, breathing.reference))
    found: Floats = signed * (sources.wave.mean_share - height[:, None]) - fixed
    return found


def _axes(sd: Floats) -> tuple[int, ...]:
    return tuple(int(axis) for axis in np.flatnonzero(sd))
