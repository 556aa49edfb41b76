"""A stranger's world as something that can be asked: cases, looks, steps, measures, pictures.

What it opens is called with the task, and with what was typed behind it: `robosuite:Lift?size=64` is
`open("Lift", size=64)`. That has `describe() -> dict`, `start(task, start, variation) -> scene`, and perhaps
`expert(seed) -> function of the observation`. A scene has `observe(names)`, `step(action)`, `measures()`, perhaps
`picture(width, height)` and `close()`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from roboscale.guests.side.faults import Refusal
from roboscale.guests.side.memory import PictureMemory, is_picture

__all__ = ["WorldServer"]

_SESSIONS = 256  # of experts; the longest unused is forgotten first


class WorldServer:
    """One world, and one scene of it at a time.

    Args:
        opens: `module:name` of a class or function that makes the world.
        task: what stands behind the guest's name.
        options: texts behind the question mark; each becomes what its default is.
        memory: descriptor of the file in which pictures are handed over.
    """

    def __init__(self, opens: str, task: str, options: Mapping[str, str], memory: int) -> None:
        module, _, name = opens.partition(":")
        make = getattr(importlib.import_module(module), name)
        self._world = make(task, **_converted(make, options))
        self._said = dict(self._world.describe())
        self._fields = {str(field["name"]): field for field in self._said["observation"]}
        self._measures = [str(measure["name"]) for measure in self._said.get("measures", ())]
        self._descriptor = memory
        self._memory: PictureMemory | None = None
        self._scene: Any = None
        self._experts: dict[str, Callable[[Mapping[str, Any]], Any]] = {}

    def describe(self) -> dict[str, Any]:
        """What it is; the host makes a `WorldInfo` of it."""
        return dict(self._said, expert=hasattr(self._world, "expert"))

    def on_start(self, message: dict[str, Any]) -> list[float | None]:
        """Sets a case up; the measures before the first step."""
        if self._memory is None:  # now the host has made it large enough
            self._memory = PictureMemory(self._fields.values(), self._descriptor)
        self.on_finish({})
        self._scene = self._world.start(message["task"], message["start"], message["variation"])
        return self._measured()

    def on_observe(self, message: dict[str, Any]) -> dict[str, Any]:
        """The named numbers; the named pictures are in the memory then."""
        return self._seen(message["names"])

    def _seen(self, names: Sequence[str]) -> dict[str, Any]:
        if not names:
            return {}
        assert self._memory is not None, "a scene comes first"
        seen = self._scene.observe(names)
        numbers = {}
        for name in names:
            if name not in seen:
                raise ValueError(f"observe: {name} is missing; there are {', '.join(sorted(seen))}")
            if is_picture(self._fields[name]):
                self._memory.views[name][...] = _picture(name, seen[name], self._fields[name])
            else:
                numbers[name] = _numbers(name, seen[name], self._fields[name])
        return numbers

    def on_step(self, message: dict[str, Any]) -> list[Any]:
        """Terminated, truncated, what was really applied or nothing, the measures, and what is looked at with it."""
        done = self._scene.step(np.array(message["action"])) or {}
        return [
            bool(done.get("terminated")),
            bool(done.get("truncated")),
            None if done.get("applied") is None else np.asarray(done["applied"]),
            self._measured(),
            self._seen(message["look"]),
        ]

    def on_picture(self, message: dict[str, Any]) -> Any:
        """The scene for people."""
        return np.ascontiguousarray(self._scene.picture(message["width"], message["height"]))

    def on_expert(self, message: dict[str, Any]) -> Any:
        """Rows of actions (H, D) of the world's own expert."""
        session = message["session"]
        expert = self._experts.pop(session, None)
        if message["step"] == 0:
            expert = self._world.expert(message["seed"])
        if expert is None:
            raise RuntimeError("the session is not known any more: the process was started anew in the middle of it")
        self._experts[session] = expert
        while len(self._experts) > _SESSIONS:
            del self._experts[next(iter(self._experts))]
        return np.atleast_2d(np.asarray(expert(message["observation"]), np.float32))

    def on_finish(self, message: dict[str, Any]) -> None:
        """Ends the scene."""
        scene, self._scene = self._scene, None
        if hasattr(scene, "close"):
            scene.close()

    def _measured(self) -> list[float | None]:
        now = dict(self._scene.measures())
        if now.keys() != set(self._measures):
            raise ValueError(f"measures: expected {sorted(self._measures)}, found {sorted(now)}")
        return [None if now[name] is None else float(now[name]) for name in self._measures]


def _converted(make: Callable[..., Any], options: Mapping[str, str]) -> dict[str, Any]:
    """Options as their defaults are: `size=64` with a default of 128 is a number."""
    known = {n: p.default for n, p in inspect.signature(make).parameters.items() if p.default is not p.empty}
    values: dict[str, Any] = {}
    for name, text in options.items():
        if name not in known:
            raise Refusal(f"option {name}: there is none; there are {', '.join(known) or 'none at all'}")
        kind = type(known[name])
        try:
            values[name] = _truth(text) if kind is bool else kind(text)
        except (TypeError, ValueError):
            raise Refusal(f"option {name}: expected {kind.__name__} as {known[name]!r}, found {text!r}") from None
    return values


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def _numbers(name: str, value: Any, field: Mapping[str, Any]) -> Any:
    array = np.ascontiguousarray(value, field["dtype"])
    if list(array.shape) != list(field["shape"]) and np.shape(value) != tuple(field["shape"]):
        raise ValueError(f"observe: {name}: expected {list(field['shape'])}, found {list(np.shape(value))}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"observe: {name}: expected finite numbers, found {array}")
    return array.reshape(tuple(field["shape"]))


def _picture(name: str, value: Any, field: Mapping[str, Any]) -> Any:
    array = np.asarray(value)
    if array.dtype != np.uint8 or list(array.shape) != list(field["shape"]):
        found = f"{array.dtype}{list(array.shape)}"
        raise ValueError(f"observe: {name}: expected uint8{list(field['shape'])}, found {found}")
    return array
