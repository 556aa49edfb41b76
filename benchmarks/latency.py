"""Success against the time that a policy takes to answer, when the arm waits for it and when it goes on. Seeded.

    python -m benchmarks.latency [--trials 200] [--plot docs/images/latency.svg]

A point is sent to positions and has to stay on a goal that moves on a circle, at a speed that the case draws. The
policy sees where both are, and answers with the next ten positions on the way to where the goal was; it knows nothing
of speeds. Synchronous: the point stands still while the policy thinks, then all ten, or the first two, are executed.
Asynchronous: the next answer is asked for while eight are left, and merged by the actions consumed since. 20 Hz,
simulated time: 0, 50, 150 and 400 ms are 0, 1, 3 and 8 steps. No robot, no learned policy: the shape is the point,
not the numbers.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.stats_sequential import markdown
from roboscale.core import (
    PENDING,
    ActionChunk,
    Case,
    Estimate,
    Field,
    Measure,
    Observation,
    Policy,
    RolloutSettings,
    Session,
    Spec,
    Step,
    WorldInfo,
    cases,
    combine,
    generator,
)
from roboscale.policies.asynchronous import Asynchronous
from roboscale.referees import referee_for
from roboscale.report.canvas import colour, draw, new_canvas
from roboscale.stats import clopper_pearson
from roboscale.trials import Schedule, TrialRunner, make_slots
from roboscale.trials.log import open_log

if TYPE_CHECKING:
    from roboscale.report.canvas import Canvas

RATE_HZ = 20.0
LATENCIES_MS = (0, 50, 150, 400)
CHUNK, ASK_AT = 10, 8
FASTEST_M, NEAR_M, ON_IT = 0.06, 0.06, 10
Mode = Literal["synchronous", "synchronous, two of ten executed", "asynchronous"]
MODES: tuple[Mode, ...] = ("synchronous", "synchronous, two of ten executed", "asynchronous")
STATE = Field(
    "observation.state", (4,), "float32", unit="m", frame="world", layout=("point.x", "point.y", "goal.x", "goal.y")
)
ACTION = Field("action", (2,), "float32", unit="m", frame="world", layout=("x", "y"))


class Chase:
    """A point that is sent to positions, at most 6 cm a step, and a goal that does not wait."""

    def __init__(self) -> None:
        self.info = WorldInfo(
            name="chase",
            kind="simulated",
            version="1",
            identity=combine("chase", 1),
            embodiment="point",
            tasks={"chase": "stay on the goal"},
            observation_spec=Spec((STATE,), RATE_HZ),
            action_spec=Spec((ACTION,), RATE_HZ),
            horizon=100,
            measures=(Measure(name="success", unit="bool", series=True),),
            deterministic=True,
            hold=(0.0, 0.0),
        )

    def start(self, case: Case) -> ChaseScene:
        return ChaseScene(case)

    def close(self) -> None:
        """Nothing to give back."""


class ChaseScene:
    def __init__(self, case: Case) -> None:
        rng = generator("chase", case.seed)
        self.point, self.angle = np.zeros(2), float(rng.uniform(0, 2 * np.pi))
        self.turn = float(rng.uniform(0, 0.12)) * rng.choice((-1, 1))  # rad a step; 3.6 cm at most
        self.near = 0

    @property
    def goal(self) -> NDArray[np.float64]:
        return 0.3 * np.array([np.cos(self.angle), np.sin(self.angle)])

    def observe(self, names: Collection[str] | None = None) -> Observation:
        state = np.concatenate([self.point, self.goal]).astype(np.float32)
        return {STATE.name: state} if names is None or STATE.name in names else {}

    def hold_action(self) -> NDArray[Any]:
        return self.point

    def step(self, action: NDArray[Any]) -> Step:
        self.point = towards(self.point, np.asarray(action, float))
        self.angle += self.turn
        self.near = self.near + 1 if np.hypot(*(self.point - self.goal)) < NEAR_M else 0
        return Step(terminated=self.near >= ON_IT)

    def measures(self) -> dict[str, float | None]:
        return {"success": float(self.near >= ON_IT)}

    def close(self) -> None:
        """Nothing to give back."""


def towards(here: NDArray[np.float64], there: NDArray[np.float64]) -> NDArray[np.float64]:
    """One step on the way, at most as long as the point can."""
    way = there - here
    return np.asarray(here + way * min(1.0, FASTEST_M / max(float(np.hypot(*way)), 1e-9)))


class Plans:
    """The next ten positions on the way to where the goal is now."""

    name, history = "plans", 1
    identity = combine("plans", 1)
    observation_spec: Spec | None = Spec((STATE,), RATE_HZ)
    action_spec: Spec | None = Spec((ACTION,), RATE_HZ)

    def start(self, instruction: str, seed: int) -> Session:
        def act(observation: Observation) -> ActionChunk:
            state = np.asarray(observation[STATE.name], float)
            rows = [state[:2]]
            for _ in range(CHUNK):
                rows.append(towards(rows[-1], state[2:]))
            return ActionChunk(np.array(rows[1:], np.float32))

        return act


class Late:
    """A policy whose every answer takes some steps, in which the world is held still."""

    def __init__(self, policy: Policy, steps: int) -> None:
        self.name, self.history = f"{policy.name} ({steps} steps late)", policy.history
        self.identity = combine(self.name, "late", policy.identity, steps)
        self.observation_spec, self.action_spec = policy.observation_spec, policy.action_spec
        self._policy, self._steps = policy, steps

    def start(self, instruction: str, seed: int) -> Session:
        inner, steps = self._policy.start(instruction, seed), self._steps
        answer: list[Any] = []
        waited = [0]

        def act(observation: Observation) -> Any:
            if not answer:
                answer.append(inner(observation))
            if waited[0] < steps:
                waited[0] += 1
                return PENDING
            waited[0] = 0
            return answer.pop()

        return act


def success(mode: Mode, latency_ms: int, trials: int) -> Estimate:
    """The success rate at one latency."""
    steps = round(latency_ms * RATE_HZ / 1000)
    waits = mode != "asynchronous"
    policy: Policy = Late(Plans(), steps) if waits else Asynchronous(Plans(), ASK_AT, RATE_HZ, steps)
    world = Chase()
    referee = referee_for(world.info)
    with tempfile.TemporaryDirectory() as folder, open_log(folder) as log:
        runner = TrialRunner(
            info=world.info,
            world=world.info.identity,
            policies={policy.identity: policy},
            settings=RolloutSettings(
                horizon=world.info.horizon,
                rate_hz=RATE_HZ,
                watch=referee.name,
                execute=CHUNK - ASK_AT if mode == MODES[1] else None,
            ),
            referee=referee,
            slots=make_slots(lambda: world, workers=0),
            log=log,
        )
        counted = runner.run(Schedule(policies=(policy.identity,), cases=cases("chase", trials, 0, "eval")))
    return clopper_pearson(sum(bool(c.outcome.success) for c in counted), len(counted))


def measure(trials: int) -> dict[str, list[Estimate]]:
    """Mode -> the rate at each latency."""
    return {mode: [success(mode, latency, trials) for latency in LATENCIES_MS] for mode in MODES}


def plot(path: Path, rates: dict[str, list[Estimate]]) -> None:
    """Success with its 95 % interval against latency."""

    def build() -> Canvas:
        canvas = new_canvas(720, 290)
        canvas.patch.set(visible=True, facecolor="white")
        canvas.set_layout_engine("constrained")
        panel = canvas.subplots()
        for at, (mode, found) in enumerate(rates.items()):
            values = np.array([[e.value, e.low, e.high] for e in found], float).T
            off = np.array(LATENCIES_MS) + 4 * (at - 1)
            panel.errorbar(
                off, values[0], (values[0] - values[1], values[2] - values[0]), color=colour(at), label=mode
            )
        panel.set(xlabel="ms from a question to its answer", ylabel="success", xticks=LATENCIES_MS, ylim=(0, 1.02))
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False)
        return canvas

    svg = draw("latency", 720, build)
    path.write_text(re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\d+\.\d\d)\d+", r"\1", tag[0]), svg))
    print(f"wrote {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--plot", type=Path, help="write the figure here as well")
    asked = parser.parse_args()
    rates = measure(asked.trials)
    rows = [[mode, *(f"{e.value:.2f} [{e.low:.2f}, {e.high:.2f}]" for e in found)] for mode, found in rates.items()]
    print(markdown(["", *(f"{latency} ms" for latency in LATENCIES_MS)], rows))
    if asked.plot:
        plot(asked.plot, rates)


if __name__ == "__main__":
    main()
