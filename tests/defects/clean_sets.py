"""Small datasets with nothing wrong: six kinds of robot, made up but moving as robots do.

An audit that finds something in them is wrong. `tests.defects.planted` plants defects into copies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Episode, Field, Outcome, Provenance, Spec, UnknownName, new_episode_id, write_episode
from roboscale.dataset import DatasetWriter

__all__ = ["KINDS", "clean", "write_set"]

RATE_HZ = 20
EPISODES = 8
HEIGHT, WIDTH = 48, 64
CARD = "---\nlicense: apache-2.0\ntask_categories:\n- robotics\n---\n# A dataset that was made up\n"
TASKS = (
    "Put the red block into the left bowl.",
    "Stack the blue cup onto the green one.",
)
_ARM = ("shoulder_pan", "shoulder_lift", "elbow", "wrist_flex", "wrist_roll")
_EEF = ("x", "y", "z", "roll", "pitch", "yaw")

Floats = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]


def clean(folder: Path, kind: str, seed: int = 0) -> Path:
    """Writes the clean set of one of `KINDS` into `folder` and returns it.

    Eight episodes of 60 to 90 frames at 20 Hz, two tasks, sealed in two parts; the same seed gives the same numbers.
    UnknownName for another kind.
    """
    if kind not in KINDS:
        raise UnknownName("kind of clean set", kind, KINDS)
    spec, simulate = KINDS[kind]
    rng = np.random.default_rng([seed, sorted(KINDS).index(kind)])
    episodes = []
    for number in range(EPISODES):
        arrays = simulate(spec, rng, int(rng.integers(60, 90)))
        source = Provenance("synthetic", embodiment=f"made-up-{kind}", licence="Apache-2.0", seed=seed)
        outcome = Outcome("success", steps=len(arrays["action"]))
        id_ = new_episode_id(rng)
        episodes.append(
            Episode(
                id=id_, spec=spec, arrays=arrays, instruction=TASKS[number % 2], provenance=source, outcome=outcome
            )
        )
    return write_set(folder, spec, episodes, f"made-up-{kind}")


def write_set(folder: Path, spec: Spec, episodes: list[Episode], robot_type: str) -> Path:
    """Episodes as a dataset of two parts, with a card that names the licence."""
    with DatasetWriter(folder, spec, robot_type=robot_type, durable=False) as writer:
        for number, episode in enumerate(episodes):
            if number == len(episodes) // 2:
                writer.seal()
            write_episode(writer, episode)
    (folder / "README.md").write_text(CARD, "utf-8")
    return folder


def _path(rng: np.random.Generator, length: int, dimensions: int) -> Floats:
    """(T, D) through random points, each leg smooth (minimum jerk), in -1..1 and never at rest for long."""
    legs = 4
    bounds = np.linspace(0, length - 1, legs + 1) + np.r_[0, rng.uniform(-3, 3, legs - 1), 0]
    points = rng.uniform(-1, 1, (legs + 1, dimensions))
    points[1:] += 0.4 * np.sign(points[1:] - points[:-1])
    t = np.arange(length)[:, None]
    rows = np.repeat(points[:1], length, axis=0)
    for leg in range(legs):
        u = np.clip((t - bounds[leg]) / (bounds[leg + 1] - bounds[leg]), 0, 1)
        rows += (points[leg + 1] - points[leg]) * (10 * u**3 - 15 * u**4 + 6 * u**5)
    return rows


def _follow(target: Floats, lag: int, noise: Floats) -> Floats:
    """A controlled robot: `lag` frames late, a little smoothed, with sensor noise."""
    late = np.concatenate([np.repeat(target[:1], lag, axis=0), target[: len(target) - lag]])
    rows = late.copy()
    for i in range(1, len(rows)):
        rows[i] = 0.35 * rows[i - 1] + 0.65 * late[i]
    return rows + noise


def _gripper(rng: np.random.Generator, length: int) -> tuple[Floats, Floats]:
    """Open at first, closed on the object, open again: command in {0, 1} and the width that follows, (T, 1) each."""
    close, release = int(length * rng.uniform(0.25, 0.35)), int(length * rng.uniform(0.75, 0.85))
    command = np.ones((length, 1))
    command[close:release] = 0.0
    width = np.empty_like(command)
    width[0] = 1.0
    for i in range(1, length):
        width[i] = width[i - 1] + np.clip(command[i - 1] - width[i - 1], -0.2, 0.2)
    return command, width + rng.normal(0, 2e-3, width.shape)


def _joint(spec: Spec, rng: np.random.Generator, length: int) -> Arrays:
    """Absolute joint targets; the arm follows three frames later."""
    size = int(np.prod(spec["action"].shape))
    arms = size // (len(_ARM) + 1)
    targets, states = [], []
    for _ in range(arms):
        target = _path(rng, length, len(_ARM)) * np.array([1.2, 0.8, 0.9, 0.7, 1.5])
        command, width = _gripper(rng, length)
        targets += [target, command]
        states += [_follow(target, 3, rng.normal(0, 1e-3, target.shape)), width]
    return _frames(spec, rng, np.concatenate(targets, axis=1), np.concatenate(states, axis=1))


def _delta(spec: Spec, rng: np.random.Generator, length: int) -> Arrays:
    """End-effector steps, as a person gives them; the arm follows two frames later."""
    scale = np.array([0.15, 0.2, 0.1, 0.3, 0.3, 0.6])
    path = _path(rng, length + 1, 6) * scale
    steps = np.diff(path, axis=0) + rng.normal(0, 2e-3, (length, 6)) * scale
    pose = path[0] + np.cumsum(steps, axis=0)
    command, width = _gripper(rng, length)
    state = _follow(pose, 2, rng.normal(0, 5e-4, pose.shape) * scale)
    return _frames(spec, rng, np.concatenate([steps, command], axis=1), np.concatenate([state, width], axis=1))


def _frames(spec: Spec, rng: np.random.Generator, action: Floats, state: Floats) -> Arrays:
    arrays: Arrays = {"observation.state": state.astype(np.float32), "action": action.astype(np.float32)}
    for number, field in enumerate(spec.images):
        arrays[field.name] = _film(rng, state, number)
    if "time.frame_ns" in spec:
        start = 1_700_000_000_000_000_000 + int(rng.integers(10**15))
        jitter = rng.integers(-2_000_000, 2_000_000, len(state))
        arrays["time.frame_ns"] = (start + np.arange(len(state)) * (10**9 // RATE_HZ) + jitter)[:, None]
    return {f.name: arrays[f.name] for f in spec}


def _film(rng: np.random.Generator, state: Floats, camera: int) -> NDArray[np.uint8]:
    """(T, H, W, 3): a table, an arm that moves with the state, an object, and the noise of a sensor."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    walls = (np.array([150.0, 140, 120]), np.array([70.0, 95, 130]))[camera % 2]
    floor = (0.9 * y + 0.4 * x if camera % 2 == 0 else 1.1 * x - 0.5 * y)[..., None]
    level, films = np.tanh(state[:, :2]), []
    place = rng.uniform(8, 20, 2)
    for u, v in level:
        picture = walls + floor
        for centre, size, colour in (
            ((WIDTH / 2 + 20 * u, HEIGHT / 2 + 12 * v), 7, (60.0, 60, 70)),
            ((place[0] + 6 * u, HEIGHT - place[1]), 4, (210.0, 50, 40)),
        ):
            soft = np.clip(size - np.hypot(x - centre[0], y - centre[1]), 0, 2)[..., None] / 2
            picture = picture * (1 - soft) + np.array(colour) * soft
        films.append(picture + rng.normal(0, 2, picture.shape))
    return np.asarray(np.clip(np.stack(films), 0, 255), np.uint8)


