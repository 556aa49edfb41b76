"""What an environment returns, understood strictly: success, numbers, arrays and pictures.

`bool(value)` is not enough: NaN, the text "False", a distance and a dictionary are all true to Python, and a policy
that never moves would succeed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, InfrastructureError, UnknownName
from roboscale.worlds.simulated.declaration import ScoreTable, SuccessTable

__all__ = [
    "as_array",
    "as_flag",
    "as_number",
    "as_picture",
    "check_reading",
    "follow",
    "read_progress",
    "read_success",
]

_CHANNELS_FIRST = ("channel", "height", "width")


def follow(value: Any, path: str, where: str) -> Any:
    """The value at a dotted path of mappings, sequences (by number) and attributes of nothing else.

    Raises:
        UnknownName: there is nothing of that name; lists what there is.
    """
    for key in filter(None, path.split(".")):
        if isinstance(value, Mapping) and key in value:
            value = value[key]
        elif isinstance(value, (tuple, list)) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, Mapping):
            raise UnknownName(where, path, map(str, value))
        else:
            raise UnknownName(where, path, [str(i) for i in range(len(value))] if isinstance(value, Sequence) else ())
    return value


def as_flag(value: Any, where: str, key: str) -> bool:
    """True or false: a boolean, or 0 or 1, or an array of one of these. BadData for everything else."""
    plain = value
    if isinstance(value, (np.ndarray, list, tuple)) and np.size(np.asarray(value, object)) == 1:
        plain = np.asarray(value).reshape(-1)[0]
    if isinstance(plain, (bool, np.bool_)):
        return bool(plain)
    if isinstance(plain, (int, float, np.number)) and plain in (0, 1):
        return bool(plain)
    advice = "true or false, or 0 or 1; for a score a threshold, e.g. success = {key = ..., at_least = 0.9}"
    raise BadData(where, f"info[{key}]", advice, f"{type(value).__name__} {value!r}"[:120])


def as_number(value: Any, where: str, key: str) -> float:
    """One finite number; BadData for everything else."""
    array = np.asarray(value)
    if array.size == 1 and array.dtype.kind in "biuf" and math.isfinite(array.reshape(-1)[0]):
        return float(array.reshape(-1)[0])
    raise BadData(where, key, "one finite number", f"{type(value).__name__} {value!r}"[:120])


def read_success(
    table: SuccessTable, info: Mapping[str, Any], reward: float | None, terminated: bool, ended: bool, where: str
) -> bool:
    """Whether the task's condition holds after a step."""
    if table.source == "terminated":
        held = terminated
    elif table.source == "reward":
        if reward is None:
            raise BadData(where, "reward", "a number, since success is declared from it", "None")
        held = _within(table, reward)
    elif table.only_at_end and not ended:
        return False
    else:
        value = follow(info, table.key, f"success key in the info of {where}:")
        held = (
            _within(table, as_number(value, where, table.key))
            if table.thresholds
            else as_flag(value, where, table.key)
        )
    return held != table.negate


def _within(table: SuccessTable, value: float) -> bool:
    above = table.above is None or value > table.above
    below = table.below is None or value < table.below
    at_least = table.at_least is None or value >= table.at_least
    at_most = table.at_most is None or value <= table.at_most
    return above and below and at_least and at_most


def read_progress(table: ScoreTable, info: Mapping[str, Any], reward: float | None, where: str) -> float | None:
    """Progress in 0..1; `None` in a step whose info lacks it."""
    if table.source == "reward":
        value = reward
    else:
        try:
            value = as_number(follow(info, table.key, "info"), where, table.key)
        except UnknownName:
            return None
    if value is None:
        return None
    return float(np.clip((value - table.low) / (table.high - table.low), 0.0, 1.0))


def as_array(value: Any, layout: Sequence[str], where: str, scale: float = 1.0) -> tuple[NDArray[Any], str]:
    """An array of an observation in the dtype that worlds show, and what was done to it in words.

    Pictures become HWC uint8, everything else float32. BadData for text, ragged lists and objects.

    Args:
        scale: what a picture of floats is multiplied with: 255 where the environment shows 0..1.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise BadData(where, "observation", "an array of numbers", f"ragged: {error}") from error
    if array.dtype.kind not in "biuf":
        raise BadData(where, "observation", "an array of numbers", f"{array.dtype} {str(value)[:60]!r}")
    if array.ndim == 3 and tuple(layout) == _CHANNELS_FIRST:
        picture, done = as_picture(array.transpose(1, 2, 0), where, scale)
        return picture, f"channels moved last{', ' if done else ''}{done}"
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (1, 3, 4):
        expected = 'height, width, channel; say layout = ["channel", "height", "width"] to have it turned'
        raise BadData(where, "picture", expected, f"{array.dtype}{list(array.shape)}")
    if array.ndim == 3 and array.shape[2] in (1, 3, 4) and (array.dtype == np.uint8 or array.dtype.kind == "f"):
        return as_picture(array, where, scale)
    if array.ndim == 0:
        array = array.reshape(1)
    return (array if array.dtype == np.uint8 and array.ndim == 3 else array.astype(np.float32)), ""


def as_picture(array: NDArray[Any], where: str, scale: float = 1.0) -> tuple[NDArray[np.uint8], str]:
    """A picture (H, W, C) as RGB uint8, and what was done to it in words. BadData for a range that is neither."""
    done = []
    if array.dtype.kind == "f":
        if not np.isfinite(array).all() or array.min() < 0 or array.max() * scale > 255:
            raise BadData(where, "picture", f"values in 0..{255 / scale:g}", f"{array.min()} to {array.max()}")
        if scale != 1:
            done.append(f"0..{255 / scale:g} scaled to 0..255")
        array = np.rint(array * scale)
        done.append("rounded to uint8")
    if array.shape[2] == 1:
        array = np.repeat(array, 3, axis=2)
        done.append("grey repeated to RGB")
    if array.shape[2] == 4:
        array = array[:, :, :3]
        done.append("transparency dropped")
    return np.ascontiguousarray(array.astype(np.uint8)), ", ".join(done)


def check_reading(array: NDArray[Any], shape: tuple[int, ...], dtype: str, where: str) -> NDArray[Any]:
    """The array, when it is still what the world said it was.

    Raises:
        InfrastructureError: its shape or dtype has changed, or it holds NaN or infinity.
    """
    if array.shape != shape or str(array.dtype) != dtype:
        raise InfrastructureError(
            f"{where}: was {dtype}{list(shape)} when the world was opened, is {array.dtype}{list(array.shape)} now"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InfrastructureError(f"{where}: {int((~np.isfinite(array)).sum())} values are NaN or infinite")
    return array
