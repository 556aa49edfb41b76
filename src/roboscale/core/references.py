"""What a function refers to: globals, attributes of modules, imports in its body; what of these reads from outside."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any, cast

from roboscale.core.bytecode import BodyImport, CodeFacts, Use
from roboscale.core.canonical import has_type, plain_token, token
from roboscale.core.classes import class_namespace, module_namespace, type_name
from roboscale.core.graph import Graph, Node, Reach
from roboscale.core.origins import CodeOrigin, class_origin, file_origin, globals_origin, module_origin
from roboscale.core.outside import ExternalInput, external_name

__all__ = ["UNSEEN_GLOBALS", "is_users", "record_module_uses", "record_reads"]

_MISSING = object()
_PLACES = frozenset({"__name__", "__file__", "__spec__", "__loader__", "__package__", "__path__", "__cached__"})
UNSEEN_GLOBALS = _PLACES | {"__builtins__", "__doc__", "__annotations__", "__all__"}
"""What every module has and what is no content of it."""

_COMPARING = frozenset({"isinstance", "issubclass"})


def record_reads(graph: Graph, node: Node, function: types.FunctionType, facts: CodeFacts) -> None:
    """Every global of a function with its nested code, and everything it imports when it runs."""
    own = sorted((use for use in facts.uses if use.is_global), key=_order)
    for name, uses in groupby(own, key=lambda use: use.name):
        if name not in _PLACES:
            node.parts.append(token("global", name.encode("utf-8", "surrogatepass")))
            _global(graph, node, function, name, list(uses))
    for imported in sorted(facts.imports, key=str):
        node.parts.append(token("import", str(imported).encode()))
        _import(graph, node, function, imported)


def _order(use: Use) -> tuple[str, tuple[str, ...], bool]:
    return use.name, use.attributes, use.called


def _global(graph: Graph, node: Node, function: types.FunctionType, name: str, uses: list[Use]) -> None:
    value = function.__globals__.get(name, _MISSING)
    if value is _MISSING:
        builtins: Mapping[str, Any] = cast(Any, function).__builtins__  # not in every typeshed
        value = builtins.get(name, _MISSING)
        if value is not _MISSING and _is_builtin(value):
            external = graph.external.get(id(value))
            node.inputs += [external] if external is not None else []
            return
    if value is _MISSING:
        node.parts.append(token("missing"))
    elif has_type(value, types.ModuleType):
        record_module_uses(graph, node, value, uses)
    else:
        _leaf(graph, node, name, value, uses)


def _is_builtin(value: object) -> bool:
    """Whether a value among the builtins is Python's own, and not put there by somebody."""
    if has_type(value, type):
        return class_origin(value).kind == "python"
    return has_type(value, types.BuiltinFunctionType) or plain_token(value) is not None


def _leaf(graph: Graph, node: Node, label: str, value: object, uses: list[Use]) -> None:
    graph.child(node, f".{label}", value, _reach(node, value, uses))


def _reach(node: Node, value: object, uses: Iterable[Use]) -> Reach:
    """What a function does with `value`. A class makes instances when it is called or handed on, not in isinstance."""
    if not has_type(value, type):
        return "used"
    uses = list(uses)
    facts = node.facts
    compares = facts is not None and bool(_COMPARING & facts.globals)
    if any(not use.attributes and (use.called or not compares) for use in uses):
        return "used"
    return "typed" if any(use.attributes for use in uses) else "seen"


def record_module_uses(
    graph: Graph, node: Node, module: types.ModuleType, uses: list[Use], *, constants: bool = True
) -> None:
    """What a function takes of a module: `helpers.gain`, `np.linalg.norm`, or the module as a whole.

    Of a library that is its version, and what the user has put there; `constants` says whether a number may be, too.
    """
    node.parts.append(token("module", module_origin(module).version.encode()))
    for use in sorted(uses, key=_order):
        _path(graph, node, module, use, constants)
    if not uses and module_origin(module).own:
        graph.child(node, f".{module.__name__}", module, "seen")


def _path(graph: Graph, node: Node, module: types.ModuleType, use: Use, constants: bool) -> None:
    """Follows the attributes of one use from module to module, down to a value."""
    dotted = str(module_namespace(module).get("__name__"))
    attributes = use.attributes
    for number, attribute in enumerate(attributes):
        dotted = f"{dotted}.{attribute}"
        value = _attribute(module, attribute)
        external = graph.external.get(id(value)) or external_name(dotted)
        if external is not None:
            node.inputs.append(external)
            return
        if not has_type(value, types.ModuleType):
            rest = Use(name=attribute, is_global=False, attributes=attributes[number + 1 :], called=use.called)
            _taken(graph, node, module, value, rest, constants)
            return
        module = value
    _whole(graph, node, module, constants)


