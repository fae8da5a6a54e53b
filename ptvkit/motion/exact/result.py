"""Coverage without drawn patients, in the type of the sampled result."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from ptvkit.display import line
from ptvkit.errors import MotionError
from ptvkit.motion.estimate import Estimate
from ptvkit.motion.exact.derivatives import Derivatives, derivatives_of, margins_between
from ptvkit.motion.exact.model import Answer, Model, Progress
from ptvkit.motion.result import NOTE, CoverageResult
from ptvkit.values import number

HEADINGS: Final = ("", "cc", "contained", "within 2 mm", "loss", "time out")
PER_PATIENT: Final = ("coverage", "miss_mm", "side", "time_out")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExactCoverage(CoverageResult):
    """Coverage of a target over a course, without drawn patients; `simulate_coverage` with ``method="exact"`` makes it.

    It has no figures of single patients: asking for ``coverage``, ``miss_mm``, ``side``, ``time_out`` or what follows
    from them is refused. Intervals hold the standard error of what was integrated over Sobol points.

    Attributes
    ----------
    name : str
    volume_cc : float
    model : Model
    number : int or None
        Of the lesion, from 0; None for the whole target.
    """

    coverage: NDArray[np.float64] = field(init=False, repr=False)
    miss_mm: NDArray[np.float64] = field(init=False, repr=False)
    side: NDArray[np.int8] = field(init=False, repr=False)
    time_out: NDArray[np.float64] = field(init=False, repr=False)
    model: Model
    number: int | None = None

    def __post_init__(self) -> None:
        """Nothing is kept of single patients."""

    def __getattr__(self, name: str) -> NoReturn:
        if name in PER_PATIENT:
            _refuse(name)
        raise AttributeError(name)

    def __repr__(self) -> str:
        return line(self, self.name, f"exact, {self.fractions} fractions", f"contained {self.contained():.4f}")

    @property
    def method(self) -> Literal["exact"]:
        """How it was worked out."""
        return "exact"

    @property
    def patients(self) -> int:
        """None are drawn."""
        return 0

    @property
    def fractions(self) -> int:
        """Of each course."""
        return self.model.course.fractions

    @property
    def answer(self) -> Answer:
        """Share contained: its standard error, the lattice's step and what the last refinement changed."""
        return self.model.contained(self.number)

    @property
    def standard_error(self) -> float:
        """Of the share contained, from independent scrambles of the Sobol points; 0 where none were needed."""
        return self.answer.standard_error

    def contained(self, tolerance_mm: float = 0.0) -> Estimate:
        """Share of patients whose target never leaves the PTV by more than a depth, with its 95 % interval."""
        depth = number("tolerance_mm", tolerance_mm, least=0.0, most=1e3)
        return self.answer.estimate if depth == 0 else self.model.contained(self.number, depth).estimate

    def probability(self, level: float) -> Estimate:
        """Refused: it needs patients one by one."""
        _refuse("probability")

    @property
    def coverage_loss(self) -> Estimate:
        """Population mean of 1 − coverage."""
        return self._means()[0]

    @property
    def mean_time_out(self) -> Estimate:
        """Population mean of the share of time in which some of the target is outside."""
        return self._means()[1]

    def _means(self) -> tuple[Estimate, Estimate]:
        return self.model.moments[0 if self.number is None else self.number + 1]

    @property
    def deepest_mm(self) -> NDArray[np.float64]:
        """Refused: it needs patients one by one."""
        _refuse("deepest_mm")

    @property
    def sides(self) -> dict[str, Estimate]:
        """Refused: it needs patients one by one."""
        _refuse("sides")

    def miss_quantile(self, level: float) -> float:
        """Deepest miss that this share of the patients stays within, mm."""
        share = number("level", level, least=0.0, most=1.0)
        if self.answer.value >= share:
            return 0.0
        most = 1.0
        while self.model.contained(self.number, most).value < share:
            most *= 2
            if most > 64:
                raise MotionError(f'level: {share:g} needs misses of over 64 mm; use method="sampled"')
        return float(
            optimize.brentq(lambda depth: self.contained(depth) - share, most / 2 if most > 1 else 0.0, most, xtol=0.01)
        )

    def derivatives(self) -> Derivatives:
        """What a millimetre of margin, of each error and of breathing changes in the share contained.

        Examples
        --------
        >>> from ptvkit import Course, Margin, SetupError, expand, phantom, simulate_coverage
        >>> ctv = phantom.region("lesion_3")
        >>> course = Course(setup=[SetupError(systematic_mm=(1, 1, 3))])
        >>> result = simulate_coverage(ctv, expand(ctv, Margin.uniform(5)), course, method="exact")
        >>> slopes = result.derivatives().margin
        >>> slopes["S"] > 3 * slopes["R"] > 0
        True
        """
        model = self.model
        allowed = model.allowed(self.number, room_mm=2.0)
        return derivatives_of(model, allowed, margins_between(model.ctv, model.ptv))

    def table(self) -> list[tuple[str, ...]]:
        """Headings, a line for the target and one for each lesion where there are several."""
        shown = (self, *self.lesions) if len(self.lesions) > 1 else (self,)
        return [HEADINGS, *(result._row() for result in shown)]

    def summary(self) -> str:
        """The table as text."""
        return "\n".join([*_aligned(self.table()), self.method_note(), NOTE])

    def method_note(self) -> str:
        """How the figures were worked out, in one line."""
        answer = self.answer
        drawn = f"{answer.points} Sobol points in each of 8 scrambles" if answer.points > 1 else "nothing is drawn"
        return (
            f"exact, {self.fractions} fractions: {drawn}, standard error {answer.standard_error:.1g};"
            f" lattice {answer.step_mm:g} mm, the last refinement changed the share by {answer.changed:.1g}"
        )

    def _row(self) -> tuple[str, ...]:
        loss, out = self._means()
        return (
            self.name,
            f"{self.volume_cc:.1f}",
            f"{self.contained():.4f}",
            f"{self.contained(2.0):.4f}",
            f"{100 * loss.value:.3f} %",
            f"{out.value:.4f}",
        )

    def __reduce__(self) -> tuple[Any, ...]:
        kept = {
            name: getattr(self, name) for name in ("name", "volume_cc", "model", "number", "lesions", "samples", "seed")
        }
        return _restored, (kept,)


def exact_coverage(model: Model, progress: Progress | None = None) -> ExactCoverage:
    """The result of a model: of the target, and of each lesion where there are several."""
    named = [f"lesion {number_}" for number_ in range(1, len(model.parts) + 1)] if len(model.parts) > 1 else []
    lesions = tuple(
        _of(model, name, part.volume_cc, index)
        for index, (name, part) in enumerate(zip(named, model.parts, strict=False))
    )
    model.contained(progress=progress)
    whole = _of(model, "CTV", sum(part.volume_cc for part in model.parts), None)
    return replace(whole, lesions=lesions or (whole,))


def _of(model: Model, name: str, volume_cc: float, lesion: int | None) -> ExactCoverage:
    return ExactCoverage(name=name, volume_cc=volume_cc, model=model, number=lesion, samples=0, seed=model.seed)


def _restored(values: dict[str, Any]) -> ExactCoverage:
    return ExactCoverage(**values)


def _aligned(rows: list[tuple[str, ...]]) -> Iterable[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _refuse(name: str) -> NoReturn:
    raise MotionError(f'{name}: method "exact" draws no single patients; use method="sampled"')
