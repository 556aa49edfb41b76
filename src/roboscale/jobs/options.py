"""Fields that several requests share, each with one help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from roboscale.jobs.request import Argument, Option

__all__ = [
    "By",
    "DataEngine",
    "DataPath",
    "DataWorkers",
    "Declare",
    "Device",
    "Fps",
    "Html",
    "Level",
    "Mapping",
    "Seed",
    "Selection",
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

Selection = Annotated[Path | None, Option("File of `data curate`: what of the dataset is used.")]

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
DataWorkers = Annotated[int | None, Option("Worker processes; 0 uses this one. Default: the cores.", min=0)]

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
