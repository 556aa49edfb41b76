"""Our own map of a handheld camera's video: what each step makes of a known truth, and what it refuses."""

import dataclasses
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, RoboscaleError
from roboscale.jobs.collect_handheld import CollectHandheld, collect_handheld
from roboscale.sources.capture.poses import Poses
from roboscale.sources.handheld.inertial import Inertial
from roboscale.sources.handheld.mapping import solving, trajectory
from roboscale.sources.handheld.mapping.clips import HandheldClips, MappingOptions
from roboscale.sources.handheld.mapping.imu_scale import scale_by_imu
from roboscale.sources.handheld.mapping.layout import load_layout
from roboscale.sources.handheld.mapping.looking import Look
from roboscale.sources.handheld.mapping.smooth import every_frame
from roboscale.sources.handheld.mapping.solving import CameraMap
from roboscale.sources.handheld.mapping.trajectory import path_by_map
from roboscale.sources.handheld.stabilised import GyroFit
from tests.samples.fingers import write_lens
from tests.samples.table_scene import (
    SMALL,
    Swing,
    TableScene,
    felt_motion,
    write_clip,
    write_sheets,
)

COUNT, HZ = 90, 30
UNIT = 0.04  # metres of a unit of the made map
IMU = GyroFit(residual_ratio=0.02, offset_s=0.0, camera_from_imu=((1, 0, 0), (0, 1, 0), (0, 0, 1)), steps=80)


def true_poses(seed: int = 1) -> Poses:
    """`sheet_from_camera` of `COUNT` frames."""
    motion, (turn, origin) = Swing(seed, pace=1.5), TableScene().world_from_sheet("layout")
    turns, places = (np.stack(part) for part in zip(*(motion.pose(k / HZ) for k in range(COUNT)), strict=True))
    return Poses(turn.T @ turns, (places - origin) @ turn)


@pytest.fixture
def sheets(tmp_path: Path) -> Path:
    return write_sheets(tmp_path / "tags.json")


@pytest.fixture
def mapped(monkeypatch, sheets: Path):
    """`path_by_map` of tags that are seen as they are, with a map that knows the truth but for its frame and unit."""
    truth, layout = true_poses(), load_layout(sheets).sheets[0]
    gauge = Poses(true_poses(5).rotation[:1], np.array([[3.0, -2.0, 7.0]]))
    frames = np.arange(0, COUNT, 3)
    keys = gauge[np.zeros(len(frames), int)] @ Poses(truth.rotation[frames], truth.translation[frames] / UNIT)

    def path(shown=None, *, told=SMALL, focal=1.0, inertial=None, layout_file=sheets, lost=()):
        tags = []
        for k in range(COUNT):
            seen = {n: (layout.corners(n) - truth.translation[k]) @ truth.rotation[k] for n in layout.sizes}
            tags.append({n: SMALL.pixels(four) for n, four in seen.items() if shown is None or n in shown})
        look = Look(
            video=Path("none.mp4"), tags=tuple(tags), sharpness=np.ones(COUNT), shape=(240, 320, 3), rate_hz=HZ
        )
        rows = np.flatnonzero(~np.isin(frames, lost))
        made = CameraMap(
            clip=np.zeros(len(rows), np.int64),
            frames=frames[rows],
            poses=keys[rows],
            blur=np.full(len(rows), 1e-5),
            depth=np.full(len(rows), 0.4 / UNIT),
            residual_px=0.2,
            focal_share=focal,
        )
        monkeypatch.setattr(trajectory, "solve_map", lambda *given: made)
        monkeypatch.setattr(trajectory, "read_inertial", lambda *given: inertial or Inertial())
        known = load_layout(layout_file) if layout_file is not None else None
        return path_by_map([look], told, known, keyframes_hz=10)

    return path


def gates(path) -> dict[str, bool]:
    return {one.name: one.value <= one.bar for one in path.figures}


def test_middles_of_printed_tags_give_metres_and_the_tables_frame(mapped):
    path, truth = mapped(), true_poses()
    metres, radians = path.poses.distances(truth)
    assert path.valid[:88].all() and not path.valid[88:].any(), "frames after the last keyframe have no pose"
    assert metres[path.valid].max() < 5e-4 and radians[path.valid].max() < 5e-3
    assert path.scale.startswith("the centres of 6 printed tags of sheet layout")
    assert gates(path) == {"focal": True, "scale": True, "layout": True, "tag-size": True} and not path.drop
    assert (np.abs(path.poses.translation - truth.translation) <= 2 * path.sigma.position[:, None])[path.valid].all()


