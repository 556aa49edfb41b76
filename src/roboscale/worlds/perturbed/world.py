"""A world around a world: hands a perturbed case's observations out late, noisy or in pieces, and its actions late.

The case without such a variation is the inner world's own scene, untouched: it is the arm that others are compared
with.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Collection
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Case, Field, Measures, Observation, Scene, Step, World, WorldInfo, combine, generator
from roboscale.worlds.perturbed.axes import AXES, Settings, axes_of, noise_unit, settings_of

__all__ = ["PerturbedWorld"]


class PerturbedWorld:
    """The same world, with the axes of `AXES` that it can do as further variations.

    Args:
        inner: closed with this one.
    """

    def __init__(self, inner: World) -> None:
        self._inner, self._info = inner, perturbed_info(inner.info)

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
        self._info.require(case)
        asked = settings_of(case.variation)
        scene = self._inner.start(replace(case, variation=asked.rest))
        return cast(Scene, PerturbedScene(scene, self._info, case, asked)) if asked.levels else scene

    def close(self) -> None:
        self._inner.close()

    def __getattr__(self, name: str) -> Any:
        """What else the inner world can: its expert, its terms of success. Not `step_many`, which knows its scenes."""
        if name == "step_many" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._inner, name)


def perturbed_info(info: WorldInfo) -> WorldInfo:
    """The info of a world with the axes that it can do; its identity holds the sizes of their levels."""
    can = [name for name, why in axes_of(info).items() if not why and name not in info.variations]
    sizes = [[name, list(AXES[name].sizes), AXES[name].about] for name in can]
    identity = combine(info.name, info.identity, "perturbed 1", sizes)
    return replace(info, variations=(*info.variations, *can), identity=identity)


class PerturbedScene:
    """One perturbed case. Everything random follows from the case and the step, whoever acts."""

    def __init__(self, inner: Scene, info: WorldInfo, case: Case, asked: Settings) -> None:
        self._inner, self._info, self._case, self._asked = inner, info, case, asked
        self._step = 0
        self._names: set[str] = set()
        late = asked.delay("observation_delay", info.rate_hz)
        self._seen: deque[dict[str, NDArray[Any]]] = deque([{}], maxlen=late + 1)  # the oldest is what is shown
        self._waiting: deque[NDArray[Any]] = deque()
        self._late = asked.delay("action_delay", info.rate_hz)

    def observe(self, names: Collection[str] | None = None) -> Observation:
        wanted = [f.name for f in self._info.observation_spec] if names is None else list(names)
        new = [name for name in wanted if name not in self._names]
        if new:  # who asks for a field late finds it as it is now, however long ago the others were seen
            fields = self._worsened(self._inner.observe(new))
            self._names |= set(new)
            for one in self._seen:
                one.update(fields)
        return {name: self._seen[0][name] for name in wanted}

    def step(self, action: NDArray[Any]) -> Step:
        self._waiting.append(np.array(action))
        if len(self._waiting) > self._late:
            step = self._inner.step(self._waiting.popleft())
        else:
            step = self._inner.step(np.asarray(self._info.hold, action.dtype).reshape(action.shape))
        self._step += 1
        if self._lost():
            self._seen.append(dict(self._seen[-1]))
        elif self._names:
            self._seen.append(self._worsened(self._inner.observe(sorted(self._names))))
        return step

    def measures(self) -> Measures:
        return self._inner.measures()

    def close(self) -> None:
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
        quality = int(self._asked.size("compression"))
        return _as_jpeg(value, quality) if quality and field.is_image else value


def _as_jpeg(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """A picture (H, W, 3) as it is after JPEG."""
    from PIL import Image

    written = io.BytesIO()
    Image.fromarray(picture).save(written, "JPEG", quality=quality)
    return np.asarray(Image.open(written).convert("RGB"))
