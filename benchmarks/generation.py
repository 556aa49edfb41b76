"""How many new scenes segment replay solves from a few demonstrations, beside plain replay of the recorded actions.

Physics only, no pictures. For every task: `--sources` successful expert episodes on cases of the split `collect`, then
`--trials` cases of the split `generate`, each under plain replay of one source's actions (drawn at random per case)
and under `SegmentReplay`. CPU seconds are of this process and hold the simulator's share.

    python benchmarks/generation.py
    python benchmarks/generation.py --tasks pick-place-v3,reach-v3 --sources 1
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    ActionChunk,
    Case,
    Episode,
    Observation,
    Outcome,
    Policy,
    Provenance,
    RolloutSettings,
    Session,
    Spec,
    Trial,
    cases,
    combine,
    derive_seed,
    generator,
)
from roboscale.referees import SuccessReferee
from roboscale.sources.simulation.generator import SegmentReplay
from roboscale.trials import Asking, Job, outcome_of, rollout
from roboscale.worlds.simulated.metaworld import MetaWorld

TASKS = (
    "pick-place-v3,push-v3,peg-insert-side-v3,assembly-v3,bin-picking-v3,box-close-v3,basketball-v3,shelf-place-v3,"
    "drawer-open-v3,door-open-v3,button-press-topdown-v3,window-open-v3,hammer-v3,stick-pull-v3,lever-pull-v3,"
    "coffee-pull-v3,sweep-into-v3,reach-v3,handle-pull-v3,faucet-open-v3"
)
OBSERVED = ("observation.environment_state", "contact.gripper_n")
MAX_EXPERT_FAILURES = 40
STANDS_M = 0.002


@dataclass(frozen=True)
class Row:
    """One task's result.

    Args:
        first: successes of the first attempt.
        source_wait, wait: the longest stretch of steps in which the hand stands, mean over the sources and over the
            successes of segment replay. A policy that sees one moment cannot tell a wait from its end.
        replay_cpu_s, segments_cpu_s: of a trial.
    """

    task: str
    sources: int
    trials: int
    replay: float
    segments: float
    first: float
    steps: float
    source_wait: float
    wait: float
    replay_cpu_s: float
    segments_cpu_s: float


class Replay:
    """Plays the actions of one of several episodes, whatever it sees, and stands still after the last."""

    name, history = "replay", 1
    observation_spec: Spec | None = None
    action_spec: Spec | None = None

    def __init__(self, episodes: Sequence[Episode]) -> None:
        self._episodes = episodes
        self.identity = combine("replay", [episode.id for episode in episodes])

    def start(self, instruction: str, seed: int) -> Session:
        actions = self._episodes[int(generator("replay", seed).integers(len(self._episodes)))].arrays["action"]
        still = np.concatenate([np.zeros((1, 3)), actions[-1:, 3:]], axis=1).astype(np.float32)
        step = -1

        def act(observation: Observation) -> ActionChunk:
            nonlocal step
            step += 1
            return ActionChunk(actions[step : step + 1] if step < len(actions) else still)

        return act


def play(world: MetaWorld, policy: Policy, case: Case) -> tuple[Outcome, list[dict[str, NDArray[Any]]], Session]:
    """One episode without pictures: outcome, frames, and the session for what it says of itself."""
    info = world.info
    settings = RolloutSettings(horizon=info.horizon, rate_hz=info.rate_hz, watch="success (first)")
    referee = SuccessReferee(info.rule)
    trial = Trial(policy=policy.identity, world=info.identity, case=case, settings=settings)
    session = policy.start(info.instruction(case.task), derive_seed("trial", case.id))
    run = rollout(world, case, settings, referee=referee, asking=Asking(needs=OBSERVED))
    frames: list[dict[str, NDArray[Any]]] = []
    try:
        seen = next(run)
        while True:
            chunk = session(seen)
            assert isinstance(chunk, ActionChunk), "the policies here answer at once"
            frames.append({**seen, "action": np.asarray(chunk.rows[0], np.float32)})
            seen = run.send(ActionChunk(chunk.rows[:1]))
    except StopIteration as done:
        job = Job(trial=trial, referee=referee).finish(done.value)
    outcome = outcome_of(job.trial, [job.judgement])
    assert outcome is not None, "a rule decides at once"
    return outcome, frames, session


def record(world: MetaWorld, task: str, count: int, seed: int) -> list[Episode]:
    """The first `count` successes of the expert on the cases of `collect`."""
    info = world.info
    spec = Spec((*info.observation_spec.select(OBSERVED), *info.action_spec), info.rate_hz)
    episodes: list[Episode] = []
    for case in cases(task, count + MAX_EXPERT_FAILURES, seed, "collect"):
        outcome, frames, _ = play(world, world.expert(), case)
        if outcome.success:
            arrays = {name: np.stack([frame[name] for frame in frames]) for name in spec.names}
            provenance = Provenance(
                "simulation.record", embodiment=info.embodiment, operator="expert", task=task, seed=case.seed
            )
            episodes.append(
                Episode(
                    id=case.id,
                    spec=spec,
                    arrays=arrays,
                    instruction=info.instruction(task),
                    provenance=provenance,
                    outcome=outcome,
                )
            )
        if len(episodes) == count:
            return episodes
    raise SystemExit(f"{task}: the expert failed {MAX_EXPERT_FAILURES} times before {count} successes")


def longest_wait(world: MetaWorld, states: NDArray[Any]) -> int:
    """Steps of the longest stretch in which the hand moves less than `STANDS_M` a step, from (T, D) states."""
    layout = world.info.observation_spec[OBSERVED[0]].layout
    hand = states[1:, [layout.index(f"hand.{axis}") for axis in "xyz"]]
    longest = current = 0
    for still in np.linalg.norm(np.diff(hand[:-1], axis=0), axis=1) < STANDS_M:  # nothing follows the last step
        current = current + 1 if still else 0
        longest = max(longest, current)
    return longest


def measure(world: MetaWorld, task: str, sources: int, trials: int, seed: int) -> Row:
    """Both policies on the same cases."""
    episodes = record(world, task, sources, seed)
    asked = cases(task, trials, seed, "generate")
    start = time.process_time()
    replayed = [play(world, Replay(episodes), case)[0] for case in asked]
    middle = time.process_time()
    policy = SegmentReplay(episodes)
    generated = [play(world, policy, case) for case in asked]
    end = time.process_time()
    successes = [(outcome, session) for outcome, _, session in generated if outcome.success]
    stood = [
        longest_wait(world, np.stack([f[OBSERVED[0]] for f in frames])) for o, frames, _ in generated if o.success
    ]
    source_stood = [longest_wait(world, episode.arrays[OBSERVED[0]]) for episode in episodes]
    once = sum(len(session.details["attempts"]) == 1 for _, session in successes)
    steps = float(np.mean([outcome.steps for outcome, _ in successes])) if successes else float("nan")
    rate = sum(bool(outcome.success) for outcome in replayed) / trials
    cpu_s = (middle - start) / trials, (end - middle) / trials
    waits = float(np.mean(source_stood)), float(np.mean(stood)) if stood else float("nan")
    return Row(task, sources, trials, rate, len(successes) / trials, once / trials, steps, *waits, *cpu_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default=TASKS, help="names, comma separated")
    parser.add_argument("--sources", type=int, default=10, help="demonstrations per task")
    parser.add_argument("--trials", type=int, default=30, help="new scenes per task")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    world = MetaWorld()
    head = f"{'task':26}{'replay':>8}{'segments':>10}{'first':>8}{'steps':>7}{'waits of sources':>18}{'waits':>7}"
    head += f"{'cpu s':>8}{'replay cpu s':>14}"
    rows = []
    for task in options.tasks.split(","):
        row = measure(world, task, options.sources, options.trials, options.seed)
        rows.append(row)
        if not options.json:
            line = f"{row.task:26}{row.replay:8.2f}{row.segments:10.2f}{row.first:8.2f}{row.steps:7.0f}"
            line += f"{row.source_wait:18.1f}{row.wait:7.1f}"
            heading = f"{head}\n" if len(rows) == 1 else ""
            print(f"{heading}{line}{row.segments_cpu_s:8.3f}{row.replay_cpu_s:14.3f}", flush=True)
    names = ("replay", "segments", "first", "segments_cpu_s", "replay_cpu_s")
    mean = {name: float(np.mean([getattr(row, name) for row in rows])) for name in names}
    below = [row.task for row in rows if row.segments < row.replay]
    summary = {"mean": mean, "below_replay": below, "seed": options.seed, "world": str(world.info.identity)}
    if options.json:
        print(json.dumps({**summary, "rows": [asdict(row) for row in rows]}, indent=1))
        return
    print(
        f"mean over {len(rows)} tasks, {options.sources} sources, {options.trials} scenes each: "
        f"replay {mean['replay']:.3f}, segments {mean['segments']:.3f} ({mean['first']:.3f} at the first attempt), "
        f"{mean['segments_cpu_s']:.3f} CPU-s an attempt (replay {mean['replay_cpu_s']:.3f}); "
        f"below replay: {', '.join(below) or 'none'}"
    )
    world.close()


if __name__ == "__main__":
    sys.exit(main())
