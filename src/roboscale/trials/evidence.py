"""What a log says of one question: the trials that count, and their outcomes in schedule order.

`evidence` and `stats.decide` are the only way to a verdict, while trials run, in a report and after a merge, so that
all of them say the same. What counts of a trial is the newest judgement that decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from roboscale.core import (
    Case,
    Counted,
    Design,
    Evidence,
    EvidenceRow,
    Identity,
    Judgement,
    Outcome,
    Trial,
    identity_labels,
)

__all__ = ["count_trials", "evidence_of", "outcome_of", "outcome_value", "waits"]


def _decision(judgements: Iterable[Judgement]) -> Judgement | None:
    """The judgement that counts: the newest that decided."""
    decided = [j for j in judgements if j.state == "decided"]
    return max(decided, key=lambda j: j.time_ns, default=None)


def waits(trial: Trial, judgements: Sequence[Judgement]) -> bool:
    """Whether somebody is still to say how it went: the newest word of one of the referees is that they will."""
    newest = {j.referee: j for j in sorted(judgements, key=lambda j: j.time_ns)}
    waiting = any(j.state == "pending" for j in newest.values())
    return waiting and not trial.void and _decision(judgements) is None


def outcome_of(trial: Trial, judgements: Sequence[Judgement]) -> Outcome | None:
    """The outcome that counts; void where the trial broke or nobody can say, `None` while somebody is still to say."""
    ended = {"terminated": trial.end == "terminated" or trial.end == "decided", "truncated": trial.end == "truncated"}
    measures = {**trial.measures, "clipped": float(trial.clipped), "held": float(trial.held)}
    if trial.void:
        return Outcome("void", trial.reason, steps=trial.steps, measures=measures)
    if waits(trial, judgements):
        return None
    decision = _decision(judgements)
    if decision is None:
        reasons = [j.reason for j in judgements if j.reason and j.state != "proposed"]
        said = "; ".join(reasons) or "no referee could say"
        return Outcome("void", said, steps=trial.steps, measures=measures, **ended)
    status = "success" if decision.success else "failure"
    return Outcome(status, decision.reason, progress=decision.progress, steps=trial.steps, measures=measures, **ended)  # type: ignore[arg-type]


def count_trials(
    trials: Iterable[Trial],
    judgements: Mapping[str, Sequence[Judgement]],
    policies: Sequence[Identity],
    cases: Sequence[Case],
) -> list[Counted]:
    """What was tried, in schedule order: of every policy and case the newest round, of that the last attempt."""
    attempts: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        attempts.setdefault((trial.policy.digest, trial.case.id), []).append(trial)
    counted = []
    for position, case in enumerate(cases):
        for policy in policies if position % 2 == 0 else policies[::-1]:
            mine = attempts.get((policy.digest, case.id))
            if mine:
                counted.append(_count(mine, judgements, policy))
    return counted


def _count(attempts: Sequence[Trial], judgements: Mapping[str, Sequence[Judgement]], policy: Identity) -> Counted:
    last = max(attempts, key=lambda t: (t.round, t.attempt))
    said = tuple(sorted(judgements.get(last.id, ()), key=lambda j: j.time_ns))
    outcome = outcome_of(last, said)
    return Counted(
        policy=policy,
        world=last.world,
        case=last.case,
        outcome=outcome or Outcome("void", "nobody has judged it yet", steps=last.steps),
        attempt=last.attempt,
        pending=outcome is None,
        trial=last,
        judgements=said,
        rounds=1 + last.round,
    )


def outcome_value(outcome: Outcome, design: Design | None) -> float | None:
    """Success as 0 or 1, or progress where that is compared; `None` where it is void or not measured."""
    if outcome.success is None:
        return None
    if design is not None and design.outcome == "progress":
        return outcome.progress
    return float(outcome.success)


def evidence_of(
    counted: Iterable[Counted],
    policies: Sequence[Identity],
    cases: Sequence[Case],
    design: Design | None = None,
) -> Evidence:
    """The outcomes of all cases in schedule order. Trials that are pending or were not run are absent from a row."""
    labels = identity_labels(policies)
    outcomes: dict[str, dict[str, float | None]] = {case.id: {} for case in cases}
    begun: dict[str, list[tuple[int, str]]] = {}
    pending = 0
    for one in counted:
        if one.trial is not None:
            begun.setdefault(one.case.id, []).append((one.trial.started_ns, labels[one.policy]))
        if one.pending:
            pending += 1
        elif one.case.id in outcomes:
            outcomes[one.case.id][labels[one.policy]] = outcome_value(one.outcome, design)
    first = {case: min(times)[1] for case, times in begun.items()}
    rows = tuple(EvidenceRow(case, outcomes[case.id], first.get(case.id, "")) for case in cases)
    return Evidence(policies=tuple(labels.values()), rows=rows, design=design, waiting=pending)
