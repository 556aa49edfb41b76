"""Actions that mean something else than in training: differences for values, degrees, a gripper the other way round.

What a policy says is known from the actions that it was trained on; what the world makes of it from its spec, and,
where it may be moved, from replaying some of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from roboscale.core import Spec
from roboscale.policies.remote.pitfalls.evidence import Array, Moves, Seen, TrainedNumbers, TrainedOn
from roboscale.policies.remote.pitfalls.lines import Line
from roboscale.policies.remote.pitfalls.numbers import DEGREES, NumberChange, affine_lines, gripper_maps
from roboscale.policies.remote.profile import PolicyProfile

__all__ = ["answer_tables", "degree_change", "meaning", "mode_change", "turned_elements"]

CLEAR = 0.5  # correlation from which on an element moves as it is told
TOO_FAR, FITTING = 5.0, 1.5  # ranges of the world that actions may reach beyond before and after a change

Meaning = Literal["absolute", "relative"]


def meaning(trained: TrainedOn) -> Meaning | None:
    """Whether the actions that a policy was trained on are values or differences; `None` where nobody can tell."""
    if trained.moves is not None:
        before, actions, after = trained.moves[1]
        if before.shape != actions.shape:
            return None
        moving = [j for j in range(before.shape[1]) if np.ptp(before[:, j]) > 1e-6 and np.ptp(actions[:, j]) > 1e-6]
        votes = [_vote(before[:, j], actions[:, j], after[:, j]) for j in moving]
    else:
        state = next(
            (n for n in trained.numbers.values() if trained.action and n.mean.shape == trained.action.mean.shape), None
        )
        if state is None or trained.action is None:
            return None
        votes = [_vote_of_statistics(state, trained.action, j) for j in range(len(state.mean))]
    for said in ("absolute", "relative"):
        if votes.count(said) > len(votes) / 2 and votes.count(said) > 2 * votes.count(
            "relative" if said == "absolute" else "absolute"
        ):
            return said
    return None


def _vote(before: Array, action: Array, after: Array) -> Meaning | None:
    """One element: does the action follow the value, at its size, or its change?"""
    spread = float(before.std())
    if _correlation(action, after) > 0.9 and float(np.abs(action - after).mean()) < max(spread, 1e-9):
        return "absolute"
    if _correlation(action, after) < CLEAR and _correlation(action, after - before) > CLEAR:
        return "relative"
    return None


def _vote_of_statistics(state: TrainedNumbers, action: TrainedNumbers, j: int) -> Meaning | None:
    """One element: values lie where the state lies; differences lie about 0, and the state does not."""
    away = abs(float(state.mean[j])) > 3 * float(state.std[j]) + 1e-9
    if not away:
        return None
    if abs(float(action.mean[j] - state.mean[j])) < 2 * float(state.spread[j]):
        return "absolute"
    return "relative" if abs(float(action.mean[j])) < 0.5 * abs(float(state.mean[j])) else None


def mode_change(profile: PolicyProfile, seen: Seen, trained: TrainedOn) -> tuple[str, Line | None] | None:
    """What is wrong in words, and the line that mends it; `None` where actions and world agree, or nobody knows."""
    world = seen.action_spec["action"]
    policy, wanted = meaning(trained), "absolute" if world.mode == "absolute" else "relative"
    made = policy if profile.action.relative is None else profile.action.relative.make
    if policy is None or made == wanted:
        return None
    text = f"the policy was trained on {_named(policy)}, and the world takes {_named(wanted)} ({world.mode})"
    fields = [f for f in seen.observation_spec if f.shape == world.shape and f.unit == world.unit]
    if not fields:
        return text, None
    best = next((f for f in fields if f.name == "observation.state"), fields[0])
    return text, Line("action", "relative", f'{{ field = "{best.name}", make = "{wanted}" }}')


def _named(mode: str) -> str:
    return "absolute actions" if mode == "absolute" else "differences"


def answer_tables(profile: PolicyProfile, apart: bool) -> list[str]:
    """The table of each part of the action."""
    return [f"action.part[{j}]" for j in range(len(profile.action.parts))] if apart else ["action"]


def _sizes(profile: PolicyProfile) -> list[int]:
    return [part.size(profile.action.dimension or 0) for part in profile.action.parts]


def degree_change(
    profile: PolicyProfile, tables: Sequence[str], seen: Seen, trained: TrainedOn
) -> NumberChange | None:
    """Actions in degrees for a world in radians, or the other way: they reach far beyond what it can take, or lie
    where no state of it lies. Values of which a profile takes the difference to a state lie where that state lies."""
    relative = profile.action.relative
    if trained.action is None or (relative is not None and relative.make == "absolute"):
        return None
    made = _ours(profile, trained.action)
    if made is None:
        return None
    low, high = made
    field = seen.action_spec["action"]
    names = field.layout or ("",) * len(low)
    free = [j for j in range(len(low)) if "grip" not in names[j]]
    values = field.mode == "absolute" or relative is not None
    angles = field.unit in ("rad", "deg") or (field.unit in ("1", "mixed", "unknown") and values)
    if not angles or not free:
        return None
    scale = None
    reach = np.maximum(np.abs(low), np.abs(high))[free]
    bounded = field.low is not None and field.high is not None and relative is None  # bounds are those of differences
    if bounded and field.low is not None and field.high is not None and np.isfinite([*field.low, *field.high]).all():
        most = np.maximum(np.abs(field.low), np.abs(field.high))[free]
        if np.median(reach / most) > TOO_FAR and np.median(reach / most / DEGREES) < FITTING:
            scale = 1 / DEGREES
    like = next((f.name for f in seen.observation_spec if f.shape == field.shape and f.unit == field.unit), None)
    like = like if relative is None else relative.field
    ratio = _against_state(low, high, free, seen, like) if values and like is not None else None
    if ratio is not None and ratio > TOO_FAR and 0.2 < ratio / DEGREES < TOO_FAR:
        scale = 1 / DEGREES
    if ratio is not None and ratio < 1 / TOO_FAR and 0.2 < ratio * DEGREES < TOO_FAR:
        scale = DEGREES
    if scale is None:
        return None
    s = np.ones(len(low))
    s[free] = scale
    words = ("degrees", "radians") if scale < 1 else ("radians", "degrees")
    return NumberChange(
        check="degrees",
        text=f"the policy's actions are in {words[0]}, and the world takes {words[1]}",
        lines=tuple(affine_lines(tables, profile.action.parts, _sizes(profile), s, np.zeros(len(low)))),
        elements=tuple(free),
    )


def _against_state(low: Array, high: Array, free: Sequence[int], seen: Seen, like: str) -> float | None:
    """How many times larger absolute actions are than the world's state `like`, of the elements that are not small."""
    state = np.abs(np.array([s[like] for s in seen.starts], np.float64)).mean(axis=0)[list(free)]
    reach = np.maximum(np.abs(low), np.abs(high))[list(free)]
    large = state > 0.05
    return float(np.median(reach[large] / state[large])) if large.any() else None


