"""Arrays, tensors, buffers and random generators, by their bytes and their state."""

from __future__ import annotations

import array
import io
import random
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from roboscale.core.canonical import array_token, content_digest, has_type, plain_token, token
from roboscale.core.classes import library_member, module_namespace
from roboscale.core.graph import Graph, Node

__all__ = ["ARRAY_NAMES", "ARRAY_TYPES", "ItemRecorder", "record_items"]

ItemRecorder = Callable[[Graph, Node, Any], None]
"""Adds the content of an object to its record."""


def record_items(graph: Graph, node: Node, items: Iterable[Any]) -> None:
    """Records what is in a row."""
    for number, item in enumerate(items):
        written = plain_token(item)
        if written is not None:  # of long lists of numbers: no label for each
            node.parts.append(written)
        else:
            graph.child(node, f"[{number}]", item)


def _array(graph: Graph, node: Node, thing: Any) -> None:
    values = np.asarray(thing)
    if not values.dtype.hasobject:
        node.parts.append(array_token(values))
        return
    node.parts.append(token("objects", repr(values.dtype).encode(), repr(values.shape).encode()))
    record_items(graph, node, values.ravel().tolist())


def _buffer(graph: Graph, node: Node, thing: Any) -> None:
    view = memoryview(thing)
    head = (view.format.encode() if view.format else b"", repr(view.shape).encode())
    flat = view if view.c_contiguous else memoryview(view.tobytes())
    node.parts.append(token("buffer", *head, content_digest([bytes(flat.cast("B"))]) if view.nbytes else b""))


def _bit_generator(graph: Graph, node: Node, thing: Any) -> None:
    graph.child(node, ".state", thing.state)


def _generator(graph: Graph, node: Node, thing: np.random.Generator) -> None:
    graph.child(node, ".bit_generator.state", thing.bit_generator.state)


def _random_state(graph: Graph, node: Node, thing: np.random.RandomState) -> None:
    if thing is library_member("numpy.random.mtrand", "_rand"):  # everybody's: `from numpy.random import rand`
        return
    graph.child(node, ".get_state()", thing.get_state(legacy=False))


def _python_random(graph: Graph, node: Node, thing: random.Random) -> None:
    is_everybodys = thing is library_member("random", "_inst")  # `from random import choice` is a method of it
    if not is_everybodys and not has_type(thing, random.SystemRandom):  # which has no state
        graph.child(node, ".getstate()", random.Random.getstate(thing))


def _ufunc(graph: Graph, node: Node, thing: np.ufunc) -> None:
    for name in ("numpy", "scipy.special"):
        module = sys.modules.get(name)
        if module is not None and module_namespace(module).get(thing.__name__) is thing:
            graph.child(node, "", module)
            node.parts.append(token("ufunc", name.encode(), thing.__name__.encode()))
            return
    graph.opaque(node)  # a function inside (frompyfunc) cannot be had


def _tensor(graph: Graph, node: Node, thing: Any) -> None:
    """A torch tensor: dtype, shape, the kind of device, whether it has a gradient, and its values byte by byte."""
    torch = sys.modules["torch"]
    head = (thing.dtype, tuple(thing.shape), thing.device.type, thing.requires_grad, thing.layout)
    node.parts.append(token("tensor", *(str(fact).encode() for fact in head)))
    plain = thing.detach()
    try:
        if plain.layout is torch.sparse_coo:
            plain = plain.coalesce()
            pieces = [plain.indices(), plain.values()]
        elif plain.layout in (torch.sparse_csr, torch.sparse_bsr):
            pieces = [plain.crow_indices(), plain.col_indices(), plain.values()]
        else:
            pieces = [plain.resolve_conj().resolve_neg()]
        for piece in pieces:
            values = piece.cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
            node.parts.append(array_token(values))
    except (RuntimeError, NotImplementedError, TypeError, AttributeError):  # no values (meta), a layout without bytes
        graph.opaque(node)


def _torch_generator(graph: Graph, node: Node, thing: Any) -> None:
    if thing is library_member("torch", "default_generator"):
        return
    graph.child(node, ".get_state()", thing.get_state())


def _script(graph: Graph, node: Node, thing: Any) -> None:
    """A module or function of TorchScript: what it would be saved as, without notes on where its source stands.

    Constants of a class come in another order in every process, so their lines are sorted.
    """
    import zipfile

    saved = zipfile.ZipFile(io.BytesIO(thing.save_to_buffer()))
    for name in sorted(saved.namelist()):
        if name.endswith((".debug_pkl", "/serialization_id")):
            continue
        lines = saved.read(name).split(b"\n") if name.endswith(".py") else [saved.read(name)]
        lines.sort(key=lambda line: line if b" : Final[" in line else b"")
        node.parts.append(token("saved", name.partition("/")[2].encode(), content_digest(lines)))


ARRAY_TYPES: dict[type, ItemRecorder] = {
    np.ndarray: _array,
    np.void: _array,
    np.memmap: _array,
    memoryview: _buffer,
    bytearray: _buffer,
    array.array: _buffer,
    np.random.BitGenerator: _bit_generator,
    np.random.Generator: _generator,
    np.random.RandomState: _random_state,
    np.ufunc: _ufunc,
    random.Random: _python_random,
}
"""Who records the instances of a type and of its subclasses."""

ARRAY_NAMES: dict[str, ItemRecorder] = {
    "torch.Tensor": _tensor,
    "torch._C.Generator": _torch_generator,
    "torch.jit._script.RecursiveScriptModule": _script,
    "torch.jit.torch.jit.ScriptFunction": _script,
    "torch.ScriptFunction": _script,
    "_ctypes._CData": _buffer,
}
"""The same by name, of libraries that need not be there."""
