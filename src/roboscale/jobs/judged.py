"""What a run came to, read from the log: the trials that count, rates, a verdict, and everything that must be said.

The same function serves while a command ends, in a report years later and after shards were merged, so that all of
them print the same numbers.
"""

from __future__ import annotations

import math
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from roboscale.core import (
    NOMINAL,
    BadData,
    Case,
    Counted,
    Estimate,
    Identity,
    Judgement,
    OutcomeKind,
    Outcomes,
    Stratum,
    Trial,
    identity_labels,
)
from roboscale.core.episode import Status
from roboscale.core.timing import TimeSpent
from roboscale.jobs.earlier_looks import earlier_looks, said_of_looks
from roboscale.jobs.oddities import oddities, repeats
from roboscale.jobs.rollouts import is_perturbed
from roboscale.jobs.spending import spending, spending_line
from roboscale.stats.deciding import Decided, decide, rate_of
from roboscale.trials import count_trials, evidence_of, outcome_value, time_spent
from roboscale.trials.log import IdentityKind, Run, TrialLog

if TYPE_CHECKING:
    from roboscale.stats.overall import Overall

__all__ = [
    "Judged",
    "batch_dependent",
    "choose_run",
    "clock_time",
    "judged_run",
    "other_lines",
    "other_runs",
    "rate_lines",
    "reasons",
    "reused_line",
    "rounds_of",
    "run_summary",
    "time_lines",
    "unequal_starts",
    "whole",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A run with what counts of it.

    Args:
        run: what was asked.
        counted: of every policy and case that was tried, what counts, in schedule order, those after a stop included.
        used: the part of `counted` that the numbers rest on.
        decided: the verdict, where something was compared.
        before: the verdict as it was when the run ended, where a judgement was corrected afterwards.
        all_rounds: of every policy, case and round, what counts within the round.
        notes: what was assumed, guessed, dropped or reused while it ran, a line each.
        looks: what earlier tests of the same trials leave of its error, in one sentence; empty without any.
        store: where its log lies, for commands that people can type.
    """

    run: Run
    counted: tuple[Counted, ...]
    used: tuple[Counted, ...]
    decided: Decided | None = None
    before: Decided | None = None
    all_rounds: tuple[Counted, ...] = ()
    notes: tuple[str, ...] = ()
    looks: str = ""
    store: str = "STORE"

    @property
    def labels(self) -> dict[Identity, str]:
        """Names for people, unique within the run."""
        return identity_labels(self.run.policies)

    @property
    def replicates(self) -> int:
        """Training runs of each recipe, where policies were given in turn as runs of recipes; 1 otherwise."""
        fields = self.run.request.get("fields", {})
        return int(fields.get("replicates") or 1) if isinstance(fields, Mapping) else 1

    @property
    def recipes(self) -> dict[str, tuple[Identity, ...]]:
        """Recipe -> the policies that are its training runs; every policy by itself where nobody said otherwise."""
        labels, size = self.labels, self.replicates
        groups = [self.run.policies[k : k + size] for k in range(0, len(self.run.policies), size)]
        names = [_common_name([labels[policy] for policy in group]) for group in groups]
        if len(set(names)) < len(names) or not all(names):
            names = [f"recipe {k}" for k in range(1, len(groups) + 1)]
        return {name: tuple(group) for name, group in zip(names, groups, strict=True)}

    @property
    def recipe_lines(self) -> list[str]:
        """Which policies are the training runs of which recipe; nothing where every policy stands for itself."""
        labels = self.labels
        said = [f"{name}: {', '.join(labels[run] for run in runs)}" for name, runs in self.recipes.items()]
        return said if self.replicates > 1 else []

    @property
    def unit(self) -> str:
        """What claims from this run are about."""
        from roboscale.stats.recipes import unit_of_runs

        return unit_of_runs({name: len(runs) for name, runs in self.recipes.items()})

    @property
    def of_recipes(self) -> Overall | None:
        """All claims about recipes, by their training runs; `None` where every policy stands for itself."""
        from roboscale.stats.overall import compare_policies

        if self.replicates < 2:
            return None
        alpha = 0.05 if self.run.design is None else self.run.design.alpha
        return compare_policies(self._outcomes_of_recipes(), alpha)

    def _outcomes_of_recipes(self) -> Outcomes:
        """The counted trials with recipes as policies and policies as training runs."""
        recipes, design = self.recipes, self.run.design
        kind: OutcomeKind = "success" if design is None else design.outcome
        recipe_of = {policy: k for k, group in enumerate(recipes.values()) for policy in group}
        run_of = {policy: k for k, policy in enumerate(self.run.policies)}
        rows = [c for c in self.used if not c.pending]
        tasks = list(dict.fromkeys(c.case.task for c in rows))
        cases = {id_: k for k, id_ in enumerate(dict.fromkeys(c.case.id for c in rows))}
        values = [outcome_value(c.outcome, design) for c in rows]
        return Outcomes(
            kind=kind,
            paired=True,
            policies=tuple(recipes),
            strata=tuple(Stratum("", task) for task in tasks),
            runs=tuple(self.labels.values()),
            policy=np.array([recipe_of[c.policy] for c in rows], np.int32),
            stratum=np.array([tasks.index(c.case.task) for c in rows], np.int32),
            run=np.array([run_of[c.policy] for c in rows], np.int32),
            case=np.array([cases[c.case.id] for c in rows], np.int64),
            value=np.array([np.nan if value is None else value for value in values], np.float64),
            weight=np.ones(len(rows), np.int64),
        )

    @property
    def sequential(self) -> bool:
        """Whether the number of trials depended on their results; then intervals are confidence sequences."""
        return self.run.design is not None and self.run.design.sequential

    @property
    def perturbed(self) -> bool:
        """Whether its cases were tried in worse worlds, too; all rates are then of the unperturbed arm."""
        return is_perturbed(self.run)

    @property
    def swept(self) -> bool:
        """Whether all axes of worse worlds were drawn at once: `--sweep`."""
        fields = self.run.request.get("fields", {})
        return isinstance(fields, Mapping) and bool(fields.get("sweep"))

    @property
    def plain(self) -> tuple[Counted, ...]:
        """What rates rest on: all that counts, without the arms in worse worlds."""
        return tuple(c for c in self.used if self.is_plain(c))

    def is_plain(self, counted: Counted) -> bool:
        """Whether a trial is of the arm that rates are of."""
        return not self.perturbed or counted.case.variation == NOMINAL

    def of(self, policy: Identity, task: str | None = None) -> list[Counted]:
        """What the rates of one policy rest on."""
        return [c for c in self.plain if c.policy == policy and task in (None, c.case.task)]

    def time(self, policy: Identity | None = None) -> TimeSpent | None:
        """What the trials of one policy took, or all of them; `None` where nobody measured it."""
        tried = [c.trial for c in self.counted if policy in (None, c.policy)]
        return time_spent(trial for trial in tried if trial is not None)

    def cost(self, policy: Identity) -> dict[str, Any] | None:
        """Tokens and money of a language model's trials that count; `None` for any other policy."""
        return spending(c.trial for c in self.counted if c.policy == policy and c.trial is not None)

    def rate(self, counted: Sequence[Counted]) -> Estimate:
        """Success rate, or mean progress where that is compared; pending trials are not counted."""
        design = self.run.design
        outcomes = [outcome_value(c.outcome, design) for c in counted if not c.pending]
        kind: OutcomeKind = "success" if design is None else design.outcome
        return rate_of(outcomes, kind=kind, sequential=self.sequential)

    def bounds(self, counted: Sequence[Counted]) -> tuple[Estimate, Estimate] | None:
        """The rate with every void trial counted as a failure, and as a success; `None` where none is void."""
        if not any(c.outcome.success is None and not c.pending for c in counted):
            return None
        return self.rate([_as(c, 0.0) for c in counted]), self.rate([_as(c, 1.0) for c in counted])

    @property
    def pending(self) -> list[Counted]:
        """Trials that somebody is still to judge."""
        return [c for c in self.counted if c.pending]

    @property
    def void(self) -> list[Counted]:
        """Trials that broke."""
        return [c for c in self.used if c.outcome.success is None and not c.pending]

    @property
    def unverified(self) -> list[str]:
        """Who is not known by content, and why."""
        return [str(who) for who in (*self.run.policies, self.run.world) if not who.verified]

    @property
    def batch_dependent(self) -> dict[str, str]:
        """Label -> what its batches changed, of each policy whose numbers belong to these batches alone."""
        return batch_dependent(self.used, self.labels)

    @property
    def doubts(self) -> list[str]:
        """What belongs in the same breath as every sentence on this run."""
        from roboscale.jobs.learned import asked_anyway

        repeated = [f"{name}: {how}" for name, how in repeats(self.used, self.labels).items()]
        looks = [self.looks] if self.looks else []
        off = ["imagined with gates off: no order may be read from it"] if asked_anyway(self) else []
        return [
            *off,
            *looks,
            *self.unverified,
            *(f"{name} is batch-dependent" for name in self.batch_dependent),
            *repeated,
        ]


def _common_name(labels: Sequence[str]) -> str:
    """What the names of the training runs of one recipe begin with, without numbers at its end."""
    begin = "".join(signs[0] for signs in takewhile(lambda signs: len(set(signs)) == 1, zip(*labels, strict=False)))
    return re.sub(r"[\s.,:_/-]*(?:run|seed)?[\s.,:_/-]*\d*$", "", begin)


def _as(counted: Counted, value: float) -> Counted:
    """A void trial as a success or a failure; others as they are."""
    if counted.outcome.success is not None or counted.pending:
        return counted
    status: Status = "success" if value else "failure"
    return replace(counted, outcome=replace(counted.outcome, status=status, progress=value))


def judged_run(
    log: TrialLog, run: Run, shard: tuple[int, int] = (0, 1), *, runs: Sequence[Run] | None = None
) -> Judged:
    """What a run came to, as a pure function of the log.

    Args:
        shard: judge only these cases; a run in several shards is whole once their logs are merged.
        runs: of the log, for whoever has read them already.
    """
    cases = [Case.parse(text) for text in run.cases][shard[0] :: shard[1]]
    attempts = log.attempts(run.policies, run.world, run.settings, cases=[case.id for case in cases])
    trials = [t for group in attempts.values() for t in group]
    judgements = log.judgements([t.id for t in trials])
    counted = count_trials(trials, judgements, run.policies, cases)
    numbers = sorted({t.round for t in trials})
    rounds = (
        tuple(counted)
        if len(numbers) < 2
        else tuple(
            one
            for number in numbers
            for one in count_trials([t for t in trials if t.round == number], judgements, run.policies, cases)
        )
    )
    looks = said_of_looks(earlier_looks(log.runs() if runs is None else runs, run), run.design)
    notes = (*log.notes(run.id), *([looks] if looks else []))
    if run.design is None:
        every = tuple(counted)
        return Judged(run=run, counted=every, used=every, all_rounds=rounds, notes=notes, store=log.where)
    whole = is_perturbed(run)  # whose cells are all looked at; the verdict is of the unperturbed arm
    cases = [case for case in cases if not whole or case.variation == NOMINAL]
    decided = _decide(counted, run, cases)
    used = {c.case.id for c in counted} if whole else {case.id for case in cases[: decided.used]}
    return Judged(
        run=run,
        counted=tuple(counted),
        used=tuple(c for c in counted if c.case.id in used),
        decided=decided,
        before=_before(trials, judgements, run, cases),
        all_rounds=rounds,
        notes=notes,
        looks=looks,
        store=log.where,
    )


def _before(
    trials: Sequence[Trial], judgements: Mapping[str, Sequence[Judgement]], run: Run, cases: Sequence[Case]
) -> Decided | None:
    """The verdict when the run ended, where somebody decided otherwise afterwards; `None` where nobody did."""
    ended = run.finished_ns
    if ended is None:
        return None
    then = {id_: [j for j in said if j.time_ns <= ended] for id_, said in judgements.items()}
    earlier = {id_ for id_, said in then.items() if any(j.state == "decided" for j in said)}
    later = {id_ for id_, said in judgements.items() if any(j.time_ns > ended and j.state == "decided" for j in said)}
    if not earlier & later:
        return None
    known = [t for t in trials if t.round <= run.round]
    return _decide(count_trials(known, then, run.policies, cases), run, cases)


def _decide(counted: Sequence[Counted], run: Run, cases: Sequence[Case]) -> Decided:
    return decide(evidence_of(counted, run.policies, cases, run.design), final=run.finished_ns is not None)


def choose_run(log: TrialLog, text: str = "") -> Run:
    """The newest run, or the one whose id begins with `text`.

    Raises:
        BadData: there is none, or several begin so.
    """
    runs = [run for run in log.runs() if run.id.startswith(text)]
    if not runs:
        raise BadData(log.where, "run", f"a run {text!r}" if text else "at least one run", "none")
    if text and len(runs) > 1:
        raise BadData(log.where, "run", "one run", f"{len(runs)} that begin with {text!r}")
    return runs[-1]


def other_runs(log: TrialLog, run: Run, text: str) -> list[str]:
    """That the store has runs of other trials, where nobody said by `text` which run is meant; else nothing."""
    mine = {(policy.digest, case) for policy in run.policies for case in run.cases}

    def has_more(other: Run) -> bool:
        same = (other.world.digest, other.settings.text) == (run.world.digest, run.settings.text)
        return not same or any((p.digest, case) not in mine for p in other.policies for case in other.cases)

    others = [other for other in log.runs() if other.id != run.id and has_more(other)]
    if text or not others:
        return []
    newest = others[-1]
    names = ", ".join(identity_labels(newest.policies).values())
    return [
        f"{log.where} also holds {len(others)} runs of other trials, such as {newest.id[:8]} of "
        f"{clock_time(newest.created_ns)} ({names}); this is the newest, and --run ID takes another"
    ]


def rounds_of(judged: Judged, policy: Identity) -> dict[int, list[Counted]]:
    """What every round gave for one policy, oldest first."""
    rounds: dict[int, list[Counted]] = {}
    for one in judged.all_rounds:
        if one.policy == policy and one.trial is not None:
            rounds.setdefault(one.trial.round, []).append(one)
    return dict(sorted(rounds.items()))


def whole(log: TrialLog, counted: Sequence[Counted]) -> list[Counted]:
    """The same with actions and series, which are most of a log's bytes and seldom needed."""
    return [c if c.trial is None else replace(c, trial=log.trial(c.trial.id)) for c in counted]


def reasons(counted: Sequence[Counted], labels: dict[Identity, str]) -> list[str]:
    """What must be said of these trials, a line each: why some broke, which failures were mistakes of a policy, what
    was measured as no number, whose numbers may mean less than they seem to, and whose answers depended on their
    batch."""
    void = Counter(
        (labels[c.policy], c.outcome.reason) for c in counted if c.outcome.success is None and not c.pending
    )
    mistakes = Counter(
        (labels[c.policy], c.trial.reason) for c in counted if c.trial is not None and c.trial.end == "policy error"
    )
    lines = [f"{name}: {n} void: {reason}" for (name, reason), n in void.most_common()]
    lines += [f"{name}: {n} failed by its own mistake: {reason}" for (name, reason), n in mistakes.most_common()]
    lines += [*_not_finite(counted, labels), *oddities(counted, labels)]
    return lines + [
        f"{name} is batch-dependent: {how}; --worlds 1 and --workers 1 ask alone"
        for name, how in batch_dependent(counted, labels).items()
    ]


def _not_finite(counted: Sequence[Counted], labels: Mapping[Identity, str]) -> list[str]:
    """Measures that the world gave as NaN or infinite, which is another thing than to measure nothing."""
    odd = Counter(
        (labels[c.policy], measure, str(float(value)))
        for c in counted
        for measure, value in c.outcome.measures.items()
        if value is not None and not math.isfinite(value)
    )
    return [
        f"{name}: {n} trials with {measure} {value}: counted as not measured"
        for (name, measure, value), n in odd.items()
    ]


def batch_dependent(counted: Sequence[Counted], labels: Mapping[Identity, str]) -> dict[str, str]:
    """Label -> by how much it answered otherwise in a batch than alone, as a robot asks; only of those who did."""
    largest: dict[str, tuple[float, int]] = {}
    for c in counted:
        details = {} if c.trial is None else c.trial.details
        if details.get("batch_difference"):
            said = float(details["batch_difference"]), int(details["batch"])
            largest[labels[c.policy]] = max(said, largest.get(labels[c.policy], (0.0, 0)))
    return {
        name: f"asked in a batch of {size}, actions differ by up to {difference:.2g} from those that it gives alone"
        for name, (difference, size) in largest.items()
    }


def unequal_starts(judged: Judged) -> str:
    """What is to be said when the same case did not begin alike under two policies, or in two rounds; else nothing."""
    begun: dict[str, set[str]] = {}
    for one in (*judged.counted, *judged.all_rounds):
        if one.trial is not None and one.trial.details.get("first_seen"):
            begun.setdefault(one.case.id, set()).add(one.trial.details["first_seen"])
    unequal = sum(len(digests) > 1 for digests in begun.values())
    if not unequal:
        return ""
    return (
        f"the cases are not the same: {unequal} of {len(begun)} began differently under different policies; "
        f"world {judged.run.world.name} does not repeat its seeds, so pairing gains nothing"
    )


def clock_time(time_ns: int) -> str:
    """Local time for people, with the day where it is not today's."""
    then = datetime.fromtimestamp(time_ns / 1e9)
    same = then.date() == datetime.now().date()
    return then.strftime("%H:%M" if same else "%Y-%m-%d %H:%M")


def reused_line(reused: Sequence[Trial], total: int) -> str:
    """What was there already, and what is left to do."""
    first, last = min(t.started_ns for t in reused), max(t.started_ns for t in reused)
    when = clock_time(first) if clock_time(first) == clock_time(last) else f"{clock_time(first)} to {clock_time(last)}"
    left = total - len(reused)
    rest = f"up to {left} to do" if left else "nothing to do; --again tries all anew"
    return f"found {len(reused)} of {total} trials, tried {when}; {rest}"


def other_lines(log: TrialLog, run: Run) -> list[str]:
    """What the store has under a name of this run that is another thing, as after an edit: a line a name."""
    lines: list[str] = []
    known = log.identities()
    asked: dict[IdentityKind, tuple[Identity, ...]] = {"policy": run.policies, "world": (run.world,)}
    for kind, mine in asked.items():
        digests = {identity.digest for identity in mine}
        for name in dict.fromkeys(identity.name for identity in mine):
            others = {i.digest: i for i in known.get(kind, ()) if i.name == name and i.digest not in digests}
            tried = [
                i.short
                for i in others.values()
                if log.newest_round(i if kind == "policy" else None, i if kind == "world" else None) is not None
            ]
            if tried:
                shown = ", ".join(tried[:3]) + (f" and {len(tried) - 3} more" if len(tried) > 3 else "")
                lines.append(
                    f"the store also holds trials of another {kind} {name} ({shown}: other code, files, arguments or "
                    "run); they are not counted"
                )
    return lines


def run_summary(judged: Judged) -> dict[str, Any]:
    """JSON of all rates with their intervals and bounds, measures, reasons and identities."""
    run = judged.run
    policies = {}
    for policy, label in judged.labels.items():
        mine = judged.of(policy)
        tasks = dict.fromkeys(c.case.task for c in mine)
        policies[label] = {
            "identity": policy.to_json(),
            "mean_success": judged.rate(mine).to_json(),
            "void_bounds": _bounds_json(judged, mine),
            "tasks": {task: judged.rate(judged.of(policy, task)).to_json() for task in tasks},
            "void": [{"case": c.case.id, "reason": c.outcome.reason} for c in mine if c in judged.void],
            "pending": [c.trial.id for c in judged.pending if c.policy == policy and c.trial is not None],
            "measures": measure_means(mine, run.world_info),
            "time": None if (spent := judged.time(policy)) is None else spent.to_json(),
            "cost": judged.cost(policy),
        }
    return {
        "run": run.id,
        "world": run.world.to_json(),
        "success_rule": run.settings.watch,
        "horizon": run.settings.horizon,
        "settings": run.settings.to_json(),
        "round": run.round,
        "outcome": "success" if run.design is None else run.design.outcome,
        "versions": dict(run.versions),
        "unit": judged.unit,
        "unverified": judged.unverified,
        "batch_dependent": judged.batch_dependent,
        "reasons": reasons(judged.used, judged.labels),
        "time": None if (spent := judged.time()) is None else spent.to_json(),
        "policies": policies,
    }


def rate_lines(judged: Judged, letters: Mapping[str, str] | None = None) -> list[str]:
    """For a terminal: the rate of every policy and task, the bounds where trials are void, and what must be said."""
    lines = [f"{judged.run.world}; {judged.run.settings.text}"]
    again = repeats(judged.used, judged.labels)
    for policy, label in judged.labels.items():
        mine = judged.of(policy)
        tasks = dict.fromkeys(c.case.task for c in mine)
        mark = "" if policy.verified else f"  unverified: {'; '.join(policy.unverified)}"
        mark += f"  {again[label]}" if label in again else ""
        lines.append(f"  {(letters or {}).get(label, '')}{label:24} {judged.rate(mine)}{mark}")
        if len(tasks) > 1:
            lines += [f"    {task:32} {judged.rate(judged.of(policy, task))}" for task in tasks]
        bounds = judged.bounds(mine)
        if bounds is not None:
            low, high = bounds
            lines.append(f"    void as failures {low.value:.2f}, as successes {high.value:.2f}")
    if judged.pending:
        first = next((c.trial.id for c in judged.pending if c.trial is not None), "ID")
        command = f"roboscale trials judge {shlex.quote(judged.store)} --trial {first} --success"
        lines.append(f"  {len(judged.pending)} trials wait to be judged, e.g. with: {command}")
    return lines


def time_lines(judged: Judged) -> list[str]:
    """For a terminal: how quick the trials were, what their time went into, and what they cost; nothing where
    nobody measured it."""
    costs = {label: judged.cost(policy) for policy, label in judged.labels.items()}
    said_costs = [spending_line(label, cost) for label, cost in costs.items() if cost is not None]
    spent = judged.time()
    if spent is None or spent.trials_per_hour is None:
        return said_costs
    said, work = (
        ", ".join(f"{part} {_percent(share)}" for part, share in shares.items())
        for shares in (spent.shares, spent.work_shares)
    )
    unknown = f"; {spent.unmeasured} more not measured" if spent.unmeasured else ""
    return [
        f"  time: {spent.trials} trial{'s' * (spent.trials != 1)} in {spent.busy_s:.3g} s{unknown}: "
        f"{spent.trials_per_hour:,.0f} an hour, {spent.steps_per_s or 0:,.3g} steps a second",
        f"    of the time of a trial: {said}",
        f"    of the work alone: {work}",
        *said_costs,
    ]


def _percent(share: float | None) -> str:
    """`12 %`; what is there and rounds to nothing says so."""
    if share is None:
        return "–"
    return "<1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def _bounds_json(judged: Judged, counted: Sequence[Counted]) -> dict[str, Any] | None:
    bounds = judged.bounds(counted)
    if bounds is None:
        return None
    return {"as_failures": bounds[0].to_json(), "as_successes": bounds[1].to_json()}


def measure_means(counted: Sequence[Counted], world: Any) -> dict[str, Any]:
    """Measure -> unit, mean of the trials that have a finite one, how many have and how many lack it."""
    units = {m["name"]: m["unit"] for m in dict(world).get("measures", ())}
    units |= {"clipped": "step", "held": "step"}
    valid = [c.outcome.measures for c in counted if c.outcome.success is not None]
    means = {}
    for name, unit in units.items():
        values = [m.get(name) for m in valid]
        measured = [float(v) for v in values if v is not None and math.isfinite(v)]
        mean = sum(measured) / len(measured) if measured else None
        means[name] = {"unit": unit, "mean": mean, "n": len(measured), "not_measured": len(valid) - len(measured)}
    return means
