"""Zarr replay buffers as diffusion_policy and UMI keep them, in a folder or a zip file."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from roboscale.core import BadData, Recording
from roboscale.sources.records.zarr.export import export_zarr
from roboscale.sources.records.zarr.mapping import is_umi
from roboscale.sources.records.zarr.store import open_store

__all__ = ["FORMATS", "detect", "export_zarr", "open_path"]

FORMATS = ("zarr", "umi-zarr")


def detect(path: Path) -> str | None:
    """`umi-zarr` or `zarr` for a folder or zip file with `meta/episode_ends`, else `None`."""
    if path.is_file() and not (path.suffix == ".zip" or zipfile.is_zipfile(path)):
        return None
    try:
        store = open_store(path)
    except BadData:
        return "zarr" if path.name.endswith(".zarr.zip") else None  # opening it says what is wrong
    try:
        if store.has("zarr.json") and path.name.rstrip("/").endswith((".zarr", ".zarr.zip")):
            return "zarr"
        if not any(store.has(f"meta/episode_ends/{name}") for name in (".zarray", "zarr.json")):
            return None
        return "umi-zarr" if is_umi([name.removeprefix("data/") for name in store.arrays("data")]) else "zarr"
    except BadData:
        return "zarr"  # opening it says what is wrong
    finally:
        store.close()


def open_path(path: Path, format: str = "zarr", **options: Any) -> Recording:
    """Opens a replay buffer; `ZarrRecording` says which options there are and what goes wrong."""
    from roboscale.sources.records.zarr.reader import ZarrRecording

    return ZarrRecording(path, format, **options)
