"""Options that several commands share."""

from dataclasses import replace
from typing import Final

from ptvkit.cli.declared import EACH, alias, option
from ptvkit.cli.texts import at_least_one, folder, setting, setup_error, triple, triple_or_word

TRIPLE: Final = "LR,AP,SI in mm, or one number for all"
STRUCTURE: Final = "FILE[:NAME]"

JSON: Final = option("--json", "Print JSON instead of tables.", kind=bool, default=False)
OUT: Final = option("--out -o", "Folder to write to.", metavar="DIR", is_required=True, value=folder)
SET: Final = option(
    "--set",
    "Any key of a study file: breathing.period_s=5. May be repeated.",
    EACH,
    metavar="KEY=VALUE",
    many=True,
    value=setting,
    panel="More",
)
STUDY: Final = option("--study", "What displaces the target: a TOML file, or liver-protocol.", metavar="FILE|NAME")
ERROR: Final = option(
    "--error",
    "A set-up error: NAME:Σ/σ[:SEEN_BY], Σ and σ LR,AP,SI in mm; SEEN_BY bone_and_soft_tissue (default),"
    " soft_tissue or nothing. May be repeated; replaces the file's.",
    "errors",
    metavar="ERROR",
    many=True,
    value=setup_error,
)
MATCH: Final = option(
    "--match", "bone, soft_tissue, bone_then_soft_tissue, or none.", "guidance.match", metavar="MATCH"
)
ACTION_LEVEL: Final = option(
    "--action-level", "Errors of at least this are corrected, mm.", "guidance.action_level_mm", kind=float
)
MATCH_IN_PANEL: Final = replace(MATCH, panel="Guidance")
ACTION_LEVEL_IN_PANEL: Final = replace(ACTION_LEVEL, panel="Guidance")
GUIDANCE: Final = (
    option("--mode", "any_axis, per_axis or vector.", "guidance.mode", panel="Guidance"),
    option(
        "--matching-sd",
        f"SD of the matching error, {TRIPLE}.",
        "guidance.matching_sd_mm",
        value=triple,
        panel="Guidance",
    ),
    option("--couch-sd", f"SD of the couch's error, {TRIPLE}.", "guidance.couch_sd_mm", value=triple, panel="Guidance"),
)
BREATHING_MODEL: Final = option(
    "--breathing-model", "Breathing by a preset's name, or none.", "breathing.preset", metavar="NAME"
)
OLD_BREATHING: Final = alias(BREATHING_MODEL, "--breathing")
REFERENCE: Final = option(
    "--reference",
    "Planned on: time_mean, exhale, inhale, mid_range, snapshot, or LR,AP,SI in mm.",
    "breathing.reference",
    value=triple_or_word,
)
MANAGEMENT: Final = option(
    "--management",
    "gate, breath_hold, tracking, compression, or none; its numbers by --set management.KEY=VALUE.",
    "management.kind",
    metavar="KIND",
    panel="Breathing",
)
AMPLITUDE: Final = option(
    "--amplitude",
    "Breathing amplitude, peak to peak, LR,AP,SI in mm.",
    "breathing.amplitude_mm",
    value=triple,
    metavar="MM",
    panel="Breathing",
)
INHALE: Final = option(
    "--inhale",
    "Direction of inhale, LR,AP,SI; for a liver 1,1,-1.",
    "breathing.inhale",
    value=triple,
    metavar="SIGNS",
    panel="Breathing",
)
PERIOD: Final = option("--period", "Breathing period, s.", "breathing.period_s", kind=float, panel="Breathing")
TRACE: Final = option(
    "--trace",
    "A measured trace; of several each patient has one.",
    "breathing.trace",
    many=True,
    metavar="FILE",
    panel="Breathing",
)
AXES: Final = option(
    "--axes", "The trace's axes: IEC61217, or letters such as RAS.", "breathing.axes", panel="Breathing"
)
POSITION: Final = option(
    "--patient-position", "For IEC61217: HFS, HFP, FFS, …", "breathing.patient_position", panel="Breathing"
)
SCALE: Final = option(
    "--scale",
    "For a surrogate: the target's mm LR,AP,SI for each mm.",
    "breathing.scale",
    value=triple,
    metavar="LR,AP,SI",
    panel="Breathing",
)
BREATHING: Final = (AMPLITUDE, INHALE, PERIOD, TRACE, AXES, POSITION, SCALE, MANAGEMENT)
FRACTIONS: Final = option("--fractions", "Fractions of each course.", "simulation.fractions", kind=int)
PATIENTS: Final = option("--patients", "Patients to simulate.", "simulation.patients", kind=int)
SAMPLES: Final = option("--samples", "Times within each fraction.", "simulation.samples", kind=int, panel="Simulation")
SEED: Final = option("--seed", "The same seed gives the same bytes.", "simulation.seed", kind=int, panel="Simulation")
PENUMBRA: Final = option(
    "--penumbra",
    f"SD of the idealised dose's penumbra, {TRIPLE}.",
    "dose.penumbra_mm",
    value=triple,
    panel="Dose",
)
EDGE_LEVEL: Final = option(
    "--edge-level",
    "Share of the prescription on the PTV's surface, idealised.",
    "dose.edge_level",
    kind=float,
    panel="Dose",
)
WORKERS: Final = option(
    "--workers",
    "Processes, one thread each; by default one process with all cores.",
    kind=int,
    value=at_least_one,
    panel="Many cases",
)
