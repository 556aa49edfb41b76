"""Where code comes from: Python itself, an installed distribution, or the user.

The first two are known by their version, the user's own by content. Reads the metadata of installed distributions and
no other file.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import json
import re
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from roboscale.core.canonical import has_type
from roboscale.core.classes import class_fact, class_module, module_namespace

if TYPE_CHECKING:  # imported when a distribution is first asked for: it takes a while
    from importlib.metadata import Distribution

__all__ = ["CodeOrigin", "class_origin", "file_origin", "globals_origin", "module_origin"]

_INSTALLED = ("site-packages", "dist-packages")
_COMPILED = tuple(importlib.machinery.EXTENSION_SUFFIXES)
_PYTHON = f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True)
class CodeOrigin:
    """Whose code it is.

    Args:
        kind: of Python, of a distribution, of the user, or a compiled module of the user's that nobody can look into.
        version: what identifies it, "numpy 2.4.6"; empty for the user's own.
    """

    kind: Literal["python", "distribution", "own", "compiled"]
    version: str = ""

    @property
    def own(self) -> bool:
        """Whether its content is what identifies it."""
        return self.kind == "own"

    @property
    def library(self) -> bool:
        """Whether its version is what identifies it."""
        return self.kind in ("python", "distribution")


def module_origin(module: ModuleType) -> CodeOrigin:
    """Whose module it is."""
    return globals_origin(module_namespace(module))


def globals_origin(namespace: Mapping[str, Any]) -> CodeOrigin:
    """Whose module has these globals."""
    name, file = namespace.get("__name__"), namespace.get("__file__")
    name = name if isinstance(name, str) else ""
    return _origin(name, file if isinstance(file, str) else _place(name))


def class_origin(cls: type) -> CodeOrigin:
    """Whose class it is; a class of C whose module is not there is `compiled`."""
    name = class_module(cls)
    module = sys.modules.get(name)
    if module is not None and has_type(module, ModuleType):
        return module_origin(module)
    origin = _origin(name, _place(name))
    is_heap_type = bool(class_fact(cls, "__flags__") & (1 << 9))
    return origin if origin.library or is_heap_type else CodeOrigin("compiled")


def file_origin(name: str, file: str | None) -> CodeOrigin:
    """Whose module `name` at `file` is, loaded or not."""
    return _origin(name, file)


def _place(name: str) -> str | None:
    """A path that says where the module `name` is from: its file, its package's folder, or its parent's."""
    while name:
        module = sys.modules.get(name)
        if module is not None and has_type(module, ModuleType):
            namespace = module_namespace(module)
            if isinstance(namespace.get("__file__"), str):
                return str(namespace["__file__"])
            folders = namespace.get("__path__")
            if folders is not None:
                return next((str(folder) + "/" for folder in folders), None)
        name = name.rpartition(".")[0]
    return None


@lru_cache(maxsize=4096)
def _origin(name: str, file: str | None) -> CodeOrigin:
    top = name.partition(".")[0]
    if top == "roboscale":  # known by its version also where it runs from a checkout, as it does for who develops it
        from roboscale import __version__

        return CodeOrigin("distribution", f"roboscale {__version__}")
    if file is None:
        is_python = top in sys.stdlib_module_names and top not in ("__main__", "__mp_main__")
        return (
            CodeOrigin("python", _PYTHON)
            if is_python and top not in ("__main__", "__mp_main__")
            else CodeOrigin("own")
        )
    parts = PurePath(file).parts
    installed = max((n for n, part in enumerate(parts) if part in _INSTALLED), default=None)
    if installed is not None and installed + 1 < len(parts):
        version = _version(parts[installed + 1].partition(".")[0])
        if version is not None:
            return CodeOrigin("distribution", version)
    elif any(file.startswith(folder) for folder in _python_folders()):
        return CodeOrigin("python", _PYTHON)
    return CodeOrigin("compiled") if file.endswith(_COMPILED) else CodeOrigin("own")


@lru_cache(maxsize=1)
def _python_folders() -> tuple[str, ...]:
    paths = (sysconfig.get_path(key) for key in ("stdlib", "platstdlib"))
    return tuple(path.rstrip("/\\") + sep for path in paths if path for sep in "/\\")


@lru_cache(maxsize=1024)
def _version(top: str) -> str | None:
    """Name and version of the distribution that brings the top-level package `top`; `None` when none says so.

    A namespace package (`google`) names all of them.
    """
    import importlib.metadata

    try:
        same_name = importlib.metadata.distribution(top)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        same_name = None
    if same_name is not None and _brings(same_name, top):
        return _said(same_name)
    owners = _listed().get(top) or _recorded().get(top, [])
    return ", ".join(sorted({_said(owner) for owner in owners})) or None


@lru_cache(maxsize=1)
def _listed() -> dict[str, list[Distribution]]:
    """Top-level package -> the distributions that list it."""
    import importlib.metadata

    owners: dict[str, list[Distribution]] = defaultdict(list)
    for distribution in importlib.metadata.distributions():
        for top in (distribution.read_text("top_level.txt") or "").split():
            owners[top].append(distribution)
    return dict(owners)


@lru_cache(maxsize=1)
def _recorded() -> dict[str, list[Distribution]]:
    """The same of all files that the distributions have, for those that list nothing."""
    import importlib.metadata

    owners: dict[str, list[Distribution]] = defaultdict(list)
    for distribution in importlib.metadata.distributions():
        for top in _first_parts(distribution):
            owners[top].append(distribution)
    return dict(owners)


def _first_parts(distribution: Distribution) -> set[str]:
    return set(re.findall(r"^[^/.,\s]+", distribution.read_text("RECORD") or "", re.MULTILINE))


def _brings(distribution: Distribution, top: str) -> bool:
    listed = distribution.read_text("top_level.txt")
    return top in (_first_parts(distribution) if listed is None else listed.split())


def _said(distribution: Distribution) -> str:
    """Name and version; for one installed from a folder or a repository, where a version may stay the same while the
    code changes, also a digest of its files' digests."""
    text = f"{distribution.metadata['Name']} {distribution.version}"
    address = distribution.read_text("direct_url.json")
    if address is None or "archive_info" in json.loads(address):
        return text
    lines = (distribution.read_text("RECORD") or "").splitlines()
    files = sorted(line for line in lines if "sha256=" in line and ".dist-info/" not in line)
    return f"{text} ({hashlib.blake2b(chr(10).join(files).encode(), digest_size=8).hexdigest()})"
