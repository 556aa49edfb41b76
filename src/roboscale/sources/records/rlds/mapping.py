"""Which name of a record becomes which of our fields, and why the others do not.

Knows the names that RLDS fixes (`observation`, `action`, `reward`, `is_first`, ...) and nothing of single datasets.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from roboscale.core import UNKNOWN, BadData, Field, Finding, Origin, UnknownName
from roboscale.dataset.layout import INDEX_FEATURES
from roboscale.sources.records.rlds.features import FeatureLeaf

__all__ = ["FLAGS", "Mapped", "map_leaves"]

FLAGS = ("steps/is_first", "steps/is_last", "steps/is_terminal")
"""Say where an episode begins and ends; a dataset of episodes says that anyway."""

_INSTRUCTIONS = ("steps/language_instruction", "steps/observation/natural_language_instruction")
_REGENERATED = (
    "regenerated: episodes are kept apart, and this is checked against them; is_terminal is in the provenance"
)
_EMBEDDING = "derived from the instruction's text by a language model; the text is kept"
_MOST_METADATA = 4096  # numbers; beyond that it is data and no metadata


@dataclass(slots=True, kw_only=True)
class Mapped:
    """The leaves of a record, sorted.

    Args:
        columns: our name -> the leaves that are stacked to it, mostly one.
        cameras: our name -> pictures.
        instruction: the text that was asked; `None` where a dataset has none.
        texts: other texts of the steps, for the provenance.
        metadata: what comes once per episode, for the provenance.
        flags: those of `FLAGS` that are there.
        unmapped: name -> reason.
    """

    columns: dict[str, tuple[FeatureLeaf, ...]] = field(default_factory=dict)
    cameras: dict[str, FeatureLeaf] = field(default_factory=dict)
    instruction: FeatureLeaf | None = None
    texts: list[FeatureLeaf] = field(default_factory=list)
    metadata: list[FeatureLeaf] = field(default_factory=list)
    flags: list[FeatureLeaf] = field(default_factory=list)
    unmapped: dict[str, str] = field(default_factory=dict)

    def fields(self) -> tuple[Field, ...]:
        """Fields of the spec. RLDS says neither unit nor mode."""
        columns = (
            Field(name, _column_shape(leaves), leaves[0].dtype, unit=UNKNOWN, mode=UNKNOWN)
            for name, leaves in self.columns.items()
        )
        axes = ("height", "width", "channel")
        cameras = (Field(name, leaf.shape, "uint8", layout=axes) for name, leaf in self.cameras.items())
        return (*columns, *cameras)

    def origins(self) -> tuple[Origin, ...]:
        """Where every field comes from."""
        origins = []
        for name, leaves in self.columns.items():
            done = "copied" if len(leaves) == 1 else f"stacked from {len(leaves)} arrays"
            if _is_narrowed(leaves):
                done += "; float64 as declared, stored as float32"
            origins.append(Origin(name, ", ".join(leaf.name for leaf in leaves), done))
        for name, leaf in self.cameras.items():
            done = f"{leaf.encoding.upper() or 'picture'} decoded" if leaf.kind == "image" else "copied"
            origins.append(Origin(name, leaf.name, done))
        return tuple(origins)

    def findings(self) -> Iterator[Finding]:
        """What the features lack."""
        if "action" not in self.columns:
            yield Finding("no-action", "warning", "features.json describes no action: none is invented")
        for name, leaves in self.columns.items():
            if _is_narrowed(leaves):
                text = (
                    "features.json declares float64 and the records hold 32-bit floats, as TFRecords always do: "
                    "the values are as precise as float32"
                )
                yield Finding("narrowed-floats", "info", text, field=name)

    def size_camera(self, name: str, shape: tuple[int, ...]) -> None:
        """Gives a camera whose size features.json leaves open that of a first picture."""
        self.cameras[name] = dataclasses.replace(self.cameras[name], shape=shape)


def _is_narrowed(leaves: Sequence[FeatureLeaf]) -> bool:
    return any(leaf.dtype == "float64" and leaf.encoding == "none" for leaf in leaves)


def _column_shape(leaves: Sequence[FeatureLeaf]) -> tuple[int, ...]:
    return (leaves[0].shape or (1,)) if len(leaves) == 1 else (sum(leaf.size for leaf in leaves),)


def map_leaves(
    path: Path, leaves: Sequence[FeatureLeaf], action: Sequence[str] = (), instruction: str | None = None
) -> Mapped:
    """Sorts the leaves.

    Args:
        path: features.json, for errors.
        action: leaves that make the action, in this order; needed where `steps/action` is not one array.
        instruction: leaf with the instruction, where it is not called `language_instruction`.

    Raises:
        BadData: nothing says which of several arrays is the action.
        UnknownName: `action` or `instruction` names no such leaf.
    """
    mapped = Mapped()
    mapped.instruction = _instruction(leaves, instruction)
    chosen = _actions(path, leaves, action)
    if chosen:
        mapped.columns["action"] = chosen
    if mapped.instruction:
        mapped.unmapped[mapped.instruction.name] = "no column: it is the task of each episode"
    for leaf in leaves:
        if leaf not in chosen and leaf != mapped.instruction:
            _place(mapped, leaf)
    _name_only_state(mapped)
    return mapped


def _find(leaves: Iterable[FeatureLeaf], kind: str, name: str) -> FeatureLeaf:
    """The leaf of that kind called `name`, with or without `steps/` before it."""
    of_kind = {leaf.name: leaf for leaf in leaves if leaf.kind == kind and leaf.in_steps}
    for candidate in (name, f"steps/{name}"):
        if candidate in of_kind:
            return of_kind[candidate]
    raise UnknownName(f"{kind} in the steps", name, [full.removeprefix("steps/") for full in of_kind])


def _instruction(leaves: Sequence[FeatureLeaf], name: str | None) -> FeatureLeaf | None:
    if name is not None:
        return _find(leaves, "text", name)
    there = {leaf.name: leaf for leaf in leaves if leaf.kind == "text"}
    return next((there[known] for known in _INSTRUCTIONS if known in there), None)


def _actions(path: Path, leaves: Sequence[FeatureLeaf], names: Sequence[str]) -> tuple[FeatureLeaf, ...]:
    if names:
        chosen = tuple(_find(leaves, "number", name) for name in names)
    else:
        candidates = [leaf for leaf in leaves if leaf.kind == "number" and leaf.name.startswith("steps/action")]
        exact = [leaf for leaf in candidates if leaf.name == "steps/action"]
        if not exact and len(candidates) > 1:
            listed = ", ".join(leaf.name.removeprefix("steps/") for leaf in candidates)
            raise BadData(path, "steps/action", "one array; say which with --action A or --action A,B", listed)
        chosen = tuple(exact or candidates)
    if len({leaf.dtype for leaf in chosen}) > 1 or any(len(leaf.shape) > 1 for leaf in chosen):
        found = ", ".join(f"{leaf.name} {leaf.dtype}{list(leaf.shape)}" for leaf in chosen)
        raise BadData(path, "action", "vectors of one dtype", found)
    return chosen


def _place(mapped: Mapped, leaf: FeatureLeaf) -> None:
    """Puts one leaf where it belongs."""
    if leaf.kind == "other":
        mapped.unmapped[leaf.name] = leaf.why_not
    elif not leaf.in_steps:
        _place_metadata(mapped, leaf)
    elif leaf.name in FLAGS and leaf.kind == "number" and not leaf.shape:
        mapped.flags.append(leaf)
        mapped.unmapped[leaf.name] = _REGENERATED
    elif leaf.kind == "text":
        mapped.texts.append(leaf)
        mapped.unmapped[leaf.name] = "kept in the provenance: a dataset has one instruction per episode"
    elif leaf.name.endswith("embedding"):
        mapped.unmapped[leaf.name] = _EMBEDDING
    elif leaf.kind == "image" or (len(leaf.shape) == 3 and leaf.dtype == "uint8"):
        _place_camera(mapped, leaf)
    else:
        mapped.columns[_unique(mapped, _column_name(leaf.name))] = (leaf,)


def _place_metadata(mapped: Mapped, leaf: FeatureLeaf) -> None:
    if leaf.kind == "image" or (leaf.kind == "number" and leaf.size > _MOST_METADATA):
        mapped.unmapped[leaf.name] = "too large for metadata, and not per step"
    else:
        mapped.metadata.append(leaf)
        mapped.unmapped[leaf.name] = "kept in the provenance of each episode"


def _place_camera(mapped: Mapped, leaf: FeatureLeaf) -> None:
    if leaf.shape[2] != 3:
        mapped.unmapped[leaf.name] = f"uint8{list(leaf.shape)} is no RGB picture"
        return
    tail = leaf.name.removeprefix("steps/").removeprefix("observation/")
    mapped.cameras[_unique(mapped, f"observation.images.{tail.replace('/', '.')}")] = leaf


def _column_name(name: str) -> str:
    first, _, rest = name.removeprefix("steps/").partition("/")
    tail = rest.replace("/", ".")
    if first == "observation":
        return f"observation.{tail}"
    if first.startswith("action"):
        return f"commanded.{tail or first}"
    if name in ("steps/reward", "steps/discount"):
        return f"next.{first}"
    full = f"{first}.{tail}" if tail else first
    return f"source.{full}" if full in INDEX_FEATURES or full == "task" else full


def _unique(mapped: Mapped, name: str) -> str:
    taken = mapped.columns.keys() | mapped.cameras.keys()
    return next(n for n in (name, *(f"{name}.{i}" for i in range(2, len(taken) + 3))) if n not in taken)


def _name_only_state(mapped: Mapped) -> None:
    """An observation with a single vector of numbers is the state, whatever it is called."""
    numeric = [name for name in mapped.columns if name.startswith("observation.")]
    if len(numeric) == 1 and numeric[0] != "observation.state":
        (leaf,) = mapped.columns[numeric[0]]
        if len(leaf.shape) <= 1 and np.dtype(leaf.dtype).kind == "f":
            mapped.columns = {"observation.state" if n == numeric[0] else n: v for n, v in mapped.columns.items()}
