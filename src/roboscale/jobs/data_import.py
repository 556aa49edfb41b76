"""From somebody else's recording to a dataset with its proof: opens, declares, transfers, reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from roboscale.core import BadData, Recording, RoboscaleError, Spec, extras_of, splits_of
from roboscale.core.plain import OMITTED, SPREAD, Plain
from roboscale.jobs import options
from roboscale.jobs.events import Note, OnEvent, Wrote, counting, ignore
from roboscale.jobs.request import Argument, Option, Request, made_by

if TYPE_CHECKING:
    from roboscale.dataset.transfer import Transfer
    from roboscale.jobs.recordings import Opened
    from roboscale.report.proof import ProofData

__all__ = ["Explained", "ImportDataset", "Imported", "explain_recording", "import_dataset", "plan_import"]

Broken = Literal["fail", "drop"]
MissingVideo = Literal["fail", "drop-episodes", "drop-camera"]
_BAGS = ("mcap", "rosbag-db3")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportDataset(Request):
    """Asks for a recording of any known format as a LeRobotDataset v3.0.

    Args:
        out: a new folder; needed unless `explain`.
        format: detected when empty.
        missing_video: what to do where a video file is not there.
        broken: what to do with an episode that cannot be read.
        explain: only show what the arrays seem to mean; see `explain_recording`.
        resample: Hz; whole frames are repeated or left out, which is said and counted.
    """

    words: ClassVar[tuple[str, ...]] = ("data", "import")

    source: Annotated[Path, Argument("File or folder of any format that is read; the format is detected.")]
    out: Annotated[Path | None, Argument("A new folder; the same command again goes on.")] = None
    format: Annotated[str, Option("Name of the format, where it cannot be detected.")] = ""
    declare: options.Declare = None
    fps: options.Fps = None
    mapping: options.Mapping = None
    data_path: options.DataPath = None
    video_path: options.VideoPath = None
    resample: Annotated[
        float | None,
        Option(
            "Frames a second of the new dataset: of each time the nearest frame; the recorded times are kept.",
            min=0.02,
        ),
    ] = None
    split: Annotated[str | None, Option("RLDS: one split instead of all.")] = None
    action: Annotated[str | None, Option("Which of several recorded actions is `action`.")] = None
    missing_video: Annotated[
        MissingVideo, Option("Where a video is not there: fail, drop-episodes or drop-camera.")
    ] = "fail"
    broken: Annotated[Broken, Option("An episode that cannot be read: fail or drop.")] = "fail"
    codec: Annotated[Literal["h264", "av1"], Option("For pictures that are not video yet: h264 or av1.")] = "h264"
    proof: Annotated[bool, Option("Write the conversion report (HTML and JSON).")] = True
    explain: Annotated[bool, Option("Show what the arrays seem to mean, and draft a declaration or mapping.")] = False
    engine: options.DataEngine = "processes"
    workers: options.DataWorkers = None


@dataclass(frozen=True, slots=True)
class Imported(Plain):
    """The dataset at `out`, and the proof of what was done to it."""

    out: Path = field(metadata=OMITTED)
    proof: ProofData = field(metadata=SPREAD)


@dataclass(frozen=True, slots=True)
class Explained(Plain):
    """What the arrays of a recording seem to mean, for people and as data, with a draft for its user to correct."""

    text: str = field(metadata=OMITTED)
    data: Mapping[str, Any] = field(metadata=SPREAD)


def import_dataset(
    request: ImportDataset, on_event: OnEvent = ignore, *, mapping: Mapping[str, Any] | None = None
) -> Imported:
    """Imports, or goes on with a killed import, and proves it.

    >>> done = import_dataset(ImportDataset(source=Path("recorded"), out=Path("imported"), workers=0))
    >>> done.proof.format, len(done.proof.episodes), {row.difference for row in done.proof.fields}
    ('lerobot-v3', 3, {0.0})

    Args:
        mapping: of a bag's topics, instead of the file `request.mapping`.

    Raises:
        RoboscaleError: videos are missing and the rule is to fail; or OUT is missing.
        BadData: the source is broken, `out` holds something else or lies within the source.
    """
    from roboscale.dataset.transfer import Part, transfer
    from roboscale.jobs.import_proof import proof_of, write_proof

    command, again = made_by(request, mapping), request.command_anywhere if mapping is None else ""
    request = _here(request, on_event)
    out, name = _out(request), request.source.absolute().name
    opened = _open(request, mapping, on_event)
    recording = opened.recording
    spec, keys, left_out = _selection(recording, request.missing_video, request.broken)
    extras = extras_of(recording).without([name for name, _ in left_out])
    result = transfer(
        [Part(name=name, open=opened.open, keys=keys, identity=opened.identity)],
        out,
        _with_rate(spec, recording),
        robot_type=recording.robot_type,
        codec=request.codec,
        broken=request.broken,
        splits=splits_of(recording),
        extras=extras,
        workers=request.workers,
        engine=request.engine,
        progress=counting(on_event, "episodes", len(keys)),
        command=again,
    )
    proof = proof_of(recording, spec, result, source=name, left_out=left_out, command=command)
    _tell(proof, on_event)
    if request.resample is not None:
        on_event(Note(_resampling(result, request.resample)))
    if request.proof:
        page, _ = write_proof(out, proof)
        on_event(Wrote("proof", page))
    return Imported(out, proof)


def plan_import(
    request: ImportDataset, on_event: OnEvent = ignore, *, mapping: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What an import would do, from metadata alone; JSON types only. Errors are those of `import_dataset`."""
    from roboscale.sources.records.declaration import undeclared

    request = _here(request, on_event)
    out, recording = _out(request), _open(request, mapping, on_event).recording
    spec, keys, left_out = _selection(recording, request.missing_video, request.broken)
    _with_rate(spec, recording)
    recording.close()
    return {
        "source": request.source.absolute().name,
        "format": recording.format,
        "out": str(out),
        "episodes": len(keys),
        "rate_hz": spec.rate_hz,
        "fields": list(spec.names),
        "left_out": len(left_out),
        "unmapped": dict(recording.unmapped),
        "carried": list(extras_of(recording).features),
        "undeclared": list(undeclared(spec)),
    }


