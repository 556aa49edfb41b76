"""Takes cases from a store: several processes or machines do one run together."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from roboscale.core import RoboscaleError
from roboscale.jobs.events import Note, OnEvent, ignore
from roboscale.jobs.options import Workers
from roboscale.jobs.request import Option, Request
from roboscale.jobs.stores import RunId, Store

if TYPE_CHECKING:
    from roboscale.jobs.compare import ComparedPolicies
    from roboscale.jobs.eval import Evaluated
    from roboscale.trials.log import Run, TrialLog

_MINUTES = 240

__all__ = ["WorkTrials", "how_to_work_beside", "work_trials"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkTrials(Request):
    """Asks to go on with a run, beside others that do the same."""

    words: ClassVar[tuple[str, ...]] = ("trials", "work")

    store: Store
    run: RunId = ""
    workers: Workers = None
    record: Annotated[
        Path | None, Option("Keep this process's trials in this dataset; by default the run's own, if it has one.")
    ] = None
    engine: Annotated[
        Literal["here", "local", "slurm", "ray"],
        Option("Who works: this process, processes of this machine, jobs of Slurm, or actors of Ray."),
    ] = "here"
    jobs: Annotated[int, Option("Workers of --engine.", min=1)] = 1
    slurm: Annotated[
        tuple[str, ...], Option("With --engine slurm: KEY=VALUE as submitit calls it, e.g. partition=gpu; may repeat.")
    ] = ()
    minutes: Annotated[
        int, Option("With --engine local or slurm: minutes that a job may take; then Slurm queues it again.", min=1)
    ] = _MINUTES

    def check(self) -> None:
        """RoboscaleError for workers that nobody would start."""
        if self.engine == "here" and self.jobs > 1:
            raise RoboscaleError(f"--jobs {self.jobs}: this process is one worker; --engine says who runs several")
        if self.slurm and self.engine != "slurm":
            raise RoboscaleError(
                f"--slurm {self.slurm[0]}: only --engine slurm takes it, found --engine {self.engine}"
            )
        if self.minutes != _MINUTES and self.engine not in ("local", "slurm"):
            raise RoboscaleError(
                f"--minutes {self.minutes}: only --engine local and slurm take it, found --engine {self.engine}"
            )


def work_trials(request: WorkTrials, on_event: OnEvent = ignore) -> Evaluated | ComparedPolicies:
    """Tries what is left of a run. A trial that another process runs is left to it; one that it lost is taken over.

    With an engine, other processes or machines do so, and this one waits for them.

    >>> from roboscale import Evaluate, WorkTrials, evaluate, work_trials
    >>> done = evaluate(Evaluate(policy="constant", tasks="reach-v3", trials=2, store="trials"))
    >>> work_trials(WorkTrials(store="trials")).success.n
    2

    Raises:
        BadData: there is no such store or run.
        RoboscaleError: the run was made from Python, with objects that no text can name; or nothing could be counted.
        InfrastructureError: the engine is not installed or not there.
    """
    from roboscale.jobs.compare import Compare, compare
    from roboscale.jobs.eval import Evaluate, evaluate
    from roboscale.jobs.judged import choose_run, other_runs
    from roboscale.jobs.stores import run_request
    from roboscale.trials.log import open_log

    with open_log(request.store, read_only=True) as log:
        run = choose_run(log, request.run)
        for line in other_runs(log, run, request.run):
            on_event(Note(line))
        if request.engine != "here":
            return _elsewhere(request, run, log, on_event)
    own: dict[str, Any] = {} if request.record is None else {"record": request.record}
    asked = run_request(run, store=request.store, workers=request.workers, again=False, **own)
    if isinstance(asked, Compare):
        return compare(asked, on_event=on_event)
    assert isinstance(asked, Evaluate), "a run is one of both"
    return evaluate(asked, on_event)


def _elsewhere(request: WorkTrials, run: Run, log: TrialLog, on_event: OnEvent) -> Evaluated | ComparedPolicies:
    """What a run came to once its workers have ended, read from the log: nothing is opened here."""
    from roboscale.jobs.cluster import run_on_cluster
    from roboscale.jobs.compare import ComparedPolicies, to_be_said
    from roboscale.jobs.eval import Evaluate, evaluated
    from roboscale.jobs.judged import judged_run
    from roboscale.jobs.run_files import require_result
    from roboscale.jobs.stores import run_request
    from roboscale.jobs.studies import require_unblinded

    asked = run_request(run)  # refuses what no worker could open
    require_unblinded(run)
    notes: list[str] = []

    def listen(event: Any) -> None:
        if isinstance(event, Note):
            notes.append(event.text)
        on_event(event)

    run_on_cluster(request, run, log, listen)
    judged = judged_run(log, next(one for one in log.runs() if one.id == run.id))
    require_result(judged)
    for reason in judged.notes:
        listen(Note(reason))
    if isinstance(asked, Evaluate):
        return evaluated(judged, asked, notes, on_event)
    for reason in to_be_said(judged):
        listen(Note(reason))
    return ComparedPolicies(judged, tuple(notes))


def how_to_work_beside(run: Run | None, store: str, record: Path) -> str:
    """What takes part in a run whose dataset `record` another process has open; `None` is for a run of its own."""
    if run is None:
        return "this is another run, which needs another --record"
    numbers = itertools.count(2)
    own = next(p for p in (record.with_name(f"{record.name}-{n}") for n in numbers) if not p.exists())
    if run.command is None:
        return f"record={str(own)!r} keeps what this process tries"
    return f"`{WorkTrials(store=store, run=run.id[:8], record=own).command}` takes part, with a dataset of its own"