def _spec(state: tuple[str, ...], *cameras: str, mode: str = "absolute", clock: bool = False) -> Spec:
    size = (len(state),)
    fields = [
        Field("observation.state", size, "float32", unit="mixed", layout=state),
        Field("action", size, "float32", unit="mixed", layout=state, mode=mode),
    ]
    fields += [Field(f"observation.images.{name}", (HEIGHT, WIDTH, 3), "uint8", role=name) for name in cameras]
    fields += [Field("time.frame_ns", (1,), "int64", unit="ns")] if clock else []
    return Spec(tuple(fields), RATE_HZ)


_ONE = (*_ARM, "gripper")
_TWO = tuple(f"{side}_{name}" for side in ("left", "right") for name in (*_ARM, "wrist_yaw", "gripper"))

Simulate = Callable[[Spec, np.random.Generator, int], Arrays]


def _bimanual(spec: Spec, rng: np.random.Generator, length: int) -> Arrays:
    """Two arms of six joints and a gripper each, 14 in all."""
    targets, states = [], []
    for _ in range(2):
        target = _path(rng, length, 6)
        command, width = _gripper(rng, length)
        targets += [target, command]
        states += [_follow(target, 2, rng.normal(0, 1e-3, target.shape)), width]
    return _frames(spec, rng, np.concatenate(targets, axis=1), np.concatenate(states, axis=1))


