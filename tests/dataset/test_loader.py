"""Reading for training: pictures to the last bit, shuffled streams that resume, mixtures that keep their shares."""

from __future__ import annotations

import itertools
import json
import pickle
from collections import Counter
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboscale.core import BadData, Field, Provenance, Spec, SpecMismatch, UnknownName
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.dataset.mixture import Mixture
from roboscale.dataset.order import Blocks, Permutation, Walk, order_generator
from roboscale.dataset.statistics import PixelCounts, sample_indices
from roboscale.dataset.video import VideoReader

loader = pytest.importorskip("roboscale.dataset.loader", reason="needs torch")
data = pytest.importorskip("torch.utils.data")

FRONT = "observation.images.front"


def numbers_only(root: Path, lengths: list[int], name: str = "action", size: int = 2, rate: int = 10) -> Path:
    """Episodes whose `name` counts frames over the whole dataset."""
    spec = Spec((Field(name, (size,), "float32"),), rate)
    count = itertools.count()
    with DatasetWriter(root, spec) as writer:
        for length in lengths:
            take = writer.begin("count the frames one by one", Provenance("test"))
            for _ in range(length):
                take.add({name: np.full(size, next(count), np.float32)})
            take.save()
    return root


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbers_only(tmp_path_factory.mktemp("counted") / "set", [5, 1, 33, 16, 45])


