"""The table of checks: a stable name, how bad it is, what it means, and the command that mends it.

Documentation prints this table. Knows no data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from roboscale.core import Finding, Severity, Span

__all__ = [
    "BROKEN",
    "CHECKS",
    "FILES",
    "METADATA",
    "PICTURES",
    "POLICY",
    "SEAL",
    "SEVERITIES",
    "V2",
    "Check",
    "checks_table",
    "finding",
    "many",
    "means_nothing",
]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
"""From bad to harmless."""

V2 = ("lerobot-v2.1", "lerobot-v2.0", "gr00t")
"""Formats of LeRobot v2.x."""
METADATA = "roboscale data fix {root} --metadata"
_DROP = "roboscale data fix {root} OUT --drop {episodes}"
_TRIM = "roboscale data fix {root} OUT --trim-idle"
_MOVING = "roboscale data curate {root} rest.json --method rest"
BROKEN = "roboscale data fix {root} OUT --drop-broken"
SEAL = "roboscale data fix {root}"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table. `repair` is a template of `root` and `episodes`; empty where only a person can mend."""

    name: str
    severity: Severity
    meaning: str
    repair: str = ""


_FILES = (
    Check("info-broken", "error", "info.json is missing, is no JSON, or a key of it has another type."),
    Check("lance-layout", "error", "Rows or pictures are kept in Lance tables, which are not read."),
    Check("path-template", "error", "A path template of info.json cannot be filled in or leads outside.", METADATA),
    Check("feature-broken", "error", "A feature has no usable name, dtype or shape.", METADATA),
    Check("names-nested", "warning", "The names of a feature are a list within a list.", METADATA),
    Check("names-count", "warning", "A feature has more or fewer names than elements.", METADATA),
    Check("total-episodes", "error", "info.json claims another number of episodes than there are.", METADATA),
    Check("total-frames", "error", "info.json claims another number of frames than there are.", METADATA),
    Check("total-tasks", "error", "info.json claims another number of tasks than there are.", METADATA),
    Check("total-videos", "warning", "info.json of v2.x claims another number of videos than there are."),
    Check("codebase-version", "warning", "info.json says a version that is not known, or not that of the statistics."),
    Check("modality", "warning", "modality.json names elements twice, not at all, or what is not there."),
    Check("splits-range", "warning", "A split names episodes that are not there.", METADATA),
    Check("no-episodes", "error", "There is no episode."),
    Check("file-broken", "error", "A file cannot be read: cut off, empty, or something else.", BROKEN),
    Check(
        "not-fetched",
        "error",
        "Files, or whole episodes, were not fetched: pointers, links, or nothing at all.",
        BROKEN,
    ),
    Check("file-elsewhere", "error", "Files lie in another folder than the path template of info.json says."),
    Check("file-missing", "error", "The metadata name a data file that is not there.", BROKEN),
    Check(
        "file-unreferenced",
        "warning",
        "A data or video file that no episode names; some loaders read it all the same.",
    ),
    Check("episode-columns", "error", "The episode table lacks a column that loaders need.", METADATA),
    Check("episode-order", "error", "Row i of the episode table is not episode i; loaders look up by row.", METADATA),
    Check("episode-range", "error", "dataset_from_index or dataset_to_index is not where the rows are.", METADATA),
    Check("episode-length", "error", "An episode's claimed length is not its number of rows.", METADATA),
    Check("episode-location", "error", "An episode's rows are not in the file that the metadata name.", METADATA),
    Check("orphan-rows", "error", "Data rows that belong to no episode.", METADATA),
    Check("column-missing", "error", "A declared feature has no column in the data.", METADATA),
    Check("column-undeclared", "warning", "A data column that no feature declares.", METADATA),
    Check("column-type", "error", "A column has another dtype or shape than its feature declares.", METADATA),
    Check("null-values", "error", "A column holds nulls.", _DROP),
    Check("frame-index", "error", "frame_index does not count 0, 1, 2, ... within an episode.", METADATA),
    Check("row-order", "error", "Rows of an episode lie in another order than their frames.", METADATA),
    Check("index-column", "error", "index does not count through the dataset.", METADATA),
    Check("timestamp-column", "error", "timestamp is not frame / fps, within .1 ms.", METADATA),
    Check("task-index", "error", "task_index points to no task, or to another than the episode's.", METADATA),
    Check("several-tasks", "info", "The instruction changes within an episode."),
    Check("tasks-table", "error", "tasks.parquet is missing, broken, or its indices do not count from 0.", METADATA),
    Check("task-unused", "info", "A task that no episode has.", METADATA),
    Check("sidecar", "error", "meta/roboscale/ disagrees with LeRobot's files.", METADATA),
    Check("unsealed-episodes", "warning", "Saved episodes that LeRobot cannot see yet.", SEAL),
    Check("unfinished-transfer", "error", "An import, merge or copy was killed, failed, or is still under way."),
    Check("not-readable", "warning", "roboscale's loader refuses what LeRobot's may train on."),
)
_VIDEO = (
    Check("missing-video", "error", "A camera's video is not there.", _DROP),
    Check("video-frames", "error", "A video ends before the frames that its episodes claim.", _DROP),
    Check("video-surplus", "warning", "A video holds frames that no episode shows, such as discarded takes."),
    Check("video-codec", "error", "A video has another codec than info.json says.", METADATA),
    Check("video-size", "error", "A video has another height or width than info.json says.", METADATA),
    Check("video-fps", "error", "A video has another rate than info.json says."),
    Check("video-pixel-format", "warning", "A video has another pixel format than info.json says.", METADATA),
    Check("video-gop", "warning", "Key frames are further apart than info.json says, or than 60 frames."),
    Check("video-timing", "error", "Frames inside a video are not at multiples of 1/fps."),
    Check("video-sound", "info", "A video has sound, unlike the first of its camera; it is not carried."),
    Check("video-timestamps", "error", "from_timestamp or to_timestamp drifts from frames / fps.", METADATA),
)
_STATISTICS = (
    Check("stats-missing", "error", "stats.json, or the statistics of a feature, are not there.", METADATA),
    Check("missing-quantiles", "warning", "The statistics have no quantiles, which newer policies need.", METADATA),
    Check("stats-wrong", "error", "Recomputed min, max, mean, std or count differ from stats.json.", METADATA),
    Check("quantiles-averaged", "warning", "Quantiles are the mean of the episodes' quantiles.", METADATA),
    Check("quantiles-envelope", "warning", "Quantiles are the extremes of the episodes' quantiles.", METADATA),
    Check("quantiles-wrong", "warning", "Recomputed quantiles differ from stats.json; far off, an error.", METADATA),
    Check(
        "image-stats-wrong", "warning", "A camera's mean colour is not that of its pictures, or misshapen.", METADATA
    ),
    Check("episode-stats-wrong", "error", "An episode's own statistics are not those of its rows.", METADATA),
)
_TEXT = (
    Check("task-empty", "error", "Episodes without an instruction."),
    Check("task-placeholder", "warning", "An instruction that is a placeholder, such as 'test'."),
    Check("task-one-word", "warning", "An instruction of one word."),
    Check("task-duplicate", "warning", "Instructions that differ by case, spaces or a full stop only."),
    Check("task-imbalance", "info", "A task has a tenth of the median task's frames, or less."),
    Check("licence-missing", "warning", "No licence in README card, LICENSE, info.json or provenance."),
)
_NUMBERS = (
    Check("episode-unreadable", "error", "An episode cannot be read.", _DROP),
    Check("one-frame-episode", "error", "An episode of a single frame.", _DROP),
    Check("outlier-length", "warning", "An episode over 4 times, or under a quarter of, the median length.", _DROP),
    Check("not-finite", "error", "NaN or infinity.", _DROP),
    Check("clock-backwards", "error", "A column of real times does not increase.", _DROP),
    Check("constant-dimension", "warning", "A dimension that never changes in the whole dataset."),
    Check("duplicate-dimension", "warning", "Two dimensions of a field are the same column."),
    Check("idle-lead", "warning", "Nothing moves for a second or more at the beginning.", _TRIM),
    Check("idle-tail", "warning", "Nothing moves for a second or more at the end.", _TRIM),
    Check("resting", "warning", "Nothing is asked of the robot in a quarter of all frames or more.", _MOVING),
    Check("spikes", "warning", "A value jumps away and back within one frame."),
    Check("sign-flip", "warning", "A quaternion turns into its negative: the same rotation in other numbers."),
    Check("wrap-around", "warning", "An angle leaps by a whole turn."),
    Check("frozen-state", "warning", "The state stands still to the last bit while the action moves on."),
    Check("dead-element", "warning", "An element never changes in an episode, and moves far in most."),
    Check("clipped-command", "warning", "A command sits at its limit for a third of an episode, unlike in others."),
    Check("clock-rate", "warning", "A recorded clock ran at another rate than declared, or lost frames."),
    Check("saturation", "warning", "A dimension sits at its smallest or largest value for over a quarter of frames."),
    Check("action-copies-state", "warning", "The action is the state of the same frame: it teaches nothing."),
    Check("action-later-state", "warning", "The action is the state of a later frame: no command was recorded."),
    Check("action-sign", "warning", "An element of the action runs against its state, the others with theirs."),
    Check("action-unit", "warning", "Action and state differ by degrees and radians, or metres and millimetres."),
    Check("action-ignored", "error", "No delay makes the actions explain the motion.", _DROP),
    Check("action-lag", "warning", "The delay from action to motion differs from the rest of the dataset.", _DROP),
    Check(
        "action-space", "warning", "The action is in another space than its names, or than the action beside it, say."
    ),
    Check("action-beside", "info", "What was requested and what was executed are both recorded, and differ."),
    Check("camera-off-hand", "warning", "Extrinsics of a held camera do not move as the hand that holds it."),
    Check("dead-taxel", "warning", "An element of a sensor of touch or force never changes while the others do."),
    Check("drifting-zero", "warning", "The reading at rest of a sensor of touch or force drifts over the episodes."),
    Check("touch-saturation", "warning", "A sensor of touch or force stays at the end of its range."),
    Check("corrected-frames", "info", "A person took over for some frames."),
    Check("attempt-failed", "info", "An attempt ends without success, as a column says."),
    Check("gripper-sign", "warning", "The gripper runs the other way than in the rest of the dataset."),
    Check("unit-mismatch", "error", "Members differ by degrees and radians, or metres and millimetres."),
    Check("distribution-shift", "info", "The last third of the episodes moves elsewhere than the first did."),
    Check("near-duplicate", "warning", "Episodes with nearly the same numbers.", _DROP),
    Check("leaked-episode", "error", "An episode that is also in the other dataset.", _DROP),
    Check("split-leak", "error", "An episode is in two splits, such as validation data in train.", _DROP),
)
_CAPTURES = (
    Check("pretrain-only", "info", "Auxiliary targets and no action: nobody states how accurate the poses are."),
    Check("held-poses", "warning", "A pose of a hand or tool is repeated to the last bit: it was held, not measured."),
    Check("interpolated-poses", "warning", "Poses lie on straight lines between others: they were filled in."),
    Check("unreachable-poses", "warning", "Captured poses are out of reach of the arm that was asked to follow."),
    Check("too-fast-poses", "warning", "Captured poses ask more speed of a joint than that arm has."),
    Check("self-colliding-poses", "warning", "That arm would touch itself at captured poses."),
    Check("sigma-not-positive", "error", "A stated error of 0 or less."),
)
PICTURES = (
    Check("unreadable-pictures", "error", "Pictures that cannot be decoded.", _DROP),
    Check("black-camera", "error", "Pictures of one colour.", _DROP),
    Check("frozen-camera", "error", "The picture stands still while the robot moves.", _DROP),
    Check("swapped-cameras", "error", "Two cameras are exchanged in some episodes."),
)
POLICY = (
    Check("policy-input", "error", "What the policy class reads is not there."),
    Check("policy-size", "error", "States, actions or pictures have a size that the policy class does not take."),
    Check("policy-normalisation", "warning", "What the class divides by is 0, or set by a few far values."),
    Check(
        "policy-chunk", "warning", "Episodes are shorter than what the class predicts at once, or never trained on."
    ),
    Check("policy-text", "warning", "Instructions are empty, all the same, or longer than the class reads."),
    Check("policy-unused", "info", "Fields that the class does not read."),
    Check("policy-rate", "info", "How long a chunk of the class lasts at this rate, and how much of it is padding."),
)
"""Made where somebody names a policy class."""

