"""An arena without people: robots in simulated time, policies whose mean progress is planted, evaluators by script."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.arena.client import ArenaClient
from roboscale.arena.people import Refused
from roboscale.core import ActionChunk, Identity, InfrastructureError, Observation, Spec, World, combine, generator
from roboscale.jobs.arena_hosting import HostedArena
from roboscale.jobs.arena_offering import Offering
from roboscale.jobs.arena_robot import ArenaRobot

__all__ = ["PLANTED", "PlantedPolicy", "ScriptedEvaluator", "rehearse"]

PLANTED = (0.15, 0.40, 0.40, 0.65, 0.85)
"""Mean progress of the demo's policies."""

_SPREAD = 3.0  # of the Beta distribution of one rollout's progress: a third of the rollouts are far from the mean
_STEP_M = 0.05
_CHUNK = 8
_NOISE = 4.0  # percent: of an evaluator's eye
_SAME = 5.0  # percent that an evaluator calls a tie

Manner = Literal["honest", "random", "always A", "for an owner"]


class PlantedPolicy:
    """Carries the block of the stand-in table a share of the way that is drawn from a Beta distribution.

    Args:
        mean: of that share.
    """

    observation_spec: Spec | None = None
    action_spec: Spec | None = None
    history = 1

    def __init__(self, name: str, mean: float) -> None:
        self.name, self.mean = name, mean

    @property
    def identity(self) -> Identity:
        """Of its mean and its name: two that are equally good are two policies."""
        return combine(self.name, "planted", self.mean, self.name)

    def start(self, instruction: str, seed: int) -> Callable[[Observation], ActionChunk]:
        """Draws how far it comes this time."""
        rng = generator("planted", self.name, seed)
        share = float(rng.beta(_SPREAD * self.mean, _SPREAD * (1 - self.mean)))
        return _Carrying(share)


class _Carrying:
    def __init__(self, share: float) -> None:
        self._share = share
        self._end: NDArray[np.float64] | None = None

    def __call__(self, observation: Observation) -> ActionChunk:
        here = np.asarray(observation["observation.state"], np.float64)
        if self._end is None:
            goal = _green(np.asarray(observation["observation.images.top"]))
            self._end = here if goal is None else here + self._share * (goal - here)
        rows = []
        for _ in range(_CHUNK):
            way = self._end - here
            here = here + way * min(1.0, _STEP_M / max(float(np.linalg.norm(way)), 1e-9))
            rows.append(here)
        return ActionChunk(np.array(rows))


