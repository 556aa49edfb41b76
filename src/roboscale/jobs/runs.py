"""An index of what was run: newest first, searchable, with the state of each."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from roboscale.core import BadData, RoboscaleError
from roboscale.jobs.events import Note, OnEvent, Wrote, ignore
from roboscale.jobs.options import Html
from roboscale.jobs.request import Argument, Request

if TYPE_CHECKING:
    from roboscale.report import RunRow

__all__ = ["ListRuns", "ListedRuns", "list_runs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRuns(Request):
    """Asks for the index of a folder of runs."""

    words: ClassVar[tuple[str, ...]] = ("runs",)

    folder: Annotated[Path, Argument("Folder whose subfolders hold trials.")] = Path("runs")
    html: Html = None


@dataclass(frozen=True, slots=True)
class ListedRuns:
    """The runs of a folder, newest first."""

    rows: tuple[RunRow, ...]

    @property
    def text(self) -> str:
        """For a terminal."""
        from roboscale.report.runs import runs_text

        return runs_text(self.rows)

    def to_json(self) -> dict[str, Any]:
        return {"runs": [asdict(row) for row in self.rows]}


def list_runs(request: ListRuns, on_event: OnEvent = ignore) -> ListedRuns:
    """Every run below a folder: when, what, with which rates and verdict, and how far it is.

    >>> from pathlib import Path
    >>> from roboscale import Evaluate, ListRuns, evaluate, list_runs
    >>> done = evaluate(Evaluate(policy="constant", tasks="reach-v3", trials=2, store="runs/first"))
    >>> len(list_runs(ListRuns(folder=Path("runs"))).rows)
    1

    Raises:
        BadData: no such folder, or no run in it.
    """
    from roboscale.jobs.files import write_text
    from roboscale.report.runs import runs_page

    if not request.folder.is_dir():
        raise BadData(request.folder, "folder", "a folder of runs", "nothing")
    rows: list[RunRow] = []
    for store in sorted(request.folder.rglob("*.db")):
        if "roboscale" in store.parts[-2:-1]:
            continue  # a dataset's own attempts
        try:
            rows += _rows(store)
        except RoboscaleError as error:
            on_event(Note(f"left out: {error}"))
    if not rows:
        raise BadData(request.folder, "runs", "at least one run", "none")
    rows.sort(key=lambda row: -row.created_ns)
    if request.html is not None:
        write_text(request.html, runs_page(rows, command=request.command))
        on_event(Wrote("page", request.html))
    return ListedRuns(tuple(rows))


def _rows(store: Path) -> list[RunRow]:
    """One row for every run of a store."""
    from roboscale.jobs.judged import judged_run
    from roboscale.jobs.report_data import policy_results
    from roboscale.report import RunRow
    from roboscale.trials.log import open_log

    rows = []
    page = store.parent / "report.html"
    with open_log(store, read_only=True) as log:
        running = bool([lease for lease in log.leases() if lease.left_s > 0])
        for run in log.runs():
            judged = judged_run(log, run)
            verdict = None if judged.decided is None else judged.decided.verdict.sentence
            state = "finished" if run.finished_ns is not None else "running" if running else "unfinished"
            rows.append(
                RunRow(
                    id=run.id,
                    created_ns=run.created_ns,
                    command=run.command,
                    world=str(run.world),
                    policies=policy_results(judged),
                    verdict=verdict,
                    state=state,
                    done=sum(not c.pending for c in judged.counted),
                    total=len(run.cases) * len(run.policies),
                    report=str(page) if page.is_file() else None,
                    seen_ns=time.time_ns(),
                )
            )
    return rows
