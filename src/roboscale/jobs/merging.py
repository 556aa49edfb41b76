"""The members of a merge: opened, compared, and made ready to become one dataset."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from roboscale.core import (
    BadData,
    Clip,
    Pictures,
    RecordedEpisode,
    Recording,
    RoboscaleError,
    Spec,
    SpecMismatch,
    UnknownName,
    extras_of,
)
from roboscale.dataset import AttemptLog, Dataset, pool_attempts
from roboscale.dataset.alignment import Conflict, Flatten, conflict_table, conflicts, flat_spec
from roboscale.dataset.collection import MANIFEST, Collection
from roboscale.dataset.conforming import conformed_specs, open_conformed, told_changes
from roboscale.dataset.ingest import Edit
from roboscale.dataset.layout import Layout, atomic_write, to_json
from roboscale.dataset.lerobot.catalog import load_catalog
from roboscale.dataset.transfer import Part
from roboscale.dataset.unfinished import require_finished
from roboscale.jobs.events import Note, OnEvent
from roboscale.jobs.locating import located
from roboscale.jobs.recordings import Opened, missing_advice, missing_table, open_source
from roboscale.jobs.selecting import selected_frames
from roboscale.sources.records.declaration import load_declaration

__all__ = [
    "FromMember",
    "aligned_parts",
    "carry_driving",
    "flattened_parts",
    "lost_of_driving",
    "made_alike",
    "members_at",
    "open_members",
    "require_aligned",
    "require_apart",
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
    for given in (one for member in members for one in members_at(member, on_event)):
        path = located(given, on_event)
        name = given.absolute().name
        if name in opened:
            name = f"{given.absolute().parent.name}-{name}"
        if name in opened:
            raise RoboscaleError(f"two members are called {name}; give their folders different names")
        if any(path.resolve() == one.recording.root.resolve() for one in opened.values()):
            raise RoboscaleError(f"{given} is named twice: each of its episodes would be there twice")
        opened[name] = open_source(path, "", declaration, {}, on_event, among_others=True)
    _require_known(declaration, opened)
    return opened


def _require_known(declaration: Path | None, opened: Mapping[str, Opened]) -> None:
    """UnknownName when a field is declared that no member has."""
    there = sorted({name for one in opened.values() for name in one.recording.spec.names})
    for name in load_declaration(declaration).fields if declaration is not None else ():
        if name not in there:
            raise UnknownName("field", name, there)


def require_apart(opened: Mapping[str, Opened]) -> None:
    """Raises where two members hold the same episode, told by its id: a copy beside the original."""
    holders: dict[str, str] = {}
    for name, one in opened.items():
        root = one.recording.root
        ours = one.recording.format == "lerobot-v3" and Layout(root).own.is_dir()
        ids = [episode.id for episode in load_catalog(root).episodes] if ours else []
        shared = [id_ for id_ in ids if id_ in holders]
        if shared:
            raise RoboscaleError(
                f"{holders[shared[0]]} and {name} share {len(shared)} episodes, such as {shared[0]}: name one of the "
                "two only, or leave these out of one with data fix OUT --drop"
            )
        holders |= dict.fromkeys(ids, name)


def made_alike(
    opened: Mapping[str, Opened], without: Sequence[str], size: tuple[int, int] | None
) -> tuple[dict[str, Opened], tuple[str, ...]]:
    """The members with the same columns where that changes no meaning, and a sentence for each change.

    Args:
        without: fields that are left out.
        size: (height, width) of all pictures.

    Raises:
        UnknownName: no member has a field that is to be left out.
    """
    there = {*(name for one in opened.values() for name in one.recording.spec.names)}
    there |= {name for one in opened.values() for name in extras_of(one.recording).features}
    for name in without:
        if name not in there:
            raise UnknownName("field", name, sorted(there))
    specs = {name: one.recording.spec for name, one in opened.items()}
    alike = conformed_specs(specs, without=without, size=size)
    changed = {}
    for name, one in opened.items():
        changed[name] = one
        if alike[name] != specs[name] or without:
            again = partial(open_conformed, one.open, alike[name], tuple(without))
            said = f"{one.identity} as {alike[name].to_json()} without {sorted(without)}"
            changed[name] = Opened(again(), again, hashlib.blake2b(said.encode(), digest_size=16).hexdigest())
    return changed, tuple(told_changes(specs, alike))


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
    """Raises where a member was left half made, files are missing, or one among several does not say its robot."""
    for name, recording in recordings.items():
        require_finished(recording.root)
        for lost in (one for one in recording.findings if one.check == "file-missing" and one.episodes):
            way = "a file of each episode; fetch them, or import this member first, with --broken drop"
            raise BadData(recording.root, "data", way, lost.text)
        if any(recording.missing.values()):
            raise RoboscaleError(
                f"{name}: videos are missing:\n{missing_table(recording)}\n{missing_advice(recording)}"
                "fetch them, or import it first, with --missing-video"
            )
        if not recording.robot_type and len(recordings) > 1:
            raise SpecMismatch(f"{name} does not say its robot: declare robot_type (--declare FILE)")


def require_aligned(recordings: Mapping[str, Recording], *, same: bool) -> None:
    """The same robot: everything must agree, and be said unless the user says that it is the `same`."""
    specs = {name: recording.spec for name, recording in recordings.items()}
    differing = conflicts(specs, undeclared=not same)
    cameras = {name: sorted(f.name for f in spec.images if not f.role) for name, spec in specs.items()}
    if len({tuple(names) for names in cameras.values()}) > 1:
        listed = "\n".join(f"    {name}: {_listed_cameras(spec)}" for name, spec in specs.items())
        raise SpecMismatch(
            f"the cameras do not align, and not all have a role:\n{listed}\n"
            "say which are the same by a role for each (--declare FILE), or leave one out (--drop NAME)"
        )
    if differing:
        advice = "\n".join(_advice(differing, recordings))
        raise SpecMismatch(f"the members do not align:\n{conflict_table(differing)}\n{advice}")


def _listed_cameras(spec: Spec) -> str:
    said = (f"{f.name} ({f.role})" if f.role else f.name for f in spec.images)
    return ", ".join(said) or "none"


def _advice(differing: Sequence[Conflict], recordings: Mapping[str, Recording]) -> Iterator[str]:
    """What makes members align, one line for each kind of conflict."""
    reasons = {c.reason for c in differing}
    if "not declared" in reasons:
        same = ", or --same if what nobody declares means the same in all members" if len(reasons) == 1 else ""
        yield f"what is not declared: say what it means with --declare FILE{same}"
    for rate in (c for c in differing if c.what == "rate_hz"):
        first = recordings[next(iter(recordings))].spec.rate_hz
        other = next(one for one in recordings.values() if one.spec.rate_hz != first)
        source = shlex.quote(str(other.root))
        yield f"{rate.what}: roboscale data import {source} OUT --resample {first:g}, and merge OUT instead"
    partly = [c.field for c in differing if c.reason == "missing" and not c.field.startswith("camera ")]
    if partly:
        yield f"only some have it: leave it out of all with {' '.join(f'--drop {shlex.quote(n)}' for n in partly)}"
    if any(c.what == "size" for c in differing):
        yield "sizes of pictures: --resize HEIGHTxWIDTH encodes them again in one size"
    others = sorted({c.what for c in differing if c.reason == "differs"} - {"rate_hz", "size"})
    if others:
        yield (
            f"{', '.join(others)}: what a member says itself is not overruled; where it is wrong, correct that "
            "member's metadata, and where it is right, --drop leaves a field out"
        )


def require_declared(recordings: Mapping[str, Recording]) -> None:
    """Different robots: fields may differ, but nobody may be silent about what they mean."""
    specs = {name: recording.spec for name, recording in recordings.items()}
    silent = [c for c in conflicts(specs) if c.reason == "not declared"]
    if silent:
        robots = ", ".join(f"{one.robot_type} ({name})" for name, one in recordings.items())
        raise SpecMismatch(
            f"robots that differ need declared meanings: {robots}\n{conflict_table(silent)}\n"
            "say them for each with: data import --declare; one robot under two names: make robot_type alike in their "
            "meta/info.json"
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
        cut, left = selected_frames(selections[name], Dataset(one.recording.root), keys)
        keys = tuple(key for key in keys if key not in left)
        edit = replace(edit, first=cut) if cut.frames or cut.pieces else edit
        digest = hashlib.blake2b(selections[name].read_bytes(), digest_size=8).hexdigest()
        identity = f"{identity} selected by {digest}"
    return Part(name=name, open=one.open, keys=keys, edit=edit, identity=identity)
