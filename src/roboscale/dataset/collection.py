"""Datasets of different robots, read as one: a folder with a manifest that points at them.

    pool/collection.json      {"version": 1, "members": [{"path": "../bridge", "robot_type": "widowx", ...}, ...]}
    bridge/  g1/              the members, LeRobotDatasets v3.0 of their own; never changed

Nothing is padded or resampled: an item is the member's item with `embodiment` beside it, so a batch holds one robot or
a loader that knows how to mix them. Statistics are kept for each robot, because a mean over two robots means nothing.

Knows where members lie and what they are. Does not know their files.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Literal

from roboscale.core.episode import Provenance
from roboscale.core.errors import BadData, SpecMismatch, UnknownName
from roboscale.core.recording import UNKNOWN
from roboscale.core.spec import Field, Spec
from roboscale.dataset.alignment import conflict_table, conflicts, role_name
from roboscale.dataset.layout import atomic_write, load_json, to_json
from roboscale.dataset.lerobot.catalog import EpisodeInfo, load_info
from roboscale.dataset.reader import Dataset
from roboscale.dataset.statistics import Statistics

__all__ = ["MANIFEST", "Collection", "Member", "MemberEpisode", "NewMember", "spec_digest", "write_collection"]

MANIFEST = "collection.json"
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMember:
    """A dataset that is to join a collection.

    Args:
        root: its folder.
        robot_type: embodiment; by default that of its `info.json`.
        licence: SPDX id of episodes that do not say.
        weight: how often to draw from it, relative to its number of frames.
        spec: meanings for what the dataset's own spec leaves unknown, camera roles included.
    """

    root: Path
    robot_type: str = ""
    licence: str = ""
    weight: float = 1.0
    spec: Spec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One line of the manifest, checked against the dataset.

    Args:
        name: the last part of its path; the path itself where two share that.
        spec: what its arrays mean: the dataset's own words, and the manifest's where it has none.
        weight: how often to draw from it, relative to its number of frames.
    """

    name: str
    root: Path
    robot_type: str
    licence: str
    episodes: int
    frames: int
    weight: float
    spec: Spec

    @property
    def roles(self) -> dict[str, str]:
        """Role -> camera."""
        return {field.role: field.name for field in self.spec.images if field.role}


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberEpisode:
    """One episode of a collection.

    Args:
        index: its number in the collection.
        from_index: its first frame's number in the collection.
        embodiment: robot type.
        licence: SPDX id: the episode's own, else the member's; empty when nobody says.
        info: as the member has it.
    """

    index: int
    from_index: int
    member: str
    embodiment: str
    licence: str
    info: EpisodeInfo

    @property
    def provenance(self) -> Provenance:
        return self.info.provenance


def spec_digest(spec: Spec) -> str:
    """32 hex digits of everything that a spec says."""
    as_read = Spec.from_json(spec.to_json())  # 10 Hz and 10.0 Hz are one rate
    text = json.dumps(as_read.to_json(), sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def write_collection(folder: Path, members: Sequence[NewMember], *, absolute: bool = False) -> Path:
    """Writes the manifest of a collection and returns its path; the members stay where they are.

    Args:
        folder: new, or with a manifest that is replaced.
        absolute: allow members outside the folder's parent, which are then kept by absolute path.

    Raises:
        BadData: a member is no dataset, lies outside, or does not say its robot; or the folder holds something else.
        SpecMismatch: `spec` of a member contradicts its dataset.
    """
    folder = Path(folder)
    there = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if there and there != [MANIFEST]:
        raise BadData(folder, "folder", f"nothing, or {MANIFEST}", ", ".join(there[:5]))
    if not members:
        raise BadData(folder, "members", "at least one", "none")
    entries = [_entry(folder, member, absolute) for member in members]
    paths = [entry["path"] for entry in entries]
    if len(set(paths)) < len(paths):
        raise BadData(folder, "members", "different datasets", ", ".join(paths))
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / MANIFEST, to_json({"version": _VERSION, "members": entries}))
    return folder / MANIFEST


def _entry(folder: Path, member: NewMember, absolute: bool) -> dict[str, Any]:
    root = Path(member.root)
    dataset = Dataset(root)
    robot = member.robot_type or load_info(root).raw.get("robot_type") or ""
    if not robot:
        raise BadData(root, "robot_type", "a name, in info.json or given", "none")
    spec = _meant(dataset.spec, member.spec, root) if member.spec is not None else dataset.spec
    path = os.path.relpath(root.resolve(), folder.resolve())
    if not _inside(path):
        if not absolute:
            raise BadData(root, "path", f"below {folder.resolve().parent}, or leave to keep absolute paths", path)
        path = str(root.resolve())
    return {
        "path": Path(path).as_posix(),
        "robot_type": robot,
        "licence": member.licence,
        "episodes": len(dataset.episodes),
        "frames": len(dataset),
        "spec_digest": spec_digest(dataset.spec),
        "cameras": {field.role: field.name for field in spec.images if field.role},
        "weight": float(member.weight),
        "spec": spec.to_json(),
    }


