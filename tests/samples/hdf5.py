"""Small recordings in the HDF5 formats, laid out as their projects lay them out: made from seeded numbers."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roboscale.dataset.video import Encoder

__all__ = [
    "picture",
    "write_agibot",
    "write_aloha",
    "write_droid",
    "write_isaac_mimic",
    "write_robomimic",
    "write_robomind",
]

_SIZE = (48, 64)
_ALOHA_CAMERAS = ("cam_high", "cam_left_wrist")
_DROID_CAMERAS = ("wrist", "ext1", "ext2")


def picture(number: int, *, size: tuple[int, int] = _SIZE) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB: reddish, with a blue square that moves; red and blue cannot be confused."""
    height, width = size
    y, x = np.mgrid[0:height, 0:width]
    image = np.stack([180 + x // 2, 60 + y, 20 + (3 * number) % 40 + 0 * x], axis=-1)
    left = (5 * number) % (width - 12)
    image[8:20, left : left + 12] = (30, 40, 220)
    return image.astype(np.uint8)


def _pictures(first: int, count: int) -> NDArray[np.uint8]:
    return np.stack([picture(first + number) for number in range(count)])


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=95)
    return out.getvalue()


def _put(group: h5py.Group, arrays: Mapping[str, NDArray[Any]], **options: Any) -> None:
    for name, values in arrays.items():
        group.create_dataset(name, data=values, **options)


def _walk(rng: np.random.Generator, frames: int, width: int) -> NDArray[np.float64]:
    """(frames, width): a random walk, so that neighbours are near and no two rows are equal."""
    return np.cumsum(rng.normal(0, 0.05, (frames, width)), axis=0)


def write_robomimic(folder: Path, *, episodes: int = 2, frames: int = 12, seed: int = 0) -> Path:
    """robomimic's `image.hdf5` with robosuite's observations at 20 Hz and masks; returns the file."""
    rng, path = np.random.default_rng(seed), folder / "image.hdf5"
    environment = {"env_name": "Lift", "type": 1, "env_kwargs": {"control_freq": 20, "robots": ["Panda"]}}
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["total"], data.attrs["env_args"] = episodes * frames, json.dumps(environment, indent=4)
        for number in range(episodes):
            demo = data.create_group(f"demo_{number}")
            demo.attrs["num_samples"], demo.attrs["model_file"] = frames, "<mujoco model='base'/>"
            arrays: dict[str, NDArray[Any]] = {
                "robot0_eef_pos": _walk(rng, frames + 1, 3),
                "robot0_eef_quat": rng.normal(size=(frames + 1, 4)),
                "robot0_gripper_qpos": _walk(rng, frames + 1, 2),
                "agentview_image": _pictures(20 * number, frames + 1),
            }
            _put(demo.create_group("obs"), {k: v[:-1] for k, v in arrays.items()}, compression="gzip")
            _put(demo.create_group("next_obs"), {k: v[1:] for k, v in arrays.items()}, compression="gzip")
            done = np.arange(frames) == frames - 1
            _put(demo, {"actions": rng.uniform(-1, 1, (frames, 7)), "states": rng.normal(size=(frames, 32))})
            _put(demo, {"rewards": done.astype(np.float64), "dones": done.astype(np.int64)})
        names = np.array([f"demo_{number}" for number in range(episodes)], dtype="S")
        file.create_dataset("mask/train", data=names[: max(1, episodes - 1)])
        file.create_dataset("mask/valid", data=names[max(1, episodes - 1) :])
    return path


def write_isaac_mimic(folder: Path, *, episodes: int = 2, frames: int = 12, seed: int = 0) -> Path:
    """An annotated dataset of Isaac Lab Mimic at 20 Hz; returns the file."""
    rng, path = np.random.default_rng(seed), folder / "annotated_dataset.hdf5"
    environment: dict[str, Any] = {"env_name": "Isaac-Stack-Cube-Franka-IK-Rel-Mimic-v0", "type": 2}
    environment |= {"sim_args": {"dt": 0.01, "decimation": 5, "render_interval": 5, "num_envs": 1}}
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["total"], data.attrs["env_args"] = episodes * frames, json.dumps(environment)
        for number in range(episodes):
            demo = data.create_group(f"demo_{number}")
            demo.attrs["num_samples"], demo.attrs["seed"], demo.attrs["success"] = frames, number, number % 2 == 0
            arrays = {
                "actions": rng.uniform(-1, 1, (frames, 7)),
                "processed_actions": rng.uniform(-1, 1, (frames, 8)),
                "obs/joint_pos": _walk(rng, frames, 9),
                "obs/eef_pos": _walk(rng, frames, 3),
                "obs/datagen_info/eef_pose/franka": rng.normal(size=(frames, 4, 4)),
                "obs/datagen_info/object_pose/cube_1": rng.normal(size=(frames, 4, 4)),
                "states/articulation/robot/joint_position": _walk(rng, frames, 9),
                "initial_state/articulation/robot/joint_position": rng.normal(size=(1, 9)),
            }
            _put(demo, {k: v.astype(np.float32) for k, v in arrays.items()}, compression="gzip")
            grasped = np.arange(frames) > frames // 2
            _put(demo, {"obs/datagen_info/subtask_term_signals/grasp_1": grasped}, compression="gzip")
            _put(demo, {"obs/table_cam": _pictures(20 * number, frames)}, compression="gzip")
    return path


def write_aloha(folder: Path, *, episodes: int = 2, frames: int = 12, seed: int = 0, compressed: bool = False) -> Path:
    """ALOHA's `episode_<i>.hdf5`; returns the folder.

    Args:
        compressed: JPEG blobs padded with zeros, and `compress_len`. As Mobile ALOHA's do, they hold what OpenCV
            makes of an RGB array that it takes for BGR.
    """
    rng = np.random.default_rng(seed)
    for number in range(episodes):
        with h5py.File(folder / f"episode_{number}.hdf5", "w") as file:
            file.attrs["sim"], file.attrs["compress"] = False, compressed
            arrays = {name: _walk(rng, frames, 14) for name in ("qpos", "qvel", "effort")}
            _put(file.create_group("observations"), {k: v.astype(np.float32) for k, v in arrays.items()})
            _put(file, {"action": _walk(rng, frames, 14).astype(np.float32)})
            images = {camera: _pictures(20 * number + 7 * i, frames) for i, camera in enumerate(_ALOHA_CAMERAS)}
            if compressed:
                _put_padded(file, images)
            else:
                _put(file.create_group("observations/images"), images, chunks=(1, *_SIZE, 3))
    return folder


def _put_padded(file: h5py.File, images: Mapping[str, NDArray[np.uint8]]) -> None:
    blobs = {camera: [_jpeg(image[..., ::-1]) for image in stack] for camera, stack in images.items()}
    width = max(len(blob) for row in blobs.values() for blob in row)
    for camera, row in blobs.items():
        padded = np.stack([np.frombuffer(blob.ljust(width, b"\0"), np.uint8) for blob in row])
        file.create_dataset(f"observations/images/{camera}", data=padded, chunks=(1, width))
    # the recorder's order of cameras, which is not HDF5's
    lengths = [[len(blob) for blob in blobs[camera]] for camera in reversed(_ALOHA_CAMERAS)]
    file.create_dataset("compress_len", data=np.array(lengths, np.float32))


def _put_blobs(group: h5py.Group, name: str, blobs: Iterable[bytes]) -> None:
    rows = [np.frombuffer(blob, np.uint8) for blob in blobs]
    dataset = group.create_dataset(name, (len(rows),), dtype=h5py.vlen_dtype(np.uint8))
    for number, row in enumerate(rows):
        dataset[number] = row


def write_robomind(
    folder: Path, *, episodes: int = 2, frames: int = 12, seed: int = 0, embodiment: str = "franka_3rgb"
) -> Path:
    """RoboMIND's tree for one task of one embodiment, without a rate; returns its folder `h5_<embodiment>`.

    Args:
        embodiment: with one arm of seven joints; `franka_3rgb` and `ur_1rgb` hold ordinary JPEGs, others exchanged
            ones.
    """
    rng, root = np.random.default_rng(seed), folder / f"h5_{embodiment}"
    ordinary = embodiment.startswith(("franka", "ur"))
    for number in range(episodes):
        data = root / "bread_in_basket" / "success_episodes" / "train" / f"1014_1446{number:02d}" / "data"
        data.mkdir(parents=True)
        with h5py.File(data / "trajectory.hdf5", "w") as file:
            file.attrs["sim"], file.attrs["compress"] = False, True
            _put(file, {"puppet/joint_position": _walk(rng, frames, 8), "puppet/end_effector": _walk(rng, frames, 6)})
            _put(file, {"master/joint_position": _walk(rng, frames, 8)})
            for i, camera in enumerate(("camera_top", "camera_left")):
                images = _pictures(20 * number + 7 * i, frames)
                rgb = file.require_group("observations/rgb_images")
                _put_blobs(rgb, camera, [_jpeg(image if ordinary else image[..., ::-1]) for image in images])
                depth = file.require_group("observations/depth_images")
                _put_blobs(depth, camera, [b"\x89PNG depth"] * frames)
    table = "task,instruction\nbread_in_basket,put the bread into the basket\n"
    (root / "RoboMIND_v1_2_instr.csv").write_text(table)
    return root


def _write_video(path: Path, images: NDArray[np.uint8], fps: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    encoder = Encoder(path, images.shape[1:], fps, "h264")
    for image in images:
        encoder.add(image)
    encoder.close()


def write_agibot(folder: Path, *, episodes: int = 2, frames: int = 12, seed: int = 0) -> Path:
    """AgiBot World's tree for one task with grippers at 30 Hz; returns its folder."""
    rng, task = np.random.default_rng(seed), "327"
    said: list[dict[str, Any]] = []
    for number in range(episodes):
        episode = str(648642 + number)
        stats = folder / "proprio_stats" / task / episode
        stats.mkdir(parents=True)
        with h5py.File(stats / "proprio_stats.h5", "w") as file:
            for top in ("state", "action"):
                _put(file, _agibot_arrays(rng, frames, top))
            _put(file, {"timestamp": 10**18 + np.arange(frames, dtype=np.int64) * 33_333_333})
        videos = folder / "observations" / task / episode / "videos"
        for i, camera in enumerate(("head_color", "hand_left_color")):
            _write_video(videos / f"{camera}.mp4", _pictures(20 * number + 7 * i, frames), 30)
        label = {"start_frame": 0, "end_frame": frames, "action_text": "Pick up onion.", "skill": "Pick"}
        said.append({"episode_id": int(episode), "task_id": 327, "task_name": "Picking items in Supermarket"})
        said[-1] |= {"init_scene_text": "At the shelf.", "label_info": {"action_config": [label]}}
    (folder / "task_info").mkdir()
    (folder / "task_info" / f"task_{task}.json").write_text(json.dumps(said))
    return folder


def _agibot_arrays(rng: np.random.Generator, frames: int, top: str) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {
        f"{top}/effector/position": rng.uniform(0, 1, (frames, 2)),
        f"{top}/end/orientation": rng.normal(size=(frames, 2, 4)),
        f"{top}/end/position": rng.normal(size=(frames, 2, 3)),
        f"{top}/head/position": _walk(rng, frames, 2),
        f"{top}/joint/position": _walk(rng, frames, 14),
        f"{top}/joint/effort": np.zeros(0),
        f"{top}/waist/position": _walk(rng, frames, 2),
    }
    found = {name: values.astype(np.float32) for name, values in found.items()}
    if top == "action":
        found["action/joint/index"] = np.arange(frames, dtype=np.int64)
    return found


def write_droid(folder: Path, *, episodes: int = 2, frames: int = 12, seed: int = 0, video_fps: int = 15) -> Path:
    """DROID's raw tree of one lab; returns its folder.

    Args:
        video_fps: the rate that the videos claim to play at.
    """
    rng = np.random.default_rng(seed)
    for number in range(episodes):
        place = folder / "success" / "2023-05-14" / f"Sun_May_14_00:51:{15 + number}_2023"
        place.mkdir(parents=True)
        serials = {name: f"{16787047 + 1000 * number + i}" for i, name in enumerate(_DROID_CAMERAS)}
        with h5py.File(place / "trajectory.h5", "w") as file:
            file.attrs["success"], file.attrs["current_task"] = True, "Put the marker in the pot"
            _put(file, _droid_arrays(rng, frames, serials))
        metadata: dict[str, Any] = {"uuid": f"IPRL+1d50f2b9+{number}", "lab": "IPRL", "success": True}
        metadata |= {"current_task": "Put the marker in the pot", "trajectory_length": frames, "r2d2_version": "1.1"}
        metadata |= {f"{name}_cam_serial": serial for name, serial in serials.items()}
        metadata["wrist_mp4_path"] = "../../elsewhere.mp4"  # a path from inside a file: not to be followed
        (place / f"metadata_IPRL+1d50f2b9+{number}.json").write_text(json.dumps(metadata))
        for i, serial in enumerate(serials.values()):
            video = place / "recordings" / "MP4" / f"{serial}.mp4"
            _write_video(video, _pictures(20 * number + 7 * i, frames), video_fps)
    return folder


def _droid_arrays(rng: np.random.Generator, frames: int, serials: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    for space, width in (("cartesian", 6), ("joint", 7)):
        found |= {f"action/{space}_{kind}": _walk(rng, frames, width) for kind in ("position", "velocity")}
    found |= {f"action/gripper_{kind}": rng.uniform(0, 1, frames) for kind in ("position", "velocity")}
    robot, clock = "observation/robot_state", 1_684_022_000_000 + 66 * np.arange(frames, dtype=np.int64)
    found |= {f"{robot}/joint_positions": _walk(rng, frames, 7), f"{robot}/joint_velocities": _walk(rng, frames, 7)}
    found |= {
        f"{robot}/gripper_position": rng.uniform(0, 1, frames),
        f"{robot}/cartesian_position": _walk(rng, frames, 6),
    }
    found |= {f"{robot}/prev_command_successful": np.ones(frames, bool)}
    found |= {"observation/controller_info/movement_enabled": np.ones(frames, bool)}
    found |= {"observation/timestamp/control/step_start": clock, "observation/timestamp/skip_action": clock > 0}
    for name, serial in serials.items():
        found[f"observation/camera_type/{serial}"] = np.full(frames, int(name != "wrist"), np.int64)
        found[f"observation/camera_extrinsics/{serial}_left"] = _walk(rng, frames, 6)
        found[f"observation/timestamp/cameras/{serial}_frame_received"] = clock + 5
    return found
