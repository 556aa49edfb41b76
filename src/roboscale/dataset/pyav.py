"""What differs between the versions of PyAV that are supported, 15 to 19; nobody else asks which one is there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

__all__ = ["READING", "convert", "fraction", "index_of", "open_encoder"]

_MAJOR = int(av.__version__.split(".")[0])

READING: Mapping[str, Any] = {"metadata_errors": "replace"} if _MAJOR < 19 else {}
"""For `av.open`: a broken text in a file's metadata is no reason to refuse the file; from 19 on it never is."""

_ONE_THREAD: Mapping[str, Any] = {"threads": 1} if _MAJOR >= 17 else {}  # before, there was never more than one


def convert(converter: Any, frame: Any, format: str, size: tuple[int, int] | None = None) -> Any:
    """A frame in another pixel format, made by a `VideoReformatter` on one thread.

    One converter that is kept costs a sixth of the work of one for each frame on as many threads as there are cores.

    Args:
        size: (height, width) to bring it to, by the nearest pixel.
    """
    smaller = {} if size is None else {"height": size[0], "width": size[1], "interpolation": "POINT"}
    return converter.reformat(frame, format=format, **smaller, **_ONE_THREAD)


def open_encoder(context: Any) -> None:
    """Opens an encoder, and leaves this process scheduled as it was.

    Run by root, as in most containers, SVT-AV1 turns its threads and whoever opened it into real-time ones, with the
    highest priority there is: a recorder, and each process that it starts from then on, starves the machine.
    """
    before = _scheduling()
    context.open()
    if before != _scheduling():
        for thread in Path("/proc/self/task").iterdir():
            with suppress(OSError):  # one that has ended meanwhile
                os.sched_setscheduler(int(thread.name), before[0], os.sched_param(before[1]))


def _scheduling() -> tuple[int, int]:
    """Policy and priority of the calling thread; zeros where systems have none such."""
    if not hasattr(os, "sched_getscheduler"):
        return 0, 0
    return os.sched_getscheduler(0), os.sched_getparam(0).sched_priority


def fraction(value: Any) -> Fraction | None:
    """A rate or time base as a Fraction; None where the file says none.

    From 19 on PyAV gives rationals of its own: unset is 0, and the product of two is rounded to 32 bits.
    """
    return Fraction(value.numerator, value.denominator) if value else None


def index_of(path: Path, stream: Any) -> list[tuple[int, bool, int]]:
    """(time in ticks, key frame, byte after it) of every picture in a file's index, nothing decoded.

    Before 17 the index cannot be asked, and one of a file in fragments or of another container is not whole: the
    packets are read instead.
    """
    if _MAJOR >= 17 and stream.frames:
        return [(e.timestamp, e.is_keyframe, e.pos + e.size) for e in stream.index_entries]
    # A parser would look into the packets and contradict the index.
    with av.open(str(path), "r", options={"fflags": "+noparse+nofillin"}, **READING) as container:
        packets = (packet for packet in container.demux(video=0) if packet.size)
        return [
            (packet.pts if packet.dts is None else packet.dts, packet.is_keyframe, packet.pos + packet.size)
            for packet in packets
        ]
