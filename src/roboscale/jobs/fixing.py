"""Repairs that change what a dataset holds: always into a new one. The original is only read."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from roboscale.core import BadData, Recording, extras_of, splits_of
from roboscale.core.episode import Status
from roboscale.curate.log import LOG, CurationLog
from roboscale.dataset import Dataset
from roboscale.dataset.audit.evidence import Options, examine_episode
from roboscale.dataset.edits import Corrections, Kept
from roboscale.dataset.fix.mending import Mending
from roboscale.dataset.fix.plan import plan_mending
from roboscale.dataset.fix.undo import mend_into
from roboscale.dataset.journal import exclusive
from roboscale.dataset.layout import Layout
from roboscale.dataset.lerobot.catalog import load_catalog
from roboscale.dataset.transfer import Part, Transfer, transfer
from roboscale.jobs.data_fix import FixDataset, Fixed
from roboscale.jobs.events import Note, OnEvent, counting
from roboscale.jobs.losses import lost_by_reading, tell_lost
from roboscale.jobs.recordings import Opened, identity, open_source
from roboscale.jobs.selecting import selected_frames

__all__ = ["fix_copy", "plan_copy"]

_ID_LENGTH = 32  # digits of an episode id; a shorter number is a position


def plan_copy(request: FixDataset) -> Mending:
    """What is wrong with the metadata, which the copy will not have. BadData when nothing can be verified."""
    positions = [int(text) for text in request.drops if text.isdecimal() and len(text) < _ID_LENGTH]
    return plan_mending(
        request.dataset,
        without=positions,
        without_cameras=request.drop_camera,
        broken="drop" if request.drop_broken else "end",
    )


def fix_copy(request: FixDataset, out: Path, on_event: OnEvent) -> Fixed:
    """Writes a repaired copy to `out`. The same call goes on after a kill.

    Raises:
        BadData: nothing can be verified, or an episode that is to be dropped is not there.
    """
    mending = plan_copy(request)
    if not mending.files and Layout(request.dataset).own.is_dir():  # else a view, for its reader keeps other ids
        return _repair(request, out, mending, request.dataset, on_event)
    base = out.absolute().with_name(f".{out.name}.view")
    with exclusive(Layout(base)):  # two repairs into one folder must not take each other's view away
        view = base / request.dataset.absolute().name  # ids of other people's episodes follow from the folder's name
        shutil.rmtree(view, ignore_errors=True)
        try:
            return _repair(request, out, mending, mend_into(mending, view), on_event)
        finally:
            shutil.rmtree(base, ignore_errors=True)


def _repair(request: FixDataset, out: Path, mending: Mending, root: Path, on_event: OnEvent) -> Fixed:
    opened = open_source(root, "lerobot-v3")
    unread = lost_by_reading(opened.recording)
    unread = {**unread, **dict.fromkeys(request.drop_camera, "a camera that --drop-camera leaves out")}
    tell_lost(unread, on_event)
    recording, ids = opened.recording, {e.id: e.index for e in load_catalog(root).episodes}
    unsealed = range(mending.claimed, mending.claimed + len(recording.keys) - len(mending.kept))
    numbers = dict(zip((*mending.kept, *unsealed), recording.keys, strict=True))
    names = {key: f"episode_{number:06d}" for number, key in numbers.items()}
    dropped = _dropped(request, mending, numbers, {id_: recording.keys[index] for id_, index in ids.items()})
    corrections = _said(request, recording, ids, dropped, on_event)
    if request.selection is not None:
        cut, left = selected_frames(request.selection, Dataset(root), recording.keys)
        corrections = replace(corrections, frames=cut.frames, pieces=cut.pieces)
        dropped = {**left, **dropped}
    keys = tuple(key for key in recording.keys if key not in dropped)
    if not keys:
        raise BadData(request.dataset, "episodes", "at least one to keep", f"all {len(dropped)} dropped")
    if request.trim_idle:
        corrections = replace(corrections, frames=_busy(recording, keys))
    done = _write(request, out, opened, keys, corrections, on_event)
    dropped |= {entry.key: entry.reason for entry in done.dropped}
    lost = sorted({*range(mending.claimed)} - {*mending.kept})
    return Fixed(
        out=out,
        episodes=len(done.episodes),
        frames=done.frames,
        metadata=tuple(mending.changes),
        dropped={f"episode_{number:06d}": "it cannot be verified" for number in lost}
        | {names[key]: reason for key, reason in dropped.items()},
        trimmed={names[key]: (kept.first, kept.last) for key, kept in corrections.frames.items()},
        joined={names[key]: len(some) for key, some in corrections.pieces.items()},
        relabelled=len(corrections.tasks) + len(corrections.outcomes),
        lost=unread,
    )


def _write(
    request: FixDataset,
    out: Path,
    opened: Opened,
    keys: tuple[str, ...],
    corrections: Corrections,
    on_event: OnEvent,
) -> Transfer:
    changes = corrections.frames or corrections.pieces or corrections.tasks or corrections.outcomes
    name = request.dataset.absolute().name
    return transfer(
        [
            Part(
                name=name,
                open=opened.open,
                keys=keys,
                edit=corrections if changes else None,
                identity=identity(request.dataset),
            )
        ],
        out,
        opened.recording.spec,
        robot_type=opened.recording.robot_type,
        broken="drop" if request.drop_broken else "fail",
        splits=splits_of(opened.recording),
        extras=extras_of(opened.recording),
        workers=request.workers,
        progress=counting(on_event, "episodes", len(keys)),
        command=request.command_anywhere,
    )


def _dropped(
    request: FixDataset, mending: Mending, numbers: Mapping[int, str], by_id: Mapping[str, str]
) -> dict[str, str]:
    """Keys of the episodes that the user names; those that could not be verified are left out already."""
    chosen = {}
    last = max([mending.claimed - 1, *numbers])
    for text in request.drops:
        if text in by_id:
            chosen[by_id[text]] = "named by --drop"
        elif not text.isdecimal() or len(text) >= _ID_LENGTH or int(text) > last:
            raise BadData(request.dataset, "--drop", f"an id, or 0 to {last}", text)
        elif int(text) in numbers:
            chosen[numbers[int(text)]] = "named by --drop"
    return chosen


def _said(
    request: FixDataset, recording: Recording, ids: Mapping[str, int], dropped: dict[str, str], on_event: OnEvent
) -> Corrections:
    """Adds the drops of the curation log to `dropped` and returns its other words."""
    if not request.curation:
        return Corrections()
    tasks: dict[str, str] = {}
    outcomes: dict[str, Status] = {}
    labels = CurationLog(request.dataset / LOG).state()
    gone = [id_ for id_ in labels if id_ not in ids]
    if gone:
        on_event(Note(f"labels of {len(gone)} episodes are not applied: the dataset no longer has these episodes"))
    for id_, label in labels.items():
        if id_ not in ids:
            continue
        key = recording.keys[ids[id_]]
        if label.decision == "drop":
            dropped[key] = f"dropped by {label.author or 'a person'}"
        if label.task is not None:
            tasks[key] = label.task
        if label.outcome is not None:
            outcomes[key] = label.outcome
    return Corrections({}, tasks, outcomes)


def _busy(recording: Recording, keys: Sequence[str]) -> dict[str, Kept]:
    """Episodes that stand still for a second or more at an end -> the frames between."""
    busy = {}
    for position, key in enumerate(keys):
        evidence = examine_episode(recording, (position, key), Options(images=False))
        lead, tail = evidence.idle
        limit = int(np.ceil(recording.spec.rate_hz))
        # Half a second stays: a policy has to see the start and the end.
        margin = limit // 2
        first = lead - margin if lead >= limit else 0
        last = evidence.length - 1 - (tail - margin if tail >= limit else 0)
        if (first, last) != (0, evidence.length - 1):
            busy[key] = Kept(first, last)
    return busy
