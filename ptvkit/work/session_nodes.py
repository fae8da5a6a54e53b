"""What the figures of a session are worked out from: the one table of what depends on what."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ptvkit.analysis.needed import (
    Judge,
    Plan,
    Population,
    field_of,
    judge_of,
    needs_at,
    needs_of,
    population_of,
    room_of,
)
from ptvkit.analysis.positions import NONE
from ptvkit.dose.criteria import Criterion, criterion_of
from ptvkit.dose.simulate import accumulated, prepare_dose, simulate_dose
from ptvkit.geometry.boolean import intersection, union
from ptvkit.geometry.centroid import centroid
from ptvkit.geometry.extent import extent
from ptvkit.geometry.grid import Grid
from ptvkit.geometry.phases import Phases
from ptvkit.geometry.reconstruct import as_region
from ptvkit.geometry.region import Region
from ptvkit.geometry.resample import grid_around, resampled
from ptvkit.io.naming import StructureRef
from ptvkit.kernels.field import Field
from ptvkit.kernels.level import sample_points
from ptvkit.kernels.needed import Positions
from ptvkit.margins.lesion_parts import clinical_parts, lesion_parts, planned_parts
from ptvkit.margins.margin import PATIENT, Margin, as_margin
from ptvkit.margins.targets import Targets
from ptvkit.motion.course import BLOCK, blocks, draw_block, samples_of
from ptvkit.motion.coverage import filled, prepare
from ptvkit.motion.drawn import Drawn
from ptvkit.motion.estimate import Estimate, share
from ptvkit.motion.result import CoverageResult
from ptvkit.motion.simulate import Misses, deepest_of, misses, simulate_coverage
from ptvkit.request.schema import DoseTable
from ptvkit.work.dependencies import Node, Reads
from ptvkit.work.structures import gtv_of, judged_ctv, margins_of, targets_of
from ptvkit.work.values import course_of, dose_of

CLOSE_MM: Final = 0.1
"""Patients whose needed margin is this close to the PTV's are simulated in full."""
DRAWS: Final = ("simulation.seed", "simulation.samples", "simulation.patients")
MADE_FROM: Final = (
    *(f"targets.{key}" for key in ("ctv", "ptv", "breathing", "breathing_shape", "limit", "avoid", "clearance_mm")),
    *("targets.lesion", "targets.lesions", "targets.motion"),
)
PLAN: Final = ("dose.penumbra_mm", "dose.edge_level", "dose.prescribed_to")
WORST, CONTAINED = criterion_of("dmin>=0.95"), criterion_of("contained")
COARSE_MM: Final = 2.5
"""Spacing of the lattice of estimates."""
SURFACE_STEP: Final = 7
"""Every so many points of the surface say what the lattice adds to a distance."""
Floats = NDArray[np.float64]


def _gtv(reads: Reads) -> Any:
    """The GTV as it is in its file; None where CTV and PTV are named."""
    cases = reads.request.tables.cases
    return None if cases.ctv is not None and cases.ptv is not None else gtv_of(reads.request)


def _gtv_region(reads: Reads) -> Region | None:
    gtv = reads["gtv"]
    if isinstance(gtv, Phases):
        found: Region = reads["of_phases"][0].gtv
        return found
    return None if gtv is None else replace(as_region(gtv), name="GTV")


def _of_phases(reads: Reads) -> tuple[Targets, Region] | None:
    """Targets of a 4D image, all anew with each change, and the CTV that is displaced; None without one."""
    if not isinstance(reads["gtv"], Phases):
        return None
    targets = targets_of(reads.request, reads["gtv"])
    return targets, judged_ctv(reads.request, reads["gtv"], targets)


def _gtv_parts(reads: Reads) -> tuple[Region, ...]:
    gtv = reads["gtv"]
    return lesion_parts(gtv, as_region(gtv))


def _clinical(reads: Reads) -> tuple[Region, ...]:
    table, starts = reads.request.tables.targets, reads["gtv_parts"]
    assert table is not None, "a session has [targets]"
    margins = _for_each(margins_of(reads.request, reads["gtv"])[0], len(starts))
    limit = None if table.limit is None else StructureRef.parse(table.limit).read()
    avoid = [StructureRef.parse(name).read() for name in _listed(table.avoid)]
    return clinical_parts(starts, margins, limit, avoid, table.clearance_mm).parts


