"""A server that fails voids the trial, soon; one that answers nonsense fails it; the next episode starts afresh."""

from __future__ import annotations

import importlib.util
import pickle
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roboscale.core import (
    PENDING,
    BadData,
    Field,
    InfrastructureError,
    Observation,
    Policy,
    PolicyError,
    Spec,
    SpecMismatch,
    UnknownName,
)
from roboscale.policies.callables import as_policy
from roboscale.policies.remote import PolicyProfile, RemotePolicy, Timeouts
from roboscale.policies.remote.connection import is_loopback, parse_url
from roboscale.policies.remote.maps import ActionMap, Elements, ObservationMap, Rotation

_spec = importlib.util.spec_from_file_location("servers", Path(__file__).parents[1] / "servers.py")
servers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(servers)

Servers = Callable[..., Any]
SEEN = {"observation.state": np.array([0.0, 1.0, 2.0], np.float32)}


def profile(key: str = "observation/state", field: str = "observation.state", reset: Any = "none", **action: Any):
    """One key of one field, and two numbers back."""
    observations = (ObservationMap(key=(key,), parts=(Elements(field=field),)),)
    made = ActionMap(**{"dimension": 2, "mode": "absolute", **action})
    return PolicyProfile(name="test", observations=observations, action=made, reset=reset)


PROFILE = profile(horizon=3)
ROBOARENA = profile("state", reset="roboarena")


def remote(url: str, profile: PolicyProfile | None = PROFILE, **options: Any):
    options = {"reply_s": 20.0, "warmup_s": 20.0, "attempts": 1} | options
    return RemotePolicy(url, profile, timeouts=Timeouts(**options))


def impatient(url: str, profile: PolicyProfile | None = PROFILE):
    return remote(url, profile, reply_s=0.4, warmup_s=0.4)


def ask(policy: Policy, observation: Observation = SEEN):
    return policy.start("push the puck", 0)(observation)


