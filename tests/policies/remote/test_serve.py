"""The server speaks openpi's protocol to any client, and keeps episodes apart for ours."""

from __future__ import annotations

import contextlib
import runpy
import signal
import urllib.request
from collections.abc import Callable
from typing import Any

import msgpack
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from roboscale.core import Field, Identity, InfrastructureError, Spec, SpecMismatch
from roboscale.policies.remote import RemotePolicy, serve_policy, serving_notes
from roboscale.policies.remote.worker import read_observation
from roboscale.policies.wrappers import constant
from roboscale.wire import pack, unpack

Servers = Callable[..., Any]
SEEN = {"observation.state": np.array([0.0, 1.0, 2.0], np.float32)}


@contextlib.contextmanager
def client(server: Any, **options: Any):
    """A plain openpi client, and the metadata that it read."""
    with connect(f"ws://127.0.0.1:{server.port}", compression=None, max_size=None, **options) as websocket:
        metadata = websocket.recv(20)
        assert isinstance(metadata, bytes)
        yield websocket, unpack(metadata)


def infer(websocket: Any, prompt: str = "push", **more: Any):
    websocket.send(pack({**SEEN, "prompt": prompt, **more}))
    reply = websocket.recv(20)
    return reply if isinstance(reply, str) else unpack(reply)


def test_the_protocol_as_a_plain_client_sees_it(shared_server: Servers):
    with client(shared_server("policy", "walk")) as (websocket, metadata):
        assert metadata["robot"] == "test"
        assert metadata["roboscale"]["name"] == "walk"
        assert Spec.from_json(metadata["roboscale"]["action_spec"])["action"].shape == (2,)
        first, second = infer(websocket), infer(websocket)
    assert first.keys() == second.keys() == {"actions", "server_timing", "policy_timing"}
    assert first["actions"].shape == (2, 2)
    assert first["server_timing"].keys() == {"infer_ms"}
    assert second["server_timing"].keys() == {"infer_ms", "prev_total_ms"}
    assert second["policy_timing"]["infer_ms"] >= 0


def test_frames_are_neither_compressed_nor_bounded(shared_server: Servers):
    server = shared_server("policy", "walk")
    with connect(f"ws://127.0.0.1:{server.port}", compression="deflate", max_size=None) as websocket:
        assert websocket.protocol.extensions == []
        websocket.recv(20)
        assert infer(websocket, picture=np.zeros((1500, 1500, 3), np.uint8))["actions"].shape == (2, 2)


def test_openpi_packs_the_same_bytes_and_reads_ours(openpi: Any):
    messages = runpy.run_path(str(openpi.script))["messages"]()
    ours = [pack(m).hex() for m in messages]
    assert openpi("pack") == ours
    assert openpi("unpack", *ours) == [True] * len(ours)


def test_the_real_openpi_client_is_served(shared_server: Servers, openpi: Any):
    server = shared_server("policy", "walk", "secret")
    seen = openpi("infer", str(server.port), "secret")
    assert seen["metadata"] == ["roboscale", "robot"]
    assert seen["keys"] == [["actions", "policy_timing", "server_timing"]] * 2
    assert seen["timing"] == [["infer_ms"], ["infer_ms", "prev_total_ms"]]
    assert [np.shape(a) for a in seen["actions"]] == [(2, 2)] * 2


def test_healthz_needs_no_key(shared_server: Servers):
    server = shared_server("policy", "walk", "secret")
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/healthz", timeout=20) as response:
        assert (response.status, response.read()) == (200, b"OK\n")


@pytest.mark.parametrize("headers", [None, {"Authorization": "Api-Key wrong"}, {"Authorization": "secret"}])
def test_a_wrong_key_is_refused(shared_server: Servers, headers: dict[str, str] | None):
    server = shared_server("policy", "walk", "secret")
    with pytest.raises(InvalidStatus) as caught, client(server, additional_headers=headers):
        pass
    assert caught.value.response.status_code == 401


def test_keys_from_our_client(shared_server: Servers):
    server = shared_server("policy", "walk", "secret")
    with pytest.raises(InfrastructureError, match="the server refused the key"):
        RemotePolicy(server.url()).start("push", 0)(SEEN)
    with RemotePolicy(server.url(), api_key="secret") as policy:
        assert policy.start("push", 0)(SEEN).rows.shape == (1, 2)


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.0.2.1", "lab.example"])
def test_others_are_let_in_only_with_a_token(host: str):
    with pytest.raises(SpecMismatch, match="needs a token"):
        serve_policy(constant([0.0]), host, token="")


