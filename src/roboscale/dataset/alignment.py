"""Do the arrays of several robots mean the same, and how they fit into one dataset if they do not.

`conflicts` lists on what specs disagree; nobody's silence is taken for agreement. `Flatten` pads what differs and says
in mask columns what is real, for loaders that know one shape only: the numbers stay, their meaning is that of each
robot's own spec. Cameras are matched by their role, not by their name.

Knows specs and episodes on their way. Does not know files.

By hand, an arm of two joints and one of three. Rows are padded with zeros to the longest, a mask says which elements
are real, and a column says whose row it is, counted in the sorted names:

>>> from roboscale.core import Provenance
>>> two = Spec((Field("observation.state", (2,), "int16", unit="rad"),), rate_hz=10)
>>> three = Spec((Field("observation.state", (3,), "float32", unit="rad"),), rate_hz=10)
>>> short = Flatten({"two": two, "three": three}, "two")
>>> short.spec["observation.state"].shape, short.spec["observation.state"].dtype
((3,), 'float32')
>>> rows = np.array([[1, 2], [3, 4]], np.int16)
>>> episode = RecordedEpisode(
...     key="e", arrays={"observation.state": rows}, pictures={}, instruction="", provenance=Provenance("by hand")
... )
>>> flat = short(episode)
>>> flat.arrays["observation.state"].tolist()
[[1.0, 2.0, 0.0], [3.0, 4.0, 0.0]]
>>> flat.arrays["mask.observation.state"].tolist()
[[True, True, False], [True, True, False]]
>>> flat.arrays["embodiment_index"].tolist()  # three is 0, two is 1
[[1], [1]]
>>> unflatten(flat, short.specs, "two").arrays["observation.state"].tolist()
[[1, 2], [3, 4]]

Where specs do not agree, both sides are named:

>>> print(conflict_table(conflicts({"two": two, "three": three})))
observation.state: shape: differs
    three  [3]
    two    [2]
observation.state: dtype: differs
    three  float32
    two    int16
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core.errors import SpecMismatch, UnknownName
from roboscale.core.recording import UNKNOWN, Clip, Pictures, RecordedEpisode
from roboscale.core.spec import Field, Spec
from roboscale.dataset.packets import decode_in_order

__all__ = [
    "EMBODIMENT",
    "MASK",
    "Conflict",
    "Flatten",
    "ResizedPictures",
    "common_dtype",
    "conflict_table",
    "conflicts",
    "flat_spec",
    "role_name",
    "unflatten",
]

EMBODIMENT = "embodiment_index"
"""Column of a flattened dataset: which robot, counted in the sorted names."""
MASK = "mask."
"""Prefix of the columns that say which elements, or whether a camera, are real."""

_IMAGES = "observation.images."
_PER_ROBOT = "per embodiment"
_ALWAYS_MASKED = ("action", "observation.state")

Reason = Literal["differs", "not declared", "missing"]


@dataclass(frozen=True, slots=True)
class Conflict:
    """One thing on which specs do not agree.

    Args:
        field: name of the field, `camera <role>`, or empty for the whole.
        what: `rate_hz`, `shape`, `dtype`, `unit`, `mode`, `layout`, `frame`, `side`, `gripper`, `role`, `size` or
            `presence`.
        reason: `differs`; `not declared`: somebody does not say; `missing`: somebody does not have it.
        sides: member -> what it says, sorted by member.
    """

    field: str
    what: str
    reason: Reason
    sides: tuple[tuple[str, str], ...]


def conflicts(specs: Mapping[str, Spec], *, undeclared: bool = True) -> list[Conflict]:
    """Everything on which the specs disagree, sorted by field; the order of the members does not matter.

    Args:
        specs: member -> its spec.
        undeclared: whether a unit, mode, layout, frame, side, gripper or role that a member does not say is a
            conflict. False compares what is said, for copies of one robot.
    """
    members = {name: specs[name] for name in sorted(specs)}
    listed = _compare("", "rate_hz", {m: f"{s.rate_hz:g}" for m, s in members.items()})
    for name in sorted({f.name for s in members.values() for f in s if not f.is_image}):
        listed += _numeric(name, {m: next((f for f in s if f.name == name), None) for m, s in members.items()})
    listed += _cameras(members)
    if not undeclared:
        listed = [c for c in listed if c.reason != "not declared"]
    return listed


def _compare(field: str, what: str, values: Mapping[str, str], *, required: bool = False) -> list[Conflict]:
    """A conflict when the values differ, or when some are not said: always if `required`, else if others are."""
    if len(values) < 2:
        return []
    sides = tuple(
        (member, value if value not in ("", UNKNOWN) else "not declared") for member, value in values.items()
    )
    said = {value for _, value in sides} - {"not declared"}
    silent = any(value == "not declared" for _, value in sides)
    if len(said) > 1:
        return [Conflict(field, what, "differs", sides)]
    if silent and (said or required):
        return [Conflict(field, what, "not declared", sides)]
    return []


def _missing(field: str, present: Mapping[str, bool]) -> list[Conflict]:
    if all(present.values()):
        return []
    sides = tuple((member, "present" if there else "missing") for member, there in present.items())
    return [Conflict(field, "presence", "missing", sides)]


def _numeric(name: str, fields: Mapping[str, Field | None]) -> list[Conflict]:
    there = {member: field for member, field in fields.items() if field is not None}
    # Only actions and observations mean something to a policy; counters and clocks need no unit.
    matters = name.split(".")[0] in ("action", "observation")
    listed = _missing(name, {member: field is not None for member, field in fields.items()})
    listed += _compare(name, "shape", {m: str(list(f.shape)) for m, f in there.items()})
    listed += _compare(name, "dtype", {m: np.dtype(f.dtype).name for m, f in there.items()})
    for what in ("unit", "mode"):
        listed += _compare(name, what, {m: getattr(f, what) for m, f in there.items()}, required=matters)
    for what in ("layout", "frame", "side"):
        listed += _compare(name, what, {m: _text(getattr(f, what)) for m, f in there.items()})
    grippers = {m: convention for m, f in there.items() if (convention := _gripper(f)) is not None}
    return listed + _compare(name, "gripper", grippers, required=True)


def _text(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _gripper(field: Field) -> str | None:
    """What its gripper elements are called, which says what 1 means; None without any, empty where it does not say."""
    names = {n for element in field.layout for n in element.split(".") if n.startswith("gripper")}
    if not names:
        return None
    return "" if names & {"gripper", "gripper_action"} else ", ".join(sorted(names))


def _cameras(specs: Mapping[str, Spec]) -> list[Conflict]:
    listed: list[Conflict] = []
    roles: dict[str, dict[str, Field]] = {member: {} for member in specs}
    unsaid: dict[str, dict[str, str]] = {}
    for member, spec in specs.items():
        for field in spec.images:
            if not field.role and len(specs) > 1:
                listed.append(Conflict(field.name, "role", "not declared", ((member, "not declared"),)))
                unsaid.setdefault(field.name, {})[member] = str(list(field.shape))
            elif field.role in roles[member]:
                both = f"{roles[member][field.role].name} and {field.name}"
                listed.append(Conflict(f"camera {field.role}", "role", "differs", ((member, both),)))
            elif field.role:
                roles[member][field.role] = field
    for name, sizes in unsaid.items():
        listed += _compare(name, "size", sizes)
    for role in sorted({role for cameras in roles.values() for role in cameras}):
        field_name = f"camera {role}"
        listed += _missing(field_name, {member: role in cameras for member, cameras in roles.items()})
        sizes = {m: str(list(cameras[role].shape)) for m, cameras in roles.items() if role in cameras}
        listed += _compare(field_name, "size", sizes)
    return listed


def conflict_table(listed: Sequence[Conflict]) -> str:
    """Conflicts as lines for people: what, why, and each member's side."""
    lines = []
    for conflict in listed:
        width = max(len(member) for member, _ in conflict.sides)
        lines.append(f"{conflict.field or 'dataset'}: {conflict.what}: {conflict.reason}")
        lines += [f"    {member:<{width}}  {value}" for member, value in conflict.sides]
    return "\n".join(lines)


