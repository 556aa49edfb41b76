"""Numbers that arrive otherwise than in training: degrees, a gripper the other way round, a quaternion's order,
statistics of another dataset.

Every change is tried, and what brings the world's first numbers to where they were in training is the advice.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Field, Spec
from roboscale.policies.remote.maps import Elements, ObservationMap
from roboscale.policies.remote.pitfalls.evidence import TrainedNumbers
from roboscale.policies.remote.pitfalls.lines import Line, toml_value

__all__ = ["DEGREES", "NumberChange", "affine_lines", "element_distance", "is_gripper", "number_changes"]

DEGREES = 180 / math.pi
GRIPPER = re.compile(r"grip|finger|claw|jaw|closed|opening", re.IGNORECASE)
ORDERS = {"quat_wxyz": (1, 2, 3, 0), "quat_xyzw": (3, 0, 1, 2)}
"""How elements of one order are picked to make the other."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberChange:
    """One way in which numbers may be meant otherwise.

    Args:
        check, text: its name, and what is wrong in words.
        lines: that mend it.
        elements: of what is sent, that it is about.
    """

    check: str
    text: str
    lines: tuple[Line, ...]
    elements: tuple[int, ...]


def affine_lines(
    tables: Sequence[str], parts: Sequence[Elements], sizes: Sequence[int], s: Array, o: Array
) -> list[Line]:
    """Lines after which each element x of what the parts make is s x + o."""
    lines, at = [], 0
    for table, part, size in zip(tables, parts, sizes, strict=True):
        scale, offset = s[at : at + size], o[at : at + size]
        before = np.ones(size) if part.scale is None else np.array(part.scale)
        shift = np.zeros(size) if part.offset is None else np.array(part.offset)
        made, moved = scale * before, scale * shift + offset
        if not np.array_equal(made, before):
            lines.append(Line(table, "scale", toml_value([float(v) for v in made])))
        if not np.array_equal(moved, shift):
            lines.append(Line(table, "offset", toml_value([float(v) for v in moved])))
        at += size
    return lines


def element_distance(values: Array, trained: TrainedNumbers) -> Array:
    """(n, D) first values of a world -> (D,) how far each element is from training, in its own spread there."""
    if trained.starts is not None:
        nearest = np.abs(values[:, None] - trained.starts[None]).min(axis=1)
        return np.asarray((nearest / trained.spread).mean(axis=0))
    return np.asarray(np.abs(values - trained.mean).mean(axis=0) / trained.spread)


def number_changes(
    tables: Sequence[str],
    entry: ObservationMap,
    world: Spec,
    trained: TrainedNumbers,
    checkpoint: TrainedNumbers | None,
    raw: Array,
) -> Iterator[NumberChange]:
    """All that may be meant otherwise under one key.

    Args:
        tables: of each part.
        trained: under this key. checkpoint: what its checkpoint normalises by.
        raw: (n, D) what the map makes of the world's first observations.
    """
    fields = [world[part.field] for part in entry.parts]
    sizes = [part.size(int(np.prod(f.shape))) for part, f in zip(entry.parts, fields, strict=True)]
    total = sum(sizes)
    names = element_names(entry, fields, trained)

    def change(check: str, text: str, elements: Sequence[int], scale: float, offset: float = 0.0) -> NumberChange:
        s, o = np.ones(total), np.zeros(total)
        s[list(elements)], o[list(elements)] = scale, offset
        return NumberChange(
            check=check,
            text=text,
            lines=tuple(affine_lines(tables, entry.parts, sizes, s, o)),
            elements=tuple(elements),
        )

    for elements in angular(names, fields, sizes):
        yield change("degrees", "radians arrive, and it was trained on degrees", elements, DEGREES)
        yield change("degrees", "degrees arrive, and it was trained on radians", elements, 1 / DEGREES)
    for j in [j for j in range(total) if is_gripper(names, j)]:
        for scale, offset in gripper_maps(trained, j):
            yield change("gripper-sign", f"the gripper ({names[j] or j}) is the other way round", [j], scale, offset)
    yield from _quaternion_changes(tables, entry, sizes, raw)
    if checkpoint is not None:
        s = checkpoint.std / np.where(trained.std > 0, trained.std, 1.0)
        o = checkpoint.mean - s * trained.mean
        lines = tuple(affine_lines(tables, entry.parts, sizes, s, o))
        text = "the checkpoint normalises by the statistics of another dataset"
        yield NumberChange(check="statistics", text=text, lines=lines, elements=tuple(range(total)))


