"""Study files: read, checked with the nearest legal key, made into courses."""

from pathlib import Path

import numpy as np
import pytest

from ptvkit.errors import FileError, MotionError
from ptvkit.motion.guidance import ImageGuidance
from ptvkit.motion.setup import SetupError
from ptvkit.motion.variation import Variation
from ptvkit.request.reading import BUILT_IN
from ptvkit.request.request import Request
from ptvkit.request.schema import ErrorTable, GuidanceTable, VariationTable
from ptvkit.work.values import course_of

FULL = """
[cases]
ctv = "ctv.nii.gz"
ptv = "/abs/ptv.nii.gz"

[[errors]]
name = "body"
systematic_mm = [2, 2, 3]
random_mm = 1.5
patients = 14

[[errors]]
name = "drawing"
systematic_mm = 2
seen_by = "nothing"
random_deg = [0, 0, 1]
pivot_mm = [10, -20, 30]

[guidance]
match = "soft_tissue"
action_level_mm = 2
matching_sd_mm = [1, 1.6, 1.4]

[breathing]
amplitude_mm = [1, 4, 12]
inhale = [1, 1, -1]
reference = [0, 1.5, -4]
[breathing.variation]
amplitude_mm = 2
drift_mm = [0, 0, 1]

[simulation]
fractions = 12
patients = 400
seed = 7
"""


def written(tmp_path: Path, text: str = FULL) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_course_as_the_file_says(tmp_path: Path) -> None:
    path = written(tmp_path)
    study = Request.load(path).tables
    assert study.cases.ctv == str(tmp_path / "ctv.nii.gz")  # beside the file that names it
    assert study.cases.ptv == "/abs/ptv.nii.gz"
    assert (study.simulation.patients, study.simulation.seed) == (400, 7)
    course = course_of(Request.load(path))
    body, drawing = course.setup
    np.testing.assert_allclose(body.systematic_mm, [2, 2, 3])
    assert (body.patients, drawing.seen_by, drawing.turns) == (14, "nothing", True)
    assert course.guidance is not None
    assert (course.guidance.match, course.guidance.action_level_mm, course.guidance.mode) == (
        "soft_tissue",
        2,
        "any_axis",
    )
    assert course.breathing is not None
    np.testing.assert_allclose(course.breathing.wave.position("inhale"), [1, 4, -12])
    assert course.breathing.variation.amplitude_mm == 2
    assert course.fractions == 12


def test_tables_have_the_fields_of_their_values() -> None:
    for table, value in ((ErrorTable, SetupError), (GuidanceTable, ImageGuidance), (VariationTable, Variation)):
        assert set(table.model_fields) == set(value.__dataclass_fields__)
        for name, field in value.__dataclass_fields__.items():
            assert table.model_fields[name].default == field.default


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_studies(name: str) -> None:
    study = Request.load(name)
    course = course_of(study)
    assert course.fractions == 12
    assert course.guidance is not None
    assert (course.guidance.match, course.guidance.action_level_mm) == ("bone_then_soft_tissue", 2)
    assert course.breathing is not None
    assert course.breathing.is_snapshot


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "systematic_mm = 2\n",
            "systemtic_mm = 2\n",
            "errors.2.systemtic_mm: .*did you mean systematic_mm?",
        ),
        ("[guidance]", "[guidence]", "guidence: no such key; did you mean guidance?"),
        ("drift_mm = [0, 0, 1]", "drfit_mm = 1", "drfit_mm: no such key; did you mean drift_mm?"),
        ("fractions = 12", 'fractions = "12"', "simulation.fractions: input should be a valid integer, found '12'"),
        ("random_mm = 1.5", "random_mm = [1, 2]", r"errors.1.random_mm: needs one number or three, \[LR, AP, SI\]"),
        ("random_mm = 1.5", "random_mm = true", "errors.1.random_mm: needs one number or three"),
        ("random_mm = 1.5", "random_mm = -1.5", r"\[\[errors\]\] 1: body: random_mm: needs numbers from 0"),
        ('match = "soft_tissue"', 'match = "skin"', "guidance.match: input should be 'bone', 'soft_tissue'"),
        ("inhale = [1, 1, -1]\n", "", r"\[breathing\]: amplitude_mm needs inhale"),
        (
            "amplitude_mm = [1, 4, 12]\n",
            "",
            r"\[breathing\]: give one of preset, amplitude_mm, trace and phases; found none",
        ),
        ("inhale = [1", 'preset = "liver-compression"\ninhale = [1', "found preset, amplitude_mm"),
        ("inhale = [1", "block_s = 3\ninhale = [1", "block_s has no meaning with amplitude_mm"),
        ("reference = [0, 1.5, -4]", "", "breathing.reference: field required"),
        ("reference = [0, 1.5, -4]", 'reference = "deep"', r"\[breathing\]: reference: use 'time_mean'"),
        ("fractions = 12", "fractions = 0", r"\[simulation\]: fractions: needs a whole number from 1"),
        ("[cases]", "[cases", "is not TOML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert FULL.count(old) == 1
    path = written(tmp_path, FULL.replace(old, new))
    with pytest.raises((FileError, MotionError), match=says) as raised:
        course_of(Request.load(path))
    assert str(raised.value).startswith(str(path))


def test_traces_lie_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text("t_s,x_mm,y_mm,z_mm\n0,0,0,0\n1,0,1,-5\n2,0,0,0\n", encoding="utf-8")
    text = '[breathing]\ntrace = ["trace.csv"]\naxes = "RAS"\nreference = "time_mean"\n'
    path = written(tmp_path, text)
    course = course_of(Request.load(path))
    assert course.breathing is not None
    np.testing.assert_allclose(course.breathing.displacement([1.0]), [[0, 2 / 3, -10 / 3]])
    path = written(tmp_path, text.replace("trace.csv", "none.csv"))
    with pytest.raises(FileError, match=r"none\.csv: no such file"):
        course_of(Request.load(path))


def test_no_such_study(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"give a \.toml file, or liver-protocol"):
        Request.load(tmp_path / "none.toml")
