"""A world small enough to learn in seconds: a hand pushes a disc to a goal on a table. Every answer is known.

The hand moves by its action; where it comes nearer to the disc than a radius, the disc is moved away from it. Policies
of every skill push from behind the disc, more or less noisily, to the goal or to somewhere else.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    ActionChunk,
    Case,
    Field,
    Measure,
    Observation,
    Outcome,
    Provenance,
    Session,
    Spec,
    Step,
    WorldInfo,
    combine,
    generator,
)
from roboscale.dataset import DatasetWriter

STATE = Field(
    "observation.state",
    (6,),
    "float32",
    unit="m",
    frame="table",
    layout=("hand.x", "hand.y", "disc.x", "disc.y", "goal.x", "goal.y"),
)
ACTION = Field(
    "action",
    (2,),
    "float32",
    unit="m",
    frame="table",
    layout=("hand.dx", "hand.dy"),
    mode="relative to state",
    low=(-0.05, -0.05),
    high=(0.05, 0.05),
)
SENTENCE = "push the disc onto the goal on the table"
RADIUS_M, NEAR_M, HORIZON, RATE_HZ = 0.1, 0.05, 60, 10.0


class PusherWorld:
    """One task, `push`; the case's seed places hand, disc and goal."""

    def __init__(self) -> None:
        self.info = WorldInfo(
            name="pusher",
            kind="simulated",
            version="1",
            identity=combine("pusher", 1),
            embodiment="hand",
            tasks={"push": SENTENCE},
            observation_spec=Spec((STATE,), RATE_HZ),
            action_spec=Spec((ACTION,), RATE_HZ),
            horizon=HORIZON,
            measures=(Measure(name="success", unit="bool", series=True), Measure(name="progress", series=True)),
            deterministic=True,
            scenes=None,
            past_success=True,
        )

    def start(self, case: Case) -> PusherScene:
        self.info.require(case)
        return PusherScene(case)

    def close(self) -> None:
        """Nothing to give back."""


class PusherScene:
    """Hand, disc and goal."""

    def __init__(self, case: Case) -> None:
        rng = generator("pusher", case.seed)
        self.hand = rng.uniform(-0.5, 0.5, 2)
        self.disc = rng.uniform(-0.25, 0.25, 2)
        self.goal = self.disc + rng.uniform(0.15, 0.3) * _direction(rng.uniform(0, 2 * np.pi))
        if np.linalg.norm(self.hand - self.disc) < RADIUS_M:
            self.hand = self.disc + RADIUS_M * _direction(rng.uniform(0, 2 * np.pi))
        self.far = float(np.linalg.norm(self.disc - self.goal))

    def observe(self, names: Collection[str] | None = None) -> Observation:
        state = np.concatenate([self.hand, self.disc, self.goal]).astype(np.float32)
        for name in names or ():
            _ = Spec((STATE,), RATE_HZ)[name]
        return dict.fromkeys(["observation.state"] if names is None else names, state)

    def step(self, action: NDArray[Any]) -> Step:
        self.hand = np.clip(self.hand + action, -0.7, 0.7)
        gap = self.disc - self.hand
        apart = float(np.linalg.norm(gap))
        if apart < RADIUS_M:
            self.disc = self.hand + gap / max(apart, 1e-6) * RADIUS_M
        return Step()

    def measures(self) -> dict[str, float | None]:
        left = float(np.linalg.norm(self.disc - self.goal))
        return {"success": float(left < NEAR_M), "progress": float(np.clip(1 - left / self.far, 0, 1))}

    def close(self) -> None:
        """Nothing to give back."""


class Pusher:
    """Pushes from behind.

    Args:
        noise: of every action, m. slow: share of the full speed. aside: metres by which it misses the goal.
    """

    history = 1

    def __init__(self, name: str, noise: float = 0.0, slow: float = 1.0, aside: float = 0.0) -> None:
        self.name, self.noise, self.slow, self.aside = name, noise, slow, aside
        self.identity = combine(name, "pusher policy", noise, slow, aside)
        self.observation_spec: Spec | None = Spec((STATE,), RATE_HZ)
        self.action_spec: Spec | None = Spec((ACTION,), RATE_HZ)

    def start(self, instruction: str, seed: int) -> Session:
        rng = generator("push", self.name, seed)
        shift = self.aside * _direction(rng.uniform(0, 2 * np.pi))

        def act(observation: Observation) -> ActionChunk:
            hand, disc, goal = np.asarray(observation["observation.state"], float).reshape(3, 2)
            move = steer(hand, disc, goal + shift) * self.slow + self.noise * rng.standard_normal(2)
            return ActionChunk(np.clip(move, -0.05, 0.05).astype(np.float32)[None])

        return act


def steer(hand: NDArray[Any], disc: NDArray[Any], goal: NDArray[Any]) -> NDArray[Any]:
    """The next step of the hand: around the disc, behind it, then through it to the goal."""
    way = goal - disc
    left = float(np.linalg.norm(way))
    if left < 0.5 * NEAR_M:
        return np.zeros(2)
    along = way / left
    behind = disc - along * (RADIUS_M + 0.02)
    offset = hand - disc
    across = offset - (offset @ along) * along
    if offset @ along < 0 and np.linalg.norm(across) < 0.03:
        return along * min(0.03, left)
    target = behind
    if offset @ along > -0.5 * RADIUS_M:  # it stands before the disc: around it first
        side = across / max(float(np.linalg.norm(across)), 1e-6) if np.linalg.norm(across) > 1e-3 else along[::-1]
        target = disc + side * (RADIUS_M + 0.06) - along * 0.05
    step = target - hand
    size = float(np.linalg.norm(step))
    return step / max(size, 1e-6) * min(0.04, size)


def _direction(angle: float) -> NDArray[Any]:
    return np.array([np.cos(angle), np.sin(angle)])


COLLECTORS = (
    Pusher("sure"),
    Pusher("shaky", noise=0.02),
    Pusher("wild", noise=0.05),
    Pusher("astray", aside=0.15, noise=0.01),
)
"""Who acts in what a world learns from; none of them is evaluated."""


def record_pushes(
    root: Path, episodes: int, *, collectors: tuple[Pusher, ...] = COLLECTORS, first: int = 0, only: bool | None = None
) -> Path:
    """Episodes of every collector in turn, with their outcomes; `only` successes or failures."""
    world, done, number = PusherWorld(), 0, first
    with DatasetWriter(root, Spec((STATE, ACTION), RATE_HZ), robot_type="hand") as writer:
        while done < episodes:
            policy = collectors[number % len(collectors)]
            scene, act = world.start(Case("push", number)), policy.start(SENTENCE, number)
            frames, success = [], False
            for _ in range(HORIZON):
                seen = scene.observe()
                action = act(seen).rows[0]  # type: ignore[union-attr]
                frames.append({**seen, "action": np.asarray(action, np.float32)})
                scene.step(action)
                success = bool(scene.measures()["success"])
                if success:
                    frames.append({**scene.observe(), "action": np.zeros(2, np.float32)})
                    break
            known = Provenance(
                "test", embodiment="hand", operator=policy.name, world="pusher", task="push", seed=number
            )
            number += 1
            if only is not None and success != only:
                continue
            take = writer.begin(SENTENCE, known)
            for frame in frames:
                take.add(frame)
            take.save(Outcome("success" if success else "failure", "" if success else "not there"))
            done += 1
    return root
