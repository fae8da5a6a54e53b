"""Several targets of one patient under one course: errors that they share, turned about one isocentre."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ptvkit.errors import MotionError
from ptvkit.motion.course import Course, Seed, root
from ptvkit.motion.coverage import Structure
from ptvkit.motion.estimate import Estimate, share
from ptvkit.motion.result import CoverageResult
from ptvkit.motion.simulate import simulate_coverage
from ptvkit.values import number, triple


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeveralTargets:
    """Targets that were simulated on the same patients.

    Attributes
    ----------
    targets : tuple of CoverageResult
        In the order of the pairs.
    isocentre_mm : (3,) tuple
        About which errors turn that name no pivot.
    """

    targets: tuple[CoverageResult, ...]
    isocentre_mm: tuple[float, float, float]

    @property
    def joint_contained(self) -> Estimate:
        """Share of patients of whom no target ever leaves its PTV, with Wilson's 95 % interval."""
        return self.contained()

    def contained(self, tolerance_mm: float = 0.0) -> Estimate:
        """Share of patients of whom no target ever leaves its PTV by more than a depth."""
        depth = number("tolerance_mm", tolerance_mm, least=0.0, most=1e3)
        deepest = np.max([target.deepest_mm for target in self.targets], axis=0)
        return share(int((deepest <= depth).sum()), len(deepest))


def simulate_targets(
    pairs: Sequence[tuple[Structure, Structure]],
    course: Course,
    *,
    isocentre_mm: Sequence[float] = (0.0, 0.0, 0.0),
    patients: int = 1000,
    seed: Seed = 0,
    samples: int | None = None,
) -> SeveralTargets:
    """Simulate the coverage of several targets that are treated at once, on the same patients.

    The errors of a fraction are those of the patient: all targets share them. A rotation displaces a target by its
    distance from the isocentre, so that targets far away need more, and miss together less often than if each had
    errors of its own.

    Parameters
    ----------
    pairs : sequence of (CTV, PTV)
        Masks or regions, in one patient frame.
    course : Course
    isocentre_mm : (3,)
        Patient point, RAS+ mm, about which errors turn that have no `pivot_mm` of their own.
    patients : int
    seed : int or Generator
    samples : int, optional
        Times within each fraction, as in `simulate_coverage`.

    Returns
    -------
    SeveralTargets

    Raises
    ------
    MotionError
        When there is no pair, or a target cannot be simulated.

    Examples
    --------
    >>> from ptvkit import SetupError, expand, phantom
    >>> ctvs = [phantom.region(name) for name in ("lesion_2", "lesion_3")]
    >>> course = Course(setup=[SetupError(systematic_mm=2, systematic_deg=1)])
    >>> both = simulate_targets([(ctv, expand(ctv, 5)) for ctv in ctvs], course, patients=100, seed=1)
    >>> both.joint_contained <= min(target.contained() for target in both.targets)
    True
    """
    if not all(isinstance(pair, Sequence) and len(pair) == 2 for pair in pairs):
        raise MotionError("pairs: give pairs of CTV and PTV")
    if not pairs:
        raise MotionError("pairs: there is no target; give pairs of CTV and PTV")
    pivot = triple("isocentre_mm", isocentre_mm, least=-1e4, most=1e4)
    setup = [
        replace(error, pivot_mm=pivot) if error.turns and error.pivot_mm is None else error for error in course.setup
    ]
    turned, start = replace(course, setup=setup), root(seed)
    targets = tuple(
        simulate_coverage(ctv, ptv, turned, patients=patients, seed=start, samples=samples) for ctv, ptv in pairs
    )
    x, y, z = pivot.tolist()
    return SeveralTargets(targets=targets, isocentre_mm=(x, y, z))
