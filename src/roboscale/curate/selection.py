"""Which episodes, and which frames of them, are to be learned from: a file beside a dataset, which never changes.

    {"method": "information", "asked": "keep 0.5 of the frames of each instruction", "seed": 0, "dataset": "recorded",
     "kept": [{"episode": "<id>", "content": "<digest>", "first": 0, "last": 80, "weight": 1.0, "score": 0.4,
               "follows": false}],
     "dropped": [{"episode": "<id>", "content": "<digest>", "score": -0.1, "reason": "..."}], "notes": []}

Rows are keyed by episode id and hold a digest of what the episode was: a selection is never applied to other numbers
than those that it was made from. Several rows of one episode are several ranges of it, each of them an episode of its
own to whoever learns, unless it `follows` the one before: then nothing happens between the two, and they are one. Does
not know who trains.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, combine
from roboscale.core.declared import Limit, Mistake, Text, read_declared
from roboscale.dataset import Dataset, Excerpt

__all__ = ["Chosen", "Left", "Selection", "episode_content", "episode_contents", "read_selection"]

Frame = Annotated[int, Limit("a frame, counted from 0", lambda number: number >= 0)]
Weight = Annotated[float, Limit("a number above 0", lambda number: number > 0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Frames `first` to `last` of an episode, both included, and how often they are drawn beside others.

    Args:
        content: digest of the whole episode, of `episode_content`.
        weight: 1 for a frame that is drawn as often as it would be without a selection.
        score: what the method gave the episode; `None` where it gives none.
        follows: whether it goes on from the range of the episode before it, as if nothing lay between.
    """

    episode: Text
    content: Text
    first: Frame
    last: Frame
    weight: Weight = 1.0
    score: float | None = None
    reason: str = ""
    follows: bool = False

    def mistakes(self) -> Iterator[Mistake]:
        if self.last < self.first:
            yield "last", f"{self.first} or more, as first is", self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """An episode of which nothing is kept, and why."""

    episode: Text
    content: Text
    score: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a method chose from a dataset.

    Args:
        asked: the budget, in words.
        dataset: what the dataset's folder was called.
        notes: what was assumed, or could not be looked at.
    """

    method: Text
    asked: str
    seed: int
    dataset: str
    kept: tuple[Chosen, ...]
    dropped: tuple[Left, ...] = ()
    notes: tuple[str, ...] = ()

    def mistakes(self) -> Iterator[Mistake]:
        if not self.kept:
            yield "kept", "at least one episode", "none"
        ranges: dict[str, list[Chosen]] = {}
        for row in self.kept:
            ranges.setdefault(row.episode, []).append(row)
        for episode, rows in ranges.items():
            ordered = sorted(rows, key=lambda row: row.first)
            if ordered[0].follows:
                yield "kept", f"a first range of episode {episode} that follows nothing", "follows"
            for one, after in pairwise(ordered):
                if after.first <= one.last:
                    yield "kept", f"ranges of episode {episode} that do not overlap", f"frame {after.first} twice"
                if after.follows and after.weight != one.weight:
                    yield "kept", f"one weight in episode {episode}, whose ranges follow", f"{after.weight:g}"
        for left in self.dropped:
            if left.episode in ranges:
                yield "dropped", "episodes of which nothing is kept", left.episode

    @property
    def frames(self) -> int:
        """How many are kept."""
        return sum(row.last - row.first + 1 for row in self.kept)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def of(self, dataset: Dataset) -> list[Excerpt]:
        """The ranges that are kept, in the dataset's order.

        Raises:
            BadData: an episode of the selection is not in the dataset, or holds other numbers than it did.
        """
        there = {episode.id: episode for episode in dataset.episodes}
        contents = episode_contents(
            dataset, {row.episode for row in self.kept} | {row.episode for row in self.dropped}
        )
        rows: tuple[Chosen | Left, ...] = (*self.kept, *self.dropped)
        for row in rows:
            where = f"episode {row.episode} of the selection"
            if row.episode not in there:
                raise BadData(dataset.root, where, "in the dataset that it is used on", "no such episode")
            if contents[row.episode] != row.content:
                raise BadData(dataset.root, where, f"content {row.content}", contents[row.episode])
            if isinstance(row, Chosen) and row.last >= there[row.episode].length:
                raise BadData(dataset.root, where, f"frames below {there[row.episode].length}", row.last)
        ranges = [
            Excerpt(
                index=there[row.episode].index,
                first=row.first,
                last=row.last,
                weight=row.weight,
                follows=row.follows,
            )
            for row in self.kept
        ]
        return sorted(ranges, key=lambda one: (one.index, one.first))

    def unmentioned(self, dataset: Dataset) -> list[str]:
        """Ids of episodes of which the selection says nothing, e.g. later recordings: they are not used."""
        said = {row.episode for row in self.kept} | {row.episode for row in self.dropped}
        return [episode.id for episode in dataset.episodes if episode.id not in said]


def read_selection(path: Path) -> Selection:
    """A selection from its file. BadData with every mistake in it."""
    return read_declared(path, Selection)


def episode_content(columns: Mapping[str, NDArray[Any]], instruction: str) -> str:
    """Digest of an episode's numbers and sentence; pictures, id, name and provenance are not part of it.

    >>> episode_content({"action": np.zeros((2, 1), np.float32)}, "push") == episode_content({}, "push")
    False
    """
    return combine("episode", {name: np.asarray(columns[name]) for name in sorted(columns)}, instruction).digest


def episode_contents(dataset: Dataset, wanted: Collection[str] | None = None) -> dict[str, str]:
    """Episode id -> its content, of all episodes or of those that are wanted."""
    names = [f.name for f in dataset.spec if not f.is_image]
    columns = {name: dataset.arrays(name) for name in names}
    contents = {}
    for episode in dataset.episodes:
        if wanted is None or episode.id in wanted:
            rows = slice(episode.from_index, episode.from_index + episode.length)
            contents[episode.id] = episode_content({n: a[rows] for n, a in columns.items()}, episode.instruction)
    return contents
