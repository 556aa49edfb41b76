"""Carries out corrections of metadata: in place, with every replaced file kept, or as a view beside the original."""

from __future__ import annotations

import hashlib
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

from roboscale.core.errors import BadData, SpecMismatch
from roboscale.dataset.fix.mending import Mending, remove_file
from roboscale.dataset.fix.plan import plan_mending
from roboscale.dataset.journal import exclusive
from roboscale.dataset.layout import Layout, atomic_write, confined, load_json, to_json

__all__ = ["mend_in_place", "mend_into", "undo"]

_NEW = "new"
"""Where files wait, beside the undo folder's copies, until all of them are written."""


def mend_in_place(root: Path) -> Mending:
    """Corrects the metadata; every file that is replaced is kept under `meta/roboscale/undo/`.

    Raises:
        SpecMismatch: episodes would be lost: that is only done into a new dataset.
        BadData: the dataset changed while it was read.
        InfrastructureError: a writer has the dataset open.
    """
    layout = Layout(Path(root))
    before = layout.info.read_bytes() if layout.info.is_file() else b""
    mending = plan_mending(layout.root, in_place=True)
    if mending.lost:
        advice = f"repairing this needs a new dataset: roboscale data fix {shlex.quote(str(root))} OUT"
        raise SpecMismatch(f"{root}: {mending.lost}\n{advice} (--drop-broken leaves out single episodes)")
    if not mending.files:
        return mending
    with exclusive(layout):
        if layout.info.read_bytes() != before:
            raise BadData(layout.info, "content", "to hold still while it is read", "a writer that changed it")
        folder = _next_undo(layout)
        for relative, write in mending.files.items():
            _copy(layout.root / relative, folder / relative)
            _write(folder / _NEW / relative, write)
        wrote = {relative: _digest(folder / _NEW / relative) for relative in mending.files}
        told = {"files": sorted(mending.files), "changes": mending.changes, "wrote": wrote}
        atomic_write(folder / "undo.json", to_json(told))
        for relative in mending.files:
            _put(folder / _NEW / relative, layout.root / relative)
        shutil.rmtree(folder / _NEW, ignore_errors=True)
    return mending


def _next_undo(layout: Layout) -> Path:
    number = 0
    while (folder := layout.own / "undo" / f"{number:03d}").exists():
        number += 1
    folder.mkdir(parents=True)
    return folder


def _copy(source: Path, target: Path) -> None:
    if source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _write(target: Path, write: Callable[[Path], None]) -> None:
    if write is not remove_file:
        target.parent.mkdir(parents=True, exist_ok=True)
        write(target)


def _put(new: Path, target: Path) -> None:
    """One rename: readers see the old file or the new one."""
    if new.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        new.replace(target)
    else:
        target.unlink(missing_ok=True)


def _digest(path: Path) -> str:
    """Of a file's bytes; empty where there is none."""
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest() if path.exists() else ""


def undo(root: Path, *, dry_run: bool = False) -> list[str]:
    """Puts back what the last correction replaced; returns the files.

    Raises:
        BadData: there is nothing to undo, or a file has been changed by somebody else since.
        InfrastructureError: a writer has the dataset open.
    """
    layout = Layout(Path(root))
    folders = sorted(path.parent for path in (layout.own / "undo").glob("*/undo.json"))
    if not folders:
        raise BadData(layout.own / "undo", "undo", "a correction to undo", "none")
    folder = folders[-1]
    told = load_json(folder / "undo.json")
    files = [str(name) for name in told.get("files", ())]
    targets = {relative: confined(layout.root, relative, folder / "undo.json", "files") for relative in files}
    for relative, target in targets.items():
        now, wrote = _digest(target), told.get("wrote", {}).get(relative)
        if now not in (wrote, _digest(folder / relative)):  # a killed correction leaves some files as they were
            raise BadData(target, "content", f"as the correction left it ({wrote})", f"changed since ({now})")
    if dry_run:
        return files
    with exclusive(layout):
        for relative, target in targets.items():
            _copy(folder / relative, folder / _NEW / relative)
            _put(folder / _NEW / relative, target)
        shutil.rmtree(folder)
    return files


def mend_into(mending: Mending, view: Path) -> Path:
    """A view of the dataset with the corrections: new metadata, links to everything else. Returns `view`."""
    Layout(view).own.mkdir(parents=True)  # without it the ids of other people's episodes would be made anew
    _link(mending, mending.root.absolute(), Path(), view)
    for relative, write in mending.files.items():
        _write(view / relative, write)
    return view


def _link(mending: Mending, folder: Path, relative: Path, view: Path) -> None:
    """Links what `folder` holds; a folder that is a link itself is linked as one where nothing in it is replaced."""
    for path in sorted(folder.iterdir()):
        name = relative / path.name
        inside = any(Path(file).is_relative_to(name) for file in mending.files)
        if not _shown(name, mending):
            continue
        if path.is_dir() and (inside or not path.is_symlink()):
            _link(mending, path, name, view)
        elif not inside:
            (view / name).parent.mkdir(parents=True, exist_ok=True)
            (view / name).symlink_to(path)


def _shown(relative: Path, mending: Mending) -> bool:
    """Of our own sidecar a view shows what readers need, and no journal of somebody's writer."""
    if relative.parts[:2] != ("meta", "roboscale") or len(relative.parts) == 2:
        return True
    if relative.parts[2] == "episodes":
        return not any(name.startswith("meta/roboscale/episodes/") for name in mending.files)
    return relative.parts[2] in ("spec.json", "streams", "pending")
