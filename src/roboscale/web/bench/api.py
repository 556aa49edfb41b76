"""The addresses of the operator's page and what each answers.

    GET  /  /<file>                     the page itself
    GET  /api/state                     everything that the page shows, and nothing that tells policies apart
    GET  /api/picture/{camera}.jpg      what a camera shows now
    GET  /api/initial/{scene}/{camera}.jpg  what it showed when that scene was first set up, to lay over it
    POST /api/act {"action", ...}       a click: `ready`, `stop`, `release`, `score`, `void`, `correct`

Errors are `{"error": text}`. Who may ask is `web.show.guard`'s to say: the same token, host names and session.
"""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Collection, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from roboscale.core.errors import RoboscaleError
from roboscale.web.show.answers import NO_STORE, PAGE_FILES, http_error, our_error, page_file
from roboscale.web.show.guard import Guard
from roboscale.web.show.server import Served, serve_app

__all__ = ["Desk", "DeskPage", "make_bench_app", "serve_bench"]

DeskPage = Literal["bench", "arena"]
"""Who sits at the desk: the operator of a study, or an evaluator of an arena."""

_SHARED = {name: PAGE_FILES[name] for name in ("style.css", "icon.svg")}
_PAGES: dict[DeskPage, dict[str, tuple[str, str]]] = {
    "bench": PAGE_FILES,
    "arena": {"": ("arena.html", "text/html"), "arena.js": ("arena.js", "text/javascript"), **_SHARED},
}


class Desk(Protocol):
    """Whom the page asks and tells. Called from several threads."""

    def state(self) -> Mapping[str, Any]:
        """What the page shows; JSON types."""

    def picture(self, camera: str, *, scene: int | None) -> NDArray[np.uint8] | None:
        """(height, width, 3) RGB now, or when that scene was first set up; `None` where there is none."""

    def act(self, action: str, values: Mapping[str, Any]) -> None:
        """A click. RoboscaleError says why it does not fit."""


def make_bench_app(
    desk: Desk,
    *,
    token: str | None = None,
    names: Collection[str] = (),
    session: str | None = None,
    shown: DeskPage = "bench",
) -> Starlette:
    """The page as an ASGI application.

    Args:
        token: first part of every path; `None` for none.
        names: host names that the server has besides localhost.
        session: what the page sends along with every click; random by default.
        shown: which page.
    """
    session = session or secrets.token_urlsafe(24)
    page = _Page(desk, session, shown)
    app = Starlette(
        routes=page.routes(),
        middleware=[Middleware(Guard, session=session, token=token, names=names)],
        exception_handlers={HTTPException: http_error, RoboscaleError: our_error},
    )
    app.router.redirect_slashes = False
    return app


def serve_bench(
    desk: Desk, *, host: str = "127.0.0.1", port: int = 0, token: str | None = None, shown: DeskPage = "bench"
) -> Served:
    """Serves the page in a thread; beyond this machine every address needs a token.

    Raises:
        SpecMismatch: a token that is short or does not fit into an address.
        InfrastructureError: the address or port cannot be had.
    """
    return serve_app(partial(make_bench_app, desk, shown=shown), host=host, port=port, token=token)


class _Page:
    def __init__(self, desk: Desk, session: str, shown: DeskPage) -> None:
        self._desk, self._session = desk, session
        self._file = page_file("roboscale.web.bench", _PAGES[shown])

    def routes(self) -> list[Route]:
        return [
            Route("/api/state", self._state),
            Route("/api/picture/{camera}.jpg", self._picture),
            Route("/api/initial/{scene:int}/{camera}.jpg", self._initial),
            Route("/api/act", self._act, methods=["POST"]),
            Route("/{file}", self._file),
            Route("/", self._file),
        ]

    def _state(self, request: Request) -> Response:
        return JSONResponse({**self._desk.state(), "session": self._session}, headers=NO_STORE)

    def _picture(self, request: Request) -> Response:
        return self._jpeg(request.path_params["camera"], scene=None)

    def _initial(self, request: Request) -> Response:
        return self._jpeg(request.path_params["camera"], scene=request.path_params["scene"])

    def _jpeg(self, camera: str, *, scene: int | None) -> Response:
        shown = self._desk.picture(camera, scene=scene)
        if shown is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no picture of that camera")
        written = io.BytesIO()
        Image.fromarray(shown).save(written, "JPEG", quality=85)
        return Response(written.getvalue(), media_type="image/jpeg", headers=NO_STORE)

    async def _act(self, request: Request) -> Response:
        try:
            said = json.loads(await request.body())
            action, values = said["action"], {k: v for k, v in said.items() if k != "action"}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise HTTPException(HTTPStatus.BAD_REQUEST, "expected an object with an action") from error
        if not isinstance(action, str):
            raise HTTPException(HTTPStatus.BAD_REQUEST, "expected the action as a text")
        await run_in_threadpool(self._desk.act, action, values)
        return JSONResponse({"done": action}, headers=NO_STORE)
