"""Repair after a kill: finish what was committed, seal what was saved, take the rests out of the way.

Never deletes an original: whatever is taken away goes to `meta/roboscale/quarantine/`, with a line in its
`log.jsonl` that says where it was and why. Running it again changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from roboscale.core.errors import BadData
from roboscale.dataset.journal import (
    PendingEpisode,
    committed_names,
    exclusive,
    list_pending,
    quarantine,
    roll_forward,
)
from roboscale.dataset.layout import Info, Layout
from roboscale.dataset.lerobot.catalog import load_catalog, load_info
from roboscale.dataset.seal import seal
from roboscale.dataset.tables import count_rows
from roboscale.dataset.video import probe

__all__ = ["RepairReport", "repair"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairReport:
    """What `repair` did, or with `dry_run` would do.

    Args:
        finished: whether a seal that had been killed after its commit was finished.
        sealed: ids of the saved episodes that became LeRobot files.
        quarantined: (what, why), for each thing moved to quarantine.
        episodes, frames: what the dataset holds after.
    """

    finished: bool
    sealed: tuple[str, ...]
    quarantined: tuple[tuple[str, str], ...]
    episodes: int
    frames: int
    dry_run: bool = False

    @property
    def changed(self) -> bool:
        return bool(self.finished or self.sealed or self.quarantined)


def repair(root: Path, *, dry_run: bool = False) -> RepairReport:
    """Makes a dataset whole after its recorder was killed, so that LeRobot can read it.

    Raises:
        BadData: sealed files are broken; nothing is changed then, since no repair could bring them back.
        InfrastructureError: a writer has the dataset open.
    """
    layout = Layout(Path(root))
    info = load_info(layout.root)
    if dry_run:
        return _plan(layout, info)
    with exclusive(layout):
        plan = _plan(layout, info)
        roll_forward(layout)
        for path, reason in _rests(layout, info):
            quarantine(layout, path, reason)
        seal(layout.root)
    return replace(plan, dry_run=False)


def _plan(layout: Layout, info: Info) -> RepairReport:
    rests = _rests(layout, info)
    catalog = load_catalog(layout.root, skip=[path for path, _ in rests])
    moved = tuple((str(path.relative_to(layout.root)), reason) for path, reason in rests)
    return RepairReport(
        finished=bool(committed_names(layout)),
        sealed=tuple(pending.id for pending in catalog.pending),
        quarantined=moved,
        episodes=len(catalog.episodes),
        frames=sum(episode.length for episode in catalog.episodes),
        dry_run=True,
    )


def _rests(layout: Layout, info: Info) -> list[tuple[Path, str]]:
    """Unfinished takes, and saved episodes that have broken since."""
    rests = []
    if layout.staging.exists():
        rests += [(path, "a take that was being recorded") for path in sorted(layout.staging.iterdir())]
    committed = committed_names(layout)
    for pending in list_pending(layout):
        if pending.path.name in committed:
            continue  # sealed already; its folder may be half removed
        try:
            _verify(pending, info)
        except BadData as error:
            rests.append((pending.path, str(error)))
    return rests


def _verify(pending: PendingEpisode, info: Info) -> None:
    """BadData unless the table and every video hold what the record says."""
    length = pending.record().length
    rows = count_rows(pending.table)
    if rows != length:
        raise BadData(pending.table, "rows", length, rows)
    for camera in info.cameras:
        frames = probe(pending.video(camera)).frames
        if frames != length:
            raise BadData(pending.video(camera), "frames", length, frames)
