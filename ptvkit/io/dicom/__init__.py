"""DICOM: structure sets, doses, segmentations, image series. LPS is turned into RAS here and nowhere else."""
