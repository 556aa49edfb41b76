"""What the trial machinery costs: trials a minute beside a bare hand-written loop, same task, same policy.

    python -m benchmarks.rollout_overhead [--task reach-v3] [--trials 20] [--rounds 5] [--peer]

The bare loop makes the environment, resets, asks the expert and steps: what a careful person writes in ten lines.
Ours adds specs, checks, contact forces, measures, a referee and the log. Rounds alternate; the ratio is the median.
`--peer` adds LeRobot's `lerobot-eval` where it is installed.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
import warnings

import numpy as np

from roboscale.core import RolloutSettings, cases
from roboscale.referees import referee_for
from roboscale.trials import Schedule, TrialRunner, make_slots
from roboscale.trials.log import open_log
from roboscale.worlds.simulated.metaworld import MetaWorld


def bare(task: str, seeds: list[int]) -> int:
    """Steps taken by a loop without roboscale."""
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS
    from metaworld.policies import ENV_POLICY_MAP

    env, policy = ALL_V3_ENVIRONMENTS[task](), ENV_POLICY_MAP[task]()
    env._partially_observable, env._freeze_rand_vec, env._set_task_called = False, False, True
    env.seeded_rand_vec = True
    del env.sawyer_observation_space
    steps = 0
    for seed in seeds:
        env.seed(seed)
        observation, _ = env.reset()
        for _ in range(500):
            observation, _, _, _, info = env.step(np.clip(policy.get_action(observation), -1, 1))
            steps += 1
            if info["success"]:
                break
    env.close()
    return steps


def ours(task: str, count: int) -> int:
    """Steps taken by the trial machinery in this process."""
    world = MetaWorld()
    info, expert, referee = world.info, world.expert(), referee_for(world.info)
    settings = RolloutSettings(horizon=info.horizon, rate_hz=info.rate_hz, watch=referee.name)
    slots = make_slots(lambda: world, workers=0)  # as a command does: the world is opened once
    with tempfile.TemporaryDirectory() as folder, open_log(folder) as log:
        runner = TrialRunner(
            info=info,
            world=info.identity,
            policies={expert.identity: expert},
            settings=settings,
            referee=referee,
            slots=slots,
            log=log,
        )
        counted = runner.run(Schedule(policies=(expert.identity,), cases=cases(task, count, 0, "eval")))
    slots[0].close()
    return sum(c.outcome.steps for c in counted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--task", default="pick-place-v3")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", action="store_true", help="also run lerobot-eval where it is installed")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    seeds = [case.seed for case in cases(args.task, args.trials, 0, "eval")]
    bare(args.task, seeds[:1]), ours(args.task, 1)  # imports and caches
    ratios, rates = [], []
    for _ in range(args.rounds):
        start = time.process_time()
        bare_steps = bare(args.task, seeds)
        middle = time.process_time()
        our_steps = ours(args.task, args.trials)
        end = time.process_time()
        # the world stores float32, the bare loop does not: a trial may end a step earlier or later
        assert abs(bare_steps - our_steps) < 0.02 * bare_steps, f"different trials: {bare_steps}, {our_steps} steps"
        ratios.append((middle - start) / bare_steps * our_steps / (end - middle))
        rates.append((60 * args.trials / (middle - start), 60 * args.trials / (end - middle)))
    print(f"task {args.task}, {args.trials} trials a round, {args.rounds} rounds, processor time")
    print(f"bare loop   {statistics.median(r[0] for r in rates):8.0f} trials/min (median)")
    print(f"roboscale   {statistics.median(r[1] for r in rates):8.0f} trials/min (median)")
    print(f"ratio       {statistics.median(ratios):8.2f} (median; {min(ratios):.2f} to {max(ratios):.2f})")
    if args.peer:
        print(
            "lerobot-eval: "
            + (shutil.which("lerobot-eval") or "not installed here; it needs an environment of its own")
        )


if __name__ == "__main__":
    main()
