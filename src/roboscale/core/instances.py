"""What an object is by content: the class it has, what it holds, the state of its generators, its arrays.

Attributes are read where they are stored; properties and `__getattr__` of a user's class are not called. An object of
compiled code is asked for what it would be pickled as (nothing is ever unpickled); what cannot say that is a doubt.
Locks, loggers and threads decide nothing and count by their kind only.
"""

from __future__ import annotations

import array
import collections
import concurrent.futures
import copyreg
import dataclasses
import functools
import io
import logging
import random
import re
import sys
import threading
import types
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from roboscale.core.arrays import ARRAY_NAMES, ARRAY_TYPES, ItemRecorder, record_items
from roboscale.core.canonical import has_type, token
from roboscale.core.classes import class_fact, class_module, class_namespace, class_order, library_member, type_name
from roboscale.core.graph import Graph, Node
from roboscale.core.identity import Identity
from roboscale.core.origins import CodeOrigin, class_origin, module_origin
from roboscale.core.outside import external_module, external_name

__all__ = ["record_instance", "record_state"]

_MISSING = object()
_CACHED_HASHES = frozenset({"_hash", "_mhash", "_cached_hash", "_hash_cache", "_attrs_cached_hash"})
_THREAD = frozenset(  # how far a thread has come; its target and arguments count
    {
        "_name",
        "_daemonic",
        "_ident",
        "_native_id",
        "_tstate_lock",
        "_started",
        "_is_stopped",
        "_initialized",
        "_stderr",
    }
    | {"_invoke_excepthook", "_handle", "_os_thread_handle", "_context"}
)


