"""What was recorded is played as it was recorded, and is who it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from roboscale.core import BadData, Field, Spec, SpecMismatch, UnknownName
from roboscale.policies.recorded import replaying

ACTION = Spec((Field("action", (4,), "float32"),), 80.0)


class Recorded:
    """Three episodes of two instructions; episode i is i + 1 long and holds i."""

    spec = Spec((Field("observation.state", (2,), "float32"), *ACTION.fields), 80.0)

    def __init__(self, lengths: tuple[int, ...] = (1, 2, 3), **changes: Any) -> None:
        self.instructions = changes.get("instructions", ("push", "pull", "push"))
        self.ids = changes.get("ids", ("a", "b", "c"))
        self.lengths = lengths
        self.actions = np.repeat(np.arange(3, dtype=np.float32), lengths)[:, None] * np.ones(4, np.float32)

    @property
    def episodes(self):
        starts = np.cumsum((0, *self.lengths))
        return [
            SimpleNamespace(id=self.ids[i], index=i, instruction=text, length=self.lengths[i], from_index=starts[i])
            for i, text in enumerate(self.instructions)
        ]

    def arrays(self, name: str):
        assert name == "action"
        return self.actions


def test_an_episode_of_the_instruction_is_played_and_then_held():
    policy = replaying(Recorded(), "replay:x")
    session = policy.start("pull", 0)
    played = [session({}).rows for _ in range(3)]
    assert [r.shape for r in played] == [(2, 4), (1, 4), (1, 4)]
    assert all((r == 1).all() for r in played)
    assert policy.action_spec["action"].shape == (4,)
    assert policy.observation_spec.names == ()
    assert (policy.name, policy.history) == ("replay:x", 1)


def test_the_seeds_choose():
    policy = replaying(Recorded())
    chosen = [int(policy.start("push", seed)({}).rows[0, 0]) for seed in range(20)]
    assert set(chosen) == {0, 2}
    assert chosen == [int(policy.start("push", seed)({}).rows[0, 0]) for seed in range(20)]
    other = replaying(Recorded(), seed=1)
    assert chosen != [int(other.start("push", seed)({}).rows[0, 0]) for seed in range(20)]


def changed(data: Recorded):
    data.actions = data.actions.copy()
    data.actions[-1, 2] += 1e-6
    return data


def test_another_recording_under_the_same_name_is_another_policy():
    policy = replaying(Recorded(), "x")
    assert policy.identity == replaying(Recorded(), "y").identity, "a name is no content"
    others = [
        replaying(changed(Recorded()), "x"),
        replaying(Recorded(ids=("a", "b", "d")), "x"),
        replaying(Recorded(instructions=("push", "push", "pull")), "x"),
        replaying(Recorded((2, 1, 3)), "x"),
        replaying(Recorded(), "x", seed=1),
    ]
    assert len({p.identity for p in (policy, *others)}) == 6
    assert policy.identity.verified


def test_something_that_was_never_recorded():
    with pytest.raises(UnknownName, match="did you mean push"):
        replaying(Recorded()).start("pusch", 0)
    nothing = Recorded()
    nothing.spec = Spec((Field("observation.state", (2,), "float32"),), 80.0)
    with pytest.raises(SpecMismatch, match="no action to replay; it has observation.state"):
        replaying(nothing)


def test_an_empty_episode():
    with pytest.raises(BadData, match="episode 1"):
        replaying(Recorded((1, 0, 3))).start("pull", 0)
