"""Kinds of rollouts, drawn at random: what holds, what a replay did differently, what a policy writes into."""

import ctypes
import random
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboscale.core import ActionChunk, Case, Identity, RoboscaleError, RolloutSettings, Step, SuccessRule, Trial
from roboscale.referees import SuccessReferee
from roboscale.trials import Asking, RolloutResult, differences, replay, rollout
from roboscale.trials.slots import Job
from tests.toy_world import STATE, ToyScene, ToyWorld

CASE = Case("near", 1)


class Scripted(ToyWorld):
    """Succeeds and ends when its script says so."""

    def __init__(self, script: list[bool], *, past_success: bool, ends_by: str = "terminated") -> None:
        super().__init__(past_success=past_success, horizon=len(script))
        self.script, self.ends_by = script, ends_by

    def start(self, case: Case) -> "ScriptedScene":
        self.open.append(ScriptedScene(self, case))
        return self.open[-1]


class ScriptedScene(ToyScene):
    world: Scripted

    @property
    def success(self) -> bool:
        return self.world.script[self.steps - 1] if self.steps else False

    def step(self, action) -> Step:
        self.steps += 1
        return Step(**{self.world.ends_by: self.success})


def played(world: ToyWorld, rule: SuccessRule, answer=lambda o: ActionChunk(np.zeros((1, 1))), **more: Any):
    referee = SuccessReferee(rule)
    info = world.info
    settings = RolloutSettings(horizon=info.horizon, rate_hz=info.rate_hz, watch=referee.name)
    run = rollout(world, CASE, settings, referee=referee, **more)
    trial = Trial(
        policy=Identity("p", "0" * 32), world=world.info.identity, case=CASE, settings=settings, started_ns=1
    )
    try:
        seen = next(run)
        while True:
            seen = run.send(answer(seen))
    except StopIteration as done:
        finished = Job(trial=trial, referee=referee).finish(done.value)
        return finished.trial, finished.judgement


def first_run(script: list[bool], length: int) -> int | None:
    """After how many steps so many successes stand in a row; `None` where they never do."""
    return next((n for n in range(length, len(script) + 1) if all(script[n - length : n])), None)


@settings(deadline=None)
@given(
    st.lists(st.booleans(), min_size=1, max_size=14), st.integers(1, 5), st.sampled_from(["terminated", "truncated"])
)
def test_hold_is_what_was_seen_to_hold(script: list[bool], hold: int, ends_by: str):
    """Where the world goes on, success is exactly a run of so many successes; where it cannot, nobody is failed."""
    trial, judgement = played(Scripted(script, past_success=True, ends_by=ends_by), SuccessRule("hold", hold))
    needed = first_run(script, hold)
    assert judgement.success is (needed is not None)
    assert trial.steps == (needed or len(script))
    ended = script.index(True) + 1 if True in script else None
    stops = Scripted(script, past_success=False, ends_by=ends_by)
    if ended is None or ended == len(script) or hold == 1:
        trial, judgement = played(stops, SuccessRule("hold", hold))
        assert judgement.success is (hold == 1 and ended is not None)
    else:
        with pytest.raises(RoboscaleError, match="ends at the first success"):
            played(stops, SuccessRule("hold", hold))


def towards(observation) -> ActionChunk:
    x, goal = observation[STATE.name].reshape(-1, 2)[-1]
    return ActionChunk(np.array([[np.clip(goal - x, -0.05, 0.05)]], np.float32))


class Noisy(ToyWorld):
    """Moves by more than it is told, where its luck says so."""

    def __init__(self, luck: random.Random, noise: float) -> None:
        super().__init__(past_success=True)
        self.luck, self.noise = luck, noise

    def start(self, case: Case) -> ToyScene:
        self.open.append(NoisyScene(self, case))
        return self.open[-1]


class NoisyScene(ToyScene):
    world: Noisy

    def step(self, action) -> Step:
        self.x += self.world.luck.choice([0.0, 0.0, 0.0, self.world.noise])
        return super().step(action)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 1e-6, 0.02, 0.3]))
def test_a_replay_is_the_trial_or_says_what_differs(seed: int, noise: float):
    """Nothing is said exactly where end, steps, measures and every series are the same."""
    world = Noisy(random.Random(seed), noise)
    trial, _ = played(world, SuccessRule(), towards)
    result = replay(world, CASE, trial.settings, trial.actions, referee=SuccessReferee(SuccessRule()))
    again = Job(trial=trial, referee=SuccessReferee(SuccessRule())).finish(result).trial
    same = (
        (trial.end, trial.steps, trial.measures) == (again.end, again.steps, again.measures)
        and trial.series.keys() == again.series.keys()
        and all(np.array_equal(trial.series[name], again.series[name]) for name in trial.series)
    )
    assert (differences(trial, again) == "") is same and (noise > 0 or same)
    rng = random.Random(seed)
    name = rng.choice(sorted(trial.series))
    bent = trial.series[name].copy()
    bent[rng.randrange(len(bent))] += 0.5
    measure = rng.choice([m for m, value in trial.measures.items() if value is not None])
    for other in (
        replace(trial, steps=trial.steps + 1),
        replace(trial, end="void"),
        replace(trial, series={**trial.series, name: bent}),
        replace(trial, measures={**trial.measures, measure: trial.measures[measure] + 1e-3}),
        replace(trial, measures={**trial.measures, measure: None}),
    ):
        assert differences(trial, other), "any other course is another trial"


