"""A toy whose answer is known: a hand moves towards a goal, or away from it when the sentence says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from roboscale.core import Field, Spec
from roboscale.policies.builtin import TrainConfig
from roboscale.policies.builtin.data import TrainingData

TOWARDS, AWAY = "move the hand towards the goal", "move the hand away from the goal"
SIZE = 32
SPEC = Spec(
    (
        Field("observation.state", (2,), "float32", unit="m"),
        Field("observation.environment_state", (4,), "float32", unit="m"),
        Field("observation.images.front", (SIZE, SIZE, 3), "uint8"),
        Field("action", (2,), "float32", low=(-1.0, -1.0), high=(1.0, 1.0)),
    ),
    10.0,
)


def picture(goal: np.ndarray) -> np.ndarray:
    """(SIZE, SIZE, 3): a white square at `goal`, which is in -1..1."""
    image = np.full((SIZE, SIZE, 3), 40, np.uint8)
    x, y = np.round((goal + 1) / 2 * (SIZE - 9)).astype(int) + 2
    image[y : y + 5, x : x + 5] = 255
    return image


def make_data(seed: int = 0, episodes: int = 40, length: int = 10) -> TrainingData:
    """Episodes of both sentences in turn; the command is beyond the range far from the goal."""
    rng = np.random.default_rng(seed)
    states, actions, pictures = [], [], []
    for episode in range(episodes):
        hand, goal = rng.uniform(-1, 1, 2), rng.uniform(-1, 1, 2)
        for _ in range(length):
            action = (goal - hand) * (1 if episode % 2 == 0 else -1)
            states.append(np.concatenate([hand, goal]))
            actions.append(action)
            pictures.append(picture(goal))
            hand = hand + 0.2 * np.clip(action, -1, 1)
    environment = np.array(states, np.float32)
    return TrainingData(
        name="toy",
        spec=SPEC,
        arrays={
            "observation.state": environment[:, :2],
            "observation.environment_state": environment,
            "action": np.array(actions, np.float32),
        },
        images={"observation.images.front": np.array(pictures)},
        frames=np.arange(episodes * length),
        lengths=np.full(episodes, length),
        instructions=[(TOWARDS, AWAY)[e % 2] for e in range(episodes)],
    )


@pytest.fixture(scope="session")
def toy() -> TrainingData:
    return make_data()


@pytest.fixture(scope="session")
def make_toy() -> Callable[..., TrainingData]:
    return make_data


@pytest.fixture
def small() -> TrainConfig:
    """Seconds to train on the toy's state."""
    return TrainConfig(inputs="state", chunk=4, execute=2, steps=50, batch=32, lr=5e-3, width=32, checkpoint_s=0.0)


@pytest.fixture
def small_images(small: TrainConfig) -> TrainConfig:
    return replace(small, inputs="images", channels=8, keypoints=8, shift=0)
