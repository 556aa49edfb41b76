"""Twenty comparisons as a bench makes them, of policies whose success is known: right, undecided or wrong. Seeded.

    python -m benchmarks.bench_comparisons [OUT] [--seed 0] [--budget 60] [--error 0.05] [--rounds 1] [--equal]

A point has to reach a goal in a square; each policy reads its state and sees only a part of the square, whose share is
its success rate, exactly. Schedule, drawn order, step loop, log, judgements and stopping rule are those of
`roboscale compare` at a robot. Time is simulated, there is no guard and no page, and the scorer is a script that looks
where the point ended and says the contrary in `--error` of the trials. `--equal` tries arms that are equally good,
where any claim is wrong, and at most 5 % of comparisons may make one.
Run again with the same OUT it goes on with what is there.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.stats_sequential import markdown
from roboscale.core import (
    ActionChunk,
    Case,
    Design,
    Field,
    Judgement,
    Measure,
    Observation,
    RolloutSettings,
    Session,
    Spec,
    Step,
    Trial,
    Verdict,
    WorldInfo,
    cases,
    combine,
    derive_seed,
    generator,
)
from roboscale.referees import Person
from roboscale.stats.deciding import Decided, Decider, decide
from roboscale.trials import Schedule, TrialRunner, evidence_of, make_slots
from roboscale.trials.log import open_log

RATES = (
    (0.3, 0.7), (0.2, 0.8), (0.5, 0.9), (0.4, 0.7), (0.5, 0.7), (0.6, 0.9), (0.7, 0.95), (0.1, 0.4), (0.3, 0.5),
    (0.45, 0.9), (0.9, 0.5), (0.8, 0.3), (0.7, 0.4), (0.95, 0.6), (0.6, 0.4), (0.8, 0.6), (0.4, 0.1), (0.7, 0.2),
    (0.9, 0.7), (0.55, 0.2),
)  # fmt: skip
EQUAL = ((0.5, 0.5), (0.9, 0.9), (0.3, 0.3), (0.7, 0.7))
NEAR_M = 0.05
RATE_HZ = 10.0
STATE = Field(
    "observation.state", (4,), "float32", unit="m", frame="world", layout=("point.x", "point.y", "goal.x", "goal.y")
)
ACTION = Field(
    "action", (2,), "float32", unit="m", frame="world", layout=("dx", "dy"), mode="relative to state",
    low=(-0.2, -0.2), high=(0.2, 0.2),
)  # fmt: skip


class Square:
    """A point in a square and its goal. It measures how far apart they are; what a success is, a scorer says."""

    def __init__(self) -> None:
        self.info = WorldInfo(
            name="square",
            kind="simulated",
            version="1",
            identity=combine("square", 1),
            embodiment="point",
            tasks={"reach": "move the point to the goal"},
            observation_spec=Spec((STATE,), RATE_HZ),
            action_spec=Spec((ACTION,), RATE_HZ),
            horizon=8,
            measures=(Measure(name="distance", unit="m"),),
            deterministic=True,
            hold=(0.0, 0.0),
        )

    def start(self, case: Case) -> SquareScene:
        return SquareScene(case)

    def close(self) -> None:
        """Nothing to give back."""


class SquareScene:
    def __init__(self, case: Case) -> None:
        self.point, self.goal = np.full(2, 0.5), generator("square", case.seed).random(2)

    def observe(self, names: Collection[str] | None = None) -> Observation:
        state = np.concatenate([self.point, self.goal]).astype(np.float32)
        return {STATE.name: state} if names is None or STATE.name in names else {}

    def step(self, action: NDArray[Any]) -> Step:
        self.point = self.point + action
        return Step()

    def measures(self) -> dict[str, float | None]:
        return {"distance": float(np.hypot(*(self.point - self.goal)))}

    def close(self) -> None:
        """Nothing to give back."""


class Sees:
    """Goes to goals whose coordinate along `axis` is below `share`, and stands before the others."""

    history = 1
    observation_spec: Spec | None = Spec((STATE,), RATE_HZ)
    action_spec: Spec | None = Spec((ACTION,), RATE_HZ)

    def __init__(self, name: str, axis: int, share: float) -> None:
        self.name, self.axis, self.share = name, axis, share
        self.identity = combine(name, axis, share)

    def start(self, instruction: str, seed: int) -> Session:
        def act(observation: Observation) -> ActionChunk:
            state = observation[STATE.name]
            way = np.clip(state[2:] - state[:2], -0.2, 0.2)
            if state[2 + self.axis] >= self.share:
                way = -way
            return ActionChunk(way[None].astype(np.float32))

        return act


def compare_once(store: Path, rates: tuple[float, float], seed: int, budget: int, error: float) -> Decided:
    """One comparison, as far as it goes, from what the store has already."""
    world = Square()
    arms = [Sees("old", 0, rates[0]), Sees("new", 1, rates[1])]
    design = Design(budget=budget)
    chosen = cases("reach", budget, seed, "eval")

    def score(trial: Trial) -> Judgement:
        reached = (trial.measures.get("distance") or 0.0) < NEAR_M
        errs = generator("scorer", trial.policy.digest, trial.case.id, seed).random() < error
        return Judgement(
            trial=trial.id, referee="person", time_ns=time.time_ns(), state="decided", success=reached != errs
        )

    policies = tuple(arm.identity for arm in arms)
    with open_log(str(store)) as log:
        slots = make_slots(lambda: world, workers=0)
        runner = TrialRunner(
            info=world.info,
            world=world.info.identity,
            policies={arm.identity: arm for arm in arms},
            settings=RolloutSettings(horizon=world.info.horizon, rate_hz=RATE_HZ, watch="person"),
            referee=Person(),
            slots=slots,
            log=log,
            rule=Decider(("old", "new"), design),
            design=design,
            decide=score,
        )
        order = derive_seed("bench order", seed) % 2**63
        counted = runner.run(Schedule(policies=policies, cases=chosen, order=order))
    return decide(evidence_of(counted, policies, chosen, design))


def outcome(rates: tuple[float, float], verdict: Verdict) -> str:
    """`right`, `undecided` or `wrong`; between equal arms, to claim nothing is right."""
    if verdict.decision not in ("first is better", "second is better"):
        return "right" if rates[0] == rates[1] else "undecided"
    better = "second is better" if rates[1] > rates[0] else "first is better"
    return "right" if rates[0] != rates[1] and verdict.decision == better else "wrong"


def measure(
    out: Path, seed: int, budget: int, error: float, pairs: Sequence[tuple[float, float]] = RATES
) -> list[Any]:
    """A row of each comparison: rates, what was claimed, whether that is so, trials."""
    rows = []
    for number, rates in enumerate(pairs):
        store = out / f"{rates[0]:g}-{rates[1]:g}-{seed}-{budget}-{error:g}"
        decided = compare_once(store, rates, seed * 1000 + number, budget, error)
        assert isinstance(decided.verdict, Verdict), "two arms have one verdict"
        known = outcome(rates, decided.verdict)
        rows.append([f"{rates[0]:g}", f"{rates[1]:g}", decided.verdict.decision, known, str(2 * decided.used)])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="?", type=Path, help="folder of the trials; by default one that is removed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budget", type=int, default=60, help="most cases of a comparison")
    parser.add_argument("--error", type=float, default=0.05, help="share of trials that the scorer gets wrong")
    parser.add_argument("--rounds", type=int, default=1, help="how many times twenty, with seeds after the first")
    parser.add_argument("--equal", action="store_true", help="arms of no difference instead")
    asked = parser.parse_args()
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for round_ in range(asked.rounds):
            pairs = EQUAL if asked.equal else RATES
            rows = measure(asked.out or Path(folder), asked.seed + round_, asked.budget, asked.error, pairs)
            known = Counter(row[3] for row in rows)
            total += known
            if asked.rounds == 1:
                print(markdown(["old succeeds", "new succeeds", "claimed", "which is", "trials"], rows))
            trials = sum(int(row[4]) for row in rows)
            said = ", ".join(f"{known[name]} {name}" for name in ("right", "undecided", "wrong"))
            print(f"seed {asked.seed + round_}: of {len(rows)} comparisons {said}; {trials} trials", flush=True)
    if asked.rounds > 1:
        print(f"all: {dict(total)}")


if __name__ == "__main__":
    main()
