"""The addresses of the page that steers an imagined scene, and what each answers.

    GET  /  /<file>                       the page itself
    GET  /api/state                       what is steered: task, sentence, axes, and where it stands
    POST /api/step  {"motion": [...]}     one control step; motion is -1 .. 1 for each axis of the action
    POST /api/begin {}                    the next recorded start

Both answer with the state and the pictures, base64 of PNG: `imagined`, and `true` where a simulator runs beside it.
Errors are `{"error": text}`. Who may ask is `web.show.guard`'s to say.
"""

from __future__ import annotations

import base64
import io
import json
import math
import secrets
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol

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

__all__ = ["PlayTable", "make_play_app", "serve_play"]


class PlayTable(Protocol):
    """Whom the page asks and tells; one call at a time."""

    def state(self) -> Mapping[str, Any]:
        """What the page shows; JSON types."""

    def pictures(self) -> Mapping[str, NDArray[np.uint8]]:
        """`imagined`, and `true` where there is one: (height, width, 3) RGB."""

    def step(self, motion: Sequence[float]) -> None:
        """One control step; RoboscaleError for another number of axes."""

    def begin(self) -> None:
        """The next start."""


def make_play_app(
    table: PlayTable, *, token: str | None = None, names: Collection[str] = (), session: str | None = None
) -> Starlette:
    """The page as an ASGI application; arguments as `make_bench_app`."""
    session = session or secrets.token_urlsafe(24)
    page = _Page(table, session)
    app = Starlette(
        routes=page.routes(),
        middleware=[Middleware(Guard, session=session, token=token, names=names)],
        exception_handlers={HTTPException: http_error, RoboscaleError: our_error},
    )
    app.router.redirect_slashes = False
    return app


def serve_play(table: PlayTable, *, host: str = "127.0.0.1", port: int = 0, token: str | None = None) -> Served:
    """Serves the page in a thread; beyond this machine every address needs a token.

    Raises:
        SpecMismatch: a token that is short or does not fit into an address.
        InfrastructureError: the address or port cannot be had.
    """
    return serve_app(partial(make_play_app, table), host=host, port=port, token=token)


class _Page:
    def __init__(self, table: PlayTable, session: str) -> None:
        self._table, self._session = table, session

    def routes(self) -> list[Route]:
        file = page_file("roboscale.web.play", PAGE_FILES)
        return [
            Route("/api/state", self._state),
            Route("/api/step", self._step, methods=["POST"]),
            Route("/api/begin", self._begin, methods=["POST"]),
            Route("/{file}", file),
            Route("/", file),
        ]

    def _said(self) -> dict[str, Any]:
        pictures = {name: _png(shown) for name, shown in self._table.pictures().items()}
        return {**self._table.state(), "pictures": pictures}

    def _state(self, request: Request) -> Response:
        return JSONResponse({**self._said(), "session": self._session}, headers=NO_STORE)

    async def _step(self, request: Request) -> Response:
        motion = _motion(await request.body())
        await run_in_threadpool(self._table.step, motion)
        return JSONResponse(await run_in_threadpool(self._said), headers=NO_STORE)

    async def _begin(self, request: Request) -> Response:
        await run_in_threadpool(self._table.begin)
        return JSONResponse(await run_in_threadpool(self._said), headers=NO_STORE)


def _motion(body: bytes) -> list[float]:
    """Numbers in -1 .. 1; a refusal of anything else."""
    try:
        given = json.loads(body)["motion"]
        motion = [float(value) for value in given]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "expected an object with motion, a list of numbers") from error
    if not all(math.isfinite(value) and abs(value) <= 1 for value in motion):
        raise HTTPException(HTTPStatus.BAD_REQUEST, "expected numbers in -1 .. 1")
    return motion


def _png(picture: NDArray[np.uint8]) -> str:
    written = io.BytesIO()
    Image.fromarray(picture).save(written, "PNG", compress_level=1)
    return base64.b64encode(written.getvalue()).decode()
