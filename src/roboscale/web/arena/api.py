"""The arena's server: its addresses are the rows of `operations`, its pages the files beside this one.

Who asks says so with `Authorization: Bearer TOKEN`, which no browser sends by itself: no page of another site can ask
in a visitor's name. Off this machine every address begins with a token, unless the board is open to everybody.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol, cast

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import URL, Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from roboscale.core.declared import as_declared
from roboscale.core.errors import InfrastructureError, RoboscaleError
from roboscale.core.plain import to_plain
from roboscale.web.arena.operations import OPERATIONS, QUERY_LETTERS, Operation, openapi
from roboscale.web.show.answers import NO_STORE, PAGE_FILES, page_file
from roboscale.web.show.guard import Guard
from roboscale.web.show.server import Served, serve_app

__all__ = ["ArenaDesk", "make_arena_app", "serve_arena_app"]

_OPEN = "open board"  # stands for a session that nobody needs: accounts have tokens of their own


class ArenaDesk(Protocol):
    """Whom the server asks. Called from several threads; what is a coroutine is awaited on the event loop."""

    def who(self, token: str) -> Any | None:
        """The account, with `id` and `role`; `None` for nobody's token."""

    def allows(self, asker: str) -> bool:
        """Whether this asker, an account's id or an address, may ask once more now."""

    def operation(self, name: str) -> Callable[..., Any]:
        """What answers: `(account or None, body or None, **path and query) -> JSON types, or bytes`, of JSON where
        that is what the operation answers.

        RoboscaleError says why it does not fit; its `status`, where it has one, is the answer's.
        """

    def media(self, name: str) -> Path | None:
        """A picture or film that everybody may see."""


class _ArenaGuard(Guard):
    """Lets no other site's page ask; the token of the account is looked at where the operation is."""

    def _refusal_of_change(self, scope: Any, headers: Headers) -> Response | None:
        if scope["method"] not in ("POST", "PUT"):
            return _error(HTTPStatus.METHOD_NOT_ALLOWED, f"{scope['method'][:20]} is not used here")
        origin = headers.get("origin")
        foreign = origin is not None and URL(origin).netloc != headers.get("host")
        if foreign or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return _error(HTTPStatus.FORBIDDEN, "the request comes from another site")
        return None


def make_arena_app(desk: ArenaDesk, *, token: str | None = None, names: Collection[str] = ()) -> Starlette:
    """The server as an ASGI application.

    Args:
        token: first part of every path; `None` for none.
        names: host names that the server has besides localhost.
    """
    file = page_file("roboscale.web.arena", PAGE_FILES)
    routes = [Route(one.path, partial(_answer, desk, one), methods=[one.method]) for one in OPERATIONS]
    app = Starlette(
        routes=[
            *_by_path(routes),
            Route("/api/openapi.json", _document),
            Route("/media/{name}", partial(_media, desk)),
            Route("/{file}", file),
            Route("/", file),
        ],
        middleware=[Middleware(_ArenaGuard, session=_OPEN, token=token, names=names)],
        exception_handlers={HTTPException: _http_error, RoboscaleError: _our_error},
    )
    app.router.redirect_slashes = False
    return app


def serve_arena_app(
    desk: ArenaDesk,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    names: Collection[str] = (),
    open_board: bool = False,
) -> Served:
    """Serves an arena in a thread; beyond this machine every address needs a token, unless the board is open.

    Raises:
        SpecMismatch: a token that is short or does not fit into an address.
        InfrastructureError: the address or port cannot be had.
    """

    def make(*, token: str | None, names: Collection[str]) -> Starlette:
        return make_arena_app(desk, token=token, names=[*names, *more])

    more = tuple(names)
    return serve_app(make, host=host, port=port, token=token, needs_token=not open_board)


def _by_path(routes: list[Route]) -> list[Route]:
    """Routes of one path together: the router answers 405 by itself only for the first."""
    return sorted(routes, key=lambda route: ("{" in route.path, route.path))


