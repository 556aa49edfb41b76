"""One recorded episode becomes one pending episode, in whatever process this runs.

Writes a folder under `pending/` and nothing else of the dataset, so that any number of these run at once.
"""

from __future__ import annotations

import hashlib
import json
import math
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core.errors import BadData, InfrastructureError, RoboscaleError, SpecMismatch
from roboscale.core.plain import Plain
from roboscale.core.recording import Clip, Finding, Pictures, RecordedEpisode, Recording
from roboscale.core.seeds import derive_id
from roboscale.core.spec import Spec
from roboscale.dataset.journal import ID, EpisodeRecord, exclusive, list_pending
from roboscale.dataset.layout import Layout, features_from_spec, load_json
from roboscale.dataset.packets import decode_in_order, packet_digests
from roboscale.dataset.statistics import PixelCounts, sample_indices
from roboscale.dataset.streams import write_stream
from roboscale.dataset.tables import write_take
from roboscale.dataset.video import Codec, Encoder, VideoReader, check_size, cut, probe

__all__ = [
    "FAILED",
    "CameraProof",
    "Edit",
    "EpisodeJob",
    "EpisodeProof",
    "array_digest",
    "bring",
    "forget",
    "require_free",
    "rows_digest",
]

Edit = Callable[[RecordedEpisode], RecordedEpisode]
"""Changes an episode on its way; picklable, its `repr` says what it does."""


@dataclass(frozen=True, slots=True)
class CameraProof:
    """What was done to one camera of one episode.

    Args:
        done: `remuxed` (the packets are the source's) or `encoded`.
        digest: of the packets' payloads, in order.
        worst_psnr_db: of the sampled pictures, decoded again, against those that were encoded; `None` when remuxed.
    """

    done: str
    digest: str
    worst_psnr_db: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeProof(Plain):
    """What was read and written of one episode.

    Args:
        part, key: where it was read.
        digests: numeric field -> digest of its dtype, shape and bytes as read from the source.
        largest_difference: numeric field -> largest difference between what was read and what the dataset holds;
            `None` until that has been compared.
        carried: column that stays as it is -> digest of its rows.
    """

    part: str
    key: str
    id: str
    frames: int
    duration_s: float
    instruction: str
    digests: Mapping[str, str]
    cameras: Mapping[str, CameraProof]
    streams: Mapping[str, int]
    findings: tuple[Finding, ...] = ()
    largest_difference: Mapping[str, float] = field(default_factory=dict)
    carried: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EpisodeProof:
        cameras = {name: CameraProof(**camera) for name, camera in data["cameras"].items()}
        findings = tuple(Finding.from_json(f) for f in data["findings"])
        return cls(**{**data, "cameras": cameras, "findings": findings})


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeJob:
    """One episode to bring: everything a worker needs to know.

    Args:
        carried: features that stay as they are.
    """

    root: Path
    spec: Spec
    codec: Codec
    robot_type: str
    sequence: int
    part: str
    open: Callable[[], Recording]
    key: str
    edit: Edit | None
    carried: tuple[str, ...] = ()


Images = NDArray[np.uint8]

_BEGUN = ("lock", ".plan.json.tmp")  # all that a transfer leaves that is killed before its first word
_COMPARED = 8  # pictures of an encoded episode that are decoded again and compared

_open: dict[str, Recording] = {}  # of this process: opening reads all metadata, and jobs come by the thousand


def _recording(job: EpisodeJob) -> Recording:
    token = f"{job.root}\0{job.part}"
    if token not in _open:
        forget()
        _open[token] = job.open()
    return _open[token]


def forget() -> None:
    """Closes what this process has open, so that a later transfer reads its source anew."""
    for recording in _open.values():
        recording.close()
    _open.clear()


