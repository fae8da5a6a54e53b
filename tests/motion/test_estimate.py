"""Estimates: intervals against SciPy's and against coverage over repetitions."""

import pickle

import numpy as np
import pytest
from scipy import stats

from ptvkit.errors import MotionError
from ptvkit.motion.estimate import Estimate, mean, share


@pytest.mark.parametrize(("count", "total"), [(84, 100), (0, 50), (50, 50), (1, 3), (9031, 10000)])
def test_share_is_wilson(count: int, total: int) -> None:
    found = share(count, total)
    interval = stats.binomtest(count, total).proportion_ci(0.95, method="wilson")
    assert (found.value, found.low, found.high) == pytest.approx((count / total, interval.low, interval.high))
    assert found.low <= found <= found.high


def test_mean_has_the_width_of_its_standard_error() -> None:
    values = np.random.default_rng(0).gamma(2.0, 3.0, size=4000)
    found = mean(values, seed=1)
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert found.value == pytest.approx(values.mean())
    assert found.width == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert mean(values, seed=1) == found
    wide = mean(np.tile(values, 6))  # beyond the bootstrap: the normal one
    assert wide.width == pytest.approx(2 * 1.96 * error / np.sqrt(6), rel=0.01)


def test_mean_of_like_values_has_no_width() -> None:
    assert (mean([0.25] * 7).low, mean([0.25] * 7).high) == (0.25, 0.25)


def test_an_estimate_is_a_number_and_survives_pickling() -> None:
    estimate = Estimate(0.5, 0.4, 0.7)
    assert estimate + 1 == 1.5
    assert estimate.width == pytest.approx(0.3)
    again = pickle.loads(pickle.dumps(estimate))
    assert (again.value, again.low, again.high) == (0.5, 0.4, 0.7)
    assert f"{estimate:.1%}" == "50.0% (40.0%–70.0%)"


def test_nothing_has_no_estimate() -> None:
    with pytest.raises(MotionError, match="at least one patient"):
        share(0, 0)
    with pytest.raises(MotionError, match="at least one patient"):
        mean([])
