"""Carries out corrections of metadata: in place, with every replaced file kept, or as a view beside the original."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from roboscale.core.errors import BadData, SpecMismatch
from roboscale.dataset.journal import exclusive
from roboscale.dataset.layout import Layout, atomic_write, to_json
from roboscale.dataset.mend import Mending, plan_mending, remove_file

__all__ = ["mend_in_place", "mend_into", "undo"]


def mend_in_place(root: Path) -> Mending:
    """Corrects the metadata; every file that is replaced is kept under `meta/roboscale/undo/`.

    Raises:
        SpecMismatch: episodes would be lost: that is only done into a new dataset.
        InfrastructureError: a writer has the dataset open.
    """
    layout = Layout(Path(root))
    mending = plan_mending(layout.root)
    if mending.lost:
        advice = f"repairing this needs a new dataset: roboscale data repair {root} OUT"
        raise SpecMismatch(f"{root}: {mending.lost}\n{advice}")
    if not mending.files:
        return mending
    with exclusive(layout):
        folder = _next_undo(layout)
        for relative in mending.files:
            if (layout.root / relative).exists():
                (folder / relative).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(layout.root / relative, folder / relative)
        atomic_write(folder / "undo.json", to_json({"files": sorted(mending.files), "changes": mending.changes}))
        for relative, write in mending.files.items():
            _replace(layout.root / relative, write)
    return mending


def _next_undo(layout: Layout) -> Path:
    number = 0
    while (folder := layout.own / "undo" / f"{number:03d}").exists():
        number += 1
    folder.mkdir(parents=True)
    return folder


def _replace(target: Path, write: Callable[[Path], None]) -> None:
    if write is remove_file:
        target.unlink(missing_ok=True)
        return
    temporary = target.with_name(f".{target.name}.new")
    target.parent.mkdir(parents=True, exist_ok=True)
    write(temporary)
    temporary.replace(target)


def undo(root: Path) -> list[str]:
    """Puts back what the last correction replaced; returns the files. BadData when there is nothing to undo."""
    layout = Layout(Path(root))
    folders = sorted(path.parent for path in (layout.own / "undo").glob("*/undo.json"))
    if not folders:
        raise BadData(layout.own / "undo", "undo", "a correction to undo", "none")
    with exclusive(layout):
        files: list[str] = json.loads((folders[-1] / "undo.json").read_text("utf-8"))["files"]
        for relative in files:
            kept, target = folders[-1] / relative, layout.root / relative
            if kept.exists():
                shutil.copy2(kept, target)
            else:
                target.unlink(missing_ok=True)  # it was not there before
        shutil.rmtree(folders[-1])
    return files


def mend_into(mending: Mending, view: Path) -> Path:
    """A view of the dataset with the corrections: new metadata, links to everything else. Returns `view`."""
    for path in sorted(mending.root.rglob("*")):
        relative = path.relative_to(mending.root)
        if path.is_dir() or not _shown(relative, mending):
            continue
        if str(relative) not in mending.files:
            (view / relative).parent.mkdir(parents=True, exist_ok=True)
            (view / relative).symlink_to(path.absolute())
    for relative_, write in mending.files.items():
        _replace(view / relative_, write)
    return view


def _shown(relative: Path, mending: Mending) -> bool:
    """Of our own sidecar a view shows what readers need, and no journal of somebody's writer."""
    if relative.parts[:2] != ("meta", "roboscale"):
        return True
    if relative.parts[2] == "episodes":
        return not mending.lost  # a shortened one is among the files
    return relative.parts[2] in ("spec.json", "streams")
