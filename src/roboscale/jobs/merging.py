"""The members of a merge: opened, compared, and made ready to become one dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from roboscale.core import Clip, Pictures, RecordedEpisode, Recording, RoboscaleError, Spec, SpecMismatch
from roboscale.dataset import AttemptLog, Dataset, pool_attempts
from roboscale.dataset.alignment import Flatten, conflict_table, conflicts, flat_spec
from roboscale.dataset.collection import MANIFEST, Collection
from roboscale.dataset.edits import Corrections
from roboscale.dataset.ingest import Edit
from roboscale.dataset.layout import Layout, atomic_write, to_json
from roboscale.dataset.transfer import Part
from roboscale.jobs.events import Note, OnEvent
from roboscale.jobs.recordings import Opened, missing_table, open_source
from roboscale.jobs.selecting import selected_frames

__all__ = [
    "FromMember",
    "aligned_parts",
    "carry_driving",
    "flattened_parts",
    "lost_of_driving",
    "members_at",
    "open_members",
    "require_aligned",
    "require_declared",
    "require_whole",
    "write_embodiments",
]


@dataclass(frozen=True, slots=True)
class FromMember:
    """An edit: an episode says which member it comes from, and its cameras get the names of the others.

    Args:
        name: of the member; kept as `provenance.details["dataset"]`, where an earlier merge has not said it.
        cameras: (old, new) names.
        then: an edit that follows.
        first: an edit of the episode as the member has it.
    """

    name: str
    cameras: tuple[tuple[str, str], ...] = ()
    then: Edit | None = None
    first: Edit | None = None

    def __call__(self, episode: RecordedEpisode) -> RecordedEpisode:
        episode = episode if self.first is None else self.first(episode)
        names = dict(self.cameras)
        pictures: dict[str, Clip | Pictures] = {names.get(n, n): images for n, images in episode.pictures.items()}
        said = replace(episode.provenance, details={"dataset": self.name, **episode.provenance.details})
        episode = replace(episode, pictures=pictures, provenance=said)
        return episode if self.then is None else self.then(episode)


def open_members(members: Sequence[Path], declaration: Path | None, on_event: OnEvent) -> dict[str, Opened]:
    """Name -> member; a folder's name, with its parent's where two are called the same."""
    opened: dict[str, Opened] = {}
    for path in (one for member in members for one in members_at(member, on_event)):
        name = path.absolute().name
        if name in opened:
            name = f"{path.absolute().parent.name}-{name}"
        if name in opened:
            raise RoboscaleError(f"two members are called {name}; give their folders different names")
        opened[name] = open_source(path, "", declaration, {}, on_event)
    return opened


def members_at(path: Path, on_event: OnEvent) -> list[Path]:
    """The datasets of a collection; anything else is itself."""
    folder = path.parent if path.name == MANIFEST else path
    if not (folder / MANIFEST).is_file():
        return [path]
    listed = Collection(folder, absolute=True)
    for member in listed.members:
        if member.spec != listed.dataset(member.name).spec:
            on_event(Note(f"{path}: what it says of the fields of {member.name} is not used here; --declare says it"))
    return [member.root for member in listed.members]


def require_whole(recordings: Mapping[str, Recording]) -> None:
    """Raises where videos are missing, or a member among several does not say its robot."""
    for name, recording in recordings.items():
        if any(recording.missing.values()):
            raise RoboscaleError(f"{name}: videos are missing:\n{missing_table(recording)}\nimport it first")
        if not recording.robot_type and len(recordings) > 1:
            raise SpecMismatch(f"{name} does not say its robot: declare robot_type (--declare FILE)")


def require_aligned(recordings: Mapping[str, Recording], *, same: bool) -> None:
    """The same robot: everything must agree, and be said unless the user says that it is the `same`."""
    specs = {name: recording.spec for name, recording in recordings.items()}
    differing = conflicts(specs, undeclared=not same)
    cameras = {name: sorted(f.name for f in spec.images if not f.role) for name, spec in specs.items()}
    if len({tuple(names) for names in cameras.values()}) > 1:
        raise SpecMismatch(f"cameras without a role have different names: {cameras}; declare their roles (--declare)")
    if differing:
        advice = "say what they mean with --declare FILE"
        if all(c.reason == "not declared" for c in differing):
            advice += ", or --same if what nobody declares means the same in all members"
        raise SpecMismatch(f"the members do not align:\n{conflict_table(differing)}\n{advice}")


def require_declared(recordings: Mapping[str, Recording]) -> None:
    """Different robots: fields may differ, but nobody may be silent about what they mean."""
    specs = {name: recording.spec for name, recording in recordings.items()}
    silent = [c for c in conflicts(specs) if c.reason == "not declared"]
    if silent:
        table = conflict_table(silent)
        raise SpecMismatch(
            f"robots that differ need declared meanings:\n{table}\nsay them with: data import --declare"
        )


def write_embodiments(out: Path, recordings: Mapping[str, Recording]) -> None:
    """Which robot each number of the embodiment column is, and what its elements mean: padding has no units."""
    entries: list[dict[str, Any]] = []
    for index, name in enumerate(sorted(recordings)):
        one = recordings[name]
        entries.append({"index": index, "member": name, "robot_type": one.robot_type, "spec": one.spec.to_json()})
    atomic_write(Layout(out).own / "embodiments.json", to_json({"version": 1, "embodiments": entries}))


def lost_of_driving(recordings: Mapping[str, Recording]) -> dict[str, str]:
    """What members that people drove hold beside their episodes, and one dataset of them will not.

    Raises:
        BadData: what a member says of its attempts, or of how it was collected, cannot be read.
    """
    from roboscale.sources.teleop import pool_configurations

    roots = {name: Path(one.root) for name, one in recordings.items()}
    for root in roots.values():
        AttemptLog(root)
    alike, lost = pool_configurations(list(roots.values())), {}
    for name, root in roots.items():
        own = Layout(root).own
        if (own / "teleop.json").exists() and not alike:
            lost[f"{name}: teleop.json"] = "not all members were collected alike; the provenance of each episode stays"
        if (own / "views").exists():
            lost[f"{name}: views"] = "its cameras at the home pose, with which its own next session is compared"
    return lost


def carry_driving(out: Path, recordings: Mapping[str, Recording], on_event: OnEvent) -> None:
    """All attempts of those who drove, those too that left no episode; and how it was collected, where alike."""
    from roboscale.sources.teleop import pool_configurations

    roots = [Path(one.root) for one in recordings.values()]
    if count := pool_attempts(out, roots):
        on_event(Note(f"carried over: {count} attempts of operators, those without an episode included"))
    pool_configurations(roots, out)


def aligned_parts(
    opened: Mapping[str, Opened], selections: Mapping[str, Path] | None = None
) -> tuple[list[Part], Spec]:
    """Members of one robot, their cameras under the names that the first gives to their roles; and its spec.

    Args:
        selections: member -> what of it is taken.
    """
    spec = next(iter(opened.values())).recording.spec
    by_role = {f.role: f.name for f in spec.images if f.role}
    parts = []
    for name, one in opened.items():
        names = {f.name: by_role.get(f.role, f.name) for f in one.recording.spec.images}
        changed = tuple((old, new) for old, new in names.items() if old != new)
        parts.append(_part(name, one, FromMember(name, changed), selections or {}))
    return parts, spec


def flattened_parts(
    opened: Mapping[str, Opened], size: tuple[int, int] | None, selections: Mapping[str, Path] | None = None
) -> tuple[list[Part], Spec]:
    """Members of several robots, padded to one spec; pictures get `size` (height, width) where it is given."""
    specs = {name: one.recording.spec for name, one in opened.items()}
    parts = [
        _part(name, one, FromMember(name, then=Flatten(specs, name, size)), selections or {})
        for name, one in opened.items()
    ]
    return parts, flat_spec(specs, resize=size)


def _part(name: str, one: Opened, edit: FromMember, selections: Mapping[str, Path]) -> Part:
    """All episodes of a member, or those that its selection keeps, cut to the frames that it keeps."""
    keys, identity = tuple(one.recording.keys), one.identity
    if name in selections:
        frames, left = selected_frames(selections[name], Dataset(one.recording.root), keys)
        keys = tuple(key for key in keys if key not in left)
        edit = replace(edit, first=Corrections(frames)) if frames else edit
        digest = hashlib.blake2b(selections[name].read_bytes(), digest_size=8).hexdigest()
        identity = f"{identity} selected by {digest}"
    return Part(name=name, open=one.open, keys=keys, edit=edit, identity=identity)
