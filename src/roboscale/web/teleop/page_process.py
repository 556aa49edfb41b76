"""The page that drives, served by a process of its own: whoever paces an arm encodes no picture and answers no socket.

Pictures go over in shared memory, the newest one only; words go through a pipe. When the process is gone, what its
pages asked for has no effect any more, and another one takes its place at the same address; a page finds it by itself.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from roboscale.core.errors import InfrastructureError, RoboscaleError
from roboscale.core.pacing import give_way
from roboscale.core.processes import interrupts_held_back
from roboscale.web.show.server import Served, checked_token, listen, make_server, served_at
from roboscale.web.teleop.api import Cockpit, StepShown, make_teleop_app

__all__ = ["PageProcess", "PictureBoard", "ServedStation"]

_SLOTS = 3  # of pictures: one that is written, one that is read, and one between them
_STATE_S, _LOOK_S = 0.1, 0.05
_START_S, _ANSWER_S = 60.0, 10.0
_TOO_OFTEN = 5  # processes in a row that end within the time below
_SHORT_S = 2.0


class ServedStation(Cockpit, Protocol):
    """Whom the page asks and tells, and who says when there are new pictures."""

    def published_to(self, look: Callable[[Any], None] | None) -> None:
        """From now on everything that is shown is handed to `look`, too."""

    @property
    def notes(self) -> Any:
        """What the page shows of late; has `append`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    number: int = 0
    at_s: float = 0.0
    pictures: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)


class PictureBoard:
    """The newest pictures of some cameras in memory that two processes share: one writes, one reads, nobody waits.

    Args:
        cameras: name -> (height, width).
        memory: bytes, at least `PictureBoard.size(cameras)`.
    """

    def __init__(self, cameras: Mapping[str, tuple[int, int]], memory: Any) -> None:
        self._head = np.frombuffer(memory, np.int64, 1 + 2 * _SLOTS)
        self._times = np.frombuffer(memory, np.float64, _SLOTS, self._head.nbytes)
        at = self._head.nbytes + self._times.nbytes
        self._pictures: list[dict[str, NDArray[np.uint8]]] = []
        for _ in range(_SLOTS):
            views = {}
            for name, (height, width) in cameras.items():
                views[name] = np.frombuffer(memory, np.uint8, height * width * 3, at).reshape(height, width, 3)
                at += height * width * 3
            self._pictures.append(views)
        self._names = list(cameras)

    @staticmethod
    def size(cameras: Mapping[str, tuple[int, int]]) -> int:
        """Bytes that it needs."""
        return 8 * (1 + 3 * _SLOTS) + _SLOTS * sum(3 * h * w for h, w in cameras.values())

    def put(self, shown: StepShown) -> None:
        """Shows what was seen at a step; pictures of another size than declared are left out."""
        slot = shown.number % _SLOTS
        self._head[1 + slot] = 0  # nobody reads it now
        there = 0
        for place, name in enumerate(self._names):
            picture = shown.pictures.get(name)
            view = self._pictures[slot][name]
            if picture is not None and picture.shape == view.shape:
                view[...] = picture
                there |= 1 << place
        self._head[1 + _SLOTS + slot], self._times[slot] = there, shown.at_s
        self._head[1 + slot] = shown.number
        self._head[0] = shown.number

    def newest(self) -> _Shown:
        """A copy of what was shown last; nothing where that was overwritten meanwhile, which the next look mends."""
        number = int(self._head[0])
        slot = number % _SLOTS
        there = int(self._head[1 + _SLOTS + slot])
        pictures = {
            name: self._pictures[slot][name].copy() for place, name in enumerate(self._names) if there >> place & 1
        }
        at_s = float(self._times[slot])
        return _Shown(number=number, at_s=at_s, pictures=pictures) if self._head[1 + slot] == number else _Shown()

    @property
    def number(self) -> int:
        """Of what was shown last."""
        return int(self._head[0])


