"""What the user says about a recording that its format cannot say: a small TOML file.

    robot_type = "widowx"
    licence = "CC-BY-4.0"
    rate_hz = 5.0
    instruction = "put the pot into the sink"       # for episodes that have none

    [fields."action"]
    unit = "mixed"
    layout = ["x", "y", "z", "roll", "pitch", "yaw", "gripper_openness"]
    mode = "relative to state at prediction"

    [fields."observation.images.image_0"]
    role = "external"

The format's own word is never overruled: a user who says otherwise gets an error with both sides. What neither says
comes from the table of known datasets, and what nobody says stays `UNKNOWN`.

Knows meanings. Does not change a number.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from roboscale.core import (
    UNKNOWN,
    Extras,
    Field,
    Finding,
    Origin,
    RecordedEpisode,
    Recording,
    Spec,
    SpecMismatch,
    UnknownName,
    extras_of,
    splits_of,
)
from roboscale.core.declared import Limit, Positive, Text, as_declared, read_declared
from roboscale.sources.records.known import KnownDataset, KnownField, find_known

__all__ = [
    "Declaration",
    "DeclaredRecording",
    "FieldDeclaration",
    "declared",
    "known_at",
    "known_for",
    "load_declaration",
    "open_declared",
    "parse_declaration",
    "undeclared",
]

_LIMIT = 2**20  # bytes of a declaration, or of a dataset_info.json
_NOT_SAID: tuple[Any, ...] = ("", UNKNOWN, (), None)


Names = Annotated[
    tuple[Text, ...], Limit("a list of different names", lambda names: len(set(names)) == len(names) > 0)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDeclaration:
    """Meaning of one field, in the words of `core.Field`; `None` says nothing."""

    unit: Text | None = None
    frame: Text | None = None
    layout: Names | None = None
    mode: Text | None = None
    side: Text | None = None
    branch: Text | None = None
    role: Text | None = None

    def words(self) -> dict[str, str | tuple[str, ...]]:
        """What is said, by property."""
        said = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What the user says; `None` says nothing.

    Args:
        instruction: for episodes that have none.
        rate_hz: of the grid of frames, where the format has no clock.
        fields: field of the recording's spec -> its meaning.
    """

    robot_type: Text | None = None
    licence: Text | None = None
    instruction: Text | None = None
    rate_hz: Positive | None = None
    fields: Mapping[str, FieldDeclaration] = dataclasses.field(default_factory=dict)

    def only(self, fields: Collection[str]) -> Declaration:
        """What it says of these fields, and of the whole."""
        said = {name: words for name, words in self.fields.items() if name in fields}
        return dataclasses.replace(self, fields=said)

    def to_toml(self, comments: Mapping[str, Sequence[str]] | None = None) -> str:
        """As a file that `load_declaration` reads.

        Args:
            comments: field, or empty for the whole -> lines to put there as comments.
        """
        notes = comments or {}
        lines = [f"# {line}" for line in notes.get("", ())]
        for name in _GENERAL:
            value = getattr(self, name)
            if value is not None:
                lines.append(f"{name} = {_toml(value)}")
        for name in dict.fromkeys((*self.fields, *(n for n in notes if n))):
            lines += ["", f"[fields.{_toml(name)}]"]
            lines += [f"# {line}" for line in notes.get(name, ())]
            words = self.fields[name].words() if name in self.fields else {}
            lines += [f"{word} = {_toml(value)}" for word, value in words.items()]
        return "\n".join(lines).strip("\n") + "\n"


_GENERAL = tuple(f.name for f in dataclasses.fields(Declaration) if f.name != "fields")
_WORDS = tuple(f.name for f in dataclasses.fields(FieldDeclaration))


def _toml(value: str | float | Sequence[str]) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (int, float)):
        return repr(float(value))
    return "[" + ", ".join(_toml(item) for item in value) + "]"


