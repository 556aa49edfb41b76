"""The identity of a live object: a function, a policy, a world, by everything that it reaches and that can change it.

    identify(policy_function)     # its code, defaults, closure, and every global that it reads, followed
    identify(MyPolicy("a.npz"))   # its class with all methods, and its attributes by content

Nothing is read from disk but the versions of installed distributions, nothing is imported, and no property or method
of the user's is called. What cannot be known that way makes the identity unverified, with the reason.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Collection, Iterator
from typing import Any

from roboscale.core.activity import doubt_what_is_read
from roboscale.core.bytecode import CodeFacts, code_facts
from roboscale.core.canonical import has_type, plain_token, token
from roboscale.core.classes import (
    class_fact,
    class_module,
    class_namespace,
    class_order,
    library_member,
    module_namespace,
    type_name,
)
from roboscale.core.graph import Graph, Node
from roboscale.core.identity import Identity
from roboscale.core.instances import record_instance
from roboscale.core.origins import CodeOrigin, class_origin, file_origin, globals_origin, module_origin
from roboscale.core.outside import ExternalInput, external_module, external_name
from roboscale.core.references import UNSEEN_GLOBALS, is_users, record_module_uses, record_reads

__all__ = ["identify"]

_PYTHON = f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}".encode()
_REASONS = 8  # that are said; the others are counted
_DISPATCH = frozenset({"dispatch_cache", "cache_token", "_clear_cache"})  # what functools.singledispatch remembers
_OF_CLASSES = frozenset(  # what Python notes of a class that decides nothing
    {"__module__", "__dict__", "__weakref__", "__annotations__", "__annotate__", "__annotate_func__", "__doc__"}
    | {"__annotations_cache__", "__qualname__", "__firstlineno__", "__static_attributes__", "__orig_bases__"}
    | {"__parameters__", "__type_params__", "_abc_impl", "__abstractmethods__", "__signature__"}
)
_COMPARING = frozenset({"isinstance", "issubclass"})


def identify(thing: object, name: str = "", *, calls: Collection[str] = ()) -> Identity:
    """The identity of a live object, by content.

    Args:
        thing: a function, lambda, method, partial, class, module, or an object of any kind. Of functions and classes
            of the user's own: code, defaults, closures, the globals they reach, functions and classes of other
            modules of the user's included. Of those of distributions and of Python: name and version. Of objects:
            class and attributes; arrays and tensors by their bytes, random generators by their state.
        name: what people call it; by default the name of the function or class.
        calls: the methods that will be called of an object, where they are known; only what these lead to can read
            something from outside while acting.

    Returns:
        The same digest in every process of one minor version of Python, whatever the file, line, module or address.
        `unverified` where code that runs while acting reads from outside, and where an object cannot be looked into.
    """
    name = name or _name(thing)
    graph = Graph(thing, name)
    graph.fill(_record)
    doubt_what_is_read(graph, calls)
    digest = graph.digest(token("identified", _PYTHON)).hex()[:32]
    reasons = sorted(graph.reasons)
    more = [f"and {len(reasons) - _REASONS} more"] if len(reasons) > _REASONS else []
    return Identity(name, digest, (*reasons[:_REASONS], *more))


def _name(thing: object) -> str:
    if has_type(thing, types.MethodType):
        return f"{_name(type(thing.__self__))}.{_name(thing.__func__)}"
    if type(thing) in (types.FunctionType, types.BuiltinFunctionType, types.ModuleType):
        return str(thing.__name__)  # type: ignore[attr-defined]
    return str(class_fact(thing if has_type(thing, type) else type(thing), "__name__"))


def _record(graph: Graph, node: Node) -> None:
    """Records one object; whatever goes wrong with a stranger's object is a doubt and no crash."""
    thing = node.thing
    external = graph.external.get(id(thing))
    try:
        if external is not None:
            _external(node, external)
        else:
            _recorder(type(thing))(graph, node, thing)
    except Exception as error:  # noqa: BLE001  objects may do anything when they are looked at
        node.parts[:], node.unordered[:], node.weak[:] = [token("broken", type_name(type(thing)).encode())], [], []
        graph.doubt(f"cannot look into {node.path} ({type_name(type(thing))}: {type(error).__name__})")


def _external(node: Node, external: ExternalInput) -> None:
    module = sys.modules.get(external.name.partition(".")[0])
    version = module_origin(module).version if module is not None else ""
    node.parts.append(token("external", external.name.encode(), version.encode()))
    node.inputs.append(external)


def _recorder(cls: type) -> Callable[[Graph, Node, Any], None]:
    known = _RECORDERS.get(cls)
    if known is not None:
        return known
    if issubclass(cls, type):
        return _class
    return _module if issubclass(cls, types.ModuleType) else record_instance


# ---- functions


