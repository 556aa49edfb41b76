"""Functions, classes, objects and models act; whatever they do wrong is told as theirs, in one line."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from roboscale.core import (
    PENDING,
    ActionChunk,
    BadData,
    BatchedPolicy,
    Field,
    Identity,
    InfrastructureError,
    Observation,
    Policy,
    PolicyError,
    Session,
    Spec,
    SpecMismatch,
    UnknownName,
    combine,
)
from roboscale.policies.callables import as_policy
from roboscale.policies.wrappers import constant
from tests.policies.naming import no_address

SEEN = {"x": np.array([2.0])}
SPEC = Spec((Field("x", (1,), "float64"),), 20.0)


def rows(policy: Policy, instruction: str = "push", seed: int = 0):
    return policy.start(instruction, seed)(SEEN).rows.tolist()


def one(observation: Observation):
    return observation["x"] * 2


def two(observation: Observation, instruction: str):
    return [[len(instruction), 0.0], [1.0, 1.0]]


def prompted(obs: Observation, prompt):
    return [float(len(prompt))]


def unused(observation: Observation, _):
    return [1.0]


def annotated(observation: Observation, words: str):
    return [float(len(words))]


def optional(observation: Observation, gain: float = 3):
    return observation["x"] * gain


def named(observation: Observation, instruction: str = "default"):
    return [float(len(instruction))]


def keyword(observation: Observation, *, gain: float = 3, instruction: str):
    return [gain * len(instruction)]


class Acting:
    def __call__(self, observation: Observation, instruction: str) -> NDArray[Any]:
        return np.array([7.0])

    def method(self, observation: Observation):
        return np.array([8.0])

    @classmethod
    def of_class(cls, observation: Observation):
        return np.array([9.0])


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        (one, [[4.0]]),
        (two, [[4.0, 0.0], [1.0, 1.0]]),
        (prompted, [[4.0]]),
        (unused, [[1.0]]),
        (annotated, [[4.0]]),
        (optional, [[6.0]]),
        (named, [[4.0]]),
        (keyword, [[12.0]]),
        (Acting, [[7.0]]),
        (Acting(), [[7.0]]),
        (Acting().method, [[8.0]]),
        (Acting.of_class, [[9.0]]),
        (lambda *args: [float(len(args))], [[2.0]]),
        (functools.partial(optional, gain=5), [[10.0]]),
        (lambda: one, [[4.0]]),
        (lambda gain=3: functools.partial(optional, gain=gain), [[6.0]]),
    ],
)
def test_whatever_can_act(fn: Callable[..., Any], expected: Any):
    assert rows(as_policy(fn)) == expected


def test_names_are_for_people():
    def inner(observation: Observation):
        return [0.0]

    assert as_policy(one).name == "one"
    assert as_policy(inner).name == "inner"
    assert as_policy(Acting).name == as_policy(Acting()).name == "Acting"
    assert as_policy(Acting().method).name == "Acting.method"
    assert as_policy(one, name="mine").name == as_policy(one, name="mine").identity.name == "mine"
    assert as_policy(lambda o: [0.0]).name.startswith("lambda at test_making.py:")


def test_two_lambdas_of_one_line_are_two_policies():
    """They differ in what they close over, whatever they are called."""
    first, second = (as_policy(lambda o, sign=sign: [sign]) for sign in (1.0, -1.0))

    def factory(sign: float):
        return lambda o: [sign]

    third, fourth, again = (as_policy(factory(s)) for s in (1.0, -1.0, 1.0))
    assert first.identity != second.identity
    assert third.identity != fourth.identity
    assert third.identity == again.identity


def test_what_it_is_shown_is_part_of_it():
    assert as_policy(one, spec=SPEC).identity != as_policy(one).identity
    assert as_policy(one, spec=SPEC).observation_spec == SPEC


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        (lambda: [0.0], "a function of no argument, which made list"),
        (3, r"expected a policy, fn\(observation\).*found int$"),
        ("expert", "found str"),
        ([one], "found list$"),
        (np.zeros(3), "found ndarray$"),
        (SimpleNamespace(), "found SimpleNamespace"),
        (lambda observation, action: [0.0], "whose argument 'action' is no instruction"),
        (lambda observation, instruction, memory: [0.0], r"found <lambda>\(observation, instruction, memory\)"),
        (lambda observation, *, memory: [0.0], r"found <lambda>\(observation, \*, memory\)"),
        (Acting.method, "a method of a class that has not been made"),
    ],
)
def test_what_cannot_act_is_refused_before_the_first_trial(thing: Any, says: str):
    with pytest.raises(SpecMismatch, match=f"policy .*{says}") as caught:
        as_policy(thing)
    assert len(str(caught.value).splitlines()) == 1


def test_what_returns_before_it_has_run_is_refused():
    async def later(observation: Observation):
        return [0.0]

    def yields(observation: Observation):
        yield [0.0]

    with pytest.raises(SpecMismatch, match="policy later: .*async"):
        as_policy(later)
    with pytest.raises(SpecMismatch, match="policy yields: .*generator"):
        as_policy(yields)


def test_an_object_without_a_known_method_names_those_that_it_has():
    class Mine:
        def act(self, observation: Observation):
            return [1.0]

    with pytest.raises(SpecMismatch, match=r"found Mine; it has act: give one of them, e\.g\. thing\.act"):
        as_policy(Mine())
    with pytest.raises(SpecMismatch, match="it has act"):
        as_policy(Mine)
    assert rows(as_policy(Mine().act)) == [[1.0]]


def test_a_class_that_cannot_be_made():
    class Broken:
        def __init__(self) -> None:
            raise ValueError("no weights")

    with pytest.raises(BadData, match="Broken: making it: expected a policy, found ValueError: no weights"):
        as_policy(Broken)


def test_an_exception_is_a_failure_that_keeps_its_origin():
    def broken(observation: Observation) -> object:
        return observation["y"]

    with pytest.raises(PolicyError, match="policy broken raised KeyError: 'y'") as caught:
        rows(as_policy(broken))
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("error", [MemoryError(), ConnectionResetError()], ids=repr)
def test_the_machine_s_fault_is_void(error: Exception):
    def broken(observation: Observation) -> object:
        raise error

    with pytest.raises(InfrastructureError, match="policy broken raised"):
        rows(as_policy(broken))


def test_an_error_that_says_what_it_is_passes():
    def honest(observation: Observation) -> None:
        raise PolicyError("I do not know")

    with pytest.raises(PolicyError, match="^I do not know$"):
        rows(as_policy(honest))


def test_observations_cannot_be_changed_and_the_dictionary_is_its_own():
    array = np.array([2.0])

    def writes(observation: Observation):
        observation["x"][0] = 9.0
        return [0.0]

    def adds(observation: Any):
        observation["more"] = 1
        return observation.pop("x")

    seen = {"x": array}
    with pytest.raises(PolicyError, match="observations are read-only: copy first"):
        as_policy(writes).start("push", 0)(seen)
    assert as_policy(adds).start("push", 0)(seen).rows.tolist() == [[2.0]]
    assert seen.keys() == {"x"} and array[0] == 2.0 and array.flags.writeable


class Model:
    """As stable-baselines3's: an answer of two, a memory that is given back, a random one unless told not to be."""

    def __init__(self, space: Any = None) -> None:
        self.observation_space = space

    def predict(self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False):
        if not deterministic:
            raise ValueError("random")
        number = 0 if episode_start[0] else state + 1
        return np.array([float(number), float(np.asarray(observation).size)]), number


