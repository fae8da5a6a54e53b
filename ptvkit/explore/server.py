"""The local server: who may ask, and what."""

import os
import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from typing import Any, Final

import uvicorn
from fastapi import Body, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse

from ptvkit.errors import PtvkitError
from ptvkit.explore.desk import Desk
from ptvkit.explore.page import page_of

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]

ADDRESS: Final = "127.0.0.1"
GONE_S: Final = 3.0
"""So long after the last page was closed the server ends; a page that is loaded again is back sooner."""
QUIET_S: Final = 150.0
"""A page that says nothing for so long is gone; hidden pages speak once a minute."""
MOST_BYTES: Final = 100_000
HEADERS: Final = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


@dataclass(slots=True)
class Pages:
    """The pages that are open."""

    seen: dict[str, float] = field(default_factory=dict)
    left_at: float | None = None
    lock: Lock = field(default_factory=Lock)

    def is_here(self, page: str) -> None:
        """A page says that it is open."""
        with self.lock:
            self.seen[page], self.left_at = monotonic(), None

    def is_closed(self, page: str) -> None:
        """A page says that it is being closed."""
        with self.lock:
            if self.seen.pop(page, None) is not None and not self.seen:
                self.left_at = monotonic()

    def are_gone(self) -> bool:
        """Whether there were pages and the last one is closed."""
        now = monotonic()
        with self.lock:
            for page, at in list(self.seen.items()):
                if now - at > QUIET_S:
                    del self.seen[page]
                    self.left_at = now if not self.seen else None
            return self.left_at is not None and now - self.left_at > GONE_S


class Guard:
    """Lets through what carries the token and comes from this page alone.

    The host must be this server's own name, so that no other name that leads here can be used; a request that another
    page in the browser makes has another origin.

    Parameters
    ----------
    app : callable
        The application behind it.
    token : str
    port : int
    """

    def __init__(self, app: Callable[..., Awaitable[None]], token: str, port: int) -> None:
        self._app, self._token, self._host = app, token, f"{ADDRESS}:{port}"

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass on, or refuse."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http" or not self.lets_through(scope):
            await JSONResponse({"error": "refused"}, status_code=403, headers=HEADERS)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def lets_through(self, scope: Scope) -> bool:
        """Whether a request has the token, the host and the origin."""
        request = Request(scope)
        hosts, origins = request.headers.getlist("host"), request.headers.getlist("origin")
        token = request.headers.get("x-ptvkit-token") or request.query_params.get("token") or ""
        return (
            hosts == [self._host]
            and all(origin == f"http://{self._host}" for origin in origins)
            and request.headers.get("sec-fetch-site", "none") in ("none", "same-origin")
            and secrets.compare_digest(token.encode(), self._token.encode())
        )


def silence() -> None:
    """Keep the libraries from reporting anything anywhere, whatever the environment says."""
    os.environ["OTEL_SDK_DISABLED"] = "true"
    for name in [name for name in os.environ if name.startswith(("OTEL_EXPORTER", "OTEL_PYTHON", "FASTAPI_OTEL"))]:
        del os.environ[name]


def application(desk: Desk, token: str, port: int, pages: Pages) -> Guard:
    """The application: the page, and what it asks for."""
    silence()
    quiet: Any = dict.fromkeys(("auto_configure", "tracing", "metrics", "logs", "operation_spans"), False)
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, telemetry=quiet)

    @app.middleware("http")
    async def closed(request: Request, passed_on: Callable[[Request], Awaitable[Response]]) -> Response:
        if int(request.headers.get("content-length") or 0) > MOST_BYTES:
            return JSONResponse({"error": "too long"}, status_code=413, headers=HEADERS)
        response = await passed_on(request)
        response.headers.update(HEADERS)
        return response

    @app.exception_handler(PtvkitError)
    async def refused(request: Request, error: PtvkitError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, status_code=422)

    @app.exception_handler(RequestValidationError)
    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        is_input = isinstance(error, RequestValidationError)
        text = "the request holds no values that a control could have" if is_input else f"a bug in ptvkit: {error!r}"
        return JSONResponse({"error": ascii(text)[1:-1]}, status_code=422 if is_input else 500)

    @app.get("/")
    def page() -> HTMLResponse:
        nonce = secrets.token_urlsafe(16)
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self';"
            " img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return HTMLResponse(page_of(desk, token, nonce), headers={"content-security-policy": policy})

    @app.get("/figures")
    def figures(version: int = -1, state: str = "") -> dict[str, Any]:
        return desk.wait(version, state)

    @app.post("/set")
    def change(values: dict[str, Any] = Body()) -> dict[str, Any]:  # noqa: B008
        return desk.change(values)

    @app.get("/slice/{plane}/{index}")
    def one_slice(plane: str, index: int) -> dict[str, Any]:
        return desk.slice_of(plane, index)

    @app.post("/save")
    def save() -> dict[str, Any]:
        return desk.save()

    @app.post("/here/{name}")
    def here(name: str) -> dict[str, Any]:
        pages.is_here(name[:40])
        return {}

    @app.post("/closed/{name}")
    def gone(name: str) -> dict[str, Any]:
        pages.is_closed(name[:40])
        return {}

    return Guard(app, token, port)


class _Server(uvicorn.Server):
    """Ends when the last page is closed."""

    def __init__(self, config: uvicorn.Config, pages: Pages) -> None:
        super().__init__(config)
        self._pages = pages

    async def on_tick(self, counter: int) -> bool:
        """Whether it is time to end."""
        return await super().on_tick(counter) or self._pages.are_gone()


def listening(port: int) -> socket.socket:
    """A socket on this machine alone; port 0 is any free one.

    Raises
    ------
    OSError
        When the port is taken.
    """
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((ADDRESS, port))
        found.listen()
    except OSError:
        found.close()
        raise
    return found


def serve(desk: Desk, own: socket.socket, token: str) -> None:
    """Answer until Ctrl-C or until the last page is closed."""
    pages = Pages()
    app = application(desk, token, own.getsockname()[1], pages)
    config = uvicorn.Config(
        app, log_level="critical", access_log=False, lifespan="off", server_header=False, timeout_graceful_shutdown=2
    )
    try:
        _Server(config, pages).run(sockets=[own])
    finally:
        own.close()
        desk.close()