def _function(graph: Graph, node: Node, function: types.FunctionType) -> None:
    origin = globals_origin(function.__globals__)
    if origin.own:
        node.kind, node.facts = "function", code_facts(function.__code__)
        node.docs = plain_token(function.__doc__) or b""
        node.called = token("called", function.__name__.encode(), function.__qualname__.encode())
        node.parts.append(token("function", node.facts.digest))
        record_reads(graph, node, function, node.facts)
        _variables(graph, node, function, node.facts)
    elif _library_function(node, function, origin):
        return
    elif "_torchdynamo_orig_callable" in vars(function):  # torch.compile
        graph.child(node, "", vars(function)["_torchdynamo_orig_callable"])
        return
    else:
        _variables(graph, node, function, None)
    for name, value in sorted(vars(function).items()):
        if node.kind == "library" and name in _DISPATCH:
            continue
        node.parts.append(token("attribute", name.encode()))
        graph.child(node, f".{name}", value)


def _library_function(node: Node, function: types.FunctionType, origin: CodeOrigin) -> bool:
    """Records the name and version; says whether that is all, which it is not for what was made at run time."""
    node.kind = "library"
    module, code = str(function.__globals__.get("__name__")), function.__code__
    place = (module, code.co_qualname, str(code.co_firstlineno))
    node.parts.append(token("library", origin.version.encode(), *(text.encode() for text in place)))
    external = external_module(module)
    if external is not None:
        node.inputs.append(ExternalInput(external.verb, f"{module}.{code.co_qualname}"))
    return library_member(module, code.co_qualname) is function


def _variables(graph: Graph, node: Node, function: types.FunctionType, facts: CodeFacts | None) -> None:
    """Defaults and closure. A module among them is read through the attributes that the code takes of it."""
    code, defaults = function.__code__, function.__defaults__ or ()
    first = max(0, code.co_argcount - len(defaults))
    for name, value in zip(code.co_varnames[first : code.co_argcount], defaults, strict=False):
        _variable(graph, node, name, value, facts)
    for name, value in sorted((function.__kwdefaults__ or {}).items()):
        _variable(graph, node, name, value, facts)
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        if facts is not None and _holds_module(cell):
            _variable(graph, node, name, cell.cell_contents, facts)
        elif node.kind == "library" and name in _DISPATCH:
            continue
        else:  # `__class__` is there for super(): it makes no instance
            graph.child(node, f".{name}", cell, "seen" if name == "__class__" else "used")


def _variable(graph: Graph, node: Node, name: str, value: object, facts: CodeFacts | None) -> None:
    node.parts.append(token("variable", name.encode()))
    if facts is not None and has_type(value, types.ModuleType):
        record_module_uses(graph, node, value, [use for use in facts.uses if use.name == name and not use.is_global])
    else:
        graph.child(node, f".{name}", value)


def _holds_module(cell: types.CellType) -> bool:
    try:
        return has_type(cell.cell_contents, types.ModuleType)
    except ValueError:  # an empty cell
        return False


def _cell(graph: Graph, node: Node, cell: types.CellType) -> None:
    node.kind = "cell"
    try:
        value = cell.cell_contents
    except ValueError:
        node.parts.append(token("empty cell"))
        return
    node.parts.append(token("cell"))
    graph.child(node, "", value)


# ---- classes and modules


def _class(graph: Graph, node: Node, cls: type) -> None:
    origin = class_origin(cls)
    node.kind = "class"
    name = class_fact(cls, "__qualname__")
    if origin.kind == "compiled":
        node.parts.append(token("compiled class", class_module(cls).encode(), name.encode()))
        graph.doubt(f"cannot look into {node.path} ({type_name(cls)}, compiled)")
        return
    if origin.library:
        _library_class(graph, node, cls, origin)
        return
    namespace = class_namespace(cls)
    node.parts.append(token("class", class_fact(cls, "__name__").encode()))
    node.docs = plain_token(namespace.get("__doc__")) or b""
    graph.child(node, ".__class__", type(cls), "seen")
    for base in class_order(cls)[1:]:
        graph.child(node, f".{class_fact(base, '__name__')}", base)
    for attribute in sorted(key for key in namespace if has_type(key, str)):
        if attribute not in _OF_CLASSES and not _of_pydantic(attribute):
            _member(graph, node, attribute, namespace[attribute])


def _of_pydantic(attribute: str) -> bool:
    """The schemas that pydantic compiles of a class; its fields say the same."""
    return attribute.startswith("__pydantic_") and attribute != "__pydantic_fields__"


def _library_class(graph: Graph, node: Node, cls: type, origin: CodeOrigin) -> None:
    """Name and version, and what a user has put into it."""
    node.parts.append(token("library class", origin.version.encode(), type_name(cls).encode()))
    graph.has_paths |= class_module(cls).startswith("pathlib")
    external = external_module(class_module(cls))
    if external is not None:
        node.inputs.append(ExternalInput(external.verb, type_name(cls)))
    for name, value in class_namespace(cls).items():
        if has_type(value, types.FunctionType) and is_users(value):
            _member(graph, node, name, value)


