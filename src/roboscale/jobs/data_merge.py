"""Several datasets become one: the same robot in one dataset, different robots in a collection or padded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from roboscale.core import RoboscaleError
from roboscale.core.plain import Plain
from roboscale.jobs import options
from roboscale.jobs.events import Note, OnEvent, counting, ignore
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.jobs.recordings import Opened

__all__ = ["MergeDatasets", "Merged", "merge_datasets", "plan_merge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeDatasets(Request):
    """Asks for several datasets as one.

    Args:
        members: folders of datasets, or recordings of any format that is read.
        declare: the user's word on what the arrays of all members mean.
        same: the user's word that what no member declares means the same in all.
        flatten: pad robots that differ into one dataset instead of keeping a collection.
        selection: what of members is taken; each file finds its member by the episodes that it names.
        drop: fields and cameras that the merged dataset does not have.
        resize: `HEIGHTxWIDTH` of all pictures, where they differ.
    """

    words: ClassVar[tuple[str, ...]] = ("data", "merge")

    members: Annotated[tuple[Path, ...], Argument("Datasets, collections, or recordings of any format that is read.")]
    out: Annotated[Path, Argument("A new folder, the last word.")]
    declare: options.Declare = None
    same: Annotated[bool, Option("What no member declares means the same in all of them: your word.")] = False
    flatten: Annotated[bool, Option("Pad robots that differ into one dataset.")] = False
    selection: Annotated[
        tuple[Path, ...],
        Option("File of `data curate`: what of its member is taken; may repeat."),
    ] = ()
    drop: Annotated[tuple[str, ...], Option("A field or camera to leave out of all members; may repeat.")] = ()
    resize: Annotated[str, Option("HEIGHTxWIDTH of all pictures, where they differ; they are encoded again.")] = ""
    engine: options.DataEngine = "processes"
    workers: options.DataWorkers = None

    def check(self) -> None:
        height, _, width = self.resize.partition("x")
        if self.resize and not (height.isdecimal() and width.isdecimal()):
            raise RoboscaleError(f"--resize: expected HEIGHTxWIDTH such as 240x320, found {self.resize!r}")

    @property
    def size(self) -> tuple[int, int] | None:
        """`resize` as (height, width)."""
        height, _, width = self.resize.partition("x")
        return (int(height), int(width)) if self.resize else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged(Plain):
    """What a merge makes; `kind` is decided by the robots, not by the user.

    Args:
        members: name -> episodes.
        robots: their types.
        lost: what the merged dataset will not hold -> why.
        made_alike: one sentence for each thing that a member does not bring as it is, or that is taken for granted.
    """

    kind: Literal["dataset", "collection", "flattened"]
    out: Path
    members: Mapping[str, int]
    robots: tuple[str, ...]
    lost: Mapping[str, str] = field(default_factory=dict)
    made_alike: tuple[str, ...] = ()

    json_also: ClassVar = ("episodes",)

    @property
    def episodes(self) -> int:
        return sum(self.members.values())


def plan_merge(request: MergeDatasets, on_event: OnEvent = ignore) -> Merged:
    """What a merge would make. Errors are those of `merge_datasets`."""
    return _plan(request, on_event)[0]


def merge_datasets(request: MergeDatasets, on_event: OnEvent = ignore) -> Merged:
    """Merges, or goes on with a killed merge.

    >>> done = merge_datasets(MergeDatasets(members=(Path("recorded"), Path("more")), out=Path("both"), same=True))
    >>> done.kind, done.members
    ('dataset', {'recorded': 3, 'more': 3})

    Raises:
        SpecMismatch: the members do not align, or do not say; with a table of what and who.
        BadData: a member is broken, or `out` holds something else or lies within a member.
    """
    from roboscale.dataset.collection import NewMember, write_collection
    from roboscale.dataset.transfer import transfer
    from roboscale.jobs.losses import common_extras
    from roboscale.jobs.merging import aligned_parts, carry_driving, flattened_parts, write_embodiments
    from roboscale.jobs.selecting import selections_of

    planned, opened = _plan(request, on_event)
    if planned.kind == "collection":
        members = [
            NewMember(
                root=one.recording.root,
                robot_type=one.recording.robot_type,
                licence=one.recording.licence,
                spec=one.recording.spec,
            )
            for one in opened.values()
        ]
        write_collection(request.out, members, absolute=_outside(request))
        return planned
    one_robot = planned.kind == "dataset"
    chosen = selections_of(request.selection, opened)
    parts, spec = aligned_parts(opened, chosen) if one_robot else flattened_parts(opened, request.size, chosen)
    transfer(
        parts,
        request.out,
        spec,
        robot_type=planned.robots[0] if one_robot else "+".join(sorted(planned.robots)),
        extras=common_extras({name: one.recording for name, one in opened.items()}),
        workers=request.workers,
        engine=request.engine,
        progress=counting(on_event, "episodes", sum(len(part.keys) for part in parts)),
        command=request.command_anywhere,
    )
    carry_driving(request.out, {name: one.recording for name, one in opened.items()}, on_event)
    if planned.kind == "flattened":
        write_embodiments(request.out, {name: one.recording for name, one in opened.items()})
    return planned


def _plan(request: MergeDatasets, on_event: OnEvent) -> tuple[Merged, dict[str, Opened]]:
    """What the merge makes, and its members opened."""
    from roboscale.dataset import Dataset
    from roboscale.jobs.losses import common_extras, lost_by_merging, tell_lost
    from roboscale.jobs.merging import (
        lost_of_driving,
        made_alike,
        open_members,
        require_aligned,
        require_apart,
        require_declared,
        require_whole,
    )
    from roboscale.jobs.recordings import apart
    from roboscale.jobs.selecting import selected_frames, selections_of

    for member in request.members:
        apart(member, request.out)
    opened = open_members(request.members, request.declare, on_event)
    robots = tuple(dict.fromkeys(one.recording.robot_type for one in opened.values()))
    kind: Literal["dataset", "collection", "flattened"] = "dataset"
    if len(robots) > 1:
        kind = "flattened" if request.flatten else "collection"
        _require_copied(request, kind)
    if not request.selection:  # which may leave out what members share
        require_apart(opened)
    told: tuple[str, ...] = ()
    if kind != "collection":  # which points at its members, as they are
        opened, told = made_alike(opened, request.drop, request.size if kind == "dataset" else None)
    recordings = {name: one.recording for name, one in opened.items()}
    require_whole(recordings)
    extras = common_extras(recordings)
    lost = {f"{name}: {k}": why for name, one in recordings.items() for k, why in lost_by_merging(one, extras).items()}
    if kind != "collection":
        lost |= lost_of_driving(recordings)
    tell_lost(lost, on_event)
    if kind == "dataset":
        require_aligned(recordings, same=request.same)
        if request.same:
            told += ("what no member declares is taken to mean the same in all of them (--same)",)
    else:
        require_declared(recordings)
    for line in told:
        on_event(Note(line))
    members = {name: len(one.keys) for name, one in recordings.items()}
    for name, file in selections_of(request.selection, opened).items():
        _, left = selected_frames(file, Dataset(recordings[name].root), recordings[name].keys)
        members[name] -= len(left)
        on_event(Note(f"{name}: {file} takes {members[name]} of {len(recordings[name].keys)} episodes"))
    merged = Merged(kind=kind, out=request.out, members=members, robots=robots, lost=lost, made_alike=told)
    return merged, opened


def _require_copied(request: MergeDatasets, kind: str) -> None:
    """Raises where a collection, which points at its members, is asked for what only a copy can be."""
    from roboscale.sources.addresses import address_of, is_archive

    if kind != "collection":
        return
    asked = {"--selection": request.selection, "--drop": request.drop, "--resize": request.resize}
    for flag in (flag for flag, value in asked.items() if value):
        raise RoboscaleError(f"{flag}: a collection points at whole datasets; merge one robot, or --flatten")
    for member in request.members:
        if address_of(member) or is_archive(member):
            raise RoboscaleError(f"{member}: a collection points at folders; import it first, or --flatten")


def _outside(request: MergeDatasets) -> bool:
    """Members that do not lie beside the collection are named by absolute path: the user wrote them that way."""
    parent = request.out.absolute().parent
    return any(not member.absolute().is_relative_to(parent) for member in request.members)