_DICTS = (types.GetSetDescriptorType, types.MemberDescriptorType)  # the latter in C, as of types.SimpleNamespace


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What all instances of a class have in common.

    Args:
        base: the class among its bases for whose instances there is a `recorder`; `None` where there is none.
        library: whether its version identifies it.
        stored, slots: descriptors of the `__dict__` and of the slots.
        hides: whether instances have room for more than these, which only code in C can fill.
        external: set where instances talk to something outside.
    """

    base: type | None
    recorder: ItemRecorder | None
    library: bool
    stored: types.GetSetDescriptorType | types.MemberDescriptorType | None
    slots: dict[str, types.MemberDescriptorType]
    hides: bool
    external: bool


def _kind(graph: Graph, cls: type) -> _Kind:
    known: _Kind | None = graph.kinds.get(cls)
    if known is not None:
        return known
    order = class_order(cls)
    named = ((base, _BY_TYPE.get(base) or _BY_NAME.get(type_name(base))) for base in order)
    base, recorder = next(((base, recorder) for base, recorder in named if recorder is not None), (None, None))
    dicts = (class_namespace(one).get("__dict__") for one in order)
    slots = {
        name: value
        for one in reversed(order)
        if "__slots__" in class_namespace(one)
        for name, value in class_namespace(one).items()
        if type(value) is types.MemberDescriptorType
    }
    kind = _Kind(
        base=base,
        recorder=recorder,
        library=class_origin(cls).library,
        stored=next((one for one in dicts if isinstance(one, _DICTS)), None),
        slots=slots,
        hides=_hides(cls, len(slots)),
        external=external_module(class_module(cls)) is not None,
    )
    graph.kinds[cls] = kind
    return kind


def _hides(cls: type, slots: int) -> bool:
    pointers = slots + (class_fact(cls, "__dictoffset__") > 0) + (class_fact(cls, "__weakrefoffset__") > 0)
    room = object.__basicsize__ + np.dtype(np.intp).itemsize * pointers
    return bool(class_fact(cls, "__basicsize__") > room or class_fact(cls, "__itemsize__") > 0)


def record_instance(graph: Graph, node: Node, thing: Any) -> None:
    """Records an object that is no function, class or module."""
    cls = type(thing)
    kind = _kind(graph, cls)
    node.kind = "instance"
    if kind.recorder is None or kind.base is None:
        _object(graph, node, thing, kind)
        return
    node.parts.append(token("of", type_name(kind.base).encode()))
    if cls is not kind.base:
        graph.child(node, "", cls, "typed")
    kind.recorder(graph, node, thing)
    if type_name(kind.base) in _ALWAYS_WITH_STATE or (kind.base in _WITH_STATE and cls is not kind.base):
        record_state(graph, node, thing)


def record_state(graph: Graph, node: Node, thing: Any, without: frozenset[str] = frozenset()) -> None:
    """Records the attributes that an object stores: its `__dict__` and its slots, by name."""
    kind = _kind(graph, type(thing))
    state = _state(thing, kind)
    for name in sorted(key for key in state if has_type(key, str)):
        if name == "__doc__" or name in without or (kind.library and name in _CACHED_HASHES):
            continue
        node.parts.append(token("attribute", name.encode("utf-8", "surrogatepass")))
        graph.child(node, f".{name}", state[name])


def _state(thing: object, kind: _Kind) -> dict[Any, Any]:
    """Slots and `__dict__` of an object, without asking the object."""
    state = {}
    for name, descriptor in kind.slots.items():
        try:
            state[name] = descriptor.__get__(thing)
        except AttributeError:  # a slot that is empty
            continue
    stored = kind.stored.__get__(thing) if kind.stored is not None else {}
    return state | stored if type(stored) is dict else state


def _object(graph: Graph, node: Node, thing: Any, kind: _Kind) -> None:
    """Any other object: class and stored attributes; what it hides in C by what it would be pickled as."""
    cls = type(thing)
    if class_fact(cls, "__qualname__") == "cython_function_or_method":
        _cython(graph, node, thing)
        return
    if kind.library and callable(thing) and _named(graph, node, thing):
        return
    if kind.external:
        graph.opaque(node)
        return
    graph.child(node, "", cls, "typed")
    wrapped = _c_attribute(graph, thing, "__wrapped__") if kind.hides else _MISSING
    if wrapped is not _MISSING:
        graph.child(node, "", wrapped)
        graph.child(node, "._self_wrapper", _c_attribute(graph, thing, "_self_wrapper", None))  # of wrapt
    record_state(graph, node, thing)
    if wrapped is _MISSING and kind.hides:
        _pickled(graph, node, thing)


def _named(graph: Graph, node: Node, thing: Any) -> bool:
    """Records what a library has under its own name, `numpy.linalg.norm`, as that name; says whether it was that."""
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", getattr(thing, "__name__", None))
    if not has_type(module, str) or not has_type(name, str) or library_member(module, name) is not thing:
        return False
    origin = class_origin(type(thing))
    node.parts.append(token("named", origin.version.encode(), module.encode(), name.encode()))
    external = external_name(f"{module}.{name}")
    if external is not None:
        node.inputs.append(external)
    return True


def _cython(graph: Graph, node: Node, thing: Any) -> None:
    """A function of Cython: of a library its name and version, of an object also the object."""
    module, owner = sys.modules.get(str(thing.__module__)), getattr(thing, "__self__", None)
    origin = module_origin(module) if has_type(module, types.ModuleType) else CodeOrigin("compiled")
    if not origin.library:
        graph.opaque(node)
        return
    name = f"{thing.__module__}.{thing.__qualname__}"
    node.parts.append(token("cython", origin.version.encode(), name.encode()))
    external = external_name(name)
    node.inputs += [external] if external is not None else []
    if owner is not None and not has_type(owner, types.ModuleType):
        graph.child(node, "", owner)


def _c_attribute(graph: Graph, thing: object, name: str, otherwise: object = _MISSING) -> object:
    """An attribute that an object keeps in C or in its `__dict__`; nothing of the user's is asked."""
    state = _state(thing, _kind(graph, type(thing)))
    if name in state:
        return state[name]
    for base in class_order(type(thing)):
        descriptor = class_namespace(base).get(name)
        if type(descriptor) in (types.GetSetDescriptorType, types.MemberDescriptorType):
            return descriptor.__get__(thing)  # type: ignore[union-attr]
    return otherwise


