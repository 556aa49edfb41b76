"""Makes a dataset whole: after a kill, where metadata lies, or where episodes should be cut or left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from roboscale.core import RoboscaleError
from roboscale.core.plain import OMITTED, SPREAD, Plain, called
from roboscale.jobs import options
from roboscale.jobs.events import OnEvent, ignore
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.dataset.fix.repair import RepairReport

__all__ = ["FixDataset", "Fixed", "Mended", "Recovered", "Undone", "fix_dataset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FixDataset(Request):
    """Asks for a dataset without what is wrong with it.

    Args:
        out: a repaired copy, to which all the options but the last three belong; the original is only read then.
        metadata: correct metadata and statistics in place.
        undo: put back what the last such correction replaced.
    """

    words: ClassVar[tuple[str, ...]] = ("data", "fix")

    dataset: Annotated[Path, Argument("A dataset, e.g. one whose recording was killed.")]
    out: Annotated[Path | None, Argument("A new dataset; without it, metadata is mended in place.")] = None
    trim_idle: Annotated[bool, Option("Cut idle ends. Needs OUT.")] = False
    drop: Annotated[str, Option("Episodes to leave out: positions or ids, with commas. Needs OUT.")] = ""
    drop_camera: Annotated[tuple[str, ...], Option("A camera to leave out; may repeat. Needs OUT.")] = ()
    drop_broken: Annotated[bool, Option("Leave out the unreadable. Needs OUT.")] = False
    curation: Annotated[bool, Option("Apply the labels of `data show`. Needs OUT.")] = False
    selection: Annotated[Path | None, Option("Copy what this file of `data curate` keeps. Needs OUT.")] = None
    metadata: Annotated[bool, Option("Correct metadata and statistics in place.")] = False
    undo: Annotated[bool, Option("Put back what the last --metadata replaced.")] = False
    workers: options.DataWorkers = None

    def check(self) -> None:
        copied = (self.trim_idle, self.drop, self.drop_camera, self.drop_broken, self.curation, self.selection)
        if self.out is None and any(copied):
            raise RoboscaleError("OUT is missing: the original is never changed by these options")
        if self.out is not None and (self.metadata or self.undo):
            raise RoboscaleError("--metadata and --undo change a dataset in place; a copy in OUT is mended anyway")

    @property
    def drops(self) -> tuple[str, ...]:
        """`drop`, one by one."""
        return tuple(text.strip() for text in self.drop.split(",") if text.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed(Plain):
    """A repaired copy.

    Args:
        metadata: corrections of the metadata.
        dropped: episode -> why it is not in the new dataset.
        trimmed: episode -> (first, last) frame that was kept.
        joined: episode -> of how many pieces it is made, where a selection leaves out what rests between them.
        relabelled: texts and outcomes that people had corrected.
        lost: what the copy does not hold -> why.
    """

    out: Path
    episodes: int
    frames: int
    metadata: tuple[str, ...]
    dropped: Mapping[str, str] = field(default_factory=dict)
    trimmed: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    joined: Mapping[str, int] = field(default_factory=dict)
    relabelled: int = 0
    lost: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mended(Plain):
    """Metadata that was, or with `dry_run` would be, corrected: `changes`, `lost`, how many `kept`, and `files`."""

    plan: Mapping[str, Any] = field(metadata=SPREAD)
    dry_run: bool = field(metadata=OMITTED)


@dataclass(frozen=True, slots=True)
class Undone(Plain):
    """Files that were, or with `dry_run` would be, put back as they were before a correction."""

    files: tuple[str, ...] = field(metadata=called("restored"))
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Recovered(Plain):
    """What a killed recorder left, finished or moved aside."""

    report: RepairReport = field(metadata=SPREAD)


def fix_dataset(
    request: FixDataset, on_event: OnEvent = ignore, *, dry_run: bool = False
) -> Fixed | Mended | Undone | Recovered:
    """Writes a repaired copy, or mends in place: metadata, the last correction of it, or what a kill left.

    >>> done = fix_dataset(FixDataset(dataset=Path("recorded"), out=Path("clean"), drop="0", workers=0))
    >>> done.episodes, done.dropped
    (2, {'episode_000000': 'named by --drop'})

    Args:
        dry_run: say what would be mended, and change nothing.

    Raises:
        BadData: nothing can be verified, an episode that is to be dropped is not there, or there is nothing to undo.
        InfrastructureError: a writer has the dataset open.
    """
    from roboscale.dataset.fix.plan import plan_mending
    from roboscale.dataset.fix.repair import repair
    from roboscale.dataset.fix.undo import mend_in_place, undo
    from roboscale.jobs.fixing import fix_copy, plan_copy
    from roboscale.jobs.recordings import apart, require_ours

    require_ours(request.dataset)
    if request.out is not None:
        apart(request.dataset, request.out)
        if dry_run:
            return Mended(plan_copy(request).to_json(), dry_run)
        return fix_copy(request, request.out, on_event)
    if request.undo:
        return Undone(tuple(undo(request.dataset, dry_run=dry_run)), dry_run)
    if request.metadata:
        mending = plan_mending(request.dataset, in_place=True) if dry_run else mend_in_place(request.dataset)
        return Mended(mending.to_json(), dry_run)
    return Recovered(repair(request.dataset, dry_run=dry_run))