def _inside(relative: str) -> bool:
    """Whether a path from a collection's folder stays below the folder's parent."""
    parts = Path(os.path.normpath(relative)).parts
    return not Path(relative).is_absolute() and parts[:2] != ("..", "..") and parts not in ((), ("..",))


def _meant(own: Spec, other: Spec, where: object) -> Spec:
    """`own`, with the words of `other` where it has none; SpecMismatch where both say something else."""
    fields = []
    wrong = [] if own.names == other.names else [f"  fields: {', '.join(own.names)}; {', '.join(other.names)}"]
    for field in own:
        if field.name not in other:
            continue
        changes: dict[str, Any] = {}
        for word in (f.name for f in dataclasses.fields(Field)):
            mine, its = getattr(field, word), getattr(other[field.name], word)
            silent = mine in ("", UNKNOWN, (), None)
            if mine != its and its not in ("", UNKNOWN, (), None):
                if silent:
                    changes[word] = its
                else:
                    wrong.append(f"  {field.name} {word}: the dataset says {mine}, the collection {its}")
        fields.append(dataclasses.replace(field, **changes))
    if own.rate_hz != other.rate_hz:
        wrong.append(f"  rate_hz: the dataset says {own.rate_hz:g}, the collection {other.rate_hz:g}")
    if wrong:
        raise SpecMismatch("\n".join([f"{where}:", *wrong]))
    return Spec(tuple(fields), own.rate_hz)


class Collection:
    """Datasets of several robots, read as one; works as a torch `Dataset`, and is picklable.

    Args:
        path: folder of the collection, or its manifest.
        cameras: `own` keeps every camera under the member's name; `role` keeps those whose role all members have, as
            `observation.images.<role>`.
        delta_timestamps: as for `Dataset`; a key that a member does not have is left out of its items.
        to, images, tolerance_s: as for `Dataset`.
        absolute: the user's word that members may lie outside the collection's parent folder.

    Raises:
        BadData: the manifest is broken, a member is not what it says, or lies outside.
        UnknownName: a key of `delta_timestamps` that no member has.
    """

    def __init__(
        self,
        path: Path,
        *,
        cameras: Literal["own", "role"] = "own",
        delta_timestamps: Mapping[str, Sequence[float]] | None = None,
        to: Literal["numpy", "torch"] = "numpy",
        images: Literal["float32", "uint8"] = "float32",
        tolerance_s: float = 1e-4,
        absolute: bool = False,
    ) -> None:
        self.file = Path(path) / MANIFEST if Path(path).name != MANIFEST else Path(path)
        self.members = _load_members(self.file, absolute)
        self._renamed = _renamed(self.members, cameras)
        self._datasets: list[Dataset] = []
        windows, known = dict(delta_timestamps or {}), set[str]()
        for member, names in zip(self.members, self._renamed, strict=True):
            known |= set(names.values())
            deltas = {own: windows[new] for own, new in names.items() if new in windows}
            dataset = Dataset(member.root, delta_timestamps=deltas, to=to, images=images, tolerance_s=tolerance_s)
            self._datasets.append(dataset.select([own for own in names if own in dataset.spec]))
        for key in windows:
            if key not in known:
                raise UnknownName("feature", key, known)
        self.episodes = self._list_episodes()
        self.tasks = tuple(dict.fromkeys(e.info.instruction for e in self.episodes))
        self._task_numbers = {task: number for number, task in enumerate(self.tasks)}
        self._starts = [sum(m.frames for m in self.members[:i]) for i in range(len(self.members) + 1)]
        self._first_episodes = [sum(m.episodes for m in self.members[:i]) for i in range(len(self.members))]

    def _list_episodes(self) -> tuple[MemberEpisode, ...]:
        """All episodes; position i has index i."""
        episodes: list[MemberEpisode] = []
        first = 0
        for member, dataset in zip(self.members, self._datasets, strict=True):
            for info in dataset.episodes:
                licence = info.provenance.licence or member.licence
                episodes.append(
                    MemberEpisode(
                        index=len(episodes),
                        from_index=first,
                        member=member.name,
                        embodiment=member.robot_type,
                        licence=licence,
                        info=info,
                    )
                )
                first += info.length
        return tuple(episodes)

    @property
    def embodiments(self) -> tuple[str, ...]:
        """Robot types, sorted."""
        return tuple(sorted({member.robot_type for member in self.members}))

    @property
    def roles(self) -> tuple[str, ...]:
        """Camera roles that all members have, sorted."""
        return _common_roles(self.members)

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One frame of a member, with `embodiment`; `index`, `episode_index`, `task_index` count in the collection."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        index = int(index) % len(self)
        number = bisect_right(self._starts, index) - 1
        item = self._datasets[number][index - self._starts[number]]
        names = self._renamed[number]
        renamed = {self._new_name(key, names): value for key, value in item.items()}
        renamed["index"] = item["index"] + self._starts[number]
        renamed["episode_index"] = item["episode_index"] + self._first_episodes[number]
        task = self._task_numbers.get(item["task"], -1)
        renamed["task_index"] = item["task_index"] + (task - int(item["task_index"]))
        renamed["embodiment"] = self.members[number].robot_type
        return renamed

    @staticmethod
    def _new_name(key: str, names: Mapping[str, str]) -> str:
        own = key.removesuffix("_is_pad")
        return names[own] + key[len(own) :] if own in names else key

    def dataset(self, member: str) -> Dataset:
        """The member of that name, as its own dataset, with this collection's windows."""
        for known, dataset in zip(self.members, self._datasets, strict=True):
            if known.name == member:
                return dataset
        raise UnknownName("member", member, [m.name for m in self.members])

    def statistics(self, robot_type: str, name: str) -> Statistics:
        """Of a numeric column over all members with this robot: as if they had been one dataset.

        Raises:
            UnknownName: no such robot, or it has no such column.
            SpecMismatch: members of the robot do not mean the same by it.
        """
        if robot_type not in self.embodiments:
            raise UnknownName("embodiment", robot_type, self.embodiments)
        having = [i for i, m in enumerate(self.members) if m.robot_type == robot_type and name in m.spec]
        if not having or self.members[having[0]].spec[name].is_image:
            valid = {f.name for m in self.members if m.robot_type == robot_type for f in m.spec if not f.is_image}
            raise UnknownName(f"numeric column of {robot_type}", name, valid)
        # The rate says nothing about the values of a column.
        specs = {self.members[i].name: Spec((self.members[i].spec[name],), 1.0) for i in having}
        differing = conflicts(specs, undeclared=False)
        if differing:
            raise SpecMismatch(f"{robot_type}: members do not mean the same by {name}:\n{conflict_table(differing)}")
        return reduce(Statistics.merge, (self._datasets[i].statistics(name) for i in having))


