"""The targets of a clinical protocol for liver metastases, on the phantom.

    python examples/liver_protocol.py

CTV = GTV + 10 mm inside the liver; PTV = CTV + 10 mm and more craniocaudally for breathing; the boost takes the largest
lesion alone.
"""

import warnings

import ptvkit as pk

warnings.simplefilter("ignore", pk.PtvkitWarning)
grid = pk.phantom.grid()
gtv, liver = pk.phantom.mask("gtv", grid), pk.phantom.mask("liver", grid)
ten = pk.Margin.uniform(10)

for amplitude_mm in (3, 10, 20, 30):
    # The liver moves further inferiorly than superiorly of the planned position; the split is the physicist's.
    breathing = pk.Margin(superior=0.4 * amplitude_mm, inferior=0.6 * amplitude_mm)
    targets = pk.make_targets(gtv, ctv=ten, ptv=ten, breathing=breathing, limit_ctv=liver)
    lacks = targets.cut_cc["breathing_lack"]
    print(f"breathing {amplitude_mm:2d} mm: PTV {targets.ptv.volume_cc:7.1f} cc, {lacks:5.1f} cc less than the sweep")

boost = pk.make_targets(
    pk.largest(gtv), ctv=ten, ptv=ten, breathing=pk.Margin(superior=5, inferior=10), limit_ctv=liver
)
print(f"boost to the largest lesion: GTV {boost.gtv.volume_cc:.1f} cc, PTV {boost.ptv.volume_cc:.1f} cc")
print("margins reached by its PTV, mm:", {letter: round(mm, 1) for letter, mm in boost.achieved["ptv"].items()})
