"""A policy that answers otherwise in a batch than alone is found by the run that asks in batches, and said."""

from pathlib import Path

import numpy as np
import pytest

from roboscale import WriteReport, compare, evaluate, write_report
from roboscale.core import ActionChunk, PolicyError, identity_labels
from roboscale.jobs.judged import reasons
from roboscale.trials.batching import LOOKED_AT, batch_difference
from tests.toy_world import STATE, ToyWorld
from tests.trials.test_schedule import CASES, Stay, close, runner, schedule


class Batched(Stay):
    """Walks to the goal; in a batch of n, `error(n)` is added to every action."""

    def __init__(self, error=lambda n: 0.0, noise: float = 0.0) -> None:
        super().__init__("batched")
        self.error, self.noise, self.chance = error, noise, np.random.default_rng(0)

    def start(self, instruction: str, seed: int):
        self.started.append(seed)
        return self.alone

    def alone(self, seen, error: float = 0.0):
        x, goal = seen[STATE.name]
        away = error + self.noise * self.chance.normal()
        return ActionChunk(np.clip(np.array([[goal - x]]), -0.1, 0.1) * (1 - away))

    def act_many(self, sessions, observations):
        return [self.alone(seen, self.error(len(observations))) for seen in observations]


def tried(tmp_path: Path, policy: Batched, **more):
    run = runner(tmp_path, [policy], **more)
    counted = run.run(schedule(policy))
    close(run)
    return counted, reasons(counted, identity_labels([policy.identity]))


def test_a_difference_is_kept_with_the_trials_and_said_with_them(tmp_path: Path):
    counted, said = tried(tmp_path, Batched(lambda n: 0.05 * (n > 1)), worlds=4)
    (line,) = said
    assert line.startswith("batched is batch-dependent: asked in a batch of 4, actions differ by up to 0.005 from")
    assert all(c.trial.details["batch"] == 4 for c in counted), "the first batch comes before the first end"
    again, later = tried(tmp_path, Batched(), worlds=1)
    assert len(again) == len(CASES) and later == said, "a later run that finds them says it, too"


@pytest.mark.parametrize(
    ("policy", "more"),
    [
        (Batched(), {"worlds": 4}),
        (Batched(lambda n: 0.05 * (n > 1)), {"worlds": 1}),  # nobody asked in batches
        (Batched(noise=0.01), {"worlds": 4}),  # it does not repeat itself alone either
    ],
    ids=["equal", "alone", "noisy"],
)
def test_nothing_is_said_where_the_batch_changes_nothing(tmp_path: Path, policy: Batched, more):
    counted, said = tried(tmp_path, policy, **more)
    assert said == [] and not any("batch_difference" in c.trial.details for c in counted)


def test_other_lengths_are_infinitely_far_and_errors_are_the_trials_own():
    seen = [{STATE.name: np.array([0.0, 0.5], np.float32)}] * 3
    how = [("go", k) for k in range(3)]
    longer, broken, few = Batched(), Batched(), Batched()
    longer.act_many = lambda sessions, observations: [ActionChunk(np.zeros((2, 1)))] * 3

    def fail(sessions, observations):
        raise PolicyError("no batches today")

    broken.act_many = fail
    few.sessions = 2
    assert batch_difference(longer, how, seen) == np.inf
    assert batch_difference(broken, how, seen) is None and batch_difference(few, how, seen) is None
    assert batch_difference(Stay(), how, seen) is None, "it takes no batches"


def test_a_large_batch_is_looked_at_in_part():
    policy = Batched()
    seen = [{STATE.name: np.array([0.0, 0.5], np.float32)}] * 40
    assert batch_difference(policy, [("go", k) for k in range(40)], seen) == 0.0
    assert len(policy.started) == 3 * LOOKED_AT


def test_a_verdict_says_it_in_text_json_and_page(tmp_path: Path):
    changed, alike = Batched(lambda n: 0.05 * (n > 1)), Stay("stays")
    how = {"world": ToyWorld(), "task": "near", "budget": 8, "workers": 0, "out": str(tmp_path / "run")}
    done = compare(changed, alike, worlds=4, **how)
    assert done.sentence.endswith("; batched is batch-dependent")
    assert list(done.to_json()["batch_dependent"]) == ["batched"]
    assert any("in a batch of" in note for note in done.notes)
    said = "batched is batch-dependent: asked alone, as on a robot, it may do otherwise."
    asked = WriteReport(store=how["out"], videos=0)
    write_report(asked)
    assert said in asked.page.read_text()
    one = evaluate(changed, world=ToyWorld(), task="near", trials=4, workers=0, worlds=4)
    assert str(one).endswith("; batched is batch-dependent")


def test_asked_alone_a_verdict_says_nothing_of_batches(tmp_path: Path):
    changed = Batched(lambda n: 0.05 * (n > 1))
    how = {"world": ToyWorld(), "task": "near", "budget": 8, "workers": 0, "worlds": 1}
    done = compare(changed, Stay("stays"), **how)
    assert "batch-dependent" not in done.sentence and done.to_json()["batch_dependent"] == {}
