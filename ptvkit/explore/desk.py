"""What the page shows: the figures of a session, first ones at once and refined ones later."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Lock, Thread
from typing import Any, Final, Literal

import numpy as np

from ptvkit.errors import FileError, PtvkitError
from ptvkit.explore.controls import adjustable, controls_of
from ptvkit.io.files import write_whole
from ptvkit.io.nifti import read_image
from ptvkit.report.colours import colours_of
from ptvkit.report.convention import PLANES
from ptvkit.request.request import Request
from ptvkit.request.writing import study_text
from ptvkit.work.session import FIRST_PATIENTS, REFINED_PATIENTS, Session, SessionFigures
from ptvkit.work.targets import run_targets

State = Literal["first", "refined"]

PAUSE_S: Final = 0.4
"""Refined figures are begun once nothing was moved for so long."""
STUDY: Final = "study.toml"
PIXEL_MM: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Figures with what they are of.

    Attributes
    ----------
    version : int
        Counts the changes.
    state : {"first", "refined"}
    session : Session
        Whose request reproduces them.
    figures : SessionFigures
    """

    version: int
    state: State
    session: Session
    figures: SessionFigures


class Desk:
    """A session, the figures that are shown of it, and a thread that refines them.

    Parameters
    ----------
    request : Request
    out : path
        Folder that is saved to.

    Raises
    ------
    PtvkitError
        When the first figures cannot be worked out.
    """

    def __init__(self, request: Request, out: str | os.PathLike[str]) -> None:
        self._out = Path(out)
        self._session = Session(adjustable(Session(request).request))
        self._lock, self._news, self._version, self._open = Lock(), Condition(), 0, True
        image = self._session.request.tables.cases.image
        self._image = None if image is None else read_image(image)
        self.shown = self._first()
        self._thread = Thread(target=self._refine, name="ptvkit-explore", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread that refines."""
        with self._news:
            self._open = False
            self._news.notify_all()
        self._thread.join()

    def change(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Set keys of the request, all or none, and give the first figures.

        Raises
        ------
        PtvkitError
            When a value is not legal, or the figures cannot be worked out; what is shown stays as it was.
        """
        with self._lock:
            before = self._session.copy()
            try:
                self._session.set_all(values)
                self._version += 1
                shown = self._first()
            except PtvkitError:
                self._session = before
                raise
            with self._news:
                self.shown = shown
                self._news.notify_all()
        return self.content()

    def content(self) -> dict[str, Any]:
        """Figures, their state, and the controls, as JSON values."""
        shown = self.shown
        return {
            "version": shown.version,
            "state": shown.state,
            "figures": shown.figures.as_dict(),
            "controls": controls_of(shown.session.request),
        }

    def _first(self) -> Shown:
        session = self._session.copy()
        figures = session.figures(FIRST_PATIENTS)
        return Shown(version=self._version, state="first", session=session, figures=figures)

    def _refine(self) -> None:
        done = -1
        while True:
            with self._news:
                while self._open and self.shown.version == done:
                    self._news.wait()
                version = self.shown.version
                self._news.wait(PAUSE_S)
                if not self._open:
                    return
            if self.shown.version != version:
                continue
            session = self.shown.session.copy()
            try:
                figures = session.figures(REFINED_PATIENTS)
            except PtvkitError:
                figures = None
            done = version
            with self._news:
                if figures is not None and self.shown.version == version:
                    self.shown = Shown(version=version, state="refined", session=session, figures=figures)

    @property
    def has_image(self) -> bool:
        """Whether an image lies behind the contours."""
        return self._image is not None

    def planes(self) -> list[dict[str, Any]]:
        """The planes of the patient: their slices, mm, and the letters at their edges."""
        session = self.shown.session
        return [
            {
                "name": plane.name,
                "letters": plane.letters(),
                "right": plane.right,
                "top": plane.top,
                "slices": session.slices_mm(plane.name).tolist(),  # type: ignore[arg-type]
                "middle": self._middle(session, plane.normal),
            }
            for plane in PLANES
        ]

    def _middle(self, session: Session, axis: int) -> float:
        points = session.structures()["CTV"].surface_points()[:, axis]
        return float(points.min() + points.max()) / 2

    def colours(self) -> dict[str, str]:
        """Colour of each structure, on dark ground."""
        return colours_of(self.shown.session.structures())

    def slice_of(self, plane: str, index: int) -> dict[str, Any]:
        """Contours of a slice, and the image behind it.

        Raises
        ------
        FileError
            When there is no such plane or slice.
        """
        session = self.shown.session
        if plane not in {one.name for one in PLANES}:
            raise FileError(f"plane {plane!r}: use axial, coronal or sagittal")
        contours = session.contours(plane, index)  # type: ignore[arg-type]
        lines = {name: [np.round(line, 2).tolist() for line in each] for name, each in contours.items()}
        at = float(session.slices_mm(plane)[index])  # type: ignore[arg-type]
        return {"version": self.shown.version, "at_mm": at, "contours": lines, "image": self._pixels(plane, at)}

    def _pixels(self, plane: str, at_mm: float) -> dict[str, Any] | None:
        """CT numbers of a plane, rows from low to high: their corner, spacing and shape."""
        if self._image is None:
            return None
        values, grid = self._image
        axes = next((one.across, one.up, one.normal) for one in PLANES if one.name == plane)
        corners = grid.corners_mm
        low, high = corners.min(axis=0), corners.max(axis=0)
        across, up = (np.arange(low[a], high[a] + PIXEL_MM / 2, PIXEL_MM) for a in axes[:2])
        points = np.empty((len(up), len(across), 3))
        points[..., axes[0]], points[..., axes[1]], points[..., axes[2]] = across, up[:, None], at_mm
        index = np.rint(grid.to_index(points)).astype(int)
        inside = ((index >= 0) & (index < grid.shape)).all(axis=-1)
        found = np.full(inside.shape, -1024, np.int16)
        found[inside] = np.clip(values[tuple(index[inside].T)], -1024, 3071)
        return {
            "low": [float(across[0]), float(up[0])],
            "step": PIXEL_MM,
            "shape": list(found.shape),
            "values": _base64(found),
        }

    def save(self) -> dict[str, Any]:
        """Write the study file that reproduces the figures that are shown, the targets and their page.

        Returns
        -------
        dict
            The folder and its files, the command that reproduces the figures, and what the figures are of.

        Raises
        ------
        FileError
            When a file cannot be written.
        """
        shown, out = self.shown, self._out
        request = shown.session.request
        if request.tables.cases.gtv is not None:
            plain = {"output.page": True, "simulation.precision": None}
            run_targets(Request(content=request.with_values(plain).content, source=request.source), out)
        out.mkdir(parents=True, exist_ok=True)
        with write_whole(out / STUDY) as file:
            file.write(study_text(request, out).encode())
        return {
            "folder": str(out),
            "files": sorted(path.name for path in out.iterdir() if path.is_file()),
            "command": f"ptvkit simulate --study {out / STUDY} -o {out / 'simulated'}",
            "version": shown.version,
            "state": shown.state,
            "figures": shown.figures.as_dict(),
        }


def _base64(values: np.ndarray[Any, np.dtype[np.int16]]) -> str:
    import base64

    return base64.b64encode(values.astype("<i2").tobytes()).decode()
