"""What the gates of a learned world are measured on: its held-out episodes, and nothing that it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roboscale.jobs.learned import CheckedGates, content_of
from roboscale.stats.trust import (
    BARS,
    GateNumber,
    auroc,
    calibration_error,
    gate_number,
    rank_correlation,
)

if TYPE_CHECKING:
    from roboscale.worlds.learned import LearnedWorld, LoggedEpisodes, TwinFrame

__all__ = ["ACTION_HORIZON", "check_gates"]

Floats = NDArray[np.float64]
ACTION_HORIZON = 20
"""Steps over which action following is measured."""

_WINDOWS = 400


def check_gates(world: LearnedWorld, held_out: LoggedEpisodes, failures: LoggedEpisodes | None = None) -> CheckedGates:
    """All gates, in order.

    Args:
        held_out: recorded episodes that the world was not trained on.
        failures: further recorded episodes for gate 3.
    """
    replayed = held_out if failures is None else _both(held_out, failures)
    following, signals = _action_following(world, held_out)
    numbers = [
        *_judge(world, held_out),
        *following,
        *_verified(world, replayed, 0 if failures is None else len(failures.ids)),
        *signals,
        *_coverage(world, held_out),
    ]
    used = [n.name.removeprefix("trust signal (").removesuffix(")") for n in signals if n.held]
    return CheckedGates(world=content_of(world), numbers=tuple(numbers), horizon=ACTION_HORIZON, signals=tuple(used))


def _judge(world: LearnedWorld, held_out: LoggedEpisodes) -> list[GateNumber]:
    """Gate 1: the judge alone, on recorded frames."""
    states, labels = np.concatenate(held_out.states), np.concatenate(held_out.success)
    task = np.concatenate([np.full(len(s), k, np.intp) for s, k in zip(held_out.states, held_out.tasks, strict=True)])
    told = np.isfinite(labels)
    n = int(told.sum())
    if not n:
        said = "no held-out frame is labelled"
        return [gate_number(name, None, 0, said) for name in ("judge accuracy", "judge calibration error")]
    probability, _ = world.judge.read(states[told], task[told])
    happened = labels[told] > 0.5
    right = (probability >= 0.5) == happened
    sides = [float(right[side].mean()) for side in (happened, ~happened) if side.any()]
    balanced = float(np.mean(sides))
    said = f"success in {happened.mean():.3f} of the frames, balanced accuracy {balanced:.3f}"
    if len(sides) < 2:
        said = "every held-out frame is alike: accuracy says nothing"
        return [gate_number(name, None, n, said) for name in ("judge accuracy", "judge calibration error")]
    return [
        gate_number("judge accuracy", float(right.mean()), n, said),
        gate_number("judge calibration error", calibration_error(probability, happened), n),
        _told("1 judge", "balanced accuracy", balanced, n),
        _told("1 judge", "AUROC of the judge", auroc(probability, happened), n),
    ]


def _action_following(world: LearnedWorld, held_out: LoggedEpisodes) -> tuple[list[GateNumber], list[GateNumber]]:
    """Gates 2 and 4: open-loop windows under the actions that were executed, under others, and standing still."""
    frame = world.twin.frame
    windows = _windows_of(held_out)
    if len(windows) < 2:
        said = f"no held-out episode of more than {ACTION_HORIZON} frames"
        return [gate_number("action error ratio", None, len(windows), said)], []
    now = np.stack([held_out.states[e][t] for e, t in windows])
    before = np.stack([held_out.states[e][max(0, t - 1)] for e, t in windows])
    then = np.stack([held_out.states[e][t + ACTION_HORIZON] for e, t in windows])
    actions = np.stack([held_out.actions[e][t : t + ACTION_HORIZON] for e, t in windows])
    task = np.array([held_out.tasks[e] for e, _ in windows], np.intp)
    places = list(frame.elements.predicted)
    placed = _placed(frame)
    moving = np.abs(frame.outputs_of(now, then)[0] * np.array(frame.step))[:, placed].max(axis=1) > 0

    def error(states: Floats, which: list[int] = placed) -> Floats:
        """(B,) root mean square over some of the predicted elements, in their spreads."""
        gap = frame.outputs_of(states, then)[0] * np.array(frame.step) / np.array(frame.spread)[places]
        size: Floats = np.sqrt(np.square(gap[:, which]).mean(axis=1))
        return size

    def ratio(which: list[int]) -> tuple[float | None, str]:
        ends = (states[:, -1], shuffled[:, -1], now)
        own, other, still = (float(np.sqrt(np.square(error(s, which)[moving]).mean())) for s in ends)
        reference = min(other, still)
        said = (
            f"own actions {own:.4f}, others {other:.4f}, standing still {still:.4f} spreads at {ACTION_HORIZON} steps"
        )
        return (own / reference if reference else None), said

    states, spread, residual, away = world.twin.rollout(now, before, actions, task)
    shuffled = world.twin.rollout(now, before, np.roll(actions, len(actions) // 2, axis=0), task)[0]
    n = int(moving.sum())
    recorded = world.twin.residual(
        now, before, np.stack([held_out.states[e][t + 1] for e, t in windows]), actions[:, 0]
    )
    value, said = ratio(placed)
    numbers = [
        gate_number("action error ratio", value, n, said),
        _told("2 action following", "residual of actions read back, recorded", float(recorded.mean()), n),
        _told("2 action following", "residual of actions read back, imagined", float(residual.mean()), n),
    ]
    if len(placed) < len(places):
        whole = ratio(list(range(len(places))))[0]
        numbers.insert(1, _told("2 action following", "the same over all elements, rotations too", whole, n))
    measured = error(states[:, -1])
    found = {
        "ensemble_spread": spread.mean(axis=1),
        "action_residual": residual.mean(axis=1),
        "outside_data": away.max(axis=1),
    }
    signals = [
        gate_number("trust signal", rank_correlation(values, measured), len(windows), of=name)
        for name, values in found.items()
    ]
    return numbers, signals


def _windows_of(held_out: LoggedEpisodes) -> list[tuple[int, int]]:
    """Episode and first frame of windows, at most 400 of them, drawn once and for all."""
    windows = [
        (e, t)
        for e, states in enumerate(held_out.states)
        for t in range(0, len(states) - ACTION_HORIZON, max(1, ACTION_HORIZON // 2))
    ]
    return [windows[i] for i in np.random.default_rng(0).permutation(len(windows))[:_WINDOWS]]


def _placed(frame: TwinFrame) -> list[int]:
    """Which of the predicted are coordinates of points or angles of planar bodies; all where none is.

    The elements of a quaternion change sign, and a puck that spins looks the same: their error says little of a task.
    """
    known = {i for at in frame.elements.points.values() for i in at} | set(frame.elements.angles)
    placed = [n for n, place in enumerate(frame.elements.predicted) if place in known]
    return placed or list(range(len(frame.elements.predicted)))


def _verified(world: LearnedWorld, held_out: LoggedEpisodes, further: int) -> list[GateNumber]:
    """Gate 3: logged episodes replayed open loop, and judged in imagination; `further` of them are from elsewhere."""
    judged = [i for i, outcome in enumerate(held_out.outcomes) if outcome is not None]
    happened = np.array([bool(held_out.outcomes[i]) for i in judged])
    failed, succeeded = int((~happened).sum()), int(happened.sum())
    if not failed or not succeeded:
        said = (
            f"{failed} logged failures and {succeeded} successes are held out: nothing shows that it knows a failure"
        )
        return [gate_number(name, None, len(judged), said) for name in ("failure AUROC", "optimism")]
    from_elsewhere = f", {further} of them from --failures" if further else ""
    best = np.array([_best(world, held_out, i) for i in judged])
    imagined = best >= 0.5
    return [
        gate_number(
            "failure AUROC",
            auroc(1 - best, ~happened),
            len(judged),
            f"{failed} failures{from_elsewhere}, {succeeded} successes",
        ),
        gate_number("optimism", float(imagined[~happened].mean()), failed),
        _told("3 verified failures", "pessimism", float((~imagined[happened]).mean()), succeeded),
    ]


def _best(world: LearnedWorld, held_out: LoggedEpisodes, episode: int) -> float:
    """The probability of success under the world's rule when the actions of an episode are replayed."""
    states, actions = held_out.states[episode], held_out.actions[episode]
    task = np.array([held_out.tasks[episode]], np.intp)
    imagined = world.twin.rollout(states[:1], states[:1], actions[None], task)[0][0, 1:]
    probability, _ = world.judge.read(imagined, np.repeat(task, len(imagined)))
    rule = world.info.rule
    if rule.kind == "end":
        return float(probability[-1])
    hold = min(rule.needs, len(probability))
    return float(np.lib.stride_tricks.sliding_window_view(probability, hold).min(axis=1).max())


def _coverage(world: LearnedWorld, held_out: LoggedEpisodes) -> list[GateNumber]:
    """Gate 5 on the episodes that were held out; `eval` measures it again on what each policy visits."""
    away = world.twin.away(np.concatenate(held_out.states))
    said = "of held-out episodes; every evaluated policy is measured again"
    return [gate_number("coverage", float((away <= 1).mean()), len(away), said)]


def _told(gate: str, name: str, value: float | None, n: int) -> GateNumber:
    """A number that is reported and has no bar."""
    assert name not in BARS
    return GateNumber(gate=gate, name=name, value=value, n=n, held=None)


def _both(one: LoggedEpisodes, other: LoggedEpisodes) -> LoggedEpisodes:
    from roboscale.worlds.learned import LoggedEpisodes

    def joined(name: str) -> Sequence[object]:
        return [*getattr(one, name), *getattr(other, name)]

    return LoggedEpisodes(**{name: joined(name) for name in one.__dataclass_fields__})  # type: ignore[arg-type]
