"""A recipe held against a simulation: what its margin gives on one target."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from ptvkit.dose.conformal import conformal_dose
from ptvkit.dose.simulate import simulate_dose
from ptvkit.margins.expand import expand
from ptvkit.margins.margin import Margin
from ptvkit.motion.course import Course, Seed
from ptvkit.motion.coverage import Structure, filled
from ptvkit.motion.estimate import Estimate
from ptvkit.motion.setup import SetupError
from ptvkit.motion.simulate import Progress

PRESCRIPTION_GY: Final = 1.0
"""Any: the check is of shares of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeCheck:
    """What a recipe's margin gives on a target.

    Attributes
    ----------
    recipe : str
    margin : Margin
    promised : float
        Share of patients that the recipe aims at.
    found : Estimate
        Share of simulated patients whose minimum dose reaches the level.
    level : float
        Share of the prescription.
    diameter_mm : float
        Of a ball with the target's volume.
    fractions, patients : int
    """

    recipe: str
    margin: Margin
    promised: float
    found: Estimate
    level: float
    diameter_mm: float
    fractions: int
    patients: int

    def sentence(self) -> str:
        """The answer in words."""
        found = self.found
        many = f"{self.fractions} fraction{'s' if self.fractions > 1 else ''}"
        return (
            f"{self.recipe} promises {self.promised:.0%}; this {self.diameter_mm:.0f} mm target with {many} gets"
            f" {found.value:.0%} ({100 * found.low:.0f}–{100 * found.high:.0f}) of patients to a minimum dose of"
            f" {self.level:.0%}"
        )


def check_recipe(
    recipe: str,
    margin_mm: ArrayLike,
    ctv: Structure,
    *,
    systematic_mm: ArrayLike,
    random_mm: ArrayLike,
    penumbra_mm: ArrayLike = 3.2,
    fractions: int = 30,
    population: float = 0.90,
    level: float = 0.95,
    patients: int = 2000,
    seed: Seed = 0,
    progress: Progress | None = None,
) -> RecipeCheck:
    """Simulate a recipe's margin on a target: its dose conforms to the grown target, `level` on the surface.

    Parameters
    ----------
    recipe : str
        What the answer calls it.
    margin_mm : float or (3,)
        The recipe's, (LR, AP, SI).
    ctv : Mask or Region
    systematic_mm, random_mm, penumbra_mm : float or (3,)
        What displaces the target, and the penumbra of the dose.
    fractions : int
    population, level : float
        What the recipe promises: this share of patients gets at least this share of the dose everywhere.
    patients : int
    seed : int or Generator
    progress : callable, optional

    Raises
    ------
    MaskError, MarginError, DoseError, MotionError
        When an input cannot be used.

    Examples
    --------
    >>> from ptvkit import phantom, recipes
    >>> errors = {"systematic_mm": 2, "random_mm": 3}
    >>> lesion = phantom.region("lesion_3")
    >>> check = check_recipe("van-herk", recipes.van_herk(**errors), lesion, **errors, fractions=5, patients=200)
    >>> check.found < 0.9
    True
    """
    target = filled(ctv)
    sides = np.broadcast_to(np.asarray(margin_mm, float), (3,)).tolist()
    margin = Margin.from_letters({letter: sides[n // 2] for n, letter in enumerate("RLAPSI")})
    dose = conformal_dose(expand(target, margin), PRESCRIPTION_GY, penumbra_mm, level)
    course = Course(setup=[SetupError(systematic_mm=systematic_mm, random_mm=random_mm)], fractions=fractions)
    result = simulate_dose(dose, target, course, patients=patients, seed=seed, progress=progress)
    return RecipeCheck(
        recipe=recipe,
        margin=margin,
        promised=population,
        found=result.probability("dmin_gy", at_least=level * PRESCRIPTION_GY),
        level=level,
        diameter_mm=float(2 * (3 * 1000 * target.volume_cc / (4 * np.pi)) ** (1 / 3)),
        fractions=course.fractions,
        patients=result.patients,
    )
