"""The demo's look into a learned world: its gates, what it imagines of both recipes, and what two policies can claim.

A state twin of one task is fitted to rollouts of the world's noisy expert, whose episodes no recipe learned from. The
first training of each recipe is tried in it and in the simulator that stands in for the real world, with one rule.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from roboscale.core import Estimate
from roboscale.core.plain import Plain
from roboscale.jobs.events import Note, OnEvent, ignore
from roboscale.jobs.files import write_text

if TYPE_CHECKING:
    from roboscale.jobs.judged import Judged

__all__ = ["ImaginedRates", "imagine_recipes"]

COLLECTOR = "noisy:expert:0.5"  # fails about as often as it succeeds: a twin of successes alone fails its gates
EPISODES = 80
TRIALS = 20  # of each recipe in each world
HORIZON, RULE = 150, "end"  # steps; what was pushed is to stay there
STEPS, MEMBERS = 2000, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ImaginedRates(Plain):
    """What a learned world said of the recipes.

    Args:
        gates: every number of its gates, and what follows.
        imagined, simulated: success of the first training of each recipe, in the twin and in the simulator.
        card: the claims of the validity card, the most important first.
    """

    task: str
    gates: tuple[str, ...]
    imagined: Mapping[str, Estimate]
    simulated: Mapping[str, Estimate]
    card: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """For a terminal and the page: what the gates say, the rates of each recipe, and the claim."""
        rates = [
            f"learned world of {self.task}, {name} (first training): imagined {self.imagined[name]}, "
            f"simulated {self.simulated[name]}"
            for name in self.imagined
        ]
        return (f"learned world of {self.task}: {self.gates[-1]}", *rates, f"validity card: {self.card[0]}")


def imagine_recipes(
    folder: Path, task: str, policies: Mapping[str, Path], *, seed: int, workers: int | None, on_event: OnEvent
) -> ImaginedRates:
    """Collects, trains, checks and asks the twin; what is there is used.

    Args:
        folder: of all of it.
        task: of Meta-World.
        policies: recipe -> checkpoint that reads the world's state.

    Raises:
        RoboscaleError: the collector never succeeded, or never failed, so that no judge can be learned.
    """
    from roboscale.jobs.eval import Evaluate, evaluate
    from roboscale.jobs.learned import content_of, learned_parts, read_gates
    from roboscale.jobs.validity import CheckValidity, check_validity
    from roboscale.jobs.world_check import CheckWorldTasks, check_world_tasks

    twin = _twin(folder, task, seed, workers, on_event)
    world, _ = learned_parts(twin)
    checked = read_gates(twin, content_of(world))  # of these weights, where they were checked already
    if checked is None:
        checked = check_world_tasks(CheckWorldTasks(world=str(twin), seed=seed), ignore).gates
    assert checked is not None, "a learned world has gates"
    for line in checked.lines:
        on_event(Note(f"gate: {line}"))
    open_anyway = "?gates=off" if checked.failed else ""
    worlds = {"imagined": (f"learned:{twin}{open_anyway}", "all"), "simulated": ("metaworld", task)}
    rates: dict[str, dict[str, Estimate]] = {}
    for name, (where, tasks) in worlds.items():
        asked = Evaluate(
            policy="",
            world=where,
            tasks=tasks,
            trials=TRIALS,
            rule=RULE,
            horizon=HORIZON,
            seed=seed,
            workers=workers,
            store=str(folder / name),
        )
        done = {
            recipe: evaluate(replace(asked, policy=str(path)), on_event).judged for recipe, path in policies.items()
        }
        rates[name] = {recipe: judged.rate(judged.used) for recipe, judged in done.items()}
        _write_table(folder / f"{name}.csv", task, done)
    card = check_validity(CheckValidity(real=str(folder / "simulated.csv"), cheap=str(folder / "imagined.csv"))).card
    return ImaginedRates(
        task=task,
        gates=tuple(checked.lines),
        imagined=rates["imagined"],
        simulated=rates["simulated"],
        card=card.claims,
    )


def _twin(folder: Path, task: str, seed: int, workers: int | None, on_event: OnEvent) -> Path:
    """Folder of the twin, trained on rollouts that are recorded without pictures."""
    from roboscale.jobs.eval import Evaluate, evaluate
    from roboscale.jobs.judged import whole
    from roboscale.jobs.rollouts import record_rollouts
    from roboscale.jobs.world_train import TrainWorld, train_world
    from roboscale.trials.log import open_log

    store, twin, data = folder / "collected", folder / "twin", folder / "episodes"
    if (twin / "world.json").exists():
        return twin
    asked = Evaluate(
        policy=COLLECTOR,
        tasks=task,
        trials=EPISODES,
        rule=RULE,
        horizon=HORIZON,
        seed=seed,
        workers=workers,
        store=str(store),
    )
    judged = evaluate(asked, on_event).judged
    with open_log(str(store), read_only=True) as log:
        record_rollouts(judged.run, whole(log, judged.counted), data, on_event, images=False)
    train_world(
        TrainWorld(dataset=data, out=twin, labels=str(store), steps=STEPS, members=MEMBERS, seed=seed), on_event
    )
    return twin


def _write_table(file: Path, task: str, done: Mapping[str, Judged]) -> None:
    """A row a trial, as `roboscale validity` reads them; void trials are left out, as from every rate."""
    rows = [
        (recipe, task, counted.case.seed, int(counted.outcome.success))
        for recipe, judged in done.items()
        for counted in judged.used
        if counted.outcome.success is not None
    ]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("policy", "task", "case", "success"), *rows])
    write_text(file, text.getvalue())
