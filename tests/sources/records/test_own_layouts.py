"""Own layouts: `--explain` drafts a mapping that imports as it stands where times are recorded; all is exact."""

from __future__ import annotations

import json
import shlex
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from roboscale.cli.app import app
from roboscale.core import BadData, UnknownName
from roboscale.dataset import Dataset
from roboscale.sources.records import detect, open_recording
from roboscale.sources.records.own.bundle import find_episodes
from tests.samples.own import EPISODES, FRAMES, LAYOUTS, arrays, pictures

runner = CliRunner()
STATE = {"observation.state": {"source": "qpos"}}


def _made(folder: Path, layout: str) -> Path:
    root = folder / "recorded"
    root.mkdir()
    LAYOUTS[layout](root)
    return root


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_draft_imports_as_it_stands(tmp_path: Path, layout: str):
    root = _made(tmp_path, layout)
    assert detect(root) == "own-layout"
    explained = runner.invoke(app, ["data", "import", str(root), "--explain"])
    assert explained.exit_code == 0, explained.stderr
    draft = tomllib.loads(explained.stdout)
    assert draft["fps"] == 20 and {"action", "observation.state"} <= draft["fields"].keys(), explained.stdout
    (tmp_path / "mapping.toml").write_text(explained.stdout)
    words = ["data", "import", str(root), str(tmp_path / "out"), "--mapping", str(tmp_path / "mapping.toml")]
    result = runner.invoke(app, [*words, "--workers", "0"])
    assert result.exit_code == 0, f"{explained.stdout}\n{result.stderr}"
    dataset = Dataset(tmp_path / "out", images="uint8")
    assert [e.length for e in dataset.episodes] == [FRAMES] * EPISODES
    for number in range(EPISODES):
        item, said = dataset[FRAMES * number + 5], arrays(number)
        np.testing.assert_allclose(item["action"], said["action"][5], rtol=1e-6)
        np.testing.assert_allclose(item["observation.state"], said["qpos"][5], rtol=1e-6)
        (camera,) = [name for name in dataset.spec.names if name.startswith("observation.images.")]
        assert np.abs(item[camera].astype(int) - pictures(number)[5]).mean() < 12
        times = said["timestamp"] - said["timestamp"][0]
        assert abs(int(item["time.frame_ns"]) - times[5] * 1e9) < 1e3
    if layout == "csv-and-pictures":
        assert dataset.episodes[0].instruction == "Push the block to the right."


def _mapped(root: Path, **said: Any) -> Any:
    return open_recording(root, "own-layout", mapping={"fps": 20, "fields": STATE, **said})


def test_a_camera_with_times_of_its_own_is_laid_onto_the_clock_of_the_rows(tmp_path: Path):
    """State at 20 Hz, camera at 10 Hz that begins a quarter of a second late: one clock."""
    root = tmp_path / "recorded"
    root.mkdir()
    values = arrays(0)
    times = np.arange(FRAMES) / 20
    camera = 0.25 + np.arange(9) / 10
    stamps = {"timestamp": times, "cam_time": (camera * 1e0)}
    np.savez(root / "a.npz", qpos=values["qpos"], image=pictures(0)[:9], **stamps)
    fields = {**STATE, "observation.images.front": {"source": "image", "time": "cam_time"}}
    episode = _mapped(root, time="timestamp", fields=fields).read("a.npz")
    assert len(episode) == FRAMES - 5
    np.testing.assert_array_equal(episode.arrays["observation.state"], values["qpos"][5:])
    shown = [int(np.argmax(image[10, :, 0] == 220)) for image in episode.pictures["observation.images.front"]]
    assert shown[:6] == [0, 0, 1, 1, 2, 2]
    assert episode.arrays["time.frame_ns"][0, 0] == 250_000_000
    assert any("left out" in finding.text for finding in episode.findings)


