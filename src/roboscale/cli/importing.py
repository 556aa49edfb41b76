"""From somebody else's recording to a dataset with its proof: opens, declares, transfers, reports."""

from __future__ import annotations

import hashlib
import json
import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from roboscale.cli.console import write_json, write_text
from roboscale.core import BadData, Field, Finding, Recording, RoboscaleError, Spec
from roboscale.dataset.engine import Engine
from roboscale.dataset.transfer import Broken, Part, Progress, Transfer, transfer
from roboscale.dataset.video import Codec
from roboscale.jobs.versions import versions
from roboscale.report.proof import CameraRow, EpisodeRow, FieldRow, ProofData, proof_page
from roboscale.sources.records import detect, open_recording
from roboscale.sources.records.declaration import (
    Declaration,
    known_at,
    known_for,
    load_declaration,
    open_declared,
    undeclared,
)

__all__ = [
    "Import",
    "MissingVideo",
    "Opened",
    "announce",
    "apart",
    "identity",
    "missing_table",
    "open_source",
    "proof_of",
    "run_import",
    "write_proof",
]

_WITHOUT_CLOCK = ("rlds", "zarr", "umi-zarr", "robomimic", "isaac-mimic", "aloha", "robomind", "agibot")
"""Formats that do not, or not always, say how many frames a second they have."""

MissingVideo = Literal["fail", "drop-episodes", "drop-camera"]


@dataclass(frozen=True, slots=True)
class Opened:
    """A recording, how to open it again in another process, and what tells this reading of it from others."""

    recording: Recording
    open: Callable[[], Recording]
    identity: str


@dataclass(frozen=True, slots=True)
class Import:
    """What is to be imported, and how.

    Args:
        format: detected when empty.
        declaration: the user's word on what the arrays mean.
        options: of the format's reader, e.g. `fps`, `mapping`.
        missing_video: what to do where a video file is not there.
        broken: what to do with an episode that cannot be read.
    """

    source: Path
    out: Path
    format: str = ""
    declaration: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    missing_video: MissingVideo = "fail"
    broken: Broken = "fail"
    codec: Codec = "h264"
    workers: int | None = None
    engine: Engine = "processes"


def open_source(
    source: Path, format: str = "", declaration: Path | None = None, options: Mapping[str, Any] | None = None
) -> Opened:
    """Opens a recording with what the user and the table of known datasets say about it."""
    said = load_declaration(declaration) if declaration is not None else Declaration()
    name = format or detect(source)
    given = dict(options or {})
    known = known_at(source)
    rate = said.rate_hz or (known and known.rate_hz)
    if "fps" not in given and name in _WITHOUT_CLOCK and rate:
        given["fps"] = rate
    if "action" not in given and name == "rlds" and known is not None and known.action:
        given["action"] = ",".join(known.action)
    raw = partial(open_recording, source, name, **given)
    with_facts = partial(open_declared, raw, said, known_for(raw()))
    return Opened(with_facts(), with_facts, identity(source, declaration, given))


def missing_table(recording: Recording) -> str:
    """Which videos are not there, for people."""
    rows = []
    for camera, keys in recording.missing.items():
        if keys:
            some = ", ".join(keys[:4]) + (", ..." if len(keys) > 4 else "")
            rows.append(f"  {camera}: {len(keys)} of {len(recording.keys)} episodes: {some}")
    return "\n".join(rows)


