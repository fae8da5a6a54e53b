"""From a planning system's structure set and back: read a GTV's contours, grow them, add CTV and PTV.

    python examples/rtstruct_in_and_out.py

Needs ptvkit[dicom]. The CT series and the structure set are made here from the phantom.
"""

import tempfile
from pathlib import Path

import ptvkit as pk
from ptvkit.io.dicom.made_series import write_series

with tempfile.TemporaryDirectory() as home:
    ct, given, out = Path(home) / "ct", Path(home) / "rs.dcm", Path(home) / "rs_ptv.dcm"
    grid = pk.phantom.grid((1.5, 1.5, 3.0))
    write_series(ct, grid)
    drawn = {name: pk.phantom.mask(source, grid) for name, source in (("GTV", "lesion_2"), ("Liver", "liver"))}
    pk.write_rtstruct(given, drawn, reference=ct)

    for roi in pk.read_rois(given):
        print(f"{roi.number} {roi.name}, {roi.kind or 'no type'}: {len(roi.contours)} contours")
    gtv = pk.read_rtstruct(given, roi="GTV", reference=ct)
    targets = pk.make_targets(
        gtv, ctv=pk.Margin.uniform(5), ptv=pk.Margin(left=5, right=5, anterior=5, posterior=5, superior=8, inferior=12)
    )
    new = {"CTV": targets.ctv, "PTV": targets.ptv}
    pk.write_rtstruct(out, new, add_to=given, description="GTV + 5 mm; + 5 mm, S 8 mm, I 12 mm")

    for name, region in new.items():
        back = pk.read_rtstruct(out, roi=name)
        print(f"{name}: {region.volume_cc:.2f} cc written, {back.volume_cc:.2f} cc read back from its contours")
