"""Repairs that change what a dataset holds: always into a new one."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from roboscale.cli.console import count_bar, print_json
from roboscale.cli.importing import Opened, apart, identity, open_source
from roboscale.core import BadData, Recording
from roboscale.core.episode import Status
from roboscale.curate.log import LOG, CurationLog
from roboscale.dataset.audit.evidence import Options, examine_episode
from roboscale.dataset.edits import Corrections, Kept
from roboscale.dataset.engine import Engine
from roboscale.dataset.journal import exclusive
from roboscale.dataset.layout import Layout
from roboscale.dataset.mend import plan_mending
from roboscale.dataset.mending import Mending
from roboscale.dataset.reader import Dataset
from roboscale.dataset.repair import repair
from roboscale.dataset.transfer import Part, Progress, Transfer, transfer
from roboscale.dataset.undo import mend_in_place, mend_into, undo

__all__ = ["Repair", "Repaired", "repair_into", "run_into", "run_metadata", "run_recovery", "run_undo"]

_ID_LENGTH = 32  # digits of an episode id; a shorter number is a position


@dataclass(frozen=True, slots=True)
class Repair:
    """What is to be repaired, and how.

    Args:
        trim_idle: cut beginnings and ends in which nothing moves for a second or more.
        drop: episodes to leave out, by position or id.
        drop_camera: cameras to leave out.
        curation: apply what people said in the page: drops, texts, successes and failures.
        drop_broken: leave out episodes that cannot be read, instead of stopping.
    """

    dataset: Path
    out: Path
    trim_idle: bool = False
    drop: Sequence[str] = ()
    drop_camera: Sequence[str] = ()
    curation: bool = False
    drop_broken: bool = False
    workers: int | None = None
    engine: Engine = "processes"


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did.

    Args:
        metadata: corrections of the metadata.
        dropped: key -> why it is not in the new dataset.
        trimmed: key -> (first, last) frame that was kept.
    """

    out: Path
    episodes: int
    frames: int
    metadata: tuple[str, ...]
    dropped: Mapping[str, str] = field(default_factory=dict)
    trimmed: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    relabelled: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "out": str(self.out),
            "episodes": self.episodes,
            "frames": self.frames,
            "metadata": list(self.metadata),
            "dropped": dict(self.dropped),
            "trimmed": {key: list(kept) for key, kept in self.trimmed.items()},
            "relabelled": self.relabelled,
        }


def repair_into(asked: Repair, progress: Progress | None = None) -> Repaired:
    """Writes a repaired copy; the original is only read. The same call goes on after a kill.

    Raises:
        BadData: nothing can be verified, or an episode that is to be dropped is not there.
    """
    apart(asked.dataset, asked.out)
    mending = _plan(asked)
    if not mending.files and Layout(asked.dataset).own.is_dir():  # else a view, for its reader keeps other ids
        return _repair(asked, mending, asked.dataset, progress)
    base = asked.out.absolute().with_name(f".{asked.out.name}.view")
    with exclusive(Layout(base)):  # two repairs into one folder must not take each other's view away
        view = base / asked.dataset.absolute().name  # ids of other people's episodes follow from the folder's name
        shutil.rmtree(view, ignore_errors=True)
        try:
            return _repair(asked, mending, mend_into(mending, view), progress)
        finally:
            shutil.rmtree(base, ignore_errors=True)


def _plan(asked: Repair) -> Mending:
    positions = [int(text) for text in asked.drop if text.isdecimal() and len(text) < _ID_LENGTH]
    return plan_mending(
        asked.dataset,
        without=positions,
        without_cameras=asked.drop_camera,
        broken="drop" if asked.drop_broken else "end",
    )


def _repair(asked: Repair, mending: Mending, root: Path, progress: Progress | None) -> Repaired:
    opened = open_source(root, "lerobot-v3")
    recording, ids = opened.recording, {e.id: e.index for e in Dataset(root).episodes}
    unsealed = range(mending.claimed, mending.claimed + len(recording.keys) - len(mending.kept))
    numbers = dict(zip((*mending.kept, *unsealed), recording.keys, strict=True))
    names = {key: f"episode_{number:06d}" for number, key in numbers.items()}
    dropped = _dropped(asked, mending, numbers, {id_: recording.keys[index] for id_, index in ids.items()})
    corrections = _said(asked, recording, ids, dropped)
    keys = tuple(key for key in recording.keys if key not in dropped)
    if not keys:
        raise BadData(asked.dataset, "episodes", "at least one to keep", f"all {len(dropped)} dropped")
    if asked.trim_idle:
        corrections = Corrections(_busy(recording, keys), corrections.tasks, corrections.outcomes)
    done = _write(asked, opened, keys, corrections, progress)
    dropped |= {entry.key: entry.reason for entry in done.dropped}
    lost = sorted({*range(mending.claimed)} - {*mending.kept})
    return Repaired(
        asked.out,
        len(done.episodes),
        done.frames,
        tuple(mending.changes),
        {f"episode_{number:06d}": "it cannot be verified" for number in lost}
        | {names[key]: reason for key, reason in dropped.items()},
        {names[key]: (kept.first, kept.last) for key, kept in corrections.frames.items()},
        len(corrections.tasks) + len(corrections.outcomes),
    )


