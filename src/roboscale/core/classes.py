"""What Python itself knows of classes and modules; no metaclass, `__getattr__` or lazy module is asked."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from roboscale.core.canonical import has_type

__all__ = [
    "class_fact",
    "class_module",
    "class_namespace",
    "class_order",
    "library_member",
    "module_namespace",
    "type_name",
]

_module_dict: Any = vars(ModuleType)["__dict__"].__get__


def module_namespace(module: ModuleType) -> dict[str, Any]:
    """The names of a module, without asking the module (a lazy one would load, another would run code)."""
    namespace: dict[str, Any] = _module_dict(module)
    return namespace


def class_module(cls: type) -> str:
    """The name of the module of a class, whatever its metaclass says."""
    name = class_fact(cls, "__module__")
    return name if isinstance(name, str) else ""


def class_fact(cls: type, name: str) -> Any:
    """What Python keeps of every class under `name`, whatever the metaclass says when it is asked."""
    return vars(type)[name].__get__(cls)


def class_namespace(cls: type) -> Mapping[str, Any]:
    """The attributes of a class itself, whatever its metaclass says."""
    namespace: Mapping[str, Any] = class_fact(cls, "__dict__")
    return namespace


def class_order(cls: type) -> tuple[type, ...]:
    """The class and its bases in the order in which attributes are looked up."""
    order: tuple[type, ...] = class_fact(cls, "__mro__")
    return order


def type_name(cls: type) -> str:
    """`package.module.Class`, `Class` alone for builtins."""
    module = class_module(cls)
    name = str(class_fact(cls, "__qualname__"))
    return name if module == "builtins" else f"{module}.{name}"


def library_member(module: str, name: str) -> object:
    """What the loaded module `module` has under the dotted `name`; `None` where there is none."""
    current: object = sys.modules.get(module)
    for step in name.split("."):
        if has_type(current, ModuleType):
            current = module_namespace(current).get(step)
        elif has_type(current, type):
            current = class_namespace(current).get(step)
        else:
            return None
    return current.__func__ if (has_type(current, staticmethod) or has_type(current, classmethod)) else current
