"""Recordings that a learned world was not trained on, beside what it imagines under the same actions, open loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roboscale.core import RoboscaleError

if TYPE_CHECKING:
    from roboscale.jobs.judged import Judged
    from roboscale.report import DivergenceCurve, FilmStrip, ImaginedReplays
    from roboscale.worlds.learned import LearnedWorld, LoggedEpisodes

__all__ = ["imagined_replays"]

Floats = NDArray[np.float64]
_EPISODES = 60  # of the held-out ones, the first so many
_FEWEST = 10  # episodes that still last: a quantile of fewer is none
_PICTURES, _SIDE, _GAP = 6, 120, 4  # pictures of a strip, pixels of each, and between them


def imagined_replays(judged: Judged) -> tuple[ImaginedReplays | None, str]:
    """The replays of the world of a run, and why there are none; both empty where the world is not learned.

    What is compared is the world and no policy: the actions are those that were recorded.
    """
    from roboscale.jobs.learned import learned_folder, learned_parts

    if judged.run.world_info.get("kind") != "learned":
        return None, ""
    asked = learned_folder(str(judged.run.world_info.get("opened", "")))
    if asked is None:
        return None, "no recordings beside what was imagined: the learned world was handed over from Python"
    folder, options = asked
    try:
        world, held_out = learned_parts(folder, options.get("starts", ""))
    except RoboscaleError as error:
        return None, f"no recordings beside what was imagined: {error}"
    if world.info.identity.digest != judged.run.world.digest:
        return (
            None,
            f"no recordings beside what was imagined: {folder} is another world now than the one that was tried",
        )
    return _replayed(world, held_out), ""


def _replayed(world: LearnedWorld, held_out: LoggedEpisodes) -> ImaginedReplays:
    from roboscale.report import ImaginedReplays

    chosen = range(min(len(held_out.ids), _EPISODES))
    imagined = _open_loop(world, held_out, chosen)
    points = {
        name: at
        for name, at in world.twin.frame.elements.points.items()
        if set(at) & set(world.twin.frame.elements.predicted)
    }
    apart = {
        name: [
            np.linalg.norm(states[:, list(at)] - held_out.states[episode][:, list(at)], axis=1)
            for episode, states in zip(chosen, imagined, strict=True)
        ]
        for name, at in points.items()
    }
    curves = tuple(_curve(name, _unit(world, at), apart[name]) for name, at in points.items())
    ends = np.array([max(gaps[episode][-1] for gaps in apart.values()) for episode in chosen if points], np.float64)
    order = np.argsort(ends, kind="stable")
    shown = {"the episode in the middle": order[len(order) // 2], "the worst": order[-1]} if len(order) else {}
    strips = tuple(
        _strip(world, held_out, int(episode), imagined[int(episode)], said) for said, episode in shown.items()
    )
    return ImaginedReplays(world=world.info.name, strips=strips, curves=curves)


def _open_loop(world: LearnedWorld, held_out: LoggedEpisodes, chosen: Sequence[int]) -> list[Floats]:
    """(T, S) states of each under its recorded actions, from its recorded first one; as many as were recorded."""
    longest = max(len(held_out.actions[episode]) for episode in chosen)
    first = np.stack([held_out.states[episode][0] for episode in chosen])
    actions = np.zeros((len(chosen), longest, held_out.actions[chosen[0]].shape[1]))
    for row, episode in enumerate(chosen):  # what comes after the end is cut off below
        actions[row, : len(held_out.actions[episode])] = held_out.actions[episode]
    task = np.array([held_out.tasks[episode] for episode in chosen], np.intp)
    states = world.twin.rollout(first, first, actions, task)[0]
    return [states[row, : len(held_out.states[episode])] for row, episode in enumerate(chosen)]


def _curve(name: str, unit: str, gaps: list[Floats]) -> DivergenceCurve:
    from roboscale.report import DivergenceCurve

    there = [np.array([gap[t] for gap in gaps if len(gap) > t]) for t in range(max(map(len, gaps)))]
    there = [values for values in there if len(values) >= min(_FEWEST, len(gaps))]
    return DivergenceCurve(
        point=name,
        unit=unit,
        median=tuple(float(np.median(values)) for values in there),
        most=tuple(float(np.quantile(values, 0.9)) for values in there),
        episodes=tuple(len(values) for values in there),
    )


def _unit(world: LearnedWorld, at: tuple[int, ...]) -> str:
    """The unit of the field in which a point lies; empty where it says none."""
    for name, place in world.starts.slices.items():
        if place.start <= at[0] < place.stop:
            return world.manifest.observed[name].unit
    return ""


def _strip(world: LearnedWorld, held_out: LoggedEpisodes, episode: int, imagined: Floats, said: str) -> FilmStrip:
    """Recorded above and imagined below, at the same steps, from above."""
    from roboscale.report import FilmStrip
    from roboscale.report.video import encode_png, side_by_side
    from roboscale.worlds.learned.drawing import draw_points

    recorded = held_out.states[episode]
    steps = np.unique(np.linspace(0, len(recorded) - 1, _PICTURES).astype(int))
    frame = world.twin.frame
    rows = [
        side_by_side([draw_points(frame, states[step], _SIDE, _SIDE) for step in steps], _GAP)
        for states in (recorded, imagined)
    ]
    between = np.full((_GAP, rows[0].shape[1], 3), 255, np.uint8)
    task = world.tasks[held_out.tasks[episode]]
    caption = (
        f"{said} by where it ends: recorded above, imagined below, at steps {', '.join(map(str, steps))}; "
        f"{task}, held-out episode {held_out.ids[episode][:8]}"
    )
    return FilmStrip(caption, encode_png(np.concatenate([rows[0], between, rows[1]])))
