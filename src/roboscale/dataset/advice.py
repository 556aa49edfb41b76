"""Which command mends what was found: one that runs on the dataset as it is, or none.

A v3 dataset is fixed, in place or into a copy; one of v2.x is imported, by one command whose flags follow from all
that was found. Tests run every command that is named here.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from roboscale.core import Finding
from roboscale.dataset.checks import BROKEN, CHECKS, METADATA, SEAL, V2

__all__ = ["with_repairs"]

_IMPORTED = (
    *(
        "file-elsewhere",
        "names-nested",
        "names-count",
        "total-episodes",
        "total-frames",
        "total-tasks",
        "total-videos",
    ),
    *("codebase-version", "splits-range", "episode-order", "episode-length", "column-missing", "column-undeclared"),
    *("column-type", "frame-index", "row-order", "index-column", "task-unused", "video-surplus", "video-codec"),
    *("video-size", "video-pixel-format", "stats-missing", "missing-quantiles", "stats-wrong", "quantiles-averaged"),
    *("quantiles-envelope", "quantiles-wrong", "image-stats-wrong", "episode-stats-wrong"),
)
"""What is not there any more in the dataset that an import makes."""
_BROKEN = (
    "file-missing",
    "file-broken",
    "episode-unreadable",
    "video-frames",
    "not-finite",
    "null-values",
    "not-fetched",
)
"""For what an import leaves an episode out, where it is told to."""
_ROWS_BETWEEN = "frame_index: expected a row of every frame"
_GONE = ("file-missing", "file-broken", "not-fetched")
_UNREADABLE = (*_GONE, "missing-video", "video-frames", "null-values", "unreadable-pictures")


def with_repairs(findings: Iterable[Finding], root: Path, format: str, total: int = 0) -> list[Finding]:
    """Fills in the command that mends each finding, where there is one and the finding has none.

    Args:
        format: as in `Recording.format`: a v3 dataset is fixed, one of v2.x is imported.
        total: episodes there are; dropping more than half of them is no repair.
    """
    where, advised = shlex.quote(str(root)), list(findings)
    if any(one.check == "not-fetched" and not one.episodes for one in advised):
        return [dataclasses.replace(one, repair="") for one in advised]  # what is not here is fetched before all else
    if any(one.check == "unfinished-transfer" for one in advised):
        return [one if one.check == "unfinished-transfer" else _told(one, "") for one in advised]
    elsewhere = _elsewhere(advised)
    if format in V2 or (format == "lerobot-v3" and elsewhere):
        command = _import_command(advised, where, elsewhere, total)
        mended = _mended_by_import(command)
        fit = [
            (one.check in mended and not one.evidence.get("kept")) or (bool(command) and _mendable(one))
            for one in advised
        ]
        return [_told(one, command) if ok and not one.repair else one for one, ok in zip(advised, fit, strict=True)]
    if format != "lerobot-v3":
        return advised
    told = [one if one.repair else _told(one, _fix(one, where, total)) for one in advised]
    if _beyond_mending(told):
        renamed = f"roboscale data import {where} OUT"  # calls them otherwise, and fix does not
        return [
            _told(one, renamed if one.check == "feature-broken" and _mendable(one) else "")
            if where in one.repair
            else one
            for one in told
        ]
    return _copied_without(_as_one_copy(_without_cameras(told, where), where, total), where)


def _beyond_mending(findings: Iterable[Finding]) -> bool:
    """Whether `data fix` would refuse: nothing says the rate, whose the rows are, or what a feature is called."""
    checks = [(one.check, one.field) for one in findings]
    lost = (("info-broken", "fps"), ("info-broken", "features"), ("info-broken", "meta/info.json"))
    refused = any(one.evidence.get("refused") and (one.check, one.field) in lost for one in findings)
    slash = any(check == "feature-broken" and "/" in field for check, field in checks)
    places = any(check == "episode-columns" and field.startswith("videos/") for check, field in checks)
    return refused or slash or places or ("column-missing", "episode_index") in checks or "no-episodes" in dict(checks)


def _without_cameras(told: list[Finding], where: str) -> list[Finding]:
    """One command that leaves out every camera that is gone: a copy fails for the first that is not there."""
    gone = dict.fromkeys(one.field for one in told if one.check == "missing-video" and "--drop-camera" in one.repair)
    flags = "".join(f" --drop-camera {shlex.quote(camera)}" for camera in gone)
    command = f"roboscale data fix {where} OUT{flags}"
    return [_told(one, command) if one.check == "missing-video" and one.field in gone else one for one in told]


def _as_one_copy(told: list[Finding], where: str, total: int) -> list[Finding]:
    """Where files are gone, or several kinds of damage meet, only a copy of what can be read is mended."""
    kinds = {one.check for one in told if one.check in _UNREADABLE}
    alone = {i for one in told if one.check == "episode-unreadable" for i in one.episodes}
    if any(_of_some(one, total) for one in told):
        kinds.add("video-size")
    orphans = any(one.check == "orphan-rows" for one in told)  # in place, these would go
    unlisted = any(_lists_fewer(one, orphans) for one in told)
    unlisted |= any(one.check == "episode-unreadable" and _ROWS_BETWEEN in one.text for one in told)
    if not kinds & {*_GONE} and len(kinds) < 2 and len(alone) < 2 and "video-size" not in kinds and not unlisted:
        return told
    if alone:
        kinds.add("episode-unreadable")
    lost = {i for one in told if one.check in kinds for i in one.episodes if "--drop-camera" not in one.repair}
    somewhere = any(
        one.check == "null-values" and not one.episodes for one in told
    )  # nobody can say whose rows they are
    copy = BROKEN.format(root=where) if len(lost) < total and not somewhere else ""
    instead = {METADATA.format(root=where): copy, BROKEN.format(root=where): copy, SEAL.format(root=where): ""}
    return [
        _told(one, copy if one.check in kinds and _drops(one) else instead.get(one.repair, one.repair)) for one in told
    ]


def _copied_without(told: list[Finding], where: str) -> list[Finding]:
    """Commands that copy for another reason leave out what cannot be copied, too: else they fail over it."""
    copy = f"roboscale data fix {where} OUT"
    lost = [one for one in told if one.check in _UNREADABLE]
    cameras = {one.repair.removeprefix(copy) for one in lost if "--drop-camera" in one.repair}
    flags = "".join(sorted(cameras))
    if any(one.episodes and "--drop-camera" not in one.repair for one in lost):
        flags += " --drop-broken"
    others = {one.repair for one in told if one.repair.startswith(copy)} - {one.repair for one in lost}
    return [
        _told(one, one.repair + flags) if flags and one.repair in others and flags not in one.repair else one
        for one in told
    ]


def _drops(one: Finding) -> bool:
    return " --drop " in one.repair or one.check == "video-size"


def _of_some(one: Finding, total: int) -> bool:
    """Whether some files of a camera have another size: it has one in `info.json`, and in any dataset."""
    return one.check == "video-size" and 0 < len(one.episodes) < total


def _lists_fewer(one: Finding, orphans: bool) -> bool:
    """Whether the table of episodes has gaps, or fewer than all else claims while their rows are here."""
    gaps = one.check == "episode-order" and one.evidence.get("lacking")
    return bool(gaps or (orphans and one.evidence.get("unlisted")))


def _mendable(one: Finding) -> bool:
    """What the reader could say without a guess: whoever writes the metadata again mends it."""
    return bool(one.evidence.get("mendable"))


def _told(one: Finding, command: str) -> Finding:
    return dataclasses.replace(one, repair=command)


def _elsewhere(findings: Iterable[Finding]) -> str:
    """Flags that lead an import to files in other folders."""
    flags = ""
    for one in findings:
        if one.check == "file-elsewhere":
            flags += f" --{one.field.replace('_', '-')} {shlex.quote(str(one.evidence['found']))}"
    return flags


def _import_command(findings: Sequence[Finding], where: str, elsewhere: str, total: int) -> str:
    """The import that runs, whatever was found; empty where it would refuse, or keep less than half."""
    refused = {(one.check, one.field) for one in findings if one.evidence.get("refused")}
    if refused - {("path-template", one.field) for one in findings if one.check == "file-elsewhere"}:
        return ""  # the command says templates anew, and nothing else
    flags, partly = (
        elsewhere,
        [f for f in findings if f.check == "file-elsewhere" and f.evidence["files"] < f.evidence["needed"]],
    )
    lost = {i for one in findings if one.check in _BROKEN for i in one.episodes}
    lost |= {i for one in findings if _of_some(one, total) for i in one.episodes}
    lost |= {i for one in findings for i in one.evidence.get("empty", ()) if one.check == "episode-location"}
    if len(lost) == total and total:
        return ""  # nothing would arrive
    if len(lost) > total / 2 and not any(one.check == "not-fetched" for one in findings):
        return ""
    moved = any(one.check == "file-elsewhere" and one.field == "video_path" for one in findings)
    missing = [one for one in findings if one.check == "missing-video" and one.episodes and not moved]
    if any(len({*one.episodes} - lost) > total / 2 for one in missing):
        flags += " --missing-video drop-camera"
    elif (
        missing or any(one.field == "video_path" for one in partly) or any(f.check == "not-fetched" for f in findings)
    ):
        flags += " --missing-video drop-episodes"
    if lost or any(one.field == "data_path" for one in partly):
        flags += " --broken drop"
    return f"roboscale data import {where} OUT{flags}"


def _mended_by_import(command: str) -> tuple[str, ...]:
    if not command:
        return ()
    checks: tuple[str, ...] = _IMPORTED
    checks += ("missing-video", "not-fetched") if "--missing-video" in command else ()
    checks += ("missing-video",) if "--video-path" in command else ()
    return checks + (_BROKEN if "--broken drop" in command else ())


def _fix(one: Finding, where: str, total: int) -> str:
    check = CHECKS.get(one.check)
    template = check.repair if check is not None else ""
    if one.check == "missing-video" and one.field and total and len(one.episodes) > total / 2:
        return f"roboscale data fix {where} OUT --drop-camera {shlex.quote(one.field)}"
    if one.evidence.get("annotated"):
        return ""  # columns of annotations number the same texts, so none is taken out
    if one.evidence.get("kept"):
        return ""  # such as depth, whose metadata only its writer can judge
    if one.evidence.get("by range"):
        return ""  # nobody is lost by a split that is said in another way, and only its author knows in which
    if _mendable(one):
        return METADATA.format(root=where)
    if "{episodes}" in template and not 0 < len(one.episodes) <= (total / 2 if total else len(one.episodes)):
        return ""
    return template.format(root=where, episodes=",".join(map(str, one.episodes)))