BOX = SimpleNamespace(shape=(1,))


@pytest.mark.parametrize("thing", [Model(BOX), Model(BOX).predict])
def test_a_model_with_predict_is_asked_as_it_wants(thing: Any):
    policy = as_policy(thing)
    one_, two_ = policy.start("push", 0), policy.start("push", 1)
    answers = [s(SEEN).rows[0].tolist() for s in (one_, one_, two_, one_)]
    assert answers == [[0.0, 1.0], [1.0, 1.0], [0.0, 1.0], [2.0, 1.0]], "every session has a memory of its own"
    assert policy.sessions is None
    assert any("deterministic=True" in note for note in policy.notes)


def test_a_model_of_one_array_needs_one_field():
    with pytest.raises(SpecMismatch, match="2 fields: x, y; choose one with observes"):
        as_policy(Model(BOX)).start("push", 0)({**SEEN, "y": np.zeros(1)})


def test_a_model_of_several_arrays_gets_them_by_name():
    class Seeing(Model):
        def predict(self, observation: Any, deterministic: bool = False):
            return np.array([float(v[0]) for v in observation.values()]), None

    space = SimpleNamespace(spaces={"goal": None, "x": None})
    seen = {**SEEN, "observation.goal": np.array([5.0]), "observation.other": np.array([6.0])}
    assert as_policy(Seeing(space)).start("push", 0)(seen).rows.tolist() == [[5.0, 2.0]]
    with pytest.raises(SpecMismatch, match="the model takes 'goal'; there is x"):
        as_policy(Seeing(space)).start("push", 0)(SEEN)


