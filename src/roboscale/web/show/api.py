"""The addresses of the page and what each answers.

    GET  /  /<file>                                           the page itself
    GET  /api/dataset                                         the whole: robot, rate, cameras, counts, findings
    GET  /api/episodes?query&outcome&label&order&offset&limit lines of the list
    GET  /api/episode/{i}?query&outcome&label&order           one episode and its neighbours in the list
    GET  /api/episode/{i}/curves                              its numbers, binary (`Library.curves`)
    GET  /api/episode/{i}/camera/{name}/block/{k}?width       16 pictures, binary (`PictureBlocks.block`)
    GET  /api/episode/{i}/camera/{name}/{frame}.jpg?width     one picture
    POST /api/label {"episode", "action", "value"}            appends to the curation log

Errors are `{"error": text}`. Nothing here trusts the request: `Guard` did that.
"""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Collection
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from roboscale.core.errors import InfrastructureError, RoboscaleError
from roboscale.web.show.answers import page_file
from roboscale.web.show.audit import Findings
from roboscale.web.show.guard import Guard
from roboscale.web.show.labels import LabelLog
from roboscale.web.show.library import Library
from roboscale.web.show.pictures import BLOCK, WIDTHS, PictureBlocks
from roboscale.web.show.search import Index, Query

__all__ = ["make_app"]

_FILES = {
    "": ("page.html", "text/html"),
    "style.css": ("style.css", "text/css"),
    **{
        name: (name, "text/javascript")
        for name in (
            "about.js",
            "app.js",
            "capture.js",
            "curves.js",
            "film.js",
            "format.js",
            "plot.js",
            "server.js",
            "shelf.js",
        )
    },
}
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#0b66b0"/>'
    '<path d="M6 4.5v7l5.5-3.5z" fill="#fff"/></svg>'
)
_LIMIT = 200  # lines of the list in one answer
_DIGITS = 9


def make_app(
    root: Path,
    log: LabelLog,
    *,
    token: str | None = None,
    audit: Path | None = None,
    names: Collection[str] = (),
    author: str = "",
    session: str | None = None,
) -> Starlette:
    """The page of one dataset as an ASGI application.

    Args:
        root: folder of a LeRobotDataset v3.0, which is only read.
        log: is told every label.
        token: first part of every path; `None` for none.
        audit: `{"findings": [...]}`, drawn on the timeline.
        names: host names the server has besides localhost; addresses are always known.
        author: stands beside every label.
        session: what the page must send along with every label; random by default.

    Raises:
        BadData: the dataset's metadata, the audit or the log are broken.
    """
    session = session or secrets.token_urlsafe(24)
    show = _Show(Path(root), log, audit, author, session)
    guard = Middleware(Guard, session=session, token=token, names=names)
    app = Starlette(
        routes=show.routes(),
        middleware=[guard],
        exception_handlers={HTTPException: _http_error, RoboscaleError: _our_error, OSError: _our_error},
    )
    app.router.redirect_slashes = False  # it would send the visitor to an address without the token
    return app


