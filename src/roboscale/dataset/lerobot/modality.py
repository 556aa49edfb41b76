"""GR00T's `meta/modality.json`: which elements of state and action are which part of the robot.

    {"state":  {"left_arm": {"start": 0, "end": 7}, ...},
     "action": {"left_arm": {"start": 0, "end": 7}, ...},
     "video":  {"ego_view": {"original_key": "observation.images.ego_view"}},
     "annotation": {"human.task_description": {}}}

Source: NVIDIA Isaac-GR00T, getting_started/data_preparation.md. Knows names and slices; does not know files of data.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from roboscale.core import BadData, Field, Finding
from roboscale.dataset.lerobot.features import Features
from roboscale.dataset.lerobot.info import as_whole, read_object

__all__ = ["MODALITY", "apply_modality", "fits_modality", "modality_of"]

MODALITY = "meta/modality.json"

_WHOLE = "all"
_COLUMNS = {"state": "observation.state", "action": "action"}


def apply_modality(root: Path, features: Features) -> None:
    """Names the elements of the fields after their groups and gives cameras their roles, in place.

    An element of group `arm` becomes `arm.x`, or `arm` when it is the only one. Elements in no group keep their
    names. BadData when a slice lies outside its field.
    """
    path = root / MODALITY
    modality = read_object(path)
    fields = {field.name: field for field in features.fields}
    for part, column in _COLUMNS.items():
        slices: dict[str, list[tuple[int, int, str]]] = {}
        for group, entry in _object(path, modality, part).items():
            where = f"{part}.{group}"
            entry = _entry(path, where, entry)
            key = _text(path, where, entry.get("original_key", column))
            if key not in features.arrays:
                raise BadData(path, f"{where}.original_key", "a numeric feature of info.json", key)
            end = as_whole(path, f"{where}.end", entry.get("end"), 1)
            start = as_whole(path, f"{where}.start", entry.get("start"), 0)
            if len(fields[key].shape) != 1 or not start < end <= fields[key].shape[0]:
                raise BadData(path, where, f"elements of {key}{list(fields[key].shape)}", f"{start} to {end}")
            slices.setdefault(key, []).append((start, end, group))
        for key, groups in slices.items():
            layout, findings = _layout(fields[key], groups)
            fields[key] = dataclasses.replace(fields[key], layout=layout)
            features.findings += findings
    for role, entry in _object(path, modality, "video").items():
        camera = _text(path, f"video.{role}", _entry(path, f"video.{role}", entry).get("original_key", role))
        if camera not in features.cameras:
            text = f"modality.json calls {camera} {role}, but there is no such camera"
            features.findings.append(Finding("modality", "warning", text, field=camera))
            continue
        fields[camera] = dataclasses.replace(fields[camera], role=role)
    features.fields[:] = [fields[field.name] for field in features.fields]
    _name_annotations(path, modality, features)


def fits_modality(modality: Mapping[str, Any], fields: Sequence[Field]) -> bool:
    """Whether every slice and camera that a `modality.json` names is there."""
    sizes = {field.name: field.shape[0] for field in fields if not field.is_image and len(field.shape) == 1}
    cameras = {field.name for field in fields if field.is_image}
    try:
        slices = [
            (sizes[entry.get("original_key", column)], entry.get("start", 0), entry["end"])
            for part, column in _COLUMNS.items()
            for entry in modality.get(part, {}).values()
        ]
        views = [entry.get("original_key", role) for role, entry in modality.get("video", {}).items()]
        return all(0 <= start < end <= size for size, start, end in slices) and all(view in cameras for view in views)
    except (AttributeError, KeyError, TypeError):
        return False


def _name_annotations(path: Path, modality: Mapping[str, Any], features: Features) -> None:
    for name, entry in _object(path, modality, "annotation").items():
        where = f"annotation.{name}"
        column = _text(path, where, _entry(path, where, entry).get("original_key", where))
        if column not in features.annotations and column not in features.unmapped:
            features.unmapped[column] = "modality.json names it, the data files do not hold it"


def _object(path: Path, modality: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    data = modality.get(part) or {}
    if not isinstance(data, dict):
        raise BadData(path, part, "an object", str(data)[:60])
    return data


def _entry(path: Path, where: str, entry: Any) -> Mapping[str, Any]:
    if not isinstance(entry, dict):
        raise BadData(path, where, "an object", str(entry)[:60])
    return entry


def _text(path: Path, where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise BadData(path, f"{where}.original_key", "a name", str(value)[:60])
    return value


def _layout(field: Field, groups: Sequence[tuple[int, int, str]]) -> tuple[tuple[str, ...], list[Finding]]:
    names = list(field.layout) or [f"element_{i}" for i in range(field.shape[0])]
    given = list(field.layout)
    findings, taken = [], set[int]()
    for start, end, group in groups:
        if given and (start, end, group) == (0, len(names), _WHOLE):
            return tuple(given), []
        own = [i for i in range(start, end) if i not in taken]
        if len(own) < end - start:
            text = f"modality.json puts elements of {field.name} into {group} and another group"
            findings.append(Finding("modality", "warning", text, field=field.name))
        for i in own:
            names[i] = _element(group, given[i] if given else str(i - start), end - start)
        taken.update(own)
    rest = field.shape[0] - len(taken)
    if rest:
        text = f"modality.json leaves {rest} of the {field.shape[0]} elements of {field.name} unnamed"
        findings.append(Finding("modality", "info", text, field=field.name))
    return tuple(names), findings


def _element(group: str, name: str, size: int) -> str:
    if name == group or name.startswith(f"{group}."):
        return name
    if size == 1:
        return group
    return f"{group}.{name.removeprefix(f'{group}_')}"


def modality_of(fields: Sequence[Field]) -> dict[str, Any]:
    """`modality.json` for the fields of a dataset; inverse of `apply_modality` where layouts name groups.

    Neighbours whose names agree up to the first `.` become one group; where no name has one, up to the last `_`;
    a field that falls into single elements, or into groups that lie apart, is the one group `all`.
    """
    by_name = {field.name: field for field in fields}
    parts: dict[str, Any] = {}
    for part, column in _COLUMNS.items():
        field = by_name.get(column)
        groups = list(_groups(field)) if field is not None and len(field.shape) == 1 else []
        parts[part] = {name: {"start": start, "end": end} for name, start, end in groups}
    cameras = [field for field in fields if field.is_image]
    roles = [field.role for field in cameras]
    views = {_view(field, roles): {"original_key": field.name} for field in cameras}
    return {**parts, "video": views, "annotation": {"human.task_description": {}}}


def _view(field: Field, roles: Sequence[str]) -> str:
    named = field.role and roles.count(field.role) == 1
    return field.role if named else field.name.removeprefix("observation.images.")


def _groups(field: Field) -> Iterator[tuple[str, int, int]]:
    """(name, start, end) of runs of elements that belong together."""
    mark = "." if any("." in name for name in field.layout) else "_"
    heads = [name.split(".")[0] if mark == "." else name.rpartition("_")[0] or name for name in field.layout]
    runs = [(head, len(list(run))) for head, run in itertools.groupby(heads)]
    names = [head for head, _ in runs]
    alone = len(runs) == len(heads) > 1
    if not runs or alone or len(set(names)) != len(names):
        yield _WHOLE, 0, field.shape[0]
        return
    start = 0
    for name, count in runs:
        yield name, start, start + count
        start += count
