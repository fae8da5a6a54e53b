"""A treatment of two parts as a request: its files, its page, a study of it, and what is refused."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import ptvkit as pk
from ptvkit.request.keys import with_values
from ptvkit.trust.check import check_folder

ASK: dict[str, Any] = {
    "cases": {"gtv": "phantom:lesion_3"},
    "targets": {"ptv": 5},
    "errors": [
        {"name": "delineation", "systematic_mm": 2, "seen_by": "nothing"},
        {"name": "set-up", "systematic_mm": 1, "random_mm": 2},
    ],
    "parts": [
        {"name": "wide", "fractions": 18, "fraction_gy": 1.7, "margin": 10},
        {"name": "boost", "fractions": 12, "fraction_gy": 1.9, "covers": 0.9},
    ],
    "treatment": {
        "shared": ["delineation"],
        "alpha_beta_gy": 10,
        "metrics": ["tcp_metastases"],
        "structures": {"stomach": {"structure": ":stomach", "alpha_beta_gy": 3}},
    },
    "limits": [
        {"structure": "stomach", "metric": "Dmax", "at_most": 50},
        {"structure": "stomach", "metric": "geud8", "at_most": 40, "quantity": "eqd2"},
        {"structure": "cord", "metric": "Dmax", "at_most": 40},
    ],
    "simulation": {"patients": 60, "seed": 3},
    "output": {"pictures": False, "maps": False},
}


def test_files_of_a_treatment(tmp_path: Path) -> None:
    outcome = pk.run_simulation(pk.Request.load(ASK), tmp_path)
    assert {"treatment.json", "treatment.csv", "treatment.html"} <= {path.name for path in tmp_path.iterdir()}
    content = json.loads((tmp_path / "treatment.json").read_text())
    assert content["schema"] == "ptvkit-treatment/1"
    target = content["structures"]["CTV"]
    assert target["eqd2"]["prescription_gy"] == pytest.approx(52.445, abs=1e-3)
    assert target["physical"]["prescription_gy"] == pytest.approx(53.4)
    first, _, absent = content["limits"]
    assert first["kept"]["value"] == 1
    assert "kept in 100.0 %" in first["in_words"]
    assert absent["planned"] is None
    assert any("does not predict" in note for note in content["models"])
    assert "cord Dmax ≤ 40 Gy: the structure is not there" in outcome.notes
    with open(tmp_path / "treatment.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 120
    assert 0 < float(rows[0]["tcp_metastases"]) < 1
    assert outcome.treatment is not None
    dmin = outcome.treatment.results["CTV"].metric("dmin_gy")
    assert [float(row["dmin_gy"]) for row in rows if row["structure"] == "CTV"] == pytest.approx(
        dmin.tolist(), abs=1e-4
    )
    page = (tmp_path / "treatment.html").read_text()
    for text in (
        "wide 18 × 1.7 Gy, then boost 12 × 1.9 Gy",
        "Time line",
        "kept in 100.0 %",
        "not there",
        "Models",
        "TCP metastases",
    ):
        assert text in page
    assert "https://" not in page.split("<script")[0]
    assert all(finding.state == "fresh" for finding in check_folder(tmp_path))


def test_lesions_between_the_planning_cts(tmp_path: Path) -> None:
    """The second CT lies 30 mm towards S and its lesion is a smaller one, registered by the part's transform."""
    grown, grid = pk.phantom.region("lesion_3"), pk.phantom.grid((1, 1, 2))
    pk.write_mask(pk.phantom.mask("lesion_3", grid), tmp_path / "first.nii.gz")
    moved = grid.affine.copy()
    moved[2, 3] += 30
    smaller = pk.contract(grown, 3).to_mask(grid)
    pk.write_mask(pk.Mask.from_array(smaller.array, moved), tmp_path / "second.nii.gz")
    up = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 30], [0, 0, 0, 1]]
    changes = {
        "cases.gtv": str(tmp_path / "first.nii.gz"),
        "parts.wide.gtv": str(tmp_path / "first.nii.gz"),
        "parts.boost.gtv": str(tmp_path / "second.nii.gz"),
        "parts.boost.transform": up,
        "treatment.structures": None,
        "limits": None,
        "simulation.patients": 5,
    }
    outcome = pk.run_simulation(pk.Request.load(with_values(ASK, changes, "it")), tmp_path / "out")
    assert outcome.treatment is not None
    assert outcome.treatment.lesions is not None
    (row,) = outcome.treatment.lesions.rows
    assert row.category == "shrunk"
    assert row.volume_cc[0] == pytest.approx(grown.volume_cc, rel=0.02)
    assert "RECIST 1.1" in (tmp_path / "out" / "treatment.html").read_text()
    assert (
        json.loads((tmp_path / "out" / "treatment.json").read_text())["lesions"]["lesions"][0]["category"] == "shrunk"
    )