def test_without_times_arrays_of_other_lengths_are_refused_with_both_lengths(tmp_path: Path):
    np.savez(tmp_path / "a.npz", qpos=np.zeros((10, 2)), action=np.zeros((9, 2)))
    recording = _mapped(tmp_path, fields={**STATE, "action": {"source": "action"}})
    with pytest.raises(BadData, match="action 9, qpos 10"):
        recording.read("a.npz")


def test_without_a_mapping_the_error_says_how_to_get_one(tmp_path: Path):
    root = _made(tmp_path, "npz")
    with pytest.raises(
        BadData, match=r"--format own-layout` drafts it, found none for qpos, action, timestamp, image"
    ):
        open_recording(root, "own-layout")


def test_the_command_that_an_error_names_drafts_also_where_another_format_is_detected(tmp_path: Path):
    root = _made(tmp_path, "folders-of-kinds")
    (root / "meta").mkdir()
    (root / "meta/info.json").write_text("{}")
    refused = runner.invoke(app, ["data", "import", str(root), str(tmp_path / "out")])
    assert "--format own-layout reads" in refused.stderr
    refused = runner.invoke(app, ["data", "import", str(root), str(tmp_path / "out"), "--format", "own-layout"])
    command = shlex.split(refused.stderr.split("`")[1])
    explained = runner.invoke(app, command[1:])
    assert tomllib.loads(explained.stdout)["fields"].keys() >= {"action", "observation.state"}


@pytest.mark.parametrize(
    ("files", "episodes"),
    [
        (("alice/cam_0.npy", "alice/cam_1.npy", "bob/cam_0.npy", "bob/cam_1.npy"), 2),
        (
            (
                "front/ep_0.npy",
                "front/ep_1.npy",
                "front/ep_2.npy",
                "wrist/ep_0.npy",
                "wrist/ep_1.npy",
                "wrist/ep_2.npy",
            ),
            3,
        ),
        (("ep_0/arm_0.npy", "ep_0/arm_1.npy", "ep_1/arm_0.npy", "ep_1/arm_1.npy"), 2),
        (("0_state.npy", "0_action.npy", "1_state.npy", "1_action.npy", "2_state.npy", "2_action.npy"), 3),
    ],
)
def test_what_tells_episodes_apart(tmp_path: Path, files: tuple[str, ...], episodes: int):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.save(tmp_path / name, np.zeros((4, 2)))
    assert len(list(find_episodes(tmp_path))) == episodes


def test_folders_of_splits_hold_an_episode_a_file(tmp_path: Path):
    """And stay splits; where a folder holds one array of each episode, its files are no episodes."""
    for split, count in (("train", 3), ("validation", 1)):
        (tmp_path / "a" / split).mkdir(parents=True)
        for number in range(count):
            arrays = {"states": np.zeros((4, 2)) + number, "actions": np.zeros((4, 2))}
            np.savez(tmp_path / "a" / split / f"episode_{number}.npz", **arrays)
    mapping = tmp_path / "map.toml"
    mapping.write_text(runner.invoke(app, ["data", "import", str(tmp_path / "a"), "--explain"]).stdout)
    words = ["data", "import", str(tmp_path / "a"), str(tmp_path / "out"), "--mapping", str(mapping), "--fps", "10"]
    assert runner.invoke(app, [*words, "--workers", "0"]).exit_code == 0
    dataset = Dataset(tmp_path / "out")
    assert json.loads((tmp_path / "out/meta/info.json").read_text())["splits"] == {"train": "0:3", "validation": "3:4"}
    assert [float(dataset.episode(i).arrays["observation.state"][0, 0]) for i in range(4)] == [0, 1, 2, 0]
    for name in ("states/ep_0.npy", "states/ep_1.npy", "states/ep_2.npy", "actions/ep_0.npy"):
        (tmp_path / "b" / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "b" / name, np.zeros((4, 2)))
    assert len(list(find_episodes(tmp_path / "b"))) != 4


