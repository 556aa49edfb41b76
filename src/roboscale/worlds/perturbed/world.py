"""A world around a world: hands a perturbed case's observations out late, noisy or in pieces, its actions late, and
changes the model of a simulator for as long as the case runs.

The case without such a variation is the inner world's own scene, untouched: it is the arm that others are compared
with.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    Case,
    Field,
    InfrastructureError,
    Measures,
    Observation,
    Policy,
    Scene,
    Session,
    Step,
    World,
    WorldInfo,
    combine,
    generator,
)
from roboscale.core.simulation import HasSimulation
from roboscale.worlds.perturbed.axes import AXES, Axis, Settings, axes_of, noise_unit, settings_of
from roboscale.worlds.perturbed.changes import Changes
from roboscale.worlds.perturbed.parts import MODEL_PARTS
from roboscale.worlds.perturbed.wordings import read_wordings

__all__ = ["PerturbedWorld"]

_OLDER = ("observation_delay", "lost_frames", "control_rate")
"""The axes under which what is shown may be of an earlier step."""


class PerturbedWorld:
    """The same world, with the axes of `AXES` that it can do as further variations.

    Args:
        inner: closed with this one.
        paraphrases: file of other wordings; by default the templates that come with roboscale.

    Attributes:
        missing: every axis -> why this world cannot do it; empty where it can.
    """

    def __init__(self, inner: World, paraphrases: Path | None = None) -> None:
        self._inner = inner
        worded = _Worded(inner, paraphrases)
        self.missing: Mapping[str, str] = axes_of(worded)
        self._can = {n: AXES[n] for n, why in self.missing.items() if not why and n not in inner.info.variations}
        self._info = _perturbed_info(worded.info, self._can)

    @property
    def info(self) -> WorldInfo:
        return self._info

    @property
    def notes(self) -> tuple[str, ...]:
        """What the inner world says of itself, and which fields no noise reaches."""
        spared = [f.name for f in self._info.observation_spec if not noise_unit(f) and f.unit != "ns"]
        said = [f"sensor_noise leaves {', '.join(spared)} alone: neither m, rad nor a picture"] if spared else []
        return (*getattr(self._inner, "notes", ()), *said)

    def start(self, case: Case) -> Scene:
        """The inner world's scene, and around it what the case's variation asks for.

        Raises:
            InfrastructureError: an axis has nothing to act on in this task.
        """
        self._info.require(case)
        asked = settings_of(case.variation, self._can)
        scene = self._inner.start(replace(case, variation=asked.rest))
        values = asked.model_values(case)
        if not (asked.levels or values):
            return scene
        try:
            changes = _changed(scene, case, values) if values else None
        except BaseException:
            scene.close()
            raise
        return cast(Scene, PerturbedScene(scene, self._info, case, asked, changes))

    def idle_axes(self, case: Case) -> dict[str, str]:
        """Axis of the model -> why it changes nothing in this task; starts the case once, unperturbed."""
        from roboscale.worlds.perturbed.model import idle_axes

        if not any(axis.acts_on == "model" for axis in self._can.values()):
            return {}
        scene = self._inner.start(case)
        try:
            return idle_axes(scene.simulation()) if isinstance(scene, HasSimulation) else {}
        finally:
            scene.close()

    def expert(self) -> Policy:
        """The inner world's, which is told every sentence as it knows it."""
        return cast(Policy, _Translated(self._inner.expert(), self._info))  # type: ignore[attr-defined]

    def close(self) -> None:
        self._inner.close()

    def __getattr__(self, name: str) -> Any:
        """What else the inner world can: its terms of success. Not `step_many`, which knows its scenes."""
        if name == "step_many" or name.startswith("__") or name == "_inner":
            raise AttributeError(name)
        return getattr(self._inner, name)


class _Worded:
    """A world whose info has other wordings of its sentences."""

    def __init__(self, inner: World, paraphrases: Path | None) -> None:
        self._inner = inner
        own = inner.info.wordings
        self.info = replace(inner.info, wordings=own or read_wordings(paraphrases, inner.info.tasks))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._inner, name)


class _Translated:
    """A policy that is told a sentence's first wording, whichever it was."""

    def __init__(self, policy: Policy, info: WorldInfo) -> None:
        self._policy = policy
        self._first = {
            other: info.tasks[task]
            for task, levels in info.wordings.items()
            for others in levels.values()
            for other in others
        }
        self._first |= {sentence: sentence for sentence in info.tasks.values()}

    def start(self, instruction: str, seed: int) -> Session:
        return self._policy.start(self._first.get(instruction, instruction), seed)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_policy":
            raise AttributeError(name)
        return getattr(self._policy, name)


