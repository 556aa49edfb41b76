"""Recomputes what a dataset, or a recording of any format that is read, claims."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from roboscale.core import Recording, RoboscaleError
from roboscale.core.plain import OMITTED, SPREAD, Plain
from roboscale.jobs import options
from roboscale.jobs.events import Note, OnEvent, Wrote, ignore, progressing
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.dataset.audit import AuditReport

__all__ = ["AuditDataset", "AuditedDataset", "audit_dataset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditDataset(Request):
    """Asks what is wrong with a dataset.

    Args:
        against: datasets whose episodes must not be in this one.
        role: what fields are for where that is inferred wrongly, as `FIELD=KIND`.
        for_policy: a class of LeRobot's policies; what it would trip over is said as well.
        fail_on: how bad a finding must be for `AuditedDataset.failed`.
    """

    words: ClassVar[tuple[str, ...]] = ("data", "audit")

    dataset: Annotated[Path, Argument("A dataset, or a recording of any format that is read.")]
    against: Annotated[tuple[Path, ...], Option("Dataset whose episodes must not be here.")] = ()
    html: Annotated[Path | None, Option("Write the findings as one offline page.")] = None
    fail_on: Annotated[
        Literal["error", "warning", "info"], Option("Exit code 2 on findings as bad as: error, warning, info.")
    ] = "error"
    images: Annotated[bool, Option("Decode some pictures of every episode.")] = True
    role: Annotated[
        tuple[str, ...], Option("FIELD=KIND, where a name misleads: action, state, gripper, pose, velocity, ...")
    ] = ()
    for_policy: Annotated[
        Literal["act", "diffusion", "smolvla", "pi0"] | None,
        Option("A policy class to be trained: act, diffusion, smolvla or pi0.", flag="--for"),
    ] = None
    declare: options.Declare = None
    fps: options.Fps = None
    mapping: options.Mapping = None
    data_path: options.DataPath = None
    video_path: options.VideoPath = None
    engine: options.DataEngine = "processes"
    workers: options.DataWorkers = None


@dataclass(frozen=True, slots=True)
class AuditedDataset(Plain):
    """What was found, and whether any of it is as bad as the request allows."""

    report: AuditReport = field(metadata=SPREAD)
    failed: bool = field(metadata=OMITTED)


def audit_dataset(request: AuditDataset, on_event: OnEvent = ignore) -> AuditedDataset:
    """Audits a dataset, or a recording of any format that is read. What is broken is reported, not raised.

    >>> done = audit_dataset(AuditDataset(dataset=Path("recorded"), workers=0))
    >>> done.report.count("error"), done.failed
    (0, False)
    """
    from roboscale.dataset.audit import audit, audit_folder
    from roboscale.dataset.engine import run
    from roboscale.dataset.lerobot import open_lerobot
    from roboscale.jobs.locating import located
    from roboscale.jobs.recordings import given_options, open_source
    from roboscale.sources.records import detect
    from roboscale.sources.records.lerobot import FORMATS

    def spread(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterable[Any]:
        return run(function, list(items), workers=request.workers, engine=request.engine, try_here=True)

    source = located(request.dataset, on_event)
    about: dict[str, Any] = {
        "against": [open_source(path).recording for path in request.against],
        "images": request.images,
        "roles": request.role,
        "policy": request.for_policy or "",
        "progress": progressing(on_event, "episodes"),
        "run": spread,
    }
    templates = given_options(data_path=request.data_path, video_path=request.video_path)
    if request.declare is None and source.exists() and detect(source) in FORMATS:
        opener: Callable[[], Recording] = partial(open_lerobot, source, lenient=True, **templates)
        report = audit_folder(source, opener=opener, templates=templates, **about)
    else:
        given = given_options(fps=request.fps, mapping=request.mapping, **templates)
        opened = open_source(source, "", request.declare, given, on_event)
        opener = opened.open
        report = audit(opened.recording, opener=opener, **about)
    if request.html is not None:
        _write_page(request.html, report, opener, request.command, on_event)
    return AuditedDataset(report, report.fails(request.fail_on))


def _write_page(
    page: Path, report: AuditReport, opener: Callable[[], Recording], command: str, on_event: OnEvent
) -> None:
    """The report as one offline HTML page, with film strips where pictures are concerned."""
    from roboscale.dataset.audit import film_strips
    from roboscale.jobs.files import write_text
    from roboscale.jobs.versions import versions
    from roboscale.report.audit import audit_page

    try:
        strips = film_strips(opener(), report)
    except RoboscaleError as error:
        strips = {}  # the findings say why it cannot be opened
        on_event(Note(f"the page has no film strips: {error}"))
    write_text(page, audit_page(report, strips, command=command, versions=versions()))
    on_event(Wrote("page", page))
