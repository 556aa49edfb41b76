"""Datasets of several robots, read as one."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roboscale.core import UNKNOWN, BadData, Field, Provenance, Spec, SpecMismatch, UnknownName
from roboscale.dataset import Dataset, DatasetWriter, Statistics
from roboscale.dataset.collection import Collection, NewMember, spec_digest, write_collection

SIZE = 32
CAMERA = (SIZE, SIZE, 3)
SQUARE = Spec(
    (
        Field("observation.state", (3,), "float32", unit="m", layout=("x", "y", "gripper_width")),
        Field("action", (2,), "float32", unit="m", layout=("x", "y")),
        Field("observation.images.left", CAMERA, "uint8", role="wrist"),
        Field("observation.images.over", CAMERA, "uint8", role="external"),
    ),
    10,
)
CIRCLE = Spec(
    (
        Field("observation.state", (5,), "float32", unit="rad"),
        Field("action", (4,), "float32", unit="rad"),
        Field("observation.images.eye", CAMERA, "uint8", role="wrist"),
    ),
    10,
)


def record(
    root: Path, spec: Spec, robot: str, seed: int, lengths: tuple[int, ...], task: str, licence: str = ""
) -> Path:
    rng = np.random.default_rng(seed)
    with DatasetWriter(root, spec, robot_type=robot, durable=False) as writer:
        for number, length in enumerate(lengths):
            take = writer.begin(
                task, Provenance("test", embodiment=robot, licence=licence if number == 0 else "", seed=seed)
            )
            for _ in range(length):
                shade = np.uint8(20 * seed + 10)
                take.add(
                    {
                        f.name: np.full(f.shape, shade) if f.is_image else rng.normal(size=f.shape).astype(f.dtype)
                        for f in spec
                    }
                )
            take.save()
    return root


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the datasets first and second (one robot), round (another)."""
    folder = tmp_path_factory.mktemp("pool")
    record(folder / "first", SQUARE, "square", 1, (4, 6), "push the block to the left", "MIT")
    record(folder / "second", SQUARE, "square", 2, (5,), "push the block to the right")
    record(folder / "round", CIRCLE, "circle", 3, (3, 3), "push the block to the left")
    return folder


def members(datasets: Path, *names: str) -> list[NewMember]:
    return [NewMember(root=datasets / name, licence="CC-BY-4.0", weight=1 + i) for i, name in enumerate(names)]


@pytest.fixture
def pool(datasets: Path, tmp_path: Path) -> Path:
    folder = datasets / tmp_path.name
    write_collection(folder, members(datasets, "first", "round", "second"))
    return folder


def test_it_reads_as_one(datasets: Path, pool: Path):
    found = Collection(pool, images="uint8")
    assert len(found) == 10 + 6 + 5 and len(found.episodes) == 5
    assert found.embodiments == ("circle", "square") and found.roles == ("wrist",)
    parts = [Dataset(datasets / name, images="uint8") for name in ("first", "round", "second")]
    own = [part[i] for part in parts for i in range(len(part))]
    for index, expected in enumerate(own):
        item = found[index]
        assert int(item["index"]) == index
        for key in set(expected) - {"index", "episode_index", "task_index"}:
            assert np.array_equal(item[key], expected[key]), key
        assert found.tasks[int(item["task_index"])] == item["task"]
    assert [found[i]["embodiment"] for i in (0, 9, 10, 15, 16, 20)] == ["square"] * 2 + ["circle"] * 2 + ["square"] * 2
    assert [int(found[i]["episode_index"]) for i in (0, 4, 10, 13, 16)] == [0, 1, 2, 3, 4]
    assert np.array_equal(found[-1]["action"], found[20]["action"])
    for wrong in (21, -22):
        with pytest.raises(IndexError):
            found[wrong]


def test_every_episode_keeps_its_provenance_and_licence(pool: Path):
    episodes = Collection(pool).episodes
    assert [e.member for e in episodes] == ["first", "first", "round", "round", "second"]
    assert [e.licence for e in episodes] == ["MIT", "CC-BY-4.0", "CC-BY-4.0", "CC-BY-4.0", "CC-BY-4.0"]
    assert [e.provenance.seed for e in episodes] == [1, 1, 3, 3, 2]
    assert [e.from_index for e in episodes] == [0, 4, 10, 13, 16] and [e.index for e in episodes] == list(range(5))
    assert len({e.info.id for e in episodes}) == 5


def test_cameras_by_role_are_those_that_all_have(pool: Path):
    found = Collection(pool, cameras="role", images="uint8")
    for index, shade in ((0, 30), (10, 70), (20, 50)):
        item = found[index]
        assert [key for key in item if "images" in key] == ["observation.images.wrist"]
        assert abs(float(item["observation.images.wrist"].mean()) - shade) < 4
    with pytest.raises(UnknownName, match="own, role"):
        Collection(pool, cameras="all")


