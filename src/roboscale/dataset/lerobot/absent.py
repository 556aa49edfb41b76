"""What a LeRobot dataset names and does not have here: pointers, episodes that were never fetched, other folders.

Looks at names of files only; what is inside is told by others.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from roboscale.core import Finding
from roboscale.dataset.checks import finding, many
from roboscale.dataset.lerobot.folder import Folder, Paths
from roboscale.dataset.lerobot.info import Template
from roboscale.dataset.unfetched import find_unfetched

__all__ = ["absent_findings", "fetch_command", "pointer_findings", "unlisted"]

_FILMS = (".mp4", ".mkv", ".avi", ".webm", ".mov", ".m4v")
_HUB_CACHE = re.compile(r"datasets--([^-/][^/]*?)--([^/]+)")
_REMOTE = re.compile(r"url = \S*huggingface\.co/datasets/([\w.-]+/[\w.-]+?)(?:\.git)?\s")


def absent_findings(folder: Folder) -> Iterator[Finding]:
    """Pointers, claimed episodes of which nothing is here, and files that lie in another folder."""
    yield from pointer_findings(folder.root)
    total = len(folder.episodes)
    cameras = {camera: places.paths for camera, places in folder.episodes.videos.items()}
    here = {name: _there(paths, total) for name, paths in {"": folder.episodes.tables, **cameras}.items()}
    elsewhere = [*_elsewhere(folder, {"": folder.episodes.tables}, here), *_elsewhere(folder, cameras, here)]
    yield from elsewhere
    one_file = folder.head.is_v3 and not cameras  # of many episodes: it is said which file that is
    if not elsewhere and not one_file:
        yield from _episodes(folder, here)


def pointer_findings(root: Path) -> Iterator[Finding]:
    """One finding for each kind of thing that lies in a file's place."""
    kinds: dict[str, list[tuple[Path, int]]] = {}
    for path, why in find_unfetched(root):
        kinds.setdefault(f"{why.kind}: {why.advice}", []).append((path, why.size or 0))
    for kind, files in kinds.items():
        size = sum(size for _, size in files) / 1e6
        first = files[0][0].relative_to(root)
        much = f", {size:.4g} MB in all" if size else ""
        text = f"{many(len(files), 'file')}{much}, the first {first}: each is {kind}"
        yield finding("not-fetched", text, field=str(first), evidence={"files": len(files), "megabytes": size})


def fetch_command(root: Path) -> str:
    """What fetches the rest of a dataset, as far as the folder tells where it comes from; empty where it does not."""
    where = shlex.quote(str(root))
    for part in root.absolute().parts:
        cached = _HUB_CACHE.fullmatch(part)
        if cached:
            return f"hf download {cached[1]}/{cached[2]} --repo-type dataset"
    config = root / ".git" / "config"
    if config.is_file():
        remote = _REMOTE.search(config.read_text("utf-8", errors="replace") + "\n")
        name = f"hf download {remote[1]} --repo-type dataset --local-dir {where}" if remote else ""
        return name or f"git -C {where} checkout -- . && git -C {where} lfs pull"
    if (root / ".cache" / "huggingface").is_dir():
        return f"hf download OWNER/NAME --repo-type dataset --local-dir {where}"
    return ""


def _there(paths: Paths, count: int) -> list[bool]:
    seen: dict[Path | None, bool] = {None: False}
    there = []
    for position in range(count):
        path = paths[position]
        if path not in seen:
            seen[path] = path.is_file() or path.is_symlink()  # type: ignore[union-attr]
        there.append(seen[path])
    return there


def _episodes(folder: Folder, here: Mapping[str, Sequence[bool]]) -> Iterator[Finding]:
    """Episodes that the metadata claim and of which no file is here, beside others that are."""
    episodes, total = folder.episodes, len(folder.episodes)
    lost = np.flatnonzero(~np.any([np.array(one, bool) for one in here.values()], axis=0)).tolist()
    if not lost or not total:
        return
    numbers = _ranges([int(episodes.index[i]) for i in lost])
    some = f"{total - len(lost)} here; {numbers} {'is' if len(lost) == 1 else 'are'} not"
    text = f"{many(total)} claimed, {some if len(lost) < total else 'none here'}: {_how(folder)}"
    evidence = {"claimed": total, "here": total - len(lost)}
    yield finding("not-fetched", text, episodes=lost, field="episodes", evidence=evidence)


def _how(folder: Folder) -> str:
    fetch = fetch_command(folder.root)
    return f"fetch the rest: {fetch}" if fetch else "fetch the rest from where it comes, if it was ever uploaded"


