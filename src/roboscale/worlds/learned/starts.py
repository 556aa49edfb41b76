"""Where imagined episodes begin: frames that somebody recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Case, Field, Identity, SpecMismatch, UnknownName, combine
from roboscale.dataset import Dataset
from roboscale.worlds.learned.checkpoint import LoggedEpisodes

__all__ = ["RecordedStarts", "flat_state", "state_slices"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """An episode that can be begun from: task, seed and states (T, S)."""

    task: str
    seed: int | None
    states: Floats


class RecordedStarts:
    """Episodes by seed and by id.

    Args:
        fields: of the state, in order.
        episodes: id -> task, seed and states.
    """

    def __init__(self, fields: Sequence[Field], episodes: Mapping[str, _Start]) -> None:
        self.slices = state_slices(fields)
        self._episodes = dict(episodes)
        self._seeds: dict[tuple[str, int], str] = {}
        for id_, one in self._episodes.items():
            if one.seed is not None:
                self._seeds.setdefault((one.task, one.seed), id_)

    @classmethod
    def of_held_out(cls, fields: Sequence[Field], held_out: LoggedEpisodes, tasks: Sequence[str]) -> RecordedStarts:
        """The episodes that a world was not trained on."""
        parts = zip(held_out.ids, held_out.tasks, held_out.seeds, held_out.states, strict=True)
        return cls(fields, {id_: _Start(task=tasks[t], seed=s, states=x) for id_, t, s, x in parts})

    @classmethod
    def of_dataset(cls, fields: Sequence[Field], root: Path, tasks: Mapping[str, str]) -> RecordedStarts:
        """The episodes of a dataset whose task is among `tasks` (task -> sentence).

        Raises:
            SpecMismatch: it lacks a field of the state.
            BadData: none of its episodes is of these tasks.
        """
        dataset = Dataset(root)
        for one in fields:
            if one.name not in dataset.spec or dataset.spec[one.name].shape != one.shape:
                there = dataset.spec[one.name].shape if one.name in dataset.spec else "none"
                raise SpecMismatch(f"{root}: {one.name}: this world needs {list(one.shape)}, the dataset has {there}")
        by_sentence = {sentence: task for task, sentence in tasks.items()}
        found = {}
        for info in dataset.episodes:
            known = info.provenance
            task = known.task if known is not None and known.task in tasks else by_sentence.get(info.instruction, "")
            if task:
                arrays = dataset.episode(info.index, images=False).arrays
                seed = None if known is None else known.seed
                found[info.id] = _Start(task=task, seed=seed, states=flat_state(fields, arrays))
        if not found:
            raise BadData(root, "episodes", f"some of {', '.join(tasks)}", "none")
        return cls(fields, found)

    @cached_property
    def identity(self) -> Identity:
        """Of every state that can be begun from, and what it is called."""
        parts = {i: [one.task, one.seed, one.states] for i, one in self._episodes.items()}
        return combine("starts", parts)

    @property
    def listed(self) -> dict[str, tuple[int | str, ...]]:
        """Task -> the first frames that cases may name: seeds where episodes have one, else ids."""
        starts: dict[str, list[int | str]] = {}
        for id_, one in self._episodes.items():
            mine = one.seed if one.seed is not None else f"episode:{id_}@0"
            if one.seed is None or self._seeds[one.task, one.seed] == id_:
                starts.setdefault(one.task, []).append(mine)
        return {task: tuple(s) for task, s in starts.items()}

    def at(self, case: Case) -> tuple[Floats, Floats]:
        """(S,) the state that a case begins with, and the one before it, itself where there is none.

        Raises:
            UnknownName: nobody recorded such a start.
        """
        if case.seed is not None:
            id_, frame = self._seeds.get((case.task, case.seed), ""), 0
        else:
            id_, _, number = str(case.start).removeprefix("episode:").partition("@")
            frame = int(number) if number.isdigit() else 0
        one = self._episodes.get(id_)
        if one is None or one.task != case.task:
            raise UnknownName(f"recorded start of {case.task}", str(case.start), map(str, self.listed[case.task]))
        if not frame < len(one.states):
            raise UnknownName(f"frame of episode {id_}", str(frame), [f"0 .. {len(one.states) - 1}"])
        return one.states[frame].copy(), one.states[max(0, frame - 1)].copy()


def state_slices(fields: Sequence[Field]) -> dict[str, slice]:
    """Field -> where its elements lie in a state."""
    ends = np.cumsum([int(np.prod(one.shape)) for one in fields])
    return {
        one.name: slice(int(end) - int(np.prod(one.shape)), int(end)) for one, end in zip(fields, ends, strict=True)
    }


def flat_state(fields: Sequence[Field], arrays: Mapping[str, NDArray[np.float32]]) -> Floats:
    """(T, S) of fields of shape (T, ...)."""
    return np.concatenate([arrays[f.name].reshape(len(arrays[f.name]), -1) for f in fields], axis=1).astype(np.float64)