def encode(path: Path, codec: str, size: tuple[int, int], frames: int, options: dict[str, str]) -> list[np.ndarray]:
    """Writes a video at 10 Hz and returns its frames as PyAV decodes them from the start."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream(codec, rate=10, options=options)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        for _ in range(frames):
            picture = rng.integers(0, 255, (*size, 3)).astype(np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize("size", [(48, 48), (34, 50), (64, 112)])
@pytest.mark.parametrize("bframes", ["0", "3"])
def test_frames_in_any_order_are_those_of_a_plain_decoder(tmp_path: Path, size: tuple[int, int], bframes: str):
    expected = encode(tmp_path / "a.mp4", "libx264", size, 40, {"g": "12", "bf": bframes, "preset": "veryfast"})
    reader = VideoReader(tmp_path / "a.mp4", 10)
    order = [*np.random.default_rng(1).permutation(40).tolist(), *range(40), 3, 3, 2]
    for number in order:
        np.testing.assert_array_equal(reader.read([number])[0], expected[number])
        levels = reader.read_planes([number], np.uint8)[0]
        np.testing.assert_array_equal(levels, expected[number].transpose(2, 0, 1))
    window = [7, 0, 7, 39, 8]
    np.testing.assert_array_equal(reader.read(window), [expected[n] for n in window])
    floats = reader.read_planes(window, np.float32)
    np.testing.assert_array_equal(floats, np.stack([expected[n].transpose(2, 0, 1) for n in window]) / np.float32(255))
    for number in (40, 10_000, -1):
        with pytest.raises(BadData, match=f"frame {number}"):
            reader.read([number])
    np.testing.assert_array_equal(reader.read([5])[0], expected[5])


def test_pixels_are_counted_as_of_whole_pictures(tmp_path: Path):
    encode(tmp_path / "a.mp4", "libx264", (320, 480), 130, {"g": "2", "bf": "0", "preset": "ultrafast"})
    reader = VideoReader(tmp_path / "a.mp4", 10)
    counted = reader.count_pixels(10, 120)
    numbers = np.unique(sample_indices(120)) + 10
    expected = PixelCounts.total(PixelCounts.of_frame(image) for image in reader.each(numbers.tolist()))
    assert counted.frames == expected.frames == 100
    np.testing.assert_array_equal(counted.counts, expected.counts)


def test_reading_in_order_decodes_each_frame_once(tmp_path: Path):
    encode(tmp_path / "a.mp4", "libx264", (48, 48), 40, {"g": "2", "bf": "0"})
    reader = VideoReader(tmp_path / "a.mp4", 10)
    decoded = Counter[int]()
    number = reader._number

    def counted(ticks: int) -> int:
        found = number(ticks)
        decoded[found] += 1
        return found

    reader._index, reader._number = None, counted  # type: ignore[method-assign]
    for first in range(39):
        reader.read([first, first + 1])
    assert max(decoded.values()) == 1


def test_pictures_wait_as_bytes_and_come_out_as_the_dataset_gives_them(root: Path):
    windows = {"action": [0.0, 0.1], FRONT: [-0.1, 0.0]}
    for images in ("float32", "uint8"):
        dataset = Dataset(root, to="torch", images=images, delta_timestamps=windows)
        raw = dataset.raw_item(8)
        assert raw[FRONT].dtype == np.uint8
        item, direct = dataset.finish(raw), dataset[8]
        assert list(item) == list(direct)
        for key, value in direct.items():
            if key != "task":
                np.testing.assert_array_equal(item[key].numpy(), value.numpy(), strict=True)


def test_what_is_returned_is_the_callers(root: Path):
    dataset = Dataset(root, delta_timestamps={"action": [0.0, 0.1]})
    before = {key: np.copy(value) for key, value in dataset[3].items() if key != "task"}
    for value in dataset[3].values():
        if isinstance(value, np.ndarray) and value.ndim:
            value[...] = 0
    for key, value in before.items():
        np.testing.assert_array_equal(dataset[3][key], value)


@pytest.mark.parametrize("memory_bytes", [1, 2**20])
def test_episode_by_episode_gives_the_same(root: Path, robot: ModuleType, memory_bytes: int):
    with DatasetWriter(root, robot.SPEC) as writer:
        robot.record(writer, 9, 4)
        whole = Dataset(root)  # one episode is only saved
        bounded = Dataset(root, memory_bytes=memory_bytes)
        assert len(bounded) == len(whole) == 22
        for index in (21, 0, 5, 17, 18, -1):
            expected, found = whole[index], pickle.loads(pickle.dumps(bounded))[index]
            assert list(expected) == list(found)
            for key, value in expected.items():
                np.testing.assert_array_equal(found[key], value, strict=key != "task")
        for number in range(4):
            for name, array in bounded.episode(number).arrays.items():
                np.testing.assert_array_equal(array, whole.episode(number).arrays[name], strict=True)
    if memory_bytes == 1:
        assert len(bounded._columns._episodes) == 1


def test_numbers_read_episode_by_episode_survive_a_fork(counted: Path):
    dataset = Dataset(counted, memory_bytes=1)
    dataset[0]
    batches = data.DataLoader(dataset, batch_size=25, num_workers=2, shuffle=True)
    assert sorted(int(i) for batch in batches for i in batch["action"][:, 0]) == list(range(100))
    assert dataset[50]["action"][0] == 50


def test_a_table_that_lies_is_found_episode_by_episode(counted: Path, tmp_path: Path):
    import pyarrow.parquet as pq

    root = tmp_path / "copy"
    for file in counted.rglob("*"):
        if file.is_file():
            (root / file.relative_to(counted)).parent.mkdir(parents=True, exist_ok=True)
            (root / file.relative_to(counted)).write_bytes(file.read_bytes())
    file = next(root.glob("data/*/*.parquet"))
    table = pq.read_table(file)
    pq.write_table(table.slice(1), file)
    with pytest.raises(BadData, match="rows"):
        Dataset(root, memory_bytes=1)[0]
    pq.write_table(table.take([1, 0, *range(2, len(table))]), file)
    with pytest.raises(BadData, match="index: expected 0 counting up"):
        Dataset(root, memory_bytes=1)[0]
    pq.write_table(table, file, row_group_size=7)  # groups that are no episodes
    assert [float(Dataset(root, memory_bytes=1)[i]["action"][0]) for i in (0, 6, 40, 99)] == [0, 6, 40, 99]


def test_selected_features_only(root: Path):
    dataset = Dataset(root, delta_timestamps={"action": [0.0], FRONT: [0.0]}).select(["action"])
    assert dataset.spec.names == ("action",)
    indices = {"timestamp", "frame_index", "episode_index", "index", "task_index", "task"}
    assert set(dataset[4]) == {"action", "action_is_pad"} | indices
    assert set(dataset.bounded(1)[4]) == set(dataset[4])
    with pytest.raises(UnknownName):
        dataset.select(["observation.state"])


@given(st.integers(1, 3000), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_a_permutation_is_one(size: int, seed: int):
    order = Permutation(size, order_generator(seed))
    assert sorted(order[i] for i in range(size)) == list(range(size))


def test_a_permutation_is_fair():
    counts = np.zeros((12, 12))
    for seed in range(3000):
        order = Permutation(12, order_generator(seed))
        counts[range(12), [order[i] for i in range(12)]] += 1
    chi2 = float(((counts - 250) ** 2 / 250).sum())
    assert chi2 < 190, chi2  # 121 degrees of freedom: p = 6e-5
    large = Permutation(2**31, order_generator(5))
    drawn = np.array([large[i] for i in range(4000)]) / 2**31
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.06 and abs(drawn.mean() - 0.5) < 0.02


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=12),
    block=st.integers(1, 20),
    shards=st.integers(1, 5),
    shuffle=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_a_lap_gives_every_frame_once(lengths: list[int], block: int, shards: int, shuffle: bool):
    given_ = Counter[tuple[int, int]]()
    for shard in range(shards):
        walk = Walk(blocks=Blocks(lengths, block), seed=3, epoch=1, shard=shard, shards=shards, shuffle=shuffle)
        while walk.lap == 0:
            given_[walk.next()] += 1
    assert given_ == Counter((e, f) for e, length in enumerate(lengths) for f in range(length))


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_lap_keeps_shares_to_within_a_block(choice: st.DataObject):
    lengths = choice.draw(st.lists(st.integers(1, 60), min_size=2, max_size=8))
    weights = choice.draw(st.lists(st.floats(0, 5), min_size=len(lengths), max_size=len(lengths)))
    if sum(weights) < 1e-3:
        weights[0] = 1.0
    block = choice.draw(st.integers(1, 16))
    blocks = Blocks(lengths, block, weights)
    drawn = np.zeros(len(lengths))
    walk = Walk(blocks=blocks, seed=0, epoch=0, shard=0, shards=1)
    while walk.lap == 0:
        episode, first, count = blocks.at(walk._point())
        assert 0 <= first < lengths[episode] and first + count <= lengths[episode]
        drawn[episode] += 1
        walk.draw += 1
    per_block = np.array(weights) / np.array(lengths) * -(-np.array(lengths) // block)
    expected = per_block / per_block.sum() * blocks.draws
    assert (np.abs(drawn - expected) < 1 + 1e-6).all()
    assert not drawn[np.array(weights) == 0].any()


def drain(frames: object) -> list[int]:
    return [int(item["index"]) for item in frames]


def test_an_epoch_is_every_frame_once_and_mixed(counted: Path):
    frames = loader.IterableFrames(Dataset(counted), block_frames=8, buffer=32)
    first = drain(frames)
    assert sorted(first) == list(range(100)) and drain(frames) == first
    assert drain(loader.IterableFrames(Dataset(counted), block_frames=8, buffer=32, seed=1)) != first
    frames.set_epoch(1)
    assert drain(frames) != first
    follows = np.mean(np.diff(first) == 1)
    assert follows < 0.2, follows
    assert drain(loader.IterableFrames(Dataset(counted), shuffle=False)) == list(range(100))


def test_the_buffer_is_bounded_and_blocks_are_read_in_order(counted: Path, monkeypatch: pytest.MonkeyPatch):
    dataset = Dataset(counted)
    read: list[int] = []
    original = Dataset.raw_item
    monkeypatch.setattr(Dataset, "raw_item", lambda self, i: read.append(i) or original(self, i))
    for given_, _ in enumerate(loader.IterableFrames(dataset, block_frames=8, buffer=20)):
        assert len(read) - given_ <= 20
    assert np.mean(np.diff(read) == 1) > 0.8


@pytest.mark.parametrize("stop", [0, 1, 37, 70, 99, 100])
def test_it_goes_on_where_it_stopped(root: Path, counted: Path, stop: int):
    def fresh() -> object:
        return loader.IterableFrames(Dataset(counted), block_frames=8, buffer=24, seed=4)

    frames = fresh()
    frames.set_epoch(2)
    running = iter(frames)
    before = [int(next(running)["index"]) for _ in range(stop)]
    state = json.loads(json.dumps(frames.state_dict()))
    expected = drain(running)
    resumed = fresh()
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    assert drain(resumed) == expected
    assert sorted(before + expected) == list(range(100))
    other = loader.IterableFrames(Dataset(counted), block_frames=4, buffer=24, seed=4)
    other.load_state_dict(state)
    with pytest.raises(SpecMismatch, match="block_frames: saved 8, now 4"):
        iter(other)


class Stateful(data.IterableDataset):
    """What a stateful loader does in a worker: loads its state before, and hands it out after each item."""

    def __init__(self, frames: object, states: dict[int, dict]) -> None:
        self.frames, self.states = frames, states

    def __iter__(self):
        worker = data.get_worker_info()
        number = 0 if worker is None else worker.id
        if number in self.states:
            self.frames.load_state_dict(self.states[number])
        for item in self.frames:
            yield number, int(item["index"]), self.frames.state_dict()


@pytest.mark.parametrize("workers", [0, 2])
def test_it_goes_on_where_it_stopped_in_workers(counted: Path, workers: int):
    def run(states: dict[int, dict], count: int | None = None) -> list[tuple[int, int, dict]]:
        frames = loader.IterableFrames(Dataset(counted), block_frames=8, buffer=16, seed=2)
        batches = data.DataLoader(Stateful(frames, states), batch_size=None, num_workers=workers)
        return list(itertools.islice(iter(batches), count))

    everything = run({})
    assert sorted(index for _, index, _ in everything) == list(range(100))
    before = everything[:40]
    states = {number: state for number, _, state in before}
    after = run(states)
    assert {w: [i for n, i, _ in everything[40:] if n == w] for w in range(2)} == {
        w: [i for n, i, _ in after if n == w] for w in range(2)
    }


def test_ranks_share_an_epoch_and_may_end_together(counted: Path):
    def of(rank: int, **options: object) -> list[int]:
        return drain(loader.IterableFrames(Dataset(counted), block_frames=8, rank=rank, world_size=3, **options))

    parts = [of(rank) for rank in range(3)]
    assert sorted(itertools.chain(*parts)) == list(range(100))
    for length in (30, 100, 250):
        assert [len(of(rank, frames=length)) for rank in range(3)] == [length // 3] * 3
    with pytest.raises(SpecMismatch, match="rank: expected 0 to 2, found 3"):
        of(3)


def test_persistent_workers_see_the_next_epoch(counted: Path):
    frames = loader.IterableFrames(Dataset(counted), block_frames=8, buffer=16)
    batches = data.DataLoader(frames, batch_size=10, num_workers=1, persistent_workers=True)
    orders = []
    for epoch in (0, 1, 0):
        frames.set_epoch(epoch)
        orders.append([int(i) for batch in batches for i in batch["index"]])
    assert orders[0] == orders[2] != orders[1]


def test_a_mixture_keeps_its_shares(tmp_path: Path):
    small = numbers_only(tmp_path / "small", [10, 10])
    large = numbers_only(tmp_path / "large", [50, 30, 20])
    mixture = Mixture([(Dataset(small), 3.0), (Dataset(large), [1.0, 0.0, 0.0])], seed=5)
    assert len(mixture) == 120 and mixture[25]["dataset_index"] == 1 and mixture[25]["action"][0] == 5
    np.testing.assert_allclose(mixture.shares, [0.375, 0.375, 0.25, 0, 0])
    sampler = mixture.sampler(1200)
    drawn = np.array(list(sampler))
    assert len(drawn) == len(sampler) == 1200
    assert Counter(np.searchsorted([10, 20, 70], drawn, side="right").tolist()) == {0: 450, 1: 450, 2: 300}
    assert np.ptp(np.bincount(drawn[drawn < 20])) <= 10  # every frame of an episode is as likely: 45 each
    parts = [list(mixture.sampler(1200, rank=rank, world_size=2)) for rank in range(2)]
    assert [i for pair in zip(*parts, strict=True) for i in pair] == drawn.tolist()
    several = loader.IterableFrames([Dataset(small), Dataset(large)], block_frames=7)
    pairs = Counter((int(i["dataset_index"]), int(i["index"])) for i in several)
    assert pairs == Counter([*((0, i) for i in range(20)), *((1, i) for i in range(100))])
    streamed = Counter(int(i["dataset_index"]) for i in loader.IterableFrames(mixture, block_frames=5, frames=1200))
    assert abs(streamed[0] - 900) <= 10


def test_a_sampler_goes_on_where_it_stopped(tmp_path: Path):
    mixture = Mixture([(Dataset(numbers_only(tmp_path / "a", [10, 20])), 1.0)])
    sampler = mixture.sampler(50)
    sampler.set_epoch(3)
    running = iter(sampler)
    for _ in range(13):
        next(running)
    state = json.loads(json.dumps(sampler.state_dict()))
    rest = list(running)
    resumed = mixture.sampler(50)
    resumed.load_state_dict(state)
    assert list(resumed) == rest and len(rest) == 37
    assert list(resumed) != rest and len(list(resumed)) == 50
    with pytest.raises(SpecMismatch, match="length: saved 50, now 60"):
        mixture.sampler(60).load_state_dict(state)
    batches = data.DataLoader(mixture, batch_size=10, sampler=mixture.sampler(50), num_workers=2)
    assert sum(len(batch["action"]) for batch in batches) == 50


def test_a_mixture_refuses_what_does_not_fit(tmp_path: Path, root: Path):
    two = Dataset(numbers_only(tmp_path / "two", [4]))
    three = Dataset(numbers_only(tmp_path / "three", [4], size=3))
    robot = Dataset(root)
    with pytest.raises(SpecMismatch, match=r"action shape: .*two \(2,\), .*three \(3,\)"):
        Mixture([(two, 1), (three, 1)])
    with pytest.raises(SpecMismatch, match=r"presence"):
        Mixture([(robot, 1), (three, 1)])
    mixture = Mixture([(robot, 1), (three, 1)], keys=["action"])
    assert set(mixture[0]) == set(mixture[20]) and mixture.spec.names == ("action",)
    with pytest.raises(UnknownName):
        Mixture([(robot, 1), (three, 1)], keys=["observation.state"])
    with pytest.raises(SpecMismatch, match="returns"):
        Mixture([(two, 1), (Dataset(two.root, delta_timestamps={"action": [0.0, 0.1]}), 1)])
    for wrong in ([1.0, 2.0], float("nan"), -1.0, 0.0):
        with pytest.raises(SpecMismatch, match="weights"):
            Mixture([(two, wrong)])