def test_a_web_page_is_not_let_in(shared_server: Servers):
    with pytest.raises(InvalidStatus) as caught, client(shared_server("policy", "walk"), origin="http://evil.example"):
        pass
    assert caught.value.response.status_code == 403


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (pack({"prompt": "fail", **SEEN}), "ZeroDivisionError: the policy fell over"),
        (pack({"prompt": "push"}), "observation.state is missing"),
        (pack({"observation.state": np.zeros(4, np.float32)}), r"expected float32[3], found float32[4]"),
        (pack({"observation.state": np.zeros((3,), np.complex64).real.astype("S3")}), "found |S3[3]"),
        (msgpack.packb([1]), "a request is a dictionary"),
        (b"\xc1", "not a message of the openpi wire"),
        ("text", "a request is a binary frame"),
    ],
)
def test_what_goes_wrong_is_told_in_text_and_closes(shared_server: Servers, request_: Any, says: str):
    with client(shared_server("policy", "failing")) as (websocket, _):
        websocket.send(request_)
        reply = websocket.recv(20)
        assert isinstance(reply, str)
        assert reply.startswith("Traceback (most recent call last)")
        assert says in reply
        with pytest.raises(ConnectionClosedError) as caught:
            websocket.recv(20)
    assert caught.value.rcvd.code == 1011
    assert caught.value.rcvd.reason == "Internal server error. Traceback included in previous frame."


OURS = {**SEEN, "roboscale/session": "x", "roboscale/seed": 1, "roboscale/step": 0}


@pytest.mark.parametrize(
    ("request_", "kind", "says"),
    [
        ({"prompt": "fail"}, "policy", "policy failing raised ZeroDivisionError: the policy fell over"),
        ({"roboscale/session": 7}, "infrastructure", "roboscale/session: expected str, found int"),
        ({"roboscale/step": 3}, "infrastructure", "asked for step 3"),
        ({"observation.state": np.zeros(4, np.float32)}, "infrastructure", "expected float32[3], found float32[4]"),
    ],
)
def test_clients_of_ours_are_told_whose_fault_it_is_and_stay(
    shared_server: Servers, request_: Any, kind: str, says: str
):
    with client(shared_server("policy", "failing")) as (websocket, _):
        websocket.send(pack({**OURS, **request_}))
        error = unpack(websocket.recv(20))["roboscale/error"]
        assert error["kind"] == kind
        assert says in error["text"] and "Traceback" in error["traceback"]
        websocket.send(pack({**OURS, "roboscale/session": says}))  # a session of its own: the server is shared
        assert unpack(websocket.recv(20))["actions"].shape == (2, 2)


def test_a_policy_that_thinks_is_an_error_for_who_does_not_know_that(shared_server: Servers):
    with client(shared_server("policy", "thinking")) as (websocket, _):
        assert "only clients of roboscale understand" in infer(websocket)


def test_a_history_is_asked_for_in_words(shared_server: Servers):
    with client(shared_server("policy", "remembering")) as (websocket, metadata):
        assert metadata["roboscale"]["history"] == 3
        assert "expected float32[3, 3] of the last 3 steps, found float32[3]" in infer(websocket)


def test_metadata_says_who_is_served(shared_server: Servers):
    with client(shared_server("policy", "doubtful")) as (_, metadata):
        said = metadata["roboscale"]
    assert Identity.from_json(said["identity"]).unverified == ("its weights are a secret",)
    assert (said["history"], said["sessions"]) == (1, None)
    with client(shared_server("policy", "resetting")) as (_, metadata):
        assert metadata["roboscale"]["sessions"] == 1


def test_whoever_serves_is_told_how_episodes_are_told_apart():
    (only,) = serving_notes(constant([0.0]))
    assert "clients other than roboscale's" in only and "endpoint=reset" in only

    class Odd:
        name, observation_spec, action_spec, history, sessions = "odd", None, None, 3, 1
        identity, notes = Identity("odd", "0" * 32, ("nobody says",)), ("it is reset",)

    said = "\n".join(serving_notes(Odd()))
    for words in ("it is reset", "the last 3 steps", "1 episode at a time", "not verified: nobody says"):
        assert words in said