def test_one_tag_is_second_best_and_says_so(mapped):
    path = mapped(shown={4})
    assert path.scale.startswith("the corners of one printed tag of sheet layout")
    assert path.poses.distances(true_poses())[0][path.valid].max() < 1e-3
    assert next(f for f in path.figures if f.name == "scale").value > 0.003, "corners are pulled inwards"


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        (lambda tag: tag | {"size_mm": tag["size_mm"] * 1.1}, "tag-size"),
        (lambda tag: tag | {"x_mm": tag["x_mm"] + (10 if tag["number"] == 4 else 0)}, "layout"),
    ],
)
def test_a_layout_that_is_not_the_printed_one_is_refused(mapped, sheets: Path, change, missed: str):
    said = json.loads(sheets.read_text())
    for sheet in said["sheets"]:
        sheet["tags"] = [change(tag) for tag in sheet["tags"]]
    sheets.write_text(json.dumps(said))
    assert not gates(mapped())[missed]


def test_a_wrong_focal_length_is_refused(mapped):
    path = mapped(focal=0.97)
    assert not gates(path)["focal"]
    assert any("164.5 pixels, --intrinsics says 169.6" in one.text for one in path.figures)


def felt(*, line: float = 1.0, fit: GyroFit = IMU) -> Inertial:
    """What a sensor with the camera's own axes feels, as if the world were `line` times as large."""
    from scipy.spatial.transform import Rotation

    accelerations, _ = felt_motion(Swing(1, pace=1.5), COUNT / HZ, noise=0.05)
    turned = accelerations @ Rotation.from_euler("zyx", [0.4, -0.3, 0.2]).as_matrix().T
    return Inertial(fit=fit, felt=(np.arange(len(turned)) / 200, turned))


def test_without_tags_an_accelerometer_gives_metres_and_gravity(mapped):
    path, truth = mapped(layout_file=None, inertial=felt()), true_poses()
    assert path.scale.startswith("the accelerometer") and path.frame == "first frame of each clip (z up)"
    known = np.flatnonzero(path.valid)
    moved = np.linalg.norm(np.diff(path.poses.translation[known], axis=0), axis=1).sum()
    assert moved / np.linalg.norm(np.diff(truth.translation[known], axis=0), axis=1).sum() == pytest.approx(
        1, abs=0.02
    )
    rise = np.ptp(path.poses.translation[known, 2]) / np.ptp(truth.translation[known, 2])
    assert rise == pytest.approx(1, abs=0.03), "z is up"
    assert any(f.check == "scale-by-imu" for f in path.findings)


def test_where_nothing_says_how_large_the_map_is_there_is_no_pose(mapped):
    silent = mapped(layout_file=None)
    assert not silent.valid.any()
    assert silent.drop == "no metric scale: no --layout, and there is no telemetry to weigh it by"
    turned = mapped(layout_file=None, inertial=felt(fit=dataclasses.replace(IMU, residual_ratio=0.9)))
    assert "90 % of the gyroscope's rotation is not in the pictures" in turned.drop and not turned.valid.any()


def test_a_sheet_that_was_printed_at_another_size_is_noticed_by_the_accelerometer(mapped, sheets: Path):
    assert gates(mapped(inertial=felt()))["imu-scale"]
    write_sheets(sheets, line_mm=94)
    assert not gates(mapped(inertial=felt()))["imu-scale"]
    assert "imu-scale" not in gates(mapped()), "without one nobody can tell"


def test_frames_far_from_a_keyframe_stay_without_a_pose(mapped):
    path = mapped(lost=(39, 42, 45))
    assert not path.valid[37:48].any() and path.valid[:37].all() and path.valid[48:88].all()
    assert "1 of 31 keyframes" in mapped(lost=range(3, 90)).drop


def test_a_spline_says_what_it_misses(mapped):
    truth, frames = true_poses(3), np.arange(0, COUNT, 3)
    made = every_frame(frames, truth[frames], COUNT, 8)
    off = made.poses.distances(truth)[0]
    assert off[frames].max() < 1e-9 and made.missed_m[frames].max() < 1e-9
    assert off[made.valid].max() < 4 * made.missed_m.max() < 1e-3


def test_gravity_that_is_not_that_of_earth_is_not_believed():
    truth, sensor = true_poses(), felt()
    time_s, values = sensor.felt
    made = scale_by_imu(np.arange(COUNT) / HZ, truth, time_s, values, np.eye(3))
    assert made.believed and made.scale == pytest.approx(1, abs=0.02) and made.up[2] > 0.999
    assert not scale_by_imu(np.arange(COUNT) / HZ, truth, time_s, values * 1.2, np.eye(3)).believed
    assert scale_by_imu(np.arange(20) / HZ, truth[:20], time_s, values, np.eye(3)) is None


