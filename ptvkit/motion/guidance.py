"""Image guidance: what is measured before a fraction, when it is corrected, and what is left."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptvkit.errors import MotionError
from ptvkit.motion.protocols import MODES, PROTOCOLS, CorrectedFrom, Corrections, Mode, corrections
from ptvkit.motion.setup import SeenBy
from ptvkit.values import choice, number, triple, vector, whole

Floats = NDArray[np.float64]
Match = Literal["bone", "soft_tissue", "bone_then_soft_tissue"]
MATCHES: Final = ("bone", "soft_tissue", "bone_then_soft_tissue")
SoftTissueSees = Literal["like_phase", "time_mean", "nothing"]
SOFT_TISSUE_SEES: Final = ("like_phase", "time_mean", "nothing")


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
    corrected_from : {"each", "nal", "enal", "sal", "posterior"}
        ``each``: every fraction's own match. The others correct from earlier fractions, and take one match only.
        ``nal``: the mean of the first `nal_fractions` measured errors is corrected in all later fractions (de Boer &
        Heijmen 2001). ``enal``: a line through these and a follow-up every `image_every` fractions, extrapolated (de
        Boer & Heijmen 2007). ``sal``: the shrinking action level: the mean of N errors since the last correction is
        corrected when it reaches `action_level_mm` / √N, until `nal_fractions` in a row need none (Bel 1993).
        ``posterior``: the posterior mean of offset and trend from the priors, imaged as ``enal``.
    nal_fractions : int
    image_every : int
        1 takes an image in each fraction.
    prior_systematic_mm, prior_random_mm, prior_trend_mm : (3,) array or float
        SDs of the offset, of the measured errors about it, and of the trend in each fraction, of ``posterior``.

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
    corrected_from: CorrectedFrom = "each"
    nal_fractions: int = 3
    image_every: int = 5
    prior_systematic_mm: ArrayLike = 0.0
    prior_random_mm: ArrayLike = 0.0
    prior_trend_mm: ArrayLike = 0.0

    def __post_init__(self) -> None:
        choice("match", self.match, MATCHES)
        choice("mode", self.mode, MODES)
        choice("soft_tissue_sees", self.soft_tissue_sees, SOFT_TISSUE_SEES)
        choice("corrected_from", self.corrected_from, PROTOCOLS)
        level = number("action_level_mm", self.action_level_mm, least=0.0, most=100.0)
        object.__setattr__(self, "action_level_mm", level)
        lengths = ("matching_sd_mm", "matching_systematic_mm", "couch_sd_mm", "drift_sd_mm", "blur_sd_mm")
        for name in (*lengths, "prior_systematic_mm", "prior_random_mm", "prior_trend_mm"):
            object.__setattr__(self, name, triple(name, getattr(self, name)))
        for name in ("bone_matching_sd_mm", "bone_matching_systematic_mm"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, triple(name, getattr(self, name)))
        whole("nal_fractions", self.nal_fractions, least=1, most=1000)
        whole("image_every", self.image_every, least=1, most=1000)
        if self.corrected_from != "each" and self.match == "bone_then_soft_tissue":
            raise MotionError(
                f"corrected_from {self.corrected_from!r}: takes one match; use match='bone' or match='soft_tissue'"
            )
        if self.corrected_from == "posterior" and not np.any(vector(self.prior_systematic_mm)):
            raise MotionError("corrected_from 'posterior': needs prior_systematic_mm and prior_random_mm")

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
        soft = Stage("soft_tissue", np.hypot(vector(self.matching_sd_mm), blur), vector(self.matching_systematic_mm))
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
        parts, _ = _corrected([Part("error", "bone_and_soft_tissue", shaped)], self, stage, noise)
        left: Floats = np.sum([part.shift_mm for part in parts], axis=0).reshape(errors.shape)
        return left


class Stage(NamedTuple):
    """One match: what it looks at, and the SDs of its error."""

    match: Literal["bone", "soft_tissue"]
    random_mm: Floats
    systematic_mm: Floats

    @property
    def name(self) -> str:
        """In words."""
        return self.match.replace("_", " ")


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


def sees(match: Literal["bone", "soft_tissue"], seen_by: SeenBy) -> bool:
    """Whether a match to bone or to soft tissue sees what is seen by these."""
    return seen_by == "bone_and_soft_tissue" or (seen_by == "soft_tissue" and match == "soft_tissue")


class Noise(NamedTuple):
    """A stage's matching and couch errors, (patients, fractions, 3), mm."""

    matching: Floats
    couch: Floats


class Workload(NamedTuple):
    """Images that were matched and corrections that were decided, (patients, fractions)."""

    images: NDArray[np.int64]
    corrections: NDArray[np.int64]


def guided(
    parts: Sequence[Part], guidance: ImageGuidance, rngs: Sequence[np.random.Generator]
) -> tuple[list[Part], Workload]:
    """What guidance leaves of each part, and the parts that it adds; they add up to the displacement.

    Two stages match one image.

    Parameters
    ----------
    parts : sequence of Part
    guidance : ImageGuidance
    rngs : sequence of Generator
        One for each of two stages, one for the drift.
    """
    found = list(parts)
    shape = found[0].shift_mm.shape
    images, decided = np.zeros(shape[:2], bool), np.zeros(shape[:2], np.int64)
    for stage, rng in zip(guidance.stages, rngs[2 - len(guidance.stages) :], strict=False):
        found, made = _corrected(found, guidance, stage, _noise(guidance, stage, shape, rng))
        images, decided = images | made.images, decided + made.decisions
    drift = rngs[2].standard_normal(shape) * vector(guidance.drift_sd_mm)
    left = [*found, Part("drift after the match", "nothing", drift, grows=True)]
    return left, Workload(images.astype(np.int64), decided)


def _noise(guidance: ImageGuidance, stage: Stage, shape: tuple[int, ...], rng: np.random.Generator) -> Noise:
    constant = rng.standard_normal((*shape[:-2], 1, 3)) * stage.systematic_mm
    normals = rng.standard_normal((*shape[:-1], 2, 3))
    return Noise(constant + normals[..., 0, :] * stage.random_mm, normals[..., 1, :] * vector(guidance.couch_sd_mm))


def _corrected(
    parts: Sequence[Part], guidance: ImageGuidance, stage: Stage, noise: Noise
) -> tuple[list[Part], Corrections]:
    """One stage: every part that is seen loses what is corrected; the correction brings its own errors."""
    seen = [part for part in parts if sees(stage.match, part.seen_by) and not part.grows]
    made = corrections(np.stack([*(part.shift_mm for part in seen), noise.matching]), guidance)
    taken = {id(part): own for part, own in zip(seen, made.taken_mm, strict=False)}
    left = [replace(part, shift_mm=part.shift_mm - taken[id(part)]) if id(part) in taken else part for part in parts]
    found = [
        *left,
        Part(f"{stage.name} match", "bone_and_soft_tissue", -made.taken_mm[-1]),
        Part(f"couch after the {stage.name} match", "bone_and_soft_tissue", np.where(made.acts, noise.couch, 0.0)),
    ]
    return found, made
