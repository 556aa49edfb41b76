"""Trajectories that were computed once, by content: opening a capture again, in a worker or a later run, maps nothing.

One `.npz` a clip, written beside and renamed. Another video, lens, layout, option or version of this code has another
name; what lies under an old one is left alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["clip_digest", "kept"]

Arrays = Mapping[str, NDArray[Any]]


def clip_digest(*parts: Path | str | bytes) -> str:
    """16 hex digits of texts, bytes and the content of files."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            with part.open("rb") as file:
                inner = hashlib.file_digest(file, "sha256").digest()
        else:
            inner = hashlib.sha256(part.encode() if isinstance(part, str) else part).digest()
        digest.update(inner)
    return digest.hexdigest()[:16]


def kept(file: Path | None, make: Callable[[], tuple[Arrays, dict[str, Any]]]) -> tuple[Arrays, dict[str, Any]]:
    """Arrays and JSON from a file, or made and written there; `None` makes them every time."""
    if file is not None and file.is_file():
        with np.load(file, allow_pickle=False) as read:
            arrays = {name: read[name] for name in read.files if name != "said"}
            return arrays, json.loads(bytes(read["said"]))
    arrays_, said = make()
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        with part.open("wb") as opened:
            said_: Any = {**arrays_, "said": np.frombuffer(json.dumps(said).encode(), np.uint8)}
            np.savez(opened, **said_)
        part.rename(file)
    return arrays_, said
