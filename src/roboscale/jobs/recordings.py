"""Opens what others recorded, with what the user and the table of known datasets say about it."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from roboscale.core import BadData, Recording, RoboscaleError
from roboscale.jobs.events import Note, OnEvent, ignore
from roboscale.sources.records import detect, open_recording
from roboscale.sources.records.declaration import Declaration, known_at, known_for, load_declaration, open_declared
from roboscale.sources.records.formats import FORMATS

__all__ = [
    "Opened",
    "apart",
    "given_options",
    "identity",
    "missing_advice",
    "missing_table",
    "open_source",
    "require_ours",
]

_MAPPED = ("mcap", "own")
"""Rooms whose recordings are read by a mapping."""
_WITHOUT_CLOCK = ("rlds", "zarr", "umi-zarr", "robomimic", "isaac-mimic", "aloha", "robomind", "agibot")
"""Formats that do not, or not always, say how many frames a second they have."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A recording, how to open it again in another process, and what tells this reading of it from others."""

    recording: Recording
    open: Callable[[], Recording]
    identity: str

    def resampled(self, rate_hz: float) -> Opened:
        """The same on a grid of frames of another rate, Hz."""
        from roboscale.dataset.resampling import open_resampled

        again = partial(open_resampled, self.open, rate_hz)
        return Opened(again(), again, f"{self.identity} at {rate_hz!r} Hz")


def open_source(
    source: Path,
    format: str = "",
    declaration: Path | None = None,
    options: Mapping[str, Any] | None = None,
    on_event: OnEvent = ignore,
    *,
    among_others: bool = False,
) -> Opened:
    """Opens a recording with what the user and the table of known datasets say about it.

    Args:
        format: detected when empty.
        declaration: the user's word on what the arrays mean.
        options: of the format's reader, e.g. `fps`, `mapping`.
        on_event: is told what was taken from the table.
        among_others: the declaration speaks of several recordings: fields that this one does not have are others'.
    """
    said = load_declaration(declaration) if declaration is not None else Declaration()
    name = format or detect(source)
    given = dict(options or {})
    known = known_at(source)
    rate = said.rate_hz or (known and known.rate_hz)
    if "fps" in given and FORMATS.get(name) == "lerobot":
        raise RoboscaleError(f"{source}: --fps is for what does not say its rate; --resample makes another one")
    if "fps" not in given and name in _WITHOUT_CLOCK and rate:
        given["fps"] = rate
    if "action" not in given and name == "rlds" and known is not None and known.action:
        given["action"] = ",".join(known.action)
    raw = partial(open_recording, source, name, **given)
    recording = raw()
    if among_others:
        said = said.only(recording.spec.names)
    table = known_for(recording)
    if table is not None:
        on_event(Note(f"{source}: taken for {table.name}; the table of known datasets says what it does not itself"))
    with_facts = partial(open_declared, raw, said, table)
    return Opened(with_facts(), with_facts, identity(source, declaration, given))


def require_ours(dataset: Path) -> None:
    """BadData where there is no folder of a LeRobotDataset, v3 or older; names the command that makes one of it."""
    from roboscale.sources.addresses import address_of, is_archive

    if (dataset / "meta/info.json").is_file():
        return  # whoever opens it says what is wrong with it
    address = address_of(dataset)
    command = f"roboscale data import {shlex.quote(address or str(dataset))}"
    if address or is_archive(dataset):
        what = "an address" if address else "an archive"
        raise BadData(address or dataset, "dataset", "a folder with a LeRobotDataset v3.0", f"{what}; {command} OUT")
    name = detect(dataset)
    if FORMATS[name] == "lerobot":
        return
    way = "OUT" if FORMATS[name] not in _MAPPED else "--explain"  # drafts the mapping that an import of these needs
    raise BadData(dataset, "dataset", "a LeRobotDataset v3.0", f"{name}; {command} {way}")


def given_options(**options: Any) -> dict[str, Any]:
    """Options of a reader that somebody gave."""
    return {name: value for name, value in options.items() if value is not None}


def missing_table(recording: Recording) -> str:
    """Which videos are not there, for people."""
    rows = []
    for camera, keys in recording.missing.items():
        if keys:
            some = ", ".join(keys[:4]) + (", ..." if len(keys) > 4 else "")
            rows.append(f"  {camera}: {len(keys)} of {len(recording.keys)} episodes: {some}")
    return "\n".join(rows)


def missing_advice(recording: Recording) -> str:
    """What is known of videos that are not there, with the commands that bring them; lines, or empty."""
    known = [f for f in recording.findings if f.check in ("file-elsewhere", "not-fetched")]
    return "".join(f"{one.text}\n" + (f"  {one.repair}\n" if one.repair else "") for one in known)


def apart(source: Path, out: Path) -> None:
    """BadData when `out` lies in its source, which is only read."""
    inside, outer = out.resolve(), source.resolve()
    if inside == outer or outer in inside.parents:
        raise BadData(out, "OUT", f"a folder outside of {source}", "one within")


def identity(source: Path, declaration: Path | None = None, options: Mapping[str, Any] | None = None) -> str:
    """32 hex digits of where a source lies and how it is read, so that a resumed run does not go on with another."""
    facts: list[Any] = [str(source.resolve()), _text_of(declaration) if declaration is not None else ""]
    for name, value in sorted((options or {}).items()):
        facts.append([name, value.read_text("utf-8") if isinstance(value, Path) else repr(value)])
    return hashlib.blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()


def _text_of(declaration: Path) -> str:
    """Its text; BadData where it is none."""
    try:
        return declaration.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise BadData(declaration, "declaration", "a text file (TOML)", f"byte {error.start} is no UTF-8") from error
    except OSError as error:
        raise BadData(declaration, "declaration", "a text file (TOML)", error.strerror or "nothing") from error
