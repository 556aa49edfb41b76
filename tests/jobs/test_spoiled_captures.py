"""What is wrong with a capture is one clear error that names file, field and both sides; nothing is left behind."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from roboscale.core import BadData, RoboscaleError
from roboscale.jobs.collect_handheld import CollectHandheld, collect_handheld
from roboscale.jobs.collect_human import CollectHuman, collect_human
from roboscale.sources.human.joints import ORDERS
from tests.samples import capture as samples

STATED = {"sigma_position": 0.004, "sigma_rotation": 0.02, "workers": 0, "instruction": "Put the cup on the saucer."}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of each layout, unspoiled."""
    place = tmp_path_factory.mktemp("made")
    samples.write_umi_session(place / "session", demos=1, video=False)
    samples.write_pose_log(place / "log.csv")
    samples.write_egodex(place / "task")
    samples.write_fastumi(place / "fast")
    points, _, _ = samples.hand_in_motion(ORDERS["mediapipe"], 60)
    np.savez(place / "take.npz", xyz=points, t=np.arange(60) / 30)
    (place / "hand.toml").write_text('time = "t"\n[hand.right]\npoints = "xyz"\norder = "mediapipe"\nsigma = 0.01\n')
    return place


TRAJECTORY = "session/demos/demo_0/camera_trajectory.csv"
TAG = "session/demos/mapping_0/tx_slam_tag.json"


def cells(file: Path, row: int, column: int, text: str) -> None:
    lines = file.read_text().splitlines()
    words = lines[row].split(",")
    words[column] = text
    lines[row] = ",".join(words)
    file.write_text("\n".join(lines) + "\n")


def cut(file: Path, row: int) -> None:
    lines = file.read_text().splitlines()
    lines[row] = ",".join(lines[row].split(",")[:-2])
    file.write_text("\n".join(lines[: row + 1]))


def matrix(file: Path, change: Callable[[np.ndarray], None]) -> None:
    made = np.array(json.loads(file.read_text())["tx_slam_tag"])
    change(made)
    file.write_text(json.dumps({"tx_slam_tag": made.tolist()}))


def scaled(m: np.ndarray) -> None:
    m[:3, :3] *= 1.02


HANDHELD = {
    "a cell that is no number": (TRAJECTORY, lambda f: cells(f, 7, 5, "near"), "session", "", "x in row 7.*'near'"),
    "an empty cell": (TRAJECTORY, lambda f: cells(f, 7, 6, ""), "session", "", "y in row 7.*a number"),
    "a row that is cut off": (TRAJECTORY, lambda f: cut(f, 30), "session", "", "line 31: expected 12 cells.*found 10"),
    "time that goes back": (TRAJECTORY, lambda f: cells(f, 9, 1, "0.1"), "session", "", "timestamp in row 9.*after"),
    "a zero quaternion": (
        TRAJECTORY,
        lambda f: [cells(f, 9, c, "0") for c in range(8, 12)],
        "session",
        "",
        "row 8 is no",
    ),
    "no column of the lost": (
        TRAJECTORY,
        lambda f: f.write_text(f.read_text().replace("is_lost", "gone")),
        "session",
        "",
        "one called is_lost",
    ),
    "a tag with scale": (TAG, lambda f: matrix(f, scaled), "session", "", "rotation without scale.*determinant 1.06"),
    "a tag of 3 x 3": (TAG, lambda f: f.write_text('{"tx_slam_tag": [[1,0],[0,1]]}'), "session", "", "4 x 4 matrix"),
    "a tag that is no JSON": (
        TAG,
        lambda f: f.write_text("{"),
        "session",
        "",
        "tx_slam_tag.json: file: expected JSON",
    ),
    "a log without axes": ("log.csv", lambda f: None, "log.csv", "", "which way they point.*--axes"),
    "a log that is empty": (
        "log.csv",
        lambda f: f.write_text(f.read_text().splitlines()[0]),
        "log.csv",
        "arkit",
        "rows",
    ),
    "nanoseconds out of order": ("log.csv", lambda f: cells(f, 5, 0, "17"), "log.csv", "arkit", "row 5.*after 17000"),
    "a pointer": (
        "log.csv",
        lambda f: f.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        "log.csv",
        "arkit",
        "Git LFS|pose",
    ),
    "nothing there": ("log.csv", lambda f: f.unlink(), "log.csv", "arkit", "expected a file or folder, found nothing"),
}


@pytest.mark.parametrize("name", HANDHELD)
def test_a_spoiled_trajectory_is_one_error(made: Path, tmp_path: Path, name: str):
    file, spoil, source, axes, said = HANDHELD[name]
    place = shutil.copytree(made, tmp_path / "place")
    spoil(place / file)
    with pytest.raises(BadData, match=said):
        collect_handheld(CollectHandheld(recordings=place / source, out=tmp_path / "out", axes=axes, **STATED))
    assert not (tmp_path / "out").exists()