FILES = (*_FILES, *_VIDEO, *_STATISTICS)
"""Checks of LeRobot's files and metadata; the others look at what any recording holds."""

CHECKS: Mapping[str, Check] = MappingProxyType(
    {c.name: c for c in (*FILES, *_TEXT, *_NUMBERS, *_CAPTURES, *PICTURES, *POLICY)}
)
"""Name -> check, in the order in which they run."""

_NO_FILES = "the format has no such metadata; its reader says what is wrong with its own"
_ONE_FILE = "a file is an episode"
_NOT_V2: Mapping[str, str] = MappingProxyType(
    {
        "episode-range": "there is no dataset_from_index",
        "video-timestamps": _ONE_FILE,
        "sidecar": "roboscale writes v3 only",
        "unsealed-episodes": "roboscale writes v3 only",
        "unfinished-transfer": "roboscale writes v3 only",
        "not-readable": "roboscale's loader reads v3 only; import makes it so",
    }
)
_NOT_V3: Mapping[str, str] = MappingProxyType({"total-videos": "there is no total_videos"})


def means_nothing(check: str, format: str) -> str:
    """Why a check means nothing for a format; empty where it can be made.

    Args:
        format: as in `Recording.format`.
    """
    if check == "modality":
        return "" if format == "gr00t" else "only GR00T has modality.json"
    if format == "lerobot-v3":
        return _NOT_V3.get(check, "")
    if format in V2:
        return _NOT_V2.get(check, "")
    return _NO_FILES if any(one.name == check for one in FILES) else ""