def bring(job: EpisodeJob) -> EpisodeProof | RoboscaleError:
    """Reads, edits and writes one episode; an error of the data is returned, for one episode must not stop others.

    Raises:
        InfrastructureError: the disk is full or gone.
    """
    folder = Layout(job.root).staging / f"{job.sequence:06d}"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        for rest in Layout(job.root).pending.glob(f"{job.sequence:06d}-*"):
            shutil.rmtree(rest)  # of a killed run that had not written down what it did
        folder.mkdir(parents=True)
        return _bring(job, folder)
    except OSError as error:
        raise InfrastructureError(f"{job.root}: {error.strerror or error} while writing {job.key}") from error
    except InfrastructureError:
        raise
    except RoboscaleError as error:
        shutil.rmtree(folder, ignore_errors=True)
        return error


def _bring(job: EpisodeJob, folder: Path) -> EpisodeProof:
    cameras = [f.name for f in job.spec.images]
    recording = _recording(job)
    # Cameras are asked for by the source's names, which an edit may change: then all of them are.
    episode = recording.read(job.key, cameras if job.edit is None else None)
    if job.edit is not None:
        episode = job.edit(episode)
        wanted = {name: images for name, images in episode.pictures.items() if name in cameras}
        episode = replace(episode, pictures=wanted)
    _check(job, episode)
    proofs, pixels = {}, {}
    for camera in cameras:
        target = folder / f"{camera}.mp4"
        proofs[camera], pixels[camera] = _write_camera(job, camera, episode.pictures[camera], target)
    kept = _write_carried(job, episode, folder)
    proofs |= {name: proof for name, proof in kept.items() if isinstance(proof, CameraProof)}
    rows = {name: column for name, column in kept.items() if not isinstance(column, CameraProof)}
    for name, stream in episode.streams.items():
        (folder / "streams").mkdir(exist_ok=True)
        write_stream(folder / "streams" / f"{name}.parquet", stream, name)
    id_ = episode.id or derive_id(recording.format, job.part, job.key)
    if not ID.fullmatch(id_):
        raise BadData(job.key, "episode id", "32 hex digits", repr(id_))
    arrays = {f.name: np.ascontiguousarray(episode.arrays[f.name]) for f in job.spec if not f.is_image}
    features = features_from_spec(job.spec, {c: {} for c in cameras})
    columns = {name: array.reshape(len(array), *features[name]["shape"]) for name, array in arrays.items()}
    record = EpisodeRecord(
        id=id_,
        instruction=episode.instruction,
        length=len(episode),
        outcome=episode.outcome,
        provenance=episode.provenance,
        pixels=pixels,
        instructions=episode.instructions,
        carried={name: episode.carried[name].statistics for name in job.carried},
    )
    words = json.dumps(record.to_json(), ensure_ascii=False).encode()
    write_take(folder / "frames.parquet", {name: features[name] for name in columns}, [columns], words, rows)
    folder.rename(Layout(job.root).pending / f"{job.sequence:06d}-{id_}")
    return EpisodeProof(
        part=job.part,
        key=job.key,
        id=id_,
        frames=len(episode),
        duration_s=len(episode) / job.spec.rate_hz,
        instruction=episode.instruction,
        digests={name: array_digest(array) for name, array in arrays.items()},
        cameras=proofs,
        streams={name: len(stream.values) for name, stream in episode.streams.items()},
        findings=episode.findings,
        carried={name: rows_digest(column) for name, column in rows.items()},
    )


def _write_carried(job: EpisodeJob, episode: RecordedEpisode, folder: Path) -> dict[str, Any]:
    """Copies the videos that stay as they are; returns the proof of each, and the rows of the columns that do."""
    kept: dict[str, Any] = {}
    for name in job.carried:
        if name not in episode.carried:
            raise BadData(f"{job.part}: episode {job.key}", name, "rows, as in the other episodes", "none")
        rows = episode.carried[name].rows
        if not isinstance(rows, Clip):
            kept[name] = rows.read()
            continue
        target = folder / f"{name}.mp4"
        if not cut(rows.path, rows.first, rows.length, target, job.spec.rate_hz):
            mixed = "frames of others among them, or times off the grid; " + _without(job, name)
            raise BadData(rows.path, f"frames {rows.first} on", "packets that can be copied, from a key frame", mixed)
        kept[name] = CameraProof("remuxed", packet_digests(target, [rows.length])[0])
    return kept


