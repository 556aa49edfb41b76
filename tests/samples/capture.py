"""Small captures in the layouts of those who capture without a robot, with the truth that they were made of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

__all__ = [
    "HAND",
    "hand_in_motion",
    "motion",
    "write_egodex",
    "write_fastumi",
    "write_grabette",
    "write_pose_log",
    "write_umi_session",
    "write_umi_zarr",
    "write_video",
]

Array = NDArray[np.float64]


def motion(count: int, rate_hz: float = 30.0, seed: int = 0) -> tuple[Array, Array]:
    """A smooth path that turns about all axes: positions (N, 3) m and rotations (N, 3, 3)."""
    rng = np.random.default_rng(seed)
    t = np.arange(count) / rate_hz
    phase, tilt = rng.uniform(0, 2 * np.pi, (2, 3))
    pace = np.array([0.7, 1.1, 0.9]) + rng.uniform(-0.1, 0.1, 3)
    place = 0.15 * np.sin(2 * np.pi * 0.35 * t[:, None] * pace + phase) + [0.3, 0.0, 0.2]
    turn = Rotation.from_rotvec(0.5 * np.sin(2 * np.pi * 0.3 * t[:, None] * pace[::-1] + tilt) + [0.2, 0.4, 0.1])
    return place, turn.as_matrix()


def write_video(file: Path, frames: int, *, size: int = 64, fps: int = 30, seed: int = 0) -> Path:
    """Coloured pictures, each other than the one before. Gives `file` back."""
    import av

    rng = np.random.default_rng(seed)
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "20", "g": "10"})
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        base = rng.integers(0, 255, (size // 8, size // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        for k in range(frames):
            frame = av.VideoFrame.from_ndarray(np.roll(base, 2 * k, axis=1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file


SLAM_FROM_TAG = (np.array([0.4, -0.2, 0.9]), Rotation.from_euler("zyx", [0.5, 0.9, 1.2]).as_matrix())
"""Asymmetric, so that no wrong order passes."""


def write_umi_session(
    folder: Path, *, demos: int = 2, frames: int = 60, lost: Sequence[int] = (), video: bool = True
) -> Path:
    """A session as UMI's pipeline leaves it, with tips on `motion` in the frame of the tag. Gives `folder` back.

    Args:
        lost: frames of the first demonstration that the map lost; its rows are zeros.
    """
    place, turn = SLAM_FROM_TAG
    mapping = folder / "demos" / "mapping_0"
    mapping.mkdir(parents=True)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, place
    (mapping / "tx_slam_tag.json").write_text(json.dumps({"tx_slam_tag": matrix.tolist()}))
    (mapping / "tag_detection.pkl").write_bytes(b"\x80\x04.")
    for number in range(demos):
        demo = folder / "demos" / f"demo_{number}"
        demo.mkdir()
        tips, turns = motion(frames, seed=number)
        cameras = tips - turns @ np.array([0.0, 0.086, 0.21965])
        in_slam, turns_slam = cameras @ turn.T + place, turn @ turns
        quats = Rotation.from_matrix(turns_slam).as_quat()
        rows = ["frame_idx,timestamp,state,is_lost,is_keyframe,x,y,z,q_x,q_y,q_z,q_w"]
        for k in range(frames):
            gone = number == 0 and k in lost
            numbers = [0.0] * 7 if gone else [*in_slam[k], *quats[k]]
            said = ",".join(f"{v:.9f}" for v in numbers)
            rows.append(f"{k},{k / 30:.6f},{3 if gone else 2},{str(gone).lower()},false,{said}")
        (demo / "camera_trajectory.csv").write_text("\n".join(rows) + "\n")
        if video:
            write_video(demo / "raw_video.mp4", frames, seed=number)
    return folder


def write_umi_zarr(file: Path, *, episodes: int = 2, frames: int = 60) -> Path:
    """UMI's replay buffer, with poses on `motion`. Gives `file` back."""
    import zarr

    place, turn, width, ends = [], [], [], []
    for number in range(episodes):
        p, r = motion(frames, 60_000 / 1001, seed=number)
        place.append(p)
        turn.append(Rotation.from_matrix(r).as_rotvec())
        width.append(0.04 + 0.03 * np.sin(np.arange(frames) / 9))
        ends.append((number + 1) * frames)
    store = zarr.storage.ZipStore(str(file), mode="w")
    root = zarr.open_group(store, mode="w", zarr_format=2)
    data, meta = root.create_group("data"), root.create_group("meta")
    arrays = {
        "robot0_eef_pos": np.concatenate(place),
        "robot0_eef_rot_axis_angle": np.concatenate(turn),
        "robot0_gripper_width": np.concatenate(width)[:, None],
    }
    for name, values in arrays.items():
        array = data.create_array(name, shape=values.shape, chunks=(50, values.shape[1]), dtype="float32")
        array[:] = values.astype(np.float32)
    array = meta.create_array("episode_ends", shape=(episodes,), chunks=(episodes,), dtype="int64")
    array[:] = np.array(ends)
    store.close()
    return file


