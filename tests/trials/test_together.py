"""Scenes that share one model are stepped together, with the results of stepping them one by one."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import ActionChunk, RoboscaleError, cases
from roboscale.trials import interleave
from tests.toy_world import STATE, ToyExpert, ToyScene, ToyWorld
from tests.trials.test_schedule import CASES, Stay, close, runner, schedule


class Together(ToyWorld):
    """The toy as one model for all its scenes; remembers how many it was asked for."""

    def __init__(self, *, breaks_at: int = 0, lies: int = 0, **more) -> None:
        super().__init__(**more)
        self.sizes: list[int] = []
        self.breaks_at, self.lies = breaks_at, lies

    def step_many(self, scenes, actions):
        self.sizes.append(len(scenes))
        if len(self.sizes) == self.breaks_at:
            raise MemoryError("the model does not fit")
        return [ToyScene.step(scene, action) for scene, action in zip(scenes, actions, strict=True)][self.lies :]

    def start(self, case):
        scene = super().start(case)
        scene.step = None  # only together
        return scene


class Chunks(ToyExpert):
    """Answers with several rows, so that scenes ask at different steps."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def start(self, instruction: str, seed: int):
        def act(observation):
            x, goal = observation[STATE.name]
            rows = 1 + seed % self.rows
            return ActionChunk(np.clip(np.full((rows, 1), (goal - x) / rows, np.float32), -0.1, 0.1))

        return act


def facts(counted):
    return [
        (c.case, c.trial.end, c.trial.steps, c.trial.actions.tobytes(), c.outcome.status, dict(c.trial.measures))
        for c in counted
    ]


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize(("workers", "worlds"), [(0, 1), (0, 4), (1, 3), (2, 2)])
def test_the_same_trials_as_one_by_one(tmp_path: Path, rows: int, workers: int, worlds: int):
    made = []
    for name, factory in (("alone", ToyWorld), ("together", Together)):
        (tmp_path / name).mkdir()
        run = runner(tmp_path / name, [Chunks(rows)], workers, worlds, factory=factory)
        made.append(facts(run.run(schedule(Chunks(rows)))))
        close(run)
    assert made[0] == made[1] and len(made[0]) == len(CASES)


def test_all_that_wait_are_one_step(tmp_path: Path):
    world, stay = Together(), Stay()
    run = runner(tmp_path, [stay], 0, 4, factory=lambda: world)
    run.run(schedule(stay, of=CASES[:4]))
    close(run)
    assert world.sizes == [4] * world.info.horizon and world.open == []


def test_a_model_that_breaks_makes_its_scenes_void_and_they_are_tried_again(tmp_path: Path):
    world, expert = Together(breaks_at=2), ToyExpert()
    run = runner(tmp_path, [expert], 0, 2, factory=lambda: world)
    counted = run.run(schedule(expert, of=CASES[:4], retries=1))
    voids = [t for t in run.log.trials() if t.void]
    close(run)
    assert [c.outcome.success for c in counted] == [True] * 4
    assert len(voids) == 2 and all("MemoryError: the model does not fit" in t.reason for t in voids)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_model_that_answers_for_fewer_scenes_is_one_clear_error(tmp_path: Path, workers: int):
    run = runner(tmp_path, [ToyExpert()], workers, 3, factory=partial(Together, lies=1))
    with pytest.raises(RoboscaleError, match="world toy: step_many of 3 scenes: expected 3 steps, found 2"):
        run.run(schedule(ToyExpert(), of=interleave([cases("far", 3, 0, "eval")])))
    close(run)
