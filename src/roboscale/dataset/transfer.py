"""Episodes that exist already, moved into a LeRobotDataset v3.0: imports, merges and repairs are all this one pipe.

    recording -> read -> edit -> pending episode -> (a block is complete) seal -> compare with what was read

Each episode becomes a pending episode (see `journal`) by itself, in any process; the caller's process only counts,
seals and compares. Numbers are written in the dtype they have. Videos are copied packet by packet where that is
possible and encoded otherwise. A killed transfer goes on where it stopped and gives the same bytes.

Knows recordings by their protocol. Knows no format but its own.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from roboscale.core.errors import BadData, SpecMismatch
from roboscale.core.recording import Extras, Recording
from roboscale.core.spec import Spec
from roboscale.dataset import ingest
from roboscale.dataset.engine import Engine, run
from roboscale.dataset.ingest import Edit, EpisodeJob, EpisodeProof
from roboscale.dataset.journal import exclusive, list_pending, roll_forward
from roboscale.dataset.layout import (
    VIDEO_PATH,
    Info,
    Layout,
    atomic_write,
    features_from_spec,
    load_json,
    new_info,
    to_json,
)
from roboscale.dataset.packets import video_facts
from roboscale.dataset.seal import seal
from roboscale.dataset.unfinished import begin_transfer, end_transfer
from roboscale.dataset.verify import verify
from roboscale.dataset.video import Codec, video_info

__all__ = ["Broken", "Dropped", "Part", "Transfer", "plan_of", "transfer", "write_extras"]

Broken = Literal["fail", "drop"]
Progress = Callable[[int, str], None]
Entry = TypeVar("Entry")

_BLOCK = 500  # episodes between two seals: bounds what lies on disk twice, and what a kill may cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Episodes of one recording.

    Args:
        name: tells it from the other parts; the same in every run.
        open: opens the recording; picklable, for it is opened again in every worker.
        keys: which episodes, in the order they shall have.
        edit: what is done to each of them on the way; picklable.
        identity: tells this reading of this source from others of the same name; the same in every run.
    """

    name: str
    open: Callable[[], Recording]
    keys: tuple[str, ...]
    edit: Edit | None = None
    identity: str = ""


@dataclass(frozen=True, slots=True)
class Dropped:
    """An episode that did not arrive, and why."""

    part: str
    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """What came of it.

    Args:
        episodes: one proof for each episode of the dataset, in its order.
        dropped: the others.
    """

    root: Path
    episodes: tuple[EpisodeProof, ...]
    dropped: tuple[Dropped, ...]

    @property
    def frames(self) -> int:
        return sum(proof.frames for proof in self.episodes)


