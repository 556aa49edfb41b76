"""A guest's process: started, asked, watched, started again.

Knows messages and time. Does not know what is asked. The process sees the wire and `guests.side` on its path and
nothing else of ours; its standard output and errors are a file, whose last lines say why it died.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from roboscale.core import InfrastructureError, PolicyError, RoboscaleError, combine
from roboscale.guests.definition import Guest
from roboscale.guests.environment import environment_of
from roboscale.guests.side.channel import Channel, Closed
from roboscale.wire import WireError

__all__ = ["GuestProcess", "above_standard", "check_guest_process"]

_PACKAGE = Path(__file__).parents[1]
_SEEN = ("wire", "guests/side")
_MORE_PATH: tuple[str, ...] = ()  # folders that a guest sees, too; tests bring theirs
_LAST_LINES = 5
_END_S = 2.0


def above_standard(descriptor: int) -> int:
    """The same open file, not under a number of stdin, stdout or stderr: a child has its own of these.

    Where a service closes them, the next file that is opened gets their numbers.
    """
    if descriptor > 2:
        return descriptor
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(descriptor)
    return moved


class GuestProcess:
    """One process in a guest's environment.

    Args:
        guest: which; must be installed.
        opener: `module:name` on its side of what is opened in it.
        arguments: for that.
        start_s: seconds that opening may take; imports and weights are read then.
        answer_s: seconds that an answer may take.
        descriptors: open files that it gets, under the same numbers.
        raised: what an exception in its code is to the trial: a policy's failure, or a world that broke.
        python: an interpreter instead of the guest's own, in which roboscale is installed: it sees all of that.

    Raises:
        RoboscaleError: it is not installed; says the command that installs it.
    """

    def __init__(
        self,
        guest: Guest,
        opener: str,
        arguments: Mapping[str, Any],
        *,
        start_s: float = 300,
        answer_s: float = 60,
        descriptors: Sequence[int] = (),
        raised: type[RoboscaleError] = PolicyError,
        python: Path | None = None,
    ) -> None:
        self.guest, self._python, self._whole = guest, python or _interpreter(guest), python is not None
        self.number = 0  # how often it was started
        self._message = {"opener": opener, "arguments": dict(arguments)}
        self._start_s, self._answer_s = start_s, answer_s
        self._descriptors, self._raised = tuple(descriptors), raised
        self._channel: Channel | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path(tempfile.mkdtemp(prefix=f"roboscale-{guest.name}-"))
        self._lock = threading.Lock()  # one question at a time
        weakref.finalize(self, shutil.rmtree, str(self._folder), ignore_errors=True)
        self._end: weakref.finalize[Any, Any] | None = None  # ends the process with this object, at the latest

    @property
    def code(self) -> str:
        """32 hex digits over what runs in a guest beside its lock: our side, and a repository that it is made of."""
        files = sorted(path for name in _SEEN for path in (_PACKAGE / name).glob("*.py"))
        ours = {path.relative_to(_PACKAGE).as_posix(): path.read_bytes() for path in files}
        theirs = self.guest.content
        return combine("side", ours, *(() if theirs is None else (theirs,))).digest

    @property
    def log(self) -> Path:
        """What it printed."""
        return self._folder / "log.txt"

    def start(self) -> Any:
        """Starts it, and returns what it says of what it opened.

        Raises:
            RoboscaleError: the guest's side says that it cannot be: a mistake of whoever asked.
            InfrastructureError: it died, hung or raised.
        """
        self.close_process()
        self.number += 1
        ours, theirs = socket.socketpair()
        theirs = socket.socket(fileno=above_standard(theirs.detach()))
        self._channel = Channel(ours)
        words = [str(self._python), "-u", "-m", "roboscale.guests.side", str(theirs.fileno()), str(os.getpid())]
        with theirs, self.log.open("ab") as log:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                pass_fds=[theirs.fileno(), *self._descriptors],
                start_new_session=True,  # Ctrl-C is ours to handle; and what it starts is in its group
            )
        self._end = weakref.finalize(self, _kill_group, self._process)
        self._receive(self._start_s)
        self._send(self._message)
        reply = self._receive(self._start_s)
        if reply.get("fault") == "mistake":
            self.close_process()
            raise RoboscaleError(f"guest {self.guest.name}: {reply['text']}")
        if "fault" in reply:
            self.close_process()
            raise InfrastructureError(f"guest {self.guest.name} cannot open it: {reply['text']}")
        return reply["ok"]

    @property
    def alive(self) -> bool:
        """Whether it was started, and did not end as far as is known."""
        return self._channel is not None

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return None if self._process is None else self._process.pid

    def ask(self, what: str, message: Mapping[str, Any], raised: type[RoboscaleError] | None = None) -> Any:
        """What `on_<what>` of the thing answers; a process that has died meanwhile is started again first.

        Args:
            raised: instead of the process's own.

        Raises:
            PolicyError: its own code raised, unless `raised` says otherwise.
            InfrastructureError: it died, or did not answer in time; it is gone then.
        """
        with self._lock:
            if self._channel is None:
                self.start()
            self._send({**message, "ask": what})
            reply = self._receive(self._answer_s)
        if "fault" in reply:
            kind = raised or self._raised
            if kind is InfrastructureError:  # what a simulator is after an exception nobody knows
                self.close_process()
            raise kind(f"guest {self.guest.name}: {reply['text']}")
        return reply["ok"]

    def give_back(self) -> None:
        """Lets the device inside be disconnected, where it still lives; then ends it."""
        try:
            if self.alive:
                self.ask("disconnect", {})
        finally:
            self.close()

    def close(self) -> None:
        """Ends it, and removes its log."""
        self.close_process()
        shutil.rmtree(self._folder, ignore_errors=True)

    def close_process(self) -> None:
        """Ends the process, with all that it started."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END_S)
        if self._end is not None:
            self._end()

    def _environment(self) -> dict[str, str]:
        """Ours without what would lead it into our environment, the guest's own variables, and where its files are."""
        hidden = ("PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV")
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        if self._whole:
            return {**kept, **self.guest.environment}
        path = os.pathsep.join((str(self._side()), *_MORE_PATH))
        ours = {"PYTHONPATH": path, "PYTHONNOUSERSITE": "1", "ROBOSCALE_GUEST_FOLDER": str(self.guest.folder)}
        return {**kept, **self.guest.environment, **ours}

    def _side(self) -> Path:
        """A folder with the part of roboscale that a guest sees."""
        root = self._folder / "side"
        if not root.exists():
            part = self._folder / "side.part"
            for name in _SEEN:
                shutil.copytree(
                    _PACKAGE / name, part / "roboscale" / name, ignore=shutil.ignore_patterns("__pycache__")
                )
            for name in ("roboscale", "roboscale/guests"):
                (part / name / "__init__.py").touch()
            part.rename(root)
        return root

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._channel is not None
        try:
            self._channel.send(message)
        except Closed:
            raise self._dead() from None
        except TimeoutError:
            self.close_process()
            raise InfrastructureError(self._said("reads no message any more")) from None

    def _receive(self, wait_s: float) -> dict[str, Any]:
        assert self._channel is not None
        try:
            reply: dict[str, Any] = self._channel.receive(wait_s)
        except Closed:
            raise self._dead() from None
        except TimeoutError:
            self.close_process()
            raise InfrastructureError(self._said(f"did not answer within {wait_s:g} s")) from None
        except WireError as error:
            self.close_process()
            raise InfrastructureError(self._said(f"answered with what is no message: {error}")) from error
        return reply

    def _dead(self) -> InfrastructureError:
        process = self._process
        code: int | None = None
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(_END_S)
        self.close_process()
        how = f"was killed by signal {-code}" if code is not None and code < 0 else f"died with exit code {code}"
        return InfrastructureError(self._said(how))

    def _said(self, how: str) -> str:
        """One line: what happened, and the last that it printed."""
        lines = self.log.read_text("utf-8", errors="replace").splitlines() if self.log.exists() else []
        last = " / ".join(line.strip() for line in lines[-_LAST_LINES:] if line.strip())
        return f"guest {self.guest.name} {how}" + (f"; its last lines: {last}" if last else "; it printed nothing")


def _interpreter(guest: Guest) -> Path:
    made = environment_of(guest)
    if made is None:
        raise RoboscaleError(f"guest {guest.name} is not installed here: roboscale guest install {guest.name}")
    return made.python


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def check_guest_process(guest: Guest, start_s: float = 600) -> tuple[str, ...]:
    """Runs a guest's own check in its environment; one text for each thing that works.

    Raises:
        RoboscaleError: it is not installed, or brings no check.
        InfrastructureError: it does not start, or its check fails; with its last lines.
    """
    if not guest.check:
        raise RoboscaleError(f"{guest.folder / 'guest.toml'}: check: expected module:name, found nothing")
    process = GuestProcess(guest, guest.check, {}, start_s=start_s)
    try:
        return tuple(str(text) for text in process.start())
    finally:
        process.close()