def checks_table() -> str:
    """Markdown: every check, and for each kind of format whether it is made, or why it means nothing there."""
    reasons: list[str] = []

    def mark(why: str) -> str:
        if not why:
            return "yes"
        if why not in reasons:
            reasons.append(why)
        return f"{reasons.index(why) + 1}"

    formats = ("lerobot-v3", "lerobot-v2.1", "gr00t", "rlds")
    lines = ["| check | severity | what it means | v3 | v2.x | GR00T | others |", "|" + " --- |" * 7]
    for name, check in CHECKS.items():
        cells = [mark(means_nothing(name, format)) for format in formats]
        lines.append(f"| `{name}` | {check.severity} | {check.meaning} | {' | '.join(cells)} |")
    notes = [f"{number}. {why}" for number, why in enumerate(reasons, 1)]
    return "\n".join([*lines, "", "A number instead of a yes says why the check means nothing there:", "", *notes])


def many(count: int, noun: str = "episode") -> str:
    """`1 episode`, `2 episodes`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def finding(
    check: str,
    text: str,
    *,
    episodes: Iterable[int] = (),
    field: str = "",
    spans: Iterable[Span] = (),
    evidence: Mapping[str, Any] | None = None,
) -> Finding:
    """A finding of one of `CHECKS`, with the severity of the table."""
    return Finding(
        check,
        CHECKS[check].severity,
        text,
        episodes=tuple(episodes),
        field=field,
        spans=tuple(spans),
        evidence=dict(evidence or {}),
    )
