"""How long the stages of the demo will take on this machine: the same work, done once in small and measured.

Processor seconds, not the clock's: what else runs on the machine does not blur them. An estimate says so where it is
shown, and speaks of work that is all still to be done.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Probe", "measure_probe"]

EPISODES, STEPS = 2, 25
START_S = 6.0  # a process that starts: Python, the simulator, torch
LONGEST = 0.6  # share of a failed trial that a mean one takes: successes end sooner


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Processor seconds of one piece of work.

    Args:
        episode_s: a successful episode, attempted and recorded.
        step_s: an optimiser step.
        trial_s: a trial that fails, which is the longest.
        cores: that this process may use.
    """

    episode_s: float
    step_s: float
    trial_s: float
    cores: int

    def collecting(self, episodes: int) -> str:
        """What so many episodes take, in words."""
        return self._words(episodes * self.episode_s, episodes)

    def training(self, policies: int, steps: int) -> str:
        """What so many trainings take, in words."""
        return self._words(policies * steps * self.step_s, policies)

    def trying(self, trials: int) -> str:
        """What so many trials take, in words."""
        return self._words(trials * LONGEST * self.trial_s, trials)

    def _words(self, cpu_s: float, pieces: int) -> str:
        cores = min(self.cores, pieces)
        total_s = cpu_s + START_S * cores
        clock_s = total_s / cores
        length = f"{clock_s:.0f} s" if clock_s < 100 else f"{clock_s / 60:.0f} minutes"
        on = f"{cores} idle core{'s' if cores > 1 else ''}"
        return f"about {length} ({total_s:.0f} processor s on {on})"


def measure_probe(task: str, inputs: str) -> Probe:
    """Records, trains and tries a little of one task, in a folder that is gone afterwards; 5 to 30 processor seconds.

    Args:
        task: of Meta-World.
        inputs: `state`, which renders nothing, or `images`.
    """
    from roboscale.jobs.eval import Evaluate, evaluate
    from roboscale.jobs.filling import Filling, recorded
    from roboscale.jobs.training import Training, run_training, training_config
    from roboscale.policies.builtin.checkpoint import read_manifest

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)

        def record(name: str, episodes: int) -> None:
            asked = Filling(
                world="metaworld",
                tasks=(task,),
                per_task=episodes,
                out=out / name,
                workers=0,
                images=inputs == "images",
            )
            recorded(asked, "expert", lambda event: None)

        def try_up_to(trials: int) -> None:
            asked = Evaluate(policy=str(out / "policy"), tasks=task, trials=trials, workers=0, store=str(out / "log"))
            evaluate(asked, lambda event: None)

        record("warm", 1)  # what has to be loaded is loaded
        episode_s = _each_s(EPISODES, lambda: record("one", 1), lambda: record("more", 1 + EPISODES))
        config = training_config(inputs, "", STEPS, 0)
        run_training(Training(out / "more", out / "policy", config), lambda done, total, loss: None)
        step_s = read_manifest(out / "policy")["training"]["cpu_s"] / STEPS
        try_up_to(1)
        trial_s = _each_s(1, lambda: try_up_to(2), lambda: try_up_to(4))  # one more trial, then two more
    return Probe(episode_s=episode_s, step_s=step_s, trial_s=trial_s, cores=len(os.sched_getaffinity(0)))


def _each_s(pieces: int, one: Callable[[], None], more: Callable[[], None]) -> float:
    """Processor seconds a piece, where `more` does so many more of them than `one`: what both begin with cancels."""
    before = time.process_time()
    one()
    middle = time.process_time()
    more()
    return max(0.0, (time.process_time() - middle) - (middle - before)) / pieces