def explain_recording(request: ImportDataset, on_event: OnEvent = ignore) -> Explained:
    """A drafted mapping for a bag or an own layout without one; for everything else evidence and a declaration."""
    from roboscale.sources.records import detect

    request = _here(request, on_event)
    format = request.format or detect(request.source)
    if format in (*_BAGS, "own-layout") and request.mapping is None:
        from roboscale.sources.records.mcap import explain_topics
        from roboscale.sources.records.own import explain_arrays

        draft = (explain_topics if format in _BAGS else explain_arrays)(request.source)
        return Explained(draft, {"mapping": draft})
    from roboscale.sources.records.explain import explain

    evidence = explain(_open(request, None, on_event).recording)
    draft = evidence.to_toml()
    text = f"{evidence.to_text()}\n\n# A declaration to correct, and to pass with --declare:\n{draft}"
    return Explained(text, {**evidence.to_json(), "declaration": draft})


def _here(request: ImportDataset, on_event: OnEvent) -> ImportDataset:
    """The same request of something on this machine."""
    from roboscale.jobs.locating import located

    return replace(request, source=located(request.source, on_event))


def _open(request: ImportDataset, mapping: Mapping[str, Any] | None, on_event: OnEvent) -> Opened:
    from roboscale.jobs.recordings import given_options, open_source

    given = given_options(
        fps=request.fps,
        mapping=mapping if mapping is not None else request.mapping,
        split=request.split,
        action=request.action,
        data_path=request.data_path,
        video_path=request.video_path,
    )
    opened = open_source(request.source, request.format, request.declare, given, on_event)
    return opened if request.resample is None else opened.resampled(request.resample)


def _out(request: ImportDataset) -> Path:
    from roboscale.jobs.recordings import apart

    if request.out is None:
        raise RoboscaleError("OUT is missing: the folder of the new dataset")
    apart(request.source, request.out)
    return request.out


def _selection(
    recording: Recording, rule: MissingVideo, broken: Broken
) -> tuple[Spec, tuple[str, ...], list[tuple[str, str]]]:
    """(spec, keys, what was left out) after `rule` has been applied to missing videos.

    RoboscaleError with the table of missing videos when the rule is to fail, or where data files are not here.
    """
    from roboscale.jobs.recordings import missing_advice, missing_table

    for one in recording.findings:
        if one.check == "file-missing" and one.episodes and broken == "fail":
            some = len(one.episodes) < len(recording.keys)
            choice = "fetch the rest, or take what is here: --broken drop" if some else "fetch them first"
            raise BadData(recording.root, "data", f"a file of each episode; {choice}", one.text)
    missing = {camera: set(keys) for camera, keys in recording.missing.items() if keys}
    if not missing:
        return recording.spec, tuple(recording.keys), []
    if rule == "fail":
        raise RoboscaleError(
            f"{recording.root}: videos are missing:\n{missing_table(recording)}\n{missing_advice(recording)}"
            f"choose: {_choices(recording, missing)}"
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


def _choices(recording: Recording, missing: Mapping[str, set[str]]) -> str:
    """The rules that leave something."""
    left = set(recording.keys) - {key for keys in missing.values() for key in keys}
    return ("--missing-video drop-episodes, or " if left else "") + "--missing-video drop-camera"


def _with_rate(spec: Spec, recording: Recording) -> Spec:
    from roboscale.dataset.rates import is_rate

    if not is_rate(spec.rate_hz):
        expected = "frames a second, from 1/60: --fps, or rate_hz in a declaration"
        raise BadData(recording.root, "fps", expected, spec.rate_hz)
    return spec


def _tell(proof: ProofData, on_event: OnEvent) -> None:
    """What is not in the dataset, one note for each reason: source fields, then episodes."""
    for reason, names in _by_reason(proof.unmapped.items()).items():
        on_event(Note(f"not carried over: {', '.join(names)}: {reason}"))
    for finding in proof.findings:
        where = f" [{finding.field}]" if finding.field else ""
        more = f" ({len(finding.episodes)} episodes)" if len(finding.episodes) > 1 else ""
        on_event(Note(f"{finding.severity}: {finding.check}{where}: {finding.text}{more}"))
    for reason, keys in _by_reason(proof.dropped).items():
        episodes = f"episode {keys[0]}" if len(keys) == 1 else f"{len(keys)} episodes, the first {keys[0]}"
        on_event(Note(f"left out {episodes}: {reason}"))


def _resampling(result: Transfer, rate_hz: float) -> str:
    """What resampling did to all episodes together."""
    said = [f.evidence for proof in result.episodes for f in proof.findings if f.check == "resampled"]
    recorded, frames, repeated, dropped = (
        sum(one[name] for one in said) for name in ("recorded", "frames", "repeated", "dropped")
    )
    return (
        f"resampled to {rate_hz:g} Hz: {recorded} frames became {frames}, {repeated} repeated, {dropped} dropped; "
        "time.source_ns says when each was recorded"
    )


def _by_reason(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Reason -> names, from (name, reason)."""
    grouped: dict[str, list[str]] = {}
    for name, reason in pairs:
        grouped.setdefault(reason, []).append(name)
    return grouped
