"""Users' projects on disk, for tests of identities."""

from __future__ import annotations

import importlib
import itertools
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Mapping[str, str]], ModuleType]]:
    """Writes files (name -> source) into a new folder, imports `policy` among them and gives it, each time afresh."""
    numbers = itertools.count()

    def forget() -> None:
        for name, module in list(sys.modules.items()):
            if str(tmp_path) in (vars(module).get("__file__") or ""):
                del sys.modules[name]

    def load(files: Mapping[str, str]) -> ModuleType:
        forget()
        folder = tmp_path / f"project{next(numbers)}"
        for name, source in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(textwrap.dedent(source))
        monkeypatch.syspath_prepend(folder)
        return importlib.import_module("policy")

    yield load
    forget()
