"""A world of ours as a guest of others: what `roboscale.guests.open_lent_world` opens in our environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from roboscale.core import (
    Case,
    HasExpert,
    HasPictures,
    HasSuccessTerms,
    RoboscaleError,
    Scene,
    WorldInfo,
)
from roboscale.core.plain import to_plain
from roboscale.guests.side.faults import Refusal
from roboscale.jobs.opening import open_any_world

__all__ = ["LentWorld"]

_SAME = {
    "kind",
    "tasks",
    "horizon",
    "embodiment",
    "variations",
    "starts",
    "deterministic",
    "pictures",
    "pace",
    "hold",
    "past_success",
    "cost",
    "risk",
}
"""What a guest's world says under the name that it has in `WorldInfo`."""


class LentWorld:
    """Any world of ours behind the protocol of a guest's.

    Args:
        text: of the world, as for `--world`.
    """

    def __init__(self, text: str) -> None:
        try:
            self._world = open_any_world(text)
        except RoboscaleError as error:
            raise Refusal(str(error)) from error
        self.info: WorldInfo = self._world.info
        if self.info.expert and isinstance(self._world, HasExpert):
            self.expert = self._expert

    def describe(self) -> dict[str, Any]:
        """What it is; its identity stands in the version, which is part of the identity of who borrows it."""
        info = self.info
        said = {f.name: to_plain(getattr(info, f.name)) for f in fields(info) if f.name in _SAME}
        terms = {}
        if isinstance(self._world, HasSuccessTerms) and len(info.tasks) == 1:
            terms = dict(self._world.success_terms(next(iter(info.tasks))))
        return {
            **said,
            "version": f"{info.version} ({info.identity})".strip(),
            "observation": [field.to_json() for field in info.observation_spec],
            "action": info.action_spec["action"].to_json(),
            "rate_hz": float(info.rate_hz),
            "rule": str(info.rule),
            "measures": [to_plain(measure) for measure in info.measures],
            "notes": list(getattr(self._world, "notes", ())),
            "success_terms": terms,
        }

    def start(self, task: str, start: Any, variation: str) -> _LentScene:
        """A case."""
        return _LentScene(self._world.start(Case(task, start, variation)))

    def _expert(self, seed: int) -> Callable[[Mapping[str, Any]], Any]:
        assert isinstance(self._world, HasExpert)
        session = self._world.expert().start("", seed)
        return lambda seen: getattr(session(seen), "rows", None)


class _LentScene:
    """One case being run."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def observe(self, names: Sequence[str]) -> Mapping[str, Any]:
        return self._scene.observe(names)

    def step(self, action: Any) -> dict[str, Any]:
        done = self._scene.step(np.asarray(action))
        return {"terminated": done.terminated, "truncated": done.truncated, "applied": done.applied}

    def measures(self) -> Mapping[str, float | None]:
        return self._scene.measures()

    def picture(self, width: int, height: int) -> Any:
        scene: object = self._scene
        if not isinstance(scene, HasPictures):
            raise RoboscaleError("the world has no pictures")
        return _sized(scene.picture(width, height), width, height)

    def close(self) -> None:
        self._scene.close()


def _sized(picture: Any, width: int, height: int) -> Any:
    """A picture for people in the size that was asked for: a world may have a size of its own."""
    if picture.shape[:2] == (height, width):
        return picture
    rows = np.arange(height) * picture.shape[0] // height
    return picture[rows][:, np.arange(width) * picture.shape[1] // width]
