"""A small arm's bags: joints, a command, a camera, a force sensor and transforms, each at its own rate with jitter."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

__all__ = ["MAPPING", "write"]

MAPPING: dict[str, Any] = {
    "fps": 20,
    "clock": "header",
    "instruction": "Push the red block to the left.",
    "robot": "sample-arm",
    "fields": {
        "observation.state": {
            "topic": "/joint_states",
            "element": "position",
            "names": ["shoulder", "elbow", "wrist"],
            "unit": "rad",
            "mode": "absolute",
        },
        "action": {
            "topic": "/command",
            "names": ["shoulder", "elbow", "wrist"],
            "unit": "rad",
            "mode": "absolute",
            "clock": "log",
        },
        "observation.images.front": {"topic": "/camera/image/compressed", "role": "front"},
        "wrench": {"topic": "/wrench", "stream": True},
    },
}
"""What the sample's topics mean."""

_START_NS = 1_700_000_000_000_000_000
_SECONDS = 1.0
_JOINTS = ("shoulder", "elbow", "wrist")
_RATES_HZ = {"/joint_states": 100, "/command": 20, "/camera/image/compressed": 20, "/wrench": 200, "/tf": 50}
_TYPES = {
    "/joint_states": "sensor_msgs/msg/JointState",
    "/command": "std_msgs/msg/Float64MultiArray",
    "/camera/image/compressed": "sensor_msgs/msg/CompressedImage",
    "/wrench": "geometry_msgs/msg/WrenchStamped",
    "/tf": "tf2_msgs/msg/TFMessage",
}


def write(folder: Path, *, episodes: int = 2, seed: int = 0, storage: Literal["mcap", "db3"] = "mcap") -> Path:
    """Writes `episodes` bags of one second into `folder` and returns it; the same seed gives the same messages.

    Args:
        storage: `mcap` in zstd chunks with every checksum the format has, or `db3`, which has none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for episode in range(episodes):
        messages = list(_messages(np.random.default_rng([seed, episode])))
        target = folder / f"episode_{chr(ord('a') + episode)}"
        (_write_mcap if storage == "mcap" else _write_db3)(target, messages)
    return folder


def _messages(rng: np.random.Generator) -> Iterator[tuple[int, str, Any]]:
    """(recorder's time, topic, message) in the order of recording."""
    from rosbags.typesys import Stores, get_typestore

    types = get_typestore(Stores.ROS2_JAZZY).types
    stamps = []
    for topic, rate in _RATES_HZ.items():
        count = int(_SECONDS * rate)
        jitter = rng.uniform(-0.1, 0.1, count) / rate
        stamps += [(int((k / rate + jitter[k] + 0.01) * 1e9), topic, k) for k in range(count)]
    for time_ns, topic, k in sorted(stamps):
        stamp_ns = _START_NS + time_ns
        delay_ns = int(rng.uniform(2e5, 8e5))
        yield stamp_ns + delay_ns, topic, _message(types, topic, stamp_ns, k, rng)


def _message(types: Any, topic: str, stamp_ns: int, k: int, rng: np.random.Generator) -> Any:
    stamp = types["builtin_interfaces/msg/Time"](stamp_ns // 10**9, stamp_ns % 10**9)
    header = types["std_msgs/msg/Header"](stamp, "base")
    phase = stamp_ns % 10**9 / 1e9 + np.arange(3)
    vector = types["geometry_msgs/msg/Vector3"]
    if topic == "/joint_states":
        return types[_TYPES[topic]](header, list(_JOINTS), np.sin(phase), np.cos(phase), rng.normal(size=3))
    if topic == "/command":
        layout = types["std_msgs/msg/MultiArrayLayout"]([], 0)
        return types[_TYPES[topic]](layout, np.sin(phase + 0.05))
    if topic == "/camera/image/compressed":
        return types[_TYPES[topic]](header, "jpeg", _jpeg(k))
    if topic == "/wrench":
        wrench = types["geometry_msgs/msg/Wrench"](vector(*rng.normal(size=3)), vector(*rng.normal(size=3)))
        return types[_TYPES[topic]](header, wrench)
    turn = types["geometry_msgs/msg/Quaternion"](0.0, 0.0, float(np.sin(k / 100)), float(np.cos(k / 100)))
    move = types["geometry_msgs/msg/Transform"](vector(0.1, 0.2, 0.3 + k / 1000), turn)
    return types[_TYPES[topic]]([types["geometry_msgs/msg/TransformStamped"](header, "tool", move)])


def _jpeg(k: int) -> Any:
    """A block that moves to the left over a plain table, 32 x 24."""
    picture = np.full((24, 32, 3), 200, np.uint8)
    left = max(24 - k, 0)
    picture[8:16, left : left + 8] = (220, 20, 20)
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=90)
    return np.frombuffer(out.getvalue(), np.uint8)


def _write_mcap(target: Path, messages: list[tuple[int, str, Any]]) -> None:
    from mcap.writer import CompressionType, Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    target.mkdir(parents=True)
    name = f"{target.name}.mcap"
    with (target / name).open("wb") as file:
        writer = Writer(file, chunk_size=16 * 1024, compression=CompressionType.ZSTD, enable_data_crcs=True)
        writer.start("ros2", "roboscale")
        channels = {}
        for topic, kind in _TYPES.items():
            schema = writer.register_schema(kind, "ros2msg", store.generate_msgdef(kind, ros_version=2)[0].encode())
            channels[topic] = writer.register_channel(topic, "cdr", schema)
        for number, (log_ns, topic, message) in enumerate(messages):
            data = bytes(store.serialize_cdr(message, _TYPES[topic]))
            writer.add_message(channels[topic], log_ns, data, log_ns, number)
        writer.finish()
    (target / "metadata.yaml").write_text(_metadata(name, messages))


def _metadata(name: str, messages: list[tuple[int, str, Any]]) -> str:
    first, last = messages[0][0], messages[-1][0]
    topics = "".join(
        f"    - topic_metadata:\n        name: {topic}\n        type: {kind}\n        serialization_format: cdr\n"
        f'        offered_qos_profiles: ""\n      message_count: {sum(t == topic for _, t, _ in messages)}\n'
        for topic, kind in _TYPES.items()
    )
    return (
        "rosbag2_bagfile_information:\n  version: 5\n  storage_identifier: mcap\n"
        f"  duration:\n    nanoseconds: {last - first}\n  starting_time:\n    nanoseconds_since_epoch: {first}\n"
        f"  message_count: {len(messages)}\n  topics_with_message_count:\n{topics}"
        f'  compression_format: ""\n  compression_mode: ""\n  relative_file_paths:\n    - {name}\n'
    )


def _write_db3(target: Path, messages: list[tuple[int, str, Any]]) -> None:
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    with Writer(target, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        links = {topic: writer.add_connection(topic, kind, typestore=store) for topic, kind in _TYPES.items()}
        for log_ns, topic, message in messages:
            writer.write(links[topic], log_ns, store.serialize_cdr(message, _TYPES[topic]))