def gripper_maps(trained: TrainedNumbers, j: int) -> list[tuple[float, float]]:
    """Scale and offset of every way in which a gripper's number may be meant."""
    if trained.low is None or trained.high is None:
        middle = float(trained.mean[j])
        return [(-1.0, 0.0), (-1.0, 1.0)] if abs(middle) <= 1 else [(-1.0, 0.0)]
    ends = float(trained.low[j] + trained.high[j])
    return list(
        dict.fromkeys([(-1.0, ends), (-1.0, 0.0), (-1.0, 1.0), (2.0, -1.0), (-2.0, 1.0), (0.5, 0.5), (-0.5, 0.5)])
    )


def element_names(entry: ObservationMap, fields: Sequence[Field], trained: TrainedNumbers) -> list[str]:
    """What every element is called here, and in the training data."""
    ours: list[str] = []
    for part, field in zip(entry.parts, fields, strict=True):
        size = part.size(int(np.prod(field.shape)))
        layout = (
            list(field.layout)
            if part.index is None
            else [field.layout[i] for i in part.index if i < len(field.layout)]
        )
        ours += layout if len(layout) == size and part.rotation is None else [""] * size
    theirs = trained.names if len(trained.names) == len(ours) else [""] * len(ours)
    return [f"{a} {b}".strip() for a, b in zip(ours, theirs, strict=True)]


def is_gripper(names: Sequence[str], j: int) -> bool:
    """By its name; the last one, where nothing has a name."""
    if any(names):
        return bool(GRIPPER.search(names[j]))
    return j == len(names) - 1


def angular(names: Sequence[str], fields: Sequence[Field], sizes: Sequence[int]) -> list[list[int]]:
    """Sets of elements that may be angles: those of fields in radians or degrees, or else all but grippers."""
    units: list[str] = []
    for field, size in zip(fields, sizes, strict=True):
        units += [field.unit] * size
    said = [j for j, unit in enumerate(units) if unit in ("rad", "deg") and not is_gripper(names, j)]
    if said:
        return [said]
    free = [j for j, unit in enumerate(units) if unit not in ("m", "pixel", "m/s", "N") and not is_gripper(names, j)]
    free = [j for j in free if not re.search(r"quat_|position\.[xyz]|\b[xyz]\b", names[j])]
    return [free] if free else []


def _quaternion_changes(
    tables: Sequence[str], entry: ObservationMap, sizes: Sequence[int], raw: Array
) -> Iterator[NumberChange]:
    at = 0
    for table, part, size in zip(tables, entry.parts, sizes, strict=True):
        elements = tuple(range(at, at + size))
        rotation = part.rotation
        if rotation is not None and rotation.source in ORDERS:
            other = next(order for order in ORDERS if order != rotation.source)
            branch = f', branch = "{rotation.branch}"' if rotation.branch != "shortest" else ""
            value = f'{{ from = "{other}", to = "{rotation.target}"{branch} }}'
            text = f"the quaternion is {other}, and is read as {rotation.source}"
            yield NumberChange(
                check="quaternion-order", text=text, lines=(Line(table, "rotation", value),), elements=elements
            )
        if rotation is None:
            yield from _reordered(table, part, size, raw[:, at : at + size], at)
        at += size


def _reordered(table: str, part: Elements, size: int, values: Array, at: int) -> Iterator[NumberChange]:
    """Four neighbours of length 1 are a quaternion."""
    for first in range(size - 3):
        four = values[:, first : first + 4]
        if not np.allclose(np.linalg.norm(four, axis=1), 1, atol=0.02):
            continue
        for order, pick in ORDERS.items():
            index = list(range(size)) if part.index is None else list(part.index)
            index[first : first + 4] = [index[first + i] for i in pick]
            other = next(o for o in ORDERS if o != order)
            yield NumberChange(
                check="quaternion-order",
                text=f"a quaternion arrives as {order}, and it was trained on {other}",
                lines=(Line(table, "index", toml_value(index)),),
                elements=tuple(range(at + first, at + first + 4)),
            )