def selection(recording: Recording, rule: MissingVideo) -> tuple[Spec, tuple[str, ...], list[tuple[str, str]]]:
    """(spec, keys, what was left out) after `rule` has been applied to missing videos.

    RoboscaleError with the table of missing videos when the rule is to fail.
    """
    missing = {camera: set(keys) for camera, keys in recording.missing.items() if keys}
    if not missing:
        return recording.spec, tuple(recording.keys), []
    if rule == "fail":
        raise RoboscaleError(
            f"{recording.root}: videos are missing:\n{missing_table(recording)}\n"
            "choose: --missing-video drop-episodes, or --missing-video drop-camera"
        )
    if rule == "drop-camera":
        kept = [name for name in recording.spec.names if name not in missing]
        reasons = [(camera, f"{len(keys)} episodes have no video of it") for camera, keys in missing.items()]
        return recording.spec.select(kept), tuple(recording.keys), reasons
    absent = {key: camera for camera, keys in missing.items() for key in keys}
    keys = tuple(key for key in recording.keys if key not in absent)
    if not keys:
        raise BadData(recording.root, "videos", "some episode with all of them", "none; --missing-video drop-camera")
    return recording.spec, keys, [(key, f"no video of {camera}") for key, camera in absent.items()]


def apart(source: Path, out: Path) -> None:
    """BadData when `out` lies in its source, which is only read."""
    inside, outer = out.resolve(), source.resolve()
    if inside == outer or outer in inside.parents:
        raise BadData(out, "OUT", f"a folder outside of {source}", "one within")


def identity(source: Path, declaration: Path | None = None, options: Mapping[str, Any] | None = None) -> str:
    """32 hex digits of where a source lies and how it is read, so that a resumed run does not go on with another."""
    facts: list[Any] = [str(source.resolve()), declaration.read_text("utf-8") if declaration is not None else ""]
    for name, value in sorted((options or {}).items()):
        facts.append([name, value.read_text("utf-8") if isinstance(value, Path) else repr(value)])
    return hashlib.blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()


def announce(asked: Import) -> dict[str, Any]:
    """What an import would do, from metadata alone."""
    recording = open_source(asked.source, asked.format, asked.declaration, asked.options).recording
    apart(asked.source, asked.out)
    spec, keys, left_out = selection(recording, asked.missing_video)
    _whole_rate(spec, recording)
    recording.close()
    return {
        "source": asked.source.absolute().name,
        "format": recording.format,
        "out": str(asked.out),
        "episodes": len(keys),
        "rate_hz": spec.rate_hz,
        "fields": list(spec.names),
        "left_out": len(left_out),
        "unmapped": dict(recording.unmapped),
        "undeclared": list(undeclared(spec)),
    }


def run_import(asked: Import, progress: Progress | None = None) -> ProofData:
    """Imports, or goes on with a killed import, and proves it.

    Raises:
        RoboscaleError: videos are missing and the rule is to fail; or what `transfer` raises.
    """
    apart(asked.source, asked.out)
    opened = open_source(asked.source, asked.format, asked.declaration, asked.options)
    recording = opened.recording
    spec, keys, left_out = selection(recording, asked.missing_video)
    spec = _whole_rate(spec, recording)
    part = Part(asked.source.absolute().name, opened.open, keys, identity=opened.identity)
    result = transfer(
        [part],
        asked.out,
        spec,
        robot_type=recording.robot_type,
        codec=asked.codec,
        broken=asked.broken,
        workers=asked.workers,
        engine=asked.engine,
        progress=progress,
    )
    return proof_of(asked, recording, spec, result, left_out)


def _whole_rate(spec: Spec, recording: Recording) -> Spec:
    if not math.isfinite(spec.rate_hz) or spec.rate_hz < 1 or spec.rate_hz != int(spec.rate_hz):
        raise BadData(recording.root, "fps", "a whole number from 1: --fps, or rate_hz in a declaration", spec.rate_hz)
    return spec


