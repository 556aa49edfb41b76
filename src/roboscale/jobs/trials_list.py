"""Lists what was tried, with the reasons of what went wrong grouped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from roboscale.core import Counted
from roboscale.jobs.request import Option, Request
from roboscale.jobs.stores import RunId, Store

if TYPE_CHECKING:
    from roboscale.jobs.judged import Judged

__all__ = ["ListTrials", "ListedTrials", "list_trials"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTrials(Request):
    """Asks what a store holds of a run."""

    words: ClassVar[tuple[str, ...]] = ("trials", "list")

    store: Store
    run: RunId = ""
    pending: Annotated[bool, Option("Only those that somebody is still to judge.")] = False


@dataclass(frozen=True, slots=True)
class ListedTrials:
    """The trials of a run, as they are counted, and that the store has other runs where nobody chose one."""

    judged: Judged
    pending_only: bool
    others: tuple[str, ...] = ()

    @property
    def trials(self) -> list[Counted]:
        """In schedule order."""
        return self.judged.pending if self.pending_only else list(self.judged.counted)

    @property
    def lines(self) -> list[str]:
        """For a terminal: one a trial, then the reasons."""
        from roboscale.jobs.judged import reasons

        labels = self.judged.labels
        rows = []
        for one in self.trials:
            id_ = one.trial.id[:8] if one.trial is not None else ""
            status = "pending" if one.pending else one.outcome.status
            said = f"  {one.outcome.reason}" if one.outcome.reason else ""
            corrected = f"  ({len(one.judgements)} judgements)" if len(one.judgements) > 1 else ""
            rounds = f"  round {one.rounds}" if one.rounds > 1 else ""
            rows.append(f"{id_}  {status:8}{labels[one.policy]:24} {one.case.id}{rounds}{corrected}{said}")
        unverified = [f"unverified: {who}" for who in self.judged.unverified]
        return [*rows, *reasons(self.trials, labels), *unverified, *self.others]

    def to_json(self) -> dict[str, Any]:
        labels = self.judged.labels
        return {
            "run": self.judged.run.id,
            "notes": list(self.others),
            "trials": [
                {
                    "trial": one.trial.id if one.trial is not None else None,
                    "policy": labels[one.policy],
                    "policy_identity": one.policy.to_json(),
                    "case": one.case.id,
                    "status": "pending" if one.pending else one.outcome.status,
                    "progress": one.outcome.progress,
                    "reason": one.outcome.reason,
                    "steps": one.outcome.steps,
                    "rounds": one.rounds,
                    "details": {} if one.trial is None else dict(one.trial.details),
                    "judgements": [j.to_json() for j in one.judgements],
                }
                for one in self.trials
            ],
        }


def list_trials(request: ListTrials) -> ListedTrials:
    """What was tried in a run, in schedule order.

    >>> from roboscale import Evaluate, ListTrials, evaluate, list_trials
    >>> done = evaluate(Evaluate(policy="constant", tasks="reach-v3", trials=2, store="trials"))
    >>> [one.outcome.status for one in list_trials(ListTrials(store="trials")).trials]
    ['failure', 'failure']

    Raises:
        BadData: there is no such store, or no run in it.
        RoboscaleError: the run is of a study that is blind.
    """
    from roboscale.jobs.judged import choose_run, judged_run, other_runs
    from roboscale.jobs.studies import require_unblinded
    from roboscale.trials.log import open_log

    with open_log(request.store, read_only=True) as log:
        run = choose_run(log, request.run)
        require_unblinded(run)
        return ListedTrials(judged_run(log, run), request.pending, tuple(other_runs(log, run, request.run)))