def _write(
    asked: Repair, opened: Opened, keys: tuple[str, ...], corrections: Corrections, progress: Progress | None
) -> Transfer:
    changes = corrections.frames or corrections.tasks or corrections.outcomes
    name = asked.dataset.absolute().name
    return transfer(
        [Part(name, opened.open, keys, corrections if changes else None, identity(asked.dataset))],
        asked.out,
        opened.recording.spec,
        robot_type=opened.recording.robot_type,
        broken="drop" if asked.drop_broken else "fail",
        workers=asked.workers,
        engine=asked.engine,
        progress=progress,
    )


def _dropped(asked: Repair, mending: Mending, numbers: Mapping[int, str], by_id: Mapping[str, str]) -> dict[str, str]:
    """Keys of the episodes that the user names; those that could not be verified are left out already."""
    found = {}
    last = max([mending.claimed - 1, *numbers])
    for text in asked.drop:
        if text in by_id:
            found[by_id[text]] = "named by --drop"
        elif not text.isdecimal() or len(text) >= _ID_LENGTH or int(text) > last:
            raise BadData(asked.dataset, "--drop", f"an id, or 0 to {last}", text)
        elif int(text) in numbers:
            found[numbers[int(text)]] = "named by --drop"
    return found


def _said(asked: Repair, recording: Recording, ids: Mapping[str, int], dropped: dict[str, str]) -> Corrections:
    """Adds the drops of the curation log to `dropped` and returns its other words."""
    if not asked.curation:
        return Corrections()
    tasks: dict[str, str] = {}
    outcomes: dict[str, Status] = {}
    for id_, label in CurationLog(asked.dataset / LOG).state().items():
        if id_ not in ids:
            continue  # it was dropped by an earlier repair
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
    found = {}
    for position, key in enumerate(keys):
        evidence = examine_episode(recording, (position, key), Options(images=False))
        lead, tail = evidence.idle
        limit = int(np.ceil(recording.spec.rate_hz))
        # Half a second stays: a policy has to see the start and the end.
        margin = limit // 2
        first = lead - margin if lead >= limit else 0
        last = evidence.length - 1 - (tail - margin if tail >= limit else 0)
        if (first, last) != (0, evidence.length - 1):
            found[key] = Kept(first, last)
    return found


def run_into(asked: Repair, as_json: bool, dry_run: bool) -> None:
    """`data repair DATASET OUT`."""
    if dry_run:
        apart(asked.dataset, asked.out)
        plan = _plan(asked).to_json()
        print_json(plan) if as_json else _print_mending(f"{asked.dataset} -> {asked.out}", plan, "would mend")
        return
    with count_bar("episodes", None) as advance:
        done = repair_into(asked, advance)
    if as_json:
        return print_json(done.to_json())
    print(f"{done.out}: {done.episodes} episodes, {done.frames} frames")
    for change in done.metadata:
        print(f"  mended: {change}")
    for key, reason in done.dropped.items():
        print(f"  left out {key}: {reason}")
    print(f"  trimmed: {len(done.trimmed)} episodes; relabelled: {done.relabelled}")


def run_metadata(dataset: Path, as_json: bool, dry_run: bool) -> None:
    """`data repair DATASET --metadata`."""
    plan = (plan_mending(dataset) if dry_run else mend_in_place(dataset)).to_json()
    if as_json:
        return print_json(plan)
    _print_mending(str(dataset), plan, "would mend" if dry_run else "mended")
    if plan["files"] and not dry_run:
        print(f"  undo with: roboscale data repair {shlex.quote(str(dataset))} --undo")


def _print_mending(what: str, plan: Mapping[str, Any], did: str) -> None:
    print(f"{what}: {plan['kept']} episodes verified; {did} {len(plan['files'])} files")
    for change in plan["changes"]:
        print(f"  {change}")


def run_undo(dataset: Path, as_json: bool, dry_run: bool) -> None:
    """`data repair DATASET --undo`."""
    files = undo(dataset, dry_run=dry_run)
    did = "would put back" if dry_run else "put back"
    print_json({"restored": files, "dry_run": dry_run}) if as_json else print(f"{did}: {', '.join(files)}")


def run_recovery(dataset: Path, as_json: bool, dry_run: bool) -> None:
    """`data repair DATASET`, after a kill."""
    report = repair(dataset, dry_run=dry_run)
    if as_json:
        return print_json(asdict(report))
    done = "would change" if report.dry_run else "changed"
    print(f"{dataset}: {report.episodes} episodes, {report.frames} frames readable; {done}: {report.changed}")
    for name in ("finished", "sealed", "quarantined"):
        print(f"  {name}: {getattr(report, name)}")