def load_declaration(path: Path) -> Declaration:
    """Reads a declaration.

    Raises:
        BadData, UnknownName: as for `core.declared.read_declared`.
    """
    return read_declared(path, Declaration, limit=_LIMIT)


def parse_declaration(data: Mapping[str, Any], where: object) -> Declaration:
    """As `load_declaration`, from what a TOML or JSON parser gave; `where` names it in errors."""
    return as_declared(data, Declaration, where)


def undeclared(spec: Spec) -> tuple[str, ...]:
    """Fields of which nobody has said enough: numbers without unit or mode, cameras without role."""
    missing = []
    for field in spec:
        if not field.role if field.is_image else UNKNOWN in (field.unit, field.mode):
            missing.append(field.name)
    return tuple(missing)


def _facts(recording: Recording, known: KnownDataset) -> dict[str, KnownField]:
    """Field of the recording -> what the table says of it, where the sizes agree."""
    sources = {origin.field: origin.source for origin in recording.origins}
    facts = {}
    for field in recording.spec:
        fact = known.field(sources.get(field.name, ""), field.name)
        if fact is None or (fact.role is not None) != field.is_image:
            continue
        if fact.layout is None or field.shape in ((len(fact.layout),), ()):
            facts[field.name] = fact
    return facts


def known_for(recording: Recording) -> KnownDataset | None:
    """The known dataset that a recording is a copy of, by its folder's name or that in `dataset_info.json`.

    A folder that only happens to have the name is not one: at least one field must be there as the table has it.
    """
    known = known_at(recording.root)
    return known if known is not None and _facts(recording, known) else None


def known_at(path: Path) -> KnownDataset | None:
    """The known dataset of that name, before anything is opened: what a reader must be told (its rate, its action)."""
    folder = path if path.is_dir() else path.parent
    absolute = folder.absolute()
    names = (_info_name(folder), absolute.name, absolute.parent.name)
    return next((known for name in names if name and (known := find_known(name)) is not None), None)


def _info_name(folder: Path) -> str:
    path = folder / "dataset_info.json"
    try:
        if path.stat().st_size > _LIMIT:
            return ""
        data = json.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError):
        return ""  # the reader of the format complains about it where it matters
    name = data.get("name", "") if isinstance(data, dict) else ""
    return name if isinstance(name, str) else ""


def declared(recording: Recording, declaration: Declaration, known: KnownDataset | None = None) -> DeclaredRecording:
    """The recording with its meanings filled in.

    Args:
        known: facts for what neither the format nor the user says; see `known_for`.

    Raises:
        SpecMismatch: the user contradicts the format; one line for each contradiction, with both sides.
        UnknownName: a declared field that the recording does not have.
    """
    spec = recording.spec
    for name in declaration.fields:
        if name not in spec:
            raise UnknownName("field", name, spec.names)
    clashes = [*_clashes(recording, declaration)]
    if clashes:
        raise SpecMismatch("\n".join([f"the declaration does not fit {recording.root}:", *clashes]))
    return DeclaredRecording(recording, declaration, known)


def open_declared(
    source: Callable[[], Recording], declaration: Declaration, known: KnownDataset | None = None
) -> DeclaredRecording:
    """As `declared`, for a recording yet to be opened: a `functools.partial` of this can be sent to workers."""
    return declared(source(), declaration, known)


def _clashes(recording: Recording, declaration: Declaration) -> Iterable[str]:
    pairs: list[tuple[str, Any, Any]] = [
        ("robot_type", _robot(recording), declaration.robot_type),
        ("licence", recording.licence, declaration.licence),
        ("rate_hz", _clock(recording.spec), declaration.rate_hz),
    ]
    for name, said in declaration.fields.items():
        field = recording.spec[name]
        pairs += [(f"{name} {word}", getattr(field, word), value) for word, value in said.words().items()]
    for what, fixed, said_value in pairs:
        if said_value is not None and fixed not in _NOT_SAID and fixed != said_value:
            yield f"  {what}: the {recording.format} source says {_plain(fixed)}, you say {_plain(said_value)}"


