"""Writes one self-contained page from a store of trials. Nothing is run; films are replays that are compared."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from roboscale.core import RoboscaleError
from roboscale.jobs.events import Note, OnEvent, Wrote, ignore
from roboscale.jobs.request import Option, Request
from roboscale.jobs.stores import RunId, Store, folder_of

if TYPE_CHECKING:
    from roboscale.jobs.judged import Judged
    from roboscale.report import FilmedCase, ReportData
    from roboscale.trials.log import TrialLog

__all__ = ["WriteReport", "write_report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteReport(Request):
    """Asks for the page of a run."""

    words: ClassVar[tuple[str, ...]] = ("report",)

    store: Store
    out: Annotated[Path | None, Option("The page; by default report.html beside the trials.", flag="--out/-o")] = None
    run: RunId = ""
    videos: Annotated[int, Option("Cases per task to film.", min=0)] = 4
    recorded: Annotated[Path | None, Option("Dataset of `--record`, whose episodes are the films.")] = None
    dataset: Annotated[tuple[Path, ...], Option("A dataset to describe; may repeat.")] = ()
    training: Annotated[tuple[Path, ...], Option("A checkpoint whose training to show; may repeat.")] = ()

    @property
    def page(self) -> Path:
        """Where the page is written. RoboscaleError when nothing says where."""
        folder = folder_of(self.store)
        if self.out is None and folder is None:
            raise RoboscaleError("--out: a page needs a place when the trials are in a database elsewhere")
        return self.out or (folder or Path()) / "report.html"


def write_report(request: WriteReport, on_event: OnEvent = ignore) -> ReportData:
    """One HTML page: verdict, rates, films, evidence, measures, data, versions, and every doubt.

    >>> from pathlib import Path
    >>> from roboscale import Evaluate, WriteReport, evaluate, write_report
    >>> done = evaluate(Evaluate(policy="constant", tasks="reach-v3", trials=2, store="trials"))
    >>> data = write_report(WriteReport(store="trials", videos=0))
    >>> Path("trials/report.html").is_file()
    True

    Raises:
        BadData: there is no such store or run.
        RoboscaleError: the run is of a study that is blind.
    """
    from roboscale.jobs.files import write_text
    from roboscale.jobs.films import film_clusters
    from roboscale.jobs.imagined_replays import imagined_replays
    from roboscale.jobs.judged import choose_run, judged_run, other_runs
    from roboscale.jobs.report_data import dataset_summary, report_data, training_curve
    from roboscale.jobs.studies import require_unblinded, study_lines
    from roboscale.jobs.worse_pictures import worse_pictures
    from roboscale.report.trials import report_page
    from roboscale.trials.log import open_log

    notes: list[str] = []
    page = request.page
    with open_log(request.store, read_only=True) as log:
        run = choose_run(log, request.run)
        require_unblinded(run)
        judged = judged_run(log, run)
        notes += other_runs(log, run, request.run)
        films = _films(request, log, judged, notes)
        gathered = film_clusters(judged, log) if request.videos else {}
    notes += study_lines(run)
    strips, unseen = worse_pictures(judged) if request.videos else ((), "")
    replays, unplayed = imagined_replays(judged) if request.videos else (None, "")
    notes += [line for line in (unseen, unplayed) if line]
    for note in notes:
        on_event(Note(note))
    data = report_data(
        judged,
        title=" against ".join(judged.labels.values()),
        created=datetime.date.today().isoformat(),
        store=request.store,
        command=judged.run.command,
        films=films,
        datasets=[dataset_summary(path) for path in request.dataset],
        training=[training_curve(path, path.name) for path in request.training],
        worse_pictures=strips,
        gathered=gathered,
        notes=notes,
    )
    data = replace(data, replays=replays)
    write_text(page, report_page(data))
    on_event(Wrote("page", page))
    return data


def _films(request: WriteReport, log: TrialLog, judged: Judged, notes: list[str]) -> list[FilmedCase]:
    """The films that are asked for; a note says why there are none."""
    from roboscale.jobs.films import film_cases
    from roboscale.jobs.judged import whole

    if not request.videos:
        return []
    try:
        films = film_cases(judged, whole(log, judged.plain), request.videos, request.recorded)
    except RoboscaleError as error:
        notes.append(f"no films: {error}")
        return []
    if not films:
        repeats = judged.run.world_info.get("deterministic")
        why = "shows no pictures" if repeats else "cannot repeat its trials; see --recorded"
        notes.append(f"no films: world {judged.run.world.name} {why}")
    return films
