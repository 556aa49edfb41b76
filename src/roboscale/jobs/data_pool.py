"""An index of many datasets: adds, searches, shows on a page, and makes a collection of what was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from roboscale.core import BadData, RoboscaleError, UnknownName
from roboscale.jobs import options
from roboscale.jobs.events import Note, OnEvent, Wrote, ignore
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.curate.pool import Pool, PooledEpisode, PoolEntry
    from roboscale.curate.selection import Selection
    from roboscale.report.pool import Quality

__all__ = ["PoolDatasets", "PooledDatasets", "pool_datasets"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolDatasets(Request):
    """Asks for an index of datasets, or for what one holds.

    Args:
        members: datasets to add; one that is there already is looked at anew.
        find: words that must all stand in a dataset's name, folder, robot, licence, action, tasks or findings.
        select: names; what they and `find` leave becomes the collection, or the list.
        scores: files of `data curate`, whose scores are kept beside the members that they speak of; without members,
            beside those of the pool.
    """

    words: ClassVar[tuple[str, ...]] = ("data", "pool")

    pool: Annotated[Path, Argument("Folder of the index; new, or one that is there.")]
    members: Annotated[tuple[Path, ...], Argument("Datasets (LeRobot v3.0) to add. Without any, what is there.")] = ()
    find: Annotated[str, Option("Words that must all stand in a dataset's texts, in any case.")] = ""
    select: Annotated[tuple[str, ...], Option("A dataset by its name; may repeat.")] = ()
    drop: Annotated[tuple[str, ...], Option("Take a dataset out of the index; may repeat. Its files stay.")] = ()
    scores: Annotated[tuple[Path, ...], Option("File of `data curate` whose scores are kept; may repeat.")] = ()
    collection: Annotated[Path | None, Option("Write what was found as a collection, in this new folder.")] = None
    html: options.Html = None
    images: Annotated[bool, Option("Decode pictures when a dataset that is added is audited.")] = True
    workers: options.DataWorkers = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledDatasets:
    """The datasets that were asked for.

    Args:
        entries: what was found, by name.
        total: how many the pool has.
        quality: what operators and sites recorded, month by month, in what was found; only counted for a page.
        stale: name -> what is not as it was when it was added.
    """

    pool: Path
    entries: tuple[PoolEntry, ...]
    total: int
    quality: tuple[Quality, ...] = ()
    stale: Mapping[str, str] = field(default_factory=dict)
    collection: Path | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "pool": str(self.pool),
            "total": self.total,
            "datasets": [entry.to_json() for entry in self.entries],
            "quality": [one.to_json() for one in self.quality],
            "stale": dict(self.stale),
            "collection": None if self.collection is None else str(self.collection),
        }


def pool_datasets(request: PoolDatasets, on_event: OnEvent = ignore) -> PooledDatasets:
    """Adds what is given, then finds what is asked for; the datasets are only read.

    >>> done = pool_datasets(PoolDatasets(pool=Path("pool"), members=(Path("recorded"), Path("more")), workers=0))
    >>> [entry.name for entry in done.entries], done.entries[0].licence
    (['more', 'recorded'], 'MIT')
    >>> found = pool_datasets(PoolDatasets(pool=Path("pool"), find="leg", select=("more",), collection=Path("both")))
    >>> found.total, found.collection
    (2, PosixPath('both/collection.json'))

    Raises:
        UnknownName: a name is not in the pool.
        BadData: a member is no dataset of v3.0, or the folder is no pool.
        RoboscaleError: nothing was found.
    """
    from roboscale.curate.pool import Pool
    from roboscale.curate.selection import read_selection
    from roboscale.dataset import Dataset

    pool, selections = Pool(request.pool), [(path, read_selection(path)) for path in request.scores]
    for member in request.members:
        Dataset(member)  # all can be opened, before the first is looked at for minutes
    added = [_add(pool, member, request, on_event) for member in request.members]
    for path, selection in selections:
        _score(pool, added, path, selection)
    for name in request.drop:
        pool.drop(name)
    entries = pool.entries()
    found = _found(entries, request)
    if not found:
        raise RoboscaleError(
            f"{request.pool}: none of {len(entries)} datasets has {request.find!r}"
            if entries
            else f"{request.pool}: no dataset yet; add some: roboscale data pool {request.pool} DATASET ..."
        )
    done = PooledDatasets(
        pool=request.pool,
        entries=tuple(found),
        total=len(entries),
        quality=tuple(quality_of({e.name: pool.episodes(e.name) for e in found})) if request.html else (),
        stale=_stale(found, on_event),
        collection=_collected(found, request, on_event) if request.collection is not None else None,
    )
    if request.html is not None:
        _write_page(request.html, done, request.command, on_event)
    return done


def _add(pool: Pool, member: Path, request: PoolDatasets, on_event: OnEvent) -> str:
    """One dataset, audited; scores that it had stay where its numbers did. Returns its name in the pool."""
    from roboscale.curate.pool import entry_of, pooled_episodes
    from roboscale.jobs.data_audit import AuditDataset, audit_dataset

    audited = audit_dataset(AuditDataset(dataset=member, images=request.images, workers=request.workers), on_event)
    entry, episodes = entry_of(member, audited.report), pooled_episodes(member, audited.report)
    earlier = next((one for one in pool.entries() if one.root == entry.root), None)
    if earlier is not None and earlier.scores:
        if earlier.content == entry.content:
            entry = replace(entry, scores=earlier.scores)
        else:
            on_event(Note(f"{member}: its numbers changed: the scores by {', '.join(earlier.scores)} are not kept"))
    filed = pool.add(entry, episodes)
    if filed.name != entry.name:
        on_event(Note(f"{member}: the pool has another {entry.name}; this one is called {filed.name}"))
    return filed.name


def _score(pool: Pool, added: Sequence[str], path: Path, selection: Selection) -> None:
    """Files a selection's scores beside what it speaks of: of what was added, else of the whole pool."""
    from roboscale.curate.pool import scored

    looked_at = [entry for entry in pool.entries() if not added or entry.name in added]
    spoken_of = 0
    for entry in looked_at:
        episodes = pool.episodes(entry.name)
        better = scored(entry, selection, episodes)
        if better is not None:
            pool.add(better, episodes)
            spoken_of += 1
    if not spoken_of:
        names = ", ".join(entry.name for entry in looked_at[:5]) or f"{pool.folder}, which has no dataset"
        raise BadData(path, f"selection by {selection.method}", f"scores of episodes of {names}", "none")


