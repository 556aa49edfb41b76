"""Episodes whose files lie side by side, told apart by a number in their names.

    states/ep_000.npy  actions/ep_000.npy  front/ep_000.mp4      a folder for each kind
    ep0_state.npy  ep0_action.npy  ep1_state.npy  ...            one folder for all
    task_0/episode_0.npz  task_0/episode_1.npz  task_1/...       folders of tasks or splits, a file an episode
    episode_0.hdf5  episode_0.mp4  episode_1.hdf5  ...           numbers and pictures of an episode

Knows names only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

__all__ = ["episodes_within", "files_beside"]

_NAME = re.compile(r"(?P<before>.*?)(?P<number>\d+)(?P<after>\D*)$")
_EPISODE = re.compile(r"(^|[^a-z])(ep|eps|episode|demo|traj|trajectory|run|trial|rollout|take|seq)?[^a-z]?$", re.I)
_OF_EPISODES = re.compile(r"(.*[^a-z])?(ep|eps|episode|demo|traj|trajectory|run|trial|rollout|take|seq)[^a-z]*", re.I)
_TEXTS = ".txt"
_SINGLE = (".npy", ".mp4", ".mkv", ".avi", ".webm", ".mov", ".m4v")  # one array or camera: a kind, no whole episode

Place = tuple[Path, str, str, str]
"""Folder, and the name of a file without its number: what is before, what is after, and its ending."""


def files_beside(root: Path, paths: Iterable[Path]) -> dict[int, Mapping[str, Path]]:
    """Number of an episode -> its files by short names; empty where the files do not lie like that.

    Args:
        paths: of all files of data, videos and texts below `root`.
    """
    places: dict[Place, dict[int, Path]] = {}
    for path in paths:
        match = _NAME.fullmatch(path.stem)
        if match is None and path.suffix == _TEXTS:
            continue  # a readme
        if match is None:
            return {}
        place = (path.parent, match["before"], match["after"], path.suffix)
        if places.setdefault(place, {}).setdefault(int(match["number"]), path) != path:
            return {}  # ep_1 and ep_01
    data = {place: files for place, files in places.items() if place[3] != _TEXTS}
    numbers = sorted({number for files in data.values() for number in files})
    alike = all(2 * len(files) > len(numbers) for files in data.values())
    if len(data) < 2 or len(numbers) < 2 or not alike or _are_episodes(data):
        return {}
    names = _short_names(root, list(places))
    return {n: {names[place]: files[n] for place, files in places.items() if n in files} for n in numbers}


def episodes_within(folders: Mapping[Path, Sequence[Path]]) -> list[Path]:
    """The files of all folders, where each is an episode: they differ in the number of an episode alone.

    Args:
        folders: folder -> its files of data and videos.

    >>> folders = {Path(task): [Path(task, f"episode_{i}.npz") for i in range(2)] for task in ("push", "pull")}
    >>> [str(path) for path in episodes_within(folders)]
    ['push/episode_0.npz', 'push/episode_1.npz', 'pull/episode_0.npz', 'pull/episode_1.npz']
    """
    names = [[(path.suffix, _NAME.fullmatch(path.stem)) for path in files] for files in folders.values()]
    kinds = {(suffix, m["before"], m["after"]) if m else None for each in names for suffix, m in each}
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind is None or kind[0] in _SINGLE or not _OF_EPISODES.fullmatch(kind[1]):
        return []
    several = all(names) and any(len(each) > 1 for each in names)
    return [path for files in folders.values() for path in files] if several else []


def _are_episodes(places: Iterable[Place]) -> bool:
    """Whether the folders are episodes, not kinds: they have numbers and no names, or their files are not episodes."""
    folders = {place[0] for place in places}
    bare = {re.sub(r"\d+", "", str(folder)) for folder in folders}
    named = all(_EPISODE.search(before) for _, before, _, _ in places)
    return len(folders) > 1 and (len(bare) < len(folders) or not named)


def _short_names(root: Path, places: list[Place]) -> dict[Place, str]:
    """The folder of each kind, or where one folder holds several the part of the name that tells them apart."""
    names = {}
    for place in places:
        folder, before, after, ending = place
        others = [one for one in places if one[0] == folder]
        inside = "" if folder == root else str(folder.relative_to(root))
        own = ""
        if len(others) > 1:
            choices = [(one[2].strip("_-. "), one[1].strip("_-. "), one[3].lstrip(".")) for one in others]
            parts = (after.strip("_-. "), before.strip("_-. "), ending.lstrip("."))
            telling = [k for k in range(3) if parts[k] and len({choice[k] for choice in choices}) == len(others)]
            own = parts[telling[0]] if telling else f"{before}{after}{ending}"
        names[place] = "/".join(part for part in (inside, own) if part)
    return names
