"""What stands on top of a report: the claim that the verdict allows, and no more.

A claim that depends on void trials, or on somebody who is not known by content, says so in the same breath.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roboscale.core import Verdict
from roboscale.report import text
from roboscale.report.blocks import Block
from roboscale.report.doubts import (
    batch_sentences,
    depends_on_voids,
    mistake_sentences,
    overlap_sentence,
    unverified_sentences,
)
from roboscale.report.model import PolicyResult, ReportData
from roboscale.report.page import Headline
from roboscale.stats.many import ManyVerdict

if TYPE_CHECKING:
    from roboscale.stats.deciding import AnyVerdict

__all__ = ["report_headline"]

_NAMED = 2
"""Without a verdict, at most so many policies are named in the headline."""


def report_headline(data: ReportData, blocks: tuple[Block, ...]) -> Headline:
    """The claim in one sentence, with its doubts, above `blocks`."""
    if isinstance(data.verdict, Verdict):
        tag, kind, sentence, details = _of_two(data, data.verdict)
    elif data.verdict is not None:
        tag, kind, sentence, details = _of_many(data, data.verdict)
    else:
        tag, kind, sentence, details = _of_rates(data)
    if data.verdict is not None and any(policy.only_mistakes for policy in data.policies):
        tag, kind = "one side never acted", "open"
    elif depends_on_voids(data):
        tag, kind = "depends on the void trials", "open"
    waiting = sum(policy.pending for policy in data.policies)
    if waiting:
        details.append(f"{text.plural(waiting, 'trial')} await{'s' if waiting == 1 else ''} a judgement")
    if data.unit and data.policies:
        details.append(data.unit)
    claim, small = _split(sentence, data.verdict)
    doubtful = any(policy.unverified for policy in data.policies)
    return Headline(
        tag=f"{tag}, unverified" if tag and doubtful else tag,
        kind=kind,
        sentence=claim,
        small=small,
        doubts=tuple(_doubts(data)),
        details=tuple(details),
        blocks=blocks,
    )


def _split(sentence: str, verdict: AnyVerdict | None) -> tuple[str, str]:
    """The claim, and what is set smaller but never left out: the parenthesis with test and counts, or all pairs."""
    if verdict is not None and not isinstance(verdict, Verdict):
        claim, _, pairs = sentence.partition(": ")
        return claim, pairs
    depth = 0
    for at in range(len(sentence) - 1, 0, -1) if verdict is not None and sentence.endswith(")") else ():
        depth += {")": 1, "(": -1}.get(sentence[at], 0)
        if depth == 0:
            return sentence[:at].rstrip(), sentence[at:]
    return sentence, ""


_Said = tuple[str, str, str, list[str]]
"""Tag, its kind, sentence, details."""


def _of_two(data: ReportData, verdict: Verdict) -> _Said:
    first, second = data.names[:2] if len(data.names) > 1 else ("first", "second")
    word = "makes more progress" if data.outcome == "progress" else "is better"
    tags = {"first is better": f"{first} {word}", "second is better": f"{second} {word}"}
    kind = {"first is better": "p0", "second is better": "p1"}.get(verdict.decision, "open")
    counted = f"{verdict.n} paired cases, {verdict.discordant} of them told the policies apart"
    if data.design is not None and data.design.kind == "one arm":
        tags = {
            "first is better": f"{data.names[0]} is above the threshold",
            "second is better": "below the threshold",
        }
        kind, counted = ("open" if kind == "open" else "p0"), f"{verdict.n} cases"
    details = [f"α = {text.number(verdict.alpha)}", verdict.method, counted]
    if verdict.p_value is not None:
        details.append(f"p = {text.number(verdict.p_value, 2)}")
    if verdict.needed is not None:
        details.append(f"about {text.count(verdict.needed)} more paired cases would probably decide")
    details += [data.rule] if data.rule else []
    return tags.get(verdict.decision, verdict.decision), kind, verdict.sentence, details


def _of_many(data: ReportData, verdict: ManyVerdict) -> _Said:
    shown = [pair for pair in verdict.pairs if pair.decided]
    tag, kind = "no difference shown", "open"
    if shown:
        tag = "some differences shown"
    if data.design is not None and data.design.kind == "best arm" and len(verdict.best) == 1:
        tag = f"{verdict.best[0]} is best, or nearly"
        kind = f"p{data.names.index(verdict.best[0]) % 6}" if verdict.best[0] in data.names else "good"
    elif len(verdict.best) == 1 and shown and (data.design is None or data.design.kind != "ladder"):
        best = verdict.best[0]
        open_ = any(best in (pair.first, pair.second) for pair in verdict.undecided)
        tag = f"only {best} may be best" if open_ else f"{best} is best"
        kind = f"p{data.names.index(best) % 6}" if best in data.names else "good"
    details = [
        f"family-wise error {text.number(verdict.alpha)}",
        verdict.method,
        f"{len(shown)} of {text.plural(len(verdict.pairs), 'pair')} told apart",
        *([data.rule] if data.rule else []),
    ]
    return tag, kind, verdict.sentence, details


def _of_rates(data: ReportData) -> _Said:
    details = ["No comparison was made: nothing is claimed.", *([data.rule] if data.rule else [])]
    if not data.policies:
        return "", "estimate", "No policy was tried.", []
    if len(data.policies) > _NAMED:
        what = "Mean progress" if data.outcome == "progress" else "Success rates"
        return "estimate", "estimate", f"{what} of {len(data.policies)} policies.", details
    sentence = " ".join(_rate_sentence(data, policy) for policy in data.policies)
    return "estimate", "estimate", sentence, details


def _rate_sentence(data: ReportData, policy: PolicyResult) -> str:
    rate = policy.rate(data.outcome)
    if rate.value is None:
        return f"{policy.name}: no trial counted."
    trials, limits = text.plural(rate.n, "trial"), text.interval(rate.low, rate.high)
    worst = text.void_range(rate)
    void = f"; {text.count(rate.void)} void: {text.interval(*worst)}" if worst else ""
    if data.outcome == "progress":
        return f"{policy.name} made {text.percent(rate.value)} of the way in {trials} on average ({limits}{void})."
    return f"{policy.name} succeeded in {text.percent(rate.value)} of {trials} ({limits}{void})."


def _doubts(data: ReportData) -> list[str]:
    """Sentences that belong in the same breath as the claim."""
    doubts = [*mistake_sentences(data.policies), *unverified_sentences(data), *batch_sentences(data.policies)]
    doubts += [overlap_sentence(overlap) for overlap in data.overlaps if overlap.on_hard_cases]
    if depends_on_voids(data):
        doubts.append("What is claimed depends on how the void trials would have ended.")
    return doubts
