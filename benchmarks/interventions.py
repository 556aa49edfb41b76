"""Twenty corrected attempts or twenty more demonstrations? Success of policies that learned from either.

    python -m benchmarks.interventions out [--task peg-insert-side-v3] [--runs 3] [--trials 40]

A policy learns from ten demonstrations of the world's expert. Then twenty more episodes are recorded in two ways: by
the expert alone, or by that policy while a script stands by as a person would: it sees that the policy goes another
way than the expert for a quarter of a second, reacts 200 ms later, drives for a second as the expert does, and gives
back. Only attempts that end in success are kept, either way. Both sets, the ten included, have the fields that
`collect teleop --policy` records; policies of equal steps learn from each several times, all frames weighing the same,
and from the corrected ones also with the person's frames four times. Nobody was measured: the script knows the expert.
"""

from __future__ import annotations

import argparse
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    ActionChunk,
    Observation,
    Outcome,
    Policy,
    Provenance,
    RolloutSettings,
    Session,
    World,
    cases,
    derive_seed,
)
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.jobs.filling import opened
from roboscale.jobs.recipe_round import RecipeRound, try_recipes
from roboscale.jobs.training import Training, train_all, training_config
from roboscale.policies.resolve import resolve_policy
from roboscale.referees import referee_for
from roboscale.sources.teleop import MarkedTake, marked_spec
from roboscale.trials import recording_spec
from roboscale.trials.rollout import rollout

APART = 0.5  # of an action's range: the policy goes another way
SEEN_S, REACTION_S, DRIVES_S = 0.25, 0.2, 1.0
WEIGHT = 4.0


class StandingBy:
    """Drives as the policy does, and corrects it; without a policy it demonstrates."""

    def __init__(self, expert: Session, policy: Session | None, rate_hz: float) -> None:
        self._expert, self._policy, self._hz = expert, policy, rate_hz
        self._rows: deque[NDArray[Any]] = deque()
        self._apart = self._step = 0
        self._from = self._until = -1
        self.corrected = 0
        self.marks: dict[str, NDArray[Any]] = {}

    def __call__(self, observation: Observation) -> ActionChunk:
        shown = _one(self._expert(observation))
        planned = shown if self._policy is None else self._planned(observation)
        self._apart = self._apart + 1 if np.abs(np.clip(shown, -1, 1) - planned).max() > APART else 0
        if self._step > self._until and self._apart >= SEEN_S * self._hz:
            self._from = self._step + round(REACTION_S * self._hz)
            self._until = self._from + round(DRIVES_S * self._hz)
        person = self._policy is None or self._from <= self._step <= self._until
        self.corrected += person
        if person:
            self._rows.clear()  # whoever gets the arm back looks again
        action = np.asarray(shown if person else planned, np.float32)
        self.marks = {
            "time.step_ns": np.array([round(1e9 * self._step / self._hz)], np.int64),
            "operator.age_s": np.zeros(1, np.float32),
            "is_intervention": np.array([person]),
            "policy.action": np.asarray(planned, np.float32),
        }
        self._step += 1
        return ActionChunk(action[None])

    def _planned(self, observation: Observation) -> NDArray[Any]:
        assert self._policy is not None
        if not self._rows:
            answer = self._policy(observation)
            assert isinstance(answer, ActionChunk)
            self._rows.extend(np.asarray(answer.actions))
        return np.clip(self._rows.popleft(), -1, 1)


def _one(answer: Any) -> NDArray[Any]:
    assert isinstance(answer, ActionChunk)
    return np.asarray(answer.actions[0])


def collect(root: Path, world: World, task: str, policy: Policy | None, *, wanted: int, seed: int) -> None:
    """Episodes until so many succeeded; those that are there count, and others are discarded."""
    info, expert = world.info, resolve_policy("expert", world=world, seed=seed)
    spec, sentence = marked_spec(recording_spec(info), True), info.instruction(task)
    settings = RolloutSettings(horizon=info.horizon, rate_hz=info.rate_hz, watch=referee_for(info).name)
    tried = 0
    with DatasetWriter(root, spec, robot_type=info.embodiment) as sink:
        for case in cases(task, 50 * wanted, seed, "collect"):
            if len(sink.episode_ids) >= wanted:
                break
            tried += 1
            asked = None if policy is None else policy.start(sentence, derive_seed("drive", case.id))
            session = StandingBy(expert.start(sentence, 0), asked, info.rate_hz)
            known = Provenance(
                source="teleop", embodiment=info.embodiment, operator="script", task=task, seed=case.seed
            )
            take = MarkedTake(sink.begin(sentence, known), lambda made=session: made.marks)
            run = rollout(world, case, settings, referee=referee_for(info), take=take)
            try:
                seen: Any = next(run)
                while True:
                    seen = run.send(session(seen))
            except StopIteration as done:
                result = done.value
            if result.satisfied:
                take.save(Outcome("success", steps=result.steps))
            else:
                take.discard()
    print(f"{root.name}: {wanted} successes of {tried} attempts", flush=True)


def grown(root: Path, base: Path, world: World, task: str, policy: Policy | None, *, more: int, seed: int) -> None:
    """The base's episodes, by the same cases, and so many more on others."""
    if root.exists():
        return
    part = root.with_name(root.name + ".part")
    collect(part, world, task, None, wanted=len(Dataset(base).episodes), seed=seed)
    collect(part, world, task, policy, wanted=len(Dataset(base).episodes) + more, seed=seed + 1)
    part.rename(root)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of everything; the same one resumes")
    parser.add_argument("--task", default="peg-insert-side-v3")
    parser.add_argument("--base", type=int, default=10)
    parser.add_argument("--more", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3, help="trainings a side")
    parser.add_argument("--trials", type=int, default=40, help="of each training run")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args()
    out, task = asked.out, asked.task
    out.mkdir(parents=True, exist_ok=True)
    world = opened("metaworld", images=False)
    base = out / "base"
    if not base.exists():
        collect(base, world, task, None, wanted=asked.base, seed=asked.seed)
    first = Training(base, out / "first", training_config("state", "", asked.steps, asked.seed))
    train_all([first], lambda *_: None, at_once=1)
    policy = resolve_policy(str(out / "first"), world=world, seed=asked.seed)
    grown(out / "more", base, world, task, None, more=asked.more, seed=asked.seed)
    grown(out / "corrected", base, world, task, policy, more=asked.more, seed=asked.seed)
    marked = Dataset(out / "corrected").arrays("is_intervention")[:, 0]
    print(f"corrected: {int(marked.sum())} of {len(marked)} frames by the person, demonstrations included")
    for name, settings in (("corrected", ()), (f"weighted {WEIGHT:g}", (f"intervention_weight={WEIGHT}",))):
        round_ = RecipeRound(
            datasets={"more demonstrations": out / "more", name: out / "corrected"},
            tasks=(task,),
            runs=asked.runs,
            trials=asked.trials,
            steps=asked.steps,
            out=out / f"round {name}".replace(" ", "-"),
            seed=asked.seed,
            workers=asked.workers,
        )
        trainings = [
            Training(
                round_.datasets[recipe],
                folder,
                training_config("state", "", asked.steps, 100 * asked.seed + run, settings if recipe == name else ()),
            )
            for (recipe, run), folder in round_.policies.items()
        ]
        train_all(trainings, lambda *_: None, at_once=asked.workers)
        print("\n".join(try_recipes(round_).lines), flush=True)


if __name__ == "__main__":
    main()
