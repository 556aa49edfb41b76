"""Says how a trial went: the judgement of a person, beside whatever was said before."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from roboscale.core import Judgement, RoboscaleError
from roboscale.core.plain import Plain
from roboscale.core.referee import JudgementState
from roboscale.jobs.request import Option, Request
from roboscale.jobs.stores import Store

if TYPE_CHECKING:
    from roboscale.jobs.judged import Judged
    from roboscale.trials.log import TrialLog

__all__ = ["JudgeTrial", "JudgedTrial", "judge_trial"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeTrial(Request):
    """Asks to file a judgement."""

    words: ClassVar[tuple[str, ...]] = ("trials", "judge")

    store: Store
    trial: Annotated[str, Option("The trial, by the beginning of its id; `roboscale trials list` shows them.")] = ""
    success: Annotated[bool, Option("It succeeded.")] = False
    failure: Annotated[bool, Option("It failed.")] = False
    cannot_say: Annotated[bool, Option("The evidence does not show it.")] = False
    progress: Annotated[float | None, Option("How far it came, 0..1.", min=0.0, max=1.0)] = None
    reason: Annotated[str, Option("Why, in words.")] = ""
    by: Annotated[str, Option("Who judges.")] = ""
    second: Annotated[bool, Option("A second scorer: counts for their agreement, and in no rate.")] = False

    def check(self) -> None:
        """RoboscaleError unless exactly one judgement is given for a trial, or neither."""
        said = self.success + self.failure + self.cannot_say
        if self.trial and said != 1:
            raise RoboscaleError("say one of --success, --failure and --cannot-say")
        if not self.trial and said:
            raise RoboscaleError("--trial says which is judged; `roboscale trials list STORE --pending` lists them")
        if self.second and (not self.by.strip() or self.cannot_say or not self.trial):
            raise RoboscaleError("--second needs --trial, --by NAME and one of --success and --failure")


@dataclass(frozen=True, slots=True)
class JudgedTrial(Plain):
    """A judgement that was filed, and what counted before it.

    Args:
        earlier: what was said of the trial before, oldest first.
        left: how many trials of the newest run still wait.
    """

    judgement: Judgement | None
    earlier: tuple[Judgement, ...]
    left: int
    waiting: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """One line for a terminal."""
        if self.judgement is None:
            listed = "".join(f"\n  {line}" for line in self.waiting)
            return f"{self.left} trials wait to be judged{listed}"
        decided = [j for j in self.earlier if j.state == "decided"]
        if self.judgement.state == "proposed":
            said = _word(replace(self.judgement, state="decided"))
            beside = f"; {_word(decided[-1])} by {decided[-1].by or decided[-1].referee} counts" if decided else ""
            return f"{self.judgement.trial[:8]} is {said} to {self.judgement.by}, which counts in no rate{beside}"
        now = _word(self.judgement)
        before = f", was {_word(decided[-1])} by {decided[-1].referee}" if decided else ""
        return f"{self.judgement.trial[:8]} is {now}{before}; {self.left} still wait to be judged"


def _word(judgement: Judgement) -> str:
    if judgement.state != "decided":
        return judgement.state
    return "a success" if judgement.success else "a failure"


def _state(request: JudgeTrial) -> JudgementState:
    """Of two scorers the second decides nothing."""
    if request.second:
        return "proposed"
    return "cannot say" if request.cannot_say else "decided"


def judge_trial(request: JudgeTrial) -> JudgedTrial:
    """Files what a person says of a trial; without a trial, says which ones wait. Nothing said before is changed.

    >>> from roboscale import Evaluate, JudgeTrial, evaluate, judge_trial
    >>> done = evaluate(Evaluate(policy="constant", tasks="reach-v3", trials=1, store="trials"))
    >>> id = done.judged.counted[0].trial.id
    >>> judge_trial(JudgeTrial(store="trials", trial=id[:8], success=True, by="ada")).judgement.success
    True

    Raises:
        BadData: no trial begins so, or several do; or there is no store.
        RoboscaleError: the trial is void: it says nothing of the policy.
    """
    from roboscale.jobs.judged import judged_run
    from roboscale.jobs.studies import is_blind
    from roboscale.trials.log import open_log

    with open_log(request.store, read_only=True):
        pass  # a mistyped path is an error here, not a new and empty store
    with open_log(request.store) as log:
        judgement: Judgement | None = None
        earlier: tuple[Judgement, ...] = ()
        if request.trial:
            trial = log.trial(request.trial)
            if trial.void:
                raise RoboscaleError(f"trial {trial.id[:8]} is void ({trial.reason}): nobody can judge it")
            earlier = tuple(log.judgements([trial.id]).get(trial.id, ()))
            judgement = Judgement(
                trial=trial.id,
                referee="second scorer" if request.second else "person",
                time_ns=time.time_ns(),
                state=_state(request),
                success=None if request.cannot_say else request.success,
                progress=request.progress,
                reason=request.reason,
                by=request.by,
            )
            log.judge(judgement)
        waiting: dict[str, str] = {}
        for run in [r for r in log.runs() if r.finished_ns is None]:
            judged = judged_run(log, run)
            if not judged.pending and request.trial:
                _finish_if_done(log, judged)
            labels = dict.fromkeys(judged.labels, "blind") if is_blind(judged.run) else judged.labels
            for c in judged.pending:
                if c.trial is not None:
                    waiting[c.trial.id] = f"{c.trial.id[:8]}  {labels[c.policy]}  {c.case.id}"
        return JudgedTrial(judgement, earlier, len(waiting), tuple(waiting.values()))


def _finish_if_done(log: TrialLog, judged: Judged) -> None:
    """Notes that a run is over once everything it asked for was tried and judged."""
    complete = len(judged.counted) == len(judged.run.cases) * len(judged.run.policies)
    stopped = judged.decided is not None and judged.decided.stopped
    if complete or stopped:
        log.finish_run(judged.run.id, time.time_ns())