def test_an_episode_whose_rows_are_json(tmp_path: Path):
    """As XR teleoperation writes it: an object a frame with the names of pictures, and what holds for all beside."""
    states = np.random.default_rng(0).normal(size=(2, 6, 2, 7))
    for number in range(2):
        folder = tmp_path / "a" / f"episode_{number:04d}"
        (folder / "colors").mkdir(parents=True)
        rows = []
        for t in range(6):
            names = {f"color_{k}": f"colors/{t:06d}_color_{k}.png" for k in range(2)}
            for k, name in enumerate(names.values()):
                Image.fromarray(np.full((32, 48, 3), 40 * k + 8 * t, np.uint8)).save(folder / name)
            sides = {
                f"{side}_arm": {"qpos": q.tolist()}
                for side, q in zip(("left", "right"), states[number, t], strict=True)
            }
            ragged = {"tactile": [0.0] * (t % 2 + 1), "audio": None}
            rows.append({"idx": t, "colors": names, "states": sides, "actions": sides, **ragged})
        beside = {"info": {"image": {"fps": 30}}, "text": {"goal": "Pick up the red cup."}}
        (folder / "data.json").write_text(json.dumps({**beside, "data": rows}))
    draft = tomllib.loads(runner.invoke(app, ["data", "import", str(tmp_path / "a"), "--explain"]).stdout)
    assert draft["fps"] == 30 and len(draft["fields"]) == 6
    recording = open_recording(tmp_path / "a", "own-layout", mapping=draft)
    episode = recording.read(recording.keys[1])
    assert episode.instruction == "Pick up the red cup." and "data.json/tactile" in recording.unmapped
    assert np.array_equal(episode.arrays["observation.state"], states[1, :, 0])
    cameras = [n for n in recording.spec.names if n.startswith("observation.images.")]
    assert [int(next(iter(episode.pictures[camera]))[0, 0, 0]) for camera in cameras] == [0, 40]
    outside = json.loads((folder / "data.json").read_text())
    outside["data"][3]["colors"]["color_0"] = "../../elsewhere.png"
    (folder / "data.json").write_text(json.dumps(outside))
    with pytest.raises(BadData, match="pictures beside the rows"):
        recording.read(recording.keys[1])


def test_where_nothing_says_the_rate_the_draft_leaves_it_open(tmp_path: Path):
    np.savez(tmp_path / "a.npz", qpos=np.zeros((10, 2)), action=np.zeros((10, 2)))
    explained = runner.invoke(app, ["data", "import", str(tmp_path), "--explain"])
    assert "fps" not in tomllib.loads(explained.stdout)
    (tmp_path / "own.toml").write_text(explained.stdout)
    words = ["data", "import", str(tmp_path / "a.npz"), str(tmp_path / "out"), "--mapping", str(tmp_path / "own.toml")]
    assert "fps: expected frames a second" in runner.invoke(app, words).stderr
    assert runner.invoke(app, [*words, "--fps", "15", "--workers", "0"]).exit_code == 0


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"fields": {"action": {"source": "velocity"}}}, "velocity"),
        ({"fields": {"action": {"source": "qpos", "slice": [2, 9]}}}, "within 4 elements"),
        ({"fields": {"action": {"source": "qpos", "slice": [3, 1]}}}, "slice"),
        ({"fields": {"action": {"source": "qpos", "names": ["a"]}}}, "4 names"),
        ({"fields": {"action": {"source": ["qpos", "timestamp"]}}}, "one dtype"),
        ({"episodes": "*.mat"}, "episodes"),
        ({"fields": {"image": {"source": "image", "time": "cam"}}}, "times of the rows"),
        ({"fps": 0}, "fps"),
    ],
)
def test_mistakes_name_what_is_there(tmp_path: Path, said: dict[str, Any], words: str):
    with pytest.raises(BadData, match=words):
        _mapped(_made(tmp_path, "npz"), **said)
    with pytest.raises(UnknownName, match="colour"):
        _mapped(tmp_path / "recorded", colour="blue")


