"""Correction protocols: when a set-up is imaged, and what is corrected from the images so far."""

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ptvkit.values import vector

if TYPE_CHECKING:
    from ptvkit.motion.guidance import ImageGuidance

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Mode = Literal["any_axis", "per_axis", "vector"]
CorrectedFrom = Literal["each", "nal", "enal", "sal", "posterior"]
PROTOCOLS: Final = ("each", "nal", "enal", "sal", "posterior")
MODES: Final = ("any_axis", "per_axis", "vector")
TIE_MM: Final = 1e-9
"""A measured error this little below the level counts as at it: 0.1 mm logs are not exact in binary."""


class Corrections(NamedTuple):
    """What a protocol corrects; Q sources, P patients, F fractions.

    Attributes
    ----------
    taken_mm : (Q, P, F, 3)
        What the correction takes off each source.
    acts : (P, F, 3) bool
        Where a correction is in force.
    images, decisions : (P, F) bool
        Fractions with an image, and those whose correction is new.
    """

    taken_mm: Floats
    acts: Bools
    images: Bools
    decisions: Bools


def corrections(sources_mm: Floats, guidance: "ImageGuidance") -> Corrections:
    """What a protocol corrects of errors that come from several sources, the matching error among them.

    Corrections are linear in what was measured, so that each source loses its own share.

    Parameters
    ----------
    sources_mm : (Q, P, F, 3) array
        What each source adds to the measured error.
    guidance : ImageGuidance
    """
    if guidance.corrected_from == "sal":
        return _shrinking_level(sources_mm, guidance)
    fractions = sources_mm.shape[2]
    if guidance.corrected_from == "each":
        acts = reaches(sources_mm.sum(axis=0), guidance.action_level_mm, guidance.mode)
        every, decides = np.ones(acts.shape[:2], bool), np.asarray(acts.any(axis=2))
        return Corrections(np.where(acts, sources_mm, 0.0), acts, every, decides)
    weights = protocol_weights(guidance, fractions)
    known = np.einsum("fgx,qpgx->qpfx", weights, sources_mm, optimize=True)
    knows: Bools = np.any(weights, axis=(1, 2))
    acts = reaches(known.sum(axis=0), guidance.action_level_mm, guidance.mode) & knows[:, None]
    is_new = knows & np.r_[True, (weights[1:] != weights[:-1]).any(axis=(1, 2))]
    images = np.broadcast_to(imaged(guidance, fractions), acts.shape[:2])
    return Corrections(np.where(acts, known, 0.0), acts, images, acts.any(axis=2) & is_new)


def imaged(guidance: "ImageGuidance", fractions: int) -> Bools:
    """Fractions (F,) with an image: the first ones, and with a follow-up every so many later, 6, 11, … of 5."""
    number = np.arange(fractions)
    first = number < guidance.nal_fractions
    return first if guidance.corrected_from == "nal" else first | (number % guidance.image_every == 0)


def protocol_weights(guidance: "ImageGuidance", fractions: int) -> Floats:
    """Weights (F, F, 3) of the measured errors of earlier fractions in the correction of each.

    ``nal``: the mean of the first `nal_fractions` (de Boer and Heijmen 2001, IJROBP 50:1350). ``enal``: a straight line
    through all measured errors by least squares, extrapolated; the mean until there is one more than those (after de
    Boer and Heijmen 2007, IJROBP 67:1586). ``posterior``: the posterior mean of offset and trend under Gaussian priors.
    """
    weights = np.zeros((fractions, fractions, 3))
    measured = np.flatnonzero(imaged(guidance, fractions))
    for fraction in range(fractions):
        past = measured[measured < fraction]
        if guidance.corrected_from == "posterior":
            weights[fraction, past] = _posterior(guidance, past, fraction)
        elif len(past) >= guidance.nal_fractions:
            is_line = guidance.corrected_from == "enal" and len(past) > max(guidance.nal_fractions, 1)
            weights[fraction, past] = (_line(past, fraction) if is_line else np.full(len(past), 1 / len(past)))[:, None]
    return weights


def _line(past: NDArray[np.int64], fraction: int) -> Floats:
    """Weights of a least-squares line through the past, read at a later fraction."""
    away = past - past.mean()
    weights: Floats = 1 / len(past) + (fraction - past.mean()) * away / (away**2).sum()
    return weights


def _posterior(guidance: "ImageGuidance", past: NDArray[np.int64], fraction: int) -> Floats:
    """Weights (K, 3) of the past in the posterior mean of offset + trend × fraction."""
    if not len(past):
        return np.zeros((0, 3))
    offset, random, trend = (
        vector(sd) ** 2 for sd in (guidance.prior_systematic_mm, guidance.prior_random_mm, guidance.prior_trend_mm)
    )
    weights = np.zeros((len(past), 3))
    for axis in range(3):
        of_past = offset[axis] + trend[axis] * np.outer(past, past) + random[axis] * np.eye(len(past))
        to_now = offset[axis] + trend[axis] * past * fraction
        weights[:, axis] = np.linalg.pinv(of_past, hermitian=True) @ to_now
    return weights


def _shrinking_level(sources_mm: Floats, guidance: "ImageGuidance") -> Corrections:
    """SAL: the mean of N measured errors since the last correction is corrected when it reaches the level / √N.

    After `nal_fractions` measurements without a correction no more images are taken (Bel et al. 1993, Radiother Oncol
    29:253).
    """
    count, patients, fractions, _ = sources_mm.shape
    force, total = np.zeros((count, patients, 3)), np.zeros((count, patients, 3))
    seen = np.zeros((patients, 3))
    taken = np.zeros_like(sources_mm)
    images, decisions = np.zeros((2, patients, fractions), bool)
    for fraction in range(fractions):
        taken[:, :, fraction] = force
        goes_on = seen < guidance.nal_fractions
        images[:, fraction] = goes_on.any(axis=1)
        seen = seen + goes_on
        total += np.where(goes_on, sources_mm[:, :, fraction] - force, 0.0)
        mean = total / np.maximum(seen, 1)
        acts = goes_on & reaches(mean.sum(axis=0) * np.sqrt(seen), guidance.action_level_mm, guidance.mode)
        decisions[:, fraction] = acts.any(axis=1)
        force = force + np.where(acts, mean, 0.0)
        total, seen = np.where(acts, 0.0, total), np.where(acts, 0, seen)
    in_force: Bools = np.any(taken, axis=0)
    return Corrections(taken, in_force, images, decisions)


def reaches(measured: Floats, level: float, mode: Mode) -> Bools:
    """Where a measured error (..., 3) is corrected."""
    if mode == "vector":
        return np.broadcast_to(np.linalg.norm(measured, axis=-1, keepdims=True) >= level - TIE_MM, measured.shape)
    reached = np.abs(measured) >= level - TIE_MM
    return reached if mode == "per_axis" else np.broadcast_to(reached.any(axis=-1, keepdims=True), measured.shape)
