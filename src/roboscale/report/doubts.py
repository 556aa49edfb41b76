"""What may be wrong with the numbers of a report: void trials, mistakes of policies, corrections, rounds, no identity.

A rate without these is a claim that nothing of the kind happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roboscale.core import Verdict
from roboscale.report import text
from roboscale.report.blocks import (
    Beside,
    Block,
    CommandBlock,
    Details,
    Head,
    Heading,
    Inline,
    Listing,
    Paragraph,
    Phrase,
    Rows,
    estimate_phrase,
    num,
    rate_phrase,
)
from roboscale.report.model import PolicyResult, ReasonCount, ReportData, VoidOverlap
from roboscale.report.page import Section

if TYPE_CHECKING:
    from roboscale.stats.deciding import AnyVerdict

__all__ = [
    "batch_sentences",
    "correction_section",
    "depends_on_voids",
    "mistake_sentences",
    "overlap_sentence",
    "pending_section",
    "reason_section",
    "round_section",
    "scorer_section",
    "unverified_sentences",
]


def unverified_sentences(data: ReportData) -> list[str]:
    """A sentence for each policy whose numbers may not be those of what it is called."""
    return [text.full_stop(f"{p.name} is {text.mark(p.unverified)}") for p in data.policies if p.unverified]


def batch_sentences(policies: tuple[PolicyResult, ...]) -> list[str]:
    """A sentence for each policy whose numbers belong to the batches that it was asked in."""
    return [
        f"{p.name} is batch-dependent: asked alone, as on a robot, it may do otherwise."
        for p in policies
        if "batch-dependent" in p.behaviour
    ]


def mistake_sentences(policies: tuple[PolicyResult, ...]) -> list[str]:
    """A sentence for each policy whose trials all ended by its own mistake: nothing was learned of how it acts."""
    return [
        f"Every counted trial of {p.name} ended by its own mistake: {text.full_stop(p.mistakes[0].reason)}"
        for p in policies
        if p.only_mistakes and p.mistakes
    ]


def depends_on_voids(data: ReportData) -> bool:
    """Whether what is claimed would be another claim if the void trials had ended otherwise."""
    if data.verdict is None:
        return False
    return any(_claims(verdict) != _claims(data.verdict) for verdict in data.extremes.values())


def _claims(verdict: AnyVerdict) -> frozenset[tuple[str, str, str]]:
    """(first, second, decision) of what is claimed."""
    if isinstance(verdict, Verdict):
        decided = verdict.decision in ("first is better", "second is better")
        return frozenset([("", "", verdict.decision)] if decided else [])
    return frozenset((p.first, p.second, p.verdict.decision) for p in verdict.pairs if p.decided)


def overlap_sentence(overlap: VoidOverlap) -> str:
    """How often void trials fall on cases that the other policy failed, against how often it failed the others."""
    share = f"{overlap.on_failed} of {overlap.voids}"
    said = f"Void trials of {overlap.policy}: {share} fall on cases that {overlap.other} failed"
    if overlap.rest:
        said += f"; of the other {overlap.rest} cases {overlap.other} failed {overlap.rest_failed}"
    if overlap.p_value is None:
        return f"{said}."
    said += f" (Barnard's exact test, p = {text.number(overlap.p_value, 2)})"
    return f"{said}. They fall on hard cases." if overlap.on_hard_cases else f"{said}."


def pending_section(data: ReportData) -> Section:
    """Trials that nobody has judged yet, and how to judge them."""
    waiting = [policy for policy in data.policies if policy.pending]
    blocks: list[Block] = []
    if waiting:
        each = ", ".join(f"{policy.pending} of {policy.name}" for policy in waiting)
        total = sum(policy.pending for policy in waiting)
        blocks.append(Paragraph(f"{text.plural(total, 'trial')}: {each}. Nobody has said how they went."))
    if waiting and data.judge_command:
        blocks.append(CommandBlock(data.judge_command, "judge", "Judge them"))
    return Section(
        anchor="pending",
        title="Trials that await a judgement",
        nav="Awaiting a judgement",
        lead="They are not counted in any number on this page.",
        blocks=tuple(blocks),
    )


def round_section(data: ReportData) -> Section:
    """What each round gave, where the same was asked more than once."""
    blocks: tuple[Block, ...] = ()
    rounds = 1 + max((result.round for result in data.rounds), default=0)
    if rounds > 1:
        newest = {r.policy: max(o.round for o in data.rounds if o.policy == r.policy) for r in data.rounds}
        rows: list[tuple[Inline, ...]] = [
            (
                _policy(data, r.policy),
                Phrase(text=f"{r.round + 1} of {rounds}", small=("counts",) if newest[r.policy] == r.round else ()),
                rate_phrase(r.success, data.unverified(r.policy)),
                text.moment(r.started_ns),
            )
            for r in data.rounds
        ]
        columns = ("policy", "round", Head("success", "keep"), "begun")
        blocks = (Rows(caption="What each round gave", columns=columns, rows=tuple(rows), kind="stack"),)
    return Section(
        anchor="rounds",
        title="Asked more than once",
        nav="Rounds",
        lead=f"The same was tried in {rounds} rounds; every number on this page is of the newest.",
        blocks=blocks,
    )


def correction_section(data: ReportData) -> Section:
    """The verdict before and after the corrections, side by side, and who corrected what."""
    blocks: list[Block] = []
    if data.before_corrections is not None and data.verdict is not None:
        verdicts = (("Before the corrections", data.before_corrections), ("After them", data.verdict))
        sides = tuple((title, (Paragraph(verdict.sentence, "what"),)) for title, verdict in verdicts)
        blocks.append(Beside(sides))
    if data.corrections:
        rows: list[tuple[Inline, ...]] = [
            (
                _policy(data, c.policy),
                Phrase(text=c.case, code=True),
                Phrase(text=c.before, kind=c.before.partition(",")[0]),
                Phrase(text=c.after, kind=c.after.partition(",")[0]),
                c.by,
                text.moment(c.time_ns),
                c.reason,
            )
            for c in data.corrections
        ]
        columns = ("policy", "case", "before", "after", "by", "when", Head("why", "prose"))
        blocks.append(Rows(caption="Corrected judgements", columns=columns, rows=tuple(rows), kind="stack"))
    return Section(
        anchor="corrections",
        title="Corrected judgements",
        nav="Corrections",
        lead="A judgement is never overwritten: the newest counts, and what it replaced stays in the log.",
        blocks=tuple(blocks),
    )


def scorer_section(data: ReportData) -> Section:
    """Who judged the same trials, and how well they agree."""
    rows: list[tuple[Inline, ...]] = [
        (
            f"{s.first} and {s.second}",
            f"{text.count(s.same)} of {text.count(s.trials)}",
            estimate_phrase(s.kappa, none="all alike: chance explains that, too"),
        )
        for s in data.scorers
    ]
    columns = ("scorers", num("said the same"), num("kappa, 95 %"))
    method = data.scorers[0].kappa.method if data.scorers else ""
    blocks = [Rows(caption=method, columns=columns, rows=tuple(rows), kind="stack")] if rows else []
    blocks += _detectors(data)
    return Section(
        anchor="scorers",
        title="Two scorers of the same trials",
        nav="Scorers",
        lead=(
            "Kappa is agreement beyond what their rates alone would give: 1 is full, 0 is chance. "
            "In the rates, the newest judgement counts; what a detector proposes counts nowhere."
        ),
        blocks=tuple(blocks),
    )


def _detectors(data: ReportData) -> list[Rows]:
    """How well what detectors proposed agrees with what was decided."""
    rows: list[tuple[Inline, ...]] = [
        (
            d.name,
            f"{text.count(d.same)} of {text.count(d.proposed)}",
            estimate_phrase(d.share, none="nothing proposed"),
            estimate_phrase(d.kappa, none="all alike: chance explains that, too"),
            text.count(d.silent),
        )
        for d in data.detectors
    ]
    if not rows:
        return []
    columns = ("detector", num("as decided"), num("share, 95 %"), num("kappa, 95 %"), num("could not say"))
    caption = f"Detectors beside whoever decided: {data.detectors[0].share.method}; {data.detectors[0].kappa.method}"
    return [Rows(caption=caption, columns=columns, rows=tuple(rows), kind="stack")]


def reason_section(data: ReportData) -> Section:
    """Failures by the policies' own mistakes and void trials, with their reasons and what they could hide."""
    return Section(
        anchor="reasons",
        title="Mistakes and void trials",
        blocks=(*_mistakes(data), *_voids(data), *_worst_case(data), *_extremes(data)),
    )


