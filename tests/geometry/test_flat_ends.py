"""Flat ends keep their rims after a margin, straight and tilted; smooth bodies get no edges."""

import numpy as np
import pytest

from benchmarks.solids import BOX, CORD, CYLINDER, SMOOTH, SPACINGS, Solid, errors, shifts, tilted

LIMITS = {1.0: (0.10, 0.3), 3.0: (0.18, 0.6), 5.0: (0.30, 1.2)}
"""Mean surface error after 5 and 10 mm, and how far the reach at a rim may fall short, mm, by slice thickness."""


@pytest.mark.statistics
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("solid", [CYLINDER, tilted(CYLINDER), BOX, tilted(BOX)], ids=lambda solid: solid.name)
def test_flat_ends_keep_their_rims(solid: Solid, spacing: tuple[float, float, float]) -> None:
    five, ten, rim_five, rim_ten = np.mean([errors(solid, spacing, shift) for shift in shifts(2)], axis=0)
    limit, short = LIMITS[spacing[2]]
    assert abs(five) < limit
    assert abs(ten) < limit
    assert min(rim_five, rim_ten) > -short


@pytest.mark.parametrize("solid", [CORD, tilted(CORD)], ids=lambda solid: solid.name)
def test_a_cord_ends_flat_on_3_mm_slices(solid: Solid) -> None:
    _, ten, _, rim = errors(solid, (1.0, 1.0, 3.0), shifts(1)[0])
    assert abs(ten) < 0.10
    assert rim > -0.6


@pytest.mark.parametrize("solid", SMOOTH, ids=lambda solid: solid.name)
def test_smooth_bodies_get_no_edges(solid: Solid) -> None:
    for spacing in SPACINGS[:2]:
        _, ten, _, _ = errors(solid, spacing, shifts(1)[0])
        assert abs(ten) < 0.05
