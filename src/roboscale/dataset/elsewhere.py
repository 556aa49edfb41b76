"""Recording in a process of its own: whoever paces an arm hands frames over through shared memory and goes on.

Encoding a picture takes milliseconds, and now and then many; done in the step loop they are the loop's jitter. Here
`add` copies a frame into a ring that both processes see. A ring that is full makes `add` wait, which the step loop
counts as a late step: no frame is left out. What is saved is adopted by the dataset's writer with one rename, so that
a killed process costs the take that ran and nothing else.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from multiprocessing.connection import Connection
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from roboscale.core.episode import Frame, Outcome, Provenance, new_episode_id
from roboscale.core.errors import InfrastructureError, RoboscaleError
from roboscale.core.pacing import give_way
from roboscale.core.processes import interrupts_held_back
from roboscale.core.spec import Spec
from roboscale.dataset.writer import DatasetTake, DatasetWriter, TakesApart, check_frame

__all__ = ["RecordingProcess", "TakeElsewhere"]

_RING_BYTES = 64 * 2**20  # of shared memory, at most, unless eight frames need more
_SLOTS = (8, 64)  # frames that may wait, at least and at most
_START_S, _ADD_S, _SAVE_S = 60.0, 10.0, 600.0
_ALIGN = 64


class FrameRing:
    """Frames of one spec in memory that two processes share.

    Args:
        memory: bytes, at least `slots * frame_bytes(spec)`.
    """

    def __init__(self, spec: Spec, memory: Any, slots: int) -> None:
        each = frame_bytes(spec)
        self._slots: list[dict[str, NDArray[Any]]] = []
        for slot in range(slots):
            at, views = slot * each, {}
            for field in spec:
                size = int(np.prod(field.shape)) * np.dtype(field.dtype).itemsize
                views[field.name] = np.frombuffer(memory, field.dtype, int(np.prod(field.shape)), at).reshape(
                    field.shape
                )
                at += _aligned(size)
            self._slots.append(views)

    def put(self, slot: int, frame: Frame) -> None:
        """Copies a frame into a slot."""
        for name, view in self._slots[slot].items():
            view[...] = frame[name]

    def at(self, slot: int) -> dict[str, NDArray[Any]]:
        """The frame in a slot; it is the ring's own memory."""
        return self._slots[slot]


def frame_bytes(spec: Spec) -> int:
    """Bytes of a frame in a ring."""
    return sum(_aligned(int(np.prod(f.shape)) * np.dtype(f.dtype).itemsize) for f in spec)