def role_name(role: str) -> str:
    """Name of the camera with this role where cameras are unified; SpecMismatch when it cannot be a name."""
    if not re.fullmatch(r"\w[\w-]*", role):
        raise SpecMismatch(f"camera role {role!r}: letters, digits, _ and - make a name")
    return f"{_IMAGES}{role}"


def _by_role(member: str, spec: Spec) -> dict[str, Field]:
    cameras: dict[str, Field] = {}
    for field in spec.images:
        if not field.role:
            raise SpecMismatch(f"{member}: {field.name}: its role is not declared, so it matches no other")
        if field.role in cameras:
            raise SpecMismatch(f"{member}: {cameras[field.role].name} and {field.name} have the role {field.role!r}")
        cameras[field.role] = field
    return cameras


def flat_spec(specs: Mapping[str, Spec], *, resize: tuple[int, int] | None = None) -> Spec:
    """The spec of a dataset that holds episodes of all these robots, padded to the largest.

    Args:
        specs: name of a robot -> its spec; the order does not matter.
        resize: (height, width) that all pictures get; by default cameras of one role must have one size.

    Raises:
        SpecMismatch: rates or camera sizes differ, a role is missing or used twice, a field cannot be padded.
    """
    members = {name: specs[name] for name in sorted(specs)}
    rates = {name: spec.rate_hz for name, spec in members.items()}
    if len(set(rates.values())) != 1:
        raise SpecMismatch(f"rates differ, and nothing is resampled silently: {_listed(rates)}")
    fields: list[Field] = []
    for name in _numeric_names(members):
        fields += _flat_field(name, members)
    fields.append(Field(EMBODIMENT, (1,), "int64"))
    cameras = {name: _by_role(name, spec) for name, spec in members.items()}
    for role in sorted({role for named in cameras.values() for role in named}):
        fields += _flat_camera(role, {n: c[role] for n, c in cameras.items() if role in c}, resize)
    return Spec(tuple(fields), next(iter(rates.values())))


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _numeric_names(specs: Mapping[str, Spec]) -> list[str]:
    names = sorted({f.name for spec in specs.values() for f in spec if not f.is_image})
    for name in names:
        if name.startswith(MASK) or name == EMBODIMENT:
            raise SpecMismatch(f"{name}: a flattened dataset adds this column itself")
    return names