def _policy(data: ReportData, name: str) -> Phrase:
    return Phrase(text=name, policy=data.names.index(name) if name in data.names else None)


def _reasons(data: ReportData, given: list[tuple[str, ReasonCount]], caption: str) -> Rows:
    rows: list[tuple[Inline, ...]] = [
        (_policy(data, name), text.count(one.count), one.reason, Phrase(text=one.case, code=True) if one.case else "")
        for name, one in given
    ]
    columns = ("policy", num("trials"), Head("reason", "prose"), "first case")
    return Rows(caption=caption, columns=columns, rows=tuple(rows), kind="stack")


def _mistakes(data: ReportData) -> list[Block]:
    given = [(policy.name, one) for policy in data.policies for one in policy.mistakes]
    if not given:
        return []
    return [
        Heading("Failures that are mistakes of the policy itself"),
        Paragraph("Its answer was no action: these trials count as failures.", "muted"),
        _reasons(data, given, "Mistakes of policies"),
    ]


def _voids(data: ReportData) -> list[Block]:
    total = sum(policy.success.void for policy in data.policies)
    if not (total or data.voids):
        return []
    blocks: list[Block] = [Heading("Void trials")]
    why = "A void trial says nothing about the policy. Its case leaves the paired comparison for both policies."
    blocks.append(Paragraph(why, "muted"))
    given = [(policy.name, one) for policy in data.policies for one in policy.voids]
    if given:
        blocks.append(_reasons(data, given, "Reasons of void trials"))
    elif not data.voids:
        blocks.append(Paragraph(f"{text.count(total)} trials stayed void; their reasons were not recorded."))
    if data.overlaps:
        blocks.append(Listing(tuple(map(overlap_sentence, data.overlaps))))
    if data.voids:
        listed = tuple(
            (_policy(data, void.policy), Phrase(text=void.case, code=True), void.reason, text.count(void.attempts))
            for void in data.voids
        )
        columns = ("policy", "case", Head("reason", "prose"), num("attempts"))
        table = Rows(caption="Every void trial", columns=columns, rows=listed, kind="stack")
        blocks.append(Details(f"Every void trial ({text.count(len(data.voids))})", (table,)) if given else table)
    return blocks