def _ctv(reads: Reads) -> Region:
    if reads["gtv"] is None:
        return filled(StructureRef.parse(str(reads.request.tables.cases.ctv)).read())
    if isinstance(reads["gtv"], Phases):
        found: Region = reads["of_phases"][1]
        return found
    return replace(union(*reads["clinical"]), name="CTV")


def _ptv(reads: Reads) -> Region:
    if reads["gtv"] is None:
        return filled(StructureRef.parse(str(reads.request.tables.cases.ptv)).read())
    if isinstance(reads["gtv"], Phases):
        found: Region = reads["of_phases"][0].ptv
        return found
    table, parts = reads.request.tables.targets, reads["clinical"]
    assert table is not None, "a session has [targets]"
    margins = _for_each(margins_of(reads.request, reads["gtv"])[1], len(parts))
    breathing = as_margin(table.breathing, "targets.breathing")
    return replace(union(*planned_parts(parts, margins, breathing, table.breathing_shape)), name="PTV")


def _uniform(reads: Reads) -> float | None:
    """The PTV's margin where it is one number on all sides of all lesions, mm."""
    table = reads.request.tables.targets
    if reads["gtv"] is None or isinstance(reads["gtv"], Phases) or table is None or table.lesions:
        return None
    breathing = as_margin(table.breathing, "targets.breathing")
    sides = set((as_margin(table.ptv, "targets.ptv") + breathing).letters.values())
    is_swept = table.breathing_shape == "sweep" and not breathing.is_zero
    return None if len(sides) > 1 or is_swept else sides.pop()


def _for_each(margins: Margin | list[Margin], count: int) -> list[Margin]:
    return [margins] * count if isinstance(margins, Margin) else margins


def _listed(names: str | list[str] | None) -> list[str]:
    return [names] if isinstance(names, str) else names or []


def _organs(reads: Reads) -> dict[str, Region]:
    """Structures that the request names beside the targets, by name."""
    table = reads.request.tables.targets
    assert table is not None, "a session has [targets]"
    names = [*_listed(table.organ), *_listed(table.avoid), *_listed(table.limit)]
    refs = [StructureRef.parse(name) for name in dict.fromkeys(names)]
    return {ref.title: as_region(ref.read()) for ref in refs}


def _image_grid(reads: Reads) -> Grid:
    """The grid of the GTV's or the CTV's file."""
    grid: Grid = (reads["ctv"] if reads["gtv"] is None else reads["gtv"]).grid
    return grid


def _within(inner: Region, organs: Mapping[str, Region]) -> dict[str, float]:
    return {name: intersection(inner, organ).volume_cc for name, organ in organs.items()}


def _organ_cc(reads: Reads) -> dict[str, float]:
    """What the margin takes of each organ, as `taken_cc` has it."""
    ptv, ctv = reads["organs_in_ptv"], reads["organs_in_ctv"]
    return {name: max(cc - ctv[name], 0.0) for name, cc in ptv.items()}


def _turning_centre(reads: Reads) -> tuple[float, ...]:
    """What the target turns about; the origin where nothing turns, as then it does not matter."""
    return tuple(centroid(reads["ctv"]).tolist()) if reads["course"].turns else (0.0, 0.0, 0.0)


def _draws(reads: Reads) -> list[Drawn]:
    ask, course = reads.request.tables.simulation, reads["course"]
    times, centre = samples_of(course, ask.samples), np.array(reads["turning_centre"])
    return [draw_block(course, *block, ask.seed, times, centre) for block in blocks(ask.patients)]


def _prepared(reads: Reads) -> Any:
    return prepare(reads["ctv"], reads["ptv"], reads["course"], seed=reads.request.tables.simulation.seed)


def _coverage(reads: Reads) -> CoverageResult:
    """Misses alone: covered volume and times are not worked out."""
    ready = reads["prepared"]
    by_block = [[misses(depths) for depths in ready.extremes(drawn)] for drawn in reads["draws"]]
    lesions = [
        Misses(*(np.concatenate(field) for field in zip(*each, strict=True))) for each in zip(*by_block, strict=True)
    ]
    worst = deepest_of(lesions)
    unknown = np.full(worst.miss_mm.shape, np.nan)
    volume = float(ready.volumes_cc.sum())
    return CoverageResult(
        name="CTV", volume_cc=volume, coverage=unknown, time_out=unknown, miss_mm=worst.miss_mm, side=worst.side
    )


