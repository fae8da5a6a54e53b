"""Sessions: figures after any changes are those of a fresh run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptvkit import Mask, PtvkitError, Request, Session, expand, run_simulation, write_mask
from ptvkit.geometry.reconstruct import as_region
from ptvkit.margins.margin import as_margin
from ptvkit.margins.structures import taken_cc
from ptvkit.request.writing import study_text
from ptvkit.work.session_nodes import NODES

CHANGES = {
    "targets.ctv": (0, 2, {"all": 2, "S": 3}),
    "targets.ptv": (4, 5, "5,S=7"),
    "targets.ptv.I": (3, 6.5, 8),
    "targets.ptv.LR": (4, 5.5),
    "targets.breathing": (None, "S=1,I=2", "I=4"),
    "targets.breathing_shape": ("sweep", "semi_axes"),
    "targets.lesion": ("all", "largest", 2),
    "errors.set-up.systematic_mm": (1, 2, [1, 2, 3]),
    "errors.set-up.random_mm.SI": (0, 1.5),
    "errors.liver.systematic_mm": (0, 1.5),
    "errors.liver.systematic_deg": (0, 2),
    "guidance.match": ("bone", "soft_tissue"),
    "breathing.amplitude_mm": ([0.5, 1, 4], [0.5, 1, 3]),
    "breathing.reference": ("snapshot", "time_mean"),
    "dose.prescription_gy": (22.8, 30),
    "dose.penumbra_mm": (3.2, 5.0, [3.2, 3.2, 4.0]),
    "dose.edge_level": (0.95, 0.8),
    "criteria.criterion": ("dmin>=0.95", "dmin>=0.9", "d98>=0.95", "contained", "coverage>=0.99"),
    "simulation.seed": (1, 2),
    "simulation.fractions": (2, 3),
    "simulation.samples": (8, 10),
    "simulation.patients": (20, 30),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two lesions and an organ, on an anisotropic grid off the centre."""
    home = tmp_path_factory.mktemp("session")
    affine = np.diag([-1.5, 2.0, 2.5, 1.0])
    affine[:3, 3] = (40.0, -31.0, 7.5)
    index = np.moveaxis(np.indices((40, 30, 22)), 0, -1)
    points = index @ affine[:3, :3].T + affine[:3, 3]

    def ball(centre: tuple[float, ...], radius: float) -> Mask:
        return Mask.from_array(((points - centre) ** 2).sum(axis=-1) < radius**2, affine)

    both = ball((8, -2, 30), 6).array | ball((26, 6, 42), 4).array
    write_mask(Mask.from_array(both, affine), home / "gtv.nii.gz")
    write_mask(ball((8, 8, 30), 9), home / "liver.nii.gz")
    return home


@pytest.fixture
def ask(folder: Path) -> Request:
    return Request.load(
        {
            "cases": {"gtv": str(folder / "gtv.nii.gz")},
            "targets": {"ctv": 2, "ptv": 5, "organ": str(folder / "liver.nii.gz")},
            "errors": [
                {"systematic_mm": 1, "random_mm": 1},
                {"name": "liver", "systematic_mm": 1, "seen_by": "soft_tissue"},
            ],
            "guidance": {"match": "bone", "matching_sd_mm": 1},
            "breathing": {"amplitude_mm": [0.5, 1, 4], "inhale": [1, 1, -1], "reference": "snapshot"},
            "dose": {"prescription_gy": 22.8},
            "simulation": {"fractions": 2, "samples": 10, "patients": 30, "seed": 1},
        }
    )


def written(request: Request, out: Path) -> tuple[dict[str, Any], dict[str, Any] | None]:
    run_simulation(request.with_values({"output.maps": False, "output.pictures": False}), out)
    dose = out / "dose.json"
    return json.loads((out / "coverage.json").read_text()), json.loads(dose.read_text()) if dose.exists() else None


def assert_as_written(session: Session, out: Path) -> None:
    figures, request = session.figures().as_dict(), session.request
    coverage, dose = written(request, out)
    target = coverage["target"]
    assert figures["contained"] == target["contained_within_mm"]["0"]
    assert figures["miss_mm"] == target["deepest_miss_mm"]
    assert figures["sides"] == target["side_of_deepest_miss"]
    assert figures["ctv_cc"] == pytest.approx(target["volume_cc"], rel=1e-9)
    assert coverage["patients"] == figures["patients"]
    if figures["criterion"] == "dmin>=0.95" and dose is not None:
        assert figures["reached"] == dose["target"]["at_least_95_percent"]["dmin_gy"]
    if figures["criterion"] == "d98>=0.95" and dose is not None:
        assert figures["reached"] == dose["target"]["at_least_95_percent"]["d98_gy"]