@dataclass(slots=True)
class _State:
    """What is done so far, on disk: `meta/roboscale/transfer/`."""

    layout: Layout
    done: dict[int, EpisodeProof] = field(default_factory=dict)
    dropped: dict[int, Dropped] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.layout.own / "transfer"

    def load(self) -> None:
        """Reads the journal; a line that a kill cut off is done again."""
        try:
            lines = (self.folder / "episodes.jsonl").read_text("utf-8").split("\n")[:-1]
        except FileNotFoundError:
            return
        for line in lines:
            data = json.loads(line)
            if "proof" in data:
                self.done[data["sequence"]] = EpisodeProof.from_json(data["proof"])
            else:
                self.dropped[data["sequence"]] = Dropped(**data["dropped"])
        text = "".join(line + "\n" for line in lines)
        atomic_write(self.folder / "episodes.jsonl", text.encode())

    def add(self, sequence: int, entry: EpisodeProof | Dropped) -> None:
        if isinstance(entry, Dropped):
            self.dropped[sequence] = entry
            data = {"sequence": sequence, "dropped": asdict(entry)}
        else:
            self.done[sequence] = entry
            data = {"sequence": sequence, "proof": entry.to_json()}
        with (self.folder / "episodes.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(data, ensure_ascii=False) + "\n")


def plan_of(
    parts: Sequence[Part], spec: Spec, codec: Codec, robot_type: str, carried: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What a transfer is asked to do, as JSON; a dataset that holds another plan is not gone on with."""
    sources = {part.name: list(part.keys) for part in parts}
    edits = {part.name: repr(part.edit) for part in parts if part.edit is not None}
    return {
        "version": 1,
        "spec": spec.to_json(),
        "codec": codec,
        "robot_type": robot_type,
        "sources": sources,
        "identities": {part.name: part.identity for part in parts if part.identity},
        "edits": edits,
        **({"carried": dict(carried)} if carried else {}),
    }


def _jobs(
    parts: Sequence[Part], layout: Layout, spec: Spec, codec: Codec, robot_type: str, carried: tuple[str, ...]
) -> list[EpisodeJob]:
    """One for each episode, in the order of the dataset."""
    return [
        EpisodeJob(
            root=layout.root,
            spec=spec,
            codec=codec,
            robot_type=robot_type,
            sequence=sequence,
            part=part.name,
            open=part.open,
            key=key,
            edit=part.edit,
            carried=carried,
        )
        for sequence, (part, key) in enumerate((part, key) for part in parts for key in part.keys)
    ]


def transfer(
    parts: Sequence[Part],
    out: Path,
    spec: Spec,
    *,
    robot_type: str = "",
    codec: Codec = "h264",
    broken: Broken = "fail",
    splits: Mapping[str, Sequence[str]] | None = None,
    extras: Extras | None = None,
    workers: int | None = None,
    engine: Engine = "processes",
    progress: Progress | None = None,
    command: str = "",
) -> Transfer:
    """Writes the episodes of `parts`, in order, into a new dataset; or goes on with what a killed call left.

    Args:
        spec: of the dataset: every episode holds exactly these fields after its edit.
        codec: for pictures that must be encoded.
        broken: what to do with an episode that cannot be read: stop with its error, or leave it out and say so.
        splits: name -> keys of its episodes, of one part; they become ranges of the dataset.
        extras: what a newer writer says beside the episodes; carried as it is.
        progress: called with a count and a note as episodes arrive.
        command: asks for the same from any folder; whoever looks at what a kill left is told it.

    Raises:
        BadData: the episodes of a split would not follow one another. Or an episode is broken; what was written
            stays, and the same call goes on after it is mended. Or `out` holds something else. Or what was written is
            not what was read.
        SpecMismatch: an episode does not have the fields of `spec`.
    """
    layout, extras = Layout(Path(out)), extras or Extras()
    plan = plan_of(parts, spec, codec, robot_type, extras.features)
    jobs = _jobs(parts, layout, spec, codec, robot_type, tuple(extras.features))
    ingest.require_free(layout, plan)
    with exclusive(layout):
        roll_forward(layout)
        state = _begin(layout, spec, codec, robot_type, plan, extras)
        begin_transfer(layout, command)
        try:
            for begin in range(0, len(jobs), _BLOCK):
                _move_block(state, jobs[begin : begin + _BLOCK], broken, progress, workers, engine)
        except BadData:
            (state.folder / ingest.FAILED).touch()  # once its source is mended, another plan may take its place
            raise
        finally:
            ingest.forget()
    result = Transfer(layout.root, _in_order(state.done), _in_order(state.dropped))
    if not result.episodes:
        raise BadData(out, "episodes", "at least one that can be read", f"{len(result.dropped)} dropped")
    _write_splits(layout, result.episodes, splits or {})
    write_extras(layout, extras)
    compared = replace(result, episodes=verify(layout.root, result.episodes))
    end_transfer(layout)
    return compared


def _write_splits(layout: Layout, episodes: Sequence[EpisodeProof], splits: Mapping[str, Sequence[str]]) -> None:
    """`a:b` of each split, as LeRobot writes them."""
    positions = {proof.key: position for position, proof in enumerate(episodes)}
    ranges = {}
    for name, keys in splits.items():
        there = sorted(positions[key] for key in keys if key in positions)
        if there and there[-1] - there[0] + 1 != len(there):
            raise BadData(layout.root, f"split {name}", "episodes that follow one another", f"{there[:20]}")
        if there:
            ranges[name] = f"{there[0]}:{there[-1] + 1}"
    raw = load_json(layout.info)
    if ranges and raw.get("splits") != ranges:
        atomic_write(layout.info, to_json({**raw, "splits": ranges}))


def write_extras(layout: Layout, extras: Extras) -> None:
    """Adds them to a dataset that is there; a camera that is not there has none."""
    for name, data in extras.files.items():
        atomic_write(layout.root / name, data)
    raw = load_json(layout.info)
    features = dict(raw["features"])
    for camera, said in extras.cameras.items():
        if camera in features:
            features[camera] = {**features[camera], "info": {**said, **(features[camera].get("info") or {})}}
    whole = {**extras.info, **raw, "features": features}
    if whole != raw:
        atomic_write(layout.info, to_json(whole))


def _in_order(entries: Mapping[int, Entry]) -> tuple[Entry, ...]:
    return tuple(entries[i] for i in sorted(entries))


def _begin(
    layout: Layout, spec: Spec, codec: Codec, robot_type: str, plan: Mapping[str, Any], extras: Extras
) -> _State:
    state = _State(layout)
    state.folder.mkdir(parents=True, exist_ok=True)
    layout.staging.mkdir(exist_ok=True)
    layout.pending.mkdir(exist_ok=True)
    if not layout.info.exists():
        videos = {f.name: video_info(codec, f.shape, spec.rate_hz) for f in spec.images}
        info = new_info(spec, {**features_from_spec(spec, videos), **extras.features}, robot_type)
        if any(feature["dtype"] == "video" for feature in info["features"].values()):
            info["video_path"] = VIDEO_PATH
        atomic_write(state.folder / "plan.json", to_json(plan))
        atomic_write(layout.spec, to_json({"version": 1, "spec": spec.to_json()}))
        atomic_write(layout.info, to_json(info))
    (state.folder / ingest.FAILED).unlink(missing_ok=True)
    state.load()
    return state


def _move_block(
    state: _State,
    block: Sequence[EpisodeJob],
    broken: Broken,
    progress: Progress | None,
    workers: int | None,
    engine: Engine,
) -> None:
    known = {**state.done, **state.dropped} if broken == "drop" else state.done
    todo = [job for job in block if job.sequence not in known]
    if progress is not None and len(todo) < len(block):
        progress(len(block) - len(todo), "there already")
    for job in todo:
        state.dropped.pop(job.sequence, None)  # with `fail` it is tried again
    results = run(ingest.bring, todo, workers=workers, engine=engine, try_here=True)
    for job, result in zip(todo, results, strict=True):
        entry = result if isinstance(result, EpisodeProof) else Dropped(job.part, job.key, str(result))
        if isinstance(result, Exception) and (broken == "fail" or isinstance(result, SpecMismatch)):
            raise result
        state.add(job.sequence, entry)
        if progress is not None:
            progress(1, "" if isinstance(entry, EpisodeProof) else f"{job.key} dropped")
    twice = [id_ for id_, count in Counter(proof.id for proof in state.done.values()).items() if count > 1]
    if twice:
        keys = ", ".join(f"{proof.part}/{proof.key}" for proof in state.done.values() if proof.id == twice[0])
        raise BadData(state.layout.root, "episode id", "each episode once", f"{twice[0]} for {keys}")
    if list_pending(state.layout):
        _describe_videos(state)
        seal(state.layout.root)


def _describe_videos(state: _State) -> None:
    """Puts what the first episode's videos are into `info.json`, once: copied ones keep the codec they came in."""
    raw = load_json(state.layout.info)
    cameras = Info(state.layout.root, raw).colour_cameras
    if raw["total_episodes"] or not cameras:
        return
    first = list_pending(state.layout)[0]
    for camera in cameras:
        described = video_facts(first.video(camera))
        raw["features"][camera]["info"] = {**raw["features"][camera]["info"], **described}
    atomic_write(state.layout.info, to_json(raw))