def _found(entries: Sequence[PoolEntry], request: PoolDatasets) -> list[PoolEntry]:
    known = [entry.name for entry in entries]
    for name in request.select:
        if name not in known:
            raise UnknownName("dataset of the pool", name, known)
    chosen = [entry for entry in entries if not request.select or entry.name in request.select]
    return [entry for entry in chosen if entry.mentions(request.find.split())]


def _stale(entries: Iterable[PoolEntry], on_event: OnEvent) -> dict[str, str]:
    """Datasets that are gone; whether numbers changed is known when they are added again."""
    stale = {entry.name: f"{entry.root} is not there" for entry in entries if not Path(entry.root).is_dir()}
    if stale:
        on_event(Note(f"{len(stale)} datasets are not where they were when they were added: {', '.join(stale)}"))
    return stale


def _collected(entries: Sequence[PoolEntry], request: PoolDatasets, on_event: OnEvent) -> Path:
    from roboscale.dataset.collection import NewMember, write_collection

    assert request.collection is not None, "asked for"
    silent = [entry.name for entry in entries if not entry.licence]
    if silent:
        on_event(Note(f"the licence of {', '.join(silent)} is not known"))
    parent = request.collection.absolute().parent
    outside = any(not Path(entry.root).is_relative_to(parent.resolve()) for entry in entries)
    members = [NewMember(root=Path(e.root), robot_type=e.robot, licence=e.licence) for e in entries]
    return write_collection(request.collection, members, absolute=outside)


def quality_of(episodes: Mapping[str, Sequence[PooledEpisode]]) -> list[Quality]:
    """Per operator and per site, month by month: how much, how often a finding names it, how often it succeeded."""
    from roboscale.report.pool import Quality
    from roboscale.stats.proportions import wilson

    groups: dict[tuple[str, str, str], list[PooledEpisode]] = {}
    for one in (episode for listed in episodes.values() for episode in listed):
        for kind, who in (("operator", one.operator), ("site", one.site)):
            groups.setdefault((kind, who, one.month), []).append(one)
    quality = []
    for (kind, who, month), mine in sorted(groups.items()):
        judged = [one.success for one in mine if one.success is not None]
        quality.append(
            Quality(
                kind=kind,
                who=who,
                month=month,
                episodes=len(mine),
                hours=sum(one.seconds for one in mine) / 3600,
                found=wilson(sum(one.findings > 0 for one in mine), len(mine)),
                succeeded=wilson(sum(judged), len(judged)) if judged else None,
            )
        )
    return quality


def _write_page(page: Path, done: PooledDatasets, command: str, on_event: OnEvent) -> None:
    from roboscale.jobs.files import write_text
    from roboscale.jobs.versions import versions
    from roboscale.report.pool import pool_page

    notes = [f"{name}: {why}" for name, why in done.stale.items()]
    if len(done.entries) < done.total:
        notes.append(f"{len(done.entries)} of the {done.total} datasets of the pool are shown")
    notes.append("an entry is what the dataset was when it was added; add it again to look at it anew")
    made_page = pool_page(
        done.entries,
        done.quality,
        title=f"Pool {done.pool.name}",
        command=command,
        notes=tuple(notes),
        versions=dict(versions()),
    )
    write_text(page, made_page)
    on_event(Wrote("page", page))