def _without(job: EpisodeJob, camera: str) -> str:
    """How to go on without a camera whose packets cannot be copied."""
    recording = _recording(job)
    if recording.format != "lerobot-v3":
        return "--broken drop leaves out such episodes"
    return (
        f"leave it out: roboscale data fix {shlex.quote(str(recording.root))} OUT --drop-camera {shlex.quote(camera)}"
    )


def rows_digest(rows: Any) -> str:
    """Of rows that stay as they are."""
    digest = hashlib.blake2b(digest_size=16)
    for row in rows.to_pylist():
        digest.update(repr(row).encode())
    return digest.hexdigest()


def array_digest(array: NDArray[Any]) -> str:
    """Of dtype, number of rows and bytes. (T,) and (T, 1) are the same: LeRobot does not tell them apart."""
    rows = np.ascontiguousarray(array)
    shape = [len(rows), int(np.prod(rows.shape[1:], dtype=np.int64))]
    head = json.dumps([rows.dtype.str, shape]).encode()
    return hashlib.blake2b(head + rows.tobytes(), digest_size=16).hexdigest()


def _check(job: EpisodeJob, episode: RecordedEpisode) -> None:
    where = f"{job.part}: episode {job.key}"
    if not len(episode):
        raise BadData(where, "frames", "at least 1", 0)
    cameras = {f.name for f in job.spec.images}
    expected, holds = set(job.spec.names), {*episode.arrays, *episode.pictures}
    if expected != holds or set(episode.pictures) != cameras:
        raise SpecMismatch(f"{where}: expected {', '.join(sorted(expected))}; found {', '.join(sorted(holds))}")
    for name, array in episode.arrays.items():
        wanted = job.spec[name]
        if array.shape[1:] != wanted.shape or array.dtype != np.dtype(wanted.dtype):
            found_ = f"{array.dtype}{list(array.shape[1:])}"
            raise BadData(where, name, f"{wanted.dtype}{list(wanted.shape)} in every frame", found_)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            rows = array.reshape(len(array), -1)
            frame, element = np.argwhere(~np.isfinite(rows))[0]
            raise BadData(where, name, "finite numbers", f"{rows[frame, element]} in frame {frame}")


def _write_camera(
    job: EpisodeJob, camera: str, pictures: Clip | Pictures, target: Path
) -> tuple[CameraProof, PixelCounts]:
    fps, shape, length = job.spec.rate_hz, job.spec[camera].shape, len(pictures)
    if isinstance(pictures, Clip):
        if cut(pictures.path, pictures.first, length, target, fps):
            reader = VideoReader(target, fps)
            size = (reader.probe.height, reader.probe.width, 3)
            if size != tuple(shape):
                raise BadData(pictures.path, camera, list(shape), list(size))
            pixels = reader.count_pixels(0, length)
            reader.close()
            return CameraProof("remuxed", packet_digests(target, [length])[0]), pixels
        _require_rate(pictures, fps)
        frames = decode_in_order(pictures.path, pictures.first, length)
    else:
        frames = iter(pictures)
    pixels, kept = _encode(job, camera, frames, length, target)
    reader = VideoReader(target, fps)
    worst = min(_psnr(image, reader.read([number])[0]) for number, image in kept.items())
    reader.close()
    return CameraProof("encoded", packet_digests(target, [length])[0], round(worst, 2)), pixels