def _perturbed_info(info: WorldInfo, can: Mapping[str, Axis]) -> WorldInfo:
    """The info of a world with the axes that it can do; its identity holds the sizes of their levels."""
    contents = [axis.content for axis in can.values()]
    worded = {t: {str(k): list(v) for k, v in levels.items()} for t, levels in info.wordings.items()}
    identity = combine(info.name, info.identity, "perturbed 2", contents, worded)
    values = [part.name for name in can for part in MODEL_PARTS.get(name, ())]
    return replace(info, variations=(*info.variations, *can, *values), identity=identity)


def _changed(scene: Scene, case: Case, values: Mapping[str, float]) -> Changes:
    """The scene's model, changed."""
    from roboscale.worlds.perturbed.model import apply_values

    if not isinstance(scene, HasSimulation):
        raise InfrastructureError(f"{', '.join(values)}: this scene shows no simulator's model")

    def draw(axis: str, number: int) -> np.random.Generator:
        return generator("perturbed", case.task, str(case.start), axis, number)

    return apply_values(scene.simulation(), values, draw)


class PerturbedScene:
    """One perturbed case. Everything random follows from the case and the step, whoever acts."""

    def __init__(self, inner: Scene, info: WorldInfo, case: Case, asked: Settings, changes: Changes | None) -> None:
        self._inner, self._info, self._case, self._asked, self._changes = inner, info, case, asked, changes
        self._step = 0
        self._names: set[str] = set()
        late = asked.delay("observation_delay", info.rate_hz)
        self._seen: deque[dict[str, NDArray[Any]]] = deque([{}], maxlen=late + 1)  # the oldest is what is shown
        self._waiting: deque[NDArray[Any]] = deque()
        self._late = asked.delay("action_delay", info.rate_hz)
        self._every = max(1, round(asked.size("control_rate")))
        self._held: NDArray[Any] | None = None
        self._remembers = any(axis in asked.levels for axis in _OLDER)

    def observe(self, names: Collection[str] | None = None) -> Observation:
        wanted = [f.name for f in self._info.observation_spec] if names is None else list(names)
        if not self._remembers:  # nothing older is shown: what nobody looks at need not be drawn
            return self._worsened(self._inner.observe(wanted))
        new = [name for name in wanted if name not in self._names]
        if new:  # who asks for a field late finds it as it is now, however long ago the others were seen
            fields = self._worsened(self._inner.observe(new))
            self._names |= set(new)
            for one in self._seen:
                one.update(fields)
        return {name: self._seen[0][name] for name in wanted}

    def step(self, action: NDArray[Any]) -> Step:
        if self._step % self._every == 0 or self._held is None:
            self._held = np.array(action)
        self._waiting.append(self._held)
        if len(self._waiting) > self._late:
            step = self._inner.step(self._waiting.popleft())
        else:
            step = self._inner.step(np.asarray(self._info.hold, action.dtype).reshape(action.shape))
        self._step += 1
        if not self._remembers:
            return step
        if self._step % self._every or self._lost():
            self._seen.append(dict(self._seen[-1]))
        elif self._names:
            self._seen.append(self._worsened(self._inner.observe(sorted(self._names))))
        return step

    def measures(self) -> Measures:
        return self._inner.measures()

    def close(self) -> None:
        """Puts the model back as it was, then ends the scene."""
        try:
            if self._changes is not None:
                self._changes.undo()
        finally:
            self._inner.close()

    def __getattr__(self, name: str) -> Any:
        """What else the inner scene can: to show itself, to hold still."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._inner, name)

    def _lost(self) -> bool:
        share = self._asked.size("lost_frames")
        return bool(share) and self._random("lost").random() < share

    def _random(self, what: str) -> np.random.Generator:
        return generator("perturbed", self._case.id, self._step, what)

    def _worsened(self, seen: Observation) -> dict[str, NDArray[Any]]:
        return {name: self._noisy(self._info.observation_spec[name], value) for name, value in seen.items()}

    def _noisy(self, field: Field, value: NDArray[Any]) -> NDArray[Any]:
        noise = self._asked.size("sensor_noise") * noise_unit(field)
        if noise:
            moved = value + self._random(field.name).normal(0.0, noise, value.shape)
            value = (
                np.clip(np.rint(moved), 0, 255).astype(value.dtype) if field.is_image else moved.astype(value.dtype)
            )
        quality = round(self._asked.size("compression"))
        return _as_jpeg(value, quality) if quality and field.is_image else value


def _as_jpeg(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """A picture (H, W, 3) as it is after JPEG."""
    from PIL import Image

    written = io.BytesIO()
    Image.fromarray(picture).save(written, "JPEG", quality=quality)
    return np.asarray(Image.open(written).convert("RGB"))
