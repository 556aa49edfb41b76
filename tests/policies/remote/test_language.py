"""A model behind an OpenAI-compatible address, in a process of its own: what it is told, what it costs, each fault."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import BadData, Field, InfrastructureError, PolicyError, Spec, SpecMismatch, UnknownName
from roboscale.jobs.spending import spending, spending_line
from roboscale.policies.remote import PolicyProfile, Timeouts
from roboscale.policies.remote.chat import actions_in
from roboscale.policies.remote.language import COST, LanguagePolicy
from roboscale.policies.resolve import resolve_policy

SEEN = {
    "observation.state": np.array([1.0, 2.5], np.float32),
    "observation.images.front": np.arange(96, dtype=np.uint8).reshape(8, 4, 3),
    "time.observation_ns": np.array([17], np.int64),
}
SPEC = Spec(
    (
        Field("observation.state", (2,), "float32", unit="rad", layout=("shoulder", "elbow")),
        Field("observation.images.front", (8, 4, 3), "uint8"),
        Field("time.observation_ns", (1,), "int64", unit="ns"),
    ),
    10.0,
)
ACTION = Spec(
    (
        Field(
            "action",
            (3,),
            "float32",
            unit="m",
            layout=("dx", "dy", "dz"),
            mode="relative to state",
            low=(-1.0,) * 3,
            high=(1.0,) * 3,
        ),
    ),
    10.0,
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Of a stand-in, in a process of its own."""
    script = Path(__file__).parents[1] / "chat_server.py"
    process = subprocess.Popen([sys.executable, "-u", str(script)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield f"openai:http://127.0.0.1:{int(process.stdout.readline())}/v1?model=tiny"
    process.kill()
    process.wait(10)
    process.stdout.close()


def policy(address: str, seconds: float = 10.0, key: str | None = None, profile=None) -> LanguagePolicy:
    made = LanguagePolicy(address, profile, key, Timeouts(reply_s=seconds, warmup_s=seconds))
    made.check(SPEC, ACTION)
    return made


@pytest.mark.parametrize("said", ["good", "fenced", "prose", "parts"])
def test_an_answer_is_a_chunk_wherever_it_stands_in_the_text(url: str, said: str):
    rows = policy(f"{url}&temperature=0&max_tokens=200").start(said, 7)(SEEN).rows
    assert np.allclose(rows, [[0, 0.1, 0.2], [0.5, 0.5, 0.5]])


def test_more_rows_than_were_asked_for_are_not_executed(url: str):
    assert len(policy(f"{url}&rows=5").start("many", 0)(SEEN).rows) == 5


FAULTS = {
    "nan": (PolicyError, "finite|NaN"),
    "narrow": (PolicyError, "D = 3, found 2"),
    "words": (PolicyError, 'expected JSON with "actions", found \'I would rather not move'),
    "strings": (PolicyError, "array of numbers"),
    "refuse": (PolicyError, "it refused: I must not move robots"),
    "cut": (PolicyError, "it was cut at max_tokens"),
    "garbage": (InfrastructureError, "expected choices"),
    "broken": (InfrastructureError, "HTTP 500: out of memory"),
    "full": (InfrastructureError, "HTTP 429: slow down"),
    "secret": (InfrastructureError, "HTTP 401: no such key; the key .* is missing"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_one_clear_error(url: str, fault: str):
    error, says = FAULTS[fault]
    asked = policy(url)
    session = asked.start(fault, 0)
    with pytest.raises(error, match=says):
        session(SEEN)
    with pytest.raises(error, match=says):
        session(SEEN)
    assert asked.start("and on", 0)(SEEN).rows.shape == (2, 3)


def test_a_key_is_sent_as_a_bearer_token(url: str):
    assert len(policy(url, key="k").start("secret", 0)(SEEN).rows) == 2


def test_who_is_busy_is_asked_again_and_who_hangs_is_given_up(url: str):
    session = policy(url).start("busy", 0)
    session(SEEN)
    assert session.details[COST]["asked_again"] == 1
    begun = time.monotonic()
    with pytest.raises(InfrastructureError, match=r"no answer within 0\.5 s"):
        policy(url, seconds=0.5).start("hang", 0)(SEEN)
    assert time.monotonic() - begun < 10


def test_tokens_and_money_of_an_episode(url: str):
    session = policy(f"{url}&price_in=2&price_out=10").start("good", 0)
    session(SEEN), session(SEEN)
    cost = session.details[COST]
    assert (cost["requests"], cost["prompt_tokens"], cost["completion_tokens"]) == (2, 2000, 40)
    assert cost["usd"] == pytest.approx(2000 * 2e-6 + 40 * 10e-6) and cost["models"] == ["tiny-2026"]


def test_money_that_is_not_known_is_no_zero(url: str):
    asked = policy(url)
    session = asked.start("good", 0)
    session(SEEN)
    assert session.details[COST]["usd"] is None and any("money is not counted" in note for note in asked.notes)
    priced = policy(f"{url}&price_in=2&price_out=10").start("uncounted", 0)
    priced(SEEN)
    assert priced.details[COST]["usd"] is None and priced.details[COST]["uncounted"] == 1


def test_what_is_paid_for_in_a_batch_with_a_fault_is_not_paid_for_twice(url: str):
    asked = policy(url)
    good, bad = asked.start("slow", 0), asked.start("words", 0)
    begun = time.monotonic()
    with pytest.raises(PolicyError):
        asked.act_many([good, bad, asked.start("slow", 1), asked.start("slow", 2)], [SEEN] * 4)
    assert time.monotonic() - begun < 1.4, "they are asked at once"
    assert len(good(SEEN).rows) == 2 and good.details[COST]["requests"] == 1


def test_who_it_is_is_not_verified_and_depends_on_prompt_model_and_options(url: str, tmp_path: Path):
    system = tmp_path / "system.txt"
    system.write_text("Be slow.")
    addresses = (url, f"{url}&temperature=0", f"{url}&rows=2", f"{url}&system={system}", url.replace("tiny", "huge"))
    made = [policy(address).identity for address in addresses]
    assert len({one.digest for one in made}) == 5 and not any(one.verified for one in made)
    before = policy(f"{url}&system={system}")
    system.write_text("Be quick.")
    assert policy(f"{url}&system={system}").identity.digest != before.identity.digest
    assert before.system_text().startswith("Be slow.")
    priced = policy(f"{url}&price_in=1")
    assert priced.identity.digest == made[0].digest, "what it costs changes no action"


def test_a_profile_says_other_keys_and_another_convention(url: str):
    text = """
name = "words"
prompt = "task"
[[observation]]
key = ["robot", "joints"]
field = "observation.state"
[action]
dimension = 3
mode = "relative to state"
[[action.part]]
index = [0, 1, 2]
scale = [2.0, 2.0, 2.0]
"""
    asked = policy(url, profile=PolicyProfile.parse(text))
    (part,) = asked._question(SEEN, "x")
    assert part["text"] == "task: x\nrobot.joints: [1, 2.5]"
    assert asked.observation_spec is not None and asked.observation_spec.names == ("observation.state",)
    with pytest.raises(InfrastructureError, match="HTTP 400"):
        asked.start("good", 0)(SEEN)  # the stand-in wants the picture: the profile was heeded


@pytest.mark.parametrize(
    ("address", "error", "says"),
    [
        ("openai://127.0.0.1:8000/v1?model=a", UnknownName, r"openai:http://127\.0\.0\.1:8000/v1"),
        ("openai:ftp://a?model=a", UnknownName, "openai:https://HOST/v1"),
        ("openai:http://127.0.0.1:x/v1?model=a", UnknownName, "openai:https://HOST/v1"),
        ("openai:http://a/v1", BadData, r"\?model=NAME"),
        ("openai:http://a/v1?model=a&temperatur=0", UnknownName, "temperature"),
        ("openai:http://a/v1?model=a&rows=0", BadData, "rows: expected a whole number of 1 or more, found 0"),
        ("openai:http://a/v1?model=a&price_in=cheap", BadData, "price_in"),
        ("openai:http://a/v1?model=a&model=b", BadData, "model: expected every option once"),
        ("openai:http://u:p@a/v1?model=a", BadData, "ROBOSCALE_API_KEY"),
        ("openai:http://a/v1?model=a&system=nowhere.txt", BadData, "nowhere.txt"),
    ],
)
def test_an_address_that_is_none_says_what_to_write(address: str, error: type[Exception], says: str):
    with pytest.raises(error, match=says):
        resolve_policy(address, world=None)


def test_it_needs_a_world_that_has_what_is_shown():
    with pytest.raises(SpecMismatch, match="there is no world"):
        resolve_policy("openai:http://a/v1?model=a", world=None).start("x", 0)
    with pytest.raises(SpecMismatch, match=r"no observation\.depth"):
        policy("openai:http://a/v1?model=a&fields=observation.depth")


def test_the_first_object_with_actions_counts():
    assert actions_in('{"thought": {"actions": 3}} {"actions": [[1]]} {"actions": [[2]]}') == [[1]]
    with pytest.raises(PolicyError):
        actions_in("{" * 5000)


def test_what_trials_cost_is_added_up_from_the_log_and_said(url: str, tmp_path: Path):
    from roboscale import ListTrials, evaluate, list_trials
    from tests.toy_world import ToyWorld

    class Like(ToyWorld):
        """A world with the fields that the stand-in wants to see."""

        def __init__(self) -> None:
            super().__init__(horizon=3)
            self.info = replace(self.info, observation_spec=SPEC, action_spec=ACTION, hold=(0.0, 0.0, 0.0))

        def start(self, case):
            scene = super().start(case)
            scene.observe = lambda names=None: {n: v for n, v in SEEN.items() if names is None or n in names}
            step = scene.step
            scene.step = lambda action: step(action[:1])
            return scene

    done = evaluate(
        f"{url}&price_in=2&price_out=10", world=Like(), task="near", trials=2, workers=0, store=tmp_path / "s"
    )
    (said,) = [policy["cost"] for policy in done.to_json()["policies"].values()]
    assert said["trials"] == 2 and said["requests"] >= 2 and said["prompt_tokens"] == 1000 * said["requests"]
    assert said["usd"] == pytest.approx(said["requests"] * 0.0022)
    assert any("cost of" in line and "USD" in line for line in done.lines)
    assert done.to_json()["unverified"]
    trials = [c.trial for c in done.judged.counted if c.trial is not None]
    listed = list_trials(ListTrials(store=str(tmp_path / "s"))).to_json()["trials"]
    assert sum(one["details"]["cost"]["prompt_tokens"] for one in listed) == said["prompt_tokens"]
    assert spending(trials) == said and "questions in 2 trials" in spending_line("tiny", said)
