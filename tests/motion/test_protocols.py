"""Off-line protocols: weights against closed forms, the shrinking level against a loop of its own, workload."""

import numpy as np
import pytest
from numpy.typing import NDArray

import ptvkit as pk
from ptvkit.motion.protocols import CorrectedFrom, corrections, protocol_weights

TRENDS = [
    # protocol, trend, SD at fractions 7 11 16 21 30, RMS 4–30, SD of the course's mean
    ("nal", 0.1, (1.80278, 1.95192, 2.22711, 2.57099, 3.29242), 2.420055, 2.03214),
    ("enal", 0.1, (3.54058, 6.58733, 4.44289, 3.52226, 2.55117), 3.45576, 1.81616),
    ("posterior", 0.1, (1.41066, 1.57872, 1.68163, 1.78841, 1.82204), 1.622395, 1.23950),
    ("nal", 0.3, None, 5.35817, None),
    ("enal", 0.3, None, 3.46817, None),
    ("posterior", 0.3, None, 2.37050, None),
]


def guidance(protocol: CorrectedFrom, trend: float = 0.1, **more: object) -> pk.ImageGuidance:
    priors = {"prior_systematic_mm": 3, "prior_random_mm": 3, "prior_trend_mm": trend}
    return pk.ImageGuidance(match="bone", corrected_from=protocol, **priors, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("protocol", "trend", "at", "rms", "course"), TRENDS)
def test_residuals_under_a_trend(
    protocol: CorrectedFrom, trend: float, at: tuple[float, ...] | None, rms: float, course: float | None
) -> None:
    """x = μ + g(f − 1) + ε, Σ = σ = 3; images in 1, 2, 3, 6, 11, … 26, used from the next fraction."""
    weights = protocol_weights(guidance(protocol, trend), 30)[..., 1]
    day = np.arange(30.0)
    variance = 9 * (1 - weights.sum(axis=1)) ** 2 + trend**2 * (day - weights @ day) ** 2 + 9 * (weights**2).sum(axis=1)
    assert np.sqrt(variance[3:].mean()) == pytest.approx(rms, rel=1e-5)
    if at is not None:
        assert np.sqrt(variance[[6, 10, 15, 20, 29]]) == pytest.approx(at, abs=1e-5)
    mean = (np.eye(30) - weights).mean(axis=0)
    if course is not None:
        whole = 9 * mean.sum() ** 2 + trend**2 * (mean @ day) ** 2 + 9 * (mean**2).sum()
        assert np.sqrt(whole) == pytest.approx(course, abs=1e-5)


def test_protocols_on_one_population() -> None:
    """SD of the course's mean, simulated, equals the closed form; images and corrections are counted."""
    setup = [pk.SetupError(systematic_mm=3, random_mm=3, trend_mm=0.1)]
    course = pk.Course(setup=setup, guidance=guidance("each"), fractions=30)
    rows = {row.name: row for row in pk.compare_protocols(course, ("none", "nal", "enal", "posterior", "each"))}
    assert [round(row.images) for row in rows.values()] == [0, 3, 8, 8, 30]
    assert rows["nal"].corrections == 1
    assert rows["each"].margin_mm.max() == pytest.approx(0)
    for name, sd in (("nal", 2.03214), ("enal", 1.81616), ("posterior", 1.23950)):
        own = rows[name].residual
        # Σ'² is the variance of the course's mean less what the spread within courses brings into it
        drawn = np.sqrt(own.systematic_mm**2 + own.random_mm**2 / 30)
        assert drawn == pytest.approx(np.full(3, sd), rel=0.05)


def shrinking(errors: NDArray[np.float64], level: float, most: int) -> tuple[NDArray[np.float64], int, int]:
    """SAL of one patient, straight from its description: residual, images, corrections."""
    force, past, left, images, made = np.zeros(3), [], [], 0, 0
    for error in errors:
        left.append(error - force)
        if len(past) < most:
            images += 1
            past.append(error - force)
            mean = np.mean(past, axis=0)
            if np.linalg.norm(mean) >= level / np.sqrt(len(past)):
                force, past, made = force + mean, [], made + 1
    return np.array(left), images, made


def test_the_shrinking_action_level() -> None:
    rng = np.random.default_rng(8)
    errors = rng.normal(0, 3, (40, 1, 3)) + rng.normal(0, 2.5, (40, 14, 3))
    protocol = pk.ImageGuidance(match="bone", corrected_from="sal", action_level_mm=9, mode="vector", nal_fractions=2)
    found = corrections(errors[None], protocol)
    for number, own in enumerate(errors):
        left, images, made = shrinking(own, 9.0, 2)
        assert errors[number] - found.taken_mm[0, number] == pytest.approx(left)
        assert found.images[number].sum() == images
        assert found.decisions[number].sum() == made
    assert 3 <= found.images.sum(axis=1).max() < 14


def test_each_source_loses_its_own_share() -> None:
    """A correction is linear in what was measured: the parts of an error add up to what is left of their sum."""
    rng = np.random.default_rng(2)
    sources = rng.normal(0, 2, (3, 12, 11, 3))
    for protocol in ("nal", "enal", "sal", "posterior"):
        rules = guidance(protocol, action_level_mm=1.5)
        apart, together = corrections(sources, rules), corrections(sources.sum(axis=0)[None], rules)
        assert apart.taken_mm.sum(axis=0) == pytest.approx(together.taken_mm[0])


def test_what_protocols_refuse() -> None:
    with pytest.raises(pk.MotionError, match="corrected_from 'sal': takes one match"):
        pk.ImageGuidance(corrected_from="sal")
    with pytest.raises(pk.MotionError, match="needs prior_systematic_mm"):
        pk.ImageGuidance(match="bone", corrected_from="posterior")
    with pytest.raises(pk.MotionError, match="'weekly' is unknown"):
        pk.compare_protocols(pk.Course(), ("weekly",))