def _require_rate(clip: Clip, fps: float) -> None:
    """BadData where counting pictures would not find those of the episode: a part of a file of another rate."""
    header = probe(clip.path)
    whole = clip.first == 0 and header.frames == clip.length
    if not whole and (header.fps <= 0 or abs(header.frames * (fps / float(header.fps)) - header.frames) >= 0.5):
        raise BadData(
            clip.path, "fps", f"{fps:.7g}", f"{float(header.fps):g}, so its frames are not those of the episodes"
        )


def _sized(file: object, camera: str, shape: tuple[int, ...], image: Images) -> Images:
    if image.shape != shape:
        raise BadData(file, camera, list(shape), list(image.shape))
    return image


def _encode(
    job: EpisodeJob, camera: str, frames: Iterator[Images], length: int, target: Path
) -> tuple[PixelCounts, dict[int, Images]]:
    """Encodes all pictures; returns their statistics, and a few pictures to compare with."""
    shape, where = job.spec[camera].shape, f"{job.part}: episode {job.key}"
    check_size(camera, shape)
    chosen = set(sample_indices(length).tolist())
    compared = set(np.linspace(0, length - 1, min(length, _COMPARED)).astype(int).tolist())
    counts, kept, number = np.zeros((shape[2], 256), np.int64), {}, 0
    encoder = Encoder(target, shape, job.spec.rate_hz, job.codec)
    try:
        for image in frames:
            encoder.add(_sized(where, camera, shape, image))
            if number in chosen:
                counts += PixelCounts.of_frame(image)
            if number in compared:
                kept[number] = image
            number += 1
        if number != length:
            raise BadData(where, camera, f"{length} pictures", number)
        encoder.close()
    except BaseException:
        encoder.abort()
        raise
    return PixelCounts(len(chosen), counts), kept


def _psnr(a: Images, b: Images) -> float:
    """Peak signal to noise, dB; 99 for equal pictures."""
    error = float(np.mean(np.square(a.astype(np.float32) - b.astype(np.float32))))
    return 99.0 if error == 0 else min(99.0, 10 * math.log10(255**2 / error))


FAILED = "failed"
"""Beside the plan of a transfer that an error of its source ended."""


def _is_bare(layout: Layout) -> bool:
    """Whether a transfer has begun here and came to nothing: no episode has arrived, or an error ended it unsealed."""
    folder = layout.own / "transfer"
    files = [path for path in layout.root.rglob("*") if path.is_file() and layout.own not in path.parents]
    arrived = bool(list_pending(layout)) or _size(folder / "episodes.jsonl") > 0
    return (not arrived or (folder / FAILED).exists()) and all(path == layout.info for path in files)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def require_free(layout: Layout, plan: Mapping[str, Any]) -> None:
    """BadData unless the folder is empty, or holds what a killed transfer with the same plan left."""
    there = layout.own / "transfer" / "plan.json"
    if there.exists():
        begun = load_json(there)
        differs = sorted(name for name in {*begun, *plan} if begun.get(name) != json.loads(json.dumps(plan)).get(name))
        if differs and _is_bare(layout):
            with exclusive(layout):  # nothing is sealed: what an import left that failed
                layout.info.unlink(missing_ok=True)
                for path in layout.own.iterdir():
                    if path != layout.lock:
                        shutil.rmtree(path) if path.is_dir() else path.unlink()
        elif differs:
            raise BadData(there, ", ".join(differs), "what is asked for now", "another transfer; take another folder")
    elif layout.root.exists() and not layout.root.is_dir():
        raise BadData(layout.root, "folder", "to be empty or new", "a file")
    elif layout.root.exists():
        files = [path.relative_to(layout.root) for path in layout.root.rglob("*") if not path.is_dir()]
        others = [path for path in files if path.parts[:2] != ("meta", "roboscale") or path.name not in _BEGUN]
        if others:
            found_ = ", ".join(sorted(map(str, others))[:5])
            raise BadData(layout.root, "folder", "to be empty or new", found_)
