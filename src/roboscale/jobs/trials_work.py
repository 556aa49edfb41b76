"""Takes cases from a store: several processes or machines do one run together."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from roboscale.jobs.events import Note, OnEvent, ignore
from roboscale.jobs.options import Workers
from roboscale.jobs.request import Option, Request
from roboscale.jobs.stores import RunId, Store

if TYPE_CHECKING:
    from roboscale.jobs.compare import ComparedPolicies
    from roboscale.jobs.eval import Evaluated
    from roboscale.trials.log import Run

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


def work_trials(request: WorkTrials, on_event: OnEvent = ignore) -> Evaluated | ComparedPolicies:
    """Tries what is left of a run. A trial that another process runs is left to it; one that it lost is taken over.

    >>> from roboscale import Evaluate, WorkTrials, evaluate, work_trials
    >>> done = evaluate(Evaluate(policy="constant", tasks="reach-v3", trials=2, store="trials"))
    >>> work_trials(WorkTrials(store="trials")).success.n
    2

    Raises:
        BadData: there is no such store or run.
        RoboscaleError: the run was made from Python, with objects that no text can name.
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
    own: dict[str, Any] = {} if request.record is None else {"record": request.record}
    asked = run_request(run, store=request.store, workers=request.workers, again=False, **own)
    if isinstance(asked, Compare):
        return compare(asked, on_event=on_event)
    assert isinstance(asked, Evaluate), "a run is one of both"
    return evaluate(asked, on_event)


def how_to_work_beside(run: Run | None, store: str, record: Path) -> str:
    """What takes part in a run whose dataset `record` another process has open; `None` is for a run of its own."""
    if run is None:
        return "this is another run, which needs another --record"
    numbers = itertools.count(2)
    own = next(p for p in (record.with_name(f"{record.name}-{n}") for n in numbers) if not p.exists())
    if run.command is None:
        return f"record={str(own)!r} keeps what this process tries"
    return f"`{WorkTrials(store=store, run=run.id[:8], record=own).command}` takes part, with a dataset of its own"
