"""Everything that one simulation tells: coverage, costs, residual errors, maps, and one patient's course."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.analysis.cost_split import coverage_split
from ptvkit.dose.dose import Dose
from ptvkit.dose.result import DoseResult
from ptvkit.dose.simulate import simulate_dose
from ptvkit.motion.cost import Cost
from ptvkit.motion.course import BLOCK, Course, Seed, draw_block, root
from ptvkit.motion.coverage import Prepared, Structure, filled, prepare
from ptvkit.motion.drawn import Drawn
from ptvkit.motion.exact.derivatives import Derivatives
from ptvkit.motion.exact.result import ExactCoverage
from ptvkit.motion.maps import ProbabilityMaps, probability_maps
from ptvkit.motion.residuals import Residual, residual_errors
from ptvkit.motion.result import CoverageResult
from ptvkit.motion.simulate import Progress, simulate_coverage

SPLIT_PATIENTS: Final = 500
MAP_PATIENTS: Final = 300
PICTURED_TIMES: Final = 600

Stage = Callable[[str], AbstractContextManager[Progress | None]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Simulation:
    """What a simulation found.

    Attributes
    ----------
    result : CoverageResult
    costs : tuple of Cost
    residuals : tuple of Residual
    maps : ProbabilityMaps, optional
        With this and the next three, only where patients are drawn.
    pictured : int
        Number of a patient, from 0: one in ten misses deeper.
    course : Drawn, optional
        That patient's displacements.
    depth_mm : (fractions, samples) array, optional
        Their reach outside the PTV; negative inside.
    slopes : Derivatives, optional
        Of the exact method.
    dose : Dose, optional
    dosed : DoseResult, optional
        What of it the target got; the same patients.
    """

    result: CoverageResult
    costs: tuple[Cost, ...]
    residuals: tuple[Residual, ...]
    maps: ProbabilityMaps | None = None
    pictured: int = 0
    course: Drawn | None = None
    depth_mm: NDArray[np.float64] | None = None
    slopes: Derivatives | None = None
    dose: Dose | None = None
    dosed: DoseResult | None = None


def simulate_all(
    ctv: Structure,
    ptv: Structure,
    course: Course,
    stage: Stage = lambda _: nullcontext(),
    *,
    patients: int = 1000,
    seed: Seed = 0,
    samples: int | None = None,
    precision: float | None = None,
    dose: Dose | None = None,
) -> Simulation:
    """Simulate a course on a target: coverage, what each error costs, what guidance leaves of it, where the target is.

    Parameters
    ----------
    ctv, ptv : Mask or Region
    course : Course
    stage : callable
        Opens a context for each part of the work, which gives a progress callback or None.
    patients, seed, samples, precision
        As in `simulate_coverage`.
    dose : Dose, optional
        To be accumulated too.
    """
    start = root(seed)
    ctv, ptv = filled(ctv), filled(ptv)  # once for all that follows
    with stage("courses") as tell:
        ready = prepare(ctv, ptv, course, seed=start)
        result = simulate_coverage(
            ctv,
            ptv,
            course,
            patients=patients,
            seed=start,
            samples=samples,
            precision=precision,
            progress=tell,
            prepared=ready,
        )
    dosed = None
    if dose is not None:
        with stage("dose") as tell:
            dosed = simulate_dose(
                dose, ctv, course, patients=result.patients, seed=start, samples=samples, progress=tell
            )
    few = min(patients, SPLIT_PATIENTS)
    with stage("what each error costs") as tell:
        costs = coverage_split(
            ctv, ptv, course, patients=few, seed=start, samples=samples, progress=tell, prepared=ready
        )
    maps = probability_maps(ctv, ptv, course, patients=min(patients, MAP_PATIENTS), seed=start, samples=samples)
    pictured = int(np.argsort(result.deepest_mm, kind="stable")[result.patients * 9 // 10])
    drawn, depth = _course_of(ready, course, pictured, result.seed)
    return Simulation(
        result=result,
        costs=costs,
        residuals=residual_errors(course, seed=start),
        maps=maps,
        pictured=pictured,
        course=drawn,
        depth_mm=depth,
        dose=dose,
        dosed=dosed,
    )


def simulate_exactly(
    ctv: Structure,
    ptv: Structure,
    course: Course,
    stage: Stage = lambda _: nullcontext(),
    *,
    seed: Seed = 0,
    precision: float | None = None,
) -> Simulation:
    """Coverage of a course without drawn patients, its derivatives, and what guidance leaves of each error.

    Parameters
    ----------
    ctv, ptv, course, stage
        As in `simulate_all`.
    seed, precision
        As in `simulate_coverage`.
    """
    start = root(seed)
    with stage("courses") as tell:
        result = simulate_coverage(ctv, ptv, course, seed=start, precision=precision, progress=tell, method="exact")
    assert isinstance(result, ExactCoverage), "as the method says"
    with stage("derivatives"):
        slopes = result.derivatives()
    return Simulation(result=result, costs=(), residuals=residual_errors(course, seed=start), slopes=slopes)


def _course_of(ready: Prepared, course: Course, patient: int, seed: int) -> tuple[Drawn, NDArray[np.float64]]:
    """One patient's displacements at many times, and their reach outside the PTV."""
    block, place = divmod(patient, BLOCK)
    times = PICTURED_TIMES if course.grows else 2
    drawn = draw_block(course, block, BLOCK, seed, times, ready.centre_mm).of_patient(place)
    # each pose worked out: tables do not tell how far inside
    every = np.ones(drawn.shifts_mm.shape[:2], bool)
    depth = np.max([figures.depth_mm for figures in ready.figures(drawn, every, exact=True)], axis=0)
    return drawn, depth
