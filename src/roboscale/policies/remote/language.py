"""A language model, or one that sees, as a policy: `openai:http://host:8000/v1?model=NAME`.

It is told what its numbers mean, shown one observation, and answers with rows of actions as JSON. Every question
stands for itself. It knows prompts and options; `chat` has the bytes. Such a server says nothing that
could be verified: its numbers belong to one run. What an episode cost stands in the details of its trial.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from roboscale.core import (
    BadData,
    Field,
    Identity,
    InfrastructureError,
    Observation,
    PolicyError,
    Session,
    Spec,
    SpecMismatch,
    UnknownName,
    combine,
)
from roboscale.policies.remote.chat import ChatServer, Usage, actions_in
from roboscale.policies.remote.connection import Timeouts
from roboscale.policies.remote.images import png_of
from roboscale.policies.remote.maps import ActionMap
from roboscale.policies.remote.profile import PolicyProfile
from roboscale.policies.remote.replies import RemoteAnswer, read_reply

__all__ = ["COST", "LanguagePolicy", "ModelOptions"]

COST = "cost"
"""Key of a trial's details under which tokens and money stand."""

_FORMS = ("openai:http://HOST:PORT/v1?model=NAME", "openai:https://HOST/v1?model=NAME")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """What stands behind `?` in the address.

    Args:
        model: as the server calls it.
        rows: most rows of actions that are asked for at once; more than these are not executed.
        temperature, max_tokens: sent where they are given.
        price_in, price_out: of a million tokens, in USD.
        system: a text file that is put before what the model is told of its numbers.
        fields: observation fields that it is shown, with commas between; all of the world's by default.
        at_once: how many episodes may run at once.
    """

    model: str
    rows: int = 8
    temperature: float | None = None
    max_tokens: int | None = None
    price_in: float | None = None
    price_out: float | None = None
    system: str = ""
    fields: tuple[str, ...] = ()
    at_once: int = 8

    @classmethod
    def read(cls, query: str, where: str) -> ModelOptions:
        """UnknownName for an option that is none, BadData for a value that is none."""
        names = [f.name for f in fields(cls)]
        said: dict[str, Any] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            if name not in names:
                raise UnknownName(f"option of {where}", name, names)
            if name in said:
                raise BadData(where, name, "every option once", "it twice")
            said[name] = _option(name, value, where)
        if not said.get("model"):
            raise BadData(where, "model", "?model=NAME, as the server calls it", "nothing")
        return cls(**said)


