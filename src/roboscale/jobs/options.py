"""Fields that several requests share, each with one help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from roboscale.jobs.request import Argument, Option

__all__ = [
    "Ahead",
    "Arm",
    "ArmBase",
    "ArmTip",
    "By",
    "CaptureInstruction",
    "CaptureRate",
    "DataEngine",
    "DataPath",
    "DataWorkers",
    "Declare",
    "Device",
    "Fps",
    "HeldFor",
    "Html",
    "JointSpeed",
    "LargestJump",
    "LeastSeconds",
    "Level",
    "Mapping",
    "PretrainOnly",
    "Seed",
    "SelectionFile",
    "SigmaPosition",
    "SigmaRotation",
    "Sources",
    "StartTimeout",
    "VideoPath",
    "Workers",
]

Seed = Annotated[int, Option("Seed of the cases; the same seed gives the same trials.")]
Workers = Annotated[
    int | None, Option("Worlds in processes of their own; 0 runs them in this one. Default: the cores.", min=0)
]
Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"],
    Option("Where a built-in policy computes; auto takes a GPU where there is one."),
]
StartTimeout = Annotated[
    float, Option("Seconds that opening a world or a policy may take, and a process to start.", min=0.1)
]

SelectionFile = Annotated[Path | None, Option("File of `data curate`: what of the dataset is used.")]

Declare = Annotated[Path | None, Option("TOML that says what the arrays mean; --explain drafts one.")]
Fps = Annotated[float | None, Option("Frames a second, for formats that do not store it.", min=1e-3)]
Mapping = Annotated[
    Path | None, Option("TOML that maps a bag's topics or an own layout's arrays; --explain drafts it.")
]
DataPath = Annotated[
    str | None, Option("LeRobot: path template of data files that lie elsewhere than info.json says.")
]
VideoPath = Annotated[str | None, Option("LeRobot: path template of videos that lie elsewhere than info.json says.")]
DataEngine = Annotated[
    Literal["processes", "ray"], Option("processes, or ray for a cluster that shares the folders.", flag="--engine")
]
DataWorkers = Annotated[
    int | None, Option("Worker processes; 0 uses this one. Default: up to the cores, for work worth it.", min=0)
]

CaptureRate = Annotated[
    float | None,
    Option("Frames a second of the new dataset, fewer than recorded: of each time the nearest sample.", min=0.02),
]
Ahead = Annotated[int, Option("How many samples ahead of its state an action is.", min=1, max=1000)]
SigmaPosition = Annotated[
    float | None, Option("Metres of one standard deviation of a position that somebody measured.", min=1e-9)
]
SigmaRotation = Annotated[
    float | None, Option("Radians of one standard deviation of a rotation that somebody measured.", min=1e-9)
]
PretrainOnly = Annotated[bool, Option("Keep poses as auxiliary targets only, whatever is known of their error.")]
LargestJump = Annotated[float, Option("Metres that a sample may lie from where the motion leads, at most.", min=0)]
HeldFor = Annotated[float, Option("Seconds for which a pose may be repeated, at most.", min=0)]
LeastSeconds = Annotated[float, Option("Seconds that a stretch with poses must last to be an episode.", min=0)]
Arm = Annotated[str, Option("An arm that should follow the poses: panda, ur5, or a file (MJCF or URDF).")]
ArmTip = Annotated[str, Option("Name of the arm's tip, a site or body of its file, where it has no usual one.")]
ArmBase = Annotated[
    str,
    Option("Where the arm stands in the frame of the poses: x,y,z (m), yaw (degrees); once or for each hand."),
]
JointSpeed = Annotated[float | None, Option("Radians a second of every joint of the arm, at most.", min=1e-3)]
CaptureInstruction = Annotated[str, Option("What is done, where the source does not say it.")]

Sources = Annotated[
    tuple[str, ...],
    Argument(
        "trials.db or its folder, eval_info.json, RoboArena sessions, CSV, JSON or Parquet; NAME=PATH names the "
        "policy of a file that does not."
    ),
]
Level = Annotated[float, Option("Confidence level of intervals and rank sets.", min=0.5, max=0.999)]
Html = Annotated[Path | None, Option("Write the result as one offline page.")]
By = Annotated[
    Literal["auto", "success", "progress", "preference"],
    Option("Compare by auto, success, progress or preference."),
]
