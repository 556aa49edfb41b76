"""Captures without a robot become datasets: exact poses, every sample with its error, or auxiliary targets."""

import json
import os
import shlex
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from roboscale.cli.app import parse
from roboscale.core import BadData, Field, Provenance, RoboscaleError, Spec, UsageError
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.dataset.audit import audit_folder
from roboscale.jobs.collect_handheld import CollectHandheld, collect_handheld, plan_handheld
from roboscale.jobs.collect_human import CollectHuman, collect_human
from roboscale.jobs.events import Note
from roboscale.sources.capture.card import CARD
from roboscale.sources.capture.tables import read_log
from roboscale.sources.human.aria import AriaMps
from roboscale.sources.human.hand import chirality
from roboscale.sources.human.joints import ORDERS
from roboscale.sources.human.keypoints import KeyPoints
from tests.samples import capture as samples
from tests.samples.gopro import add_telemetry

DATA = Path(os.environ.get("ROBOSCALE_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
STATED = {"sigma_position": 0.004, "sigma_rotation": 0.02, "workers": 0, "instruction": "Put the cup on the saucer."}


def elements(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places and rotations of rows that begin with x, y, z and two rows of a rotation matrix."""
    a, b = rows[:, 3:6].astype(float), rows[:, 6:9].astype(float)
    return rows[:, :3].astype(float), np.stack([a, b, np.cross(a, b)], axis=1)


def errors_of(folder: Path) -> list[str]:
    report = audit_folder(folder)
    return [f"{f.check}: {f.text}" for f in report.findings if f.severity == "error"]


HANDHELD = {
    "umi-session": (lambda place: samples.write_umi_session(place / "session"), {}, 0),
    "umi-zarr": (lambda place: samples.write_umi_zarr(place / "set.zarr.zip"), {"fps": 59.94}, 1),
    "grabette": (lambda place: samples.write_grabette(place / "set"), {}, 2),
    "fastumi": (lambda place: samples.write_fastumi(place / "task"), {}, 0),
    "pose-log": (lambda place: samples.write_pose_log(place / "log.csv"), {"axes": "as-recorded"}, 0),
}


@pytest.mark.parametrize("format", HANDHELD)
def test_every_handheld_layout_becomes_a_dataset_whose_actions_are_the_motion(tmp_path: Path, format: str):
    write, options, joints = HANDHELD[format]
    done = collect_handheld(CollectHandheld(recordings=write(tmp_path), out=tmp_path / "out", **options, **STATED))
    assert done.proof.format == format and not done.dropped
    dataset = Dataset(tmp_path / "out")
    episode = dataset.episodes[0]
    rows = slice(episode.from_index, episode.from_index + episode.length)
    rate = {"umi-zarr": 60_000 / 1001, "fastumi": 20.0}.get(format, 30.0)
    place, turn = samples.motion(60, rate)
    state, action, target = (dataset.arrays(n)[rows] for n in ("observation.state", "action", "pose.target"))
    assert episode.length == 59 and state.shape[1] == 9 + joints
    got, turned = elements(state)
    assert np.abs(got - place[:-1]).max() < 1e-6 and np.abs(turned - turn[:-1]).max() < 1e-6
    ahead, ahead_turn = elements(target)
    assert np.abs(ahead - place[1:]).max() < 1e-6 and np.abs(ahead_turn - turn[1:]).max() < 1e-6
    step, step_turn = elements(action)
    inverse = np.swapaxes(turn[:-1], 1, 2)
    assert np.abs(step - np.einsum("nij,nj->ni", inverse, place[1:] - place[:-1])).max() < 1e-6
    assert np.abs(step_turn - inverse @ turn[1:]).max() < 1e-6
    assert np.allclose(dataset.arrays("sigma")[rows], [0.004, 0.02])
    assert dataset.spec["action"].side == "body" and dataset.spec.rate_hz == pytest.approx(rate, rel=1e-3)
    assert errors_of(tmp_path / "out") == []


def test_joints_of_the_effector_are_those_of_the_pose_they_belong_to(tmp_path: Path):
    source = samples.write_grabette(tmp_path / "set")
    done = collect_handheld(CollectHandheld(recordings=source, out=tmp_path / "out", ahead=3, **STATED))
    assert done.frames == 57
    raw, made = Dataset(source).arrays("observation.state"), Dataset(tmp_path / "out")
    assert np.array_equal(made.arrays("observation.state")[:, 9:], raw[:57, 6:])
    assert np.array_equal(made.arrays("action")[:, 9:], raw[3:, 6:])
    assert made.spec["action"].layout[9:] == ("gripper_proximal", "gripper_distal")


def test_fields_that_a_declaration_names_are_the_poses(tmp_path: Path):
    source, said = samples.write_grabette(tmp_path / "set"), tmp_path / "fields.toml"
    said.write_text(
        'device = "mine"\nframe = "table (z up)"\n[[effector]]\nposition = "observation.state[0:3]"\n'
        'rotation = "observation.state[3:6]"\nlayout = "rotvec"\njoints = ["observation.state[6:8]"]\n'
        'joint_names = ["proximal", "distal"]\njoint_unit = "rad"\n'
    )
    collect_handheld(CollectHandheld(recordings=source, out=tmp_path / "own", declare=said, **STATED))
    collect_handheld(CollectHandheld(recordings=source, out=tmp_path / "known", **STATED))
    own, known = Dataset(tmp_path / "own"), Dataset(tmp_path / "known")
    assert np.array_equal(own.arrays("action"), known.arrays("action"))
    assert own.spec["observation.state"].frame == "table (z up)"


def test_lost_frames_are_cut_out_and_never_filled(tmp_path: Path):
    source = samples.write_umi_session(tmp_path / "session", lost=(30, 31))
    done = collect_handheld(CollectHandheld(recordings=source, out=tmp_path / "out", **STATED))
    dataset = Dataset(tmp_path / "out")
    lengths = {e.provenance.details["source_key"]: e.length for e in dataset.episodes}
    assert lengths == {"demo_0/0": 29, "demo_0/1": 27, "demo_1": 59}
    assert done.card.demonstrations[0].tracks[0].missing == 2
    times = dataset.arrays("time.frame_ns")[:, 0]
    second = dataset.episodes[1]
    assert times[second.from_index] == round(32e9 / 30, -3)
    assert len(dataset.decode(second.index, "observation.images.wrist")) == 27


def test_a_pickle_is_not_opened_and_that_is_said(tmp_path: Path):
    notes: list[str] = []
    source = samples.write_umi_session(tmp_path / "session")
    asked = CollectHandheld(recordings=source, out=tmp_path / "out", **STATED)
    collect_handheld(asked, lambda e: notes.append(e.text) if isinstance(e, Note) else None)
    assert any("tag_detection.pkl" in note and "pickle" in note for note in notes)
    assert any("no-width" in note for note in notes)


def test_without_a_stated_error_there_is_no_action_and_the_audit_knows(tmp_path: Path):
    log = samples.write_pose_log(tmp_path / "log.csv")
    done = collect_handheld(
        CollectHandheld(recordings=log, out=tmp_path / "out", axes="arkit", workers=0, instruction="Wave.")
    )
    assert "--sigma-position" in done.card.pretrain_only
    info = json.loads((tmp_path / "out" / "meta" / "info.json").read_text())
    assert {"pretrain.pose", "pretrain.relative", "pretrain.target"} <= set(info["features"])
    assert not {"action", "observation.state", "sigma"} & set(info["features"])
    found = {f.check: f.severity for f in audit_folder(tmp_path / "out").findings}
    assert found["pretrain-only"] == "info" and errors_of(tmp_path / "out") == []


def test_an_error_that_the_log_states_goes_with_every_sample(tmp_path: Path):
    log = samples.write_pose_log(tmp_path / "log.csv", sigma=0.0075)
    done = collect_handheld(CollectHandheld(recordings=log, out=tmp_path / "out", axes="opencv", workers=0))
    assert done.card.pretrain_only == "" and "measured" in done.card.demonstrations[0].tracks[0].sigma_how
    assert np.allclose(Dataset(tmp_path / "out").arrays("sigma"), [0.0075, 0.015])


def test_an_error_of_nothing_is_found_by_the_audit(tmp_path: Path):
    fields = (Field("observation.state", (1,), "float32"), Field("sigma", (2,), "float32"))
    with DatasetWriter(tmp_path / "set", Spec(fields, 10)) as writer:
        take = writer.begin("lift the foot", Provenance("sample"))
        for k in range(20):
            sigma = np.array([0.01, 0.0 if k == 7 else 0.02], np.float32)
            take.add({"observation.state": np.array([k], np.float32), "sigma": sigma})
        take.save()
    assert any(error.startswith("sigma-not-positive") for error in errors_of(tmp_path / "set"))


def test_a_camera_whose_lens_is_known_says_where_hands_lie_in_its_pictures(tmp_path: Path):
    source = samples.write_egodex(tmp_path / "ego", frames=20, video=True)
    collect_human(CollectHuman(source=source, out=tmp_path / "out", video=True, **STATED))
    dataset = Dataset(tmp_path / "out")
    lens = dataset.episodes[0].provenance.details["lenses"]["head"]
    place, turn = elements(dataset.arrays("pose.camera.head"))
    assert np.abs(place - [-0.3, 0.0, 0.7]).max() < 1e-6
    ahead = np.array([0.6, 0.0, -0.5]) / np.hypot(0.6, 0.5)
    assert np.abs(turn[:, :, 2] - ahead).max() < 1e-6 and np.abs(turn[:, :, 0] - [0, -1, 0]).max() < 1e-6
    assert (lens["width"], lens["k"]) == (64, [])
    assert lens["fx"] == pytest.approx(736.6 * 64 / 1920) and lens["cx"] == pytest.approx(32)


def test_one_error_without_the_other_is_refused(tmp_path: Path):
    log = samples.write_pose_log(tmp_path / "log.csv")
    with pytest.raises(RoboscaleError, match="--sigma-rotation is not"):
        collect_handheld(CollectHandheld(recordings=log, out=tmp_path / "o", axes="arkit", sigma_position=0.01))


def spoil(log: Path, change) -> None:
    lines = log.read_text().splitlines()
    rows = [line.split(",") for line in lines[1:]]
    change(rows)
    log.write_text("\n".join([lines[0], *(",".join(row) for row in rows)]) + "\n")


def test_held_poses_are_counted_marked_and_found(tmp_path: Path):
    log = samples.write_pose_log(tmp_path / "log.csv", frames=120)

    def hold(rows):
        for k in range(41, 61):
            rows[k][1:] = rows[40][1:]

    spoil(log, hold)
    asked = CollectHandheld(recordings=log, out=tmp_path / "out", axes="as-recorded", jump=0.5, **STATED)
    done = collect_handheld(asked)
    track = done.card.demonstrations[0].tracks[0]
    assert track.held == 20 and track.held_longest_s == pytest.approx(20 / 30, abs=1e-6)
    held = Dataset(tmp_path / "out").arrays("pose.held")[:, 0]
    assert np.flatnonzero(held).tolist() == list(range(41, 61))
    assert "held-poses" in {f.check for f in audit_folder(tmp_path / "out").findings}
    assert any("held" in note or "repeats" in note for note in done.notes)


def test_interpolated_poses_are_counted_and_found(tmp_path: Path):
    log = samples.write_pose_log(tmp_path / "log.csv", frames=120)

    def bridge(rows):
        a, b = np.array(rows[50][1:4], float), np.array(rows[62][1:4], float)
        for k in range(51, 62):
            rows[k][1:4] = [f"{v:.9f}" for v in a + (b - a) * (k - 50) / 12]

    spoil(log, bridge)
    asked = CollectHandheld(recordings=log, out=tmp_path / "out", axes="as-recorded", **STATED)
    assert collect_handheld(asked).card.demonstrations[0].tracks[0].interpolated == 11
    assert "interpolated-poses" in {f.check for f in audit_folder(tmp_path / "out").findings}


def test_measured_motion_is_neither_held_nor_interpolated(tmp_path: Path):
    for seed in range(5):
        log = samples.write_pose_log(tmp_path / f"log{seed}.csv", frames=150, seed=seed)
        asked = CollectHandheld(recordings=log, out=tmp_path / f"out{seed}", axes="as-recorded", **STATED)
        track = collect_handheld(asked).card.demonstrations[0].tracks[0]
        assert (track.held, track.interpolated, track.measured) == (0, 0, 150)


def test_a_jump_drops_the_demonstration_with_gate_and_figure_on_the_page(tmp_path: Path):
    session = samples.write_umi_session(tmp_path / "session", video=False)
    csv = session / "demos" / "demo_1" / "camera_trajectory.csv"

    def leap(rows):
        for k in range(20, 60):
            rows[k][5] = f"{float(rows[k][5]) + 0.08:.9f}"

    spoil(csv, leap)
    done = collect_handheld(CollectHandheld(recordings=session, out=tmp_path / "out", **STATED))
    assert list(done.dropped) == ["demo_1"] and "jump" in done.dropped["demo_1"]
    card = json.loads((tmp_path / "out" / CARD).read_text())
    gate = next(g for g in card["demonstrations"][1]["gates"] if g["name"] == "jump")
    assert not gate["passed"] and gate["value"] == pytest.approx(0.08, abs=0.01) and gate["sample"] == 20
    page = (tmp_path / "out" / "meta" / "roboscale" / "capture.html").read_text()
    assert "demo_1" in page and "dropped" in page and page.count("<svg") >= 2


def test_when_nothing_passes_a_page_says_why_and_no_dataset_is_there(tmp_path: Path):
    session = samples.write_umi_session(tmp_path / "session", demos=1, lost=range(10, 30), video=False)
    with pytest.raises(BadData, match="registered"):
        collect_handheld(CollectHandheld(recordings=session, out=tmp_path / "out", **STATED))
    assert not (tmp_path / "out").exists()
    assert "registered" in (tmp_path / "out.dropped.html").read_text()


def test_the_same_command_goes_on_and_the_page_has_the_command(tmp_path: Path):
    log = samples.write_pose_log(tmp_path / "log.csv")
    request = CollectHandheld(recordings=log, out=tmp_path / "out", axes="arkit", **STATED)
    collect_handheld(request)
    before = sorted((p, p.read_bytes()) for p in (tmp_path / "out" / "data").rglob("*.parquet"))
    collect_handheld(request)
    assert before == sorted((p, p.read_bytes()) for p in (tmp_path / "out" / "data").rglob("*.parquet"))
    assert parse(shlex.split(request.command)[1:]) == request
    assert plan_handheld(request)["episodes"] == 1


def test_a_lower_rate_leaves_samples_out_and_makes_none(tmp_path: Path):
    log = samples.write_pose_log(tmp_path / "log.csv", frames=120)
    asked = CollectHandheld(recordings=log, out=tmp_path / "out", axes="as-recorded", resample=10, **STATED)
    collect_handheld(asked)
    place, _ = samples.motion(120)
    state = Dataset(tmp_path / "out").arrays("observation.state")
    assert len(state) == 39 and np.abs(state[:, :3] - place[:117:3]).max() < 1e-6


@pytest.mark.parametrize("axes", ["arkit", "unity"])
def test_conventions_keep_a_right_hand_a_right_one(tmp_path: Path, axes: str):
    """A turn to the left, seen from above, stays one, and up stays up."""
    to_theirs = {
        "arkit": np.array([[0.0, -1, 0], [0, 0, 1], [-1, 0, 0]]),
        "unity": np.array([[0.0, -1, 0], [0, 0, 1], [1, 0, 0]]),
    }[axes]
    their_device = {"arkit": np.diag([1.0, -1, -1]), "unity": np.diag([1.0, -1, 1])}[axes]
    place, turn = samples.motion(60)
    theirs = Rotation.from_matrix(to_theirs @ turn @ their_device.T).as_quat()
    rows = ["timestamp_s,x,y,z,qx,qy,qz,qw"]
    for k, (p, q) in enumerate(zip(place @ to_theirs.T, theirs, strict=True)):
        rows.append(f"{k / 30:.6f}," + ",".join(f"{v:.9f}" for v in (*p, *q)))
    (tmp_path / "log.csv").write_text("\n".join(rows))
    collect_handheld(CollectHandheld(recordings=tmp_path / "log.csv", out=tmp_path / "out", axes=axes, **STATED))
    got, turned = elements(Dataset(tmp_path / "out").arrays("observation.state"))
    assert np.abs(got - place[:-1]).max() < 1e-6 and np.abs(turned - turn[:-1]).max() < 1e-6


def with_telemetry(session: Path, delay_s: float = 0.0, stabilised: bool = False) -> Path:
    """The first demonstration's clip with the gyroscope that turned with it."""
    _, dense = samples.motion(400, 200)
    rates = Rotation.from_matrix(np.swapaxes(dense[:-1], 1, 2) @ dense[1:]).as_rotvec() * 200
    gyro = np.roll(np.vstack([rates, rates[-1:]]), round(200 * delay_s), axis=0)
    if stabilised:
        gyro = gyro[::-1, [1, 2, 0]] + 0.8 * np.sin(np.arange(400) / 11)[:, None]
    add_telemetry(session / "demos" / "demo_0" / "raw_video.mp4", gyro, gyro, seconds=2)
    return session


def test_the_gyroscope_of_a_clip_goes_along_at_its_own_rate(tmp_path: Path):
    session = with_telemetry(samples.write_umi_session(tmp_path / "session", demos=1))
    done = collect_handheld(CollectHandheld(recordings=session, out=tmp_path / "out", **STATED))
    streams = tmp_path / "out" / "meta" / "roboscale" / "streams"
    assert sorted(p.name for p in streams.iterdir()) == ["imu.accl", "imu.gyro"]
    gates = {g.name: g for g in done.card.demonstrations[0].gates}
    assert gates["sync"].passed and gates["sync"].value < 0.01


def test_clocks_that_are_apart_drop_a_demonstration(tmp_path: Path):
    session = with_telemetry(samples.write_umi_session(tmp_path / "session"), delay_s=0.05)
    done = collect_handheld(CollectHandheld(recordings=session, out=tmp_path / "out", **STATED))
    assert list(done.dropped) == ["demo_0"] and "sync 0.05" in done.dropped["demo_0"]


def test_a_stabilised_clip_is_said_and_nothing_is_taken_from_its_sensor(tmp_path: Path):
    session = with_telemetry(samples.write_umi_session(tmp_path / "session", demos=1), stabilised=True)
    done = collect_handheld(CollectHandheld(recordings=session, out=tmp_path / "out", **STATED))
    assert any("stabilised" in note for note in done.notes)
    assert "sync" not in {g.name for g in done.card.demonstrations[0].gates}


# hands


def test_egodex_by_its_own_names_with_z_up(tmp_path: Path):
    source = samples.write_egodex(tmp_path / "stack_cups", files=2)
    done = collect_human(CollectHuman(source=source, out=tmp_path / "out", **STATED))
    dataset = Dataset(tmp_path / "out")
    assert [e.instruction for e in dataset.episodes] == ["Stack the cups on the table."] * 2
    layout = dataset.spec["observation.state"].layout
    assert layout[:3] == ("left.x", "left.y", "left.z") and "right.gripper_width" in layout
    points, _, turn = samples.hand_in_motion(("thumb.tip", "index.tip"), 60, "right", seed=1)
    state = dataset.arrays("observation.state")[:59]
    first = layout.index("right.x")
    assert np.abs(state[:, first : first + 3] - points.mean(axis=1)[:-1]).max() < 1e-5
    _, turned = elements(state[:, first : first + 9])
    assert np.abs(turned[:, :, 2] - turn[:-1, :, 2]).max() < 1e-5, "z leaves the back of the hand"
    width = np.linalg.norm(points[:, 0] - points[:, 1], axis=1)
    assert np.abs(state[:, layout.index("right.gripper_width")] - width[:-1]).max() < 1e-5
    card = done.card.demonstrations[0].tracks[1]
    assert card.sigma_position_m == 0.004
    closed = dataset.arrays("gripper.closed")[:59, 1].astype(bool)
    assert closed[width[:-1] < 0.03].all() and not closed[width[:-1] > 0.05].any() and closed.any()
    assert np.count_nonzero(np.diff(closed.astype(int)) == 1) + closed[0] == card.pinches < 4
    assert errors_of(tmp_path / "out") == []


@pytest.mark.parametrize("pinch", ["0.05,0.03", "0,0.1", "0.03", "a,b"])
def test_a_pinch_that_opens_before_it_closes_is_refused(tmp_path: Path, pinch: str):
    with pytest.raises(UsageError, match="--pinch"):
        CollectHuman(source=tmp_path, out=tmp_path / "out", pinch=pinch)


def test_a_hand_that_is_not_seen_ends_the_episode(tmp_path: Path):
    source = samples.write_egodex(tmp_path / "task", unseen={"right": range(25, 35)})
    collect_human(CollectHuman(source=source, out=tmp_path / "out", **STATED))
    dataset = Dataset(tmp_path / "out")
    assert [e.length for e in dataset.episodes] == [24, 24]
    assert dataset.arrays("time.frame_ns")[24, 0] == round(35e9 / 30)


def test_pictures_of_people_are_taken_only_when_asked_for(tmp_path: Path):
    source = samples.write_egodex(tmp_path / "task", video=True)
    notes: list[str] = []
    done = collect_human(
        CollectHuman(source=source, out=tmp_path / "out", **STATED),
        lambda e: notes.append(e.text) if isinstance(e, Note) else None,
    )
    assert not done.proof.cameras and any("faces" in note for note in notes)
    asked = CollectHuman(source=source, out=tmp_path / "with", video=True, **STATED)
    assert [c.name for c in collect_human(asked).proof.cameras] == ["observation.images.head"]


ESTIMATE = 'time = "t"\nunit = "mm"\n[hand.right]\npoints = "xyz"\norder = "mediapipe"\nconfidence = "score"\n{sigma}'


def write_estimate(folder: Path, sigma: str = "", order: str = "mediapipe") -> tuple[Path, Path]:
    points, _, _ = samples.hand_in_motion(ORDERS[order], 60)
    score = np.full(60, 0.9)
    score[40] = 0.02
    np.savez(folder / "take.npz", xyz=1000 * points, t=np.arange(60) / 30, score=score)
    (folder / "hand.toml").write_text(ESTIMATE.format(sigma=sigma).replace("mediapipe", order))
    return folder / "take.npz", folder / "hand.toml"


@pytest.mark.parametrize("order", ["mediapipe", "webxr", "mano21", "openxr", "aria"])
def test_key_points_in_a_declared_order(tmp_path: Path, order: str):
    source, declare = write_estimate(tmp_path, "sigma = 0.006\n", order)
    collect_human(CollectHuman(source=source, out=tmp_path / "out", declare=declare, workers=0))
    dataset = Dataset(tmp_path / "out")
    _, _, turn = samples.hand_in_motion(ORDERS[order], 60)
    state = dataset.arrays("observation.state")
    _, turned = elements(state[:39])
    assert np.abs(turned[:, :, 2] - turn[:39, :, 2]).max() < 1e-5
    assert [e.length for e in dataset.episodes] == [39, 18], "the frame without a hand is cut out"
    assert np.allclose(dataset.arrays("sigma")[:, 0], 0.006)
    assert dataset.spec["observation.points"].layout[0] == f"{ORDERS[order][0]}.x"


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_hand_under_the_other_one_s_name_is_found(tmp_path: Path, side: str):
    points, _, _ = samples.hand_in_motion(ORDERS["mediapipe"], 20, side)
    np.savez(tmp_path / "take.npz", xyz=points)
    for said in ("left", "right"):
        toml = tmp_path / f"{said}.toml"
        toml.write_text(f'rate_hz = 30\n[hand.{said}]\npoints = "xyz"\norder = "mediapipe"\n')
        source = KeyPoints(tmp_path / "take.npz", toml)
        found = [f.check for f in source.demonstration(source.keys[0]).findings]
        assert found == ([] if said == side else ["mirrored-hand"])


def test_an_estimate_of_one_camera_without_an_error_is_no_action(tmp_path: Path):
    source, declare = write_estimate(tmp_path)
    done = collect_human(CollectHuman(source=source, out=tmp_path / "out", declare=declare, workers=0))
    assert done.card.pretrain_only and "action" not in Dataset(tmp_path / "out").spec


REAL = DATA / "aria_gen1" / "mps_sample"
real = pytest.mark.skipif(not REAL.is_dir(), reason=f"no real recordings at {DATA}; set ROBOSCALE_TEST_DATA")


@real
@pytest.mark.parametrize(
    ("part", "frames", "first_ns"),
    [
        ("trajectory", 11516, 149202610000),
        ("hand_tracking/wrist_and_palm_poses_v2.csv", 5, 159402529000),
    ],
)
def test_each_real_aria_recording_alone(tmp_path: Path, part: str, frames: int, first_ns: int):
    done = collect_human(CollectHuman(source=REAL / part, out=tmp_path / "out", **STATED))
    times = Dataset(tmp_path / "out").arrays("time.frame_ns")
    assert done.frames == frames and times.dtype == np.int64 and times[0, 0] == first_ns
    assert errors_of(tmp_path / "out") == []


@real
def test_real_aria_hands_by_name_with_missing_ones_missing():
    file = REAL / "hand_tracking" / "hand_tracking_results_v2.csv"
    raw = read_log(file)
    source = AriaMps(file, hands="both")
    one = source.demonstration(source.keys[0])
    assert one.time_ns[0] == 1762609162000 and one.time_ns.dtype == np.int64
    for side, track in zip(("left", "right"), one.tracks, strict=True):
        seen = raw[f"{side}_tracking_confidence"] >= 0
        assert np.array_equal(track.valid, seen) and np.isnan(track.points[~seen]).all()
        wrist = raw.stack([f"t{a}_{side}_device_wrist" for a in "xyz"])[seen]
        assert np.abs(track.points[seen][:, track.point_names.index("wrist")] - wrist).max() < 1e-5
        chain = [track.points[seen][:, track.point_names.index(n)] for n in ("wrist", "index.mcp", "index.pip")]
        assert (np.linalg.norm(chain[1] - chain[0], axis=1) > 0.06).all()
        assert (np.linalg.norm(chain[2] - chain[1], axis=1) < 0.06).all()
        assert np.sign(chirality(track.points[seen], track.point_names)) == (1 if side == "right" else -1)


@real
def test_real_aria_hands_that_are_seen_in_single_samples_make_no_episode(tmp_path: Path):
    file = REAL / "hand_tracking" / "hand_tracking_results_v2.csv"
    with pytest.raises(BadData, match="no stretch with a pose in every sample lasts"):
        collect_human(CollectHuman(source=file, out=tmp_path / "out", **STATED))


@real
def test_real_aria_recordings_that_do_not_meet_are_not_joined(tmp_path: Path):
    with pytest.raises(BadData, match=r"from 1762\.609 to 1817\.200 s and .* from 148\.503 to 160\.603 s"):
        collect_human(CollectHuman(source=REAL, out=tmp_path / "out", **STATED))
    with pytest.raises(BadData, match=r"from 1762\.609 to 1817\.200 s and"):
        collect_human(CollectHuman(source=DATA / "aria_gen1", out=tmp_path / "out", **STATED))
    vrs = DATA / "aria_gen1" / "aria_everyday_activities_test_data"
    with pytest.raises(BadData, match=r"recording\.vrs, a recording of pictures and sensors"):
        collect_human(CollectHuman(source=vrs, out=tmp_path / "out", **STATED))