def _green(picture: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    """Where the middle of the green square is, metres."""
    channels = picture.astype(np.int16)
    green = (channels[..., 1] > channels[..., 0] + 60) & (channels[..., 1] > channels[..., 2] + 40)
    if not green.any():
        return None
    rows, columns = np.nonzero(green)
    scale = 0.6 / len(picture)
    return (
        np.array([(columns.min() + columns.max() + 1) / 2, len(picture) - (rows.min() + rows.max() + 1) / 2]) * scale
    )


@dataclass(kw_only=True)
class ScriptedEvaluator:
    """Runs matches at one robot, and says what it saw.

    Args:
        robot: registered.
        manner: how it votes.
        favourite: names of policies that it votes for where its manner is `for an owner`.
        seed: of its eye, and of the scenes.
    """

    robot: ArenaRobot
    seed: int
    manner: Manner = "honest"
    favourite: Sequence[str] = ()
    finished: int = 0
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.rng = generator("scripted evaluator", self.seed)

    def match(self, sides: int = 2) -> dict[str, Any]:
        """One match from its scene to its vote; what it then learns."""
        task, sentence = next(iter(self.robot.world.info.tasks.items()))
        start = int(self.rng.integers(2**31))
        drawn = self.robot.draw(task, sentence, start, sides)
        return self.go_on(drawn)

    def go_on(self, drawn: dict[str, Any]) -> dict[str, Any]:
        """The rest of a match, wherever it stands."""
        match = drawn["match"]
        seen: dict[str, float] = {}
        for letter in drawn["letters"]:
            if letter not in drawn["ran"]:
                result = self.robot.play(match, letter)
                came = 100 * float(result.measures.get("progress") or 0.0) if result.end != "policy error" else 0.0
            else:
                came = 50.0  # it was seen before whatever interrupted this evaluator
            eye = float(np.clip(round(came + self.rng.normal(0, _NOISE)), 0, 100))
            seen[letter] = eye
            if letter not in drawn["scored"]:
                self.robot.score(match, letter, {"progress": eye, "success": eye >= 90, "damage": [], "text": ""})
        done = self.robot.vote(match, self._preference(seen), "seen from above")
        self.finished += 1
        return done

    def _preference(self, seen: dict[str, float]) -> str:
        if self.manner == "always A":
            return "A"
        if self.manner == "random":
            return str(self.rng.choice(["A", "B"]))
        best = max(seen, key=lambda letter: seen[letter])
        others = [value for letter, value in seen.items() if letter != best]
        return "tie" if seen[best] - max(others) < _SAME else best


def rehearse(
    hosted: HostedArena,
    url: str,
    worlds: Sequence[tuple[str, World]],
    policies: Sequence[PlantedPolicy],
    matches: int,
    *,
    seed: int = 0,
    on_match: Callable[[int], None] = lambda done: None,
) -> None:
    """Plays so many matches, every robot with an evaluator of its own, every policy offered by an owner of its own.

    Args:
        worlds: site and robot of each.

    Raises:
        InfrastructureError: an evaluator could not go on.
    """
    stop, lock, done = threading.Event(), threading.Lock(), [0]
    errors: list[Exception] = []

    def evaluate(evaluator: ScriptedEvaluator) -> None:
        while not stop.is_set():
            with lock:
                if done[0] >= matches:
                    return
                done[0] += 1
                number = done[0]
            try:
                evaluator.match()
            except (Refused, InfrastructureError) as error:
                errors.append(error)
                stop.set()
                return
            on_match(number)

    with ExitStack() as stack:
        for _, world in worlds:
            stack.callback(world.close)
        evaluators = _evaluators(hosted, url, worlds, seed)
        offers = [_offer(hosted, url, policy, stop) for policy in policies]
        for thread in offers:
            thread.start()
        _wait_for_checks(hosted, len(policies), len(worlds))
        threads = [threading.Thread(target=evaluate, args=(one,), daemon=True) for one in evaluators]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stop.set()
    if errors:
        raise InfrastructureError(f"an evaluator could not go on: {errors[0]}")


def _evaluators(
    hosted: HostedArena, url: str, worlds: Sequence[tuple[str, World]], seed: int
) -> list[ScriptedEvaluator]:
    made = []
    for number, (site, world) in enumerate(worlds):
        _, token = hosted.arena.join(hosted.arena.invite(None, "evaluator", site), f"evaluator at {site}")
        robot = ArenaRobot(ArenaClient(url, token), world, site=site, pace="simulated")
        robot.register()
        made.append(ScriptedEvaluator(robot=robot, seed=seed * 1000 + number))
    return made


def _offer(hosted: HostedArena, url: str, policy: PlantedPolicy, stop: threading.Event) -> threading.Thread:
    group = f"team {policy.name}"
    _, token = hosted.arena.join(hosted.arena.invite(None, "owner", group), group)
    offering = Offering(policy, ArenaClient(url, token), policy.name)
    return threading.Thread(target=offering.serve, args=(stop,), daemon=True)


def _wait_for_checks(hosted: HostedArena, policies: int, robots: int) -> None:
    """Until every policy has answered every robot's recorded observations."""
    for _ in range(600):
        checked = [one for policy in hosted.arena.state.policies.values() for one in policy.checked.values()]
        if len(checked) >= policies * robots:
            if any(checked):
                raise InfrastructureError(f"a policy does not fit a robot: {next(filter(None, checked))}")
            return
        threading.Event().wait(0.1)
    raise InfrastructureError("policies did not answer the robots' observations within a minute")


def stand_in_worlds(sites: Sequence[str] = ("north", "south", "west")) -> list[tuple[str, World]]:
    """A stand-in table at each site, in simulated time, behind its guard."""
    import roboscale.worlds.simulated as simulated
    from roboscale.worlds.real.robot_world import RobotWorld
    from roboscale.worlds.real.stepped import SteppedRobot

    path = Path(simulated.__file__).parent / "stand_in_table.toml"
    made: list[tuple[str, World]] = []
    for site in sites:
        robot = SteppedRobot(path, f"table {site}")
        made.append((site, RobotWorld(robot, robot.prepare)))
    return made
