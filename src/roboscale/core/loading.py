"""A user's own module, imported on request: `module:name` or `path/to/file.py:name`.

The one place in `core` that reads from disk, because worlds, policies and referees all take what a user wrote and may
import nothing but `core`. It reads no file of ours and decides nothing about what it has loaded.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from roboscale.core.errors import BadData, UnknownName

__all__ = ["load_module", "load_object"]


def load_object(text: str, kind: str, beside: Path | None = None) -> object:
    """What `module:name` or `path/to/file.py:name` names, as it stands there: nothing is called or made.

    Args:
        text: a module is looked for as `load_module` says.
        kind: what it should be, for messages: `policy`, `world`.
        beside: see `load_module`.

    Raises:
        UnknownName: no such file, module or name; says the near ones.
        BadData: the module does not import.
    """
    where, _, name = text.rpartition(":")
    if not where or not name:
        raise UnknownName(kind, text, ["module:callable", "file.py:callable"])
    module = load_module(where, kind, beside)
    if not hasattr(module, name):
        raise UnknownName(f"name in {where}", name, _public(module))
    return getattr(module, name)


def _public(module: ModuleType) -> list[str]:
    """What somebody may have meant: no modules that it imports."""
    return [n for n, value in vars(module).items() if not n.startswith("_") and not isinstance(value, ModuleType)]


def load_module(where: str, kind: str, beside: Path | None = None) -> ModuleType:
    """A module by file or by name. A file is executed anew every time, with the modules of its folder that it imports.

    Args:
        where: `path/to/file.py`, or a module that is looked for beside a file that names it, then in the current
            folder, then among the installed ones.
        kind: what it should bring, for messages.
        beside: folder of the file that names it.

    Raises:
        UnknownName: no such file or module; says the near ones.
        BadData: it does not import, or its imports cannot be told from those of another folder.
    """
    file = where if where.endswith(".py") else where.replace(".", "/") + ".py"
    folders = [Path()] if beside is None else [beside, Path()]
    for folder in folders:
        path = folder / file
        if path.is_file():
            if not where.endswith(".py") and (path.parent / "__init__.py").is_file():
                return _import_from_package(where, path, folder)
            return _import_file(path)
        if not where.endswith(".py") and (folder / where.replace(".", "/") / "__init__.py").is_file():
            return _import_from_package(where, folder / where.replace(".", "/") / "__init__.py", folder)
    if where.endswith(".py"):
        raise UnknownName(f"{kind} file", where, (str(p) for p in (folders[0] / where).parent.glob("*.py")))
    here = dict.fromkeys(p.stem for folder in folders for p in folder.glob("*.py"))
    unknown = UnknownName("module", where, here)
    if not all(part.isidentifier() for part in where.split(".")):
        raise unknown
    try:
        return importlib.import_module(where)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and f"{where}.".startswith(f"{error.name}."):
            raise unknown from error
        raise _no_import(where, error) from error


def _no_import(where: object, error: BaseException) -> BadData:
    return BadData(where, "import", "a module that imports", f"{type(error).__name__}: {error}")


def _import_file(path: Path) -> ModuleType:
    name = f"_roboscale_user_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    _neighbours.look_in(path.parent, path)
    loader = _FromSource(name, str(path))
    module = importlib.util.module_from_spec(ModuleSpec(name, loader, origin=str(path)))
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses look their module up by name while it is being executed
    try:
        loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _no_import(path, error) from error
    return module


def _import_from_package(where: str, path: Path, folder: Path) -> ModuleType:
    """A module whose imports may be relative; an installed package of the same name does not stand in for it."""
    _neighbours.look_in(folder, path, where.split(".")[0])
    try:
        module = importlib.import_module(where)
    except (Exception, SystemExit) as error:
        raise _no_import(path, error) from error
    if module.__file__ is None or Path(module.__file__).resolve() != path.resolve():
        return _import_file(path)
    return module


class _FromSource(SourceFileLoader):
    """Compiles the source every time: the cache of bytecode takes an edit within a second for none."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _from_source(spec: ModuleSpec) -> ModuleSpec:
    if isinstance(spec.loader, SourceFileLoader) and spec.origin is not None:
        spec.loader = _FromSource(spec.name, spec.origin)
    return spec


class _Parts:
    """Finds modules inside users' packages, to which Python's own finder, with its cache, would come first."""

    def __init__(self, neighbours: _Neighbours) -> None:
        self._neighbours = neighbours

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        """As a finder of `sys.meta_path` does."""
        if path is None or not self._neighbours.has(name.partition(".")[0]):
            return None
        spec = PathFinder.find_spec(name, path)
        return None if spec is None else _from_source(spec)


class _Neighbours:
    """Lets a user's file import the modules of its own folder, after all that is installed.

    What Python does for a script by its path; done here without a change to that path, so that a user's module never
    hides an installed one. Files of two folders may have neighbours of one name: each gets its own.
    """

    def __init__(self) -> None:
        self._folders: list[Path] = []
        self._taken: dict[str, Path] = {}  # top-level name -> folder it was imported from
        self._later: dict[str, Path] = {}  # the same for what functions import when they are called

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        """As a finder of `sys.meta_path` does."""
        for folder in self._folders if path is None else ():
            spec = PathFinder.find_spec(name, [str(folder)])
            if spec is not None and spec.origin is not None:  # a plain folder is no module
                self._taken[name] = folder
                return _from_source(spec)
        return None

    def has(self, name: str) -> bool:
        """Whether a top-level module of this name was imported from a user's folder."""
        return name in self._taken

    def look_in(self, folder: Path, importer: Path, package: str = "") -> None:
        """Looks in `folder` first from now on, and forgets what was imported from it: it may have been edited.

        Args:
            importer: the file that is about to be executed, of `package` where it is in one.

        Raises:
            BadData: a function of a file in another folder would from now on import a module of this one.
        """
        folder = folder.resolve()
        if self not in sys.meta_path:
            sys.meta_path.append(self)
            sys.meta_path.insert(0, _Parts(self))
        importlib.invalidate_caches()
        names, later = _imported(importer)
        for name in sorted(names):
            ours = [p for p in (folder / f"{name}.py", folder / name / "__init__.py") if p.is_file()]
            if ours and self._later.get(name, folder) != folder:
                one = f"a function in {self._later[name]} that imports its own {name}; two modules need two names"
                raise BadData(importer, f"import {name}", f"{ours[0]} alone", one)
            if ours:
                self._forget(name)
                if name in later:
                    self._later[name] = folder
        for name in [name for name, where in self._taken.items() if where == folder or name == package]:
            self._forget(name)
        self._folders = [folder, *(f for f in self._folders if f != folder)]

    def _forget(self, name: str) -> None:
        if self._taken.pop(name, None) is not None:
            for loaded in [m for m in sys.modules if m == name or m.startswith(f"{name}.")]:
                del sys.modules[loaded]


def _imported(file: Path) -> tuple[set[str], set[str]]:
    """Top-level names of the modules that a file imports, and of those that its functions do; none if it is broken."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):  # its import will say so
        return set(), set()
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return _names(tree), set().union(*map(_names, functions))


def _names(tree: ast.AST) -> set[str]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
    return {name.split(".")[0] for name in names}


_neighbours = _Neighbours()
