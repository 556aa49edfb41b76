"""How often each source of a dataset is drawn in training: shares of the draws, and the selection that carries them.

The dataset stays as it is, and so do its episodes: each keeps all its frames, drawn more or less often than without.

Source of the robust shares: DoReMi (Xie et al. 2023, arXiv:2305.10429) as Re-Mix does it for robots (Hejna et al.
2024, arXiv:2408.14037): groups on which a policy in training is worst beside a reference that has been trained for
longer are drawn more often, so that a group weighs by what is still to be learned from it. What is noise, the
reference has not learned either.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Protocol

from roboscale.core import RoboscaleError, UnknownName
from roboscale.curate.selection import Chosen, Left, Selection, episode_contents
from roboscale.dataset import Dataset, EpisodeInfo

__all__ = ["BY", "GroupLearner", "episode_groups", "mixed", "robust_shares"]

BY = ("source", "embodiment", "operator", "task", "world", "instruction")
"""What episodes can be told apart by, beside `details.NAME` of their provenance."""

LEAST = 0.05  # of the draws that are spread evenly whatever the losses say: nothing is forgotten
RATE = 1.0  # of the exponentiated gradient, of an excess in normalised actions; DoReMi's
UNSAID = "(not said)"


class GroupLearner(Protocol):
    """Trains a policy on a mixture and says how well it imitates each group."""

    def losses(self, shares: Mapping[str, float], *, reference: bool) -> Mapping[str, float]:
        """Mean imitation loss of episodes that were held out, by group.

        Args:
            shares: of the draws by group; they sum to 1.
            reference: train to the end, not to a part of it.
        """


def episode_groups(dataset: Dataset, by: str) -> dict[str, list[EpisodeInfo]]:
    """Group -> its episodes, in the order in which groups first occur.

    Raises:
        UnknownName: `by` is nothing that episodes say.
        RoboscaleError: all episodes are of one group.
    """
    details = sorted({f"details.{key}" for e in dataset.episodes for key in e.provenance.details})
    if by not in (*BY, *details):
        raise UnknownName("--by", by, [*BY, *details])
    groups: dict[str, list[EpisodeInfo]] = {}
    for episode in dataset.episodes:
        groups.setdefault(_said(episode, by), []).append(episode)
    if len(groups) < 2:
        (only,) = groups
        raise RoboscaleError(f"{dataset.root}: {by} of every episode is {only}: there is nothing to mix")
    return groups


def _said(episode: EpisodeInfo, by: str) -> str:
    if by == "instruction":
        return episode.instruction or UNSAID
    said = (
        episode.provenance.details.get(by.removeprefix("details."))
        if by.startswith("details.")
        else getattr(episode.provenance, by)
    )
    return UNSAID if said in (None, "") else str(said)


def robust_shares(
    groups: Mapping[str, Sequence[EpisodeInfo]], learner: GroupLearner, rounds: int
) -> tuple[dict[str, float], list[str]]:
    """Shares of the draws by group, the mean over the rounds, and a line a round on how they came about.

    The reference sees the groups as they are in the dataset. In every round a policy is trained for a part of that on
    the shares so far, and each group's share grows with exp(`RATE` (loss - best)), where best is the least that
    any training so far reached on it: of few demonstrations a reference that was trained for long is no best. Not the
    share of it: where next to nothing is left to be learned, that is large.
    """
    frames = {name: sum(e.length for e in mine) for name, mine in groups.items()}
    best = learner.losses({name: n / sum(frames.values()) for name, n in frames.items()}, reference=True)
    logs, seen, lines = dict.fromkeys(groups, 0.0), list[dict[str, float]](), []
    for number in range(1, rounds + 1):
        shares = _normalised(logs)
        losses = learner.losses(shares, reference=False)
        best = {name: min(best[name], losses[name]) for name in groups}
        excess = {name: losses[name] - best[name] for name in groups}
        logs = {name: logs[name] + RATE * excess[name] for name in groups}
        seen.append(_normalised(logs))
        said = ", ".join(f"{name} {shares[name]:.2f} (excess {excess[name]:+.2f})" for name in groups)
        lines.append(f"round {number} of {rounds}: {said}")
    return {name: mean(one[name] for one in seen) for name in groups}, lines


def _normalised(logs: Mapping[str, float]) -> dict[str, float]:
    """Shares that sum to 1, of which `LEAST` is spread evenly."""
    most = max(logs.values())
    raised = {name: math.exp(value - most) for name, value in logs.items()}
    total = sum(raised.values())
    return {name: (1 - LEAST) * value / total + LEAST / len(logs) for name, value in raised.items()}


def mixed(
    dataset: Dataset,
    groups: Mapping[str, Sequence[EpisodeInfo]],
    shares: Mapping[str, float],
    *,
    method: str,
    asked: str,
    seed: int = 0,
    notes: Sequence[str] = (),
) -> Selection:
    """Every episode whole, each frame as often as its group's share asks; groups of share 0 are left out.

    >>> dataset = Dataset("pushes")
    >>> groups = episode_groups(dataset, "operator")
    >>> selection = mixed(dataset, groups, {"sure": 1, "shaky": 0, "wild": 0, "astray": 0}, method="mine", asked="one")
    >>> len(selection.kept), len(selection.dropped)
    (4, 12)
    """
    contents, whole = episode_contents(dataset), sum(e.length for mine in groups.values() for e in mine)
    kept, dropped = list[Chosen](), list[Left]()
    for name, mine in groups.items():
        part = sum(e.length for e in mine) / whole
        said = f"{name}: {shares[name]:.2f} of the draws, {part:.2f} of the frames"
        for e in mine:
            if shares[name] > 0:
                weight = shares[name] / part
                kept.append(
                    Chosen(
                        episode=e.id, content=contents[e.id], first=0, last=e.length - 1, weight=weight, reason=said
                    )
                )
            else:
                dropped.append(Left(episode=e.id, content=contents[e.id], reason=said))
    return Selection(
        method=method,
        asked=asked,
        seed=seed,
        dataset=dataset.root.name,
        kept=tuple(kept),
        dropped=tuple(dropped),
        notes=tuple(notes),
    )
