"""The highest breath of a fraction against drawn ones."""

import numpy as np

import ptvkit as pk
from ptvkit.motion.exact.breaths import highest_breath, random_moment


def test_the_highest_breath_is_distributed_as_drawn_ones():
    breathing = pk.Breathing.preset("liver-free-median", variation="free", reference="exhale")
    rng = np.random.default_rng(1)
    drawn = breathing.wave.draw(1, 8_000, np.zeros((1, 8_000, 1)), 60.0, "exhale", breathing.variation, rng, rng)
    signed = breathing.wave.signed_mm
    heights = (drawn.extremes_mm[0] @ signed / (signed @ signed) + breathing.wave.mean_share).max(axis=1)
    found = highest_breath(breathing, 60.0)
    mean = found.at @ found.mass
    spread = np.sqrt(found.at**2 @ found.mass - mean**2)
    assert abs(mean - heights.mean()) < 3 * heights.std() / 8_000**0.5
    assert abs(spread - heights.std()) < 3 * heights.std() / 16_000**0.5 + 1e-3


def test_days_alone_are_normal():
    vary = pk.Variation(amplitude_between_mm=1.5)
    wave = pk.Breathing.lujan(amplitude_mm=(0, 0, 10), inhale=(0, 0, -1), reference="exhale", variation=vary)
    found = highest_breath(wave, 90.0)
    assert abs(found.at @ found.mass - 1) < 1e-3
    assert abs(np.sqrt(found.at**2 @ found.mass - (found.at @ found.mass) ** 2) - 0.15) < 1e-3


def test_a_random_moment_has_the_mean_of_the_wave():
    breathing = pk.Breathing.preset("liver-free-median", reference="exhale")
    found = random_moment(breathing)
    assert np.isclose(found.at @ found.mass, breathing.wave.mean_share)