class _Show:
    """One open dataset and the functions that answer for it. Starlette runs them in threads."""

    def __init__(self, root: Path, log: LabelLog, audit: Path | None, author: str, session: str) -> None:
        self._author, self._session = author, session
        self._library = Library(root)
        self._pictures = PictureBlocks(self._library.catalog)
        self._findings = Findings(audit, len(self._library.episodes))
        self._log = log
        self._log.state()  # a broken log is said now, not at the first label
        self._index = Index(self._library.episodes, self._log, self._findings)

    def routes(self) -> list[Route]:
        camera = "/api/episode/{episode}/camera/{camera}"
        file = page_file("roboscale.web.show", _FILES)
        return [
            Route("/api/dataset", self._dataset),
            Route("/api/episodes", self._episodes),
            Route("/api/episode/{episode}", self._episode),
            Route("/api/episode/{episode}/curves", self._curves),
            Route(camera + "/block/{block}", self._block),
            Route(camera + "/{frame}.jpg", self._picture),
            Route("/api/label", self._label, methods=["POST"]),
            Route("/icon.svg", _icon),
            Route("/{file}", file),
            Route("/", file),
        ]

    def _dataset(self, request: Request) -> Response:
        said = {
            **self._library.describe(),
            "counts": self._index.counts(),
            "audited": self._findings.audited,
            "scored": self._index.scored,
            "findings": self._findings.whole(),
            "block": BLOCK,
            "widths": WIDTHS,
            "session": self._session,
        }
        return _json(said)

    def _episodes(self, request: Request) -> Response:
        matching = self._index.find(_query(request))
        offset = _number(request.query_params.get("offset", "0"), "offset")
        limit = min(_LIMIT, _number(request.query_params.get("limit", "100"), "limit"))
        return _json({"total": len(matching), "offset": offset, "rows": self._index.rows(matching[offset:][:limit])})

    def _episode(self, request: Request) -> Response:
        index = self._position(request)
        said = {
            **self._library.details(index),
            "row": self._index.row(index),
            "findings": self._findings.of(index),
            "near": self._index.neighbours(_query(request), index),
        }
        return _json(said)

    def _curves(self, request: Request) -> Response:
        return _binary(self._library.curves(self._position(request)))

    def _block(self, request: Request) -> Response:
        block = _number(request.path_params["block"], "block")
        if block * BLOCK >= self._library.episodes[self._position(request)].length:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"no block {block}")
        return _binary(self._pictures.block(self._position(request), self._camera(request), block, _width(request)))

    def _picture(self, request: Request) -> Response:
        index, frame = self._position(request), _number(request.path_params["frame"], "frame")
        if frame >= self._library.episodes[index].length:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"no frame {frame}")
        content = self._pictures.picture(index, self._camera(request), frame, _width(request))
        return Response(content, media_type="image/jpeg", headers={"cache-control": "no-store"})

    async def _label(self, request: Request) -> Response:
        try:
            said = json.loads(await request.body())
            index, action, value = said["episode"], said["action"], said.get("value", "")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise HTTPException(HTTPStatus.BAD_REQUEST, "expected an object with episode and action") from error
        if type(index) is not int or not isinstance(action, str) or not isinstance(value, str):
            raise HTTPException(HTTPStatus.BAD_REQUEST, "expected an episode's position, an action and a text")
        if not 0 <= index < len(self._library.episodes):
            raise HTTPException(HTTPStatus.NOT_FOUND, f"no episode {index}")
        id_ = self._library.episodes[index].id
        await run_in_threadpool(self._log.append, id_, action, value, self._author)
        return _json({"row": self._index.row(index), "counts": self._index.counts()})

    def _position(self, request: Request) -> int:
        index = _number(request.path_params["episode"], "episode")
        if index >= len(self._library.episodes):
            raise HTTPException(HTTPStatus.NOT_FOUND, f"no episode {index}; there are {len(self._library.episodes)}")
        return index

    def _camera(self, request: Request) -> str:
        name: str = request.path_params["camera"]
        if name not in self._library.cameras:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no such camera")
        return name


def _icon(request: Request) -> Response:
    return Response(_ICON, media_type="image/svg+xml")


def _query(request: Request) -> Query:
    given = request.query_params
    try:
        return Query(given.get("query", "")[:500], *(given.get(name, "") for name in ("outcome", "label", "order")))
    except RoboscaleError as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, str(error)) from error


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise HTTPException(HTTPStatus.NOT_FOUND, f"{name}: expected a number from 0")
    return int(text)


def _width(request: Request) -> int:
    width = _number(request.query_params.get("width", "0"), "width")
    if width and width not in WIDTHS:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"width: expected 0 or one of {', '.join(map(str, WIDTHS))}")
    return width


def _json(data: Any, status: int = HTTPStatus.OK) -> Response:
    content = json.dumps(_finite(data), allow_nan=False)
    return Response(content, status, headers={"cache-control": "no-store"}, media_type="application/json")


def _finite(data: Any) -> Any:
    """JSON knows neither NaN nor infinity, but details that others recorded may hold them."""
    if isinstance(data, float):
        return data if math.isfinite(data) else str(data)
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    return [_finite(value) for value in data] if isinstance(data, (list, tuple)) else data


def _binary(content: bytes) -> Response:
    return Response(content, media_type="application/octet-stream", headers={"cache-control": "no-store"})


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _json({"error": error.detail}, error.status_code)


def _our_error(request: Request, error: Exception) -> Response:
    """Broken data are the data's fault, not the page's: the text says which file and what is wrong with it."""
    ours = isinstance(error, (OSError, InfrastructureError))
    status = HTTPStatus.INTERNAL_SERVER_ERROR if ours else HTTPStatus.UNPROCESSABLE_ENTITY
    return _json({"error": str(error)}, status)
