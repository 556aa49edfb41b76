"""A small robot that never was, recorded with two cameras, and a dataset of ten thousand episodes without any."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from browser import browser, chromium, link
from roboscale.core import Field, Finding, Outcome, Provenance, Span, Spec, new_episode_id
from roboscale.curate.log import LOG, CurationLog
from roboscale.dataset import DatasetWriter
from roboscale.dataset.journal import EpisodeRecord
from roboscale.dataset.layout import Layout, features_from_spec, new_info, to_json
from roboscale.dataset.tables import to_table, write_tasks
from roboscale.web.show import make_app
from roboscale.web.show.server import listen, make_server

__all__ = ["browser", "chromium", "link"]

FPS = 20
LENGTHS = (50, 40, 37, 60, 20)
TASKS = ("push the red block to the goal", "Öffne die <b>Schublade</b> & schließe sie", "pick up the cup")
OUTCOMES = (Outcome("success"), Outcome("failure", "the block fell off the table"), None, Outcome("success"), None)
SPEC = Spec(
    (
        Field("observation.state", (4,), "float32", unit="m", frame="world", layout=("x", "y", "z", "gripper_width")),
        Field("observation.images.front", (96, 128, 3), "uint8", role="front"),
        Field("observation.images.wrist", (96, 96, 3), "uint8", role="wrist"),
        Field("action", (4,), "float32", layout=("dx", "dy", "dz", "gripper"), mode="relative to previous action"),
        Field("observation.tactile", (4, 5), "float32"),
        Field("time.front_ns", (1,), "int64", unit="ns"),
    ),
    FPS,
)


def picture(episode: int, t: int, height: int, width: int) -> np.ndarray:
    """Says its frame: the grey level of the upper left quarter is 4 t, of the lower right 40 episode."""
    y, x = np.mgrid[0:height, 0:width]
    image = np.stack([60 + x // 2, 80 + y // 2, np.full_like(x, 120)], axis=-1).astype(np.uint8)
    ball = np.hypot(x - (10 + (5 * t) % (width - 20)), y - height * 0.6) < 9
    image[ball] = (220, 90, 40)
    image[: height // 4, : width // 4] = 4 * t % 256
    image[-height // 4 :, -width // 4 :] = 40 * episode % 256
    return image


def frame(spec: Spec, episode: int, t: int) -> dict[str, np.ndarray]:
    made: dict[str, np.ndarray] = {}
    for k, field in enumerate(spec):
        if field.is_image:
            made[field.name] = picture(episode, t, *field.shape[:2])
        elif field.dtype == "int64":
            made[field.name] = np.full(field.shape, 1_700_000_000_000_000_000 + t * 10**9 // FPS, np.int64)
        else:
            phases = np.arange(int(np.prod(field.shape))).reshape(field.shape)
            made[field.name] = (np.sin(t / 9 + phases + k + episode) * (1 + phases % 4)).astype(np.float32)
    return made


def record(root: Path) -> Path:
    with DatasetWriter(root, SPEC, robot_type="square", durable=False) as writer:
        for episode, length in enumerate(LENGTHS):
            provenance = Provenance(
                "test", embodiment="square", operator="ada", licence="CC-BY-4.0" if episode else "", seed=episode
            )
            take = writer.begin(
                TASKS[episode % len(TASKS)], provenance, episode_id=new_episode_id(np.random.default_rng(episode))
            )
            for t in range(length):
                take.add(frame(SPEC, episode, t))
            take.save(OUTCOMES[episode])
    return root


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five episodes; tests that label must copy it."""
    return record(tmp_path_factory.mktemp("show") / "recorded")


@pytest.fixture
def root(recorded: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy to label."""
    yield shutil.copytree(recorded, tmp_path / "dataset")


FINDINGS = (
    Finding(
        "idle-lead",
        "warning",
        "expected motion, found none",
        episodes=(0,),
        field="action",
        spans=(Span(0, 0, 9),),
        evidence={"frames": 10},
    ),
    Finding(
        "spike",
        "error",
        "<img src=x onerror=alert(1)>",
        episodes=(0, 1),
        field="observation.state",
        spans=(Span(0, 30, 32), Span(1, 5, 5)),
    ),
    Finding("missing-licence", "info", "no licence is named", episodes=(), repair="roboscale data fix"),
)


@pytest.fixture
def audit(tmp_path: Path) -> Path:
    path = tmp_path / "audit.json"
    path.write_text(json.dumps({"findings": [finding.to_json() for finding in FINDINGS]}))
    return path


@contextmanager
def _serving(root: Path, **options: Any) -> Iterator[httpx.Client]:
    """A client of a server that really listens."""
    server = make_server(make_app(root, CurationLog(root / LOG), session="secret", author="ada", **options))
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=30) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="session")
def serving() -> Any:
    """`with serving(root, token=..., audit=...) as client`: the page of a dataset, on a port of its own."""
    return _serving


@pytest.fixture(scope="session")
def facts() -> dict[str, Any]:
    """What the recorded dataset holds."""
    return {"lengths": LENGTHS, "tasks": TASKS, "outcomes": OUTCOMES, "spec": SPEC, "fps": FPS, "frame": frame}


def write_many(root: Path, episodes: int = 10_000, length: int = 5) -> Path:
    """A dataset of many short episodes without cameras, with our sidecar, its files written directly."""
    spec = Spec((Field("observation.state", (2,), "float32"), Field("action", (2,), "float32")), FPS)
    features = features_from_spec(spec, {})
    frames = np.arange(episodes * length)
    arrays: dict[str, np.ndarray] = {name: np.outer(frames, [1, 2]).astype(np.float32) for name in spec.names}
    tasks = [f"sort the part number {k} into its bin" for k in range(50)]
    arrays |= {"timestamp": (frames % length / FPS).astype(np.float32), "frame_index": frames % length}
    arrays |= {"episode_index": frames // length, "index": frames, "task_index": frames // length % len(tasks)}
    layout = Layout(root)
    for folder in (root / "data/chunk-000", layout.episodes / "chunk-000", layout.own / "episodes/chunk-000"):
        folder.mkdir(parents=True)
    pq.write_table(to_table(arrays, features), root / "data/chunk-000/file-000.parquet", row_group_size=100 * length)
    numbers = range(episodes)
    rows = {
        "episode_index": list(numbers),
        "tasks": [[tasks[i % len(tasks)]] for i in numbers],
        "length": [length] * episodes,
        "data/chunk_index": [0] * episodes,
        "data/file_index": [0] * episodes,
        "dataset_from_index": [i * length for i in numbers],
        "dataset_to_index": [(i + 1) * length for i in numbers],
    }
    pq.write_table(pa.table(rows), layout.episodes / "chunk-000/file-000.parquet")
    write_tasks(layout.tasks, tasks)
    records = (
        EpisodeRecord(
            id=f"{i:032x}",
            instruction=tasks[i % len(tasks)],
            length=length,
            outcome=Outcome("success"),
            provenance=Provenance("test", seed=i),
            pixels={},
        )
        for i in numbers
    )
    lines = [json.dumps({**record.to_json(), "episode_index": i}) + "\n" for i, record in enumerate(records)]
    (layout.own / "episodes/chunk-000/file-000.jsonl").write_text("".join(lines))
    layout.spec.write_bytes(to_json({"version": 1, "spec": spec.to_json()}))
    totals = {"total_episodes": episodes, "total_frames": episodes * length, "total_tasks": len(tasks)}
    layout.info.write_bytes(to_json({**new_info(spec, features, "square"), **totals}))
    return root


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten thousand episodes."""
    return write_many(tmp_path_factory.mktemp("many") / "dataset")
