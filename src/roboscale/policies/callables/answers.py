"""What a user's code returned, as actions, or a `PolicyError` that says what to write instead.

Knows arrays of numpy, torch, jax and others by how they behave; imports numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import PENDING, ActionChunk, Pending, PolicyError
from roboscale.core.faults import check_chunk, in_a_line

__all__ = ["read_answer"]

_EXPECTED = "expected an action (D,) or a chunk of actions (H, D)"


def read_answer(answer: object, who: str) -> ActionChunk | Literal[Pending.PENDING]:
    """A chunk of numbers of any library, copied, so that nobody changes it later; `PENDING` as it is.

    Args:
        answer: a chunk, or an action (D,) or (H, D): an array, a tensor on any device, with a gradient or of any float
            type, or a list of numbers.
        who: begins the message, e.g. `policy a`.

    Raises:
        PolicyError: the answer is no action, or the rows to execute are not finite.
    """
    if answer is PENDING:
        return PENDING
    if isinstance(answer, ActionChunk):
        actions = _numbers(answer.actions, who)
        if actions.ndim == 1:
            raise _no_action(who, _say(actions), "one row without its axis", "write `ActionChunk(action[None])`")
        return check_chunk(ActionChunk(actions, _execute(answer.execute, len(actions), who)), who)
    return check_chunk(ActionChunk(np.atleast_2d(_numbers(answer, who))), who)


def _numbers(answer: object, who: str) -> NDArray[Any]:
    """(D,) or (H, D) numbers of which nobody else has a reference."""
    _refuse_what_is_no_array(answer, who)
    try:
        array = np.array(_array(answer), copy=True)
    except Exception as error:  # ragged lists, tensors without data, whatever another library raises
        raise _no_action(who, _kind(answer), in_a_line(error)) from error
    if array.dtype.kind not in "iuf":
        raise _no_action(who, _say(array), f"{array.dtype}, which are no numbers")
    if array.ndim == 0:
        raise _no_action(who, "one number", "no axis", "write `return [number]`")
    if array.ndim == 3 and len(array) == 1:
        raise _no_action(who, _say(array), "a batch of one", "write `return chunk[0]`")
    if array.ndim > 2:
        raise _no_action(who, _say(array), f"{array.ndim} axes")
    if array.size == 0:
        raise _no_action(who, _say(array), "no number")
    return array


def _refuse_what_is_no_array(answer: object, who: str) -> None:
    if answer is None:
        raise _no_action(who, "nothing (None)", "None", "is a `return` missing?")
    if isinstance(answer, Mapping) or (hasattr(answer, "keys") and hasattr(answer, "__getitem__")):
        keys = [str(key) for key in answer.keys()]  # noqa: SIM118  not every one of them is iterable
        likely = [k for k in keys if k.split(".")[-1] in ("action", "actions")]
        hint = f"write `return answer[{likely[0]!r}]`" if likely else "return one of its values"
        raise _no_action(who, "a dictionary", f"the keys {', '.join(keys)[:200] or '(none)'}", hint)
    if isinstance(answer, tuple) and any(v is None or isinstance(v, (Mapping, str, tuple)) for v in answer[1:]):
        hint = "write `return action`, or give the model itself"
        kinds = ", ".join("None" if v is None else type(v).__name__ for v in answer)
        raise _no_action(who, f"a tuple of {kinds}", "more than the action, as predict of a model gives it", hint)
    if isinstance(answer, (str, bytes)):
        raise _no_action(who, "text", repr(answer)[:80])


def _array(value: Any) -> Any:
    """Something that `np.array` understands."""
    if isinstance(value, (bool, int, float, np.generic)):
        return value
    if isinstance(value, np.ma.MaskedArray):
        return np.ma.filled(value.astype(np.float64), np.nan)
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "O":
            return [_array(v) for v in value]
        return value.astype(np.float32) if _is_small_float(value.dtype) else value
    library = _library(value)
    if library == "torch" and hasattr(value, "detach"):
        return _from_torch(value)
    if library == "cupy":
        return value.get()
    if isinstance(value, (list, tuple)):
        return np.array([_array(v) for v in value])
    array = np.asarray(value)
    return array.astype(np.float32) if _is_small_float(array.dtype) else array


def _from_torch(tensor: Any) -> NDArray[Any]:
    """Any tensor: its gradient left behind, from its device, unpacked, in a float type that numpy has."""
    tensor = tensor.detach()
    if getattr(tensor, "is_quantized", False):
        tensor = tensor.dequantize()
    if "strided" not in str(getattr(tensor, "layout", "strided")):
        tensor = tensor.to_dense()
    tensor = tensor.cpu()
    if tensor.is_floating_point() and str(tensor.dtype) not in ("torch.float16", "torch.float32", "torch.float64"):
        tensor = tensor.float()
    return np.asarray(tensor.resolve_conj().resolve_neg().numpy())


def _is_small_float(dtype: np.dtype[Any]) -> bool:
    """bfloat16 and the 8-bit floats, which numpy knows as opaque bytes of another library."""
    return dtype.kind == "V" and dtype.names is None and "float" in dtype.name


def _library(value: object) -> str:
    """First part of the module of the class, or of the base that another library wrote."""
    roots = [kind.__module__.split(".")[0] for kind in type(value).__mro__]
    return next((root for root in roots if root in ("torch", "cupy")), roots[0])


def _execute(execute: object, rows: int, who: str) -> int | None:
    if execute is None:
        return None
    if isinstance(execute, bool) or not isinstance(execute, (int, np.integer)) or not 1 <= execute <= rows:
        raise PolicyError(f"{who} returned an ActionChunk: expected execute in 1..{rows}, found {execute}")
    return int(execute)


def _no_action(who: str, what: str, found: str, hint: str = "") -> PolicyError:
    return PolicyError(f"{who} returned {what}: {_EXPECTED}, found {found}{f'; {hint}' if hint else ''}")


def _say(array: NDArray[Any]) -> str:
    return f"{array.dtype}{list(array.shape)}"


def _kind(answer: object) -> str:
    name = type(answer).__name__
    return f"{'an' if name[0].lower() in 'aeio' else 'a'} {name}"