def test_a_study_of_a_treatment(tmp_path: Path) -> None:
    ask = {**ASK, "sweep": {"parameters": {"parts.boost.margin": [0, 3]}}}
    pk.run_study(pk.Request.load(ask, {"output.page": False, "simulation.patients": 30}), tmp_path)
    with open(tmp_path / "results.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["parts.boost.margin"] for row in rows] == ["0", "3"]
    assert float(rows[0]["dmin_p10_gy"]) < float(rows[1]["dmin_p10_gy"])
    assert all(float(row["stomach_Dmax_kept"]) == 1 for row in rows)
    assert 0 < float(rows[0]["tcp_metastases_median"]) < 1


def test_the_protocol_that_comes_with_the_package() -> None:
    ask = pk.Request.load("liver-protocol-two-parts").for_case("it", {"cases.gtv": "phantom:gtv"})
    parts, treatment = ask.tables.parts, ask.tables.treatment
    assert [(part.fractions, part.fraction_gy, part.covers) for part in parts] == [(18, 1.7, None), (12, 1.9, 0.9)]
    assert parts[0].structure == "phantom:liver"
    assert treatment is not None
    assert treatment.structures["cord"].structure == "phantom:cord"
    first, second = pk.Request.load("liver-protocol"), ask
    assert [one.model_dump() for one in first.tables.errors] == [one.model_dump() for one in second.tables.errors]
    assert first.tables.guidance == second.tables.guidance
    assert first.tables.breathing == second.tables.breathing
    limits = {(one.structure, one.metric): one.at_most for one in ask.tables.limits}
    for limit in pk.read_limits("liver-protocol"):
        assert limit.at_most is None or limits[limit.structure, limit.metric] == limit.at_most


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dose.prescription_gy": 20}, r"dose: each of \[\[parts\]\] has its own dose"),
        ({"simulation.fractions": 5}, "has its own fractions"),
        ({"parts": None}, r"\[treatment\] needs \[\[parts\]\]"),
        ({"parts.boost.prescription_gy": 30}, "boost: .*30 Gy"),
        ({"parts.boost.frame": "CT 2"}, "boost is in frame CT 2, wide in no named frame"),
        ({"parts.boost.transform": [[1, 0], [0, 1]]}, r"affine matrix \(4, 4\)"),
        ({"parts.boost.fraction_gy": None}, "fraction_gy or prescription_gy is missing"),
        ({"parts.boost.units": "Gy"}, "units has no meaning without file"),
        ({"treatment.shared": ["observer"]}, "'observer' is an error of 0 of 2 parts"),
        (
            {"treatment.structures.stomach.alpha_beta_gy": None},
            "which was not simulated; give alpha_beta_gy of stomach",
        ),
        ({"treatment.structures.stomach.structure": ":spleen"}, "the phantom has no 'spleen'"),
        ({"treatment.metrics": ["tcp_lung"]}, "'tcp_lung': there is none of that name"),
        ({"treatment.structures.CTV.structure": ":cord"}, "the CTV is there already"),
        (
            {"parts.wide.gtv": "phantom:lesion_3", "parts.boost.gtv": "phantom:lesion_2"},
            r"\[\[parts\]\] boost: gtv: no lesion can be matched",
        ),
    ],
)
def test_what_cannot_be_used_leaves_no_file(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    out = tmp_path / "out"
    few = {**changes, "simulation.patients": 5}
    content = with_values(
        {key: value for key, value in ASK.items() if key != "parts" or "parts" not in changes}, few, "it"
    )
    with pytest.raises(pk.PtvkitError, match=message) as refusal:
        pk.run_simulation(pk.Request.load(content), out)
    assert "\n" not in str(refusal.value)
    assert not out.exists() or not list(out.iterdir())
