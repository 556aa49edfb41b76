"""What fields of touch, force, cameras and attempts are, by their role, name, shape and dtype.

    wrench            forces and torques (..., 6) or forces alone (..., 3)
    points            places of marks on a skin, or their shifts (N, 2) or (N, 3)
    taxels            one number for each sensing element, in any shape
    tactile picture   a picture of a skin, (H, W, 3) uint8

A user who declares `role = "taxels"` is believed. Knows words and shapes; reads nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Field, Spec

__all__ = ["TOUCH", "CameraFact", "Touch", "camera_fact_of", "flags_of", "recorded_success", "touch_of", "words_of"]

Touch = Literal["wrench", "points", "taxels", "tactile picture"]
"""What a sensor of touch or force gives."""

TOUCH: tuple[Touch, ...] = get_args(Touch)

CameraFact = Literal["intrinsics", "distortion", "extrinsics"]
"""What a field may say of a camera instead of being one."""

_WRENCH = frozenset(["wrench", "wrenches", "ft", "f6", "forcetorque"])
_POINTS = frozenset(
    ["marker", "markers", "contacts", "displacement", "displacements", "deformation", "flow", "points"]
)
_TAXELS = frozenset(["tactile", "taxel", "taxels", "pressure", "pressures", "skin", "fsr"])
_TOUCHED = frozenset(["touch", "contact", "gelsight", "digit", "fingertip", "fingertips"]) | _TAXELS
_FORCES = frozenset(["force", "forces"])
_BESIDE = frozenset(
    ["baseline", "status", "valid", "dt", "time", "timestamp", "timestamps", "temperature", "offset", "bias", "index"]
)
"""Words of what is recorded beside a sensor and is no measure of it."""
_FACTS: dict[CameraFact, frozenset[str]] = {
    "intrinsics": frozenset(["intrinsic", "intrinsics"]),
    "distortion": frozenset(["distortion", "distortions"]),
    "extrinsics": frozenset(["extrinsic", "extrinsics"]),
}


def words_of(name: str) -> frozenset[str]:
    """The words of a name, with and without the number at their end.

    >>> sorted(words_of("observation.tactile_f6.leftFinger"))
    ['f', 'f6', 'finger', 'left', 'observation', 'tactile']
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    words = re.findall(r"[a-z]+[0-9]*", spaced)
    return frozenset({*words, *(word.rstrip("0123456789") for word in words)})


def touch_of(field: Field) -> Touch | None:
    """Which kind of touch or force a field holds; `None` for any other field.

    >>> touch_of(Field("observation.tactile_f6", (10, 6), "float32"))
    'wrench'
    >>> touch_of(Field("observation.tactile.left", (4, 4), "float32"))
    'taxels'
    """
    if field.role in TOUCH:
        return field.role
    words = words_of(field.name)
    if words & _BESIDE:
        return None
    if field.is_image:
        return "tactile picture" if words & _TOUCHED else None
    if np.dtype(field.dtype).kind not in "fiu":
        return None
    last = field.shape[-1] if field.shape else 1
    if words & (_WRENCH | _FORCES) and last in (3, 6):
        return "wrench"
    if words & _POINTS and words & _TOUCHED and len(field.shape) == 2 and last in (2, 3):
        return "points"
    return "taxels" if words & (_TAXELS | _FORCES) else None


def camera_fact_of(field: Field) -> CameraFact | None:
    """What a field of numbers says of a camera; `None` for any other field.

    >>> camera_fact_of(Field("observation.extrinsics.wrist", (4, 4), "float32"))
    'extrinsics'
    """
    if field.is_image or np.dtype(field.dtype).kind != "f":
        return None
    words = words_of(field.name)
    for fact, known in _FACTS.items():
        if words & known:
            return fact
    return "extrinsics" if "pose" in words and words & {"camera", "cam"} else None


def flags_of(field: Field, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_] | None:
    """A column of one number a frame that is 0 or 1 everywhere, as truth values (T,); `None` for any other."""
    if field.name not in arrays or int(np.prod(field.shape)) != 1:
        return None
    values = np.asarray(arrays[field.name]).reshape(-1)
    return values != 0 if values.dtype.kind == "b" or np.isin(values, (0, 1)).all() else None


def recorded_success(spec: Spec, arrays: Mapping[str, NDArray[Any]]) -> bool | None:
    """Whether a column, such as `next.success`, says that an attempt succeeded; `None` where there is none.

    >>> spec = Spec((Field("next.success", (1,), "bool"),), 10)
    >>> recorded_success(spec, {"next.success": np.array([[False], [True]])})
    True
    """
    flags = [flag for f in spec if "success" in words_of(f.name) and (flag := flags_of(f, arrays)) is not None]
    return bool(any(flag.any() for flag in flags)) if flags else None
