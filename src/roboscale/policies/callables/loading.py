"""A policy by where it is: `module:name` or `path/to/file.py:name`."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from roboscale.core import BadData, Policy, UnknownName
from roboscale.policies.callables.making import as_policy

__all__ = ["load_callable"]


def load_callable(text: str) -> Policy:
    """The policy named by `module:name` or `path/to/file.py:name`.

    A module is looked for in the current directory, then among the installed ones. `name` may be whatever `as_policy`
    takes; the policy is called `text`.

    Raises:
        UnknownName: no such file, module or name; says the near ones.
        BadData: the module does not import, or the name is nothing that can act.
        SpecMismatch: it takes what nobody gives.
    """
    where, _, name = text.rpartition(":")
    if not where or not name:
        raise UnknownName("policy", text, ["module:callable", "file.py:callable"])
    thing: object = _load(where)
    for part in name.split("."):
        if not hasattr(thing, part):
            raise UnknownName(f"name in {where}", name, [n for n in dir(thing) if not n.startswith("_")])
        thing = getattr(thing, part)
    if isinstance(thing, (ModuleType, int, float, str, bytes, list, dict, tuple, set, type(None))):
        raise BadData(where, name, "a policy or a function", type(thing).__name__)
    try:
        return as_policy(thing, name=text)
    except BadData as error:
        if error.file == text:  # what making it raised
            raise BadData(where, name, error.expected, error.found) from error
        raise


def _load(where: str) -> ModuleType:
    path = Path(where if where.endswith(".py") else where.replace(".", "/") + ".py")
    if path.is_file():
        return _import_file(path)
    if where.endswith(".py"):
        raise UnknownName("policy file", where, (str(p) for p in path.parent.glob("*.py")))
    unknown = UnknownName("module", where, [p.stem for p in Path().glob("*.py")])
    if not all(part.isidentifier() for part in where.split(".")):
        raise unknown
    try:
        return importlib.import_module(where)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and f"{where}.".startswith(f"{error.name}."):
            raise unknown from error
        raise BadData(where, "import", "a module that imports", f"{type(error).__name__}: {error}") from error


def _import_file(path: Path) -> ModuleType:
    name = f"_roboscale_user_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BadData(path, "import", "a Python file", "something importlib cannot load")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up by name while it is being executed
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise BadData(path, "import", "a module that imports", f"{type(error).__name__}: {error}") from error
    return module
