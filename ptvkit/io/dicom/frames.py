"""Frames of reference: whether DICOM files share one coordinate system."""

from collections.abc import Iterable
from pathlib import Path

from ptvkit.errors import FileError
from ptvkit.io.dicom.reading import is_dicom, read_dataset


def refuse_other_frames(paths: Iterable[Path]) -> None:
    """Refuse DICOM files of different frames of reference; files of other formats are ignored.

    Parameters
    ----------
    paths : iterable of Path
        Files, and folders with a series.

    Raises
    ------
    FileError
    """
    first: tuple[Path, str] | None = None
    for path in paths:
        frame = frame_of(path)
        if not frame:
            continue
        if first is None:
            first = path, frame
        elif frame != first[1]:
            raise FileError(
                f"{path}: has another frame of reference than {first[0]}: equal coordinates are different positions;"
                " give files of one planning image"
            )


def frame_of(path: Path) -> str:
    """UID of the frame of reference of a file or series; "" when there is none or more than one."""
    file = path
    if path.is_dir():
        file = next((one for one in sorted(path.iterdir()) if one.is_file() and is_dicom(one)), path)
    if not file.is_file() or not is_dicom(file):
        return ""
    data = read_dataset(file, headers_only=True)
    rois = data.get("StructureSetROISequence") or []
    frames = {str(one.get("ReferencedFrameOfReferenceUID", "") or "") for one in rois}
    frames = frames or {str(data.get("FrameOfReferenceUID", "") or "")}
    return next(iter(frames)) if len(frames) == 1 else ""