class LanguagePolicy:
    """One model behind one address.

    Args:
        address: `openai:` and a URL, with `?model=NAME` and further `ModelOptions`.
        profile: keys and actions in a convention that the model knows better than the world's; none is needed.
        api_key: sent as a bearer token.
        timeouts: how long to wait for an answer.

    Raises:
        UnknownName: no such address or option.
        BadData: an option's value, or a system file that cannot be read.
    """

    history = 1

    def __init__(
        self,
        address: str,
        profile: PolicyProfile | None = None,
        api_key: str | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        url, options = _parsed(address)
        self.options, self.profile, self._timeouts = options, profile, timeouts or Timeouts()
        self.name = f"{options.model}@{url}" if profile is None else f"{profile.name}:{options.model}@{url}"
        self._server = ChatServer(url, api_key, self._timeouts.attempts)
        self._preface = _text_of(options.system)
        self._specs: tuple[Spec, Spec] | None = None
        self._warm = False

    @property
    def sessions(self) -> int:
        """How many may run at once."""
        return self.options.at_once

    @property
    def identity(self) -> Identity:
        """Model, prompt, options and address; never verified, since a name is all that the server says of itself."""
        told = {f.name: getattr(self.options, f.name) for f in fields(self.options)}
        kept = {k: v for k, v in told.items() if k not in ("price_in", "price_out", "system", "at_once")}
        doubt = f"the server at {self._server.url} does not say what answers as {self.options.model}"
        who = Identity(self.name, combine(self.name, self._server.url, kept, self._preface).digest, (doubt,))
        return who if self.profile is None else combine(self.name, who, self.profile.identity)

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of it."""
        said = [f"{self.options.model} at {self._server.url} is sent a seed, and need not heed it"]
        if self.options.price_in is None or self.options.price_out is None:
            said.append(f"{self.options.model}: money is not counted: price_in and price_out (USD a million tokens)")
        return tuple(said)

    @property
    def observation_spec(self) -> Spec | None:
        """Known once `check` has seen the world."""
        return self._specs[0] if self._specs else None

    @property
    def action_spec(self) -> Spec | None:
        """Known once `check` has seen the world."""
        return self._specs[1] if self._specs else None

    def check(self, observation_spec: Spec, action_spec: Spec) -> None:
        """SpecMismatch unless the world has what is shown, and takes a row of numbers."""
        if self.profile is not None:
            if self.options.fields:
                raise SpecMismatch(f"{self.name}: fields: the profile says what is shown")
            self.profile.check(observation_spec, action_spec)
        shown = self.options.fields or tuple(f.name for f in observation_spec if not f.name.startswith("time."))
        names = self.profile.fields if self.profile is not None else shown
        missing = [name for name in names if name not in observation_spec]
        if missing:
            raise SpecMismatch(
                f"{self.name}: the world has no {', '.join(missing)}; {', '.join(observation_spec.names)}"
            )
        self._specs = observation_spec.select(names), action_spec

    def start(self, instruction: str, seed: int) -> Session:
        """A new episode; nothing is sent before its first observation. SpecMismatch before a world was seen."""
        if self._specs is None:
            raise SpecMismatch(f"{self.name}: it is told what a world's numbers mean: there is no world")
        return _Episode(self, instruction, seed)

    def act_many(self, sessions: Sequence[Session], observations: Sequence[Observation]) -> list[RemoteAnswer]:
        """All at once, each as it would be asked alone; the first error of one, whose answers the others keep."""
        mine = [cast(_Episode, s) for s in sessions]
        with ThreadPoolExecutor(max(1, len(mine)), "asking") as threads:
            list(threads.map(lambda pair: pair[0].prepare(pair[1]), zip(mine, observations, strict=True)))
        for one in mine:
            if one.failure is not None:
                raise one.failure
        return [one(observation) for one, observation in zip(mine, observations, strict=True)]

    def system_text(self) -> str:
        """What the model is told before every question."""
        assert self._specs is not None, "a session was started"
        action, rate = self._specs[1]["action"], self._specs[1].rate_hz
        if self.profile is None:
            means = [_described(action), *(_described(f) for f in self._specs[0])]
        else:
            count = self.profile.action.dimension or action.shape[0]
            means = [f"action: {count} numbers, {self.profile.action.mode}"]
        return "\n".join(
            [
                *filter(None, [self._preface]),
                f"You control a robot at {rate:g} actions a second. You see one observation and the task. Answer with "
                f'JSON and nothing else: {{"actions": [[...], ...]}}, 1 to {self.options.rows} rows, which are '
                "executed in this order before you are asked again.",
                "The numbers mean:",
                *(f"- {line}" for line in means),
            ]
        )

    def answer(self, observation: Observation, instruction: str, seed: int, usage: Usage) -> RemoteAnswer:
        """One question. Raises PolicyError, InfrastructureError."""
        question = self._question(observation, instruction)
        body: dict[str, Any] = {
            "model": self.options.model,
            "messages": [{"role": "system", "content": self.system_text()}, {"role": "user", "content": question}],
            "seed": seed % 2**31,
        }
        for name in ("temperature", "max_tokens"):
            if getattr(self.options, name) is not None:
                body[name] = getattr(self.options, name)
        timeout_s = self._timeouts.reply_s if self._warm else self._timeouts.warmup_s
        reply = self._server.ask(body, timeout_s, usage)
        self._warm = True
        try:
            rows = actions_in(reply.text)
        except PolicyError as error:
            cut = "; it was cut at max_tokens" if reply.finish == "length" else ""
            raise PolicyError(f"{self._server.url}: {error}{cut}") from error
        return read_reply({"actions": rows}, self._action_map(), self._server.url, observation)

    def _action_map(self) -> ActionMap:
        if self.profile is not None:
            return self.profile.action
        assert self._specs is not None, "a session was started"
        return ActionMap(dimension=self._specs[1]["action"].shape[0], mode="", execute=self.options.rows)

    def _question(self, observation: Observation, instruction: str) -> list[dict[str, Any]]:
        """The task, numbers as a line each, and pictures with their names before them."""
        if self.profile is None:
            assert self._specs is not None, "a session was started"
            message: Mapping[str, Any] = {name: observation[name] for name in self._specs[0].names}
        else:
            message = {
                k: v for k, v in self.profile.encode(observation, instruction).items() if k != self.profile.prompt
            }
        values = dict(_flat(message))
        lines = [f"task: {instruction}"]
        lines += [f"{name}: {_numbers(value)}" for name, value in values.items() if not _is_picture(value)]
        parts: list[dict[str, Any]] = [{"type": "text", "text": "\n".join(lines)}]
        for name, value in values.items():
            if _is_picture(value):
                data = base64.b64encode(png_of(value)).decode()
                parts.append({"type": "text", "text": f"{name}:"})
                parts.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}})
        return parts

    def close(self) -> None:
        """Every question has a connection of its own."""


class _Episode:
    """One episode, and what it cost so far."""

    def __init__(self, policy: LanguagePolicy, instruction: str, seed: int) -> None:
        self._policy, self._instruction, self._seed = policy, instruction, seed
        self._usage = Usage(price_in=policy.options.price_in, price_out=policy.options.price_out)
        self._kept: RemoteAnswer | None = None
        self.failure: PolicyError | InfrastructureError | None = None

    @property
    def details(self) -> dict[str, Any]:
        """Tokens and money, for the trial."""
        return {COST: self._usage.to_json()}

    def prepare(self, observation: Observation) -> None:
        """Asks, and keeps the answer for the call that follows: nothing is paid for twice."""
        if self._kept is not None or self.failure is not None:
            return
        try:
            self._kept = self._policy.answer(observation, self._instruction, self._seed, self._usage)
        except (PolicyError, InfrastructureError) as error:
            self.failure = error

    def __call__(self, observation: Observation) -> RemoteAnswer:
        self.prepare(observation)
        if self.failure is not None:
            raise self.failure
        answer, self._kept = self._kept, None
        assert answer is not None, "without a failure there is an answer"
        return answer


def _parsed(address: str) -> tuple[str, ModelOptions]:
    """URL and options of `openai:URL?...`."""
    url, _, query = address.removeprefix("openai:").partition("?")
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket left open
        good = False
    if not good:
        likely = [f"openai:http:{url}"] if url.startswith("//") else list(_FORMS)
        raise UnknownName("policy server", address, likely)
    if parts.username or parts.password:
        raise BadData("openai:URL", "address", "a key in the environment variable ROBOSCALE_API_KEY", "one in the URL")
    return url.rstrip("/"), ModelOptions.read(query, f"openai:{url}")


def _option(name: str, value: str, where: str) -> Any:
    """A value of `ModelOptions` from its text."""
    if name in ("model", "system"):
        return value
    if name == "fields":
        return tuple(filter(None, value.split(",")))
    whole = name in ("rows", "max_tokens", "at_once")
    try:
        number = int(value) if whole else float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < (1 if whole else 0):
        raise BadData(
            where, name, "a whole number of 1 or more" if whole else "a number of 0 or more", value or "nothing"
        )
    return number


def _text_of(file: str) -> str:
    if not file:
        return ""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise BadData(file, "system", "a text file", error) from error


def _described(field: Field) -> str:
    """What a field is, in one line."""
    parts = ["a picture" if field.is_image else f"{math.prod(field.shape)} numbers"]
    if not field.is_image:
        parts += [", ".join(field.layout)] if field.layout else []
        parts += [f"unit {field.unit}"] if field.unit not in ("", "1", "mixed") else []
        parts += [f"frame {field.frame}"] if field.frame else []
        parts += [field.mode] if field.name == "action" else []
        if field.low is not None and field.high is not None:
            parts.append(f"from {_numbers(np.array(field.low))} to {_numbers(np.array(field.high))}")
    return f"{field.name}: {'; '.join(parts)}"


def _flat(message: Mapping[str, Any], before: str = "") -> list[tuple[str, np.ndarray[Any, Any]]]:
    """Nested keys with dots between."""
    flat: list[tuple[str, np.ndarray[Any, Any]]] = []
    for key, value in message.items():
        name = f"{before}{key}"
        flat += _flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, np.asarray(value))]
    return flat


def _is_picture(value: np.ndarray[Any, Any]) -> bool:
    return value.ndim == 3 and value.dtype == np.uint8


def _numbers(value: np.ndarray[Any, Any]) -> str:
    """Numbers with four significant digits: more costs tokens and says nothing."""
    rounded = [float(f"{number:.4g}") for number in np.asarray(value, np.float64).reshape(-1)]
    return "[" + ", ".join(f"{number:g}" for number in rounded) + "]"
