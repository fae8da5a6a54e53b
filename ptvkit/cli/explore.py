"""`ptvkit explore`: a local page on which margins and errors are moved."""

from typing import TYPE_CHECKING, Any, Final

from ptvkit.cli import demo, groups
from ptvkit.cli.declared import Words, argument, option
from ptvkit.cli.printing import remark, say
from ptvkit.cli.texts import folder
from ptvkit.errors import FileError

if TYPE_CHECKING:
    from ptvkit.request.request import Request

STUDY: Final = "liver-protocol"
BEGIN_MM: Final = 5.0
"""PTV margin that the sliders begin with where neither study nor option names one."""
OPTIONS: Final = (
    argument("gtv", "GTV in any format, FILE:NAME; by default the built-in phantom's.", "cases.gtv"),
    option("--image", "CT behind the contours.", "cases.image", metavar="FILE"),
    option(
        "--organ",
        "A healthy organ: how much of it lies inside the PTV.",
        "targets.organ",
        metavar=groups.STRUCTURE,
    ),
    option(
        "--study",
        "Margins and what displaces the target: a TOML file; liver-protocol by default.",
        metavar="FILE|NAME",
        default=STUDY,
    ),
    option(
        "--phases",
        "A folder of phases of a 4D image, in place of a GTV: planned at mid-ventilation, with its own breathing.",
        metavar="DIR",
    ),
    option("--out -o", "Folder that Save writes to.", metavar="DIR", default="ptvkit-explore", value=folder),
    option("--port", "Port on this machine; 0 is any free one.", kind=int, default=0),
    option("--browser/--no-browser", "Open the page in a browser.", kind=bool, default=True),
    groups.SET,
)


def explore(words: Words) -> None:
    """Open a local page with sliders: margins, breathing, guidance and errors, and what they do at once.

    Nothing leaves this machine. Ctrl-C, or closing the last page, ends it.
    """
    port = words["port"]
    if not 0 <= port <= 65535:
        raise FileError(f"--port {port}: use 0 to 65535; 0 is any free one")
    server = _server()
    request = _with_margins(words.request(words["study"], _of_phases(words)))
    try:
        own = server.listening(port)
    except OSError as error:
        raise FileError(f"--port {port}: cannot be used: {error.strerror}; choose another, or 0") from None
    from secrets import token_urlsafe

    from ptvkit.explore.desk import Desk

    token = token_urlsafe(32)
    try:
        remark("reading the structures")
        desk = Desk(request, words["out"])
    except BaseException:
        own.close()
        raise
    address = f"http://{server.ADDRESS}:{own.getsockname()[1]}/?token={token}"
    say(address)
    if words["browser"]:
        import webbrowser

        webbrowser.open(address)
    server.serve(desk, own, token)


COMMANDS: Final = (("explore", explore, OPTIONS),)


def _of_phases(words: Words) -> dict[str, Any]:
    """Values of a request that is planned on phases."""
    phases = words["phases"]
    if phases is None:
        return {}
    if "cases.gtv" in words.overrides:
        raise FileError("--phases: its folder holds the GTV; leave GTV out")
    planned = {"targets.motion": "mid_ventilation", "breathing.phases": phases, "breathing.reference": "planned"}
    return {"cases.gtv": phases, **planned, **words.overrides}


def _with_margins(request: "Request") -> "Request":
    """The request with margins to begin with where it has none; for the phantom those of the demo."""
    cases, targets = request.content.get("cases", {}), request.content.get("targets", {})
    if "ctv" in cases or {"ctv", "ptv", "breathing", "lesions"} & set(targets):
        return request
    if any(key in cases for key in ("gtv", "masks", "manifest")):
        return request.with_values({"targets": {**targets, "ptv": BEGIN_MM}})
    begin = {"ctv": demo.CTV, "ptv": demo.PTV, "breathing": demo.BREATHING, "limit": "phantom:liver"}
    return request.with_values({"targets": {"organ": "phantom:liver", **begin, **targets}})


def _server() -> Any:
    """The server.

    Raises
    ------
    FileError
        When what it needs is not installed.
    """
    try:
        from ptvkit.explore import server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("fastapi", "uvicorn"):
            raise
        raise FileError(f"explore needs {error.name}; install it with: pip install 'ptvkit[explore]'") from None
    return server