def _member(graph: Graph, node: Node, name: str, value: Any) -> None:
    """One attribute of a class. It runs when something names it, or when Python calls it by itself."""
    node.parts.append(token("member", name.encode("utf-8", "surrogatepass"), _binding(value)))
    if has_type(value, types.MemberDescriptorType) or has_type(value, types.GetSetDescriptorType):
        return
    if name == "__hash__" and has_type(value, types.FunctionType) and "<attrs " in value.__code__.co_filename:
        return  # has a hash of its name in it, another one in every process
    if has_type(value, staticmethod) or has_type(value, classmethod):
        if has_type(value, classmethod):
            node.makers.add(name)
        values: list[Any] = [value.__func__]
    elif type(value) is property:
        values = [value.fget, value.fset, value.fdel]
    else:
        values = [value]
    children = [graph.child(node, f".{name}", one, "seen") for one in values]
    node.members[name] = [child for child in children if child is not None]


def _binding(value: object) -> bytes:
    """How a class gives an attribute to its instances."""
    kinds: tuple[type, ...] = (staticmethod, classmethod, property, types.MemberDescriptorType)
    return next((class_fact(kind, "__name__").encode() for kind in kinds if has_type(value, kind)), b"value")


def _module(graph: Graph, node: Node, module: types.ModuleType) -> None:
    """A module as a value: of a library its version, of the user's own everything in it."""
    origin = module_origin(module)
    node.kind = "module"
    if origin.library:
        node.parts.append(token("module", origin.version.encode(), module.__name__.encode()))
        external = external_module(module.__name__)
        node.inputs += [external] if external is not None else []
        return
    if origin.kind == "compiled":
        graph.opaque(node)
        return
    for name, value in sorted(module_namespace(module).items()):
        if name not in UNSEEN_GLOBALS:
            node.parts.append(token("name", name.encode("utf-8", "surrogatepass")))
            graph.child(node, f".{name}", value, "seen")


# ---- callables that are neither


def _method(graph: Graph, node: Node, method: types.MethodType) -> None:
    node.kind = "method"
    node.parts.append(token("method"))
    graph.child(node, "", method.__func__)
    graph.child(node, "", method.__self__)


def _builtin(graph: Graph, node: Node, function: types.BuiltinFunctionType) -> None:
    """A function of C: of a module its name and version; of an object also the object."""
    node.kind = "library"
    owner = function.__self__
    if has_type(owner, types.ModuleType) or owner is None:
        module = _module_of(function) if owner is None else owner.__name__
        origin = _named_origin(module) if owner is None else module_origin(owner)
        if not origin.library:
            graph.opaque(node)
        node.parts.append(token("builtin", origin.version.encode(), module.encode(), function.__qualname__.encode()))
        external = external_name(f"{module}.{function.__qualname__}")
        node.inputs += [external] if external is not None else []
        return
    node.parts.append(token("bound builtin", function.__name__.encode()))
    graph.child(node, "", owner)


def _module_of(function: types.BuiltinFunctionType) -> str:
    """The module of a function of C; the first that has it where it does not say (all of cv2)."""
    named: object = function.__module__
    if isinstance(named, str):
        return named
    holders = (
        name
        for name, module in list(sys.modules.items())
        if has_type(module, types.ModuleType) and module_namespace(module).get(function.__name__) is function
    )
    return min((name for name in holders if _named_origin(name).library), default="")


def _named_origin(module: str) -> CodeOrigin:
    loaded = sys.modules.get(module)
    return module_origin(loaded) if loaded is not None else file_origin(module, None)


def _descriptor(graph: Graph, node: Node, thing: Any) -> None:
    """`str.upper`, `[].__len__`: the class or object it is of, and its name."""
    node.kind = "library"
    node.parts.append(token("descriptor", thing.__name__.encode()))
    if has_type(thing, types.MethodWrapperType):
        graph.child(node, "", thing.__self__)
    else:
        graph.child(node, "", thing.__objclass__, "typed")


def _property(graph: Graph, node: Node, thing: property) -> None:
    node.parts.append(token("property"))
    for part in (thing.fget, thing.fset, thing.fdel):
        graph.child(node, "", part)


def _decorated(graph: Graph, node: Node, thing: Any) -> None:
    node.parts.append(token(type(thing).__name__))
    graph.child(node, "", thing.__func__)


def _code(graph: Graph, node: Node, code: types.CodeType) -> None:
    node.kind, node.facts = "function", code_facts(code)
    node.parts.append(token("code", node.facts.digest))


def _recorders() -> Iterator[tuple[type, Callable[[Graph, Node, Any], None]]]:
    yield types.FunctionType, _function
    yield types.MethodType, _method
    yield types.BuiltinFunctionType, _builtin
    for kind in (
        types.MethodDescriptorType,
        types.WrapperDescriptorType,
        types.MethodWrapperType,
        types.ClassMethodDescriptorType,
        types.GetSetDescriptorType,
        types.MemberDescriptorType,
    ):
        yield kind, _descriptor
    yield property, _property
    yield staticmethod, _decorated
    yield classmethod, _decorated
    yield types.CellType, _cell
    yield types.CodeType, _code


_RECORDERS = dict(_recorders())