def _worst_case(data: ReportData) -> list[Block]:
    bounded = [(policy, policy.worst) for policy in data.policies if policy.worst is not None]
    if not bounded:
        return []
    rule = f" ({data.rule})" if data.rule else ""
    said = f"The success rate of each policy if every void trial had failed, and if every one had succeeded{rule}."
    rows: list[tuple[Inline, ...]] = [
        (
            Phrase(text=p.name, policy=data.names.index(p.name), small=(f"{text.count(p.success.void)} void",)),
            *(rate_phrase(rate, p.unverified) for rate in (worst.as_failures, p.success, worst.as_successes)),
        )
        for p, worst in bounded
    ]
    columns = ("policy", "void failed", "as counted", "void succeeded")
    return [
        Heading("Worst-case bounds"),
        Paragraph(f"{said} A server that hangs on hard cases gains nothing.", "muted"),
        Rows(caption="Worst-case bounds", columns=columns, rows=tuple(rows), kind="stack"),
    ]


def _extremes(data: ReportData) -> list[Block]:
    if not data.extremes:
        return []
    same = "What is claimed would be the same either way."
    other = "What is claimed depends on how the void trials would have ended."
    rows: list[tuple[Inline, ...]] = [(name, verdict.sentence) for name, verdict in data.extremes.items()]
    columns = ("if", Head("the verdict would be", "prose"))
    return [
        Heading("If the void trials had ended otherwise"),
        Paragraph(other, "bad") if depends_on_voids(data) else Paragraph(same, "muted"),
        Rows(
            caption="The verdict at the extremes of the void trials", columns=columns, rows=tuple(rows), kind="stack"
        ),
    ]