def _flat_field(name: str, specs: Mapping[str, Spec]) -> list[Field]:
    """The padded field and, unless all members have the same, its mask."""
    there = {member: spec[name] for member, spec in specs.items() if name in spec}
    fields = list(there.values())
    same = len(there) == len(specs) and len({(f.shape, f.dtype) for f in fields}) == 1
    if all(len(f.shape) <= 1 for f in fields):
        shape: tuple[int, ...] = (max(_size(f) for f in fields),)
        mask_shape = shape
    elif len({f.shape for f in fields}) == 1:
        shape, mask_shape = fields[0].shape, (1,)
    else:
        raise SpecMismatch(f"{name}: only vectors can be padded: {_listed({m: f.shape for m, f in there.items()})}")
    layouts = {f.layout for f in fields}
    flat = Field(
        name,
        shape,
        common_dtype(name, there),
        unit=_common([f.unit for f in fields], _PER_ROBOT),
        mode=_common([f.mode for f in fields], _PER_ROBOT),
        layout=fields[0].layout if len(layouts) == 1 and len({f.shape for f in fields}) == 1 else (),
        frame=_common([f.frame for f in fields], ""),
        side=_common([f.side for f in fields], ""),
        branch=_common([f.branch for f in fields], ""),
    )
    mask = Field(f"{MASK}{name}", mask_shape, "bool")
    return [flat] if same and name not in _ALWAYS_MASKED else [flat, mask]


def _size(field: Field) -> int:
    return int(np.prod(field.shape, dtype=np.int64))


def _common(values: Sequence[str], otherwise: str) -> str:
    return values[0] if len(set(values)) == 1 else otherwise


def common_dtype(name: str, fields: Mapping[str, Field]) -> str:
    """The smallest dtype that holds everybody's numbers exactly.

    int16 and float32 meet in float32, whose 24 bits hold every int16. int32 and float32 meet in float64 (53 bits).
    int64 and float32 meet in float64 too, which cannot hold 2**53 + 1, so that they are refused.

    >>> common_dtype("x", {"a": Field("x", (1,), "int32"), "b": Field("x", (1,), "float32")})
    'float64'
    """
    dtypes = {member: np.dtype(field.dtype) for member, field in fields.items()}
    result = np.result_type(*dtypes.values())
    for dtype in dtypes.values():
        bits = 8 * dtype.itemsize  # of an integer; a float holds as many as its mantissa, and the leading one besides
        if dtype.kind in "iu" and result.kind == "f" and bits > np.finfo(result).nmant + 1:
            raise SpecMismatch(f"{name}: no dtype holds these exactly: {_listed(dtypes)}")
        if (dtype.kind == "b") != (result.kind == "b"):
            raise SpecMismatch(f"{name}: truth values and numbers do not mix: {_listed(dtypes)}")
    return result.name


def _flat_camera(role: str, fields: Mapping[str, Field], resize: tuple[int, int] | None) -> list[Field]:
    sizes = {member: field.shape for member, field in fields.items()}
    if resize is None and len(set(sizes.values())) > 1:
        raise SpecMismatch(f"camera {role}: sizes differ, and nothing is resized unless you say so: {_listed(sizes)}")
    shape = (*resize, 3) if resize is not None else next(iter(sizes.values()))
    name = role_name(role)
    return [Field(name, shape, "uint8", role=role), Field(f"{MASK}{name}", (1,), "bool")]