def test_windows_reach_every_member_that_has_the_key(pool: Path):
    deltas = {"action": [-0.1, 0, 0.1], "observation.images.over": [-0.1, 0]}
    found = Collection(pool, delta_timestamps=deltas, images="uint8")
    assert found[0]["action"].shape == (3, 2) and found[10]["action"].shape == (3, 4)
    assert found[0]["action_is_pad"].tolist() == [True, False, False]
    assert found[0]["observation.images.over"].shape == (2, *CAMERA)
    assert "observation.images.over" not in found[10]
    roles = Collection(pool, cameras="role", delta_timestamps={"observation.images.wrist": [-0.1, 0]}, images="uint8")
    assert roles[10]["observation.images.wrist"].shape == (2, *CAMERA)
    assert roles[10]["observation.images.wrist_is_pad"].tolist() == [True, False]
    with pytest.raises(UnknownName, match="actoin"):
        Collection(pool, delta_timestamps={"actoin": [0]})


@pytest.mark.parametrize("name", ["action", "observation.state"])
def test_statistics_of_a_robot_are_those_of_its_datasets_together(datasets: Path, pool: Path, name: str):
    merged = Collection(pool).statistics("square", name)
    together = np.concatenate([Dataset(datasets / member).arrays(name) for member in ("first", "second")])
    whole = Statistics.of(together)
    assert merged.histograms == whole.histograms and merged.count == whole.count == 15
    assert np.array_equal(merged.low, together.min(0)) and np.array_equal(merged.high, together.max(0))
    assert np.allclose(merged.mean, whole.mean, rtol=1e-12) and np.allclose(merged.std, whole.std, rtol=1e-12)
    assert Collection(pool).statistics("circle", name).count == 6


def test_statistics_are_refused_for_what_is_not_there_or_not_the_same(datasets: Path, pool: Path, tmp_path: Path):
    found = Collection(pool)
    with pytest.raises(UnknownName, match="circle, square"):
        found.statistics("triangle", "action")
    with pytest.raises(UnknownName, match=r"action, observation\.state"):
        found.statistics("square", "observation.images.left")
    other = tmp_path / "other"
    degrees = Spec((replace(SQUARE["action"], unit="mm"),), 10)
    record(other / "third", degrees, "square", 4, (3,), "push the block to the left")
    third = NewMember(root=other / "third")
    write_collection(other / "pool", [*members(datasets, "first"), third], absolute=True)
    with pytest.raises(SpecMismatch, match=r"square: .*action[\s\S]*first  m\n\s*third  mm"):
        Collection(other / "pool", absolute=True).statistics("square", "action")


def test_the_order_of_members_changes_the_order_only(datasets: Path, tmp_path: Path):
    def contents(*names: str) -> tuple[Any, ...]:
        folder = datasets / f"{tmp_path.name}-{'-'.join(names)}"
        write_collection(folder, members(datasets, *names))
        found = Collection(folder, cameras="role")
        rows = sorted((e.info.id, found[e.from_index]["action"].tobytes()) for e in found.episodes)
        numbers = [found.statistics(r, "action").histograms for r in found.embodiments]
        return len(found), found.embodiments, found.roles, sorted(found.tasks), rows, numbers

    assert contents("first", "round", "second") == contents("second", "first", "round")


def test_meanings_that_a_member_does_not_say_come_from_the_manifest(datasets: Path, tmp_path: Path):
    silent = Spec(tuple(replace(f, unit=UNKNOWN, role="") if f.is_image else f for f in CIRCLE), 10)
    record(tmp_path / "silent", silent, "circle", 5, (3,), "push the block to the left")
    assert Collection(_write(tmp_path, NewMember(root=tmp_path / "silent"))).roles == ()
    found = Collection(_write(tmp_path, NewMember(root=tmp_path / "silent", spec=CIRCLE)))
    assert found.roles == ("wrist",) and found.members[0].roles == {"wrist": "observation.images.eye"}
    wrong = Spec(tuple(replace(f, unit="deg") if f.name == "action" else f for f in CIRCLE), 10)
    with pytest.raises(SpecMismatch, match="action unit: the dataset says rad, the collection deg"):
        _write(tmp_path, NewMember(root=tmp_path / "silent", spec=wrong))


def _write(folder: Path, *new: NewMember) -> Path:
    return write_collection(folder / "pool", new)


def test_workers_get_a_copy_that_reads_the_same(pool: Path):
    found = Collection(pool, images="uint8")
    first = found[12]
    again = pickle.loads(pickle.dumps(found))[12]
    assert first.keys() == again.keys() and all(np.array_equal(first[k], again[k]) for k in first)