def _people(reads: Reads) -> Any:
    ask, course = reads.request.tables.simulation, reads["course"]
    centre = np.array(reads["turning_centre"])
    return population_of(course, ask.patients, ask.seed, samples_of(course, ask.samples), centre, WORST.metric.name)


def _plan(reads: Reads) -> Plan | None:
    """The idealised dose, where one penumbra and no file describe it."""
    table = reads.request.tables.dose or DoseTable()
    if isinstance(table.penumbra_mm, list):
        return None
    return Plan(penumbra_mm=table.penumbra_mm, edge_level=table.edge_level, prescribed_to=table.prescribed_to)


def _deep_mm(reads: Reads) -> float:
    """How far inside a PTV distances matter to the dose."""
    plan = reads["plan"]
    return 0.0 if plan is None else 1.0 - float(plan.curve().first_mm)


def _judge(reads: Reads) -> Judge:
    return judge_of(reads["ctv"], WORST, Plan(), centroid(reads["ctv"]))


def _ready_dose(reads: Reads) -> Any:
    dose = dose_of(reads.request, reads["ptv"])
    assert dose is not None, "asked for where there is one"
    return prepare_dose(dose, reads["ctv"], reads["course"], seed=reads.request.tables.simulation.seed)


def criterion_in(reads: Reads) -> Criterion:
    """The criterion that the request has."""
    return criterion_of(reads.request.tables.criteria.criterion)


def _reached(reads: Reads) -> Estimate | None:
    """Share of the patients that meet the criterion; None without a dose to judge by."""
    criterion, ask, table = criterion_in(reads), reads.request.tables.simulation, reads.request.tables.dose
    if criterion.metric.name == "contained":
        contained: Estimate = reads["coverage"].contained()
        return contained
    if criterion.metric.entry.source == "coverage":
        result = simulate_coverage(
            reads["ctv"],
            reads["ptv"],
            reads["course"],
            prepared=reads["prepared"],
            patients=ask.patients,
            seed=ask.seed,
            samples=ask.samples,
        )
        return share(int(criterion.met(result).sum()), ask.patients)
    if table is None:
        return None
    is_worst_point = criterion.metric.name == WORST.metric.name and criterion.at_least
    if is_worst_point and table.file is None and table.prescription_gy is not None and reads["plan"] is not None:
        return _reached_by_worst_point(reads, criterion, table.prescription_gy)
    dose = dose_of(reads.request, reads["ptv"])
    assert dose is not None, "a table of dose describes one"
    dosed = simulate_dose(
        dose, reads["ctv"], reads["course"], patients=ask.patients, seed=ask.seed, samples=ask.samples
    )
    return share(int(criterion.met(dosed).sum()), ask.patients)


def _reached_by_worst_point(reads: Reads, criterion: Criterion, prescribed_gy: float) -> Estimate:
    """Who needs a margin near the PTV's is simulated in full, and no one else."""
    uniform, people, ask = reads["uniform"], reads["people"], reads.request.tables.simulation
    judge = replace(reads["judge"], criterion=criterion, plan=reads["plan"])
    field = reads["ptv_field"] if uniform is None else reads["ctv_field"]
    margin = 0.0 if uniform is None else uniform
    met = needs_at(judge, field, people, margin - CLOSE_MM) <= margin - CLOSE_MM
    close = ~met & (needs_at(judge, field, people, margin + CLOSE_MM) <= margin + CLOSE_MM)
    for patient in np.flatnonzero(close).tolist():
        block, place = divmod(patient, BLOCK)
        metrics = accumulated(reads["ready_dose"], reads["draws"][block].of_patient(place))[0]
        met[patient] = criterion.metric.of_dose(metrics) >= criterion.level * prescribed_gy - 1e-9
    return share(int(met.sum()), ask.patients)


