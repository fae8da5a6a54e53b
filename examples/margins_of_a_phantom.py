"""What a margin of 3 mm becomes on thin and thick slices, sub-voxel and by the classical voxel rule.

    python examples/margins_of_a_phantom.py

Uses the phantom's round lesion (radius 12 mm), whose true grown volume is known.
"""

import math
import warnings

import ptvkit as pk

RADIUS_MM, MARGIN_MM = 12.0, 3.0
true_cc = 4 / 3 * math.pi * (RADIUS_MM + MARGIN_MM) ** 3 / 1000

warnings.simplefilter("error")
print(f"A sphere of {RADIUS_MM:g} mm grown by {MARGIN_MM:g} mm holds {true_cc:.2f} cc.")
print("slices   sub-voxel      voxel rule")
for slice_mm in (1.0, 2.0, 3.0, 5.0):
    gtv = pk.phantom.mask("lesion_2", pk.phantom.grid((0.98, 0.98, slice_mm)))
    margin = pk.Margin.uniform(MARGIN_MM)
    surface = pk.expand(pk.region_from_mask(gtv), margin).volume_cc
    voxels = pk.expand(gtv, margin, method="voxel").volume_cc
    shares = [f"{volume:6.2f} ({100 * (volume / true_cc - 1):+.1f} %)" for volume in (surface, voxels)]
    print(f"{slice_mm:3g} mm  {'  '.join(shares)}")
