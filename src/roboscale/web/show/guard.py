"""Who may ask: every request passes here before anything is looked up.

A page of another site must not read a robot's recordings or label them through the visitor's browser, and nobody on
the network may where a token is wanted. The token is the first part of the path, not a cookie, because cookies are
shared by all servers of a host, whatever their port.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Collection
from http import HTTPStatus

from starlette.datastructures import URL, Headers, MutableHeaders, QueryParams
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["SESSION_HEADER", "Guard", "is_loopback"]

SESSION_HEADER = "x-roboscale-session"
"""Header of every request that changes something; only a page that could read an answer of ours knows its value."""

_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_BODY_BYTES = 16_384


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Guard:
    """Refuses what does not come from our own page, and adds the security headers to every answer.

    Args:
        app: what answers when nothing is wrong.
        session: value of `SESSION_HEADER`.
        token: first part of every path; `None` where the machine's own users are trusted.
        names: host names that a browser may use for us, besides IP addresses and localhost.
    """

    def __init__(self, app: ASGIApp, session: str, token: str | None = None, names: Collection[str] = ()) -> None:
        self._app, self._session = app, session.encode()
        self._prefix = f"/{token}" if token is not None else ""
        self._names = {name.casefold() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        path = self._inner_path(scope["path"])
        refusal = self._refusal(scope, path)
        if refusal is not None:
            await refusal(scope, receive, send_guarded)
            return
        await self._app({**scope, "path": path}, receive, send_guarded)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A websocket reads and changes at once, and a browser lets any site open one: it must name our own page's
        origin, or none, as a program does, and the session either way."""
        headers = Headers(scope=scope)
        path = self._inner_path(scope["path"])
        origin = headers.get("origin")
        ours = origin is None or URL(origin).netloc == headers.get("host")
        given = QueryParams(scope["query_string"]).get("session", "").encode()
        known = self._knows(headers.get("host", "")) and path is not None and ours
        if known and hmac.compare_digest(given, self._session):
            await self._app({**scope, "path": path}, receive, send)
            return
        await receive()  # `websocket.connect`, before which nothing may be answered
        await send({"type": "websocket.close", "code": 1008, "reason": "refused"})

    def _inner_path(self, path: str) -> str | None:
        """The path without the token; `None` when the token is missing or wrong."""
        if not self._prefix:
            return path
        given = path[: len(self._prefix)].encode()
        if not hmac.compare_digest(given, self._prefix.encode()):
            return None
        rest = path[len(self._prefix) :]
        return rest if rest == "" or rest.startswith("/") else None

    def _refusal(self, scope: Scope, path: str | None) -> Response | None:
        headers = Headers(scope=scope)
        if not self._knows(headers.get("host", "")):
            return _refuse(HTTPStatus.MISDIRECTED_REQUEST, "this host name is not one of this server's")
        if path is None:
            return _refuse(HTTPStatus.FORBIDDEN, "the token is missing from the address, or wrong")
        if path == "":
            return RedirectResponse(f"{self._prefix}/")  # addresses in the page are relative to the slash
        if scope["method"] in ("GET", "HEAD"):
            return None
        return self._refusal_of_change(scope, headers)

    def _refusal_of_change(self, scope: Scope, headers: Headers) -> Response | None:
        if scope["method"] != "POST":
            return _refuse(HTTPStatus.METHOD_NOT_ALLOWED, f"{scope['method']} is not used here")
        if headers.get("content-type", "").partition(";")[0].strip().casefold() != "application/json":
            return _refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected application/json")
        origin = headers.get("origin")
        if origin is not None and URL(origin).netloc != headers.get("host"):
            return _refuse(HTTPStatus.FORBIDDEN, "the request comes from another site")
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return _refuse(HTTPStatus.FORBIDDEN, "the request comes from another site")
        if not hmac.compare_digest(headers.get(SESSION_HEADER, "").encode(), self._session):
            return _refuse(HTTPStatus.FORBIDDEN, "the page is older than the server; load it again")
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdigit() and len(length) < 9 and int(length) <= _BODY_BYTES):
            return _refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {_BODY_BYTES} bytes")
        return None

    def _knows(self, host: str) -> bool:
        """A name that a stranger could point at us is not known; an address cannot be pointed anywhere."""
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if name.casefold() in self._names or name.casefold() == "localhost":
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True


def _refuse(status: HTTPStatus, why: str) -> Response:
    return JSONResponse({"error": why}, status)
