"""Recording: an `EpisodeSink` that encodes while frames come and never loses an episode it reported as saved."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from roboscale.core.episode import Frame, Outcome, Provenance, new_episode_id
from roboscale.core.errors import BadData, InfrastructureError, SpecMismatch
from roboscale.core.spec import Spec, require_match
from roboscale.dataset.catalog import load_catalog
from roboscale.dataset.journal import ID, EpisodeRecord, exclusive, list_pending, quarantine, roll_forward
from roboscale.dataset.layout import Layout, atomic_write, features_from_spec, new_info, to_json
from roboscale.dataset.seal import seal
from roboscale.dataset.statistics import PixelCounts
from roboscale.dataset.tables import to_table
from roboscale.dataset.video import Codec, Encoder, check_size, video_info

__all__ = ["DatasetTake", "DatasetWriter"]


class DatasetWriter:
    """Writes a LeRobotDataset v3.0, or goes on with one.

    A context manager: leaving it seals what was saved. Several takes may be open at once. One writer per dataset:
    a second one, in this process or another, is an InfrastructureError.

    Args:
        root: folder of the dataset; made when it is not there.
        spec: what every frame holds; `rate_hz` is a positive integer (LeRobot's fps). Pictures become video.
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
        self.root, self.spec, self.codec = Path(root), spec, codec
        self._layout = Layout(self.root)
        self._durable = durable
        self._open_takes: dict[str, DatasetTake] = {}
        self._held: list[DatasetTake] = []  # saved, but with durable=False only in memory
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
        if layout.info.exists():
            self._resume()
        else:
            self._create(robot_type)
        layout.staging.mkdir(exist_ok=True)
        layout.pending.mkdir(exist_ok=True)
        for rest in sorted(layout.staging.iterdir()):
            quarantine(layout, rest, "a take that was being recorded when its process ended")

    def _create(self, robot_type: str) -> None:
        fps = int(self.spec.rate_hz)
        videos = {f.name: video_info(self.codec, f.shape, fps) for f in self.spec.images}
        info = new_info(self.spec, features_from_spec(self.spec, videos), robot_type)
        atomic_write(self._layout.spec, to_json({"version": 1, "spec": self.spec.to_json()}))
        atomic_write(self._layout.info, to_json(info))
        self._ids: list[str] = []
        self._sequence = 0

    def _resume(self) -> None:
        catalog = load_catalog(self.root)
        if not self._layout.spec.exists():
            raise BadData(self._layout.spec, "file", "to exist: only our own datasets are appended to", "nothing")
        require_match(catalog.spec, self.spec, f"dataset {self.root}", "recording", subset=False)
        for camera in catalog.info.cameras:
            codec = catalog.info.features[camera].get("info", {}).get("video.codec")
            if codec != self.codec:
                raise SpecMismatch(f"{camera}: codec: dataset {self.root} {codec}, recording {self.codec}")
        self._ids = [episode.id for episode in catalog.episodes]
        self._sequence = 1 + max((p.sequence for p in list_pending(self._layout)), default=len(self._ids) - 1)

    @property
    def episode_ids(self) -> tuple[str, ...]:
        """Ids of the episodes saved so far, sealed and pending, in order."""
        return tuple(self._ids)

    def begin(self, instruction: str, provenance: Provenance, *, episode_id: str | None = None) -> DatasetTake:
        """Starts a take. BadData when `episode_id` is taken or is not 32 hex digits."""
        id_ = new_episode_id() if episode_id is None else episode_id
        if not ID.fullmatch(id_):
            raise BadData(self.root, "episode id", "32 hex digits", repr(id_))
        if id_ in self._open_takes or id_ in self._ids:
            raise BadData(self.root, "episode id", "one that is not in the dataset", id_)
        take = DatasetTake(self, id_, instruction, provenance)
        self._open_takes[id_] = take
        return take

    def seal(self) -> None:
        """Turns every saved episode into LeRobot files; recording may go on after."""
        for take in self._held:
            self._publish(take)
        self._held.clear()
        with _disk_errors(self.root, "while sealing; every saved episode is still readable"):
            seal(self.root)

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

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.finalize()
        except InfrastructureError as late:
            if error is None:
                raise
            error.add_note(str(late))  # what went wrong first is what the caller must see