def unlisted(folder: Folder) -> str:
    """What to say where totals and splits agree on more episodes than the tables list; empty where they do not."""
    raw, here = folder.head.raw, len(folder.episodes)
    claimed, frames, splits = raw.get("total_episodes"), raw.get("total_frames"), raw.get("splits")
    ends = [str(text).rpartition(":")[2] for text in splits.values()] if isinstance(splits, dict) else []
    if not isinstance(claimed, int) or not isinstance(frames, int) or not 0 < here < claimed:
        return ""
    if frames <= int(folder.episodes.length.sum()) or str(claimed) not in ends:
        return ""
    return f"{claimed} episodes claimed, {here} here: {_how(folder)}; else the metadata can say what is here"


def _ranges(numbers: Sequence[int]) -> str:
    """`3 to 7, 12` and at most four parts of it."""
    edges = np.flatnonzero(np.diff(numbers) != 1) + 1
    parts = [f"{p[0]} to {p[-1]}" if len(p) > 1 else f"{p[0]}" for p in np.split(np.array(numbers), edges)]
    return ", ".join(parts[:4]) + (f" and {len(parts) - 4} more" if len(parts) > 4 else "")


def _elsewhere(folder: Folder, paths: Mapping[str, Paths], here: Mapping[str, Sequence[bool]]) -> Iterator[Finding]:
    """Files that are not where the template leads, and lie at other paths of the same form."""
    key, suffixes = ("data_path", (".parquet",)) if "" in paths else ("video_path", _FILMS)
    template: Template = getattr(folder.head, key)
    lacking = {name: [i for i, there in enumerate(here[name]) if not there] for name in paths}
    lost, total = sum(map(len, lacking.values())), len(paths) * len(folder.episodes)
    if not lost:
        return
    better, count = _better(folder, template, suffixes, paths)
    if count <= total - lost:
        return
    looked = next(one[lacking[name][0]] for name, one in paths.items() if lacking[name])
    text = f"{lost} of {total} files are not where {key} leads (looked for {looked}); {count} lie at {better}"
    evidence = {"claimed": template.text, "found": better, "files": count, "needed": total}
    absent = sorted({i for places in lacking.values() for i in places})
    yield finding("file-elsewhere", text, episodes=absent, field=key, evidence=evidence)


def _better(folder: Folder, claimed: Template, suffixes: Sequence[str], paths: Mapping[str, Paths]) -> tuple[str, int]:
    """The template that leads to most files, and to how many of all episodes and cameras."""
    drafts = Counter(
        draft
        for path in sorted(folder.root.rglob("*"))
        if path.suffix.lower() in suffixes and not path.name.startswith("._")
        if path.relative_to(folder.root).parts[0] != "meta"
        for draft in _drafts(path.relative_to(folder.root), tuple(paths), folder.head.is_v3)
    )
    scores = {}
    for draft, _ in drafts.most_common(24):
        if draft == claimed.text:
            continue
        filled = {name: one.along(Template(folder.root, draft), name) for name, one in paths.items()}
        distinct = len({str(one[0]) for one in filled.values()}) == len(filled)
        scores[draft] = sum(sum(_there(one, len(folder.episodes))) for one in filled.values()) if distinct else 0
    best = max(scores, key=lambda draft: (scores[draft], draft.count("{")), default="")
    return best, scores.get(best, 0)


def _drafts(path: Path, cameras: Sequence[str], is_v3: bool) -> Iterator[str]:
    """Templates of which a path may be one filling."""
    text = str(path.with_suffix(""))
    for camera in sorted((c for c in cameras if c), key=len, reverse=True):
        for word, blank in ((camera, "{video_key}"), (camera.rsplit(".", 1)[-1], "{camera}")):
            if re.search(rf"(?<![\w.]){re.escape(word)}(?![\w.])", text):
                text = re.sub(rf"(?<![\w.]){re.escape(word)}(?![\w.])", blank, text)
                break
    numbers = list(re.finditer(r"\d+", text))
    if not numbers:
        return
    last = "file_index" if is_v3 else "episode_index"
    chunk = "chunk_index" if is_v3 else "episode_chunk"
    for chunks in (True, False):
        out, end = "", len(text)
        for place, match in enumerate(reversed(numbers)):
            blank = last if place == 0 else chunk if chunks and place == 1 else ""
            if blank:
                width = len(match[0])
                spec = f":0{width}d" if width > 1 else ""
                out = f"{{{blank}{spec}}}{text[match.end() : end]}{out}"
                end = match.start()
        yield f"{text[:end]}{out}{path.suffix}"
