"""Defects in what a dataset holds: its numbers, instructions and pictures. Metadata and statistics stay true."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Episode, new_episode_id
from tests.defects.planting import Arrays, Defect, Plant, Rng, change, edit_columns, record_again

__all__ = ["CONTENT_DEFECTS"]


def _numbers(edit: Callable[[Arrays, Rng], None], *, state_again: bool = True) -> Plant:
    return lambda root, rng: edit_columns(root, lambda arrays: edit(arrays, rng), state_again=state_again)


def _rows_of(arrays: Arrays, episode: int) -> NDArray[np.int64]:
    return np.flatnonzero(arrays["episode_index"] == episode)


def _skip_frame(arrays: Arrays, rng: Rng) -> None:
    arrays["frame_index"][_rows_of(arrays, 2)[10:]] += 1


def _skip_index(arrays: Arrays, rng: Rng) -> None:
    arrays["index"][_rows_of(arrays, 4)] += 7


def _slow_clock(arrays: Arrays, rng: Rng) -> None:
    arrays["timestamp"][_rows_of(arrays, 3)] *= 1.01


def _other_task(arrays: Arrays, rng: Rng) -> None:
    rows = _rows_of(arrays, 2)
    arrays["task_index"][rows] = 1 - arrays["task_index"][rows]


def _nan(arrays: Arrays, rng: Rng) -> None:
    arrays["observation.state"][_rows_of(arrays, 5)[20:23], 1] = np.nan


def _back_in_time(arrays: Arrays, rng: Rng) -> None:
    arrays["time.frame_ns"][_rows_of(arrays, 1)[30]] -= 10**9


def _constant(arrays: Arrays, rng: Rng) -> None:
    arrays["observation.state"][:, 4] = 0.25


def _twin(arrays: Arrays, rng: Rng) -> None:
    arrays["observation.state"][:, 3] = arrays["observation.state"][:, 1]


def _spike(arrays: Arrays, rng: Rng) -> None:
    arrays["observation.state"][_rows_of(arrays, 6)[33], 2] += 3.0


def _saturated(arrays: Arrays, rng: Rng) -> None:
    column = arrays["action"][:, 0]
    arrays["action"][:, 0] = np.clip(column, *np.quantile(column, [0.35, 1.0]))


def _copy_state(arrays: Arrays, rng: Rng) -> None:
    arrays["action"][:] = arrays["observation.state"]


def _ignored(arrays: Arrays, rng: Rng) -> None:
    rows = _rows_of(arrays, 3)
    t = np.arange(len(rows))[:, None] / len(rows)
    waves = np.sin(2 * np.pi * (t * rng.uniform(4, 7, 5) + rng.uniform(0, 1, 5)))
    arrays["action"][rows, :5] = waves


def _late(arrays: Arrays, rng: Rng) -> None:
    rows = _rows_of(arrays, 5)
    for name in ("observation.state",):
        values = arrays[name][rows].copy()
        arrays[name][rows] = np.concatenate([np.repeat(values[:1], 7, axis=0), values[:-7]])


def _gripper_flip(arrays: Arrays, rng: Rng) -> None:
    rows = _rows_of(arrays, 2)
    arrays["action"][rows, -1] = 1 - arrays["action"][rows, -1]


def _degrees(arrays: Arrays, rng: Rng) -> None:
    rows = _rows_of(arrays, 4)
    for name in ("observation.state", "action"):
        arrays[name][rows, :-1] = np.rad2deg(arrays[name][rows, :-1])


def _state_to_come(arrays: Arrays, rng: Rng) -> None:
    for episode in range(8):
        rows = _rows_of(arrays, episode)
        arrays["action"][rows] = arrays["observation.state"][rows[np.minimum(np.arange(len(rows)) + 3, len(rows) - 1)]]


def _against(arrays: Arrays, rng: Rng) -> None:
    arrays["action"][:, 1] *= -1


def _all_in_degrees(arrays: Arrays, rng: Rng) -> None:
    arrays["action"][:, :-1] = np.rad2deg(arrays["action"][:, :-1])


def _frozen_state(arrays: Arrays, rng: Rng) -> None:
    rows = _rows_of(arrays, 3)[20:34]
    arrays["observation.state"][rows] = arrays["observation.state"][rows[0]]


def _dead_joint(arrays: Arrays, rng: Rng) -> None:
    arrays["observation.state"][_rows_of(arrays, 2), 1] = 0.4


def _clipped(arrays: Arrays, rng: Rng) -> None:
    column, rows = arrays["action"][:, 0], _rows_of(arrays, 3)
    limit = column.max()
    high = np.argsort(column[rows])[-int(0.5 * len(rows)) :]
    column[rows[high]] = limit


def _wrapped(arrays: Arrays, rng: Rng) -> None:
    for name in ("observation.state", "action"):
        turned = 2.2 * arrays[name][:, 4]
        arrays[name][:, 4] = (turned + np.pi) % (2 * np.pi) - np.pi


def _fast_clock(arrays: Arrays, rng: Rng) -> None:
    clock, rows = arrays["time.frame_ns"], _rows_of(arrays, 4)
    clock[rows] = clock[rows[0]] + ((clock[rows] - clock[rows[0]]) / 1.07).astype(np.int64)


def _episodes(edit: Callable[[list[Episode], Rng], None]) -> Plant:
    """Edits the list of episodes and records it again."""

    def plant(root: Path, rng: Rng) -> None:
        def edited(episodes: list[Episode]) -> list[Episode]:
            edit(episodes, rng)
            return episodes

        record_again(root, edited)

    return plant


def _task(text: str, episode: int = 1) -> Plant:
    def edit(episodes: list[Episode], rng: Rng) -> None:
        episodes[episode] = change(episodes[episode], text)

    return _episodes(edit)


def _pick(episode: Episode, rows: NDArray[np.int64]) -> Episode:
    """The same episode with these frames; a clock goes on counting."""
    arrays = {name: np.array(values[rows]) for name, values in episode.arrays.items()}
    if "time.frame_ns" in arrays:
        start = arrays["time.frame_ns"][:1]
        arrays["time.frame_ns"] = start + 50_000_000 * np.arange(len(rows))[:, None]
    return dataclasses.replace(episode, arrays=arrays)


def _one_frame(episodes: list[Episode], rng: Rng) -> None:
    episodes[3] = _pick(episodes[3], np.array([40]))


def _short(episodes: list[Episode], rng: Rng) -> None:
    episodes[3] = _pick(episodes[3], np.arange(30, 42))


def _rest(lead: int, tail: int) -> Callable[[list[Episode], Rng], None]:
    def edit(episodes: list[Episode], rng: Rng) -> None:
        for i in (2, 5):
            last = len(episodes[i]) - 1
            rows = np.clip(np.arange(-lead, last + 1 + tail), 0, last)
            still = _pick(episodes[i], rows)
            noise = rng.normal(0, 1e-3, still.arrays["observation.state"].shape)
            noise[lead : lead + last + 1] = 0
            state = (still.arrays["observation.state"] + noise).astype(np.float32)
            episodes[i] = change(still, observation_state=state)

    return edit


def _pauses(episodes: list[Episode], rng: Rng) -> None:
    """Whoever drives thinks for .6 s, four times an episode; a sensor has its noise meanwhile."""
    for i, episode in enumerate(episodes):
        rows = np.sort(np.concatenate([np.arange(len(episode)), np.repeat((12, 24, 36, 48), 12)]))
        still = _pick(episode, rows)
        noise = rng.normal(0, 1e-3, still.arrays["observation.state"].shape)
        episodes[i] = change(still, observation_state=(still.arrays["observation.state"] + noise).astype(np.float32))


def _again(episodes: list[Episode], rng: Rng) -> None:
    twin = episodes[2]
    state = twin.arrays["observation.state"]
    noisy = (state + rng.normal(0, 1e-3, state.shape)).astype(np.float32)
    action = (twin.arrays["action"] * np.float32(1.001)).astype(np.float32)
    episodes[6] = dataclasses.replace(change(twin, observation_state=noisy, action=action), id=new_episode_id(rng))


def _part(episodes: list[Episode], rng: Rng) -> None:
    cut = _pick(episodes[1], np.arange(8, len(episodes[1]) - 6))
    episodes[7] = dataclasses.replace(cut, id=new_episode_id(rng))


def _black(episodes: list[Episode], rng: Rng) -> None:
    images = episodes[4].arrays["observation.images.front"].copy()
    images[20:60] = 0
    episodes[4] = change(episodes[4], observation_images_front=images)


def _frozen(episodes: list[Episode], rng: Rng) -> None:
    images = episodes[4].arrays["observation.images.front"].copy()
    images[20:55] = images[20]
    episodes[4] = change(episodes[4], observation_images_front=images)


def _swapped(episodes: list[Episode], rng: Rng) -> None:
    a, b = (episodes[5].arrays[f"observation.images.{name}"] for name in ("front", "wrist"))
    episodes[5] = change(episodes[5], observation_images_front=b, observation_images_wrist=a)


def _dead_taxel(arrays: Arrays, rng: Rng) -> None:
    arrays["observation.tactile.left"].reshape(-1, 16)[:, 6] = 0.03


def _dead_in_one(arrays: Arrays, rng: Rng) -> None:
    arrays["observation.tactile.left"].reshape(-1, 16)[_rows_of(arrays, 4), 9] = 0.01


def _drifting(arrays: Arrays, rng: Rng) -> None:
    arrays["observation.wrench"][:, 2] += 0.25 * arrays["episode_index"].reshape(-1)


def _pressed_too_far(arrays: Arrays, rng: Rng) -> None:
    skin = arrays["observation.tactile.left"].reshape(-1, 16)
    skin[:, 15] = np.minimum(skin[:, 15], 1.0)


def _camera_stands(arrays: Arrays, rng: Rng) -> None:
    name = "observation.extrinsics.wrist"
    arrays[name][:] = arrays[name][:1]


def _camera_elsewhere(arrays: Arrays, rng: Rng) -> None:
    places, rows = arrays["observation.extrinsics.wrist"].reshape(-1, 4, 4), _rows_of(arrays, 2)
    places[rows, :3, 3] = places[rows[::-1], :3, 3]


def _hand_for_joints(arrays: Arrays, rng: Rng) -> None:
    arrays["action"][:, :3] = np.concatenate([arrays["observation.eef_pos"][2:], arrays["observation.eef_pos"][-2:]])
    arrays["complementary_info.policy_action"][:] = arrays["action"]


def _taken_over(arrays: Arrays, rng: Rng) -> None:
    arrays["complementary_info.is_intervention"][_rows_of(arrays, 5)[20:35]] = 1


def _safety_layer(arrays: Arrays, rng: Rng) -> None:
    arrays["complementary_info.policy_action"][_rows_of(arrays, 3)[10:30], 1] += 0.3


def _not_succeeded(arrays: Arrays, rng: Rng) -> None:
    arrays["next.success"][_rows_of(arrays, 6)] = False


_FEELING = "whole-attempts"
_PLAIN = "no-camera"

CONTENT_DEFECTS: Mapping[str, Defect] = MappingProxyType(
    {
        "frame-skipped": Defect("frame-index", _PLAIN, _numbers(_skip_frame, state_again=False)),
        "index-leaps": Defect("index-column", _PLAIN, _numbers(_skip_index, state_again=False)),
        "timestamps-drift": Defect("timestamp-column", _PLAIN, _numbers(_slow_clock, state_again=False)),
        "wrong-task": Defect("task-index", _PLAIN, _numbers(_other_task, state_again=False)),
        "empty-task": Defect("task-empty", _PLAIN, _task("")),
        "placeholder-task": Defect("task-placeholder", _PLAIN, _task("Task 1")),
        "one-word-task": Defect("task-one-word", _PLAIN, _task("stacking")),
        "task-spelled-twice": Defect("task-duplicate", _PLAIN, _task("Stack the  Blue cup onto the green one")),
        "one-frame": Defect("one-frame-episode", _PLAIN, _episodes(_one_frame)),
        "far-too-short": Defect("outlier-length", _PLAIN, _episodes(_short)),
        "nan": Defect("not-finite", _PLAIN, _numbers(_nan, state_again=False)),
        "clock-backwards": Defect("clock-backwards", _PLAIN, _numbers(_back_in_time)),
        "dead-joint": Defect("constant-dimension", _PLAIN, _numbers(_constant)),
        "joint-twice": Defect("duplicate-dimension", _PLAIN, _numbers(_twin)),
        "action-is-state-to-come": Defect("action-later-state", _PLAIN, _numbers(_state_to_come)),
        "joint-commanded-backwards": Defect("action-sign", _PLAIN, _numbers(_against)),
        "action-in-degrees": Defect("action-unit", _PLAIN, _numbers(_all_in_degrees)),
        "state-frozen": Defect("frozen-state", _PLAIN, _numbers(_frozen_state)),
        "joint-dead-in-one": Defect("dead-element", _PLAIN, _numbers(_dead_joint)),
        "command-clipped": Defect("clipped-command", _PLAIN, _numbers(_clipped)),
        "angle-wraps": Defect("wrap-around", _PLAIN, _numbers(_wrapped)),
        "clock-fast": Defect("clock-rate", _PLAIN, _numbers(_fast_clock)),
        "slow-start": Defect("idle-lead", "joint", _episodes(_rest(40, 0))),
        "slow-end": Defect("idle-tail", _PLAIN, _episodes(_rest(0, 40))),
        "pauses": Defect("resting", _PLAIN, _episodes(_pauses)),
        "spike": Defect("spikes", _PLAIN, _numbers(_spike)),
        "saturated": Defect("saturation", _PLAIN, _numbers(_saturated)),
        "action-copied": Defect("action-copies-state", _PLAIN, _numbers(_copy_state)),
        "action-unrelated": Defect("action-ignored", _PLAIN, _numbers(_ignored)),
        "action-early": Defect("action-lag", _PLAIN, _numbers(_late)),
        "gripper-flipped": Defect("gripper-sign", _PLAIN, _numbers(_gripper_flip)),
        "degrees": Defect("unit-mismatch", _PLAIN, _numbers(_degrees)),
        "same-with-noise": Defect("near-duplicate", _PLAIN, _episodes(_again)),
        "same-but-cut": Defect("near-duplicate", _PLAIN, _episodes(_part)),
        "taxel-dead": Defect("dead-taxel", _FEELING, _numbers(_dead_taxel)),
        "taxel-dead-in-one": Defect("dead-taxel", _FEELING, _numbers(_dead_in_one)),
        "wrench-drifts": Defect("drifting-zero", _FEELING, _numbers(_drifting)),
        "taxel-saturated": Defect("touch-saturation", _FEELING, _numbers(_pressed_too_far)),
        "wrist-camera-stands": Defect("camera-off-hand", _FEELING, _numbers(_camera_stands)),
        "wrist-camera-elsewhere": Defect("camera-off-hand", _FEELING, _numbers(_camera_elsewhere)),
        "hand-called-joints": Defect("action-space", _FEELING, _numbers(_hand_for_joints)),
        "person-took-over": Defect("corrected-frames", _FEELING, _numbers(_taken_over)),
        "safety-layer": Defect("action-beside", _FEELING, _numbers(_safety_layer)),
        "attempt-failed": Defect("attempt-failed", _FEELING, _numbers(_not_succeeded)),
        "black-camera": Defect("black-camera", "joint", _episodes(_black)),
        "frozen-camera": Defect("frozen-camera", "joint", _episodes(_frozen)),
        "swapped-cameras": Defect("swapped-cameras", "two-cameras", _episodes(_swapped)),
    }
)
"""What is wrong -> the defect."""