@dataclass(frozen=True)
class Flatten:
    """Pads an episode of one robot into the shapes of `flat_spec`; picklable, the `edit` of a transfer.

    Args:
        specs: as for `flat_spec`.
        name: whose episodes these are.
        resize: as for `flat_spec`.

    Raises:
        UnknownName: `name` is not in `specs`.
        SpecMismatch: as `flat_spec`; or an episode is not of that spec.
    """

    specs: Mapping[str, Spec]
    name: str
    resize: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.name not in self.specs:
            raise UnknownName("robot", self.name, self.specs)
        object.__setattr__(self, "specs", {name: self.specs[name] for name in sorted(self.specs)})
        flat_spec(self.specs, resize=self.resize)

    @property
    def spec(self) -> Spec:
        """Of the episodes that come out."""
        return flat_spec(self.specs, resize=self.resize)

    def __call__(self, episode: RecordedEpisode) -> RecordedEpisode:
        flat, own, length = self.spec, self.specs[self.name], len(episode)
        for field in own:
            if not field.is_image and field.name not in episode.arrays:
                raise SpecMismatch(f"{self.name}: episode {episode.key} has no {field.name}")
        cameras = {field.role: episode.pictures.get(field.name) for field in own.images}
        arrays: dict[str, NDArray[Any]] = {}
        pictures: dict[str, Clip | Pictures] = {}
        for field in flat:
            if field.is_image:
                pictures[field.name] = _flat_pictures(cameras.get(field.role), field.shape, length, self.resize)
            elif field.name == EMBODIMENT:
                arrays[field.name] = np.full((length, 1), list(self.specs).index(self.name), np.int64)
            elif field.name.startswith(MASK + _IMAGES) and field.name.removeprefix(MASK) in flat.names:
                role = flat[field.name.removeprefix(MASK)].role
                arrays[field.name] = np.full((length, 1), cameras.get(role) is not None)
            elif field.name.startswith(MASK):
                arrays[field.name] = _mask(field, own, length)
            else:
                arrays[field.name] = _padded(field, episode.arrays.get(field.name), length)
        return dataclasses.replace(episode, arrays=arrays, pictures=pictures)


def _padded(field: Field, array: NDArray[Any] | None, length: int) -> NDArray[Any]:
    padded = np.zeros((length, *field.shape), field.dtype)
    if array is not None and len(field.shape) == 1:
        rows = array.reshape(length, -1)
        padded[:, : rows.shape[1]] = rows
    elif array is not None:
        padded[:] = array
    return padded


def _mask(field: Field, own: Spec, length: int) -> NDArray[np.bool_]:
    name = field.name.removeprefix(MASK)
    mask = np.zeros((length, *field.shape), np.bool_)
    if name in own:
        mask[:, : _size(own[name])] = True
    return mask


def _flat_pictures(
    source: Clip | Pictures | None, shape: tuple[int, ...], length: int, resize: tuple[int, int] | None
) -> Clip | Pictures:
    if source is None:
        return _Black(length, shape)
    return source if resize is None else ResizedPictures(source, shape[0], shape[1])


@dataclass(frozen=True, slots=True)
class _Black:
    """Pictures of a camera that is not there."""

    count: int
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return (np.zeros(self.shape, np.uint8) for _ in range(self.count))


@dataclass(frozen=True, slots=True)
class ResizedPictures:
    """Pictures brought to a size, bilinear over the area that each pixel covers."""

    source: Clip | Pictures
    height: int
    width: int

    def __len__(self) -> int:
        return len(self.source)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        from PIL import Image

        clip = self.source
        images = decode_in_order(clip.path, clip.first, clip.length) if isinstance(clip, Clip) else iter(clip)
        for image in images:
            if image.shape[:2] != (self.height, self.width):
                resized = Image.fromarray(image).resize((self.width, self.height), Image.Resampling.BILINEAR)
                image = np.asarray(resized, np.uint8)
            yield image


def unflatten(episode: RecordedEpisode, specs: Mapping[str, Spec], name: str) -> RecordedEpisode:
    """The episode as it was before `Flatten(specs, name)`; pictures that were resized stay so."""
    if name not in specs:
        raise UnknownName("robot", name, specs)
    arrays: dict[str, NDArray[Any]] = {}
    pictures: dict[str, Clip | Pictures] = {}
    for field in specs[name]:
        if field.is_image:
            unified = role_name(field.role)
            if episode.arrays[MASK + unified].any():
                pictures[field.name] = episode.pictures[unified]
            continue
        padded = episode.arrays[field.name]
        rows = padded[:, : _size(field)] if padded.ndim == 2 else padded
        arrays[field.name] = rows.reshape(len(padded), *field.shape).astype(field.dtype)
    return dataclasses.replace(episode, arrays=arrays, pictures=pictures)