@pytest.mark.filterwarnings("ignore::ptvkit.errors.PtvkitWarning")
def test_figures_after_any_changes_are_those_of_a_fresh_run(ask: Request, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    session = Session(ask)
    session.figures(30)
    checked = 0
    for number in range(1, 201):
        key = sorted(CHANGES)[rng.integers(len(CHANGES))]
        value = CHANGES[key][rng.integers(len(CHANGES[key]))]
        session.set(key, value)
        if number % 25 == 0:
            session.volumes()
        if number % 50 == 0:
            session.figures()
        if number % 100 == 0:
            figures = session.figures()
            fresh = Session(session.request).figures(figures.patients)
            assert json.dumps(figures.as_dict()) == json.dumps(fresh.as_dict())
        if number % 100 == 0:
            session.set("criteria.criterion", ("dmin>=0.95", "d98>=0.95")[number // 100 % 2])
            assert_as_written(session, tmp_path / str(number))
            checked += 1
    assert checked == 2


def test_saved_study_gives_the_same_figures(ask: Request, folder: Path, tmp_path: Path) -> None:
    session = Session(ask)
    session.set_all({"targets.ptv.I": 7.25, "guidance.action_level_mm": 1.5})
    session.figures(30)
    study = tmp_path / "elsewhere" / "study.toml"
    study.parent.mkdir()
    study.write_text(study_text(session.request, study.parent))
    assert str(folder) not in study.read_text()
    again = Request.load(study)
    assert again.tables == session.request.tables.model_copy(
        update={"cases": again.tables.cases, "targets": again.tables.targets}
    )
    assert Session(again).figures(30) == session.figures()


def test_a_key_reaches_what_declares_it_and_nothing_else(ask: Request) -> None:
    session = Session(ask)
    session.figures(30)
    made = _made_by(session)
    session.set("targets.ptv.I", 6)
    session.figures()
    assert {"ptv", "ptv_cc", "organs_in_ptv", "coverage", "reached"} <= made
    assert not made & {"gtv", "clinical", "ctv", "course", "draws", "people", "judge", "organs_in_ctv"}
    made.clear()
    session.set("criteria.criterion", "dmin>=0.9")
    session.figures()
    assert made == {"reached"}


def _made_by(session: Session) -> set[str]:
    """Names of the nodes that are worked out from now on."""
    made: set[str] = set()
    for name, kept in session._values.kept.items():

        def get(key: str, make: Any, name: str = name, kept: Any = kept, usual: Any = kept.get) -> Any:
            def counted() -> Any:
                made.add(name)
                return make()

            return usual(key, counted)

        kept.get = get
    return made


def test_declarations_name_nodes_without_cycles() -> None:
    ready: set[str] = set()
    while len(ready) < len(NODES):
        more = {name for name, node in NODES.items() if set(node.needs) <= ready} - ready
        assert more, "a cycle, or a name that is none"
        ready |= more


def test_what_a_session_does_not_have_is_refused(ask: Request) -> None:
    for key, table in (("shape_change", {"mm_per_day": 1.0}), ("parts", [{"name": "a", "fractions": 2}])):
        with pytest.raises(PtvkitError, match=key):
            Session(Request.load({**ask.content, key: table}))


def test_a_change_that_is_refused_leaves_the_session_as_it_was(ask: Request) -> None:
    session = Session(ask)
    before = session.request.content
    for key, value in (("targets.ptv", -1), ("targets.pvt", 3), ("errors.nobody.systematic_mm", 1)):
        with pytest.raises(PtvkitError, match=key.split(".")[1]):
            session.set(key, value)
    assert session.request.content == before


def test_estimates_put_hardly_any_patient_on_the_wrong_side(ask: Request) -> None:
    session = Session(ask)
    session.set("targets.lesion", "largest")
    for margin in (4, "4,S=6"):
        session.set("targets.ptv", margin)
        rough, true = session.estimate(200), session.figures(200)
        assert (rough.ptv_cc, rough.patients, rough.is_estimate) == (true.ptv_cc, 200, True)
        for share in ("contained", "reached"):
            assert 0.01 < getattr(true, share) < 0.99
            assert getattr(rough, share) == pytest.approx(getattr(true, share), abs=0.02)
        curve = session.growth_curve([-50, 0, 50], 200)
        assert curve is not None
        assert curve == pytest.approx([0, rough.reached, 1], abs=0.006)


def test_volumes_and_organs(ask: Request) -> None:
    session = Session(ask)
    session.set_all({"errors": None, "guidance.match": "none", "breathing.preset": "none"})
    figures = session.figures()
    regions = session.structures()
    assert figures.contained is None
    assert figures.reached is None
    assert regions["PTV"].volume_cc == figures.ptv_cc
    assert figures.organ_cc["liver"] == taken_cc(regions["PTV"], regions["CTV"], regions["liver"])
    assert figures.achieved["ptv"]["S"] == pytest.approx(5, abs=0.1)
    both = expand(as_region(regions["CTV"]), as_margin(5))
    assert figures.ptv_cc == pytest.approx(both.volume_cc, rel=1e-3)


def test_contours_lie_on_the_surface_of_their_slice(ask: Request) -> None:
    session = Session(ask)
    regions = session.structures()
    for plane, axis in (("axial", 2), ("coronal", 1), ("sagittal", 0)):
        positions = session.slices_mm(plane)  # type: ignore[arg-type]
        index = int(np.abs(positions - (8.0, -2.0, 30.0)[axis]).argmin())
        found = session.contours(plane, index)  # type: ignore[arg-type]
        assert list(found) == ["GTV", "CTV", "PTV", "liver"]
        for name in ("GTV", "PTV"):
            points = np.insert(np.concatenate(found[name]), axis, positions[index], axis=1)
            assert np.abs(regions[name].sample(points)).max() < 0.25
            assert len(points) > 20
    with pytest.raises(PtvkitError, match="axial"):
        session.contours("axial", len(session.slices_mm("axial")))


def test_without_a_request_it_is_the_phantom() -> None:
    figures = Session().figures()
    assert figures.gtv_cc is not None
    assert figures.gtv_cc == figures.ctv_cc == figures.ptv_cc or figures.gtv_cc == pytest.approx(figures.ptv_cc)
