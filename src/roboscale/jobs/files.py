"""Files for people and programs, each written in one step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from roboscale.core import RoboscaleError

__all__ = ["robot_of", "write_json", "write_text"]


def robot_of(dataset: Path) -> str:
    """What a dataset's `info.json` calls the robot."""
    return str(json.loads((dataset / "meta" / "info.json").read_text()).get("robot_type") or "")


def write_json(path: Path, data: Any) -> None:
    """Writes a JSON file in one step; NaN is no JSON and raises ValueError."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a file in one step, so that no reader sees half of it; RoboscaleError where there is no place for it."""
    temporary = path.with_name(path.name + ".part")
    if path.is_dir():
        raise RoboscaleError(f"{path}: expected a file to write, found a folder")
    if not path.parent.is_dir():
        raise RoboscaleError(f"{path}: cannot be written, there is no folder {path.parent}")
    temporary.write_text(text, "utf-8")
    temporary.replace(path)