def test_one_client_s_error_leaves_the_others_alone(shared_server: Servers):
    server = shared_server("policy", "failing")
    with client(server) as (good, _), client(server) as (bad, _):
        assert infer(good)["actions"][0, 0] == 0
        assert "fell over" in infer(bad, "fail")
        assert infer(good)["actions"][0, 0] == 1


def test_a_plain_session_lasts_as_long_as_connection_and_prompt(shared_server: Servers):
    server = shared_server("policy", "walk")
    with client(server) as (one, _), client(server) as (two, _):
        assert [infer(c)["actions"][0, 0] for c in (one, one, two, one, two)] == [0, 1, 0, 2, 1]
        assert infer(one, "pull")["actions"][0, 0] == 0, "another prompt, another episode"
        assert infer(one, "push")["actions"][0, 0] == 0, "also when it comes back"
        assert infer(one, endpoint="infer")["actions"][0, 0] == 1
        assert infer(one, endpoint="reset") == "reset successful"
        assert infer(one)["actions"][0, 0] == 0


def test_our_episodes_repeat_themselves_whatever_else_runs(shared_server: Servers):
    server = shared_server("policy", "walk")
    with RemotePolicy(server.url()) as policy:
        alone = [policy.start("push", 5)(SEEN).actions.tolist()]
        session, other = policy.start("push", 5), policy.start("push", 6)
        noise = other(SEEN).actions.tolist()
        assert [session(SEEN).actions.tolist()] == alone
        assert noise != alone[0], "another seed, other noise"
        assert session(SEEN).rows[0, 0] == 1
        chunk = session(SEEN)
        assert chunk.execute == 1, "how many rows to execute travels"
        assert chunk.actions.shape == (2, 2)
        assert chunk.actions[1, 0] - chunk.actions[0, 0] == len("push"), "the instruction travels"


def test_others_are_heard_while_the_policy_computes(shared_server: Servers):
    server = shared_server("policy", "batched")
    with client(server) as (busy, _):
        slow = {"observation.state": np.array([1.5, 0, 0], np.float32)}
        busy.send(pack(slow))
        assert busy.ping().wait(1.2), "a ping is answered while the policy computes"
        with client(server) as (_, metadata):
            assert metadata["roboscale"]["name"] == "batched"
        with pytest.raises(TimeoutError):
            busy.recv(0)
        assert unpack(busy.recv(20))["actions"].shape == (1, 2)


def test_a_client_that_leaves_in_the_middle_hurts_nobody(shared_server: Servers):
    server = shared_server("policy", "batched")
    with client(server) as (gone, _):
        gone.send(pack({"observation.state": np.array([0.3, 0, 0], np.float32)}))
    with client(server) as (websocket, _):
        assert infer(websocket)["actions"].shape == (1, 2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(server_process: Servers, number: int):
    server = server_process("policy", "walk")
    with client(server) as (websocket, _):
        infer(websocket)
        server.process.send_signal(number)
        with pytest.raises(ConnectionClosed):
            websocket.recv(20)
    assert server.process.wait(20) == 0


def test_a_signal_does_not_wait_for_a_policy_that_hangs(server_process: Servers):
    server = server_process("policy", "batched")
    with client(server) as (websocket, _):
        websocket.send(pack({"observation.state": np.array([300, 0, 0], np.float32)}))
        assert websocket.ping().wait(20)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0


def test_a_port_that_is_taken(shared_server: Servers):
    taken = shared_server("policy", "walk").port
    with pytest.raises(InfrastructureError, match=f"cannot listen on 127.0.0.1:{taken}"):
        serve_policy(constant([0.0]), port=taken)


def test_observations_of_plain_clients_are_converted_or_refused():
    spec = Spec((Field("state", (2,), "float32"), Field("image", (2, 2, 3), "uint8")), 20.0)
    image = np.zeros((2, 2, 3), np.uint8)
    read = read_observation({"state": np.array([0.5, 1.0]), "image": image, "extra": 1}, spec)
    assert read.keys() == {"state", "image"}
    assert read["state"].dtype == np.float32
    with pytest.raises(SpecMismatch, match=r"(?s)state is missing.*image: expected uint8.*found float64.*sent: image"):
        read_observation({"image": image * 1.0}, spec)
    assert read_observation({"a": 1}, None)["a"].shape == ()
    last = {"state": np.zeros((3, 2)), "image": np.zeros((3, 2, 2, 3), np.uint8)}
    assert read_observation(last, spec, 3)["state"].shape == (3, 2)
