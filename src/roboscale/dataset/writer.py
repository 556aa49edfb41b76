"""Recording: an `EpisodeSink` that encodes while frames come and never loses an episode it reported as saved."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from roboscale.core.episode import Frame, Outcome, Provenance, new_episode_id
from roboscale.core.errors import BadData, InfrastructureError, RoboscaleError, SpecMismatch
from roboscale.core.spec import Spec, require_match
from roboscale.dataset.journal import ID, EpisodeRecord, exclusive, list_pending, quarantine, roll_forward
from roboscale.dataset.layout import Layout, atomic_write, features_from_spec, new_info, to_json
from roboscale.dataset.lerobot.catalog import load_catalog
from roboscale.dataset.rates import is_rate
from roboscale.dataset.seal import seal
from roboscale.dataset.spool import Spool
from roboscale.dataset.statistics import PixelCounts
from roboscale.dataset.tables import write_take
from roboscale.dataset.video import Codec, Encoder, check_size, video_info

__all__ = ["DatasetTake", "DatasetWriter", "TakesApart", "check_frame", "takes_apart"]

_TABLE = "frames.parquet"
_ROWS = "frames.rows"  # of a take that is being recorded
_SEAL_BYTES = 512 * 2**20  # sealing now and then bounds what waits in pending; files have limits of their own


class DatasetWriter:
    """Writes a LeRobotDataset v3.0, or goes on with one.

    A context manager: leaving it seals what was saved. Several takes may be open at once. One writer per dataset:
    a second one, in this process or another, is a DatasetInUse, which is an InfrastructureError.

    Args:
        root: folder of the dataset; made when it is not there.
        spec: what every frame holds; `rate_hz` may be 29.97 or 12.5, too. Pictures become video.
        robot_type: as in LeRobot's `info.json`.
        codec: `h264` or `av1`.
        durable: whether a saved episode survives a killed process from that moment on, or only from the next seal.

    Raises:
        SpecMismatch: the dataset there has another spec; lists every difference.
        BadData: the folder holds something else.
    """

    def __init__(
        self, root: Path, spec: Spec, *, robot_type: str = "", codec: Codec = "h264", durable: bool = True
    ) -> None:
        _check_spec(spec)
        features = features_from_spec(spec, {f.name: {} for f in spec.images})
        self.numeric = {f.name: features[f.name] for f in spec if not f.is_image}
        self.root, self.spec, self.codec = Path(root), spec, codec
        self._layout = Layout(self.root)
        self._durable = durable
        self._open_takes: dict[str, DatasetTake] = {}
        self._held: list[DatasetTake] = []  # saved, but with durable=False only in memory
        self._due = 0  # bytes saved since the last seal
        _require_own_folder(self._layout)
        self._resources = contextlib.ExitStack()
        self._resources.enter_context(exclusive(self._layout))
        try:
            self._prepare(robot_type)
        except BaseException:
            self._resources.close()
            raise

    def _prepare(self, robot_type: str) -> None:
        layout = self._layout
        roll_forward(layout)
        if layout.info.exists() and not self._nothing_recorded():
            self._resume(robot_type)
        else:
            self._create(robot_type)
        layout.staging.mkdir(exist_ok=True)
        layout.pending.mkdir(exist_ok=True)
        for rest in sorted(layout.staging.iterdir()):
            quarantine(layout, rest, "a take that was being recorded when its process ended")

    def _nothing_recorded(self) -> bool:
        """Whether it was begun here and never had an episode: then it is begun anew, as whatever is recorded now."""
        layout = self._layout
        had = any((layout.root / part).exists() for part in ("data", "meta/episodes"))
        return layout.spec.exists() and not had and not list_pending(layout)

    def _create(self, robot_type: str) -> None:
        fps = self.spec.rate_hz
        videos = {f.name: video_info(self.codec, f.shape, fps) for f in self.spec.images}
        info = new_info(self.spec, features_from_spec(self.spec, videos), robot_type)
        atomic_write(self._layout.spec, to_json({"version": 1, "spec": self.spec.to_json()}))
        atomic_write(self._layout.info, to_json(info))
        self._ids: dict[str, None] = {}  # an ordered set
        self._sequence = 0

    def _resume(self, robot_type: str) -> None:
        catalog = load_catalog(self.root)
        if not self._layout.spec.exists():
            raise BadData(self._layout.spec, "file", "to exist: only our own datasets are appended to", "nothing")
        if catalog.info.left_out:
            carried = ", ".join(catalog.info.left_out)
            advice = "record into a folder of its own, and merge the two"
            raise SpecMismatch(f"dataset {self.root} holds {carried}, which a recording here does not give: {advice}")
        require_match(catalog.spec, self.spec, f"dataset {self.root}", "recording", subset=False)
        recorded = catalog.info.raw.get("robot_type") or ""
        if robot_type and robot_type != recorded:
            raise SpecMismatch(f"robot_type: dataset {self.root} {recorded!r}, recording {robot_type!r}")
        for camera in catalog.info.cameras:
            codec = catalog.info.features[camera].get("info", {}).get("video.codec")
            if codec != self.codec:
                raise SpecMismatch(f"{camera}: codec: dataset {self.root} {codec}, recording {self.codec}")
        self._ids = {episode.id: None for episode in catalog.episodes}
        self._sequence = 1 + max((p.sequence for p in list_pending(self._layout)), default=len(self._ids) - 1)

    @property
    def episode_ids(self) -> tuple[str, ...]:
        """Ids of the episodes saved so far, sealed and pending, in order."""
        return tuple(self._ids)

    def begin(self, instruction: str, provenance: Provenance, *, episode_id: str | None = None) -> DatasetTake:
        """Starts a take. BadData when `episode_id` is taken or is not 32 hex digits."""
        if self._due >= _SEAL_BYTES:
            self.seal()
        id_ = new_episode_id() if episode_id is None else episode_id
        if not ID.fullmatch(id_):
            raise BadData(self.root, "episode id", "32 hex digits", repr(id_))
        if id_ in self._open_takes or id_ in self._ids:
            raise BadData(self.root, "episode id", "one that is not in the dataset", id_)
        take = DatasetTake(self, id_, instruction, provenance)
        self._open_takes[id_] = take
        return take

    def apart(self) -> Callable[[], TakesApart]:
        """Makes, in any process, a sink whose saved takes wait to be adopted or dropped; picklable."""
        return takes_apart(self.root, self.spec, self.codec)

    def adopt(self, episode_id: str) -> None:
        """Makes a take that was saved apart an episode of this dataset, by one rename; it comes last.

        Raises:
            BadData: no such take was saved, or the dataset has the episode already.
        """
        folder = self._layout.staging / episode_id
        if episode_id in self._ids or not (folder / _TABLE).is_file():
            what = "in the dataset already" if episode_id in self._ids else "not there"
            raise BadData(self.root, f"take {episode_id}", "a take that was saved apart", what)
        if self._due >= _SEAL_BYTES:
            self.seal()
        with _disk_errors(self.root, "while adopting a take; no saved episode is lost"):
            self._due += sum(path.stat().st_size for path in folder.iterdir())
            folder.rename(self._layout.pending / f"{self._sequence:06d}-{episode_id}")
        self._sequence += 1
        self._ids[episode_id] = None

    def drop(self, episode_id: str) -> None:
        """Removes a take that was saved apart; nothing happens where there is none."""
        if ID.fullmatch(episode_id):
            shutil.rmtree(self._layout.staging / episode_id, ignore_errors=True)

    def retract(self, episode_id: str) -> Path:
        """Takes back an episode that was saved and is not sealed yet, into quarantine; returns where it is kept.

        Raises:
            BadData: there is none: sealed episodes are taken out by `data fix`.
        """
        for pending in list_pending(self._layout):
            if pending.id == episode_id:
                del self._ids[episode_id]
                return quarantine(self._layout, pending.path, "taken back by whoever recorded it")
        found = "one that is sealed" if episode_id in self._ids else "none"
        raise BadData(self.root, f"episode {episode_id}", "one that is saved and not sealed", found)

    def seal(self) -> None:
        """Turns every saved episode into LeRobot files; recording may go on after."""
        with _disk_errors(self.root, "while sealing; no saved episode is lost"):
            while self._held:
                self._publish(self._held[0])
                self._held.pop(0)
            seal(self.root)
        self._due = 0

    def finalize(self) -> None:
        """Discards open takes, seals, and gives the dataset back to other writers."""
        try:
            for take in list(self._open_takes.values()):
                take.discard()
            self.seal()
        finally:
            self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        try:
            self.finalize()
        except RoboscaleError as late:
            if error is None:
                raise
            error.add_note(str(late))  # what went wrong first is what the caller must see

    def keep(self, take: DatasetTake) -> None:
        """Takes over a take whose video is complete. Called by the take."""
        if self._durable:
            self._publish(take)
        else:
            self._held.append(take)
            self._ids[take.id] = None
        self._due += take.bytes

    def _publish(self, take: DatasetTake) -> None:
        """Writes what a take still holds in memory and makes it durable by one rename."""
        take.write()
        target = self._layout.pending / f"{self._sequence:06d}-{take.id}"
        take.folder.rename(target)
        self._sequence += 1
        self._ids[take.id] = None

    def let_go(self, take: DatasetTake) -> None:
        self._open_takes.pop(take.id, None)


class TakesApart:
    """The takes of another process: recorded into the dataset's staging folder, where its writer adopts them.

    Args:
        root, spec, codec: of the `DatasetWriter` that is open in some process.
    """

    def __init__(self, root: Path, spec: Spec, codec: Codec) -> None:
        self.root, self.spec, self.codec = root, spec, codec
        features = features_from_spec(spec, {f.name: {} for f in spec.images})
        self.numeric = {f.name: features[f.name] for f in spec if not f.is_image}
        self.episode_ids: tuple[str, ...] = ()

    def begin(self, instruction: str, provenance: Provenance, *, episode_id: str | None = None) -> DatasetTake:
        """Starts a take. BadData when `episode_id` is not 32 hex digits."""
        id_ = new_episode_id() if episode_id is None else episode_id
        if not ID.fullmatch(id_):
            raise BadData(self.root, "episode id", "32 hex digits", repr(id_))
        return DatasetTake(self, id_, instruction, provenance)

    def keep(self, take: DatasetTake) -> None:
        """Completes a take where it is; its table is written last, so a take without one was never saved."""
        take.write()

    def let_go(self, take: DatasetTake) -> None:
        """Nothing is remembered of a take here."""


def takes_apart(root: Path, spec: Spec, codec: Codec = "h264") -> Callable[[], TakesApart]:
    """Makes, in any process, a sink beside a writer that may be open elsewhere; picklable."""
    return partial(TakesApart, root, spec, codec)


class DatasetTake:
    """An episode being recorded. Its video is encoded as frames come, into a folder of its own."""

    def __init__(self, writer: DatasetWriter | TakesApart, id_: str, instruction: str, provenance: Provenance) -> None:
        self.id, self.instruction, self.provenance = id_, instruction, provenance
        self.folder = Layout(writer.root).staging / id_
        self.bytes = 0
        self._writer, self._spec = writer, writer.spec
        self._outcome: Outcome | None = None
        self._state = "open"
        self._numbers = tuple(f.name for f in self._spec if not f.is_image)
        self._encoders: dict[str, Encoder] = {}
        numbers = {f.name: (f.shape, f.dtype) for f in self._spec if not f.is_image}
        pixels = {f.name: PixelCounts.row(f.shape) for f in self._spec.images}
        self._rows = Spool(self.folder / _ROWS, {**numbers, **pixels})
        with self._guard("beginning"):
            self.folder.mkdir(parents=True)
            for f in self._spec.images:
                path = self.folder / f"{f.name}.mp4"
                self._encoders[f.name] = Encoder(path, f.shape, self._spec.rate_hz, writer.codec)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, frame: Frame) -> None:
        """Appends one time step.

        Raises:
            SpecMismatch: a field is missing, unknown, or of another shape or dtype; the take goes on.
            BadData: NaN or infinity; the take goes on.
            InfrastructureError: the disk is full; the take is lost, saved episodes are not.
        """
        self._require_open()
        check_frame(self._spec, frame, f"take {self.id}, frame {len(self)}")
        with self._guard("adding a frame"):
            row = {name: np.asarray(frame[name]) for name in self._numbers}
            for name, encoder in self._encoders.items():
                image = np.asarray(frame[name])
                encoder.add(image)
                row[name] = PixelCounts.of_frame(image)
            self._rows.add(row)

    def save(self, outcome: Outcome | None = None) -> str:
        """Makes the episode permanent and returns its id.

        Raises:
            BadData: there is no frame.
            InfrastructureError: the disk is full; the take is lost, saved episodes are not.
        """
        self._require_open()
        if not len(self):
            raise BadData(f"take {self.id}", "frames", "at least 1", 0)
        self._outcome = outcome
        with self._guard("saving"):
            for encoder in self._encoders.values():
                encoder.close()
            self.bytes = sum(path.stat().st_size for path in self.folder.glob("*.mp4"))
            self._writer.keep(self)
        self._state = "saved"
        self._writer.let_go(self)
        return self.id

    def write(self) -> None:
        """Writes the numeric columns and the record beside the video."""
        length = len(self)
        pixels = {
            name: PixelCounts.sampled(length, (block[name] for block in self._rows.blocks([name])))
            for name in self._encoders
        }
        record = EpisodeRecord(
            id=self.id,
            instruction=self.instruction,
            length=length,
            outcome=self._outcome,
            provenance=self.provenance,
            pixels=pixels,
        )
        said = json.dumps(record.to_json(), ensure_ascii=False).encode()
        write_take(self.folder / _TABLE, self._writer.numeric, self._rows.blocks(self._numbers), said)
        self._rows.close()

    def discard(self) -> None:
        """Drops the take, its video included. Nothing happens when it is saved or discarded already."""
        if self._state == "open":
            self._drop("discarded")

    def _drop(self, state: str) -> None:
        self._state = state
        for encoder in self._encoders.values():
            encoder.abort()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._writer.let_go(self)

    def _require_open(self) -> None:
        if self._state != "open":
            raise RoboscaleError(f"take {self.id} is {self._state}")

    @contextlib.contextmanager
    def _guard(self, doing: str) -> Iterator[None]:
        """Drops the take when it was left in between, by a full disk or Ctrl-C."""
        saved = len(self._writer.episode_ids)
        note = f"while {doing}: this take of {len(self)} frames is lost, the {saved} saved episodes are not"
        try:
            with _disk_errors(self._writer.root, note):
                yield
        except BaseException:
            if self.folder.exists():  # a rename that succeeded just before Ctrl-C has saved the take
                self._drop("lost")
            raise


@contextlib.contextmanager
def _disk_errors(root: Path, doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InfrastructureError(f"{root}: {error.strerror or error} {doing}") from error


def check_frame(spec: Spec, frame: Frame, where: str) -> None:
    """SpecMismatch or BadData, which name `where`, unless a frame is what the spec says, and finite."""
    spec.check(frame, where)
    unknown = sorted(set(frame) - set(spec.names))
    if unknown:
        raise SpecMismatch(f"{where}: the spec has no {', '.join(unknown)}; it has {', '.join(spec.names)}")
    for field in spec:
        value = np.asarray(frame[field.name])
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise BadData(where, field.name, "finite numbers", value.tolist())


def _check_spec(spec: Spec) -> None:
    if not is_rate(spec.rate_hz):
        raise SpecMismatch(f"rate_hz: expected frames a second, from 1/60 to a million, found {spec.rate_hz:g}")
    if all(f.is_image for f in spec):
        raise SpecMismatch("a dataset needs at least one numeric field")
    for f in spec:
        if f.is_image:
            check_size(f.name, f.shape)
        elif np.dtype(f.dtype).kind not in "fiub" or len(f.shape) > 5:
            raise SpecMismatch(f"{f.name}: numbers of at most 5 axes, found {f.dtype}{list(f.shape)}")


def _require_own_folder(layout: Layout) -> None:
    """BadData when the folder holds something that is no dataset: a mistyped path must not be filled."""
    if not layout.root.exists() or layout.info.exists() or layout.own.exists():
        return
    names = sorted(path.name for path in layout.root.iterdir())
    if names:
        raise BadData(layout.root, "folder", "a dataset, or nothing", ", ".join(names[:5]))