def _plain(value: object) -> str:
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, tuple) else str(value)


def _robot(recording: Recording) -> str:
    return "" if recording.robot_type == UNKNOWN else recording.robot_type


def _clock(spec: Spec) -> float | None:
    return spec.rate_hz if math.isfinite(spec.rate_hz) and spec.rate_hz > 0 else None


class DeclaredRecording:
    """A recording with meanings from a declaration and from the table of known datasets; see `declared`."""

    def __init__(self, recording: Recording, declaration: Declaration, known: KnownDataset | None) -> None:
        self._recording, self._instruction = recording, declaration.instruction or ""
        self.format: str = recording.format
        self.root: Path = recording.root
        self.keys: Sequence[str] = recording.keys
        self.origins: Sequence[Origin] = recording.origins
        self.unmapped: Mapping[str, str] = recording.unmapped
        self.missing: Mapping[str, Sequence[str]] = recording.missing
        self.splits: Mapping[str, Sequence[str]] = splits_of(recording)
        self.extras: Extras = extras_of(recording)
        facts = _facts(recording, known) if known is not None else {}
        self.robot_type: str = _first(_robot(recording), declaration.robot_type, known and known.robot_type) or ""
        self.licence: str = _first(recording.licence, declaration.licence, known and known.licence) or ""
        rate = _first(_clock(recording.spec), declaration.rate_hz, known and known.rate_hz)
        fields = (_filled(f, declaration.fields.get(f.name), facts.get(f.name)) for f in recording.spec)
        self.spec = Spec(tuple(fields), recording.spec.rate_hz if rate is None else float(rate))
        self.findings: Sequence[Finding] = (*recording.findings, *_differences(recording, known, facts))

    def read(self, key: str, cameras: Collection[str] | None = None) -> RecordedEpisode:
        """One episode, with robot, licence and instruction filled in where the source has none."""
        episode = self._recording.read(key, cameras)
        origin = episode.provenance
        provenance = dataclasses.replace(
            origin,
            embodiment=_first(origin.embodiment, self.robot_type) or "",
            licence=_first(origin.licence, self.licence) or "",
        )
        return dataclasses.replace(
            episode, provenance=provenance, instruction=episode.instruction or self._instruction
        )

    def close(self) -> None:
        self._recording.close()


def _first(*values: Any) -> Any:
    """The first that says something."""
    return next((value for value in values if value not in _NOT_SAID), None)


def _filled(field: Field, said: FieldDeclaration | None, fact: KnownField | None) -> Field:
    changes: dict[str, Any] = {}
    for word in _WORDS:
        if getattr(field, word) in _NOT_SAID:
            value = _first(getattr(said, word, None), getattr(fact, word, None))
            if value is not None:
                changes[word] = value
    return dataclasses.replace(field, **changes) if changes else field


def _differences(
    recording: Recording, known: KnownDataset | None, facts: Mapping[str, KnownField]
) -> Iterable[Finding]:
    """Where the format's word, which wins, is not what has been published."""
    if known is None:
        return
    whole = {"rate_hz": (_clock(recording.spec), known.rate_hz), "licence": (recording.licence, known.licence)}
    rows: list[tuple[str, str, Any, Any, str]] = [
        (word, "", found, published, known.sources.get(word, "")) for word, (found, published) in whole.items()
    ]
    for name, fact in facts.items():
        field = recording.spec[name]
        for word in ("unit", "frame", "layout", "mode", "side", "role"):
            rows.append((word, name, getattr(field, word), getattr(fact, word), fact.source))
    for word, name, found, published, source in rows:
        if found not in _NOT_SAID and published is not None and found != published:
            text = (
                f"{word}: this copy says {_plain(found)}, published for {known.name}: {_plain(published)} ({source})"
            )
            evidence = {"found": _plain(found), "published": _plain(published), "source": source}
            yield Finding("known-dataset-differs", "info", text, field=name, evidence=evidence)