def edit(file: Path, change: Callable[[h5py.File], None]) -> None:
    with h5py.File(file, "r+") as opened:
        change(opened)


def drop(name: str) -> Callable[[Path], None]:
    def change(opened: h5py.File) -> None:
        del opened[name]

    return lambda file: edit(file, change)


def shorten(name: str, rows: int) -> Callable[[Path], None]:
    def change(opened: h5py.File) -> None:
        values = opened[name][:rows]
        del opened[name]
        opened[name] = values

    return lambda file: edit(file, change)


def resave(file: Path, **arrays: np.ndarray) -> None:
    held = dict(np.load(file))
    np.savez(file, **{**held, **arrays})


def declare(text: str) -> Callable[[Path], None]:
    return lambda place: (place / "hand.toml").write_text(text)


HUMAN = {
    "a joint that is missing": (
        "task",
        lambda p: drop("transforms/rightThumbTip")(p / "task/0.hdf5"),
        "rightThumbTip.*no such",
    ),
    "a joint of fewer frames": (
        "task",
        lambda p: shorten("transforms/leftThumbTip", 40)(p / "task/0.hdf5"),
        "leftThumbTip: expected 40 values|as many",
    ),
    "a file that is cut off": (
        "task/0.hdf5",
        lambda p: (p / "task/0.hdf5").write_bytes((p / "task/0.hdf5").read_bytes()[:3000]),
        "0.hdf5",
    ),
    "millimetres for metres": (
        "take.npz",
        lambda p: resave(p / "take.npz", xyz=1000 * np.load(p / "take.npz")["xyz"]),
        "wrist to knuckles.*unit another",
    ),
    "another number of joints": (
        "take.npz",
        lambda p: resave(p / "take.npz", xyz=np.load(p / "take.npz")["xyz"][:, :20]),
        "21 x 3 numbers, found 60",
    ),
    "an unknown order": (
        "take.npz",
        declare('rate_hz = 30\n[hand.right]\npoints = "xyz"\norder = "mediapip"\n'),
        "mediapipe",
    ),
    "an unknown joint": (
        "take.npz",
        declare('rate_hz = 30\n[hand.right]\npoints = "xyz"\norder = ["wrist", "indx.tip"]\n'),
        "index.tip",
    ),
    "no order": ("take.npz", declare('rate_hz = 30\n[hand.right]\npoints = "xyz"\n'), "none is guessed"),
    "no rate": ("take.npz", declare('[hand.right]\npoints = "xyz"\norder = "mediapipe"\n'), "rate_hz.*neither"),
    "an array that is not there": (
        "take.npz",
        declare('rate_hz = 30\n[hand.right]\npoints = "abc"\norder = "mediapipe"\n'),
        "one called abc.*xyz",
    ),
    "times that stand still": ("take.npz", lambda p: resave(p / "take.npz", t=np.zeros(60)), "t in row 1.*after 0"),
    "axes that nobody has": (
        "take.npz",
        declare('rate_hz = 30\naxes = "arkitt"\n[hand.right]\npoints = "xyz"\norder = "mediapipe"\n'),
        "axes: expected one of arkit",
    ),
    "a wrist with fewer rotations": (
        "take.npz",
        lambda p: (
            resave(p / "take.npz", place=np.zeros((60, 3)), turn=np.zeros((59, 3))),
            declare('rate_hz = 30\n[hand.right]\nposition = "place"\nrotation = "turn"\n')(p),
        ),
        "turn: expected 60 rows, as place has, found 59",
    ),
    "a lens of a camera that moves": (
        "take.npz",
        declare('rate_hz = 30\nlens = [1, 1, 0, 0]\n[hand.right]\npoints = "xyz"\norder = "mediapipe"\n'),
        'lens: expected frame = "camera"',
    ),
    "a declaration that is no text": (
        "take.npz",
        lambda p: (p / "hand.toml").write_bytes(b"\xff\xfe"),
        "declaration: expected a text file",
    ),
    "a declaration that is not there": (
        "take.npz",
        lambda p: (p / "hand.toml").unlink(),
        "declaration: expected a text file.*No such file",
    ),
    "an order without what a pinch is made of": (
        "take.npz",
        lambda p: (
            resave(p / "take.npz", xyz=np.load(p / "take.npz")["xyz"][:, :2]),
            declare('rate_hz = 30\n[hand.right]\npoints = "xyz"\norder = ["wrist", "palm"]\n')(p),
        ),
        "none called index.mcp",
    ),
}


@pytest.mark.parametrize("name", HUMAN)
def test_a_spoiled_hand_is_one_error(made: Path, tmp_path: Path, name: str):
    source, spoil, said = HUMAN[name]
    place = shutil.copytree(made, tmp_path / "place")
    spoil(place)
    toml = place / "hand.toml" if source.endswith(".npz") else None
    with pytest.raises(RoboscaleError, match=said):
        collect_human(CollectHuman(source=place / source, out=tmp_path / "out", declare=toml, **STATED))
    assert not (tmp_path / "out").exists()
