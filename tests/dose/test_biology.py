"""Models of dose effect against closed forms and published points."""

import numpy as np
import pytest

import ptvkit as pk
from ptvkit.dose.criteria import metric_named
from ptvkit.dose.metrics import metrics_of
from ptvkit.errors import DoseError

HALVES = ([60.0, 30.0], None)
FIFTHS = ([50.0, 10.0], [0.2, 0.8])


@pytest.mark.parametrize(
    ("parts", "a", "right"),
    [
        *((HALVES, a, gy) for a, gy in ((1, 45), (2, 47.4342), (4, 51.2243), (8, 55.0471), (-10, 32.1501))),
        *((FIFTHS, a, gy) for a, gy in ((1, 18), (2, 24.0832), (4, 33.4904), (8, 40.8883))),
    ],
)
def test_geud(parts, a, right):
    assert pk.geud(parts[0], a, volumes=parts[1]) == pytest.approx(right, abs=6e-5)


@pytest.mark.parametrize(
    ("parts", "n", "right"),
    [
        *((HALVES, n, p) for n, p in ((1, 0.308538), (0.5, 0.398750), (0.25, 0.548721))),
        *((FIFTHS, n, p) for n, p in ((1, 0.0006871), (0.5, 0.0047754), (0.25, 0.049373))),
        *((([60.0], None), n, 0.841345) for n in (1, 0.5, 0.1)),
        (([40.0], None), 0.3, 0.158655),
    ],
)
def test_lyman(parts, n, right):
    found = pk.ntcp(parts[0], pk.Lyman(td50_gy=50, m=0.2, n=n), volumes=parts[1])
    assert found == pytest.approx(right, abs=6e-7)


def test_tumour_control_goes_through_the_published_points():
    for name, right in (
        ("metastases", (0.248036, 0.723274, 0.928660)),
        ("metastases_poisson", (0.229329, 0.721616, 0.930266)),
    ):
        assert [pk.tcp([gy], name) for gy in (60, 80, 100)] == pytest.approx(right, abs=6e-7)
        assert [pk.tcp([gy], name) for gy in (70, 95)] == pytest.approx((0.5, 0.9))
    assert [pk.tcp([gy], "hcc") for gy in (53, 84)] == pytest.approx((0.5, 0.9))


def test_tumour_control_is_a_product_over_voxels():
    assert pk.tcp([80, 60], "metastases_poisson", volumes=[0.95, 0.05]) == pytest.approx(0.681418, abs=6e-7)
    assert pk.tcp([79], "metastases_poisson") == pytest.approx(0.703423, abs=6e-7)
    cells = pk.Clonogens(clonogens=1e7, alpha_per_gy=0.25, alpha_beta_gy=10, fractions=30)
    assert pk.tcp([60], cells) == pytest.approx(0.858731, abs=6e-7)
    assert pk.tcp([60, 45], cells, volumes=[0.99, 0.01]) == pytest.approx(0.676118, abs=6e-7)
    by_eqd2 = pk.Clonogens(clonogens=1e7, alpha_per_gy=0.25, alpha_beta_gy=10)
    assert pk.tcp([60], by_eqd2) == pytest.approx(0.858731, abs=6e-7)


def test_spread_of_the_population_is_its_mean():
    rng = np.random.default_rng(1)
    sharp, wide = (
        pk.TumourControl(d50_gy=60, gamma50=3, model="poisson", d50_sd_gy=sd, alpha_beta_gy=10) for sd in (0, 8)
    )
    draws = rng.normal(60, 8, 20_000)
    each = [pk.tcp([66, 55], pk.TumourControl(d50_gy=gy, gamma50=3, model="poisson")) for gy in draws[:4000]]
    assert pk.tcp([66, 55], wide) == pytest.approx(np.mean(each), abs=3 * np.std(each) / 4000**0.5)
    assert pk.tcp([75, 75], wide) < pk.tcp([75, 75], sharp)
    cells = pk.Clonogens(clonogens=1e7, alpha_per_gy=0.3, alpha_sd_per_gy=0.06, alpha_beta_gy=10, fractions=30)
    alphas = rng.normal(0.3, 0.06, 50_000)
    survivors = 1e7 * np.exp(-alphas * 60 * 1.2)
    assert pk.tcp([60], cells) == pytest.approx(np.exp(-survivors).mean(), abs=3 * 0.5 / 50_000**0.5)


def test_histograms_give_what_their_parts_give():
    rng = np.random.default_rng(3)
    doses, volumes = rng.uniform(40, 70, 5000), rng.uniform(0.5, 1.5, 5000)
    whole, binned = (metrics_of("it", doses, volumes, doses, bins=bins) for bins in (None, 1000))
    for a in (-10, 1, 8):
        right = (volumes @ doses**a / volumes.sum()) ** (1 / a)
        assert whole.value(f"geud{a}") == pytest.approx(right, rel=1e-9)
        assert binned.value(f"geud{a}") == pytest.approx(right, rel=1e-5)


def test_a_model_is_of_one_kind_of_dose():
    doses = np.full(10, 50.0)
    plain = metrics_of("the liver", doses, doses, doses)
    with pytest.raises(DoseError, match="EQD2 with α/β 3 Gy, the histogram of physical dose"):
        plain.value("ntcp_rild_hcc")
    assert "model" in metric_named("tcp_metastases").entry.note
    assert "model" in metric_named("geud8").entry.note


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: pk.geud([60, 30], 0),
        lambda: pk.geud([60, -1], 2),
        lambda: pk.geud([60, 30], 2, volumes=[1]),
        lambda: pk.tcp([60], "nothing of that name"),
        lambda: pk.TumourControl(d50_gy=70),
        lambda: pk.TumourControl(d50_gy=70, d90_gy=60),
        lambda: pk.Lyman(td50_gy=50, m=0, n=1),
        lambda: metric_named("geud0"),
        lambda: metric_named("tcp_lung"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(wrong):
    with pytest.raises(DoseError) as refusal:
        wrong()
    assert "\n" not in str(refusal.value)
