"""An index of what was run: newest first, searchable, with the state of each."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from roboscale.core import BadData, Identity, RoboscaleError, identity_labels
from roboscale.core.plain import Plain, called
from roboscale.jobs.events import Note, OnEvent, Wrote, ignore
from roboscale.jobs.options import Html
from roboscale.jobs.request import Argument, Request

if TYPE_CHECKING:
    from roboscale.report.runs import RunRow

__all__ = ["ListRuns", "ListedRuns", "list_runs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRuns(Request):
    """Asks for the index of a folder of runs."""

    words: ClassVar[tuple[str, ...]] = ("runs",)

    folder: Annotated[Path, Argument("Folder whose subfolders hold trials.")] = Path("runs")
    html: Html = None


@dataclass(frozen=True, slots=True)
class ListedRuns(Plain):
    """The runs of a folder, newest first."""

    rows: tuple[RunRow, ...] = field(metadata=called("runs"))

    @property
    def text(self) -> str:
        """For a terminal."""
        from roboscale.report.runs import runs_text

        return runs_text(self.rows)


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
    from roboscale.jobs.files import write_json, write_text
    from roboscale.jobs.versions import versions
    from roboscale.report.runs import RUNS_FILE, runs_page, runs_state

    if not request.folder.is_dir():
        raise BadData(request.folder, "folder", "a folder of runs", "nothing")
    told: list[_Found] = []
    notes: list[str] = []
    for store in sorted(request.folder.rglob("*.db")):
        if "roboscale" in store.parts[-2:-1]:
            continue  # a dataset's own attempts
        try:
            told += _rows(store, request.folder)
        except RoboscaleError as error:
            notes.append(f"left out: {error}")
            on_event(Note(notes[-1]))
    if not told:
        raise BadData(request.folder, "runs", "at least one run", "none")
    rows = sorted(_told_apart(told), key=lambda row: -row.started_ns)
    if request.html is not None:
        created = datetime.date.today().isoformat()
        page = runs_page(
            rows,
            title=str(request.folder),
            command=request.command,
            notes=tuple(notes),
            created=created,
            versions=dict(versions()),
        )
        write_text(request.html, page)
        write_json(request.html.with_name(RUNS_FILE), runs_state(rows))
        on_event(Wrote("page", request.html))
    return ListedRuns(tuple(rows))


@dataclass(frozen=True, slots=True)
class _Found:
    """A row, and what its names stand for."""

    row: RunRow
    world: Identity
    policies: tuple[Identity, ...]


def _told_apart(found: list[_Found]) -> list[RunRow]:
    """The rows; a name that stands for different things in different runs gets their digests."""
    worlds = identity_labels(one.world for one in found)
    policies = identity_labels(policy for one in found for policy in one.policies)
    return [
        replace(
            one.row,
            world=worlds[one.world],
            policies=tuple(
                replace(shown, name=policies[policy])
                for shown, policy in zip(one.row.policies, one.policies, strict=True)
            ),
        )
        for one in found
    ]


def _rows(store: Path, folder: Path) -> list[_Found]:
    """One row for every run of a store."""
    from roboscale.jobs.judged import judged_run
    from roboscale.jobs.result_files import never_acted
    from roboscale.jobs.studies import is_blind
    from roboscale.report.runs import RunPolicy, RunRow
    from roboscale.trials.log import open_log
    from roboscale.trials.log.address import DEFAULT_NAME

    rows = []
    page = store.parent / "report.html"
    place = store.parent if store.name == DEFAULT_NAME else store
    with open_log(store, read_only=True) as log:
        running = any(lease.left_s > 0 for lease in log.leases())
        runs = log.runs()
        for run in runs:
            judged = judged_run(log, run, runs=runs)
            decided, blind = judged.decided, is_blind(run)
            shown = {} if blind else judged.labels
            policies = tuple(
                RunPolicy(
                    name=label,
                    rate=judged.rate(judged.of(policy)),
                    never_acted=never_acted(judged.of(policy)),
                    unverified=policy.unverified,
                )
                for policy, label in shown.items()
            )
            fixed = run.design is None or not run.design.sequential
            row = RunRow(
                id=run.id,
                started_ns=run.created_ns,
                state="finished" if run.finished_ns is not None else "running" if running else "unfinished",
                world=run.world.name,
                unverified=run.world.unverified,
                policies=policies,
                command=run.command,
                verdict="a study that is blind" if blind else "" if decided is None else decided.verdict.sentence,
                done=sum(not c.pending for c in judged.counted),
                of=len(run.cases) * len(run.policies) if fixed else None,
                store=place.relative_to(folder).as_posix(),
                report=page.relative_to(folder).as_posix() if page.is_file() else "",
            )
            rows.append(_Found(row, run.world, tuple(shown)))
    return rows
