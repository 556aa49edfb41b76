"""Trials, judgements and runs for tests of the log."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.testing import assert_array_equal

from roboscale.core import Case, Design, Field, Judgement, Measure, RolloutSettings, Spec, Trial, WorldInfo, combine
from roboscale.trials.log import Run

ANNA, BERT = combine("anna", "weights", 1), combine("bert", "weights", 2)
WORLD = combine("toy", "world", 1)
INFO = WorldInfo(
    name="toy",
    kind="simulated",
    version="1",
    identity=WORLD,
    tasks={"reach": "move to the goal"},
    observation_spec=Spec((Field("observation.state", (2,), "float32"),), 20.0),
    action_spec=Spec((Field("action", (2,), "float32", low=(-1, -1), high=(1, 1)),), 20.0),
    horizon=50,
    measures=(Measure(name="success", unit="bool", series=True),),
    hold=(0.0, 0.0),
)
SETTINGS = RolloutSettings(horizon=50, rate_hz=20.0, watch="success (first)")


def trial(seed: int = 0, **changes: Any) -> Trial:
    """A trial with something in every field."""
    rng = np.random.default_rng(seed)
    facts: dict[str, Any] = {
        "policy": ANNA,
        "world": WORLD,
        "case": Case("reach", seed),
        "settings": SETTINGS,
        "end": "decided",
        "steps": 3,
        "clipped": 1,
        "held": 2,
        "late": 1,
        "actions": rng.normal(size=(3, 2)).astype(np.float32),
        "series": {"success": np.array([0, np.nan, 1], np.float32), "reward": rng.random(3).astype(np.float32)},
        "measures": {"success": 1.0, "peak_force": None},
        "episode": "e1",
        "run": "r1",
        "started_ns": 1_700_000_000_123_456_789,
        "seconds": 0.5,
        "thinking_s": 0.25,
        "versions": {"toy": "1"},
        "details": {"parents": ["a"]},
    }
    return Trial(**{**facts, **changes})


def judgement(of: Trial, time_ns: int = 1, success: bool | None = True, **changes: Any) -> Judgement:
    state = "pending" if success is None else "decided"
    fields = {"referee": "success (first)", "state": state, "progress": 0.5, "reason": "it holds", "by": "Ann"}
    return Judgement(trial=of.id, time_ns=time_ns, success=success, **{**fields, **changes})


def run(id: str = "r1", **changes: Any) -> Run:
    facts: dict[str, Any] = {
        "id": id,
        "request": {"policies": ["anna", "bert"], "trials": 2},
        "command": "roboscale compare anna bert",
        "policies": (ANNA, BERT),
        "world": WORLD,
        "world_info": {"name": "toy", "horizon": 50},
        "cases": ("reach/nominal/0", "reach/nominal/1"),
        "settings": SETTINGS,
        "round": 1,
        "design": Design(budget=2),
        "versions": {"toy": "1"},
        "created_ns": 5,
    }
    return Run(**{**facts, **changes})


def assert_same(a: Trial, b: Trial) -> None:
    """Every field equal, NaN equal to NaN, names of identities and types of numbers included."""
    bare = {"actions": None, "series": {}, "measures": {}}  # compared below, where NaN equals NaN
    assert replace(a, **bare) == replace(b, **bare)
    assert repr(a.measures) == repr(b.measures)
    for ours, theirs in ((a.policy, b.policy), (a.world, b.world)):
        assert (ours.name, ours.unverified) == (theirs.name, theirs.unverified)
    assert (a.actions is None) == (b.actions is None)
    if a.actions is not None:
        assert a.actions.shape == b.actions.shape and b.actions.dtype == np.float32
        assert_array_equal(a.actions, b.actions)
    assert list(a.series) == list(b.series)
    for name, values in a.series.items():
        assert b.series[name].dtype == np.float32
        assert_array_equal(values, b.series[name])
