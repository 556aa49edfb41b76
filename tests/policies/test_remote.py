"""Every way in which a server can fail makes the trial void, soon, and the next episode starts afresh."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from roboscale.core import Field, InfrastructureError, Observation, Policy, Spec, SpecMismatch, UnknownName
from roboscale.policies.connection import is_loopback, parse_url
from roboscale.policies.profile import ActionMap, ObservationMap, PolicyProfile
from roboscale.policies.remote import RemotePolicy

Servers = Callable[..., Any]
SEEN = {"observation.state": np.array([0.0, 1.0, 2.0], np.float32)}
PROFILE = PolicyProfile(
    "test", (ObservationMap(("observation/state",), "observation.state"),), ActionMap(2, "absolute", horizon=3)
)
ROBOARENA = PolicyProfile(
    "arena", (ObservationMap(("state",), "observation.state"),), ActionMap(2, "absolute"), reset="roboarena"
)


def remote(url: str, profile: PolicyProfile | None = PROFILE, **options: Any):
    options = {"timeout_s": 20.0, "warmup_timeout_s": 20.0, "connect_attempts": 1} | options
    return RemotePolicy(url, profile, **options)


def impatient(url: str, profile: PolicyProfile | None = PROFILE):
    return remote(url, profile, timeout_s=0.4, warmup_timeout_s=0.4)


def ask(policy: Policy, observation: Observation = SEEN):
    return policy.start("push the puck", 0)(observation)


HOSTILE = {
    "/garbage": "not a message",
    "/empty": "not a message",
    "/text": "server error: ValueError: no such camera",
    "/nan": "3 values are NaN or infinite",
    "/infinite": "3 values are NaN or infinite",
    "/wrong_d": "expected D = 2, found 5",
    "/wrong_h": "expected H = 3, found 7",
    "/flat": r"expected shape \(H, D\), found \[2\]",
    "/no_rows": r"expected shape \(H, D\), found \[0, 2\]",
    "/list": "expected an array of numbers, found list",
    "/strings": "expected an array of numbers, found <U1",
    "/bools": "expected an array of numbers, found bool",
    "/no_actions": "expected 'actions', found action",
    "/not_a_dict": "expected 'actions', found int",
    "/ten_gigabytes": "needs 10000000000 bytes, found 4",
    "/negative": "array shape",
    "/overflow": "bytes, found 0",
    "/objects": "array dtype",
    "/deep": "not a message",
    "/closes": "ended the connection",
    "/half": "ended the connection",
    "/huge_frame": "ended the connection",
    "/trickle": "no answer within 0.4 s",
    "/hangs": "no answer within 0.4 s",
    "/no_metadata": "no openpi server.*no answer within 0.4 s",
    "/text_metadata": "metadata: expected a dictionary, found 'hello'",
    "/list_metadata": "metadata: expected a dictionary",
    "/bad_specs": "metadata: ",
}


@pytest.mark.parametrize("path", HOSTILE)
def test_a_hostile_server_voids_the_trial_and_says_why(hostile_server: Any, path: str):
    waits = "0.4 s" in HOSTILE[path]
    with (impatient if waits else remote)(hostile_server.url(path)) as policy:
        started = time.monotonic()
        with pytest.raises(InfrastructureError, match=f"(?s){HOSTILE[path]}") as caught:
            ask(policy)
    assert time.monotonic() - started < 5
    assert str(hostile_server.port) in str(caught.value), "the message names the server"


def test_the_whole_traceback_is_kept_as_a_note(hostile_server: Any):
    with remote(hostile_server.url("/text")) as policy, pytest.raises(InfrastructureError) as caught:
        ask(policy)
    assert "File x" in caught.value.__notes__[0]


def test_a_broken_session_stays_broken_and_the_next_one_connects_again(hostile_server: Any):
    with remote(hostile_server.url("/text")) as policy:
        session = policy.start("push", 0)
        for _ in range(2):
            with pytest.raises(InfrastructureError, match="no such camera"):
                session(SEEN)
        with pytest.raises(InfrastructureError, match="no such camera"):
            ask(policy)


def test_a_good_server_answers_and_its_connection_is_used_again(hostile_server: Any):
    with remote(hostile_server.url("/good")) as policy:
        session = policy.start("push", 0)
        chunks = [session(SEEN) for _ in range(3)]
        assert all(np.array_equal(c.rows, np.ones((3, 2))) for c in chunks)
        assert len(policy._server._idle) == 1


def test_a_late_answer_is_never_taken_for_the_next_one(shared_server: Servers):
    """The policy sleeps as long as the state says and answers late; the next episode gets its own answer."""
    server = shared_server("policy", "batched")
    slow, quick = ({"observation.state": np.array([s, mark, 0], np.float32)} for s, mark in ((1.0, 5), (0.0, 7)))
    with remote(server.url(), None, timeout_s=0.3) as policy:
        assert ask(policy, quick).rows[0, 1] == 7
        with pytest.raises(InfrastructureError, match="no answer within"):
            ask(policy, slow)
        policy._server.warm = False  # be patient again: the server still computes the slow one
        assert ask(policy, quick).rows[0, 1] == 7


def test_nobody_accepts(server_process: Servers):
    with pytest.raises(InfrastructureError, match=r"no openpi handshake within 0\.4 s"):
        ask(impatient(server_process("silent").url()))


def test_a_server_that_does_not_read_is_given_up(server_process: Servers):
    profile = PolicyProfile("big", (ObservationMap(("image",), "image"),), ActionMap(2, "absolute"))
    picture = {"image": np.zeros((3000, 3000, 3), np.uint8)}
    started = time.monotonic()
    with pytest.raises(InfrastructureError, match="did not read the request"):
        ask(impatient(server_process("not_reading").url(), profile), picture)
    assert time.monotonic() - started < 5


def test_a_refused_connection_is_tried_a_bounded_number_of_times(unused_port: int):
    with pytest.raises(InfrastructureError, match=r"connection refused \(2 attempts\)"):
        ask(remote(f"openpi://127.0.0.1:{unused_port}", connect_attempts=2))


def test_a_server_that_dies_voids_and_a_new_one_is_found(server_process: Servers):
    server = server_process("dying")
    policy = remote(server.url())
    session = policy.start("push", 0)
    assert session(SEEN).rows.shape == (3, 2)
    assert policy._server.warm
    with pytest.raises(InfrastructureError, match="ended the connection"):
        session(SEEN)
    assert not policy._server.warm, "the next server may compile again"
    assert server.process.wait(10) == 3
    with pytest.raises(InfrastructureError, match="refused"):
        ask(policy)


def test_the_first_answer_has_a_timeout_of_its_own(shared_server: Servers):
    server = shared_server("policy", "batched")
    slow = {"observation.state": np.array([0.6, 0, 0], np.float32)}
    with RemotePolicy(server.url(), timeout_s=0.3, warmup_timeout_s=20.0) as policy:
        assert ask(policy, slow).rows.shape == (1, 2)
        with pytest.raises(InfrastructureError, match=r"no answer within 0\.3 s"):
            ask(policy, slow)


def test_a_session_lost_with_its_server_does_not_begin_again_in_the_middle(server_process: Servers):
    first = server_process("policy", "walk")
    policy = remote(first.url(), None)
    session = policy.start("push", 0)
    session(SEEN)
    first.kill()
    server_process("policy", "walk", "", str(first.port))
    with pytest.raises(InfrastructureError, match="the server was restarted"):
        session(SEEN)
    assert ask(policy).rows[0, 0] == 0


def test_another_policy_at_the_same_address_is_noticed(server_process: Servers):
    first = server_process("policy", "walk")
    policy = remote(first.url(), None)
    ask(policy)
    first.kill()
    server_process("policy", "batched", "", str(first.port))
    with pytest.raises(InfrastructureError, match="another policy answers now: was 'walk', is 'batched'"):
        ask(policy)


def test_one_broken_connection_of_a_batch_costs_one_session(shared_server: Servers):
    server = shared_server("policy", "failing")
    with remote(server.url(), None) as policy:
        sessions = [policy.start(i, 0) for i in ("push", "fail", "pull")]
        with pytest.raises(InfrastructureError, match="fell over"):
            policy.act_many(sessions, [SEEN] * 3)
        assert sessions[0](SEEN).rows[0, 0] == 0, "the kept answer, not a second step"
        with pytest.raises(InfrastructureError, match="fell over"):
            sessions[1](SEEN)
        assert sessions[2](SEEN).rows[0, 0] == 0
        assert [c.rows[0, 0] for c in policy.act_many([sessions[0], sessions[2]], [SEEN] * 2)] == [1, 1]


def test_a_session_that_broke_before_does_not_break_the_others(shared_server: Servers):
    with remote(shared_server("policy", "failing").url(), None) as policy:
        broken, good = policy.start("fail", 0), policy.start("push", 0)
        with pytest.raises(InfrastructureError, match="fell over"):
            broken(SEEN)
        with pytest.raises(InfrastructureError, match="fell over"):
            policy.act_many([broken, good], [SEEN] * 2)
        assert [good(SEEN).rows[0, 0] for _ in range(2)] == [0, 1]


def test_an_unreachable_server_fails_a_batch_once(unused_port: int):
    policy = remote(f"openpi://127.0.0.1:{unused_port}", connect_attempts=2)
    started = time.monotonic()
    with pytest.raises(InfrastructureError, match="refused"):
        policy.act_many([policy.start("push", i) for i in range(8)], [SEEN] * 8)
    assert time.monotonic() - started < 3, "eight sessions wait once"


def test_an_openpi_server_that_says_nothing_needs_a_profile(hostile_server: Any):
    with pytest.raises(SpecMismatch, match="policy profile"):
        ask(remote(hostile_server.url("/good"), None))


def test_specs_of_a_server_are_compared_with_the_world(shared_server: Servers):
    server = shared_server("policy", "walk")
    with remote(server.url(), None) as policy:
        assert policy.observation_spec["observation.state"].shape == (3,)
        seen = Spec((Field("observation.state", (3,), "float32"), Field("extra", (1,), "float32")), 20.0)
        action = Spec((Field("action", (2,), "float32", layout=("y", "x")),), 20.0)
        with pytest.raises(SpecMismatch, match=r"(?s)policy walk at .*\('x', 'y'\), the world's action \('y', 'x'\)"):
            policy.check(seen, action)
        policy.check(seen, policy.action_spec)


def test_a_profile_is_checked_against_the_world_and_selects_what_is_observed(hostile_server: Any):
    seen = Spec((Field("observation.state", (3,), "float32"), Field("extra", (1,), "float32")), 20.0)
    action = Spec((Field("action", (2,), "float32"),), 20.0)
    with remote(hostile_server.url("/good")) as policy:
        policy.check(seen, action)
        assert policy.observation_spec.names == ("observation.state",)
        with pytest.raises(SpecMismatch, match=r"observation\.state"):
            policy.check(Spec((Field("observation.stat", (3,), "float32"),), 20.0), action)


def test_roboarena_resets_by_text_and_keeps_sessions_apart(shared_server: Servers):
    with remote(shared_server("roboarena", "ids").url(), ROBOARENA) as policy:
        one, two = policy.start("push", 0), policy.start("push", 1)
        assert [s(SEEN).rows[0, 0] for s in (one, two, one, one, two)] == [1, 1, 2, 3, 2]


def test_roboarena_without_session_ids_runs_one_episode_at_a_time(shared_server: Servers):
    with remote(shared_server("roboarena").url(), ROBOARENA) as policy:
        one = policy.start("push", 0)
        assert [one(SEEN).rows[0, 0] for _ in range(2)] == [1, 2]
        two = policy.start("push", 1)
        assert two(SEEN).rows[0, 0] == 1
        with pytest.raises(InfrastructureError, match="one episode at a time"):
            one(SEEN)


def test_a_text_that_is_no_reset_is_an_error(hostile_server: Any):
    with remote(hostile_server.url("/text"), ROBOARENA) as policy, pytest.raises(InfrastructureError, match="reset: "):
        ask(policy)


def test_an_array_that_cannot_be_sent_is_our_mistake_and_costs_no_connection(hostile_server: Any):
    profile = PolicyProfile("c", (ObservationMap(("z",), "z"),), ActionMap(2, "absolute"))
    with remote(hostile_server.url("/good"), profile) as policy:
        with pytest.raises(SpecMismatch, match="cannot be sent"):
            ask(policy, {"z": np.zeros((2, 2, 2), np.complex64)})
        assert ask(policy, {"z": np.zeros(2)}).rows.shape == (3, 2)


def test_a_policy_travels_to_another_process_without_its_sockets(hostile_server: Any):
    with remote(hostile_server.url("/good")) as policy:
        ask(policy)
        with pickle.loads(pickle.dumps(policy)) as copy:
            assert ask(copy).rows.shape == (3, 2)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("openpi://lab", "ws://lab:8000"),
        ("openpi://lab:9", "ws://lab:9"),
        ("openpi://[::1]:9/p", "ws://[::1]:9/p"),
        ("wss://lab", "wss://lab"),
        ("ws://lab:80", "ws://lab:80"),
    ],
)
def test_addresses(text: str, url: str):
    assert parse_url(text) == url


@pytest.mark.parametrize("text", ["lab:8000", "http://lab", "openpi://", "openpi://lab:port", "openpi://[::1"])
def test_what_is_no_address(text: str):
    with pytest.raises(UnknownName, match="openpi://host:port"):
        parse_url(text)


def test_loopback():
    assert [is_loopback(h) for h in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "", "lab")] == [True] * 3 + [
        False
    ] * 3
