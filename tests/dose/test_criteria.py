"""The registry of metrics and criteria: one word means one thing everywhere."""

import numpy as np
import pytest

import ptvkit as pk
from ptvkit.dose.criteria import KEPT, REGISTRY, criterion_of, metric_named
from tests.motion.bodies import ball

COURSE = pk.Course(setup=[pk.SetupError(systematic_mm=(1, 2, 3))], fractions=2)


@pytest.fixture(scope="module")
def dosed() -> pk.DoseResult:
    dose = pk.conformal_dose(pk.expand(ball(12), pk.Margin.uniform(3)), 20.0)
    return pk.simulate_dose(dose, ball(12), COURSE, patients=60, seed=1)


def test_one_word_everywhere(dosed: pk.DoseResult) -> None:
    for name in KEPT:
        metric = metric_named(name)
        values = dosed.metric(name)
        assert (values == dosed.metric(metric.label)).all()
        share = round(min(float(np.median(values)) / (20 if metric.unit == "Gy" else 1), 1.0), 4)
        reached = values >= share * (20 if metric.unit == "Gy" else 1) - 1e-9  # rounding
        assert criterion_of(f"{name}>={share}").met(dosed).mean() == reached.mean()
    assert dosed.probability("dmin>=0.95") == dosed.probability("dmin_gy", at_least=19)
    assert dosed.probability("D98 % ≥ 0.95") == dosed.probability("d98", 19)


def test_of_coverage(dosed: pk.DoseResult) -> None:
    covered = pk.simulate_coverage(ball(12), pk.expand(ball(12), pk.Margin.uniform(3)), COURSE, patients=60, seed=1)
    assert criterion_of("contained").met(covered).mean() == covered.contained()
    assert criterion_of("coverage>=0.99").met(covered).mean() == covered.probability(0.99)
    with pytest.raises(pk.DoseError, match="told by a dose, not by coverage"):
        metric_named("dmin").of_coverage(covered)
    with pytest.raises(pk.DoseError, match="'contained': use one of dmin_gy"):
        dosed.metric("contained")


def test_every_entry_has_a_name_that_finds_it() -> None:
    words = ["Dmin", "Dmax", "mean", "D2", "D98", "D2cc", "D35mm3", "D(V-35mm3)", "V20Gy", "V20Gy_cc", "V95"]
    models = ["geud8", "geud-10", "tcp_metastases", "tcp_metastases_poisson", "tcp_hcc", "ntcp_rild_metastases"]
    found = [metric_named(word).entry for word in [*words, *models, "ntcp_rild_hcc", "contained", "coverage"]]
    assert found == list(REGISTRY)
    assert [metric_named(word).entry.better for word in ("D2", "D98", "Dmax")] == ["lower", "higher", "lower"]


@pytest.mark.parametrize(
    "text", ["dmin", "dmin>=95", "contained>=1", "best", "v20gy>=0.5", "d98>=", "coverage<=1.2", ""]
)
def test_refused(text: str) -> None:
    with pytest.raises(pk.DoseError, match=r"use dmin>=0.95, d98>=0.95, .*levels above 0 to 1"):
        criterion_of(text)


def test_in_words() -> None:
    assert criterion_of("d2 <= 1.07").words == "D2 % ≤ 107 %"
    assert criterion_of("V95>=0.98").text == "v95>=0.98"
