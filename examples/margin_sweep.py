"""What each millimetre of PTV margin buys one patient, and what it costs in volume.

python examples/margin_sweep.py
"""

import ptvkit as pk

ctv = pk.expand(pk.phantom.region("lesion_2"), pk.Margin.uniform(5))
liver = pk.phantom.region("liver", 2.0)
setup = [
    pk.SetupError(name="set-up", systematic_mm=(2, 2, 3), random_mm=(2, 2, 3)),
    pk.SetupError(name="delineation", systematic_mm=(2, 2, 2), seen_by="nothing"),
]
course = pk.Course(
    setup=setup,
    guidance=pk.ImageGuidance(match="bone", action_level_mm=2),
    breathing=pk.Breathing.preset("liver-free-median", reference="time_mean", variation="free"),
    fractions=12,
)

print("margin   PTV cc   healthy liver cc   CTV never out   Dmin >= 95 %")
for margin_mm in (2, 4, 6, 8, 10, 12):
    ptv = pk.expand(ctv, pk.Margin.uniform(margin_mm))
    healthy = pk.difference(pk.intersection(ptv, liver), ctv).volume_cc
    inside = pk.simulate_coverage(ctv, ptv, course, patients=300, seed=1).contained()
    dose = pk.conformal_dose(ptv, prescription_gy=22.8, penumbra_mm=3.2, edge_level=0.95)
    enough = pk.simulate_dose(dose, ctv, course, patients=300, seed=1).probability("dmin_gy", at_least=0.95 * 22.8)
    print(f"{margin_mm:3d} mm {ptv.volume_cc:9.1f} {healthy:14.1f} {inside.value:15.2f} {enough.value:14.2f}")
