"""The process of a guest: answers one question after the other until nobody asks any more.

    python -m roboscale.guests.side FD PARENT

Standard output is the log: printing is harmless. It ends with its parent, also when that was killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import platform
import signal
import socket
import sys
import threading
import time
import traceback
from typing import Any

from roboscale.guests.side.channel import Channel, Closed
from roboscale.guests.side.faults import Refusal
from roboscale.wire import CannotEncode

__all__ = ["run_guest"]

_LOOK_S = 0.5
_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Ends this process and those that it started when `parent` is gone."""

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_S)
        os.killpg(os.getpgid(0), signal.SIGKILL)

    threading.Thread(target=look, daemon=True, name="parent").start()
    if sys.platform.startswith("linux"):  # a library that never lets the thread above run cannot stop the kernel
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)


def opened(message: dict[str, Any]) -> Any:
    """What `module:name` makes of the arguments."""
    module, _, name = str(message["opener"]).partition(":")
    return getattr(importlib.import_module(module), name)(**message.get("arguments", {}))


def answer(thing: Any, message: dict[str, Any]) -> dict[str, Any]:
    """What a method of the thing returns, or which kind of fault it was and where."""
    try:
        return {"ok": getattr(thing, "on_" + str(message["ask"]))(message)}
    except Refusal as error:
        return {"fault": "mistake", "text": str(error)}
    except Exception as error:  # noqa: BLE001 - a stranger's code raises what it likes, and the host is told
        traceback.print_exc()
        return {"fault": "raised", "text": said(error)}


def said(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" ({last[0].filename}:{last[0].lineno})" if last else ""
    return f"{type(error).__name__}: {error}{where}"


def serve(channel: Channel) -> None:
    channel.send({"hello": {"python": platform.python_version(), "pid": os.getpid()}})
    thing = None
    while True:
        message = channel.receive()
        if "opener" in message:
            try:
                thing = opened(message)
                reply = {"ok": thing.describe()}
            except Exception as error:  # noqa: BLE001 - whatever opening raises is the answer
                traceback.print_exc()
                kind = "mistake" if isinstance(error, Refusal) else "raised"
                reply = {"fault": kind, "text": str(error) if kind == "mistake" else said(error)}
        else:
            reply = answer(thing, message)
        try:
            channel.send(reply)
        except CannotEncode as error:
            channel.send({"fault": "raised", "text": str(error)})


def run_guest() -> None:
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    die_with(parent)
    sys.stdout.flush()
    os.dup2(2, 1)
    with contextlib.suppress(Closed):
        serve(Channel(socket.socket(fileno=descriptor)))
    os._exit(0)  # threads and hooks of a stranger's package shall not keep it


if __name__ == "__main__":
    run_guest()
