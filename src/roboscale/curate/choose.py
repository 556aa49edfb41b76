"""From a method's scores to a selection within a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from roboscale.core import RoboscaleError, UnknownName, generator
from roboscale.curate.consequence import ConsequenceMethod
from roboscale.curate.controls import LengthAlone, OutcomeLabels, RandomChoice
from roboscale.curate.information import InformationMethod
from roboscale.curate.log import Label
from roboscale.curate.method import HasLearner, Method, Scored, episode_views
from roboscale.curate.progress import ProgressMethod
from roboscale.curate.rest import RestMethod, moving_frames
from roboscale.curate.selection import Chosen, Left, Selection, episode_contents
from roboscale.dataset import Dataset, EpisodeInfo

__all__ = ["CURATION_METHODS", "choose", "method_named", "overruled"]

CURATION_METHODS: tuple[Method, ...] = (
    InformationMethod(),
    ProgressMethod(),
    RestMethod(),
    ConsequenceMethod(),
    RandomChoice(),
    LengthAlone(),
    OutcomeLabels(),
)
"""The last three are controls. `influence` is made of a policy and its rollouts, see `curate.influence`."""


def method_named(name: str) -> Method:
    """UnknownName lists the methods."""
    for method in CURATION_METHODS:
        if method.name == name:
            return method
    raise UnknownName("method", name, ["influence", *(method.name for method in CURATION_METHODS)])


def choose(
    dataset: Dataset, method: Method, *, frames: float, asked: str, seed: int = 0, worst: bool = False
) -> Selection:
    """The best episodes of each instruction, until its share of the budget is used.

    Each instruction gets the same share, so that a selection does not change which tasks are learned. An episode is
    kept whole or in the ranges that the method gives; the last one that still fits by at least half is taken.

    Args:
        frames: how many frames to keep, as a share of all (0..1).
        asked: the budget in words, for people.
        worst: the other end: whole episodes, those first that the method would keep last.

    Raises:
        RoboscaleError: the budget is out of its range or too small for any episode, or the method cannot say anything
            of such data.
    """
    if not 0 < frames <= 1:
        raise RoboscaleError(f"curation keeps a share of the frames above 0 and at most 1, found {frames:g}")
    learner = method.learner if isinstance(method, HasLearner) else None
    moving, assumed = moving_frames(dataset) if isinstance(method, RestMethod) else (None, ())
    order, views = episode_views(dataset, outcomes=method.outcomes, seed=seed, learner=learner, moving=moving)
    said = dict(zip(order, method.score(views, seed), strict=True))
    if worst:
        said = {position: replace(one, score=-one.score, ranges=(), usable=True) for position, one in said.items()}
    contents = episode_contents(dataset)
    kept: list[Chosen] = []
    dropped: list[Left] = []
    for instruction in dict.fromkeys(episode.instruction for episode in dataset.episodes):
        mine = [e for e in dataset.episodes if e.instruction == instruction]
        budget = frames * sum(e.length for e in mine)
        for e in _best_first(mine, said, seed):
            one = said[e.index]
            ranges = one.ranges or ((0, e.length - 1),)
            cost = sum(last - first + 1 for first, last in ranges)
            if one.usable and cost / 2 <= budget:
                kept += [_chosen(e.id, contents[e.id], ranges, k, one) for k in range(len(ranges))]
                budget -= cost
                continue
            dropped.append(Left(episode=e.id, content=contents[e.id], score=one.score, reason=one.reason))
            if one.usable:
                budget = 0.0  # a shorter one further down would be kept for its length
    if not kept:
        why = f"{asked} is less than half of the best episode of any"
        if not any(one.usable for one in said.values()):
            why = ", ".join(dict.fromkeys(row.reason for row in dropped))
        raise RoboscaleError(f"{dataset.root}: nothing is kept: {why}")
    return Selection(
        method=f"worst by {method.name}" if worst else method.name,
        asked=asked,
        seed=seed,
        dataset=Path(str(dataset.root)).name,
        kept=tuple(kept),
        dropped=tuple(dropped),
        notes=(
            f"{method.name}: {method.paper}; assumes that {method.assumes}",
            *assumed,
            *_silenced(dataset, kept),
        ),
    )


def overruled(selection: Selection, dataset: Dataset, labels: Mapping[str, Label]) -> Selection:
    """The selection with what people decided in place of what the method did; whoever they are stands as the reason.

    An episode that is kept by a person is kept whole. Budgets are not filled up again.
    """
    there = {episode.id: episode for episode in dataset.episodes}
    elsewhere = sum(label.decision is not None and id_ not in there for id_, label in labels.items())
    said = {id_: label for id_, label in labels.items() if label.decision is not None and id_ in there}
    scores = {row.episode: row.score for row in selection.kept} | {r.episode: r.score for r in selection.dropped}
    kept = [row for row in selection.kept if row.episode not in said]
    dropped = [row for row in selection.dropped if row.episode not in said]
    contents = episode_contents(dataset, said)
    for id_, label in said.items():
        score = scores.get(id_)
        did = "kept" if label.decision == "keep" else "dropped"
        reason = f"{did} by {label.author or 'a person'}, over {selection.method}"
        if label.decision == "keep":
            last = there[id_].length - 1
            kept.append(Chosen(episode=id_, content=contents[id_], first=0, last=last, score=score, reason=reason))
        else:
            dropped.append(Left(episode=id_, content=contents[id_], score=score, reason=reason))
    if not kept:
        raise RoboscaleError(f"{dataset.root}: nothing is kept: people dropped all that {selection.method} kept")
    notes = [f"{len(said)} decisions of people stand above the method's"]
    notes += [f"{elsewhere} decisions of people speak of episodes that are not in the dataset"] if elsewhere else []
    notes += [note for note in _silenced(dataset, kept) if note not in selection.notes]
    return replace(selection, kept=tuple(kept), dropped=tuple(dropped), notes=(*selection.notes, *notes))


def _silenced(dataset: Dataset, kept: Sequence[Chosen]) -> list[str]:
    """A note on instructions of which nothing is kept: they will not be learned at all."""
    ids = {row.episode for row in kept}
    heard = {e.instruction for e in dataset.episodes if e.id in ids}
    gone = [text for text in dict.fromkeys(e.instruction for e in dataset.episodes) if text not in heard]
    more = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
    return [f"no episode is kept of {', '.join(map(repr, gone[:3]))}{more}: not learned at all"] if gone else []


def _best_first(episodes: Sequence[EpisodeInfo], said: Mapping[int, Scored], seed: int) -> list[EpisodeInfo]:
    """Equals stand in an order drawn by lot: the order of recording may be a curriculum, or a tired operator."""
    lots = generator("ties", seed).permutation(len(episodes))
    order = sorted(range(len(episodes)), key=lambda k: (-said[episodes[k].index].score, lots[k]))
    return [episodes[k] for k in order]


def _chosen(episode: str, content: str, ranges: Sequence[tuple[int, int]], number: int, one: Scored) -> Chosen:
    first, last = ranges[number]
    return Chosen(
        episode=episode,
        content=content,
        first=first,
        last=last,
        score=one.score,
        reason=one.reason,
        follows=one.joined and number > 0,
    )
