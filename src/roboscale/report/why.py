"""Why trials failed, as one offline page: stages that were reached, groups of failures, a film of each, the guard.

Takes finished numbers. Knows no statistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from roboscale.core import Estimate
from roboscale.core.plain import Plain
from roboscale.report import text
from roboscale.report.blocks import (
    Block,
    Films,
    Inline,
    Listing,
    Paragraph,
    Phrase,
    Reel,
    ReelClip,
    Rows,
    num,
    rate_phrase,
)
from roboscale.report.model import Scalar
from roboscale.report.page import Headline, Page, Section, data_uri, render_page

__all__ = ["FailureBesideTraining", "FailureGroup", "StageCount", "WhyData", "why_page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCount:
    """How many trials of a policy reached a stage: the share with its interval."""

    policy: str
    stage: str
    share: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Failures of one policy with one tag or reason.

    Args:
        reason: a scorer's tag, what the guard stopped for, or the words that were given.
        count: of failures; `share` is of the policy's counted trials.
        trials: ids, the first in schedule order first.
        mp4: a film of the first that has one; empty where none was recorded.
    """

    policy: str
    reason: str
    count: int
    share: Estimate
    trials: tuple[str, ...]
    mp4: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureBesideTraining(Plain):
    """One group of failures beside the training episodes.

    Args:
        nearest: of the first trial that was recorded: the training episodes that begin most alike, nearest first.
        distance: mean over the group from a start to the nearest training episode; 1 is what is usual between them.
        succeeded: the same over the policy's successes; `None` without one that was recorded.
        far: whether the mean start lies farther than 95 % of the training episodes from their neighbours.
        open_loop: mean error of actions on the nearest training episodes, where 1 is that of a constant action;
            `None` when the policy was not asked.
        open_loop_succeeded: the same near the starts of successes.
        reading: what that says.
    """

    policy: str
    reason: str
    trials: int
    nearest: tuple[str, ...]
    distance: float
    succeeded: float | None
    far: bool
    open_loop: float | None
    open_loop_succeeded: float | None
    reading: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyData:
    """Everything the page shows.

    Args:
        guard: (policy, what, how many, in how many trials).
        training: failures beside the episodes that the policies were trained on.
        notes: what is missing, a sentence each.
    """

    title: str
    stages: tuple[StageCount, ...]
    groups: tuple[FailureGroup, ...]
    guard: tuple[tuple[str, str, int, int], ...]
    json: Mapping[str, Any]
    training: Sequence[FailureBesideTraining] = ()
    notes: tuple[str, ...] = ()
    command: str | None = None
    versions: Mapping[str, Scalar] = field(default_factory=dict)


def why_page(data: WhyData) -> str:
    """One HTML document that makes no request."""
    largest = data.groups[0] if data.groups else None
    sentence = "No trial failed."
    if largest is not None:
        sentence = f"Most failures of one kind: {largest.policy}, {largest.reason} ({largest.count})."
    stages = Rows(
        caption="Trials that got at least so far",
        columns=("policy", "stage", num("trials"), num("share, 95 %")),
        rows=tuple((s.policy, s.stage, *_shares(s.share)) for s in data.stages),
        kind="stack",
    )
    groups = Rows(
        caption="A trial with several tags stands in several groups",
        columns=("policy", "what went wrong", num("trials"), num("share, 95 %")),
        rows=tuple((g.policy, g.reason, *_shares(g.share)) for g in data.groups),
        kind="stack",
    )
    guard = Rows(
        caption="What the guard changed, refused or stopped",
        columns=("policy", "what", num("times"), num("in trials")),
        rows=tuple(
            (policy, what, text.count(times), text.count(trials)) for policy, what, times, trials in data.guard
        ),
        kind="stack",
    )
    reels = tuple(
        Reel(title=g.policy, instruction=g.reason, case=g.trials[0][:8], clips=(_clip(g),))
        for g in data.groups
        if g.mp4
    )
    films: tuple[Block, ...] = (Films(reels),) if reels else ()
    page = Page(
        title=data.title,
        kind="why",
        headline=Headline(tag="failures", sentence=sentence, details=("counts of scored trials",)),
        sections=(
            Section(anchor="stages", title="How far they got", blocks=(stages,) if data.stages else ()),
            Section(anchor="groups", title="What went wrong", blocks=(groups,) if data.groups else ()),
            _training(data),
            Section(anchor="films", title="One film of each", blocks=films),
            Section(anchor="guard", title="The guard", blocks=(guard,) if data.guard else ()),
            Section(anchor="said", title="What is missing", blocks=(Listing(data.notes),) if data.notes else ()),
        ),
        data=data.json,
        command=data.command,
        versions=data.versions,
        method=(
            Paragraph("Shares are of scored trials; intervals are Clopper and Pearson's, each by itself.", "what"),
        ),
    )
    return render_page(page)


def _training(data: WhyData) -> Section:
    """Where the failures began, beside what the policies were trained on."""
    rows: list[tuple[Inline, ...]] = [
        (
            row.policy,
            row.reason,
            ", ".join(row.nearest),
            Phrase(text=text.number(row.distance, 2), small=(f"successes {text.number(row.succeeded, 2)}",)),
            Phrase(
                text=text.number(row.open_loop, 2), small=(f"successes {text.number(row.open_loop_succeeded, 2)}",)
            ),
            row.reading,
        )
        for row in data.training
    ]
    table = Rows(
        caption=(
            "Distance of what was first observed to the nearest training episode; 1 is usual between those. "
            "Error of actions on the nearest ones, shown what was seen then; 1 is that of a constant action"
        ),
        columns=("policy", "what went wrong", "nearest episodes", num("distance"), num("open-loop error"), "hint"),
        rows=tuple(rows),
        kind="stack",
    )
    return Section(anchor="training", title="Beside the training episodes", blocks=(table,) if rows else ())


def _shares(share: Estimate) -> tuple[Inline, Inline]:
    return text.count(round((share.value or 0) * share.n)), rate_phrase(share)


def _clip(group: FailureGroup) -> ReelClip:
    return ReelClip(
        uri=data_uri(group.mp4, "video/mp4"),
        label=f"{group.policy}: {group.reason}",
        title=group.reason,
        status="failure",
        words=(group.policy, f"trial {group.trials[0][:8]}"),
    )