def test_a_policy_of_lerobot_is_told_what_works():
    class ACTPolicy:
        __module__ = "lerobot.policies.act.modeling_act"

        def select_action(self, batch: Any): ...

        def reset(self) -> None: ...

    policy = ACTPolicy()
    for thing in (policy, policy.select_action):
        with pytest.raises(SpecMismatch, match=r"ACTPolicy is a policy of LeRobot.*class with reset\(\)"):
            as_policy(thing)


def test_a_network_is_asked_as_its_forward_says():
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def forward(self, observation: Any):
            return torch.tensor(observation["x"].copy(), requires_grad=True) * 3

    assert rows(as_policy(Net())) == [[6.0]]


class Foreign:
    """A policy as somebody writes it who has read half of the protocol."""

    name = "foreign"

    def __init__(self, answer: Any = (1.0,)) -> None:
        self.answer = answer

    def start(self, instruction: str, seed: int):
        if instruction == "unknown":
            raise UnknownName("instruction", instruction, ["push"])
        if instruction == "fail":
            raise ZeroDivisionError
        return lambda observation: self.answer


def test_a_policy_that_lacks_the_rest_of_the_protocol_is_completed():
    policy = as_policy(Foreign())
    assert (policy.name, policy.history, policy.sessions, policy.notes) == ("foreign", 1, None, ())
    assert policy.observation_spec is None and policy.action_spec is None
    assert policy.identity == as_policy(Foreign()).identity != as_policy(Foreign((2.0,))).identity
    assert rows(policy) == rows(as_policy(Foreign)) == [[1.0]]
    assert as_policy(Foreign(), spec=SPEC).observation_spec == SPEC


def test_a_policy_that_says_who_it_is_is_believed():
    class Known(Foreign):
        identity, history = Identity("known", "0" * 32), 4

    policy = as_policy(Known())
    assert policy.identity == Identity("", "0" * 32) and policy.identity.name == "foreign"
    assert policy.history == 4


def test_ours_are_what_they_are():
    policy = constant([0.0])
    assert as_policy(policy) is policy


@pytest.mark.parametrize(
    ("answer", "says"),
    [(None, "nothing"), (ActionChunk(np.array([[np.nan]])), "NaN"), ({"actions": 1}, "a dictionary")],
    ids=no_address,
)
def test_a_policy_s_answers_are_read(answer: Any, says: str):
    with pytest.raises(PolicyError, match=f"policy foreign returned .*{says}"):
        rows(as_policy(Foreign(answer)))


def test_what_starting_a_session_raises():
    policy = as_policy(Foreign())
    with pytest.raises(UnknownName, match="did you mean push|valid: push"):
        policy.start("unknown", 0)
    session = policy.start("fail", 0)
    for _ in range(2):
        with pytest.raises(PolicyError, match="policy foreign raised ZeroDivisionError"):
            session(SEEN)


def test_pending_passes():
    assert as_policy(Foreign(PENDING)).start("push", 0)(SEEN) is PENDING


class Batching(Foreign):
    """Answers the mark of each; counts how often each session was asked."""

    def start(self, instruction: str, seed: int):
        session = lambda observation: self.act_many([session], [observation])[0]  # noqa: E731
        session.asked = 0
        session.details, session.parents = {"seed": seed}, ("a",)
        return session

    def act_many(self, sessions: Sequence[Session], observations: Sequence[Observation]):
        for session in sessions:
            session.asked += 1
        return [o["x"] * s.asked for s, o in zip(sessions, observations, strict=True)]


def test_batches_are_passed_on():
    policy = as_policy(Batching())
    assert isinstance(policy, BatchedPolicy) and not isinstance(as_policy(Foreign()), BatchedPolicy)
    sessions = [policy.start("push", s) for s in range(2)]
    assert [c.rows.tolist() for c in policy.act_many(sessions, [SEEN, SEEN])] == [[[2.0]], [[2.0]]]
    assert sessions[1].details == {"seed": 1} and sessions[1].parents == ("a",)


