"""The addresses of the page that drives, and what each answers.

    GET  /  /<file>      the page itself
    GET  /api/session    {"session": text}: what only a page of ours can read, and the socket wants
    WS   /api/drive?session=...&name=...

Over the socket, texts are JSON objects and binaries are pictures:

    page -> server   {"type": "move", "motion": [away, left, up], "speed", "device", "sequence"}   every 50 ms
                     {"type": "act", "act": ..., ...}     something that is said once
                     {"type": "seen", "number", "at_s"}   a picture is on the screen
                     {"type": "answer", "sdp"}            to a call
                     {"type": "pictures", "by", "why"}    webrtc or jpeg: what is on the screen from now on
    server -> page   {"type": "state", ...}   ten times a second   {"type": "problem", "text"}
                     {"type": "offer", "sdp", "boxes"}    a call, where WebRTC was asked for
                     {"type": "no offer", "text"}         why there is none
                     number (u32), camera (u32), time (f64), little-endian, then a JPEG

A page that has not shown its last pictures is sent no further ones: on a slow line pictures become fewer, not late.
A page that says that it has the video of a call on the screen is sent no JPEGs, until it says otherwise.
Who may ask is `web.show.guard`'s to say.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import secrets
import struct
from collections.abc import Callable, Collection, Mapping
from functools import partial
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
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from roboscale.core.errors import RoboscaleError
from roboscale.web.show.answers import NO_STORE, PAGE_FILES, http_error, page_file
from roboscale.web.show.guard import Guard
from roboscale.web.show.server import Served, serve_app

__all__ = ["Cockpit", "StepShown", "make_teleop_app", "serve_teleop"]

_FILES = {**PAGE_FILES, **{name: (name, "text/javascript") for name in ("call.js", "input.js", "pose.js")}}
_STATE_S = 0.1
_LOOK_S = 0.005  # how often it looks for a new picture
_UNSEEN = 2  # pictures that a page may be behind
_QUALITY = 80
_HEADER = struct.Struct("<IId")

Shows = Callable[[], "StepShown"]


class StepShown(Protocol):
    """What was seen at one step: `number` grows, `at_s` is when."""

    @property
    def number(self) -> int: ...

    @property
    def at_s(self) -> float: ...

    @property
    def pictures(self) -> Mapping[str, NDArray[np.uint8]]: ...


class Call(Protocol):
    """A page that is called with its pictures as a video; see `web.teleop.call`."""

    async def offer(self) -> dict[str, Any]: ...

    async def answer(self, sdp: str) -> None: ...

    def taken_s(self, number: int) -> float | None: ...

    async def close(self) -> None: ...


class Cockpit(Protocol):
    """Whom the page asks and tells. Called from several threads; `page` is one open page."""

    def join(self, page: str, name: str) -> None: ...

    def leave(self, page: str) -> None: ...

    def state(self, page: str) -> Mapping[str, Any]:
        """What the page shows; JSON types."""

    def shown(self) -> StepShown:
        """The newest pictures."""

    def move(self, page: str, values: Mapping[str, Any]) -> None:
        """Where the hand is to go; RoboscaleError for what is no such message."""

    def act(self, page: str, action: str, values: Mapping[str, Any]) -> None:
        """Something said once; RoboscaleError says why it does not fit."""

    def seen(self, page: str, at_s: float) -> None:
        """What was taken at that time is on the screen."""


def make_teleop_app(
    cockpit: Cockpit,
    *,
    token: str | None = None,
    names: Collection[str] = (),
    session: str | None = None,
    webrtc: bool = False,
) -> Starlette:
    """The page as an ASGI application; arguments as `make_bench_app`.

    Args:
        webrtc: whether each page is called with its pictures as a video.
    """
    session = session or secrets.token_urlsafe(24)
    page = _Pages(cockpit, session, webrtc)
    app = Starlette(
        routes=page.routes(),
        middleware=[Middleware(Guard, session=session, token=token, names=names)],
        exception_handlers={HTTPException: http_error},
    )
    app.router.redirect_slashes = False
    return app


def serve_teleop(
    cockpit: Cockpit, *, host: str = "127.0.0.1", port: int = 0, token: str | None = None, webrtc: bool = False
) -> Served:
    """Serves the page in a thread; beyond this machine every address needs a token.

    Raises:
        SpecMismatch: a token that is short or does not fit into an address.
        InfrastructureError: the address or port cannot be had.
    """
    return serve_app(partial(make_teleop_app, cockpit, webrtc=webrtc), host=host, port=port, token=token, sockets=True)


class _Pages:
    def __init__(self, cockpit: Cockpit, session: str, webrtc: bool) -> None:
        self._cockpit, self._session, self._call = cockpit, session, None  # type: tuple[Cockpit, str, Any]
        if webrtc:
            from roboscale.web.teleop.call import PictureCall

            self._call = PictureCall
        self._written: tuple[int, dict[str, bytes]] = (-1, {})

    def routes(self) -> list[Route | WebSocketRoute]:
        file = page_file("roboscale.web.teleop", _FILES)
        return [
            Route("/api/session", self._say_session),
            WebSocketRoute("/api/drive", self._drive),
            Route("/{file}", file),
            Route("/", file),
        ]

    def _say_session(self, request: Request) -> Response:
        return JSONResponse({"session": self._session}, headers=NO_STORE)

    async def _drive(self, socket: WebSocket) -> None:
        """One page, from its opening to its end, however it ends."""
        await socket.accept()
        page = _Page(self._cockpit, socket, self._jpegs, self._call)
        name = socket.query_params.get("name", "")[:40]
        try:
            await run_in_threadpool(self._cockpit.join, page.id, name)
        except RoboscaleError:
            await socket.close()
            return
        sending = [asyncio.create_task(run()) for run in (page.send_pictures, page.send_states, page.send_offer)]
        try:
            await page.receive()
        finally:
            self._cockpit.leave(page.id)
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)
            await page.hang_up()

    def _jpegs(self, seen: StepShown) -> dict[str, bytes]:
        """Camera -> JPEG; encoded once for all pages."""
        number, written = self._written
        if number != seen.number:
            written = {camera: _jpeg(picture) for camera, picture in seen.pictures.items()}
            self._written = (seen.number, written)
        return written


class _Page:
    """One open page."""

    def __init__(
        self, cockpit: Cockpit, socket: WebSocket, jpegs: Any, calling: Callable[[Shows], Call] | None
    ) -> None:
        self.id = secrets.token_hex(8)
        self._cockpit, self._socket, self._jpegs, self._calling = cockpit, socket, jpegs, calling
        self._call: Call | None = None
        self._by = "jpeg"
        self._acknowledged = self._sent = 0
        self._writing = asyncio.Lock()

    async def receive(self) -> None:
        """Hears the page until it is gone; one that speaks nonsense is told so."""
        while True:
            try:
                text = await self._socket.receive_text()
            except (WebSocketDisconnect, RuntimeError, KeyError):  # gone, or a binary message, which no page sends
                return
            try:
                await self._hear(json.loads(text))
            except RoboscaleError as error:
                await self._say({"type": "problem", "text": str(error)})
            except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
                await self._say({"type": "problem", "text": "expected an object with a type and what belongs to it"})

    async def _hear(self, said: Mapping[str, Any]) -> None:
        kind = said.get("type")
        if kind == "move":
            self._cockpit.move(self.id, said)
        elif kind == "seen" and said.get("by") == "webrtc":
            taken_s = None if self._call is None else self._call.taken_s(int(said["number"]))
            if taken_s is not None:
                self._cockpit.seen(self.id, taken_s)
        elif kind == "seen":
            self._acknowledged = max(self._acknowledged, int(said["number"]))
            self._cockpit.seen(self.id, float(said["at_s"]))
        elif kind == "answer" and self._call is not None:
            await self._call.answer(str(said["sdp"]))
        elif kind == "pictures":
            await run_in_threadpool(self._cockpit.act, self.id, "pictures", said)
            self._by = str(said["by"])
            if self._by == "jpeg":
                await self.hang_up()
        elif kind == "act":
            await run_in_threadpool(self._cockpit.act, self.id, str(said.get("act")), said)
            await self._say_state()
        else:
            raise ValueError(kind)

    async def send_pictures(self) -> None:
        """The newest pictures, as soon as there are new ones and the page is not behind."""
        last = 0
        while True:
            seen = self._cockpit.shown()
            called = self._by != "jpeg"
            if called:
                last = 0  # so that a page whose call ends is sent what is there at once
            if called or seen.number == last or not seen.pictures or self._sent - self._acknowledged >= _UNSEEN:
                await asyncio.sleep(_LOOK_S)
                continue
            last = seen.number
            written = await run_in_threadpool(self._jpegs, seen)
            self._sent = max(self._sent, self._acknowledged) + 1
            for place, jpeg in enumerate(written.values()):
                async with self._writing:
                    await self._socket.send_bytes(_HEADER.pack(self._sent, place, seen.at_s) + jpeg)

    async def send_offer(self) -> None:
        """Calls the page, once there are pictures, where that was asked for; why not, where it cannot be."""
        if self._calling is None:
            return
        while not self._cockpit.shown().pictures:
            await asyncio.sleep(_LOOK_S)
        try:
            self._call = self._calling(self._cockpit.shown)
            offer = await self._call.offer()
        except (OSError, RuntimeError, ValueError) as error:
            await self._say({"type": "no offer", "text": str(error) or type(error).__name__})
            return
        await self._say({"type": "offer", **offer})

    async def hang_up(self) -> None:
        """Ends the call, where there is one."""
        call, self._call = self._call, None
        if call is not None:
            await call.close()

    async def send_states(self) -> None:
        """What the page shows, ten times a second."""
        while True:
            await self._say_state()
            await asyncio.sleep(_STATE_S)

    async def _say_state(self) -> None:
        if state := self._cockpit.state(self.id):
            await self._say({"type": "state", **state})

    async def _say(self, values: Mapping[str, Any]) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # gone meanwhile: `receive` ends the page
            async with self._writing:
                await self._socket.send_text(json.dumps(values))


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    written = io.BytesIO()
    Image.fromarray(picture).save(written, "JPEG", quality=_QUALITY)
    return written.getvalue()
