"""GR00T's, OpenVLA's and vla-eval's servers are asked in their own bytes; each fault is one clear error."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, Field, InfrastructureError, PolicyError, Spec, SpecMismatch
from roboscale.policies.remote import PolicyProfile, Timeouts
from roboscale.policies.remote.foreign import ForeignPolicy
from roboscale.policies.remote.replies import read_reply
from roboscale.policies.resolve import resolve_policy

DOCS = Path(__file__).parents[3] / "docs" / "policies.md"
SEEN = {
    "observation.images.front": np.arange(192, dtype=np.uint8).reshape(8, 8, 3),
    "observation.state": np.array([1.0, 2.0, 3.0], np.float32),
}
SPEC = Spec((Field("observation.images.front", (8, 8, 3), "uint8"), Field("observation.state", (3,), "float32")), 10.0)
ACTION = Spec((Field("action", (7,), "float32", mode="relative to state"),), 10.0)
KINDS = ("gr00t", "openvla", "vla-eval")


def profile(kind: str) -> PolicyProfile:
    """As the page shows it, for a world of smaller pictures."""
    (text,) = re.findall(rf'```toml\n(name = "{kind}".*?)```', DOCS.read_text(), re.DOTALL)
    return PolicyProfile.parse(text.replace("[224, 224]", "[8, 8]").replace("[256, 256]", "[8, 8]"))


@pytest.fixture(scope="module")
def server() -> Iterator[Callable[[str], str]]:
    """Address of a stand-in, in a process of its own."""
    started: dict[str, tuple[subprocess.Popen[str], int]] = {}

    def start(kind: str) -> str:
        if kind == "gr00t":
            pytest.importorskip("zmq")
        if kind not in started:
            script = Path(__file__).parents[1] / "foreign_servers.py"
            process = subprocess.Popen([sys.executable, "-u", str(script), kind], stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            started[kind] = process, int(process.stdout.readline())
        query = "?unnorm_key=bridge_orig" if kind == "openvla" else ""
        return f"{kind}://127.0.0.1:{started[kind][1]}{query}"

    yield start
    for process, _ in started.values():
        process.kill()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def policy(address: str, seconds: float = 5.0) -> ForeignPolicy:
    made = ForeignPolicy(
        address, profile(address.partition("://")[0]), timeouts=Timeouts(reply_s=seconds, warmup_s=seconds)
    )
    made.check(SPEC, ACTION)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_answer_is_a_chunk(server: Callable[[str], str], kind: str):
    asked = policy(server(kind))
    session = asked.start("open the drawer", 0)
    for _ in range(2):
        rows = session(SEEN).rows
        assert np.allclose(rows, np.tile(np.arange(7) / 10, (len(rows), 1)))
    assert len(rows) == (1 if kind == "openvla" else 4)
    assert not asked.identity.verified and asked.sessions == 1
    asked.close()


FAULTS = {
    "error": (InfrastructureError, "server error"),
    "garbage": (InfrastructureError, "no message of|no JSON"),
    "nan": (PolicyError, "finite|NaN"),
    "narrow": (PolicyError, "D = 7, found 5|expected shape"),
    "text": (Exception, "expected an array of numbers|refused"),
    "flat": (PolicyError, "expected shape"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_fault_is_one_clear_error(server: Callable[[str], str], kind: str, fault: str):
    error, says = FAULTS[fault]
    asked = policy(server(kind))
    with pytest.raises(error, match=says) as caught:
        asked.start(fault, 0)(SEEN)
    assert isinstance(caught.value, (PolicyError, InfrastructureError))
    assert asked.start("and on", 0)(SEEN).rows.shape[1] == 7
    asked.close()


@pytest.mark.parametrize("kind", ("openvla", "vla-eval"))
def test_a_server_that_hangs_is_given_up(server: Callable[[str], str], kind: str):
    asked = policy(server(kind), seconds=0.5)
    session = asked.start("hang", 0)
    with pytest.raises(InfrastructureError, match=r"no answer within 0\.5 s"):
        session(SEEN)
    with pytest.raises(InfrastructureError, match="lost in the middle"):
        session(SEEN)


def test_groot_that_hangs_is_given_up():
    pytest.importorskip("zmq")
    asked = policy("gr00t://127.0.0.1:9", seconds=0.3)  # nobody is there: ZeroMQ waits for ever
    with pytest.raises(InfrastructureError, match=r"no answer to reset within 0\.3 s"):
        asked.start("x", 0)(SEEN)


def test_groot_s_arrays_of_objects_are_refused(server: Callable[[str], str]):
    with pytest.raises(InfrastructureError, match="Object arrays cannot be loaded|pickle"):
        policy(server("gr00t")).start("pickle", 0)(SEEN)


@pytest.mark.parametrize(("instruction", "says"), [("broken", "HTTP 500"), ("short", "needs other than")])
def test_openvla_s_other_faults(server: Callable[[str], str], instruction: str, says: str):
    with pytest.raises(InfrastructureError, match=says):
        policy(server("openvla")).start(instruction, 0)(SEEN)


def test_openvla_s_text_in_a_text_is_read(server: Callable[[str], str]):
    assert policy(server("openvla")).start("twice", 0)(SEEN).rows.shape == (1, 7)


def test_vla_eval_s_late_answer_is_not_taken(server: Callable[[str], str]):
    with pytest.raises(InfrastructureError, match="expected the action 3, found action 4"):
        policy(server("vla-eval")).start("late", 0)(SEEN)


@pytest.mark.parametrize("kind", ("openvla", "vla-eval"))
def test_nobody_is_there(unused_port: int, kind: str):
    with pytest.raises(InfrastructureError, match="refused"):
        policy(f"{kind}://127.0.0.1:{unused_port}").start("x", 0)(SEEN)


def test_without_a_profile_it_says_so():
    with pytest.raises(SpecMismatch, match="policy profile"):
        resolve_policy("vla-eval://127.0.0.1:8000", world=None)


def test_a_dictionary_of_actions_by_name():
    """As vLLM-Omni answers over openpi's protocol: one array for each part of the body."""
    (text,) = re.findall(r'```toml\n(name = "vllm-omni".*?)```', DOCS.read_text(), re.DOTALL)
    made = PolicyProfile.parse(text)
    reply = {"actions": {"arm": np.ones((4, 6)), "gripper": np.zeros((4, 1))}}
    assert read_reply(reply, made.action, "server").rows.tolist() == [[1.0] * 6 + [0.0]] * 4
    with pytest.raises(InfrastructureError, match="expected 'gripper', found arm"):
        read_reply({"actions": {"arm": np.ones((4, 6))}}, made.action, "server")


@pytest.mark.parametrize("name", ["model.pkl", "model.pt", "model.zip"])
def test_pickles_are_refused_with_the_reason(tmp_path: Path, name: str):
    path = tmp_path / name
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("policy.pth", b"x")
    with pytest.raises(BadData, match="runs whatever code its writer put in"):
        resolve_policy(str(path), world=None)