def test_tensors(pool: Path):
    torch = pytest.importorskip("torch")
    item = Collection(pool, to="torch")[10]
    assert isinstance(item["action"], torch.Tensor) and int(item["index"]) == 10 and item["embodiment"] == "circle"
    assert item["observation.images.eye"].shape == (3, SIZE, SIZE)


def test_a_member_that_changed_is_noticed(datasets: Path, tmp_path: Path):
    record(tmp_path / "grows", CIRCLE, "circle", 6, (3,), "push the block to the left")
    path = _write(tmp_path, NewMember(root=tmp_path / "grows"))
    record(tmp_path / "grows", CIRCLE, "circle", 7, (2,), "push the block to the left")
    with pytest.raises(BadData, match=r"members\[0\].episodes: expected 2 as in .*grows, found 1"):
        Collection(path)


def edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        data = json.loads(path.read_text())
        change(data)
        path.write_text(json.dumps(data))

    return apply


def member_edit(**changes: object) -> Callable[[Path], None]:
    return edit(lambda data: data["members"][0].update(changes))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, "file: expected to exist"),
        (lambda p: p.write_bytes(p.read_bytes()[:40]), "file: expected JSON"),
        (lambda p: p.write_text("[]"), "a JSON object"),
        (edit(lambda d: d.update(version=2)), "version: expected 1, found 2"),
        (edit(lambda d: d.update(members=[])), "members: expected a list"),
        (edit(lambda d: d.update(members=["../first"])), "members: expected a list of objects"),
        (member_edit(path="../../elsewhere"), r"members\[0\].path: expected a path below"),
        (member_edit(path="../../../etc"), r"members\[0\].path: expected a path below"),
        (member_edit(path="/etc"), r"members\[0\].path: .*unless absolute"),
        (member_edit(path=".."), r"members\[0\].path"),
        (member_edit(path=3), r"members\[0\].path: expected a path, found 3"),
        (member_edit(path="../no-such"), "info.json: file: expected to exist"),
        (member_edit(frames=11), r"members\[0\].frames: expected 10 as in .*first, found 11"),
        (member_edit(spec_digest="00"), r"members\[0\].spec_digest"),
        (member_edit(robot_type=""), r"members\[0\].robot_type: expected a text"),
        (member_edit(licence=None), r"members\[0\].licence"),
        (member_edit(weight=-1), r"members\[0\].weight: expected a number of at least 0"),
        (member_edit(weight=float("nan")), r"members\[0\].weight"),
        (member_edit(cameras={"wrist": "other"}), r"members\[0\].cameras"),
        (member_edit(spec={"fields": 3}), r"members\[0\].spec: expected fields and a rate"),
        (member_edit(spec={"fields": [{"shape": [2]}], "rate_hz": 10}), r"members\[0\].spec"),
    ],
)
def test_a_broken_manifest_is_named(pool: Path, damage: Callable[[Path], object], message: str):
    damage(pool / "collection.json")
    with pytest.raises(BadData, match=message):
        Collection(pool)


def test_absolute_members_need_the_users_word(datasets: Path, tmp_path: Path):
    outside = tmp_path / "deep" / "pool"
    with pytest.raises(BadData, match="leave to keep absolute paths"):
        write_collection(outside, members(datasets, "first"))
    write_collection(outside, members(datasets, "first"), absolute=True)
    with pytest.raises(BadData, match="unless absolute ones are allowed"):
        Collection(outside)
    assert len(Collection(outside, absolute=True)) == 10


def test_what_cannot_be_collected(datasets: Path, tmp_path: Path):
    with pytest.raises(BadData, match="at least one"):
        write_collection(tmp_path / "pool", [])
    with pytest.raises(BadData, match="different datasets"):
        write_collection(datasets / "twice", members(datasets, "first", "first"))
    with pytest.raises(BadData, match="folder: expected nothing"):
        write_collection(datasets / "first", members(datasets, "second"))
    record(tmp_path / "nameless", CIRCLE, "", 8, (2,), "push the block to the left")
    with pytest.raises(BadData, match="robot_type"):
        _write(tmp_path, NewMember(root=tmp_path / "nameless"))
    assert Collection(_write(tmp_path, NewMember(root=tmp_path / "nameless", robot_type="orb"))).embodiments == (
        "orb",
    )


def test_a_digest_changes_with_every_word():
    words = {"unit": "mm", "mode": "relative to x", "layout": ("a", "b"), "frame": "world", "dtype": "float64"}
    specs = [SQUARE, Spec(SQUARE.fields, 20)]
    for word, value in words.items():
        fields = tuple(replace(f, **{word: value}) if f.name == "action" else f for f in SQUARE)
        specs.append(Spec(fields, 10))
    assert len({spec_digest(spec) for spec in specs}) == len(specs)
    assert spec_digest(SQUARE) == spec_digest(Spec.from_json(json.loads(json.dumps(SQUARE.to_json()))))
