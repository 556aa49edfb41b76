"""How many new scenes pose replay solves from a few demonstrations of an expert, in tasks of a guest.

Physics only, no pictures. For every task: the expert on cases of the split `collect` until `--sources` successes, then
`--trials` cases of the split `generate` under `PoseReplay` and, beside it, a plain replay of the recorded actions.
CPU seconds are of the guest's process and this one, per attempt.

    roboscale guest install robosuite
    python -m benchmarks.generation_poses
    python -m benchmarks.generation_poses --tasks robosuite:Lift --trials 10
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from roboscale.core import (
    ActionChunk,
    Case,
    Episode,
    Observation,
    Outcome,
    Policy,
    PolicyError,
    Provenance,
    RolloutSettings,
    Session,
    Spec,
    Trial,
    World,
    cases,
    combine,
    derive_seed,
)
from roboscale.jobs.opening import open_any_world
from roboscale.referees import SuccessReferee
from roboscale.sources.simulation import PoseReplay
from roboscale.stats import clopper_pearson
from roboscale.trials import Asking, Job, outcome_of, rollout

BARS = {"Lift": 0.97, "Stack": 0.80, "PickPlaceCan": 0.75, "NutAssemblySquare": 0.70}
REPLAYED = 10  # cases of the plain replay: it fails slowly
OBSERVED = ("observation.state", "observation.joints", "observation.environment_state")


class Recorded:
    """The actions of the first demonstration, whatever is seen; then it stands still."""

    name, history = "replay", 1
    observation_spec: Spec | None = None
    action_spec: Spec | None = None

    def __init__(self, episodes: Sequence[Episode]) -> None:
        self._actions = episodes[0].arrays["action"]
        self.identity = combine("replay", [episode.id for episode in episodes])

    def start(self, instruction: str, seed: int) -> Session:
        rows = iter(self._actions)
        still = np.concatenate([np.zeros(6), self._actions[-1, 6:]]).astype(np.float32)

        def act(observation: Observation) -> ActionChunk:
            return ActionChunk(next(rows, still)[None])

        return act


def play(world: World, policy: Policy, case: Case) -> tuple[Outcome, list[dict[str, Any]], Session]:
    """One episode without pictures."""
    info = world.info
    settings = RolloutSettings(horizon=info.horizon, rate_hz=info.rate_hz, watch="success (first)")
    referee = SuccessReferee(info.rule)
    trial = Trial(policy=policy.identity, world=info.identity, case=case, settings=settings)
    session = policy.start(info.instruction(case.task), derive_seed("trial", case.id))
    run = rollout(world, case, settings, referee=referee, asking=Asking(needs=OBSERVED))
    frames: list[dict[str, Any]] = []
    try:
        seen = next(run)
        while True:
            try:
                chunk: Any = session(seen)
                frames.append({**seen, "action": np.asarray(chunk.rows[0], np.float32)})
            except PolicyError as error:
                chunk = error
            seen = run.send(chunk)
    except StopIteration as done:
        job = Job(trial=trial, referee=referee).finish(done.value)
    outcome = outcome_of(job.trial, [job.judgement])
    assert outcome is not None, "a rule decides at once"
    return outcome, frames, session


def record(world: World, task: str, count: int) -> tuple[list[Episode], int]:
    """The first successes of the expert on the cases of `collect`, and how many attempts that took."""
    info = world.info
    spec = Spec((*info.observation_spec.select(OBSERVED), *info.action_spec), info.rate_hz)
    episodes: list[Episode] = []
    for attempt, case in enumerate(cases(task, count + 40, 0, "collect"), 1):
        outcome, frames, _ = play(world, world.expert(), case)  # type: ignore[attr-defined]
        if outcome.success:
            arrays = {name: np.stack([frame[name] for frame in frames]) for name in spec.names}
            known = Provenance("simulation.record", task=task, seed=case.seed)
            episodes.append(
                Episode(id=case.id, spec=spec, arrays=arrays, instruction=info.instruction(task), provenance=known)
            )
        if len(episodes) == count:
            return episodes, attempt
    raise SystemExit(f"{task}: too few successes of the expert")


def cpu_s(pid: int | None) -> float:
    """Processor seconds of a process so far."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default=",".join(f"robosuite:{task}" for task in BARS), help="worlds of guests")
    parser.add_argument("--sources", type=int, default=5)
    parser.add_argument("--trials", type=int, default=40)
    options = parser.parse_args()
    missed = 0
    for name in options.tasks.split(","):
        world: Any = open_any_world(name)
        (task,) = world.info.tasks
        episodes, attempts = record(world, task, options.sources)
        asked = cases(task, options.trials, 0, "generate")
        policy = PoseReplay(episodes)
        before = time.process_time() + cpu_s(world.process.pid)
        played = [play(world, policy, case) for case in asked]
        spent = (time.process_time() + cpu_s(world.process.pid) - before) / len(asked)
        few = asked[:REPLAYED]
        replayed = sum(bool(play(world, Recorded(episodes), case)[0].success) for case in few)
        solved = sum(bool(outcome.success) for outcome, _, _ in played)
        rate, bar = clopper_pearson(solved, len(asked)), BARS.get(task, 0.0)
        missed += solved < bar * len(asked)
        failed = [case.seed for case, (outcome, _, _) in zip(asked, played, strict=True) if not outcome.success]
        print(f"{name:32} {rate}; bar {bar:.2f}; plain replay {replayed} of {len(few)}; {spent:.2f} CPU-s an attempt")
        print(f"{'':32} {options.sources} sources of {attempts} attempts; failed: {failed or 'none'}", flush=True)
        world.close()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
