from . import phantom as phantom
from . import recipes as recipes
from .analysis.cost_split import coverage_split
from .analysis.lesion_change import LesionChange, LesionComparison, compare_lesions, recist_response
from .analysis.needed import Plan
from .analysis.personal import PersonalMargin, personal_margin
from .analysis.protocols import BeamTime, ProtocolRow, beam_time, compare_protocols
from .analysis.recipe_check import RecipeCheck, check_recipe
from .analysis.solution import Solution, Trial
from .analysis.solve import solve_margin
from .analysis.strategies import Comparison, Strategy, compare_strategies
from .dose.biology import Clonogens, Lyman, TumourControl, geud, ntcp, tcp
from .dose.conformal import conformal_dose
from .dose.dose import Dose
from .dose.fractionation import bed, eqd2, plan_sum
from .dose.limits import DoseLimit, LimitCheck, LimitShare, check_limits, limits_kept
from .dose.metrics import DoseMetrics, dose_metrics, dvh
from .dose.prescription import Conformity, conformity, prescribe
from .dose.result import DoseResult
from .dose.simulate import simulate_dose
from .dose.treatment import Part, simulate_treatment
from .errors import (
    DoseError,
    EmptyMaskError,
    FileError,
    GridError,
    MarginError,
    MaskError,
    MotionError,
    PtvkitError,
    PtvkitWarning,
)
from .geometry.boolean import difference, intersection, union
from .geometry.components import largest, lesions
from .geometry.extent import extent
from .geometry.grid import Grid
from .geometry.mask import Mask
from .geometry.phases import Phases
from .geometry.reconstruct import region_from_mask
from .geometry.region import Region
from .io.adapters import as_mask, like, register_adapter
from .io.dicom.rtstruct import Roi, read_rois, read_rtstruct
from .io.dicom.rtstruct_write import write_rtstruct
from .io.dicom.seg import read_seg, write_seg
from .io.dicom.series import read_ct
from .io.dose import read_dose, write_dose
from .io.formats import read_segments, read_structure, write_segments
from .io.nifti import read_grid, read_image, read_labels, read_mask, write_image, write_mask
from .io.nnunet import nnunet_labels
from .io.phases import read_phases
from .io.segment import Segment
from .io.shifts import read_shifts
from .io.traces import read_trace
from .margins.between import HeldMargin, margin_between
from .margins.expand import contract, expand, expand_along
from .margins.margin import Margin
from .margins.phases import MotionTarget, itv, mid_position
from .margins.structures import prv, ring, wall
from .margins.targets import Targets, make_targets
from .motion.breathing import Breathing
from .motion.cost import Cost
from .motion.course import Course, sample_course
from .motion.coverage import coverage, prepare
from .motion.cycles import TraceStatistics, trace_statistics
from .motion.estimate import Estimate
from .motion.exact.derivatives import Derivatives
from .motion.exact.result import ExactCoverage
from .motion.guidance import ImageGuidance
from .motion.intrafraction import Intrafraction
from .motion.management.breath_hold import BreathHold
from .motion.management.compression import Compression
from .motion.management.figures import BeamFigures, beam_figures
from .motion.management.gate import Gate
from .motion.management.tracking import Tracking
from .motion.maps import ProbabilityMaps, probability_maps
from .motion.population import SetupStatistics, setup_statistics
from .motion.presets import breathing_presets
from .motion.residuals import Residual, residual_errors
from .motion.result import CoverageResult
from .motion.setup import SetupError
from .motion.several import SeveralTargets, simulate_targets
from .motion.shape_change import ShapeChange
from .motion.simulate import simulate_coverage
from .motion.trajectory import Trajectory
from .motion.variation import Variation
from .request.limits import read_limits
from .request.request import Request
from .work.compare import CompareOutcome, run_compare
from .work.lesions import LesionsOutcome, run_lesions
from .work.results import read_results
from .work.sensitivity import read_sensitivity
from .work.session import Session, SessionFigures
from .work.simulation import SimulationOutcome, run_simulation
from .work.solve import run_solve
from .work.study import Outcome, merge_study, run_study
from .work.targets import TargetsOutcome, run_targets

__all__ = [
    "BeamFigures",
    "BeamTime",
    "BreathHold",
    "Breathing",
    "Clonogens",
    "CompareOutcome",
    "Comparison",
    "Compression",
    "Conformity",
    "Cost",
    "Course",
    "CoverageResult",
    "Derivatives",
    "Dose",
    "DoseError",
    "DoseLimit",
    "DoseMetrics",
    "DoseResult",
    "EmptyMaskError",
    "Estimate",
    "ExactCoverage",
    "FileError",
    "Gate",
    "Grid",
    "GridError",
    "HeldMargin",
    "ImageGuidance",
    "Intrafraction",
    "LesionChange",
    "LesionComparison",
    "LesionsOutcome",
    "LimitCheck",
    "LimitShare",
    "Lyman",
    "Margin",
    "MarginError",
    "Mask",
    "MaskError",
    "MotionError",
    "MotionTarget",
    "Outcome",
    "Part",
    "PersonalMargin",
    "Phases",
    "Plan",
    "ProbabilityMaps",
    "ProtocolRow",
    "PtvkitError",
    "PtvkitWarning",
    "RecipeCheck",
    "Region",
    "Request",
    "Residual",
    "Roi",
    "Segment",
    "Session",
    "SessionFigures",
    "SetupError",
    "SetupStatistics",
    "SeveralTargets",
    "ShapeChange",
    "SimulationOutcome",
    "Solution",
    "Strategy",
    "Targets",
    "TargetsOutcome",
    "TraceStatistics",
    "Tracking",
    "Trajectory",
    "Trial",
    "TumourControl",
    "Variation",
    "as_mask",
    "beam_figures",
    "beam_time",
    "bed",
    "breathing_presets",
    "check_limits",
    "check_recipe",
    "compare_lesions",
    "compare_protocols",
    "compare_strategies",
    "conformal_dose",
    "conformity",
    "contract",
    "coverage",
    "coverage_split",
    "difference",
    "dose_metrics",
    "dvh",
    "eqd2",
    "expand",
    "expand_along",
    "extent",
    "geud",
    "intersection",
    "itv",
    "largest",
    "lesions",
    "like",
    "limits_kept",
    "make_targets",
    "margin_between",
    "merge_study",
    "mid_position",
    "nnunet_labels",
    "ntcp",
    "personal_margin",
    "phantom",
    "plan_sum",
    "prepare",
    "prescribe",
    "probability_maps",
    "prv",
    "read_ct",
    "read_dose",
    "read_grid",
    "read_image",
    "read_labels",
    "read_limits",
    "read_mask",
    "read_phases",
    "read_results",
    "read_rois",
    "read_rtstruct",
    "read_seg",
    "read_segments",
    "read_sensitivity",
    "read_shifts",
    "read_structure",
    "read_trace",
    "recipes",
    "recist_response",
    "region_from_mask",
    "register_adapter",
    "residual_errors",
    "ring",
    "run_compare",
    "run_lesions",
    "run_simulation",
    "run_solve",
    "run_study",
    "run_targets",
    "sample_course",
    "setup_statistics",
    "simulate_coverage",
    "simulate_dose",
    "simulate_targets",
    "simulate_treatment",
    "solve_margin",
    "tcp",
    "trace_statistics",
    "union",
    "wall",
    "write_dose",
    "write_image",
    "write_mask",
    "write_rtstruct",
    "write_seg",
    "write_segments",
]