_TOUCHING = Spec(
    (
        Field("observation.state", (6,), "float32", unit="rad", layout=_ONE),
        Field("observation.eef_pos", (3,), "float32", unit="m", frame="base", layout=("x", "y", "z")),
        Field(
            "observation.wrench",
            (6,),
            "float32",
            unit="mixed",
            frame="wrist",
            layout=("fx", "fy", "fz", "tx", "ty", "tz"),
        ),
        Field("observation.tactile.left", (4, 4), "float32", unit="N"),
        Field("observation.extrinsics.wrist", (4, 4), "float32", frame="base"),
        Field("action", (6,), "float32", unit="rad", layout=_ONE),
        Field("complementary_info.policy_action", (6,), "float32", unit="rad", layout=_ONE),
        Field("complementary_info.is_intervention", (1,), "float32"),
        Field("next.success", (1,), "bool"),
    ),
    RATE_HZ,
)


def _turns(q: Floats) -> NDArray[np.float64]:
    """(T, 3, 3) about z by the first joint, then about y by the second."""
    a, b = q[:, 0], q[:, 1]
    one, zero = np.ones_like(a), np.zeros_like(a)
    about_z = np.stack([np.cos(a), -np.sin(a), zero, np.sin(a), np.cos(a), zero, zero, zero, one], axis=1)
    about_y = np.stack([np.cos(b), zero, np.sin(b), zero, one, zero, -np.sin(b), zero, np.cos(b)], axis=1)
    return about_z.reshape(-1, 3, 3) @ about_y.reshape(-1, 3, 3)


def _touching(spec: Spec, rng: np.random.Generator, length: int) -> Arrays:
    """An arm that feels: a wrench and a skin at the gripper, a camera in the hand, a policy that is obeyed."""
    arrays = _joint(spec.select(("observation.state", "action")), rng, length)
    state, action = (arrays[name].astype(np.float64) for name in ("observation.state", "action"))
    turned = _turns(state)
    hand = turned @ np.array([0.3, 0.0, 0.1]) + np.outer(0.2 + 0.1 * state[:, 2], [0, 0, 1])
    pressed = np.clip(1 - state[:, -1:], 0, 1) * 0.7  # the gripper's width is 1 when it is open
    wrench = pressed * np.array([0.5, -0.3, 4.0, 0.02, 0.05, -0.01]) + rng.normal(0, 0.02, (length, 6))
    skin = 0.05 * rng.random(16) + pressed * np.linspace(0.5, 2, 16) + rng.normal(0, 0.01, (length, 16))
    place = np.tile(np.eye(4), (length, 1, 1))
    place[:, :3, :3], place[:, :3, 3] = turned, hand + turned @ np.array([0.02, 0.0, 0.06])
    more = {
        "observation.eef_pos": hand,
        "observation.wrench": wrench,
        "observation.tactile.left": skin.reshape(-1, 4, 4),
        "observation.extrinsics.wrist": place,
        "complementary_info.policy_action": action,
        "complementary_info.is_intervention": np.zeros((length, 1)),
        "next.success": (np.arange(length) == length - 1)[:, None],
    }
    whole = {**arrays, **more}
    return {f.name: np.asarray(whole[f.name], f.dtype) for f in spec}


KINDS: Mapping[str, tuple[Spec, Simulate]] = MappingProxyType(
    {
        "joint": (_spec(_ONE, "front"), _joint),
        "delta": (_spec((*_EEF, "gripper"), "front", mode="relative to state"), _delta),
        "bimanual": (_spec(_TWO, "top"), _bimanual),
        "two-cameras": (_spec(_ONE, "front", "wrist"), _joint),
        "no-camera": (_spec(_ONE, clock=True), _joint),
        "whole-attempts": (_TOUCHING, _touching),
    }
)
"""Kind -> what its frames hold, and how they are made."""