def _attribute(module: types.ModuleType, name: str) -> Any:
    namespace = module_namespace(module)
    if name in namespace:
        return namespace[name]
    return sys.modules.get(f"{namespace.get('__name__')}.{name}", _MISSING)


def _taken(graph: Graph, node: Node, module: types.ModuleType, value: object, use: Use, constants: bool) -> None:
    """A value that a function takes of a module; of a library's only what the user has put or set there."""
    origin = module_origin(module)
    is_setting = constants and origin.kind == "distribution" and plain_token(value) is not None
    graph.has_paths |= str(module_namespace(module).get("__name__")).startswith("pathlib")
    if value is _MISSING:
        hook = module_namespace(module).get("__getattr__")
        if origin.own and hook is not None:
            _leaf(graph, node, "__getattr__", hook, [use])
    elif origin.own or is_users(value) or is_setting:
        _leaf(graph, node, use.name, value, [use])
    elif origin.library and use.attributes and has_type(value, type):
        member = class_namespace(value).get(use.attributes[0])
        external = graph.external.get(id(member)) or external_name(f"{type_name(value)}.{use.attributes[0]}")
        node.inputs += [external] if external is not None else []


def is_users(value: object) -> bool:
    """Whether a function, a class or the class of an object is the user's, wherever it is kept."""
    if has_type(value, types.FunctionType):  # what libraries make at run time has globals without a name
        return "__name__" in value.__globals__ and globals_origin(value.__globals__).own
    return class_origin(value if has_type(value, type) else type(value)).own


def _whole(graph: Graph, node: Node, module: types.ModuleType, constants: bool) -> None:
    """A module that is handed on as a value: which names are taken of it is known by the names in the code at best."""
    names = sorted(node.facts.names) if node.facts is not None else []
    namespace = module_namespace(module)
    for name in names:
        if name in namespace and name not in UNSEEN_GLOBALS:
            use = Use(name=name, is_global=False, attributes=(name,), called=True)
            if not has_type(namespace[name], types.ModuleType):
                _path(graph, node, module, use, constants)
    if module_origin(module).own:
        graph.child(node, f".{module.__name__}", module, "seen")


# ---- imports inside functions


def _import(graph: Graph, node: Node, function: types.FunctionType, imported: BodyImport) -> None:
    """One import in a body. A library is recorded in the same way whether it is loaded already or not."""
    name, facts = _absolute(function, imported), node.facts
    uses = [use for use in facts.uses if use.name == imported.variable] if facts is not None else []
    taken = (imported.attribute,) if imported.attribute else ()
    uses = [replace(use, is_global=False, attributes=(*taken, *use.attributes)) for use in uses]
    module = sys.modules.get(name)
    if not has_type(module, types.ModuleType):
        _not_loaded(node, name, uses)
    elif imported.variable is None or not uses:
        node.parts.append(token("module", module_origin(module).version.encode()))
    else:
        record_module_uses(graph, node, module, uses, constants=False)


def _absolute(function: types.FunctionType, imported: BodyImport) -> str:
    if not imported.level:
        return imported.module
    namespace = function.__globals__
    package = namespace.get("__package__") or str(namespace.get("__name__", "")).rpartition(".")[0]
    try:
        return importlib.util.resolve_name("." * imported.level + imported.module, package)
    except (ImportError, ValueError):
        return f"{package}.{imported.module}"


def _not_loaded(node: Node, name: str, uses: list[Use]) -> None:
    """A module that will be imported while acting: a version will do, unknown code will not."""
    top = name.partition(".")[0]
    try:
        spec = importlib.util.find_spec(top)  # of a top-level module: nothing is imported
    except (ImportError, ValueError):
        spec = None
    origin = CodeOrigin("own")
    if spec is not None:
        folder = next(iter(spec.submodule_search_locations or ()), None)
        origin = file_origin(top, spec.origin if spec.has_location else folder)
    node.parts.append(token("module", origin.version.encode()))
    if not origin.library:
        node.inputs.append(ExternalInput("imports a module", name))
    for use in uses:
        external = external_name(".".join((name, *use.attributes)))
        node.inputs += [external] if external is not None else []
