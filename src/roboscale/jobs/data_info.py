"""What a recording says of itself, from metadata alone: in a second, also where it lies behind an address."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from roboscale.core import BadData, Finding, Spec
from roboscale.jobs import options
from roboscale.jobs.events import Note, OnEvent, ignore
from roboscale.jobs.request import Argument, Request

if TYPE_CHECKING:
    from roboscale.core import Recording

__all__ = ["DescribeDataset", "DescribedDataset", "describe_dataset"]

_MAPPED = ("mcap", "rosbag-db3", "own-layout")
"""Formats of which only a mapping says what their topics or arrays mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeDataset(Request):
    """Asks what a recording holds, without reading its numbers or pictures."""

    words: ClassVar[tuple[str, ...]] = ("data", "info")

    dataset: Annotated[Path, Argument("A dataset or recording, or its address: hf://datasets/OWNER/NAME, https, s3.")]
    fps: options.Fps = None
    mapping: options.Mapping = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedDataset:
    """What is there.

    Args:
        rate_hz: of the grid of frames; `None` where a mapping must say it.
        frames: `None` where only reading would tell.
        fields: name -> dtype, shape and unit; of a bag or an own layout without a mapping what is there.
        tasks: texts, the first hundred.
        splits: name -> episodes.
        languages: of the texts, as the card says.
        megabytes: of all files, fetched or not.
        findings: what is wrong with the metadata.
    """

    source: str
    format: str
    robot: str
    licence: str
    rate_hz: float | None
    episodes: int
    frames: int | None
    fields: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()
    splits: Mapping[str, int] = field(default_factory=dict)
    languages: tuple[str, ...] = ()
    megabytes: float = 0.0
    findings: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "findings": [one.to_json() for one in self.findings]}


def describe_dataset(request: DescribeDataset, on_event: OnEvent = ignore) -> DescribedDataset:
    """Reads metadata, and of an address fetches nothing else.

    >>> info = describe_dataset(DescribeDataset(dataset=Path("recorded")))
    >>> info.format, info.episodes, info.splits
    ('lerobot-v3', 3, {'train': 3})

    Raises:
        BadData: nothing is there, or nothing can be made of its metadata.
        InfrastructureError: the server cannot be reached.
    """
    from roboscale.jobs.recordings import given_options
    from roboscale.sources.addresses import address_of, fetch
    from roboscale.sources.records import detect
    from roboscale.sources.records.lerobot import FORMATS

    address, card, sizes = address_of(request.dataset), dict[str, Any](), dict[str, int]()
    source = request.dataset
    if address:
        fetched = fetch(address, metadata_only=True)
        source, card, sizes = fetched.root, fetched.card, fetched.sizes
    else:
        from roboscale.jobs.locating import located

        source = located(source, on_event)
        sizes = {str(p): p.stat().st_size for p in source.rglob("*") if p.is_file()} if source.is_dir() else {}
        sizes = sizes or {source.name: source.stat().st_size if source.is_file() else 0}
    facts: dict[str, Any] = {
        "source": address or str(request.dataset),
        "languages": tuple(str(one) for one in _listed(card.get("language"))),
        "megabytes": sum(sizes.values()) / 1e6,
    }
    found = detect(source)
    if found in FORMATS:
        return _of_lerobot(source, facts, remote=bool(address))
    if found in _MAPPED and request.mapping is None and request.fps is None:
        return _unmapped(source, found, facts, on_event)
    given = given_options(fps=request.fps, mapping=request.mapping)
    recording, said = _opened(source, given, on_event)
    licence = recording.licence or str(card.get("license") or "")
    return DescribedDataset(
        **facts,
        format=recording.format,
        robot=recording.robot_type,
        licence=licence,
        rate_hz=recording.spec.rate_hz if said else None,
        episodes=len(recording.keys),
        frames=None,
        fields=_fields(recording.spec),
        left_out=dict(recording.unmapped),
        findings=tuple(recording.findings),
    )


def _opened(source: Path, given: Mapping[str, Any], on_event: OnEvent) -> tuple[Recording, bool]:
    """The recording, and whether anybody says its rate: all else is known without."""
    from roboscale.jobs.recordings import open_source

    try:
        return open_source(source, options=given, on_event=on_event).recording, True
    except BadData as error:
        if error.field != "fps" or "fps" in given:
            raise
    on_event(Note(f"{source}: nothing says its rate; an import needs it: --fps"))
    return open_source(source, options={**given, "fps": 1.0}, on_event=on_event).recording, False


def _unmapped(source: Path, format: str, facts: Mapping[str, Any], on_event: OnEvent) -> DescribedDataset:
    """What lies in a bag or an own layout, as it is called there: nobody has said yet what it means."""
    from roboscale.sources.records.mcap import held_topics
    from roboscale.sources.records.own import held_arrays

    episodes, fields = (held_arrays if format == "own-layout" else held_topics)(source)
    draft = f"roboscale data import {shlex.quote(str(facts['source']))} --explain"
    on_event(Note(f"{facts['source']}: nothing says what these mean; `{draft}` drafts a mapping"))
    return DescribedDataset(
        **facts,
        format=format,
        robot="",
        licence="",
        rate_hz=None,
        episodes=episodes,
        frames=None,
        fields=fields,
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _fields(spec: Spec) -> dict[str, str]:
    return {f.name: f"{f.dtype}{list(f.shape)} {f.unit}" for f in spec}


def _of_lerobot(root: Path, facts: Mapping[str, Any], *, remote: bool) -> DescribedDataset:
    from roboscale.dataset.lerobot import open_lerobot
    from roboscale.jobs.losses import lost_by_reading

    recording = open_lerobot(root, lenient=True)
    folder = recording.folder
    if remote:  # what was not fetched is not missing
        findings = tuple(folder.problems.findings)
    else:
        findings = tuple(recording.findings)
    cameras = {name: f"video {list(folder.head.features[name]['shape'])}" for name in folder.head.cameras}
    left_out = {} if remote else lost_by_reading(recording)  # what was not fetched is not left out
    numbers = {n: f"{f['dtype']}{list(f['shape'])}" for n, f in folder.head.features.items() if n not in cameras}
    return DescribedDataset(
        **{**facts, "languages": facts["languages"] or folder.languages},
        format=folder.format,
        robot=folder.head.robot_type,
        licence=folder.licence,
        rate_hz=folder.head.fps,
        episodes=len(folder.episodes),
        frames=int(folder.episodes.length.sum()),
        fields={**numbers, **cameras},
        tasks=tuple(folder.tasks.values())[:100],
        left_out=left_out,
        splits={name: len(keys) for name, keys in recording.splits.items()},
        findings=findings,
    )
