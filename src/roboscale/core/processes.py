"""Worker processes import the script that started them, and end with the process that did."""

from __future__ import annotations

import ast
import contextlib
import linecache
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from pathlib import Path

__all__ = ["NoMainGuard", "end_with_parent", "interrupts_held_back", "require_main"]

_GUARD = 'put what it does under if __name__ == "__main__": or, where a call takes it, say workers=0'


class NoMainGuard(SystemExit):
    """Processes would start the program again; its text is the sentence that the program ends with."""


@contextlib.contextmanager
def interrupts_held_back() -> Iterator[None]:
    """A process that is started here begins with Ctrl-C held back: while it imports, that would be a traceback.

    It says itself what an interrupt is to it, and then lets them through (`signal.SIG_UNBLOCK`).
    """
    resource_tracker.ensure_running()  # which lets interrupts through when it starts itself
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """Ends this process at once when the one that started it is gone, however it went; nothing in the first of all.

    A worker of a killed command would work on, unheard, beside the workers of the same command given again.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), name="end with parent", daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def require_main() -> None:
    """To be called before processes are started; ends a program whose processes could not start, with one sentence.

    That is a script that calls us outside `if __name__ == "__main__":`, and one that was read from standard input.
    Notebooks and `python -c` have no file that a process would import, so they pass.

    Raises:
        NoMainGuard: the sentence; nothing stands above the top level of a script to do better.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # a worker, which is importing the script
        raise NoMainGuard(f"worker processes import {sys.argv[0]}, which starts processes: {_GUARD}")
    main = sys.modules.get("__main__")
    path = getattr(main, "__file__", None)
    if main is None or path is None:
        return
    if not Path(path).exists():
        raise NoMainGuard(f"{path} is no file that worker processes could import: save the program as one")
    frame = sys._getframe()
    while frame.f_code.co_name != "<module>" or frame.f_globals is not vars(main):
        if frame.f_back is None:  # called from a thread, or from what was not started as a script
            return
        frame = frame.f_back
    if not _guarded("".join(linecache.getlines(path)), frame.f_lineno):
        raise NoMainGuard(f"{path}, line {frame.f_lineno}: worker processes import the script: {_GUARD}")


def _guarded(source: str, line: int) -> bool:
    """Whether a line at the top level runs in the script alone, and not where it is imported."""
    try:
        body = ast.parse(source).body
    except SyntaxError:  # e.g. a notebook's file: nobody imports it
        return True
    for node in body:
        if isinstance(node, ast.If) and node.lineno <= line <= (node.end_lineno or node.lineno):
            return any(isinstance(n, ast.Name) and n.id == "__name__" for n in ast.walk(node.test))
    return not source