def write_grabette(folder: Path, *, frames: int = 60) -> Path:
    """A LeRobot v3 set with Grabette's eight numbers. Gives `folder` back."""
    from roboscale.core import Field, Provenance, Spec
    from roboscale.dataset import DatasetWriter

    names = ("x", "y", "z", "ax", "ay", "az", "proximal", "distal")
    spec = Spec(
        (
            Field("observation.state", (8,), "float32", unit="mixed", layout=names),
            Field("action", (8,), "float32", unit="mixed", layout=names),
        ),
        30,
    )
    place, turn = motion(frames)
    joints = np.stack([0.5 + 0.3 * np.sin(np.arange(frames) / 7), np.cos(np.arange(frames) / 11)], axis=1)
    rows = np.concatenate([place, Rotation.from_matrix(turn).as_rotvec(), joints], axis=1).astype(np.float32)
    with DatasetWriter(folder, spec, robot_type="grabette") as writer:
        take = writer.begin("put the cup on the saucer", Provenance("sample", licence="Apache-2.0"))
        for row in rows:
            take.add({"observation.state": row, "action": row})
        take.save()
    return folder


def write_fastumi(folder: Path, *, frames: int = 60) -> Path:
    """FastUMI's HDF5 with pictures as arrays. Gives `folder` back."""
    import h5py

    folder.mkdir(parents=True, exist_ok=True)
    place, turn = motion(frames, 20)
    qpos = np.concatenate([place, Rotation.from_matrix(turn).as_quat()], axis=1)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (frames, 8, 8, 3), np.uint8).repeat(4, 1).repeat(4, 2)
    with h5py.File(folder / "episode_0.hdf5", "w") as file:
        file["observations/qpos"] = qpos
        file["observations/images/front"] = images
        file["action"] = qpos
    return folder


def write_pose_log(
    file: Path, *, frames: int = 60, rate_hz: float = 30.0, sigma: float | None = None, seed: int = 0
) -> Path:
    """A table of poses with nanoseconds of 19 digits. Gives `file` back."""
    place, turn = motion(frames, rate_hz, seed)
    quats = Rotation.from_matrix(turn).as_quat()
    names = "timestamp_ns,tx,ty,tz,qx,qy,qz,qw" + (",sigma_position,sigma_rotation" if sigma else "")
    rows = [names]
    for k in range(frames):
        time_ns = 1_700_000_000_123_456_789 + round(k * 1e9 / rate_hz)
        more = f",{sigma:.6f},{2 * sigma:.6f}" if sigma else ""
        rows.append(f"{time_ns}," + ",".join(f"{v:.9f}" for v in (*place[k], *quats[k])) + more)
    file.write_text("\n".join(rows) + "\n")
    return file


def _finger(base: Sequence[float], lengths: Sequence[float], bend: float) -> list[Array]:
    """Joints of a finger that bends towards the palm (-z), from its base forward (x)."""
    points, at, angle = [np.array(base)], np.array(base), 0.0
    for length in lengths:
        at = at + length * np.array([np.cos(angle), 0.0, -np.sin(angle)])
        points.append(at)
        angle += bend
    return points


