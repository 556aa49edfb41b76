"""Finding episodes among ten thousand: by task text, outcome, label or audit finding. Knows no HTTP."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from roboscale.core.errors import UnknownName
from roboscale.dataset.lerobot.catalog import EpisodeInfo
from roboscale.web.show.audit import SEVERITIES, Findings
from roboscale.web.show.labels import NOTHING_SAID, LabelLog, SaidOfEpisode

__all__ = ["LABELS", "ORDERS", "OUTCOMES", "Index", "Query"]

OUTCOMES = ("", "success", "failure", "void", "none")
LABELS = ("", "keep", "drop", "none", "judged", "edited", "flagged")
ORDERS = ("", "best", "worst", "shortest", "longest", "findings")


@dataclass(frozen=True, slots=True)
class Query:
    """Which episodes are looked for; an empty text means all.

    Args:
        text: every word must occur in the task, recorded or edited, whatever the case.
        outcome: one of `OUTCOMES`; a label overrides what was recorded.
        label: one of `LABELS`: `none` has no decision, `judged` an outcome given by a person, `edited` another
            task, `flagged` an audit finding.
        order: one of `ORDERS`; as recorded when empty, `best` and `worst` by a selection's score, `findings` the
            gravest first. Those without a score come last.

    Raises:
        UnknownName: no such outcome, label or order.
    """

    text: str = ""
    outcome: str = ""
    label: str = ""
    order: str = ""

    def __post_init__(self) -> None:
        given = (("outcome", self.outcome, OUTCOMES), ("label", self.label, LABELS), ("order", self.order, ORDERS))
        for kind, value, valid in given:
            if value not in valid:
                raise UnknownName(kind, value, valid[1:])


class Index:
    """All episodes of a dataset with what is said of them now."""

    def __init__(self, episodes: Sequence[EpisodeInfo], log: LabelLog, findings: Findings) -> None:
        self._episodes, self._log, self._findings = episodes, log, findings
        self._texts = [episode.instruction.casefold() for episode in episodes]
        self._severities = [findings.severity(i) for i in range(len(episodes))]
        self._scores = [findings.score(i) for i in range(len(episodes))]
        self._last: tuple[object, list[int]] | None = None

    def find(self, query: Query) -> Sequence[int]:
        """Positions of the episodes that match, in the order that is asked for; of equals the earlier first."""
        key = (query, self._log.version)
        last = self._last
        if last is not None and last[0] == key:  # the page asks for the same list in pieces
            return last[1]
        labels, words = self._log.state(), query.text.casefold().split()
        matching = [i for i in range(len(self._episodes)) if self._matches(i, query, words, labels)]
        matching.sort(key=lambda i: self._place(i, query.order))
        self._last = (key, matching)
        return matching

    def _matches(self, index: int, query: Query, words: Sequence[str], labels: Mapping[str, SaidOfEpisode]) -> bool:
        episode = self._episodes[index]
        label = labels.get(episode.id, NOTHING_SAID)
        if words:
            text = self._texts[index] + ("\n" + label.task.casefold() if label.task else "")
            if not all(word in text for word in words):
                return False
        if query.outcome and (_outcome(episode, label) or "none") != query.outcome:
            return False
        return not query.label or query.label in self._kinds(index, label)

    def _place(self, index: int, order: str) -> tuple[float, int]:
        """What an episode is sorted by."""
        score, length = self._scores[index], self._episodes[index].length
        by = {
            "best": math.inf if score is None else -score,
            "worst": math.inf if score is None else score,
            "shortest": float(length),
            "longest": -float(length),
            "findings": float(SEVERITIES.index(self._severities[index])) if self._severities[index] else math.inf,
        }
        return by.get(order, 0.0), index

    @property
    def scored(self) -> bool:
        """Whether a selection gave any episode a score."""
        return any(score is not None for score in self._scores)

    def _kinds(self, index: int, label: SaidOfEpisode) -> set[str]:
        kinds: set[str] = {label.decision or "none"}
        kinds |= {"judged"} if label.outcome else set()
        kinds |= {"edited"} if label.task is not None else set()
        return kinds | ({"flagged"} if self._severities[index] else set())

    def neighbours(self, query: Query, index: int) -> dict[str, int | None]:
        """The matching episodes before and after a position, whether it matches, and how many do before and in all."""
        matching = self.find(query)
        at = bisect_left(matching, self._place(index, query.order), key=lambda i: self._place(i, query.order))
        listed = at < len(matching) and matching[at] == index
        after = at + listed
        return {
            "previous": matching[at - 1] if at else None,
            "next": matching[after] if after < len(matching) else None,
            "listed": listed,
            "position": at,
            "total": len(matching),
        }

    def row(self, index: int) -> dict[str, Any]:
        """One line of the list; JSON types."""
        return self.rows([index])[0]

    def rows(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """Many lines of the list, with one look at the log."""
        labels = self._log.state()
        return [
            {
                "index": i,
                "frames": self._episodes[i].length,
                **_said(self._episodes[i], labels.get(self._episodes[i].id, NOTHING_SAID)),
                "severity": self._severities[i],
                "score": self._scores[i],
            }
            for i in indices
        ]

    def counts(self) -> dict[str, int]:
        """How many episodes have which label and outcome."""
        labels = self._log.state()
        counts: Counter[str] = Counter()
        for episode in self._episodes:
            label = labels.get(episode.id, NOTHING_SAID)
            counts.update([label.decision or "unlabelled", _outcome(episode, label) or "not judged"])
        return dict(counts)


def _outcome(episode: EpisodeInfo, label: SaidOfEpisode) -> str:
    """`success`, `failure`, `void`, or empty where nobody judged; a person's word counts more than the recorder's."""
    return label.outcome or (episode.outcome.status if episode.outcome else "")


def _said(episode: EpisodeInfo, label: SaidOfEpisode) -> dict[str, Any]:
    """Task and outcome as they count now, and as they were recorded."""
    return {
        "task": episode.instruction if label.task is None else label.task,
        "recorded_task": episode.instruction,
        "outcome": _outcome(episode, label),
        "recorded_outcome": episode.outcome.status if episode.outcome else "",
        "decision": label.decision or "",
        "said_by": label.author,
        "said_at": label.time,
    }