def _aligned(size: int) -> int:
    return -(-size // _ALIGN) * _ALIGN


class RecordingProcess:
    """Takes of a dataset that is open here, encoded in another process. One take at a time. A context manager.

    The process is started when the first take begins, or before by `start`; and again when it is gone.

    Args:
        writer: of the dataset; it adopts what is saved.
    """

    def __init__(self, writer: DatasetWriter) -> None:
        self.writer = writer
        each = frame_bytes(writer.spec)
        self.slots = int(np.clip(_RING_BYTES // each, *_SLOTS))
        context = multiprocessing.get_context("spawn")
        self._memory = context.RawArray("b", self.slots * each)
        self.ring = FrameRing(writer.spec, self._memory, self.slots)
        self._context, self._process = context, None  # type: tuple[Any, Any]
        self._connection: Connection | None = None
        self._ready = False

    @property
    def process_id(self) -> int | None:
        """Of the process that encodes; `None` where none runs."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Starts the process, and does not wait until it is up; nothing where it runs."""
        if self._process is not None and self._process.is_alive():
            return
        self.close()
        ours, other = self._context.Pipe()
        writer = self.writer
        arguments = (other, self._memory, self.slots, writer.root, writer.spec, writer.codec)
        self._process = self._context.Process(target=_record, args=arguments, name="roboscale recording", daemon=True)
        with interrupts_held_back():
            self._process.start()
        other.close()
        self._connection, self._ready = ours, False

    def begin(self, instruction: str, provenance: Provenance, *, episode_id: str | None = None) -> TakeElsewhere:
        """Starts a take. Errors as the writer's; InfrastructureError when the process does not come up."""
        id_ = new_episode_id() if episode_id is None else episode_id
        self._up()
        try:
            self.tell("begin", id_, instruction, provenance)
        except InfrastructureError:  # it was gone by then: another one
            self._up()
            self.tell("begin", id_, instruction, provenance)
        return TakeElsewhere(self, id_)

    def _up(self) -> None:
        """Waits until a process runs and is ready."""
        self.start()
        if self._ready:
            return
        if self._heard(_START_S) is None:
            self.abandon()
            raise InfrastructureError(f"the recording's process did not come up within {_START_S:g} s")
        self._ready = True

    def tell(self, *message: object) -> None:
        """Says something to the process; InfrastructureError when it is gone."""
        assert self._connection is not None, "started before"
        try:
            self._connection.send(message)
        except OSError as error:
            raise self._gone() from error

    def hear(self, at_most_s: float) -> tuple[str, Any] | None:
        """What the process says next; `None` when it says nothing in that time.

        Raises:
            RoboscaleError: its own, e.g. of a full disk. InfrastructureError: it is gone.
        """
        said = self._heard(at_most_s)
        if said is not None and said[0] == "error":
            raise said[1]
        return said

    def _heard(self, at_most_s: float) -> tuple[str, Any] | None:
        assert self._connection is not None, "started before"
        try:
            return self._connection.recv() if self._connection.poll(at_most_s) else None
        except (EOFError, OSError) as error:
            raise self._gone() from error

    def _gone(self) -> InfrastructureError:
        self._process.join(1)
        return InfrastructureError(
            f"the recording's process is gone (exit code {self._process.exitcode}): the take that ran is lost, the "
            f"{len(self.writer.episode_ids)} saved episodes are not"
        )

    def abandon(self) -> None:
        """Kills a process that is stuck; the next take has another."""
        if self._process is not None:
            self._process.kill()
        self.close()

    def close(self) -> None:
        """Ends the process; a take that is open is dropped."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.join(10)
            if self._process.is_alive():
                self._process.kill()
                self._process.join(1)
        self._connection = self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class TakeElsewhere:
    """An episode that another process records. `core.Take` as everybody knows it.

    Args:
        id: of the episode.
    """

    def __init__(self, process: RecordingProcess, id: str) -> None:  # what every take calls it
        self.id = id
        self._process, self._spec = process, process.writer.spec
        self._free = deque(range(process.slots))
        self._frames, self._state = 0, "open"
        self.waited_s = 0.0

    def __len__(self) -> int:
        return self._frames

    def add(self, frame: Frame) -> None:
        """Hands one time step over; waits while the ring is full.

        Raises:
            SpecMismatch, BadData: as `DatasetTake.add`; the take goes on.
            InfrastructureError: the disk is full, or the process is gone or stuck; the take is lost, saved episodes
                are not.
        """
        self._require_open()
        check_frame(self._spec, frame, f"take {self.id}, frame {self._frames}")
        try:
            self._reclaim()
            slot = self._free.popleft()
            self._process.ring.put(slot, frame)
            self._process.tell("add", slot)
        except RoboscaleError:
            self._state = "lost"
            raise
        self._frames += 1

    def _reclaim(self) -> None:
        """Takes back the slots whose frames are encoded; waits for one where none is free."""
        while (said := self._process.hear(0.0)) is not None:
            self._free.append(said[1])
        if self._free:
            return
        begun = time.monotonic()
        said = self._process.hear(_ADD_S)
        self.waited_s += time.monotonic() - begun
        if said is None:
            self._process.abandon()
            raise InfrastructureError(f"the recording's process encoded nothing for {_ADD_S:g} s: the take is lost")
        self._free.append(said[1])

    def came_from(self, provenance: Provenance) -> None:
        """Replaces what the beginning said: who drove is known at the end. InfrastructureError as `add`."""
        self._require_open()
        self._process.tell("provenance", provenance)

    def save(self, outcome: Outcome | None = None) -> str:
        """Makes the episode permanent and returns its id. Errors as `DatasetTake.save`."""
        self._require_open()
        self._state = "lost"  # unless all of what follows works
        self._process.tell("save", outcome)
        while (said := self._process.hear(_SAVE_S)) is not None:
            if said[0] == "saved":
                self._process.writer.adopt(self.id)
                self._state = "saved"
                return self.id
        self._process.abandon()
        raise InfrastructureError(f"the recording's process did not save within {_SAVE_S:g} s: the take is lost")

    def discard(self) -> None:
        """Drops the take. Nothing happens when it is saved, lost or discarded already."""
        if self._state != "open":
            return
        self._state = "discarded"
        try:
            self._process.tell("discard")
            while (said := self._process.hear(_SAVE_S)) is not None and said[0] != "discarded":
                pass
        except RoboscaleError:  # it is gone, and the take with it
            pass

    def _require_open(self) -> None:
        if self._state != "open":
            raise RoboscaleError(f"take {self.id} is {self._state}")


def _record(connection: Connection, memory: Any, slots: int, *of: Any) -> None:
    """What the process runs, until its other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the other side's to hear
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    give_way()  # whoever paces an arm goes first; the ring keeps what waits
    sink = TakesApart(*of)
    ring = FrameRing(sink.spec, memory, slots)
    take: DatasetTake | None = None
    connection.send(("ready", None))
    try:
        while True:
            what, *said = connection.recv()
            try:
                if what == "begin":
                    id_, instruction, provenance = said
                    take = sink.begin(instruction, provenance, episode_id=id_)
                elif take is None:
                    pass  # of a take that broke, whose error was told
                elif what == "add":
                    take.add(ring.at(said[0]))
                    connection.send(("added", said[0]))
                elif what == "provenance":
                    take.provenance = said[0]
                elif what == "save":
                    connection.send(("saved", take.save(said[0])))
                    take = None
            except RoboscaleError as error:
                if take is not None:
                    take.discard()
                take = None
                connection.send(("error", error))
            if what == "discard":
                if take is not None:
                    take.discard()
                take = None
                connection.send(("discarded", None))
    except (EOFError, OSError):  # the other side is gone: what it had not saved nobody wants
        if take is not None:
            take.discard()
