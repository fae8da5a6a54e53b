"""What a patient's first days tell, and what the minutes on the couch cost.

    python examples/margins_that_learn.py

Correction protocols on one population, the margin that remains for one patient after each shift, and the margin against
the time for which the beam is on.
"""

from dataclasses import replace

import ptvkit as pk

population = pk.SetupError(systematic_mm=3, random_mm=3, trend_mm=0.1)
guidance = pk.ImageGuidance(
    match="bone", matching_sd_mm=1, prior_systematic_mm=3, prior_random_mm=3.2, prior_trend_mm=0.1
)
course = pk.Course(setup=[population], guidance=guidance, fractions=20)
print("protocol   margin LR, mm   images   corrections, per course")
for row in pk.compare_protocols(course, ("none", "nal", "enal", "posterior", "each"), patients=500):
    print(f"{row.name:9} {row.margin_mm[0]:14.1f} {row.images:8.1f} {row.corrections:8.1f}")

shifts = [[4, 0, -3], [1, 2, -6], [4, 1, -3]]  # displacements of the anatomy, LR, AP, SI
for days in range(len(shifts) + 1):
    own = pk.personal_margin(shifts[:days], pk.SetupError(systematic_mm=3, random_mm=3))
    print(f"after {days} shifts: correct SI by {own.correction_mm[2]:+.1f} mm, margin {own.margin_mm[2]:.1f} mm")

walk = pk.Intrafraction(walk_mm2_per_min=(0.1, 0.3, 0.8))
match = pk.ImageGuidance(match="soft_tissue", matching_sd_mm=0.5)
for name, every in (("no image while the beam is on", None), ("an image every 3 minutes", 3)):
    within = replace(walk, image_every_min=every, image_delay_min=0.5, matching_sd_mm=0.5)
    treated = pk.Course(setup=[pk.SetupError(systematic_mm=1)], guidance=match, intrafraction=within, fractions=10)
    print(f"{name}: {pk.beam_time(treated, patients=500)}")
