"""`ptvkit measure` of one patient: the prior is of others."""

import json
from pathlib import Path

import numpy as np
import pytest

from ptvkit.cli import main


def test_a_patient_in_the_clinics_log_is_no_prior_of_his_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(2)
    lines = ["patient,fraction,LR_mm,AP_mm,SI_mm"]
    for patient in "ABCDEF":
        mean = rng.normal(0, 3, 3)
        for fraction in range(1, 5):
            shift = mean + rng.normal(0, 2, 3)
            lines.append(",".join([patient, str(fraction), *(f"{x:.3f}" for x in shift)]))
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = []
    for prior in ([], ["--prior", str(tmp_path / "log.csv")]):
        words = [
            "measure",
            str(tmp_path / "log.csv"),
            "--axes",
            "RAS",
            "--sign",
            "displacement",
            "--patient",
            "A",
            *prior,
        ]
        assert main([*words, "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out)["correction_mm"])
    assert found[0] == found[1]