async def _answer(desk: ArenaDesk, one: Operation, request: Request) -> Response:
    account = await _account(desk, request)
    if not desk.allows(account.id if account is not None else _address(request)):
        return _error(HTTPStatus.TOO_MANY_REQUESTS, "too many requests; wait a moment")
    if one.role and account is None:
        return _error(HTTPStatus.UNAUTHORIZED, "this needs an account's token: Authorization: Bearer TOKEN")
    if account is not None and one.role not in ("", "any", account.role):
        return _error(HTTPStatus.FORBIDDEN, f"this is for an {one.role}, and the token is an {account.role}'s")
    body = await _body(one, request)
    given: dict[str, Any] = {**request.path_params, **_query(one, request)}
    if "attempt" in given:
        given["attempt"] = _whole("attempt", given["attempt"])
    handler = desk.operation(one.name)
    if inspect.iscoroutinefunction(handler):
        made = await cast(Callable[..., Awaitable[Any]], handler)(account, body, **given)
    else:
        made = await run_in_threadpool(handler, account, body, **given)
    if one.answers == "bytes":
        if made is None:
            return Response(status_code=HTTPStatus.NO_CONTENT, headers=NO_STORE)
        return Response(made, media_type="application/octet-stream", headers=NO_STORE)
    if isinstance(made, bytes):  # JSON that was written once for everybody
        return Response(made, media_type="application/json", headers=NO_STORE)
    return JSONResponse(to_plain(made), headers=NO_STORE)


async def _account(desk: ArenaDesk, request: Request) -> Any | None:
    given = request.headers.get("authorization", "")
    if not given:
        return None
    kind, _, token = given.partition(" ")
    if kind.casefold() != "bearer":
        raise HTTPException(HTTPStatus.UNAUTHORIZED, "expected Authorization: Bearer TOKEN")
    account = await run_in_threadpool(desk.who, token.strip())  # one that is not known is looked for in the log
    if account is None:
        raise HTTPException(HTTPStatus.UNAUTHORIZED, "the token is unknown or revoked")
    return account


def _address(request: Request) -> str:
    return "address " + (request.client.host if request.client else "unknown")


async def _body(one: Operation, request: Request) -> Any:
    """The body as its operation wants it, and never more of it than that."""
    if one.body is None:
        return None
    blob = bytearray()
    try:
        async for piece in request.stream():
            blob += piece
            if len(blob) > one.most:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {one.most} bytes")
    except ClientDisconnect as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "the request broke off") from error
    if one.body is bytes:
        return bytes(blob)
    if request.headers.get("content-type", "").partition(";")[0].strip().casefold() != "application/json":
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected application/json")
    try:
        values = json.loads(bytes(blob))
    except (ValueError, RecursionError) as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "expected JSON") from error
    try:
        return as_declared(values, one.body, "body")
    except (RecursionError, TypeError) as error:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "expected an object of the documented fields") from error


def _query(one: Operation, request: Request) -> dict[str, int | str]:
    given = request.query_params
    texts = {name: given[name] for name in one.texts if name in given}
    for name, text in texts.items():
        if len(text) > QUERY_LETTERS:
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name}: expected at most {QUERY_LETTERS} letters")
    return {**{name: _whole(name, given[name]) for name in one.query if name in given}, **texts}


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name}: expected a whole number of at least 0")
    return int(text)


async def _media(desk: ArenaDesk, request: Request) -> Response:
    path = await run_in_threadpool(desk.media, request.path_params["name"])
    if path is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no such picture or film")
    kind = "image/jpeg" if path.suffix == ".jpg" else "video/mp4"
    return FileResponse(path, media_type=kind, headers={"cache-control": "private, max-age=31536000, immutable"})


def _document(request: Request) -> Response:
    return JSONResponse(openapi(), headers=NO_STORE)


def _error(status: int, why: str) -> Response:
    return JSONResponse({"error": why}, status, headers=NO_STORE)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers={**NO_STORE, **(error.headers or {})})


def _our_error(request: Request, error: Exception) -> Response:
    status = getattr(error, "status", None)
    if status is None:
        status = HTTPStatus.SERVICE_UNAVAILABLE if isinstance(error, InfrastructureError) else 422
    text = str(error).encode("utf-8", "backslashreplace").decode()
    return _error(status, text[:2000])
