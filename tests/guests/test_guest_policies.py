"""A guest's policy is an ordinary one: sessions, batches, profiles, mismatches, identity."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from roboscale.core import Field, InfrastructureError, PolicyError, Spec, SpecMismatch
from roboscale.guests import GuestPolicy, GuestProcess, PolicyFeatures
from roboscale.policies.remote.profile import PolicyProfile

WORLD = (
    Spec(
        (
            Field("observation.state", (2,), "float32"),
            Field("observation.images.top", (4, 5, 3), "uint8", layout=("height", "width", "channel")),
            Field("observation.images.wrist", (8, 8, 3), "uint8", layout=("height", "width", "channel")),
        ),
        10,
    ),
    Spec((Field("action", (2,), "float32"),), 10),
)


def seen(value: float, history: int = 0) -> dict:
    arrays = {
        "observation.state": np.full(2, value, np.float32),
        "observation.images.top": np.zeros((4, 5, 3), np.uint8),
    }
    return (
        {k: np.stack([a - history + 1 + i for i in range(history)]) for k, a in arrays.items()} if history else arrays
    )


def opened(toy, does: str = "", mapping=None, **options) -> GuestPolicy:
    process = GuestProcess(toy, toy.policies, {"does": does}, answer_s=20)
    features = PolicyFeatures.from_reply(process.start())
    given = {"content": "c", "overrides": {}, "specs": WORLD, **options}
    return GuestPolicy("toy:x", process, features, mapping or features, **given)


def test_sessions_are_apart_and_only_what_is_read_is_asked_for(toy):
    policy = opened(toy)
    assert policy.observation_spec.names == ("observation.state", "observation.images.top")
    first, second = policy.start("go", 1), policy.start("go", 2)
    assert first(seen(1)).rows.tolist() == [[1, 1], [1, 1]]
    assert first(seen(1)).rows.tolist() == [[2, 2], [2, 2]], "its second step"
    one, two = policy.act_many([first, second], [seen(5), seen(7)])
    assert one.rows[0, 0] == 7 and two.rows[0, 0] == 7
    policy.close()


def test_one_that_fails_leaves_the_others_their_answers(toy):
    policy = opened(toy)
    good, bad = policy.start("go", 1), policy.start("fail", 2)
    with pytest.raises(PolicyError, match="this one fails"):
        policy.act_many([bad, good], [seen(1), seen(2)])
    assert good(seen(2)).rows[0, 0] == 2, "computed once, in the batch"
    policy.close()


def test_a_dead_process_voids_the_trials_it_was_in_and_serves_the_next(toy):
    policy = opened(toy)
    session = policy.start("go", 1)
    session(seen(1))
    policy._process.close_process()
    with pytest.raises(InfrastructureError, match="started anew in the middle of the episode"):
        policy._process.start()
        session(seen(1))
    assert policy.start("go", 1)(seen(3)).rows[0, 0] == 3
    policy.close()


def test_history_is_handed_over_in_order(toy):
    policy = opened(toy, "history")
    assert policy.history == 2
    assert policy.start("go", 1)(seen(4, history=2)).rows[0, 0] == 4
    policy.close()


def test_a_world_that_does_not_fit_gets_all_differences_and_a_profile_that_loads(toy, tmp_path):
    features = opened(toy).features
    observation = Spec((Field("observation.agent", (2,), "float32"), *WORLD[0].fields[2:]), 10)
    action = Spec((Field("action", (3,), "float32"),), 10)
    with pytest.raises(SpecMismatch) as error:
        features.check(observation, action)
    text = str(error.value)
    assert "observation.state: the world has none" in text and "the policy gives 2 values, the world takes [3]" in text
    (tmp_path / "profile.toml").write_text("\n".join(features.draft(observation, WORLD[1])))
    profile = PolicyProfile.load(tmp_path / "profile.toml")
    profile.check(observation, WORLD[1])
    assert profile.fields == ("observation.agent", "observation.images.wrist"), "its picture is resized"


def test_a_profile_connects_it(toy, tmp_path):
    features = opened(toy).features
    observation = Spec((Field("observation.agent", (2,), "float32"), *WORLD[0].fields[2:]), 10)
    (tmp_path / "profile.toml").write_text("\n".join(features.draft(observation, WORLD[1])))
    policy = opened(toy, mapping=PolicyProfile.load(tmp_path / "profile.toml"), specs=(observation, WORLD[1]))
    look = {"observation.agent": np.full(2, 3, np.float32), "observation.images.wrist": np.zeros((8, 8, 3), np.uint8)}
    assert policy.start("go", 1)(look).rows[0, 0] == 3
    policy.close()


def test_identity_is_content_lock_overrides_and_map(toy, tmp_path):
    plain = opened(toy)
    same = opened(toy)
    assert plain.identity == same.identity and plain.identity.verified
    others = [opened(toy, content="d"), opened(toy, overrides={"rows": 1})]
    assert len({p.identity.digest for p in (plain, *others)}) == 3
    locked = dataclasses.replace(toy, environment={})
    assert locked.identity.digest != toy.identity.digest
