"""From a measured breathing trace to the margin that this patient needs.

    python examples/trace_to_margin.py

The trace is made here, with breaths that differ; a real one is read in the same way.
"""

import tempfile
from pathlib import Path

import numpy as np

import ptvkit as pk

with tempfile.TemporaryDirectory() as home:
    path = Path(home) / "trace.csv"
    time = np.arange(0, 120, 0.1)
    drawn = pk.Breathing.lujan(amplitude_mm=(1, 4, 13), period_s=4.0, n=2, reference="exhale", inhale=(1, 1, -1))
    moved = drawn.displacement(time) * (1 + 0.15 * np.sin(time / 7))[:, None]
    lines = [f"{t:.1f},{x:.3f},{y:.3f},{z:.3f}" for t, (x, y, z) in zip(time, moved, strict=True)]
    path.write_text("\n".join(["t_s,LR_mm,AP_mm,SI_mm", *lines]))

    trace = pk.read_trace(path, axes="RAS")

print("The trace moves by (LR, AP, SI)", np.ptp(trace.displacement_mm, axis=0).round(1), "mm")
ctv = pk.expand(pk.phantom.region("lesion_2"), pk.Margin.uniform(5))
setup = [pk.SetupError(systematic_mm=(1.5, 1.5, 1.5), random_mm=(2, 2, 2))]
for reference in ("time_mean", "exhale"):
    breathing = pk.Breathing.from_trace(trace, reference=reference, inhale=(1, 1, -1))
    course = pk.Course(setup=setup, breathing=breathing, fractions=12)
    found = pk.solve_margin(ctv, course, criterion="dmin>=0.95", shape="six", patients=100, seed=1)
    sides = ", ".join(f"{letter} {mm:.1f}" for letter, mm in found.margin.letters.items())
    print(f"planned on {reference:9}: {sides} mm, PTV {pk.expand(ctv, found.margin).volume_cc:.0f} cc")
