"""What a selection of `data curate` means to jobs that copy episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from roboscale.core import BadData
from roboscale.curate.selection import read_selection
from roboscale.dataset import Dataset
from roboscale.dataset.edits import Kept
from roboscale.jobs.recordings import Opened

__all__ = ["selected_frames", "selections_of"]


def selected_frames(path: Path, dataset: Dataset, keys: Sequence[str]) -> tuple[dict[str, Kept], dict[str, str]]:
    """Keys of episodes of which a part is kept, and which; those of episodes that are left out, and why.

    BadData where several parts of one episode are kept: between them the robot would jump.
    """
    selection = read_selection(path)
    frames: dict[str, Kept] = {}
    whole = set()
    for part in selection.of(dataset):
        key, last = keys[part.index], dataset.episodes[part.index].length - 1
        if key in whole or key in frames:
            expected = (
                "one range an episode, since a copied episode is one piece; `policy train --selection` takes several"
            )
            raise BadData(path, f"episode {dataset.episodes[part.index].id}", expected, "several ranges")
        if (part.first, part.last) == (0, last):
            whole.add(key)
        else:
            frames[key] = Kept(part.first, part.last)
    reasons = {row.episode: row.reason for row in selection.dropped}
    left = {
        keys[e.index]: reasons.get(e.id, "the selection does not mention it")
        for e in dataset.episodes
        if keys[e.index] not in whole and keys[e.index] not in frames
    }
    return frames, left


def selections_of(files: Sequence[Path], members: Mapping[str, Opened]) -> dict[str, Path]:
    """Member -> the selection that was made from it, told by the ids of episodes.

    BadData where a file speaks of no member, of several, or of one that another file speaks of as well.
    """
    ids = (
        {name: {e.id for e in Dataset(one.recording.root).episodes} for name, one in members.items()} if files else {}
    )
    chosen: dict[str, Path] = {}
    for file in files:
        selection = read_selection(file)
        said = {row.episode for row in selection.kept} | {row.episode for row in selection.dropped}
        mine = [name for name, own in ids.items() if said & own]
        if len(mine) != 1:
            raise BadData(file, "episodes", f"those of one of {', '.join(ids)}", ", ".join(mine) or "of none")
        if mine[0] in chosen:
            raise BadData(file, "dataset", "one that no other selection speaks of", f"{mine[0]}, as {chosen[mine[0]]}")
        chosen[mine[0]] = file
    return chosen
