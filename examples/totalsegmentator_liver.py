"""The PTV of liver lesions from TotalSegmentator's folder of masks, the CTV kept inside its liver.

    python examples/totalsegmentator_liver.py

The folder is made here from the phantom; with a real one, only its path changes. On the command line the same is

    ptvkit targets segmentations/ --label liver_lesions --limit :liver --ctv 10 --ptv 10 --breathing S=12,I=18 -o out/
"""

import tempfile
import warnings
from pathlib import Path

import ptvkit as pk

warnings.simplefilter("ignore", pk.PtvkitWarning)  # which PTVs merge is printed below

with tempfile.TemporaryDirectory() as home:
    folder = Path(home) / "segmentations"
    folder.mkdir()
    grid = pk.phantom.grid((1.5, 1.5, 3.0))
    for name, source in (("liver", "liver"), ("liver_lesions", "gtv")):
        pk.write_mask(pk.phantom.mask(source, grid), folder / f"{name}.nii.gz")

    lesions = pk.read_mask(folder, label="liver_lesions")
    liver = pk.read_mask(folder, label="liver")
    targets = pk.make_targets(
        lesions,
        ctv=pk.Margin.uniform(10),
        ptv=pk.Margin.uniform(10),
        breathing=pk.Margin(superior=12, inferior=18),
        limit_ctv=liver,
    )
    for lesion in targets.lesions:
        print(f"lesion {lesion.number}: {lesion.gtv.volume_cc:6.1f} cc, its PTV merges with {list(lesion.merged_with)}")
    print(f"CTV {targets.ctv.volume_cc:.1f} cc, of which the liver's edge took {targets.cut_cc['ctv_limit']:.1f} cc")
    reached = ", ".join(f"{letter} {mm:.1f}" for letter, mm in targets.achieved["ptv"].items())
    print(f"PTV {targets.ptv.volume_cc:.1f} cc; reached {reached} mm")
    pk.write_mask(targets.ptv.to_mask(lesions.grid), Path(home) / "ptv.nii.gz")
