"""Recorded actions, played again whatever is seen.

Knows recordings and the policy protocol. Does not know files or worlds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    ActionChunk,
    BadData,
    Observation,
    Session,
    Spec,
    SpecMismatch,
    UnknownName,
    combine,
    generator,
)

__all__ = ["Recordings", "replaying"]


class Recordings(Protocol):
    """What `replaying` needs of a dataset."""

    @property
    def spec(self) -> Spec: ...

    @property
    def episodes(self) -> Sequence[Any]:
        """Each has `id`, `instruction`, `index`, `length` and `from_index`, its first frame in `arrays`."""

    def arrays(self, name: str) -> NDArray[Any]:
        """All frames of a field, (N, ...)."""


class _ReplaySession:
    """All actions as one chunk, then the last one for as long as it is asked."""

    def __init__(self, actions: NDArray[Any]) -> None:
        self._next = actions

    def __call__(self, observation: Observation) -> ActionChunk:
        chunk = ActionChunk(self._next)
        self._next = self._next[-1:]
        return chunk


class _ReplayPolicy:
    """One episode's actions after the other's; which, is the seed's choice."""

    history = 1

    def __init__(self, dataset: Recordings, name: str, seed: int) -> None:
        if "action" not in dataset.spec:
            raise SpecMismatch(f"{name}: there is no action to replay; it has {', '.join(dataset.spec.names)}")
        self.name = name
        self.action_spec: Spec | None = dataset.spec.select(["action"])
        self.observation_spec: Spec | None = Spec((), dataset.spec.rate_hz)  # nobody renders for it
        self._seed, self._actions = seed, dataset.arrays("action")
        self._by_instruction: dict[str, list[Any]] = {}
        for episode in dataset.episodes:
            self._by_instruction.setdefault(str(episode.instruction), []).append(episode)
        content = {text: [[e.id, self._rows(e)] for e in group] for text, group in self._by_instruction.items()}
        self.identity = combine(name, "replay", content, seed)

    def start(self, instruction: str, seed: int) -> Session:
        """An episode of this instruction, chosen by `seed`; UnknownName when none was recorded."""
        if instruction not in self._by_instruction:
            raise UnknownName(f"instruction in {self.name}", instruction, self._by_instruction)
        episodes = self._by_instruction[instruction]
        episode = episodes[int(generator("replay", self._seed, seed).integers(len(episodes)))]
        if not episode.length:
            raise BadData(self.name, f"episode {episode.index}: action", "at least one action", "none")
        return _ReplaySession(self._rows(episode))

    def _rows(self, episode: Any) -> NDArray[Any]:
        return np.asarray(self._actions[episode.from_index : episode.from_index + episode.length])


def replaying(dataset: Recordings, name: str = "replay", seed: int = 0) -> _ReplayPolicy:
    """Plays recorded actions whatever it sees, then holds the last one.

    The episode is one of the same instruction, chosen by the session's seed; another `seed` chooses others. Its
    identity is what was recorded: ids, instructions and every action.

    Raises:
        SpecMismatch: nothing of the kind was recorded.
    """
    return _ReplayPolicy(dataset, name, seed)