def _common_roles(members: Sequence[Member]) -> tuple[str, ...]:
    return tuple(sorted(set.intersection(*(set(member.roles) for member in members))))


def _renamed(members: Sequence[Member], cameras: str) -> list[dict[str, str]]:
    """For each member, its feature -> the name in the collection's items; what is not in it is left out."""
    if cameras not in ("own", "role"):
        raise UnknownName("choice of cameras", cameras, ("own", "role"))
    renamed = []
    for member in members:
        names = {field.name: field.name for field in member.spec if cameras == "own" or not field.is_image}
        if cameras == "role":
            names |= {member.roles[role]: role_name(role) for role in _common_roles(members)}
        renamed.append(names)
    return renamed


def _load_members(file: Path, absolute: bool) -> tuple[Member, ...]:
    data = load_json(file)
    if data.get("version") != _VERSION:
        raise BadData(file, "version", _VERSION, data.get("version"))
    entries = data.get("members")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise BadData(file, "members", "a list of objects", type(entries).__name__)
    paths = [_path(file, f"members[{i}].path", entry.get("path"), absolute) for i, entry in enumerate(entries)]
    names = [path.name for path in paths]
    return tuple(
        _load_member(file, f"members[{i}]", entry, path, path.name if names.count(path.name) == 1 else str(path))
        for i, (entry, path) in enumerate(zip(entries, paths, strict=True))
    )


def _path(file: Path, where: str, path: object, absolute: bool) -> Path:
    if not isinstance(path, str) or not path or "\0" in path:
        raise BadData(file, where, "a path", repr(path))
    if _inside(path):
        return Path(os.path.normpath(file.parent / path))
    if not Path(path).is_absolute() or not absolute:
        raise BadData(file, where, f"a path below {file.parent.parent}, unless absolute ones are allowed", path)
    return Path(path)


def _load_member(file: Path, where: str, entry: Mapping[str, Any], root: Path, name: str) -> Member:
    dataset = Dataset(root)
    episodes, frames = len(dataset.episodes), len(dataset)
    facts = {"episodes": episodes, "frames": frames, "spec_digest": spec_digest(dataset.spec)}
    for key, true in facts.items():
        if entry.get(key) != true:
            raise BadData(file, f"{where}.{key}", f"{true} as in {root}", entry.get(key))
    for key in ("robot_type", "licence"):
        if not isinstance(entry.get(key), str) or (key == "robot_type" and not entry[key]):
            raise BadData(file, f"{where}.{key}", "a text", repr(entry.get(key)))
    weight = entry.get("weight")
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not math.isfinite(weight) or weight < 0:
        raise BadData(file, f"{where}.weight", "a number of at least 0", repr(weight))
    try:
        said = Spec.from_json(entry["spec"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadData(file, f"{where}.spec", "fields and a rate", repr(error)) from error
    spec = _meant(dataset.spec, said, f"{file}: {where}.spec")
    member = Member(
        name=name,
        root=root,
        robot_type=entry["robot_type"],
        licence=entry["licence"],
        episodes=episodes,
        frames=frames,
        weight=float(weight),
        spec=spec,
    )
    if entry.get("cameras") != member.roles:
        raise BadData(file, f"{where}.cameras", f"{member.roles} as in spec", entry.get("cameras"))
    return member
