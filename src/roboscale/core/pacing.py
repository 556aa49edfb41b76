"""Whoever paces a loop goes first: other threads hand over soon, the collector rests, helping processes give way.

A thread that has to wake at a set time waits for whichever thread of its process runs Python just then, by default up
to 5 ms; and the garbage collector looks through everything that was made before the loop, now and then, inside it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Iterator

__all__ = ["give_way", "paced"]

_HAND_OVER_S = 0.0005
_NICER = 5


@contextlib.contextmanager
def paced() -> Iterator[None]:
    """While it lasts, threads of this process hand over within half a millisecond, and what is there is not collected.

    >>> with paced():
    ...     round(sys.getswitchinterval(), 4)
    0.0005
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _HAND_OVER_S))
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(before)


def give_way() -> None:
    """This process runs after the one that it works for: nicer, or one step lower where priorities are real-time.

    Nothing where the system does not let it.
    """
    with contextlib.suppress(OSError, AttributeError):  # not every system has real-time priorities
        policy = os.sched_getscheduler(0)
        if policy in (os.SCHED_FIFO, os.SCHED_RR):
            lower = max(os.sched_get_priority_min(policy), os.sched_getparam(0).sched_priority - 1)
            os.sched_setscheduler(0, policy, os.sched_param(lower))
            return
        os.nice(_NICER)