def test_what_is_not_named_is_said(tmp_path: Path):
    recording = _mapped(_made(tmp_path, "npz"))
    assert set(recording.unmapped) == {"action", "timestamp", "image"}


def test_objects_of_pickle_are_refused(tmp_path: Path):
    np.savez(tmp_path / "a.npz", qpos=np.array([{"a": 1}], object))
    with pytest.raises(BadData, match="objects of pickle"):
        _mapped(tmp_path)


WHOLE = [arrays(number, 12 + number) for number in range(3)]
FLAT = {name: np.concatenate([one[name] for one in WHOLE]) for name in ("qpos", "action")}
ENDS = np.cumsum([len(one["qpos"]) for one in WHOLE])
SHARED: dict[str, dict[str, Any]] = {
    "dones": {**FLAT, "dones": np.isin(np.arange(ENDS[-1]), ENDS - 1)},
    "terminals as numbers": {**FLAT, "terminals": np.isin(np.arange(ENDS[-1]), ENDS - 1).astype(np.float32)},
    "ends": {**FLAT, "episode_ends": ENDS},
    "lengths": {**FLAT, "episode_lengths": np.diff(np.r_[0, ENDS])},
    "starts": {**FLAT, "episode_starts": np.r_[0, ENDS[:-1]]},
    "numbers": {f"{name}_{k}": one[name] for k, one in enumerate(WHOLE) for name in ("qpos", "action")},
    "first axis": {name: np.stack([arrays(k, 12)[name] for k in range(3)]) for name in ("qpos", "action")},
}


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("ending", ["npz", "h5"])
def test_several_episodes_in_the_arrays_of_one_file(tmp_path: Path, name: str, ending: str):
    import h5py

    if ending == "npz":
        np.savez(tmp_path / "demos.npz", **SHARED[name])
    else:
        with h5py.File(tmp_path / "demos.h5", "w") as file:
            for key, values in SHARED[name].items():
                file[key] = values
    recording = _mapped(tmp_path, fields={**STATE, "action": {"source": "action"}})
    assert len(recording.keys) == 3
    for number, key in enumerate(recording.keys):
        expected = arrays(number, 12 if name == "first axis" else 12 + number)
        for field, source in (("observation.state", "qpos"), ("action", "action")):
            np.testing.assert_array_equal(recording.read(key).arrays[field], expected[source])


def test_a_flag_that_stays_up_cuts_nothing(tmp_path: Path):
    np.savez(tmp_path / "a.npz", **arrays(0, 20), done=np.arange(20) > 15)
    recording = _mapped(tmp_path)
    assert recording.keys == ("a.npz",) and len(recording.read("a.npz")) == 20


def test_what_splits_is_said_where_it_is_called_otherwise(tmp_path: Path):
    np.savez(tmp_path / "a.npz", **FLAT, bounds=ENDS)
    assert [len(_mapped(tmp_path, split_by="bounds").read(key)) for key in ("a.npz/0", "a.npz/1")] == [12, 13]
    with pytest.raises(BadData, match="cut all rows"):
        _mapped(tmp_path, split_by="qpos")


def test_a_table_does_not_lead_to_pictures_elsewhere(tmp_path: Path):
    (tmp_path / "log.csv").write_text("q,image\n1.0,../secret.png\n2.0,../secret.png\n")
    with pytest.raises(BadData, match="beside the table"):
        _mapped(tmp_path, fields={"observation.state": {"source": "q"}})


def _csv(root: Path, *, separator: str = ",", decimal: str = ".", head: str = "", stamp: str = "{:.4f}") -> None:
    values = arrays(0)
    lines = [head] if head else []
    lines.append(separator.join(["timestamp", "q_0", "q_1", "cmd_0", "cmd_1"]))
    for t, q, a in zip(np.arange(FRAMES) / 20, values["qpos"], values["action"], strict=True):
        numbers = [f"{x:.6f}".replace(".", decimal) for x in (*q[:2], *a[:2])]
        lines.append(separator.join([stamp.format(t).replace(".", decimal), *numbers]))
    (root / "robot.csv").write_text("\n".join(lines) + "\n")


