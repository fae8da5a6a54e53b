"""Image guidance: what is measured before a fraction, when it is corrected, and what is left."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import MotionError
from ptvkit.motion.setup import SeenBy
from ptvkit.values import choice, number, triple, vector, whole

Floats = NDArray[np.float64]
Match = Literal["bone", "soft_tissue", "bone_then_soft_tissue"]
Mode = Literal["any_axis", "per_axis", "vector"]
MATCHES: Final = ("bone", "soft_tissue", "bone_then_soft_tissue")
SoftTissueSees = Literal["like_phase", "time_mean", "nothing"]
SOFT_TISSUE_SEES: Final = ("like_phase", "time_mean", "nothing")
MODES: Final = ("any_axis", "per_axis", "vector")
TIE_MM: Final = 1e-9
"""A measured error this little below the level counts as at it: 0.1 mm logs are not exact in binary."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageGuidance:
    """Matches before each fraction, and corrections of what they find.

    Parameters
    ----------
    match : {"bone", "soft_tissue", "bone_then_soft_tissue"}
        What is matched. In two stages the soft-tissue match acts on what the bone match left, with its own decision and
        its own matching error.
    action_level_mm : float
        A measured error of at least this is corrected; 0 corrects always.
    mode : {"any_axis", "per_axis", "vector"}
        ``any_axis``: when any direction reaches the level, all are corrected. ``per_axis``: each on its own.
        ``vector``: when the length of the error reaches it.
    matching_sd_mm, matching_systematic_mm : (3,) array or float
        SDs of the matching error, new in each fraction and the same for all of a patient's, in each stage.
    bone_matching_sd_mm, bone_matching_systematic_mm : (3,) array or float, optional
        Of a bone match, where it differs.
    couch_sd_mm : (3,) array or float
        SD of the error of a correction that is made.
    drift_sd_mm : (3,) array or float
        SD of what the patient has moved by the end of a fraction since the match; a straight line in time.
    soft_tissue_sees : {"like_phase", "time_mean", "nothing"}
        What a soft-tissue match sees of breathing. ``time_mean``: a cone-beam CT of free breathing shows the mean
        position of its day, so that the match also removes the planned phase's distance from the mean, and leaves the
        error of matching a blurred image. ``like_phase``: equal phases are compared, as with a 4D cone-beam CT: shifts
        of the baseline are seen, the distance of the planned phase stays. ``nothing``: neither is seen.
    blur_sd_mm : (3,) array or float
        SD of the matching error that blur adds in each fraction, with ``time_mean``.
    corrected_from : {"each", "nal"}
        ``each``: every fraction's own match. ``nal``: no action level off-line protocol: the mean of the first
        `nal_fractions` measured errors is corrected in all later fractions (de Boer & Heijmen 2001); one match only.
    nal_fractions : int

    Raises
    ------
    MotionError
        When a number is out of range, or a word unknown.

    Examples
    --------
    >>> protocol = ImageGuidance(match="bone_then_soft_tissue", action_level_mm=2.0, mode="any_axis")
    >>> protocol.correct([[1.9, 0, 0], [1.9, 0, -2.0]], np.random.default_rng(0))
    array([[1.9, 0. , 0. ],
           [0. , 0. , 0. ]])
    """

    match: Match = "bone_then_soft_tissue"
    action_level_mm: float = 0.0
    mode: Mode = "any_axis"
    matching_sd_mm: ArrayLike = 0.0
    matching_systematic_mm: ArrayLike = 0.0
    bone_matching_sd_mm: ArrayLike | None = None
    bone_matching_systematic_mm: ArrayLike | None = None
    couch_sd_mm: ArrayLike = 0.0
    drift_sd_mm: ArrayLike = 0.0
    soft_tissue_sees: SoftTissueSees = "like_phase"
    blur_sd_mm: ArrayLike = 0.0
    corrected_from: Literal["each", "nal"] = "each"
    nal_fractions: int = 3

    def __post_init__(self) -> None:
        choice("match", self.match, MATCHES)
        choice("mode", self.mode, MODES)
        choice("soft_tissue_sees", self.soft_tissue_sees, SOFT_TISSUE_SEES)
        choice("corrected_from", self.corrected_from, ("each", "nal"))
        level = number("action_level_mm", self.action_level_mm, least=0.0, most=100.0)
        object.__setattr__(self, "action_level_mm", level)
        for name in ("matching_sd_mm", "matching_systematic_mm", "couch_sd_mm", "drift_sd_mm", "blur_sd_mm"):
            object.__setattr__(self, name, triple(name, getattr(self, name)))
        for name in ("bone_matching_sd_mm", "bone_matching_systematic_mm"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, triple(name, getattr(self, name)))
        whole("nal_fractions", self.nal_fractions, least=1, most=1000)
        if self.corrected_from == "nal" and self.match == "bone_then_soft_tissue":
            raise MotionError("corrected_from 'nal': takes one match; use match='bone' or match='soft_tissue'")

    @property
    def stages(self) -> tuple["Stage", ...]:
        """The matches, in their order."""
        bone = Stage(
            "bone",
            vector(self.matching_sd_mm if self.bone_matching_sd_mm is None else self.bone_matching_sd_mm),
            vector(
                self.matching_systematic_mm
                if self.bone_matching_systematic_mm is None
                else self.bone_matching_systematic_mm
            ),
        )
        blur = vector(self.blur_sd_mm) if self.soft_tissue_sees == "time_mean" else 0.0
        soft = Stage("soft tissue", np.hypot(vector(self.matching_sd_mm), blur), vector(self.matching_systematic_mm))
        return {"bone": (bone,), "soft_tissue": (soft,), "bone_then_soft_tissue": (bone, soft)}[self.match]

    def without_errors(self) -> Self:
        """The same protocol, its matches and couch exact and nothing drifting."""
        return replace(
            self,
            matching_sd_mm=0.0,
            matching_systematic_mm=0.0,
            bone_matching_sd_mm=None,
            bone_matching_systematic_mm=None,
            couch_sd_mm=0.0,
            drift_sd_mm=0.0,
            blur_sd_mm=0.0,
        )

    def correct(self, errors_mm: ArrayLike, rng: np.random.Generator) -> Floats:
        """What one stage leaves of errors that it sees.

        Parameters
        ----------
        errors_mm : (..., 3) array
            The last axis but one counts a patient's fractions; two-dimensional errors are patients of one fraction.
        rng : numpy.random.Generator

        Returns
        -------
        (..., 3) array
            Residual errors, mm.
        """
        errors = np.asarray(errors_mm, float)
        if errors.ndim < 1 or errors.shape[-1] != 3:
            raise MotionError(f"errors_mm: needs (..., 3), found {errors.shape}")
        shaped = errors[..., None, :] if errors.ndim < 3 else errors
        stage = self.stages[-1]
        noise = _noise(self, stage, shaped.shape, rng)
        parts = _corrected([Part("error", "bone_and_soft_tissue", shaped)], self, stage, noise)
        left: Floats = np.sum([part.shift_mm for part in parts], axis=0).reshape(errors.shape)
        return left