def _hand() -> dict[str, Array]:
    """A right hand in metres: x along the fingers, z out of its back, the index at +y."""
    made = {"wrist": np.zeros(3), "palm": np.array([0.05, 0.0, -0.005])}
    thumb = np.array([[0.02, 0.03, -0.01], [0.05, 0.05, -0.02], [0.075, 0.052, -0.035], [0.095, 0.048, -0.05]])
    made |= {f"thumb.{n}": p for n, p in zip(("cmc", "mcp", "ip", "tip"), thumb, strict=True)}
    for finger, y, length in (
        ("index", 0.025, 1.0),
        ("middle", 0.0, 1.1),
        ("ring", -0.02, 1.0),
        ("little", -0.04, 0.8),
    ):
        points = _finger((0.015, y, 0.0), (0.075, 0.04 * length, 0.025 * length, 0.022 * length), 0.35)
        made |= {f"{finger}.{n}": p for n, p in zip(("base", "mcp", "pip", "dip", "tip"), points, strict=True)}
    return made


HAND = _hand()
"""Joint -> place, of a right hand in its palm's axes."""


def hand_in_motion(
    names: Sequence[str], frames: int, side: str = "right", seed: int = 0, rate_hz: float = 30.0
) -> tuple[Array, Array, Array]:
    """Key points (N, J, 3) of a hand that moves as `motion` does and pinches, the wrist's places and rotations."""
    place, turn = motion(frames, rate_hz, seed)
    flip = np.array([1.0, -1.0, 1.0]) if side == "left" else np.ones(3)
    own = np.tile(np.stack([HAND[name] * flip for name in names]), (frames, 1, 1))
    pinch = 0.5 + 0.5 * np.sin(2 * np.pi * 0.4 * np.arange(frames) / rate_hz)
    tip, thumb = list(names).index("index.tip"), list(names).index("thumb.tip")
    gap = own[:, tip] - own[:, thumb]
    own[:, tip] -= 0.45 * pinch[:, None] * gap
    own[:, thumb] += 0.45 * pinch[:, None] * gap
    return np.einsum("nij,nkj->nki", turn, own) + place[:, None], place, turn


def _head(theirs_from_ours: Array) -> Array:
    """`world_from_camera` (4, 4) of a head that looks at the hands: x right, y down, z ahead, in ARKit's world."""
    place, ahead = np.array([-0.3, 0.0, 0.7]), np.array([0.6, 0.0, -0.5]) / np.hypot(0.6, 0.5)
    right = np.array([0.0, -1.0, 0.0])
    made = np.eye(4)
    made[:3, :3] = theirs_from_ours @ np.stack([right, np.cross(ahead, right), ahead], axis=1)
    made[:3, 3] = theirs_from_ours @ place
    return made


def write_egodex(
    folder: Path,
    *,
    files: int = 1,
    frames: int = 60,
    unseen: dict[str, Sequence[int]] | None = None,
    video: bool = False,
) -> Path:
    """EgoDex's layout: every transform of both hands, in ARKit's world (y up). Gives `folder` back.

    Args:
        unseen: `left` or `right` -> frames in which it has no confidence.
    """
    import h5py

    from roboscale.sources.human.joints import EGODEX_JOINTS

    folder.mkdir(parents=True, exist_ok=True)
    theirs_from_ours = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]])  # z up, x forward -> y up, -z
    for number in range(files):
        with h5py.File(folder / f"{number}.hdf5", "w") as file:
            for i, side in enumerate(("left", "right")):
                points, _, _ = hand_in_motion(tuple(EGODEX_JOINTS.values()), frames, side, seed=10 * number + i)
                points = points @ theirs_from_ours.T
                for k, joint in enumerate(EGODEX_JOINTS):
                    matrix = np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1))
                    matrix[:, :3, 3] = points[:, k]
                    file[f"transforms/{side}{joint}"] = matrix
                    confidence = np.full(frames, 0.95, np.float32)
                    confidence[list((unseen or {}).get(side, ()))] = 0.001
                    file[f"confidences/{side}{joint}"] = confidence
            file["transforms/camera"] = np.tile(_head(theirs_from_ours).astype(np.float32), (frames, 1, 1))
            file["camera/intrinsic"] = np.array([[736.6, 0, 960], [0, 736.6, 540], [0, 0, 1]], np.float32)
            file.attrs["llm_description"] = "Stack the cups on the table."
            file.attrs["which_llm_description"] = "1"
        if video:
            write_video(folder / f"{number}.mp4", frames, seed=number)
    return folder
