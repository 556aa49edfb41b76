"""What the demo would do, and whether everything that it needs is there: before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from roboscale.core import BadData
from roboscale.core.extras import require_packages

if TYPE_CHECKING:
    from roboscale.jobs.demo import RunDemo

__all__ = ["plan_demo", "require_folder", "require_parts"]


def require_parts() -> None:
    """RoboscaleError where a package is missing that the demo would import on its way, the last after minutes."""
    require_packages("the demo", "mujoco", "metaworld", "torch", "safetensors", "av", "pyarrow", "matplotlib")


def require_folder(out: Path) -> None:
    """BadData where a file stands in the way of the demo's folder."""
    if out.exists() and not out.is_dir():
        raise BadData(out, "folder", "a folder, or nothing", "a file")


def plan_demo(request: RunDemo) -> dict[str, Any]:
    """Folder, tasks and stages; what they take is measured on this machine when the demo begins.

    Raises:
        RoboscaleError: a package is missing. UnknownName: the world has no such task. BadData: a file is in the way.
    """
    from roboscale.jobs.demo import WORSE, WORSE_CASES
    from roboscale.jobs.trying import world_and_tasks

    require_parts()
    require_folder(request.out)
    _, tasks = world_and_tasks("metaworld", request.tasks)
    recorded, grown = request.demonstrations * len(tasks), request.grown * len(tasks)
    stages = []
    if request.inputs != "images":
        stages += [
            f"record {recorded} demonstrations without pictures, and multiply them to {grown}",
            f"train recipes A and B {request.runs} times each, {request.steps} steps, from the world's state",
            f"try all {2 * request.runs} policies on {request.trials} held-out cases of each task",
        ]
    if request.inputs != "state":
        stages += [
            f"record {recorded} demonstrations with two cameras, and multiply them to {grown}",
            f"train A and B once each on pictures, {request.steps} steps",
            f"compare them on at most {request.budget} held-out cases",
            f"try both on {min(WORSE_CASES, request.budget)} of these cases in worse worlds: {WORSE}",
            "film, and write the report",
        ]
    return {
        "command": request.command,
        "folder": str(request.out),
        "tasks": list(tasks),
        "recipes": request.recipes,
        "stages": stages,
        "takes": "two idle cores took 2 minutes for the state round and 12 for the pictures at the default sizes, "
        "worse worlds not counted; "
        "the demo begins by measuring this machine, and says what each stage will take",
    }
