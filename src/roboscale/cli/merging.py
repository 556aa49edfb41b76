"""Several datasets become one: the same robot in one dataset, different robots in a collection or padded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from roboscale.cli.importing import Opened, apart, missing_table, open_source
from roboscale.core import Clip, Pictures, RecordedEpisode, Recording, RoboscaleError, Spec, SpecMismatch
from roboscale.dataset.alignment import Flatten, conflict_table, conflicts, flat_spec
from roboscale.dataset.collection import NewMember, write_collection
from roboscale.dataset.engine import Engine
from roboscale.dataset.ingest import Edit
from roboscale.dataset.layout import Layout, atomic_write, to_json
from roboscale.dataset.transfer import Part, Progress, transfer

__all__ = ["Member", "Merge", "Merged", "merge_datasets", "plan_merge"]

Kind = Literal["dataset", "collection", "flattened"]


@dataclass(frozen=True, slots=True)
class Merge:
    """What is to be merged, and how.

    Args:
        members: folders of datasets, or recordings of any format that is read.
        declaration: the user's word on what the arrays of all members mean.
        same: the user's word that what no member declares means the same in all.
        flatten: pad robots that differ into one dataset instead of keeping a collection.
        resize: (height, width) of the pictures of a flattened dataset, where they differ.
    """

    members: Sequence[Path]
    out: Path
    declaration: Path | None = None
    same: bool = False
    flatten: bool = False
    resize: tuple[int, int] | None = None
    workers: int | None = None
    engine: Engine = "processes"


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge makes; `kind` is decided by the robots, not by the user."""

    kind: Kind
    out: Path
    members: Mapping[str, int]
    robots: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "out": str(self.out),
            "members": dict(self.members),
            "episodes": sum(self.members.values()),
            "robots": list(self.robots),
        }


@dataclass(frozen=True, slots=True)
class Member:
    """An edit: an episode says which member it comes from, and its cameras get the names of the others.

    Args:
        name: of the member; kept as `provenance.details["dataset"]`, where an earlier merge has not said it.
        cameras: (old, new) names.
        then: an edit that follows.
    """

    name: str
    cameras: tuple[tuple[str, str], ...] = ()
    then: Edit | None = None

    def __call__(self, episode: RecordedEpisode) -> RecordedEpisode:
        names = dict(self.cameras)
        pictures: dict[str, Clip | Pictures] = {names.get(n, n): images for n, images in episode.pictures.items()}
        said = replace(episode.provenance, details={"dataset": self.name, **episode.provenance.details})
        episode = replace(episode, pictures=pictures, provenance=said)
        return episode if self.then is None else self.then(episode)


def plan_merge(asked: Merge) -> tuple[Merged, dict[str, Opened]]:
    """What a merge would make, and its members opened.

    Raises:
        SpecMismatch: the members do not align, or do not say; with a table of what and who.
    """
    for member in asked.members:
        apart(member, asked.out)
    opened = _open_all(asked)
    recordings = {name: one.recording for name, one in opened.items()}
    robots = tuple(dict.fromkeys(r.robot_type for r in recordings.values()))
    for name, recording in recordings.items():
        if any(recording.missing.values()):
            raise RoboscaleError(f"{name}: videos are missing:\n{missing_table(recording)}\nimport it first")
        if not recording.robot_type and len(recordings) > 1:
            raise SpecMismatch(f"{name} does not say its robot: declare robot_type (--declare FILE)")
    if len(robots) == 1:
        kind: Kind = "dataset"
        _require_aligned(recordings, asked)
    else:
        kind = "flattened" if asked.flatten else "collection"
        _require_declared(recordings)
    return Merged(kind, asked.out, {n: len(r.keys) for n, r in recordings.items()}, robots), opened


def _open_all(asked: Merge) -> dict[str, Opened]:
    opened: dict[str, Opened] = {}
    for path in asked.members:
        name = path.absolute().name
        if name in opened:
            name = f"{path.absolute().parent.name}-{name}"
        if name in opened:
            raise RoboscaleError(f"two members are called {name}; give their folders different names")
        opened[name] = open_source(path, "", asked.declaration, {})
    return opened