class Stage(NamedTuple):
    """One match: what it looks at, and the SDs of its error."""

    name: Literal["bone", "soft tissue"]
    random_mm: Floats
    systematic_mm: Floats

    def sees(self, seen_by: SeenBy) -> bool:
        """Whether the match sees an error."""
        return seen_by == "bone_and_soft_tissue" or (seen_by == "soft_tissue" and self.name == "soft tissue")


@dataclass(frozen=True, slots=True)
class Part:
    """What one source adds to the displacement.

    Attributes
    ----------
    name : str
    seen_by : str
    shift_mm : (patients, fractions, 3) array
    grows : bool
        Whether it grows from 0 to this within the fraction, in a straight line.
    """

    name: str
    seen_by: SeenBy
    shift_mm: Floats
    grows: bool = field(default=False, kw_only=True)


class Noise(NamedTuple):
    """A stage's matching and couch errors, (patients, fractions, 3), mm."""

    matching: Floats
    couch: Floats


def guided(parts: Sequence[Part], guidance: ImageGuidance, rngs: Sequence[np.random.Generator]) -> list[Part]:
    """What guidance leaves of each part, and the parts that it adds; they add up to the displacement.

    Parameters
    ----------
    parts : sequence of Part
    guidance : ImageGuidance
    rngs : sequence of Generator
        One for each of two stages, one for the drift.
    """
    found = list(parts)
    shape = found[0].shift_mm.shape
    for stage, rng in zip(guidance.stages, rngs[2 - len(guidance.stages) :], strict=False):
        found = _corrected(found, guidance, stage, _noise(guidance, stage, shape, rng))
    drift = rngs[2].standard_normal(shape) * vector(guidance.drift_sd_mm)
    return [*found, Part("drift after the match", "nothing", drift, grows=True)]


def _noise(guidance: ImageGuidance, stage: Stage, shape: tuple[int, ...], rng: np.random.Generator) -> Noise:
    constant = rng.standard_normal((*shape[:-2], 1, 3)) * stage.systematic_mm
    normals = rng.standard_normal((*shape[:-1], 2, 3))
    return Noise(constant + normals[..., 0, :] * stage.random_mm, normals[..., 1, :] * vector(guidance.couch_sd_mm))


def _corrected(parts: Sequence[Part], guidance: ImageGuidance, stage: Stage, noise: Noise) -> list[Part]:
    """One stage: every part that is seen loses what is corrected; the correction brings its own errors."""
    seen = [part for part in parts if stage.sees(part.seen_by) and not part.grows]
    shape = noise.matching.shape
    total = np.sum([part.shift_mm for part in seen], axis=0) if seen else np.zeros(shape)

    def found(errors: Floats) -> Floats:
        """What the protocol knows of errors when it corrects."""
        if guidance.corrected_from == "each":
            return errors
        return np.broadcast_to(errors[..., : guidance.nal_fractions, :].mean(axis=-2, keepdims=True), shape)

    acts = _reaches(found(total + noise.matching), guidance.action_level_mm, guidance.mode)
    if guidance.corrected_from == "nal":
        acts = acts & (np.arange(shape[-2]) >= guidance.nal_fractions)[:, None]
    left = [
        replace(part, shift_mm=part.shift_mm - np.where(acts, found(part.shift_mm), 0.0)) if part in seen else part
        for part in parts
    ]
    matching = np.where(acts, -found(noise.matching), 0.0)
    couch = np.where(acts, noise.couch, 0.0)
    return [
        *left,
        Part(f"{stage.name} match", "bone_and_soft_tissue", matching),
        Part(f"couch after the {stage.name} match", "bone_and_soft_tissue", couch),
    ]


def _reaches(measured: Floats, level: float, mode: Mode) -> NDArray[np.bool_]:
    """Where a measured error (..., 3) is corrected."""
    if mode == "vector":
        return np.broadcast_to(np.linalg.norm(measured, axis=-1, keepdims=True) >= level - TIE_MM, measured.shape)
    reached = np.abs(measured) >= level - TIE_MM
    return reached if mode == "per_axis" else np.broadcast_to(reached.any(axis=-1, keepdims=True), measured.shape)
