"""Code of other people that runs in this process, worlds and policies: it may not end it without a word, nor hang it.

Trials run in processes of their own, which can be killed. What is opened here to ask what it is cannot: its exits are
turned into errors, and its hanging is interrupted. Compiled code that crashes still ends the process, with its stack.
"""

from __future__ import annotations

import faulthandler
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from roboscale.core import RoboscaleError
from roboscale.core.processes import NoMainGuard

__all__ = ["staying_alive", "within"]

SLOW_S = 15.0  # after which people are told what they wait for
AGAIN_S = 1.0  # an interruption that was swallowed is followed by the next one
UNHEARD_S = 10.0  # compiled code that lets no interruption through ends with the process


@contextmanager
def staying_alive() -> Iterator[None]:
    """While it is open, `os._exit` raises SystemExit, which whoever calls a policy or a world makes a fault of; one
    that nobody has caught leaves as a RoboscaleError. A script's own `sys.exit` outside of it is untouched.

    Raises:
        RoboscaleError: the code inside ended the program.
    """
    whole, here = os._exit, os.getpid()

    def _exit(status: int = 0) -> NoReturn:
        if os.getpid() != here:  # a child that was forked meanwhile may end
            whole(status)
        raise SystemExit(f"os._exit({status})")

    os._exit = _exit
    try:
        yield
    except NoMainGuard:  # our own sentence about the script, not an exit of a policy or a world
        raise
    except SystemExit as error:
        where = _last_place(error)
        raise RoboscaleError(
            f"the code of a policy or a world ended the program (SystemExit: {error}){where}"
        ) from error
    finally:
        os._exit = whole


def _last_place(error: BaseException) -> str:
    """File and line of whoever raised, outside of this file."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename != __file__:
            place = f", in {code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


class _TooLong(BaseException):
    """No Exception: the code that it interrupts must not take it for one of its own."""


@contextmanager
def within(limit_s: float, what: str, say: Callable[[str], None]) -> Iterator[None]:
    """Opens something that may hang. After `SLOW_S` people are told; only the main thread can be interrupted.

    Args:
        limit_s: as `--start-timeout` says.
        what: e.g. `world point.toml`; begins the messages.
        say: told once when it is slow.

    Raises:
        RoboscaleError: it took longer.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    begun = time.monotonic()

    def ring(number: int, frame: FrameType | None) -> None:
        passed_s = time.monotonic() - begun
        if passed_s >= limit_s:
            raise _TooLong
        say(f"{what}: still being opened after {passed_s:.0f} s; --start-timeout gives up after {limit_s:g} s")
        signal.setitimer(signal.ITIMER_REAL, limit_s - passed_s, AGAIN_S)

    before = signal.signal(signal.SIGALRM, ring)
    left_s, every_s = signal.setitimer(signal.ITIMER_REAL, min(SLOW_S, limit_s), AGAIN_S)
    with suppress(AttributeError, OSError, io.UnsupportedOperation):  # stderr is no file
        faulthandler.dump_traceback_later(limit_s + UNHEARD_S, exit=True, file=sys.stderr)
    try:
        yield
    except _TooLong:
        raise RoboscaleError(
            f"{what}: not opened within {limit_s:g} s; --start-timeout sets how long that may take"
        ) from None
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left_s:  # somebody else's alarm goes on
            signal.setitimer(signal.ITIMER_REAL, max(left_s - (time.monotonic() - begun), 1e-3), every_s)