def _require_aligned(recordings: Mapping[str, Recording], asked: Merge) -> None:
    """The same robot: everything must agree, and be said unless the user says that it is the same."""
    specs = {name: recording.spec for name, recording in recordings.items()}
    found = conflicts(specs, undeclared=not asked.same)
    cameras = {name: sorted(f.name for f in spec.images if not f.role) for name, spec in specs.items()}
    if len({tuple(names) for names in cameras.values()}) > 1:
        raise SpecMismatch(f"cameras without a role have different names: {cameras}; declare their roles (--declare)")
    if found:
        advice = "say what they mean with --declare FILE"
        if all(c.reason == "not declared" for c in found):
            advice += ", or --same if what nobody declares means the same in all members"
        raise SpecMismatch(f"the members do not align:\n{conflict_table(found)}\n{advice}")


def _require_declared(recordings: Mapping[str, Recording]) -> None:
    """Different robots: fields may differ, but nobody may be silent about what they mean."""
    specs = {name: recording.spec for name, recording in recordings.items()}
    silent = [c for c in conflicts(specs) if c.reason == "not declared"]
    if silent:
        table = conflict_table(silent)
        raise SpecMismatch(
            f"robots that differ need declared meanings:\n{table}\nsay them with: data import --declare"
        )


def merge_datasets(asked: Merge, progress: Progress | None = None) -> Merged:
    """Merges; or goes on with a killed merge. Errors are those of `plan_merge` and `transfer`."""
    planned, opened = plan_merge(asked)
    if planned.kind == "collection":
        members = [
            NewMember(one.recording.root, one.recording.robot_type, one.recording.licence, spec=one.recording.spec)
            for one in opened.values()
        ]
        write_collection(asked.out, members, absolute=_outside(asked))
        return planned
    parts, spec = _flattened(asked, opened) if planned.kind == "flattened" else _aligned(opened)
    robot = planned.robots[0] if planned.kind == "dataset" else "+".join(sorted(planned.robots))
    transfer(
        parts,
        asked.out,
        spec,
        robot_type=robot,
        workers=asked.workers,
        engine=asked.engine,
        progress=progress,
    )
    if planned.kind == "flattened":
        _write_embodiments(asked.out, {name: one.recording for name, one in opened.items()})
    return planned


def _write_embodiments(out: Path, recordings: Mapping[str, Recording]) -> None:
    """Which robot each number of the embodiment column is, and what its elements mean: padding has no units."""
    entries: list[dict[str, Any]] = []
    for index, name in enumerate(sorted(recordings)):
        one = recordings[name]
        entries.append({"index": index, "member": name, "robot_type": one.robot_type, "spec": one.spec.to_json()})
    atomic_write(Layout(out).own / "embodiments.json", to_json({"version": 1, "embodiments": entries}))


def _outside(asked: Merge) -> bool:
    """Members that do not lie beside the collection are named by absolute path: the user wrote them that way."""
    parent = asked.out.absolute().parent
    return any(not member.absolute().is_relative_to(parent) for member in asked.members)


def _aligned(opened: Mapping[str, Opened]) -> tuple[list[Part], Spec]:
    spec = next(iter(opened.values())).recording.spec
    by_role = {f.role: f.name for f in spec.images if f.role}
    parts = []
    for name, one in opened.items():
        names = {f.name: by_role.get(f.role, f.name) for f in one.recording.spec.images}
        changed = tuple((old, new) for old, new in names.items() if old != new)
        parts.append(Part(name, one.open, tuple(one.recording.keys), Member(name, changed), one.identity))
    return parts, spec


def _flattened(asked: Merge, opened: Mapping[str, Opened]) -> tuple[list[Part], Spec]:
    specs = {name: one.recording.spec for name, one in opened.items()}
    parts = []
    for name, one in opened.items():
        edit = Member(name, then=Flatten(specs, name, asked.resize))
        parts.append(Part(name, one.open, tuple(one.recording.keys), edit, one.identity))
    return parts, flat_spec(specs, resize=asked.resize)