def proof_of(
    asked: Import, recording: Recording, spec: Spec, result: Transfer, left_out: Sequence[tuple[str, str]]
) -> ProofData:
    """Everything that is known of the conversion, as rows."""
    cameras = [_camera_row(f.name, result) for f in spec.images]
    episodes = [
        EpisodeRow(i, p.key, p.id, p.frames, p.duration_s, p.instruction, tuple(f.text for f in p.findings))
        for i, p in enumerate(result.episodes)
    ]
    dropped_fields = {name: reason for name, reason in left_out if name in recording.spec}
    dropped = [(key, reason) for key, reason in left_out if key not in recording.spec]
    return ProofData(
        source=asked.source.absolute().name,
        format=recording.format,
        robot_type=recording.robot_type,
        licence=recording.licence,
        rate_hz=spec.rate_hz,
        fields=[_field_row(f, recording, result, cameras) for f in spec],
        cameras=cameras,
        episodes=episodes,
        findings=[*recording.findings, *_of_episodes(result)],
        undeclared=undeclared(spec),
        unmapped={**recording.unmapped, **dropped_fields},
        missing={camera: list(keys) for camera, keys in recording.missing.items()},
        dropped=[*dropped, *((d.key, d.reason) for d in result.dropped)],
        command=_command(asked),
        versions=versions(),
    )


def _of_episodes(result: Transfer) -> list[Finding]:
    """What was wrong with single episodes: one finding for each check, field and severity, with all its episodes."""
    grouped: dict[tuple[str, str, str], list[tuple[int, Finding]]] = {}
    for index, proof in enumerate(result.episodes):
        for finding in proof.findings:
            grouped.setdefault((finding.check, finding.field, finding.severity), []).append((index, finding))
    whole = []
    for members in grouped.values():
        episodes = tuple(dict.fromkeys(index for index, _ in members))
        text = members[0][1].text + (f" (and {len(episodes) - 1} more episodes)" if len(episodes) > 1 else "")
        whole.append(replace(members[0][1], episodes=episodes, text=text))
    return whole


def _camera_row(name: str, result: Transfer) -> CameraRow:
    proofs = [proof.cameras[name] for proof in result.episodes]
    worst = [p.worst_psnr_db for p in proofs if p.worst_psnr_db is not None]
    return CameraRow(name, sum(p.done == "remuxed" for p in proofs), len(worst), min(worst, default=None))


def _field_row(field_: Field, recording: Recording, result: Transfer, cameras: Sequence[CameraRow]) -> FieldRow:
    origin = next(o for o in recording.origins if o.field == field_.name)
    done, note, difference = origin.done, "", None
    if field_.is_image:
        camera = next(c for c in cameras if c.name == field_.name)
        ways = [f"{n} episodes {way}" for n, way in ((camera.remuxed, "remuxed"), (camera.encoded, "encoded")) if n]
        done = "; ".join([*([origin.done] if camera.encoded and origin.done != "copied" else []), *ways])
        if camera.worst_psnr_db is None:
            difference = 0.0  # the packets are the source's
        else:
            note = f"PSNR ≥ {camera.worst_psnr_db:.1f} dB"
    else:
        difference = max(proof.largest_difference[field_.name] for proof in result.episodes)
    f = field_
    return FieldRow(
        f.name, origin.source, f.dtype, f.shape, f.unit, f.mode, f.frame, f.layout, f.role, done, difference, note
    )


def _command(asked: Import) -> str:
    words = ["roboscale", "data", "import", asked.source.name, asked.out.name]
    if asked.format:
        words += ["--format", asked.format]
    if asked.declaration is not None:
        words += ["--declare", asked.declaration.name]
    for name, value in asked.options.items():
        said = (
            value.name if isinstance(value, Path) else f"{value}" if isinstance(value, (str, int, float)) else "FILE"
        )
        words += [f"--{name}", said]
    defaults = Import(asked.source, asked.out)
    for name, value in (("missing-video", asked.missing_video), ("broken", asked.broken), ("codec", asked.codec)):
        if value != getattr(defaults, name.replace("-", "_")):
            words += [f"--{name}", value]
    return shlex.join(words)


def write_proof(out: Path, proof: ProofData) -> tuple[Path, Path]:
    """`proof.json` and `proof.html` beside the dataset's own metadata; returns both paths."""
    folder = out / "meta" / "roboscale"
    page, data = folder / "proof.html", folder / "proof.json"
    write_text(page, proof_page(proof))
    write_json(data, proof.to_json())
    return page, data
