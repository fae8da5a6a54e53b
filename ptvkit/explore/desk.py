"""What the page shows: volumes, contours and rough shares at once, then refined figures."""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Condition, Lock, Thread
from typing import Any, Final, Literal

import numpy as np

from ptvkit.dose.criteria import criterion_of
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
from ptvkit.work.workspace import Workspace

State = Literal["first", "refined"]

PAUSE_S: Final = 0.4
"""Refined figures are begun once nothing was moved for so long."""
STUDY: Final = "study.toml"
FIRST_LINE: Final = "# Written by ptvkit explore"
"""Of a saved study; a file without it is not written over."""
GUIDANCE: Final = frozenset(("guidance.match", "guidance.action_level_mm", "guidance.mode"))
GROWTH_MM: Final = tuple(0.5 * n for n in range(-16, 25))
PIXEL_MM: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Figures with what they are of.

    Attributes
    ----------
    version : int
        Counts the changes.
    state : {"first", "refined"}
        Rough shares of few patients, or figures that the saved study reproduces.
    session : Session
        Whose request reproduces them.
    figures : SessionFigures
    curve : tuple of float
        Share of patients that meet the criterion with the PTV grown by each of `GROWTH_MM`; with refined figures.
    warnings : tuple of str
    error : str
        Why there are no refined figures.
    """

    version: int
    state: State
    session: Session
    figures: SessionFigures
    curve: tuple[float, ...] = ()
    warnings: tuple[str, ...] = ()
    error: str = ""


class Desk:
    """A session, the figures that are shown of it, and a thread that works them out.

    Parameters
    ----------
    request : Request
    out : path
        Folder that is saved to.

    Raises
    ------
    PtvkitError
        When the request cannot be used.
    """

    def __init__(self, request: Request, out: str | os.PathLike[str]) -> None:
        self._out, self._workspace = Path(out), Workspace()
        self._session = Session(adjustable(Session(request).request))
        self._guidance = self._session.request.content.get("guidance", {})
        self._changing, self._news, self._is_open = Lock(), Condition(), True
        image = self._session.request.tables.cases.image
        self._image = None if image is None else read_image(image)
        self.shown = self._first(0)
        self._thread = Thread(target=self._work, name="ptvkit-explore", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        with self._news:
            self._is_open = False
            self._news.notify_all()
        self._thread.join()

    def change(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Set keys of the request, all or none, and give the first figures; refined ones follow.

        Raises
        ------
        PtvkitError
            When a value is not legal, or no control moves its key; what is shown stays as it was.
        """
        with self._changing:
            self._check(values)
            before = self._session.copy()
            try:
                self._session.set_all(self._with_guidance(values))
                shown = self._first(self.shown.version + 1)
            except PtvkitError:
                self._session = before
                raise
            self._guidance = self._session.request.content.get("guidance", self._guidance)
            with self._news:
                self.shown = shown
                self._news.notify_all()
        return self.content()

    def _check(self, values: Mapping[str, Any]) -> None:
        """Refuse keys that no control moves: no page can name a file."""
        known = {control["key"] for control in controls_of(self._session.request)} | GUIDANCE
        for key, value in values.items():
            if key not in known or isinstance(value, bool) or not isinstance(value, int | float | str):
                raise FileError(f"{key}: no control of the page moves it to {value!r:.40}")

    def _with_guidance(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values with the guidance that was there before it was switched off, where it is switched on again."""
        match = values.get("guidance.match", "none")
        if match == "none" or "guidance" in self._session.request.content:
            return dict(values)
        return {"guidance": {**self._guidance, "match": match}, **values}

    def content(self) -> dict[str, Any]:
        """Figures, their state, and the controls, as JSON values."""
        shown = self.shown
        request = shown.session.request
        return {
            "version": shown.version,
            "state": shown.state,
            "figures": shown.figures.as_dict(),
            "criterion": criterion_of(request.tables.criteria.criterion).words,
            "controls": controls_of(request),
            "curve": {"growth_mm": GROWTH_MM, "share": shown.curve},
            "warnings": shown.warnings,
            "error": shown.error,
        }

    def wait(self, version: int, state: str, seconds: float = 20.0) -> dict[str, Any]:
        """`content` once it is no longer of that version and state, or after some seconds."""

        def is_new() -> bool:
            return not self._is_open or (self.shown.version, self.shown.state) != (version, state)

        with self._news:
            self._news.wait_for(is_new, seconds)
        return self.content()

    def _first(self, version: int) -> Shown:
        session = self._session.copy()
        with self._workspace.collected_warnings() as warned:
            figures = session.estimate(FIRST_PATIENTS)
        return Shown(version=version, state="first", session=session, figures=figures, warnings=tuple(warned))

    def _work(self) -> None:
        """Refined figures of what was changed last, once nothing was changed for a while."""
        while True:
            with self._news:
                self._news.wait_for(self._is_wanted)
                shown = self.shown
                self._news.wait_for(partial(self._is_over, shown), PAUSE_S)
                if not self._is_open:
                    return
                if self.shown is not shown:
                    continue
            found = _refined(shown, self._workspace)
            with self._news:
                if self.shown is shown:
                    self.shown = found
                    self._news.notify_all()

    def _is_over(self, shown: Shown) -> bool:
        """Whether something else is shown by now, or the thread is to end."""
        return not self._is_open or self.shown is not shown

    def _is_wanted(self) -> bool:
        """Whether there is something to work out, or the thread is to end."""
        return not self._is_open or (self.shown.state != "refined" and not self.shown.error)

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
        """Write the study file that reproduces the refined figures, the targets and their page; it waits for them.

        Returns
        -------
        dict
            The folder and its files, the command that reproduces the figures, what the figures are of, and warnings.

        Raises
        ------
        FileError
            When a file cannot be written.
        """
        with self._changing, self._news:
            self._news.wait_for(lambda: self.shown.state == "refined" or bool(self.shown.error) or not self._is_open)
            shown, out = self.shown, self._out
        if not self._is_open:
            raise FileError("nothing was saved: the page is being closed")
        if shown.error:
            raise FileError(f"nothing was saved: {shown.error}")
        request = shown.session.request
        text = study_text(request, out)
        _refuse_foreign(out / STUDY, request)
        with self._workspace.collected_warnings() as warned:
            if request.tables.cases.gtv is not None:
                run_targets(request.with_values({"output.page": True}), out)
        with write_whole(out / STUDY) as file:
            file.write(f"{FIRST_LINE}\n\n{text}".encode())
        return {
            "folder": str(out),
            "files": sorted(path.name for path in out.iterdir() if path.is_file()),
            "command": shlex.join(["ptvkit", "simulate", "--study", str(out / STUDY), "-o", str(out / "simulated")]),
            "version": shown.version,
            "state": shown.state,
            "figures": shown.figures.as_dict(),
            "warnings": tuple(warned),
        }


def _refuse_foreign(study: Path, request: Request) -> None:
    """Refuse to write over the study file that the page began with, or one that it did not write."""
    if study.exists() and not study.read_text(encoding="utf-8", errors="replace").startswith(FIRST_LINE):
        raise FileError(f"{study}: is there already, and no study that was saved here; choose another folder")


def _refined(shown: Shown, workspace: Workspace) -> Shown:
    """The refined figures, or why there are none."""
    session = shown.session.copy()
    try:
        with workspace.collected_warnings() as warned:
            figures = session.figures(REFINED_PATIENTS)
            curve = session.growth_curve(GROWTH_MM, FIRST_PATIENTS)
    except PtvkitError as error:
        return replace(shown, error=str(error))
    except Exception as error:  # the thread goes on, and the page says what happened
        return replace(shown, error=f"a bug in ptvkit: {type(error).__name__}: {error}")
    shares = () if curve is None else tuple(curve.tolist())
    return Shown(
        version=shown.version,
        state="refined",
        session=session,
        figures=figures,
        curve=shares,
        warnings=tuple(dict.fromkeys((*shown.warnings, *warned))),
    )


def _base64(values: np.ndarray[Any, np.dtype[np.int16]]) -> str:
    import base64

    return base64.b64encode(values.astype("<i2").tobytes()).decode()
