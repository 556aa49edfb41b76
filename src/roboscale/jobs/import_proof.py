"""The proof of an import: everything that is known of the conversion, as rows, as a page and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from roboscale.core import Field, Finding, Recording, Spec, extras_of
from roboscale.dataset.transfer import Transfer
from roboscale.jobs.files import write_json, write_text
from roboscale.jobs.versions import versions
from roboscale.report.proof import CameraRow, EpisodeRow, FieldRow, ProofData, proof_page
from roboscale.sources.records.declaration import undeclared

__all__ = ["proof_of", "write_proof"]


def proof_of(
    recording: Recording,
    spec: Spec,
    result: Transfer,
    *,
    source: str,
    left_out: Sequence[tuple[str, str]],
    command: str,
) -> ProofData:
    """Everything that is known of the conversion, as rows.

    Args:
        spec: of the dataset: that of the recording without the cameras that were left out.
        source: its name.
        left_out: (field or key of an episode, reason).
        command: what makes the conversion again.
    """
    cameras = [_camera_row(f.name, result) for f in spec.images]
    episodes = [
        EpisodeRow(
            index=i,
            key=p.key,
            id=p.id,
            frames=p.frames,
            duration_s=p.duration_s,
            instruction=p.instruction,
            findings=tuple(f.text for f in p.findings),
        )
        for i, p in enumerate(result.episodes)
    ]
    carried, keys = extras_of(recording).features, set(recording.keys)
    dropped_fields = {name: reason for name, reason in left_out if name not in keys}
    dropped = [(key, reason) for key, reason in left_out if key in keys]
    return ProofData(
        source=source,
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
        carried={name: _carried(said) for name, said in carried.items() if name not in dropped_fields},
        missing={camera: list(keys) for camera, keys in recording.missing.items()},
        dropped=[*dropped, *((d.key, d.reason) for d in result.dropped)],
        command=command,
        versions=versions(),
    )


def _carried(said: Mapping[str, Any]) -> str:
    how = "its packets are copied" if said["dtype"] == "video" else "its rows are those of the source, read back"
    return f"{said['dtype']} {list(said['shape'])}: {how}"


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
        name=f.name,
        source=origin.source,
        dtype=f.dtype,
        shape=f.shape,
        unit=f.unit,
        mode=f.mode,
        frame=f.frame,
        layout=f.layout,
        role=f.role,
        done=done,
        difference=difference,
        note=note,
    )


def write_proof(out: Path, proof: ProofData) -> tuple[Path, Path]:
    """`proof.json` and `proof.html` beside the dataset's own metadata; returns both paths."""
    folder = out / "meta" / "roboscale"
    page, data = folder / "proof.html", folder / "proof.json"
    write_text(page, proof_page(proof))
    write_json(data, proof.to_json())
    return page, data
