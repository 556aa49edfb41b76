"""Repairs that change what a dataset holds: always into a new one."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from roboscale.cli.console import count_bar, print_json
from roboscale.cli.importing import Opened, open_source
from roboscale.core import BadData, Recording, UnknownName
from roboscale.core.episode import Status
from roboscale.curate.log import LOG, CurationLog
from roboscale.dataset.audit.evidence import Options, examine_episode
from roboscale.dataset.edits import Corrections, Kept
from roboscale.dataset.engine import Engine
from roboscale.dataset.mend import Mending, plan_mending
from roboscale.dataset.reader import Dataset
from roboscale.dataset.repair import repair
from roboscale.dataset.transfer import Part, Progress, Transfer, transfer
from roboscale.dataset.undo import mend_in_place, mend_into, undo

__all__ = ["Repair", "Repaired", "repair_into", "run_into", "run_metadata", "run_recovery", "run_undo"]


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
    mending = plan_mending(asked.dataset)
    view = asked.out.absolute().with_name(f".{asked.out.name}.view")
    shutil.rmtree(view, ignore_errors=True)
    try:
        root = mend_into(mending, view) if mending.files else asked.dataset
        return _repair(asked, mending, root, progress)
    finally:
        shutil.rmtree(view, ignore_errors=True)


def _repair(asked: Repair, mending: Mending, root: Path, progress: Progress | None) -> Repaired:
    opened = open_source(root, "lerobot-v3")
    recording, ids = opened.recording, {e.id: e.index for e in Dataset(root).episodes}
    dropped = _dropped(asked, recording, ids)
    corrections = _said(asked, recording, ids, dropped)
    keys = tuple(key for key in recording.keys if key not in dropped)
    if asked.trim_idle:
        corrections = Corrections(_busy(recording, keys), corrections.tasks, corrections.outcomes)
    done = _write(asked, opened, keys, corrections, progress)
    dropped |= {entry.key: entry.reason for entry in done.dropped}
    return Repaired(
        asked.out,
        len(done.episodes),
        done.frames,
        tuple(mending.changes),
        dropped,
        {key: (kept.first, kept.last) for key, kept in corrections.frames.items()},
        len(corrections.tasks) + len(corrections.outcomes),
    )


def _write(
    asked: Repair, opened: Opened, keys: tuple[str, ...], corrections: Corrections, progress: Progress | None
) -> Transfer:
    changes = corrections.frames or corrections.tasks or corrections.outcomes
    name = asked.dataset.absolute().name
    spec = opened.recording.spec
    for camera in asked.drop_camera:
        if camera not in [f.name for f in spec.images]:
            raise UnknownName("camera", camera, [f.name for f in spec.images])
    return transfer(
        [Part(name, opened.open, keys, corrections if changes else None)],
        asked.out,
        spec.select([f for f in spec.names if f not in asked.drop_camera]),
        robot_type=opened.recording.robot_type,
        broken="drop" if asked.drop_broken else "fail",
        workers=asked.workers,
        engine=asked.engine,
        progress=progress,
    )


def _dropped(asked: Repair, recording: Recording, ids: Mapping[str, int]) -> dict[str, str]:
    found = {}
    for text in asked.drop:
        position = ids.get(text, int(text) if text.isdigit() else -1)
        if not 0 <= position < len(recording.keys):
            raise BadData(asked.dataset, "--drop", f"an id, or 0 to {len(recording.keys) - 1}", text)
        found[recording.keys[position]] = "named by --drop"
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
        plan = plan_mending(asked.dataset).to_json()
        print_json(plan) if as_json else _print_mending(asked.dataset, plan, "would mend")
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
    print_json(plan) if as_json else _print_mending(dataset, plan, "would mend" if dry_run else "mended")


def _print_mending(dataset: Path, plan: Mapping[str, Any], did: str) -> None:
    print(f"{dataset}: {plan['kept']} episodes verified; {did} {len(plan['files'])} files")
    for change in plan["changes"]:
        print(f"  {change}")
    if plan["files"]:
        print(f"  undo with: roboscale data repair {dataset} --undo")


def run_undo(dataset: Path, as_json: bool, dry_run: bool) -> None:
    """`data repair DATASET --undo`."""
    if dry_run:
        print(f"would put back the files under {dataset}/meta/roboscale/undo")
        return
    files = undo(dataset)
    print_json({"restored": files}) if as_json else print(f"put back: {', '.join(files)}")


def run_recovery(dataset: Path, as_json: bool, dry_run: bool) -> None:
    """`data repair DATASET`, after a kill."""
    report = repair(dataset, dry_run=dry_run)
    if as_json:
        return print_json(asdict(report))
    done = "would change" if report.dry_run else "changed"
    print(f"{dataset}: {report.episodes} episodes, {report.frames} frames readable; {done}: {report.changed}")
    for name in ("finished", "sealed", "quarantined"):
        print(f"  {name}: {getattr(report, name)}")