def test_one_bad_answer_of_a_batch_costs_one_session():
    policy = as_policy(Batching())
    bad = {"x": np.array([np.nan])}
    sessions = [policy.start("push", s) for s in range(3)]
    with pytest.raises(PolicyError, match="NaN"):
        policy.act_many(sessions, [SEEN, bad, SEEN])
    assert sessions[0](SEEN).rows.tolist() == [[2.0]], "the kept answer, not a second step"
    with pytest.raises(PolicyError, match="NaN"):
        sessions[1](bad)
    assert [c.rows.tolist() for c in policy.act_many([sessions[2], sessions[0]], [SEEN] * 2)] == [[[2.0]], [[4.0]]]


def test_too_few_answers():
    class Short(Batching):
        def act_many(self, sessions: Sequence[Session], observations: Sequence[Observation]):
            return super().act_many(sessions, observations)[1:]

    policy = as_policy(Short())
    with pytest.raises(PolicyError, match="1 answers for 2 sessions"):
        policy.act_many([policy.start("push", s) for s in range(2)], [SEEN] * 2)


def test_wrapped_functions_have_an_identity_too():
    assert isinstance(combine("a", as_policy(one).identity), Identity)


class Weighted:
    """Reads its weights when it is made, as a class around a checkpoint does."""

    file = Path()

    def __init__(self) -> None:
        self.gain = np.load(type(self).file)

    def __call__(self, observation: Observation):
        return observation["x"] * self.gain


class Reading:
    """Reads its weights whenever it acts."""

    def __call__(self, observation: Observation):
        return observation["x"] * np.load(Weighted.file)


def test_a_class_is_known_by_the_weights_that_it_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Weighted, "file", tmp_path / "gain.npy")
    np.save(Weighted.file, np.array([3.0]))
    first, again = as_policy(Weighted), as_policy(Weighted)
    np.save(Weighted.file, np.array([4.0]))
    other = as_policy(Weighted)
    assert first.identity == again.identity != other.identity
    assert first.identity.verified and rows(other) == [[8.0]]


def test_what_reads_while_it_acts_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Weighted, "file", tmp_path / "gain.npy")
    np.save(Weighted.file, np.array([3.0]))
    for thing in (Reading, Reading(), Reading().__call__):
        assert any("np.load" in r or "numpy.load" in r for r in as_policy(thing).identity.unverified)


@pytest.mark.parametrize(
    "methods",
    [
        "def reset(self): self.gain = json.load(open('gain.json'))\n    def __call__(self, o): return [self.gain]",
        "def reset(self): self.gain = self.read()\n    def read(self): return json.load(open('gain.json'))\n"
        "    def __call__(self, o): return [self.gain]",
        "def start_episode(self): self.gain = json.load(open('gain.json'))\n    def act(self, o): return [self.gain]\n"
        "    __call__ = act",
        "def predict(self, o): return [json.load(open('gain.json'))]",
        "def select_action(self, o): return [json.load(open('gain.json'))]",
    ],
)
def test_a_class_that_reads_when_an_episode_begins_is_not_known(
    methods: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("gain.json").write_text("1.0")
    names: dict[str, Any] = {"__name__": "mine"}
    exec(f"import json\nclass Reads:\n    {methods}\n", names)
    for thing in (names["Reads"], names["Reads"]()):
        (why, *_) = as_policy(thing).identity.unverified
        assert "reads a file while acting" in why


def test_a_model_is_known_by_its_weights_and_not_by_what_it_could_load(tmp_path: Path):
    class Saved(Model):
        def __init__(self, gain: float) -> None:
            super().__init__(BOX)
            self.gain = gain

        def load(self) -> None:
            self.gain = float(np.load(tmp_path / "gain.npy"))

    identities = [as_policy(thing).identity for thing in (Saved(1.0), Saved(1.0), Saved(2.0), Saved(1.0).predict)]
    assert identities[0] == identities[1] != identities[2]
    assert all(i.verified for i in identities)


@pytest.mark.parametrize("choice", [2, np.int64(2), np.array(2)])
def test_a_model_that_chooses_one_of_several_answers_its_number(choice: object):
    class Model:
        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return choice, None

    chunk = as_policy(Model()).start("", 0)({"observation.state": np.zeros(2)})
    assert chunk.actions.tolist() == [[2]] and chunk.actions.dtype.kind == "i"


@pytest.mark.parametrize("answer", [0.5, np.array(0.5), True, None, "left"])
def test_a_model_that_answers_something_else_without_an_axis_does_not_act(answer: object):
    class Model:
        def predict(self, observation, deterministic=False):
            return answer, None

    with pytest.raises(PolicyError, match="expected an action"):
        as_policy(Model()).start("", 0)({"observation.state": np.zeros(2)})