def test_a_layout_of_another_kind_is_one_clear_line(tmp_path: Path):
    file = tmp_path / "tags.json"
    file.write_text('{"version": 1, "sheets": []}')
    with pytest.raises(BadData, match="sheets.*one with tags that is not `fingers`"):
        load_layout(file)
    tag = {"number": 4, "size_mm": 60, "x_mm": 0, "y_mm": 0}
    file.write_text(json.dumps({"version": 1, "sheets": [{"name": "a", "tags": [tag, tag]}]}))
    with pytest.raises(BadData, match="each number once.*4 again"):
        load_layout(file)


def test_a_missing_package_names_the_extra_and_the_other_way(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RoboscaleError, match=r"a map of a video needs pycolmap.*roboscale\[mapping\]"):
        solving.solve_map([], SMALL)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A rendered clip in a folder, lens and layout beside it, and the true `sheet_from_camera`."""
    folder = tmp_path_factory.mktemp("rendered")
    (folder / "clips").mkdir()
    scene = TableScene()
    turns, places = write_clip(folder / "clips" / "demo.mp4", scene, Swing(0), SMALL, seconds=1.4, fps=15)
    turn, origin = scene.world_from_sheet("layout")
    write_lens(folder / "lens.json", SMALL)
    write_sheets(folder / "tags.json")
    return folder, Poses(turn.T @ turns, (places - origin) @ turn)


def test_a_video_becomes_a_dataset_by_printed_tags_alone(recordings, tmp_path: Path):
    folder, truth = recordings
    asked = CollectHandheld(
        recordings=folder / "clips",
        out=tmp_path / "out",
        intrinsics=folder / "lens.json",
        layout=folder / "tags.json",
        by="tags",
        tip="0,0,0.1",
        workers=0,
    )
    done = collect_handheld(asked)
    assert (done.episodes, done.frames, done.card.format) == (1, 20, "clips")
    assert done.card.demonstrations[0].scale.startswith("printed tags of sheet layout, 5.9 a frame")
    assert any("metres come from printed tags" in line for line in done.lines)
    (kept,) = (tmp_path / "out.maps").iterdir()
    with np.load(kept) as made:
        off = np.abs(made["translation"] - truth.translation)
        assert off.max() < 0.02 and (off <= 2 * made["sigma_m"][:, None]).mean() > 0.85
    assert any("no gripper_calibration" in note for note in done.notes)


@pytest.mark.skipif(find_spec("pycolmap") is None, reason="a map of a video needs pycolmap: roboscale[mapping]")
def test_a_map_of_a_video_is_right_to_a_millimetre(recordings):
    folder, truth = recordings
    options = MappingOptions(
        intrinsics=folder / "lens.json", layout=folder / "tags.json", keyframes_hz=7.5, tip=(0.0, 0.0, 0.0)
    )
    one = HandheldClips(folder / "clips", options).demonstration("demo")
    (track,) = one.tracks
    assert track.valid.all() and not one.drop and all(f.value <= f.bar for f in one.figures)
    step, true = (p.relative(5).translation for p in (track.poses, truth))
    assert np.linalg.norm(step - true, axis=1).max() < 2e-3
    assert np.linalg.norm(step, axis=1).sum() / np.linalg.norm(true, axis=1).sum() == pytest.approx(1, abs=0.01)


def test_what_is_missing_for_a_map_is_one_clear_line(recordings, tmp_path: Path):
    folder, _ = recordings
    asked = CollectHandheld(recordings=folder / "clips", out=tmp_path / "out")
    with pytest.raises(BadData, match="--intrinsics.*a calibration of the clips' camera"):
        collect_handheld(asked)
    with pytest.raises(BadData, match="--layout.*for --by tags"):
        HandheldClips(folder / "clips", MappingOptions(intrinsics=folder / "lens.json", by="tags"))
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "mapping.mp4").write_bytes((folder / "clips" / "demo.mp4").read_bytes())
    options = MappingOptions(intrinsics=folder / "lens.json")
    with pytest.raises(BadData, match="one that is not called mapping"):
        HandheldClips(tmp_path / "only", options)
    for name in ("one.mp4", "notes.txt"):
        (tmp_path / "only" / name).write_bytes((folder / "clips" / "demo.mp4").read_bytes())
    assert HandheldClips(tmp_path / "only", options).unmapped == {".txt": "1 that are no videos, e.g. notes.txt"}
    (tmp_path / "only/raw_videos").mkdir()
    (tmp_path / "only/one.mp4").rename(tmp_path / "only/raw_videos/one.mp4")
    (tmp_path / "only/one.mov").write_bytes((folder / "clips" / "demo.mp4").read_bytes())
    with pytest.raises(BadData, match=r"a name of its own for each, found .*one.mov and .*one.mp4"):
        HandheldClips(tmp_path / "only", options)