TABLES: dict[str, dict[str, str]] = {
    "decimal commas": {"separator": ";", "decimal": ","},
    "a remark before the head": {"head": "# recorded by ann"},
    "dates": {"stamp": "2026-11-28T11:00:{:07.4f}Z"},
}


@pytest.mark.parametrize("table", TABLES)
def test_tables_of_other_writers(tmp_path: Path, table: str):
    _csv(tmp_path, **TABLES[table])
    draft = tomllib.loads(runner.invoke(app, ["data", "import", str(tmp_path), "--explain"]).stdout)
    assert draft["fps"] == 20 and {"action", "observation.state"} <= draft["fields"].keys()
    episode = open_recording(tmp_path, "own-layout", mapping=draft).read("robot.csv")
    np.testing.assert_allclose(episode.arrays["observation.state"], arrays(0)["qpos"][:, :2], atol=1e-6)


def test_everything_in_a_file_of_hdf5_is_carried_or_named(tmp_path: Path):
    """Texts, attributes, compressed pictures and what nobody reads, beside the numbers."""
    import io

    import h5py
    from PIL import Image

    with h5py.File(tmp_path / "take_0.h5", "w") as file:
        for name, values in arrays(0, 8).items():
            file[name] = values
        blobs = []
        for image in pictures(0, 8):
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "PNG")
            blobs.append(np.frombuffer(buffer.getvalue(), np.uint8))
        packed = file.create_dataset("front", (8,), h5py.vlen_dtype(np.uint8))
        ragged = file.create_dataset("points", (8,), h5py.vlen_dtype(np.float32))
        for number, blob in enumerate(blobs):
            packed[number], ragged[number] = blob, np.ones(1 + number % 3, np.float32)
        file["task"] = "Push the block to the right."
        file["pair"] = np.zeros(8, [("x", "f4"), ("y", "i2")])
        file.attrs["operator"] = "ann"
    draft = tomllib.loads(runner.invoke(app, ["data", "import", str(tmp_path), "--explain"]).stdout)
    recording = open_recording(tmp_path, "own-layout", mapping=draft)
    assert set(recording.unmapped) == {"points", "pair", "@operator"}
    episode = recording.read("take_0.h5")
    assert episode.instruction == "Push the block to the right."
    np.testing.assert_array_equal(np.stack(list(episode.pictures["observation.images.front"])), pictures(0, 8))


def test_pictures_that_no_colour_video_holds_are_not_made_one(tmp_path: Path):
    """Depth of 16 bits and files that nobody reads are named; channels first and files of macOS are no obstacle."""
    from PIL import Image

    (tmp_path / "depth").mkdir()
    for number in range(8):
        Image.fromarray(np.full((32, 48), 1000 + number, np.uint16)).save(tmp_path / f"depth/{number}.png")
        (tmp_path / f"depth/._{number}.png").write_bytes(b"mac")
    for name, values in arrays(0, 8).items():
        np.save(tmp_path / f"{name}.npy", values)
    np.save(tmp_path / "front.npy", pictures(0, 8).transpose(0, 3, 1, 2))
    (tmp_path / "sound.wav").write_bytes(b"RIFF")
    draft = tomllib.loads(runner.invoke(app, ["data", "import", str(tmp_path), "--explain"]).stdout)
    recording = open_recording(tmp_path, "own-layout", mapping=draft)
    assert set(recording.unmapped) == {"depth", "sound.wav"}
    (episode,) = (recording.read(key) for key in recording.keys)
    np.testing.assert_array_equal(np.stack(list(episode.pictures["observation.images.front"])), pictures(0, 8))
    draft["fields"]["observation.images.depth"] = {"source": "depth"}
    with pytest.raises(BadData, match="more than 8 bits a pixel"):
        open_recording(tmp_path, "own-layout", mapping=draft)
