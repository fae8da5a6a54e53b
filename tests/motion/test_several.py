"""Several targets that share the errors of one patient, against shares by quadrature and long simulation of points."""

import numpy as np
import pytest

import ptvkit as pk
from tests.motion.bodies import ball

PATIENTS = 2000


def balls(points: list[tuple[float, float, float]], margin: float) -> list[tuple[pk.Region, pk.Region]]:
    """A ball in a ball is contained as its centre is within the margin."""
    fine = (0.5, 0.6, 0.55)  # on coarser nodes the depth is up to .09 mm too deep, and so the share .01 too low
    return [(ball(5, point, spacing=fine), ball(5 + margin, point, spacing=fine)) for point in points]


@pytest.mark.parametrize(
    ("points", "margin", "sigma_mm", "joint", "each"),
    [
        ([(0, 0, 0), (80, 0, 0)], 3, 1, 0.72633, (0.970709, 0.733738)),
        ([(40, 0, 0), (-40, 0, 0)], 3, 1, 0.85722, (0.919796, 0.919796)),
        (
            [(0, 0, 0), (80, 0, 0), (-40, 0, 0), (0, 60, 0), (0, -30, 50)],
            *(5, 1.5, 0.88052, (None, 0.926064, None, None, None)),
        ),
    ],
)
def test_joint_containment(
    points: list[tuple[float, float, float]],
    margin: float,
    sigma_mm: float,
    joint: float,
    each: tuple[float | None, ...],
) -> None:
    isocentre = np.array([12.0, -7.0, 5.0])
    course = pk.Course(setup=[pk.SetupError(systematic_mm=sigma_mm, systematic_deg=1)])
    placed = [tuple((isocentre + point).tolist()) for point in points]
    found = pk.simulate_targets(
        balls(placed, margin), course, isocentre_mm=isocentre.tolist(), patients=PATIENTS, seed=4
    )
    error = np.sqrt(joint * (1 - joint) / PATIENTS)
    assert found.joint_contained == pytest.approx(joint, abs=3 * error + 0.003)
    for target, right in zip(found.targets, each, strict=True):
        if right is not None:
            error = np.sqrt(right * (1 - right) / PATIENTS)
            assert target.contained() == pytest.approx(right, abs=3 * error + 0.003)


def test_a_pivot_of_its_own_stays() -> None:
    pair = balls([(80, 0, 0)], 3)
    course = pk.Course(setup=[pk.SetupError(systematic_mm=1, systematic_deg=1, pivot_mm=(80, 0, 0))])
    assert pk.simulate_targets(pair, course, patients=500, seed=2).joint_contained > 0.95


def test_no_target_is_refused() -> None:
    with pytest.raises(pk.MotionError, match="there is no target; give pairs of CTV and PTV"):
        pk.simulate_targets([], pk.Course(setup=[pk.SetupError(systematic_mm=1)]))