def _ours(profile: PolicyProfile, action: TrainedNumbers) -> tuple[Array, Array] | None:
    """The 5 and 95 % ends of the training actions as our actions; `None` where they are turned on the way."""
    if any(part.rotation is not None or part.threshold is not None for part in profile.action.parts):
        return None
    ends = np.stack([action.mean - 2 * action.std, action.mean + 2 * action.std])
    if action.low is not None and action.high is not None:
        ends = np.clip(ends, action.low, action.high)
    if profile.action.dimension not in (None, ends.shape[1]):
        return None
    made = np.concatenate([part.apply(ends) for part in profile.action.parts], axis=-1)
    return made.min(axis=0), made.max(axis=0)


def turned_elements(
    profile: PolicyProfile, tables: Sequence[str], action: TrainedNumbers, trained: Moves, world: Moves, spec: Spec
) -> tuple[list[NumberChange], list[str]]:
    """Elements of the action after which the state moves the other way than in training, and those of which that
    cannot be told."""
    field, total = spec["action"], sum(_sizes(profile))
    changes, unclear = [], []
    for j in range(min(trained.actions.shape[1], trained.before.shape[1], total)):
        state = j if trained.actions.shape[1] == trained.before.shape[1] else None
        if j == trained.actions.shape[1] - 1:
            state = trained.before.shape[1] - 1  # the gripper is the last of both
        if state is None:
            continue
        turned = _turned(_responses(trained, j, state), _responses(world, j, state))
        if turned is None:
            unclear.append(f"element {j}")
        if not turned:
            continue
        ours = next((k for k in range(total) if _comes_from(profile, k) == j), None)
        if ours is None:
            continue
        name = field.layout[ours] if field.layout else f"element {ours}"
        gripper = "grip" in name or j == trained.actions.shape[1] - 1
        s, o = np.ones(total), np.zeros(total)
        s[ours] = -1.0
        if gripper and action.low is not None and action.low[j] >= 0:
            o[ours] = gripper_maps(action, j)[0][1]
        changes.append(
            NumberChange(
                check="gripper-sign" if gripper else "action-sign",
                text=f"action {name} moves the state the other way than in training",
                lines=tuple(affine_lines(tables, profile.action.parts, _sizes(profile), s, o)),
                elements=(ours,),
            )
        )
    return changes, unclear


def _comes_from(profile: PolicyProfile, ours: int) -> int | None:
    """The element of the policy's row that our element is made from."""
    at = 0
    for part, size in zip(profile.action.parts, _sizes(profile), strict=True):
        if at <= ours < at + size:
            if part.rotation is not None:
                return None
            return ours - at if part.index is None else part.index[ours - at]
        at += size
    return None


def _responses(moves: Moves, action: int, state: int) -> tuple[float, ...]:
    """Correlations of how a state follows an action: its change with what was said, and with how far that lies from
    it; its value with what was said."""
    before, after, said = moves.before[:, state], moves.after[:, state], moves.actions[:, action]
    change = after - before
    return _correlation(said, change), _correlation(said - before, change), _correlation(said, after)


def _turned(there: Sequence[float], here: Sequence[float]) -> bool | None:
    """Whether a state goes the other way by every measure that is clear in both; `None` where none is."""
    clear = [a * b for a, b in zip(there, here, strict=True) if min(abs(a), abs(b)) >= CLEAR]
    return max(clear) < 0 if clear else None


def _correlation(a: Array, b: Array) -> float:
    if len(a) < 3 or np.ptp(a) < 1e-9 or np.ptp(b) < 1e-9:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