def _ends(reads: Reads) -> Population:
    """Two positions of each fraction: the ends of its largest stroke."""
    found = [_two_ends(drawn.extreme_shifts_mm) for drawn in reads["draws"]]
    shifts = np.ascontiguousarray(np.concatenate(found))
    turns = [drawn.turns for drawn in reads["draws"] if drawn.turns is not None]
    weights = np.full(shifts.shape[:3], 1.0 / (2 * shifts.shape[1]))
    at = Positions(shifts, weights, np.concatenate(turns) if turns else np.zeros((0, 0, 3, 3)))
    return Population(at=at, few=NONE, spread_mm=0.0)


def _two_ends(shifts_mm: Floats) -> Floats:
    """Of displacements (P, F, E, 3) those (P, F, 2, 3) that lie furthest along the axis on which they spread most."""
    axis = int(np.ptp(shifts_mm, axis=2).max(axis=(0, 1)).argmax())
    along = shifts_mm[..., axis]
    which = np.stack([along.argmin(axis=2), along.argmax(axis=2)], axis=2)
    return np.take_along_axis(shifts_mm, which[..., None], axis=2)


def _field(reads: Reads, name: str) -> Field:
    """Distance from a structure's surface, as far as patients need it."""
    region = reads[name]
    return field_of(region, room_of(region, [reads["people"]]), reads["deep_mm"])


def _coarse_field(reads: Reads) -> Field:
    """Distance from the PTV on a coarse lattice, less what the lattice adds to it on average."""
    ptv, people = reads["ptv"], reads["people"]
    spacing = max(COARSE_MM, min(ptv.grid.spacing_mm))
    coarse = resampled(ptv, grid_around(ptv, PATIENT, spacing))
    field = field_of(coarse, room_of(coarse, [people]), reads["deep_mm"])
    points = ptv.surface_points()[::SURFACE_STEP]
    index = points @ field.to_index[:, :3].T + field.to_index[:, 3]
    offset = np.float32(np.mean(sample_points(field.values, index)))
    return Field(field.values - offset, field.to_index, field.spacing_mm)


def _estimates(reads: Reads) -> tuple[Estimate, Estimate | None]:
    """Share of the patients that are contained, and share that meet a criterion on Dmin, on a coarse lattice."""
    criterion, table = criterion_in(reads), reads.request.tables.dose
    judge, field, count = reads["judge"], reads["coarse_field"], reads.request.tables.simulation.patients
    depth = needs_at(replace(judge, criterion=CONTAINED), field, reads["ends"], 0.0)
    contained = share(int((depth <= 0).sum()), count)
    if criterion.metric.name == CONTAINED.metric.name:
        return contained, contained
    if criterion.metric.name != WORST.metric.name or table is None or table.file is not None or reads["plan"] is None:
        return contained, None
    by_dose = replace(judge, criterion=criterion, plan=reads["plan"])
    needed = needs_at(by_dose, field, reads["people"], 0.0)
    return contained, share(int((needed <= 0).sum()), count)


def _lacking(reads: Reads) -> Floats | None:
    """How much larger the PTV must be on all sides for each patient to meet a criterion on Dmin, mm, roughly."""
    criterion, table = criterion_in(reads), reads.request.tables.dose
    if criterion.metric.name != WORST.metric.name or table is None or table.file is not None or reads["plan"] is None:
        return None
    judge = replace(reads["judge"], criterion=criterion, plan=reads["plan"])
    return needs_of(judge, reads["coarse_field"], reads["people"], (0.0, 1.0)).middle


