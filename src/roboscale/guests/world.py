"""A world that a guest runs: an ordinary `World` here, a process of its own there; pictures in memory that both see.

Knows messages, fields and scenes. Does not know what simulates.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import uuid
import weakref
from collections.abc import Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    ActionChunk,
    Case,
    Identity,
    InfrastructureError,
    Measure,
    Measures,
    Observation,
    PolicyError,
    RoboscaleError,
    Session,
    Spec,
    Step,
    SuccessRule,
    WorldInfo,
    combine,
)
from roboscale.guests.definition import Guest
from roboscale.guests.process import GuestProcess, above_standard
from roboscale.guests.side.memory import PictureMemory

__all__ = ["GuestScene", "GuestWorld", "open_guest_world"]

_SURE = 3  # looks at consecutive steps, after which the next one is expected
_SERVER = "roboscale.guests.side.world_server:WorldServer"
_SAID = {"observation", "action", "rate_hz", "success_terms", "notes", "rule", "measures", "wordings"}
_NEEDED = {"tasks", "observation", "action", "rate_hz", "horizon"}
_PLAIN = {f.name for f in fields(WorldInfo)} - {"name", "identity", "observation_spec", "action_spec"} - _SAID


def open_guest_world(
    guest: Guest, task: str, options: Mapping[str, str], *, start_s: float = 300.0, answer_s: float = 300.0
) -> GuestWorld:
    """Starts the guest's process and asks what the world is; nothing is reset or rendered.

    Args:
        task: what stands behind the guest's name. options: what stands behind the question mark.
        start_s: seconds that opening may take. answer_s: seconds that a reset, a step or a look may take.

    Raises:
        RoboscaleError: it is not installed, or has no such task or option.
        InfrastructureError: it cannot be opened, or describes itself wrongly.
    """
    return GuestWorld(guest, task, options, start_s=start_s, answer_s=answer_s)


class GuestWorld:
    """One task of a guest's world. Its identity is what it says of itself, the lock, our side of it and the options.

    Args: see `open_guest_world`, which makes one; `python` as `GuestProcess` has it.
    """

    def __init__(
        self,
        guest: Guest,
        task: str,
        options: Mapping[str, str],
        *,
        start_s: float,
        answer_s: float,
        python: Path | None = None,
    ) -> None:
        self._descriptor = _shared_file()
        weakref.finalize(self, os.close, self._descriptor)
        arguments = {"opens": guest.worlds, "task": task, "options": dict(options), "memory": self._descriptor}
        self.process = GuestProcess(
            guest,
            _SERVER,
            arguments,
            start_s=start_s,
            answer_s=answer_s,
            descriptors=(self._descriptor,),
            raised=InfrastructureError,
            python=python,
        )
        try:
            said = self.process.start()
            where = f"guest {guest.name}: world {task}"
            content = {**said, "name": f"{guest.name}:{task}"}
            identity = combine(content["name"], guest.identity, self.process.code, dict(options), said)
            self.info, self._terms = _info(content, identity, where), dict(said.get("success_terms", {}))
            self.notes = tuple(map(str, said.get("notes", ())))
            self._memory = self._map(said["observation"])
            if self.info.expert:  # the protocol `HasExpert` is looked for on the instance
                self.expert = lambda: GuestExpert(self.info, self.process)
        except BaseException:
            self.process.close()
            raise

    def _map(self, observation: list[Mapping[str, Any]]) -> PictureMemory:
        """The memory, large enough; a guest cannot make it smaller under our hands."""
        size = PictureMemory.size(observation)
        os.ftruncate(self._descriptor, size)
        if hasattr(fcntl, "F_ADD_SEALS"):
            with contextlib.suppress(OSError):  # a file on the disk has no seals
                fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        return PictureMemory(observation, self._descriptor)

    def start(self, case: Case) -> GuestScene:
        """Sets the case up in the guest, which is started again where it is gone.

        Raises:
            UnknownName: a task, variation or kind of start that it does not have.
            InfrastructureError: it died, hung or raised.
        """
        self.info.require(case)
        asked = {"task": case.task, "start": case.start, "variation": case.variation}
        return GuestScene(self.info, self.process, self._memory, self.process.ask("start", asked))

    def success_terms(self, task: str) -> Mapping[str, str]:
        """What success is computed from, as the guest says."""
        return self._terms

    def close(self) -> None:
        """Ends the process."""
        self.process.close()


class GuestScene:
    """One case in a guest.

    Args:
        info: of its world. process: where it runs. memory: where its pictures are.
        measured: values of the measures, in their order.
    """

    def __init__(
        self, info: WorldInfo, process: GuestProcess, memory: PictureMemory, measured: list[float | None]
    ) -> None:
        self._info, self._process, self._memory, self._measured = info, process, memory, measured
        self._number, self._names = process.number, info.observation_spec.names
        self._seen: tuple[str, ...] = ()  # what of the present step was looked at
        self._looks = 0  # consecutive steps that were looked at
        self._ahead: tuple[str, ...] = ()  # what came with the present step, unasked
        self._numbers: Mapping[str, Any] = {}  # of that

    def observe(self, names: Collection[str] | None = None) -> Observation:
        """The named fields now, read-only; see `Scene`."""
        wanted = self._names if names is None else tuple(names)
        if not set(wanted) <= set(self._names):
            self._info.observation_spec.select(wanted)
        self._looks += not self._seen
        self._seen = tuple(dict.fromkeys((*self._seen, *wanted)))
        numbers = self._numbers
        if not set(wanted) <= set(self._ahead):
            numbers = self._ask("observe", {"names": wanted})
        return {name: self._drawn(name) if name in self._memory.views else numbers[name] for name in wanted}

    def _drawn(self, name: str) -> NDArray[np.uint8]:
        picture = np.array(self._memory.views[name])  # the guest draws the next one over it
        picture.flags.writeable = False
        return picture

    def step(self, action: NDArray[Any]) -> Step:
        """One control step; see `Scene`.

        Who has looked at every step will look at the next one: what was looked at comes with it then, and the way to
        the guest and back is gone once. A policy that reads one step in eight is left alone.
        """
        if not self._seen:
            self._looks = 0
        self._ahead, self._seen = self._seen if self._looks >= _SURE else (), ()
        reply = self._ask("step", {"action": action, "look": self._ahead})
        terminated, truncated, applied, self._measured, self._numbers = reply
        return Step(terminated, truncated, applied)

    def measures(self) -> Measures:
        """As they were after the newest step."""
        return {m.name: value for m, value in zip(self._info.measures, self._measured, strict=True)}

    def picture(self, width: int, height: int) -> NDArray[np.uint8]:
        """For people; RoboscaleError where the world cannot show itself."""
        if not self._info.pictures:
            raise RoboscaleError(f"world {self._info.name} has no pictures")
        drawn: NDArray[np.uint8] = self._ask("picture", {"width": width, "height": height})
        if drawn.shape != (height, width, 3) or drawn.dtype != np.uint8:
            expected, found = f"uint8[{height}, {width}, 3]", f"{drawn.dtype}{list(drawn.shape)}"
            raise InfrastructureError(f"world {self._info.name}: picture: expected {expected}, found {found}")
        return drawn

    def close(self) -> None:
        """Ends it. A guest that breaks here takes nothing along: the trial has its facts, the next finds another."""
        if self._process.number == self._number and self._process.alive:
            with contextlib.suppress(InfrastructureError):
                self._process.ask("finish", {})

    def _ask(self, what: str, message: Mapping[str, Any]) -> Any:
        if self._process.number != self._number or not self._process.alive:
            raise InfrastructureError(f"{self._info.name}: its process is gone, with the scene")
        return self._process.ask(what, message)


class GuestExpert:
    """A world's own expert, computed in the guest.

    Args:
        info: of the world. process: where it is asked.
    """

    def __init__(self, info: WorldInfo, process: GuestProcess) -> None:
        self.name, self.identity = "expert", combine("expert", "guest expert", info.identity)
        self._numbers = [f.name for f in info.observation_spec if not f.is_image]
        self.observation_spec: Spec | None = info.observation_spec.select(self._numbers)
        self.action_spec: Spec | None = info.action_spec
        self.history = 1
        self._process = process

    def start(self, instruction: str, seed: int) -> Session:
        """A new episode."""
        session, steps = uuid.uuid4().hex, [0]

        def act(observation: Observation) -> ActionChunk:
            seen = {name: observation[name] for name in self._numbers}
            asked = {"session": session, "step": steps[0], "seed": seed, "observation": seen}
            rows = self._process.ask("expert", asked, raised=PolicyError)
            steps[0] += 1
            return ActionChunk(rows)

        return act


def _shared_file() -> int:
    """Memory that has no name, gone with the last process that has it open."""
    if hasattr(os, "memfd_create"):
        return above_standard(os.memfd_create("roboscale", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
    with tempfile.TemporaryFile() as file:
        return above_standard(os.dup(file.fileno()))


def _info(said: Mapping[str, Any], identity: Identity, where: str) -> WorldInfo:
    """What the guest's side says, as a `WorldInfo`; InfrastructureError names the key that is missing or wrong."""
    if unknown := sorted(set(said) - _SAID - _PLAIN - {"name"}):
        raise InfrastructureError(f"{where} says {', '.join(unknown)}, and nothing here knows what that is")
    if missing := sorted(_NEEDED - set(said)):
        raise InfrastructureError(f"{where} does not say {', '.join(missing)}")
    try:
        rate = float(said["rate_hz"])
        given = {key: _tupled(said[key]) for key in _PLAIN if key in said}
        return WorldInfo(
            **{"kind": "simulated", "version": "", **given},
            name=str(said["name"]),
            identity=identity,
            observation_spec=Spec.from_json({"fields": said["observation"], "rate_hz": rate}),
            action_spec=Spec.from_json({"fields": [{"name": "action", **said["action"]}], "rate_hz": rate}),
            rule=_rule(str(said.get("rule", "first"))),
            measures=tuple(_measure(measure) for measure in said.get("measures", ())),
        )
    except (KeyError, TypeError, ValueError, RoboscaleError) as error:
        raise InfrastructureError(f"{where} describes itself wrongly: {error!r}") from error


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _measure(said: Mapping[str, Any]) -> Measure:
    """A referee reads success step by step, so its series is kept whatever is said."""
    return Measure(**{**said, "series": said["name"] == "success" or bool(said.get("series"))})


def _rule(text: str) -> SuccessRule:
    kind, _, count = text.partition(" ")
    if kind not in ("first", "end", "hold"):
        raise ValueError(f"rule: expected first, end or hold K, found {text!r}")
    return SuccessRule(kind, int(count)) if count else SuccessRule(kind)  # type: ignore[arg-type]
