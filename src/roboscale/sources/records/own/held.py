"""What an episode holds, not read yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

__all__ = ["Held", "Kind"]

Kind = Literal["numbers", "texts", "objects", "pictures", "video", "files"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Something that an episode holds, not read yet.

    Args:
        path: file or folder, for errors.
        rows: frames, rows or files.
        shape, dtype: of one row of numbers.
        load: the rows: numbers (T, *shape), texts, or pictures as files or bytes.
    """

    name: str
    kind: Kind
    path: Path
    rows: int
    shape: tuple[int, ...] = ()
    dtype: str = ""
    load: Callable[[], Any]