NODES: Final[Mapping[str, Node]] = {
    "gtv": Node(make=_gtv, keys=("cases", "targets.lesion", "targets.motion"), kept=2),
    "of_phases": Node(make=_of_phases, keys=("cases", *MADE_FROM), needs=("gtv",), kept=2, by_value=True),
    "gtv_region": Node(make=_gtv_region, needs=("gtv", "of_phases"), kept=2),
    "gtv_parts": Node(make=_gtv_parts, needs=("gtv",), kept=2),
    "clinical": Node(
        make=_clinical,
        keys=tuple(f"targets.{key}" for key in ("ctv", "limit", "avoid", "clearance_mm", "lesions")),
        needs=("gtv", "gtv_parts"),
    ),
    "ctv": Node(make=_ctv, keys=("cases",), needs=("gtv", "of_phases", "clinical")),
    "ptv": Node(
        make=_ptv,
        keys=("cases", *(f"targets.{key}" for key in ("ptv", "breathing", "breathing_shape", "lesions"))),
        needs=("gtv", "of_phases", "clinical"),
    ),
    "uniform": Node(
        make=_uniform,
        keys=tuple(f"targets.{key}" for key in ("ptv", "breathing", "breathing_shape", "lesions")),
        needs=("gtv",),
        by_value=True,
    ),
    "image_grid": Node(make=_image_grid, needs=("gtv", "ctv"), kept=2),
    "organs": Node(make=_organs, keys=("targets.organ", "targets.avoid", "targets.limit"), kept=2),
    "gtv_cc": Node(make=lambda reads: reads["gtv_region"].volume_cc, needs=("gtv_region",)),
    "ctv_cc": Node(make=lambda reads: reads["ctv"].volume_cc, needs=("ctv",)),
    "ptv_cc": Node(make=lambda reads: reads["ptv"].volume_cc, needs=("ptv",)),
    "gtv_extent": Node(make=lambda reads: extent(reads["gtv_region"]), needs=("gtv_region",)),
    "ctv_extent": Node(make=lambda reads: extent(reads["ctv"]), needs=("ctv",)),
    "ptv_extent": Node(make=lambda reads: extent(reads["ptv"]), needs=("ptv",)),
    "organs_in_ctv": Node(make=lambda reads: _within(reads["ctv"], reads["organs"]), needs=("ctv", "organs")),
    "organs_in_ptv": Node(make=lambda reads: _within(reads["ptv"], reads["organs"]), needs=("ptv", "organs")),
    "organ_cc": Node(make=_organ_cc, needs=("organs_in_ctv", "organs_in_ptv")),
    "course": Node(
        make=lambda reads: course_of(reads.request),
        keys=(
            "errors",
            "guidance",
            "breathing",
            "management",
            "intrafraction",
            "simulation.fractions",
            "simulation.fraction_s",
            "targets.motion",
        ),
    ),
    "turning_centre": Node(make=_turning_centre, needs=("ctv", "course"), by_value=True),
    "draws": Node(make=_draws, keys=DRAWS, needs=("course", "turning_centre"), kept=2),
    "prepared": Node(make=_prepared, keys=("simulation.seed",), needs=("ctv", "ptv", "course")),
    "coverage": Node(make=_coverage, needs=("prepared", "draws")),
    "people": Node(make=_people, keys=DRAWS, needs=("course", "turning_centre"), kept=2),
    "plan": Node(make=_plan, keys=PLAN, by_value=True),
    "deep_mm": Node(make=_deep_mm, needs=("plan",), by_value=True),
    "judge": Node(make=_judge, needs=("ctv",), kept=2),
    "ctv_field": Node(
        make=lambda reads: _field(reads, "ctv"),
        needs=("ctv", "people", "deep_mm"),
    ),
    "ptv_field": Node(
        make=lambda reads: _field(reads, "ptv"),
        needs=("ptv", "people", "deep_mm"),
    ),
    "ready_dose": Node(make=_ready_dose, keys=("dose", "simulation.seed"), needs=("ctv", "ptv", "course"), kept=2),
    "ends": Node(make=_ends, needs=("draws",), kept=2),
    "coarse_field": Node(make=_coarse_field, needs=("ptv", "people", "deep_mm")),
    "estimates": Node(
        make=_estimates,
        keys=("criteria.criterion", "dose", "simulation.patients"),
        needs=("judge", "coarse_field", "people", "ends", "plan"),
        kept=64,
    ),
    "lacking": Node(
        make=_lacking, keys=("criteria.criterion", "dose"), needs=("judge", "coarse_field", "people", "plan")
    ),
    "reached": Node(
        make=_reached,
        keys=("criteria.criterion", "dose", *DRAWS),
        needs=(
            *("ctv", "ptv", "uniform", "course", "draws", "prepared", "coverage", "people", "plan", "judge"),
            *("ctv_field", "ptv_field", "ready_dose"),
        ),
        kept=64,
    ),
}
"""The nodes by name: the keys of the request and the nodes that each reads, declared here and nowhere else."""