def by_assignment(seen: dict[str, Any]) -> None:
    for name in list(seen):
        seen[name] = np.full_like(seen[name], 9)


def by_clearing(seen: dict[str, Any]) -> None:
    seen.clear()


def by_writing(seen: dict[str, Any]) -> None:
    for values in seen.values():
        values[...] = 9


def by_insisting(seen: dict[str, Any]) -> None:
    for values in seen.values():
        values.flags.writeable = True
        values[...] = 9


def by_torch(seen: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for values in seen.values():
            torch.from_numpy(values).fill_(9)


def by_memory(seen: dict[str, Any]) -> None:
    for values in seen.values():
        ctypes.memset(values.ctypes.data, 9, values.nbytes)


class Kept:
    """A take that keeps what it is given, as it is at the end."""

    def __init__(self) -> None:
        self.frames: list[Any] = []

    def add(self, frame) -> None:
        self.frames.append(frame)


@pytest.mark.parametrize("how", [by_assignment, by_clearing, by_writing, by_insisting, by_torch, by_memory])
@pytest.mark.parametrize("history", [1, 3])
def test_nothing_that_a_policy_writes_is_recorded(how, history: int):
    """Whatever it does to what it is shown, and to what it answered: the episode is that of one who only reads."""

    def recorded(act) -> tuple[RolloutResult, list[Any]]:
        take = Kept()
        trial, _ = played(ToyWorld(), SuccessRule(), act, take=take, asking=Asking(history=history))
        return trial, take.frames

    given_back = np.zeros((1, 1), np.float32)

    def scribbles(observation) -> ActionChunk:
        given_back[...] = towards(observation).actions
        try:
            how(dict(observation) if how in (by_assignment, by_clearing) else observation)
        except ValueError as error:
            assert "read-only" in str(error) or "WRITEABLE" in str(error)
        return ActionChunk(given_back)

    honest, frames = recorded(towards)
    other, scribbled = recorded(scribbles)
    assert honest.steps == other.steps > 3 and np.array_equal(honest.actions, other.actions)
    for one, two in zip(frames, scribbled, strict=True):
        assert one.keys() == two.keys()
        assert all(np.array_equal(one[name], two[name]) for name in one if name not in ("action", "applied.action"))


class Lending(ToyWorld):
    """Shows its own memory, which it changes in place."""

    def start(self, case: Case) -> ToyScene:
        self.open.append(LendingScene(self, case))
        return self.open[-1]


class LendingScene(ToyScene):
    def __init__(self, world: ToyWorld, case: Case) -> None:
        super().__init__(world, case)
        self.lent = {name: np.array(values) for name, values in super().observe().items()}

    def observe(self, names=None):
        for name, values in super().observe(names).items():
            self.lent[name][...] = values  # raises where somebody made it read-only
        return {name: self.lent[name] for name in (self.lent if names is None else names)}

    def step(self, action) -> Step:
        step = super().step(action)
        self.lent[STATE.name][...] = [self.x, self.goal]
        return step


@pytest.mark.parametrize("history", [1, 3])
@pytest.mark.parametrize("rows", [1, 4])
def test_a_world_that_shows_its_own_memory_is_seen_and_recorded_as_it_was(history: int, rows: int):
    def act(observation) -> ActionChunk:
        seen.append({name: np.array(values) for name, values in observation.items()})
        return ActionChunk(np.repeat(towards(observation).actions, rows, axis=0))

    came = []
    for kind in (ToyWorld, Lending):
        seen: list[Any] = []
        take = Kept()
        trial, _ = played(kind(), SuccessRule(), act, take=take, asking=Asking(history=history))
        came.append((trial, seen, take.frames))
    (honest, saw, frames), (lending, saw_lent, lent) = came
    assert honest.steps == lending.steps > 2 and len(saw) == len(saw_lent)
    pictures = [name for name in saw[0] if name.startswith("observation.images")]
    for one, two in zip([*saw, *frames], [*saw_lent, *lent], strict=True):
        assert one.keys() == two.keys()
        assert all(np.array_equal(one[name], two[name]) for name in one if name not in pictures)
    for one, two in zip(saw, saw_lent, strict=True):
        assert all(np.array_equal(one[name], two[name]) for name in pictures)