def _pickled(graph: Graph, node: Node, thing: Any) -> None:
    """Records what an object would be pickled as; where that raises, it is one that cannot be looked into."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # iterators say that they will not be pickled in a later Python
            reduce = copyreg.dispatch_table.get(type(thing))
            reduced = reduce(thing) if reduce is not None else type(thing).__reduce_ex__(thing, 4)  # type: ignore[call-arg]
        if isinstance(reduced, str):
            return _global(graph, node, reduced)
        made, arguments, state, items, pairs = (*reduced, None, None, None, None)[:5]
        content = [made, arguments, state, list(items or ()), list(pairs or ())]
    except Exception:  # noqa: BLE001  a stranger's code: what it raises is what cannot be known
        return graph.opaque(node)
    node.parts.append(token("pickled"))
    for part in content:
        graph.child(node, "", part)
    return None


def _global(graph: Graph, node: Node, name: str) -> None:
    """What pickles as a name; that is content only where a version stands for it."""
    origin = class_origin(type(node.thing))
    if not origin.library:
        return graph.opaque(node)
    node.parts.append(token("global", origin.version.encode(), name.encode()))
    return None


# ---- collections


def _dict(graph: Graph, node: Node, thing: dict[Any, Any]) -> None:
    for key, value in dict.items(thing):  # their order counts: a loop over them may depend on it
        graph.child(node, ".keys()", key)
        graph.child(node, f"[{key!r}]" if type(key) in (str, int, bool) else "[...]", value)


def _ordered_dict(graph: Graph, node: Node, thing: collections.OrderedDict[Any, Any]) -> None:
    _dict(
        graph, node, dict(collections.OrderedDict.items(thing))
    )  # in its own order, which `dict.items` does not know


def _default_dict(graph: Graph, node: Node, thing: collections.defaultdict[Any, Any]) -> None:
    graph.child(node, ".default_factory", thing.default_factory)
    _dict(graph, node, thing)


def _proxy(graph: Graph, node: Node, thing: types.MappingProxyType[Any, Any]) -> None:
    _dict(graph, node, dict(thing))


def _list(graph: Graph, node: Node, thing: list[Any]) -> None:
    record_items(graph, node, list.__iter__(thing))


def _tuple(graph: Graph, node: Node, thing: tuple[Any, ...]) -> None:
    record_items(graph, node, tuple.__iter__(thing))


def _deque(graph: Graph, node: Node, thing: collections.deque[Any]) -> None:
    graph.child(node, ".maxlen", thing.maxlen)
    record_items(graph, node, collections.deque.__iter__(thing))


def _set(graph: Graph, node: Node, thing: Any) -> None:
    kind = set if issubclass(type(thing), set) else frozenset
    for item in kind.__iter__(thing):
        part = graph.part(node, "{...}", item)
        node.unordered.append(part)
        if isinstance(part, Node):
            node.edges.append((part, "used"))


def _plain(base: type) -> ItemRecorder:
    """Of a subclass of a plain type: the value that it is."""
    values: dict[type, Callable[[Any], Any]] = {
        str: str.__str__,
        int: int.__int__,
        float: float.__float__,
        complex: complex.__complex__,
        bytes: lambda value: b"".join((value,)),
    }
    same = values[base]

    def record(graph: Graph, node: Node, thing: Any) -> None:
        graph.child(node, "", same(thing))

    return record


def _partial(graph: Graph, node: Node, thing: functools.partial[Any]) -> None:
    graph.child(node, "", thing.func)
    record_items(graph, node, thing.args)
    for name, value in sorted(thing.keywords.items()):
        node.parts.append(token("keyword", name.encode("utf-8", "surrogatepass")))
        graph.child(node, f".{name}", value)


# ---- wrappers, files, machinery


def _wrapper(*names: str) -> ItemRecorder:
    """Of a wrapper that compiles or remembers: what it wraps and how, not what it has compiled or remembered."""

    def record(graph: Graph, node: Node, thing: Any) -> None:
        for name in names:
            graph.child(node, "" if name == names[0] else f".{name}", _c_attribute(graph, thing, name, None))

    return record


def _compiled_module(graph: Graph, node: Node, thing: Any) -> None:
    modules = _c_attribute(graph, thing, "_modules", None)
    graph.child(node, "", modules.get("_orig_mod") if isinstance(modules, dict) else None)


def _weak(graph: Graph, node: Node, thing: Any) -> None:
    target = thing() if has_type(thing, weakref.ReferenceType) else None
    if target is None:
        return graph.opaque(node) if not has_type(thing, weakref.ReferenceType) else None
    part = graph.part(node, "()", target)
    if isinstance(part, Node):
        node.weak.append(part)
    return None


def _file(graph: Graph, node: Node, thing: Any) -> None:
    standard = (sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__)
    if not any(thing is stream for stream in standard):
        graph.opaque(node)


def _text_buffer(graph: Graph, node: Node, thing: Any) -> None:
    if thing.closed:
        return
    graph.child(node, ".getvalue()", thing.getvalue())
    graph.child(node, ".tell()", thing.tell())


def _opaque(graph: Graph, node: Node, thing: Any) -> None:
    graph.opaque(node)


def _nothing(graph: Graph, node: Node, thing: Any) -> None:
    """Its kind is all that counts."""


def _thread(graph: Graph, node: Node, thing: threading.Thread) -> None:
    record_state(graph, node, thing, _THREAD)


def _identity(graph: Graph, node: Node, thing: Identity) -> None:
    node.parts.append(token("identity", thing.digest.encode()))
    for reason in thing.unverified:
        graph.doubt(reason)


def _data_field(graph: Graph, node: Node, thing: dataclasses.Field[Any]) -> None:
    record_state(graph, node, thing, frozenset({"type", "_field_type"}))  # an annotation decides nothing


_MACHINERY: tuple[type, ...] = (
    *(type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Event),
    *(threading.Semaphore, threading.Barrier, concurrent.futures.Executor),
    *(logging.Logger, logging.LoggerAdapter, logging.Handler),
)

_BY_TYPE: dict[type, ItemRecorder] = {
    **ARRAY_TYPES,
    **{base: _plain(base) for base in (str, int, float, complex, bytes)},
    dict: _dict,
    collections.OrderedDict: _ordered_dict,
    collections.defaultdict: _default_dict,
    types.MappingProxyType: _proxy,
    list: _list,
    tuple: _tuple,
    collections.deque: _deque,
    set: _set,
    frozenset: _set,
    functools.partial: _partial,
    np.vectorize: _wrapper("pyfunc", "otypes", "excluded", "signature"),
    functools._lru_cache_wrapper: _wrapper("__wrapped__"),
    weakref.ReferenceType: _weak,
    weakref.ProxyType: _weak,
    weakref.CallableProxyType: _weak,
    io.IOBase.__mro__[1]: _file,  # the base of all files in C
    io.StringIO: _text_buffer,
    io.BytesIO: _text_buffer,
    types.GeneratorType: _opaque,
    types.CoroutineType: _opaque,
    types.AsyncGeneratorType: _opaque,
    types.FrameType: _opaque,
    types.TracebackType: _nothing,
    **dict.fromkeys(_MACHINERY, _nothing),
    threading.Thread: _thread,
    Identity: _identity,
    dataclasses.Field: _data_field,
    re.Pattern: lambda graph, node, thing: graph.child(node, "", (thing.pattern, thing.flags)),  # type: ignore[dict-item]
}

_BY_NAME: dict[str, ItemRecorder] = {
    **ARRAY_NAMES,
    "torch._dynamo.eval_frame.OptimizedModule": _compiled_module,
    "numba.core.dispatcher._DispatcherBase": _wrapper("py_func", "targetoptions", "locals"),
    "numba.np.ufunc.ufunc_base.UfuncBase": _wrapper("__wrapped__"),
    "scipy.spatial._ckdtree.cKDTree": _wrapper("data", "leafsize", "boxsize"),
    "numba.core.ccallback.CFunc": _wrapper("_pyfunc", "_sig"),
    "pandas.core.generic.NDFrame": _pickled,
    "pandas.core.indexes.base.Index": _pickled,
    "pandas.Index": _pickled,
    "pandas._libs.internals.BlockValuesRefs": _nothing,  # who shares the values of a frame
    "PIL.Image.Image": _pickled,
    "_ctypes.CFuncPtr": _opaque,
    "_ctypes._Pointer": _opaque,
    "ctypes.CDLL": _opaque,
    "sympy.core.basic.Basic": _pickled,
}

_ALWAYS_WITH_STATE = frozenset({"functools.partial", "torch.Tensor"})
_WITH_STATE = frozenset(  # whose subclasses may have attributes that count
    {
        str,
        int,
        float,
        complex,
        bytes,
        dict,
        collections.OrderedDict,
        collections.defaultdict,
        list,
        tuple,
        collections.deque,
        set,
        frozenset,
    }
    | {functools.partial, np.ndarray, bytearray, array.array, random.Random, np.random.Generator}
)
