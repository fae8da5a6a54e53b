"""A PTV for each lesion that nnU-Net found, in one file with a label for each.

    python examples/nnunet_lesions.py

The prediction and its dataset.json are made here from the phantom. Many cases at once, on the command line:

    ptvkit targets --each predictions/ --label lesion --limit :liver --ctv 5 --ptv 10 -o out/
"""

import json
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

import ptvkit as pk

with tempfile.TemporaryDirectory() as home:
    grid = pk.phantom.grid((1.5, 1.5, 3.0))
    labels = pk.phantom.mask("liver", grid).array.astype(np.uint8)
    labels[pk.phantom.mask("gtv", grid).array] = 2
    prediction = Path(home) / "liver_001.nii.gz"
    nib.save(nib.Nifti1Image(labels, grid.affine), prediction)
    # region-based training: the liver is labels 1 and 2 together
    named = {"labels": {"background": 0, "liver": [1, 2], "lesion": 2}, "regions_class_order": [1, 2]}
    (Path(home) / "dataset.json").write_text(json.dumps(named))

    print("labels:", pk.nnunet_labels(home))
    liver = pk.read_mask(prediction, label="liver")
    ptvs = {}
    for number, lesion in enumerate(pk.lesions(pk.read_mask(prediction, label="lesion")), start=1):
        targets = pk.make_targets(lesion, ctv=pk.Margin.uniform(5), ptv=pk.Margin.uniform(10), limit_ctv=liver)
        ptvs[f"PTV {number}"] = targets.ptv
        print(f"lesion {number}: GTV {lesion.volume_cc:6.2f} cc, PTV {targets.ptv.volume_cc:6.2f} cc")
    pk.write_segments(
        Path(home) / "ptvs.seg.nrrd", [pk.Segment(name=name, shape=r.to_mask(grid)) for name, r in ptvs.items()]
    )
    print("written, overlaps kept:", [one.name for one in pk.read_segments(Path(home) / "ptvs.seg.nrrd")])
