"""What a selection of `data curate` means to jobs that copy episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from roboscale.core import BadData, Finding, Span
from roboscale.curate.selection import read_selection
from roboscale.dataset import Dataset
from roboscale.dataset.edits import Corrections, Kept
from roboscale.jobs.recordings import Opened

__all__ = ["selected_frames", "selection_findings", "selections_of"]


def selected_frames(path: Path, dataset: Dataset, keys: Sequence[str]) -> tuple[Corrections, dict[str, str]]:
    """What is cut of the episodes that are kept in part; keys of episodes that are left out, and why.

    BadData where several parts of one episode are kept that do not follow: between them the robot would jump.
    """
    selection = read_selection(path)
    frames: dict[str, Kept] = {}
    pieces: dict[str, tuple[Kept, ...]] = {}
    kept = set()
    for index, some in groupby(selection.of(dataset), key=lambda part: part.index):
        parts, key, last = list(some), keys[index], dataset.episodes[index].length - 1
        if not all(part.follows for part in parts[1:]):
            expected = (
                "one range an episode, since a copied episode is one piece; `policy train --selection` takes several"
            )
            raise BadData(path, f"episode {dataset.episodes[index].id}", expected, "several ranges")
        kept.add(key)
        if len(parts) > 1:
            pieces[key] = tuple(Kept(part.first, part.last) for part in parts)
        elif (parts[0].first, parts[0].last) != (0, last):
            frames[key] = Kept(parts[0].first, parts[0].last)
    reasons = {row.episode: row.reason for row in selection.dropped}
    left = {
        keys[e.index]: reasons.get(e.id, "the selection does not mention it")
        for e in dataset.episodes
        if keys[e.index] not in kept
    }
    return Corrections(frames=frames, pieces=pieces), left


def selection_findings(file: Path, root: Path) -> list[Finding]:
    """What a selection says of each episode, for a timeline: its score, its place, and the frames that are cut."""
    selection, dataset = read_selection(file), Dataset(root)
    parts = selection.of(dataset)
    index = {episode.id: episode.index for episode in dataset.episodes}
    scores = {row.episode: row.score for row in selection.kept} | {r.episode: r.score for r in selection.dropped}
    known = sorted((score for score in scores.values() if score is not None), reverse=True)
    reasons = {row.episode: row.reason for row in selection.kept} | {r.episode: r.reason for r in selection.dropped}
    findings = []
    for id_, score in scores.items():
        frames = [(part.first, part.last) for part in parts if part.index == index[id_]]
        place = "" if score is None else f", score {score:.3g}, number {known.index(score) + 1} of {len(known)}"
        what = f"kept{place}" if frames else f"left out{place}"
        findings.append(
            Finding(
                f"selection by {selection.method}",
                "info" if frames else "warning",
                f"{what}: {reasons[id_]}" if reasons[id_] else what,
                evidence={} if score is None else {"selection score": score},
                episodes=(index[id_],),
                spans=_cut(index[id_], frames, dataset.episodes[index[id_]].length),
            )
        )
    return findings


def _cut(index: int, kept: Sequence[tuple[int, int]], length: int) -> tuple[Span, ...]:
    """The frames between what is kept."""
    spans, begin = [], 0
    for first, last in [*sorted(kept), (length, length)]:
        if first > begin:
            spans.append(Span(index, begin, first - 1))
        begin = last + 1
    return tuple(spans)


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
