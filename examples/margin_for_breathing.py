"""How much craniocaudal margin breathing needs, and what planning on the time mean saves.

    python examples/margin_for_breathing.py

A lesion of the phantom under a liver protocol: cone-beam match to bone, then soft tissue, corrected from 2 mm in any
direction.
"""

from dataclasses import replace

import ptvkit as pk

ctv = pk.expand(pk.phantom.region("lesion_2"), pk.Margin.uniform(10))
setup = [
    pk.SetupError(name="set-up", systematic_mm=(2, 2, 3), random_mm=(2, 2, 3)),
    pk.SetupError(
        name="liver position", systematic_mm=(1.5, 1.6, 3.1), random_mm=(1.8, 2.7, 3.6), seen_by="soft_tissue"
    ),
    pk.SetupError(name="delineation", systematic_mm=2, seen_by="nothing"),
]
guidance = pk.ImageGuidance(action_level_mm=2, matching_sd_mm=(1.0, 1.6, 1.4))
breathing = pk.Breathing.preset("liver-free-median", reference="snapshot", variation="free")
course = pk.Course(setup=setup, guidance=guidance, breathing=breathing, fractions=12)

for reference in ("snapshot", "time_mean"):
    planned = replace(course, breathing=replace(breathing, reference=reference))
    for length_mm in (3, 10, 20, 30):
        ptv = pk.expand(ctv, pk.Margin.uniform(10) + pk.Margin(superior=length_mm, inferior=length_mm))
        result = pk.simulate_coverage(ctv, ptv, planned, patients=200, seed=1)
        print(
            f"{reference:9}  {length_mm:2d} mm: PTV {ptv.volume_cc:6.1f} cc, never out {result.contained():.2f},"
            f" nine of ten patients miss less than {result.miss_quantile(0.9):.1f} mm"
        )

print()
print("What is left of each error, SD in mm (LR, AP, SI):")
for left in pk.residual_errors(course, seed=1):
    if left.is_some:
        print(f"  {left.name:20} systematic {left.systematic_mm.round(1)}  random {left.random_mm.round(1)}")