class PageProcess:
    """The page of a station, until it is closed. A context manager.

    Args:
        station: asked and told from a thread of its own.
        cameras: name -> (height, width) of the pictures that it shows.
        host, port, token: as `serve_teleop`.
        certificate: PEM files of a certificate and its key, for https.
        webrtc: whether each page is called with its pictures as a video.

    Attributes:
        url: where it can be opened.

    Raises:
        SpecMismatch, InfrastructureError: as `serve_teleop`.
    """

    def __init__(
        self,
        station: ServedStation,
        cameras: Mapping[str, tuple[int, int]],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        certificate: tuple[Path, Path] | None = None,
        webrtc: bool = False,
    ) -> None:
        token = checked_token(host, token)
        self._listener = listen(host, port)
        self.url = served_at(host, self._listener, token, certificate is not None)
        self._station, self._context = station, multiprocessing.get_context("spawn")
        memory = self._context.RawArray("b", PictureBoard.size(cameras))
        names = (host, socket.gethostname())
        self._arguments = (self._listener, memory, dict(cameras), token, names, certificate, webrtc)
        station.published_to(PictureBoard(cameras, memory).put)
        self._pages: list[str] = []
        self._closing = threading.Event()
        self._begin()
        self._thread = threading.Thread(target=self._serve, name="page", daemon=True)
        self._thread.start()

    @property
    def process_id(self) -> int | None:
        """Of the process that serves now."""
        return self._process.pid

    def _begin(self) -> None:
        self._connection, other = self._context.Pipe()
        arguments = (other, *self._arguments)
        self._process = self._context.Process(target=_serve_page, args=arguments, name="roboscale page", daemon=True)
        with interrupts_held_back():
            self._process.start()
        other.close()
        self._began_s = time.monotonic()

    def _serve(self) -> None:
        """Answers the process, and starts another when it is gone; until this is closed."""
        short = 0
        while not self._closing.is_set():
            with contextlib.suppress(EOFError, OSError):
                self._answer_until_closed(self._connection)
            for page in self._pages:
                self._station.leave(page)
            self._pages.clear()
            if self._closing.is_set():
                return
            self._process.join(1)
            short = short + 1 if time.monotonic() - self._began_s < _SHORT_S else 0
            if short == _TOO_OFTEN:
                self._station.notes.append(f"the page's process ended {short} times in a row: no page is served now")
                return
            self._station.notes.append(f"the page's process was gone (exit code {self._process.exitcode}); a new one")
            self._begin()

    def _answer_until_closed(self, connection: Connection) -> None:
        told_s = 0.0
        while not self._closing.is_set():
            if connection.poll(_LOOK_S):
                self._hear(connection, *connection.recv())
            if time.monotonic() - told_s >= _STATE_S:
                told_s = time.monotonic()
                connection.send(("states", {page: dict(self._station.state(page)) for page in self._pages}))

    def _hear(self, connection: Connection, what: str, page: str, *said: Any) -> None:
        station = self._station
        if what == "move":
            try:
                station.move(page, said[0])
            except RoboscaleError as error:
                connection.send(("problem", page, str(error)))
        elif what == "seen":
            station.seen(page, said[0])
        elif what == "leave":
            station.leave(page)
            if page in self._pages:
                self._pages.remove(page)
        else:
            problem = None
            try:
                if what == "join":
                    self._pages.append(page)
                    station.join(page, said[1])
                else:
                    station.act(page, said[1], said[2])
            except RoboscaleError as error:
                problem = str(error)
            connection.send(("answer", said[0], problem, page, dict(station.state(page))))

    def close(self) -> None:
        """Ends the page."""
        self._closing.set()
        self._thread.join()
        self._station.published_to(None)
        self._connection.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(1)
        self._listener.close()

    def __enter__(self) -> PageProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _FarStation:
    """The station as the page's process knows it."""

    def __init__(self, connection: Connection, board: PictureBoard) -> None:
        self._connection, self._board = connection, board
        self._talking, self._heard = threading.Lock(), threading.Condition()
        self._calls = itertools.count()
        self._states: dict[str, Mapping[str, Any]] = {}
        self._answers: dict[int, str | None] = {}
        self._problems: dict[str, str] = {}
        self._shown = _Shown()

    def join(self, page: str, name: str) -> None:
        self._ask("join", page, name)

    def leave(self, page: str) -> None:
        self._states.pop(page, None)
        with contextlib.suppress(InfrastructureError):
            self._tell("leave", page)

    def state(self, page: str) -> Mapping[str, Any]:
        return self._states.get(page, {})

    def shown(self) -> StepShown:
        if self._board.number != self._shown.number:
            self._shown = self._board.newest()
        return self._shown

    def move(self, page: str, values: Mapping[str, Any]) -> None:
        """Tells it; what was wrong with the one before is raised now."""
        self._tell("move", page, dict(values))
        problem = self._problems.pop(page, None)
        if problem is not None:
            raise RoboscaleError(problem)

    def act(self, page: str, action: str, values: Mapping[str, Any]) -> None:
        self._ask("act", page, action, dict(values))

    def seen(self, page: str, at_s: float) -> None:
        self._tell("seen", page, at_s)

    def _tell(self, *message: object) -> None:
        try:
            with self._talking:
                self._connection.send(message)
        except OSError as error:
            raise InfrastructureError("the session is over") from error

    def _ask(self, what: str, page: str, *said: object) -> None:
        call = next(self._calls)
        self._tell(what, page, call, *said)
        with self._heard:
            if not self._heard.wait_for(lambda: call in self._answers, _ANSWER_S):
                raise InfrastructureError(f"{what}: no answer within {_ANSWER_S:g} s")
            problem = self._answers.pop(call)
        if problem is not None:
            raise RoboscaleError(problem)

    def hear(self) -> None:
        """What the other side says, until it is gone."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                what, *said = self._connection.recv()
                with self._heard:
                    if what == "states":
                        self._states = said[0]
                    elif what == "problem":
                        self._problems[said[0]] = said[1]
                    else:
                        call, problem, page, state = said
                        self._states = {**self._states, page: state}
                        self._answers[call] = problem
                        self._heard.notify_all()


def _serve_page(
    connection: Connection,
    listener: socket.socket,
    memory: Any,
    cameras: Mapping[str, tuple[int, int]],
    token: str | None,
    names: tuple[str, ...],
    certificate: tuple[Path, Path] | None,
    webrtc: bool,
) -> None:
    """What the process runs, until its other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the other side's to hear
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    give_way()
    station = _FarStation(connection, PictureBoard(cameras, memory))
    app = make_teleop_app(station, token=token, names=names, webrtc=webrtc)
    with Served("", make_server(app, True, certificate), listener):
        station.hear()