HOSTILE = {
    "/garbage": "not a message",
    "/empty": "not a message",
    "/text": "server error: ValueError: no such camera",
    "/no_actions": "expected 'actions', found action",
    "/not_a_dict": "expected a dictionary with actions, found int",
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
def test_a_server_that_does_not_answer_voids_the_trial_and_says_why(hostile_server: Any, path: str):
    waits = "0.4 s" in HOSTILE[path]
    with (impatient if waits else remote)(hostile_server.url(path)) as policy:
        started = time.monotonic()
        with pytest.raises(InfrastructureError, match=f"(?s){HOSTILE[path]}") as caught:
            ask(policy)
    assert time.monotonic() - started < 5
    assert str(hostile_server.port) in str(caught.value), "the message names the server"


NO_ACTIONS = {
    "/nan": "found 3 of 6 that are NaN or infinite",
    "/infinite": "found 3 of 6 that are NaN or infinite",
    "/wrong_d": "expected D = 2, found 5",
    "/wrong_h": "expected H = 3, found 7",
    "/flat": r'expected shape \(H, D\), found \[2\]; form = "row" says that',
    "/batch": r'expected shape \(H, D\), found \[1, 3, 2\]; form = "batch" says that',
    "/no_rows": r"expected shape \(H, D\), found \[0, 2\]",
    "/list": "expected H = 3, found 1",
    "/ragged": "expected an array of numbers, found lists of unlike lengths",
    "/strings": "expected an array of numbers, found <U1",
    "/bools": "expected an array of numbers, found bool",
}


@pytest.mark.parametrize("path", NO_ACTIONS)
def test_an_answer_that_is_no_action_is_a_failure_as_in_this_process(hostile_server: Any, path: str):
    with remote(hostile_server.url(path)) as policy:
        for _ in range(2):
            session = policy.start("push the puck", 0)
            for _ in range(2):
                with pytest.raises(PolicyError, match=NO_ACTIONS[path]) as caught:
                    session(SEEN)
        assert str(hostile_server.port) in str(caught.value)
        assert len(policy._peer._idle) == 1, "the connection is as good as before"


@pytest.mark.parametrize(
    ("path", "action", "expected"),
    [
        ("/list", {}, [[0.0, 0.0]]),
        ("/flat", {"form": "row"}, [[0.0, 0.0]]),
        ("/batch", {"form": "batch"}, [[0.0, 0.0]] * 3),
        ("/nested", {"keys": (("action", "arm"),)}, [[1.0, 2.0]] * 3),
        ("/nested", {"keys": (("action", "arm"), ("action", "gripper")), "dimension": 3}, [[1.0, 2.0, 0.9]] * 3),
        ("/two_keys", {"keys": (("action.arm",), ("action.gripper",))}, [[1.0, 0.0]] * 3),
    ],
)
def test_answers_of_other_forms_are_declared(hostile_server: Any, path: str, action: Any, expected: Any):
    with remote(hostile_server.url(path), profile(**action)) as policy:
        assert ask(policy).rows.tolist() == expected


TURNED = {"form": "row", "dimension": 4, "parts": (Elements(rotation=Rotation("quat_xyzw", "rotvec")),)}


@pytest.mark.parametrize(
    ("path", "action", "says"),
    [
        ("/good", {"form": "row"}, r'expected shape \(D,\), found \[3, 2\]; form = "chunk" says that'),
        ("/good", {"form": "batch"}, r"expected shape \(1, H, D\)"),
        ("/unlike", {"keys": (("action.arm",), ("action.gripper",))}, r"the same H under every key, found \[3, 2\]"),
        ("/no_rotation", TURNED, "a zero quaternion is no rotation"),
    ],
)
def test_answers_that_are_not_as_declared(hostile_server: Any, path: str, action: Any, says: str):
    with remote(hostile_server.url(path), profile(**action)) as policy, pytest.raises(PolicyError, match=says):
        ask(policy)


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
        assert len(policy._peer._idle) == 1


def test_a_late_answer_is_never_taken_for_the_next_one(shared_server: Servers):
    """The policy sleeps as long as the state says and answers late; the next episode gets its own answer."""
    server = shared_server("policy", "batched")
    slow, quick = ({"observation.state": np.array([s, mark, 0], np.float32)} for s, mark in ((1.0, 5), (0.0, 7)))
    with remote(server.url(), None, reply_s=0.3) as policy:
        assert ask(policy, quick).rows[0, 1] == 7
        with pytest.raises(InfrastructureError, match="no answer within"):
            ask(policy, slow)
        policy._peer.warm = False  # be patient again: the server still computes the slow one
        assert ask(policy, quick).rows[0, 1] == 7


def test_nobody_accepts(server_process: Servers):
    with pytest.raises(InfrastructureError, match=r"no openpi handshake within 0\.4 s"):
        ask(impatient(server_process("silent").url()))


def test_a_server_that_does_not_read_is_given_up(server_process: Servers):
    big = profile("image", "image")
    picture = {"image": np.zeros((3000, 3000, 3), np.uint8)}
    started = time.monotonic()
    with pytest.raises(InfrastructureError, match="did not read the request"):
        ask(impatient(server_process("not_reading").url(), big), picture)
    assert time.monotonic() - started < 5


def test_a_refused_connection_is_tried_a_bounded_number_of_times(unused_port: int):
    with pytest.raises(InfrastructureError, match=r"connection refused \(2 attempts\)"):
        ask(remote(f"openpi://127.0.0.1:{unused_port}", attempts=2))


def test_a_server_that_dies_voids_and_a_new_one_is_found(server_process: Servers):
    server = server_process("dying")
    policy = remote(server.url())
    session = policy.start("push", 0)
    assert session(SEEN).rows.shape == (3, 2)
    assert policy._peer.warm
    with pytest.raises(InfrastructureError, match="ended the connection"):
        session(SEEN)
    assert not policy._peer.warm, "the next server may compile again"
    assert server.process.wait(10) == 3
    with pytest.raises(InfrastructureError, match="refused"):
        ask(policy)


def test_the_first_answer_has_a_timeout_of_its_own(shared_server: Servers):
    server = shared_server("policy", "batched")
    slow = {"observation.state": np.array([0.6, 0, 0], np.float32)}
    with remote(server.url(), None, reply_s=0.3) as policy:
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
    with pytest.raises(InfrastructureError, match=r"another policy answers now: was 'walk' \(.{8}\), is 'batched'"):
        ask(policy)


def test_one_broken_connection_of_a_batch_costs_one_session(shared_server: Servers):
    server = shared_server("policy", "failing")
    with remote(server.url(), None) as policy:
        sessions = [policy.start(i, 0) for i in ("push", "fail", "pull")]
        with pytest.raises(PolicyError, match="fell over"):
            policy.act_many(sessions, [SEEN] * 3)
        assert sessions[0](SEEN).rows[0, 0] == 0, "the kept answer, not a second step"
        with pytest.raises(PolicyError, match="fell over"):
            sessions[1](SEEN)
        assert sessions[2](SEEN).rows[0, 0] == 0
        assert [c.rows[0, 0] for c in policy.act_many([sessions[0], sessions[2]], [SEEN] * 2)] == [1, 1]


def test_a_session_that_broke_before_does_not_break_the_others(shared_server: Servers):
    with remote(shared_server("policy", "failing").url(), None) as policy:
        broken, good = policy.start("fail", 0), policy.start("push", 0)
        with pytest.raises(PolicyError, match="fell over"):
            broken(SEEN)
        with pytest.raises(PolicyError, match="fell over"):
            policy.act_many([broken, good], [SEEN] * 2)
        assert [good(SEEN).rows[0, 0] for _ in range(2)] == [0, 1]


def test_an_unreachable_server_fails_a_batch_once(unused_port: int):
    policy = remote(f"openpi://127.0.0.1:{unused_port}", attempts=2)
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
    with remote(hostile_server.url("/good"), profile("z", "z")) as policy:
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


@pytest.mark.parametrize(
    "options", [{"reply_s": 0.0}, {"warmup_s": -1.0}, {"connect_s": float("nan")}, {"attempts": 0}], ids=str
)
def test_what_is_no_timeout(options: Any):
    with pytest.raises(BadData, match=next(iter(options))):
        Timeouts(**options)


def test_the_connection_has_a_timeout_of_its_own(server_process: Servers):
    started = time.monotonic()
    with pytest.raises(InfrastructureError, match=r"no openpi handshake within 0\.3 s"):
        ask(remote(server_process("silent").url(), connect_s=0.3))
    assert time.monotonic() - started < 5


# Who is asked


def test_a_server_of_ours_says_who_it_serves(shared_server: Servers):
    walk, again, other = (shared_server("policy", name) for name in ("walk", "again", "other"))
    policies = [remote(server.url(), None) for server in (walk, again, other)]
    first, second, third = (p.identity for p in policies)
    assert first == second != third, "by content, whatever the address"
    assert first.verified and first.name == walk.url()
    assert policies[0].history == 1 and policies[0].sessions is None and policies[0].notes == ()


def test_what_the_server_does_not_know_is_not_known_here(shared_server: Servers):
    policy = remote(shared_server("policy", "doubtful").url(), None)
    assert policy.identity.unverified == ("its weights are a secret",)


def test_a_foreign_server_is_unverified_and_says_why(hostile_server: Any):
    policy = remote(hostile_server.url("/good"))
    assert not policy.identity.verified
    doubt = r"the server at ws://127.0.0.1:\d+/good does not say what it serves"
    assert re.fullmatch(doubt, policy.identity.unverified[0])
    assert policy.identity != remote(hostile_server.url("/list")).identity
    assert "not told where an episode begins" in policy.notes[0]


def test_a_profile_is_part_of_who_answers(shared_server: Servers, hostile_server: Any):
    for url in (shared_server("policy", "walk").url(), hostile_server.url("/good")):
        same = [remote(url, profile()).identity, remote(url, profile()).identity]
        assert same[0] == same[1]
        others = [
            profile(execute=2),
            profile(horizon=3),
            profile("state"),
            profile(parts=(Elements(scale=(1.0, -1.0)),)),
        ]
        assert len({remote(url, p).identity for p in others} | {same[0]}) == 5
    assert remote(shared_server("policy", "walk").url(), profile()).identity.verified


def test_another_checkpoint_of_the_same_name_is_noticed(server_process: Servers):
    first = server_process("policy", "walk")
    policy = remote(first.url(), None)
    ask(policy)
    first.kill()
    server_process("policy", "other", "", str(first.port))
    with pytest.raises(InfrastructureError, match=r"another policy answers now: was 'walk' \(\w{8}\), is 'walk'"):
        ask(policy)


def test_a_foreign_server_that_says_something_else_is_noticed(hostile_server: Any):
    policy = remote(hostile_server.url("/volatile"))
    assert policy.identity.digest
    policy._peer.abandon(policy._peer._idle.pop())
    with pytest.raises(InfrastructureError, match="another server answers now: its metadata differs in step"):
        ask(policy)


def test_how_many_episodes_may_run_at_once(shared_server: Servers, hostile_server: Any):
    asked = [
        remote(hostile_server.url("/good")),
        remote(shared_server("roboarena", "ids").url(), ROBOARENA),
        remote(shared_server("roboarena").url(), ROBOARENA),
        remote(shared_server("policy", "resetting").url(), None),
    ]
    assert [p.sessions for p in asked] == [None, None, 1, 1]


# The same fault is counted the same way in this process and behind a server of ours


FAULTS = {
    "KeyError": PolicyError,
    "ZeroDivisionError": PolicyError,
    "SystemExit": PolicyError,
    "MemoryError": InfrastructureError,
    "ConnectionResetError": InfrastructureError,
    "torch": InfrastructureError,
    "nan": PolicyError,
    "deep": PolicyError,
    "none": PolicyError,
    "dictionary": PolicyError,
}


@pytest.mark.parametrize("instruction", FAULTS)
def test_a_fault_counts_as_it_would_in_this_process(shared_server: Servers, instruction: str):
    here = as_policy(servers.answers, spec=servers.STATE)
    with remote(shared_server("policy", "answers").url(), None) as there:
        assert there.identity == here.identity
        said = []
        for policy in (here, there):
            with pytest.raises((PolicyError, InfrastructureError)) as caught:
                policy.start(instruction, 0)(SEEN)
            assert isinstance(caught.value, FAULTS[instruction])
            said.append(str(caught.value))
        assert said[1].endswith(said[0]), "in the same words"
        assert len(there._peer._idle) == 1, "the connection lives on"
        assert there.start("push", 0)(SEEN).rows.tolist() == [[0.0, 1.0]]


def test_rows_that_are_not_executed_are_nobody_s_fault(shared_server: Servers):
    with remote(shared_server("policy", "answers").url(), None) as policy:
        assert policy.start("late nan", 0)(SEEN).rows.tolist() == [[1.0, 2.0]]


def test_the_traceback_of_the_server_is_kept_as_a_note(shared_server: Servers):
    with remote(shared_server("policy", "answers").url(), None) as policy, pytest.raises(PolicyError) as caught:
        policy.start("KeyError", 0)(SEEN)
    assert "in answers" in caught.value.__notes__[0]


def test_one_episode_at_a_time_is_kept_over_the_wire(shared_server: Servers):
    with remote(shared_server("policy", "resetting").url(), None) as policy:
        one = policy.start("push", 0)
        assert [one(SEEN).rows[0, 0] for _ in range(2)] == [0, 1]
        two = policy.start("push", 1)
        assert two(SEEN).rows[0, 0] == 0
        with pytest.raises(InfrastructureError, match="runs one episode at a time, and another one was started"):
            one(SEEN)


def test_a_history_travels(shared_server: Servers):
    with remote(shared_server("policy", "remembering").url(), None) as policy:
        assert policy.history == 3
        states = np.arange(9, dtype=np.float32).reshape(3, 3)
        assert ask(policy, {"observation.state": states}).rows.tolist() == [[0.0, 6.0]]
        with pytest.raises(InfrastructureError, match=r"expected float32\[3, 3\] of the last 3 steps"):
            ask(policy)


def test_a_policy_that_is_still_thinking_says_so(shared_server: Servers):
    with remote(shared_server("policy", "thinking").url(), None) as policy:
        session = policy.start("push", 0)
        assert [session(SEEN) for _ in range(2)] == [PENDING, PENDING]
        assert session(SEEN).rows[0, 0] == 0
