"""What a foreign policy server does not say of itself: how our arrays become its keys, and its numbers our actions.

An openpi server may send empty metadata and take any dictionary. A profile declares the key map, the meaning of the
actions, the horizon and the normalisation in one small file, and is checked against the world before the first trial.
Knows specs, arrays and the file. Does not know sockets. A full example: `examples/policy_profile_droid.toml`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import ActionChunk, BadData, Identity, Observation, Spec, SpecMismatch, UnknownName, combine
from roboscale.core.declared import as_declared, read_declared
from roboscale.policies.remote.maps import ActionMap, ObservationMap, near_hint
from roboscale.policies.remote.profile_file import ProfileFile

__all__ = ["PolicyProfile", "Profiles", "profile_of", "read_profiles"]

_RESERVED = {"roboarena": (("endpoint",), ("session_id",)), "none": ()}


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyProfile:
    """One server's profile.

    Args:
        name: what results call the policy.
        observations: one map per key that the server wants.
        action: the map of its answer.
        prompt: key of the instruction; empty where the server takes none.
        reset: `roboarena` servers take `endpoint` and answer a reset in text; others know no reset.
        rate_hz: control rate that the actions are meant for; `None` takes the world's.
        resample_hz: the world's, where it is another one: rows are made for it.
        file: where it was read from, for messages.

    Raises:
        BadData: two maps make the same key, or one makes a value of what is another one's dictionary.
    """

    name: str
    observations: tuple[ObservationMap, ...]
    action: ActionMap
    prompt: str = "prompt"
    reset: Literal["none", "roboarena"] = "none"
    rate_hz: float | None = None
    resample_hz: float | None = None
    file: str = ""

    def __post_init__(self) -> None:
        for expected, found in self._clashes():
            raise BadData(self.file or f"profile {self.name}", "observation", expected, found)

    @classmethod
    def load(cls, path: str | Path) -> PolicyProfile:
        """Reads a TOML or JSON file. BadData or UnknownName name file and field."""
        return cls._of(read_declared(Path(path), ProfileFile), str(path))

    @classmethod
    def parse(cls, text: str, file: str = "") -> PolicyProfile:
        """The same from the text of a TOML file, which errors call `file`."""
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise BadData(file or "profile", "file", "TOML", error) from error
        return cls._of(as_declared(values, ProfileFile, file or "profile"), file)

    @classmethod
    def _of(cls, said: ProfileFile, file: str) -> PolicyProfile:
        rates = None if said.resample_hz is None or said.rate_hz is None else (said.rate_hz, said.resample_hz)
        return cls(
            name=said.name,
            observations=tuple(table.map for table in said.observation),
            action=replace(said.action.map, rates_hz=rates),
            prompt=said.prompt,
            reset=said.reset,
            rate_hz=said.rate_hz,
            resample_hz=said.resample_hz,
            file=file,
        )

    @property
    def identity(self) -> Identity:
        """By all that it does; what it is called and where it lies do not matter."""
        return combine(self.name, {k: v for k, v in asdict(self).items() if k not in ("name", "file")})

    @property
    def fields(self) -> tuple[str, ...]:
        """Our fields that the server needs, each once."""
        relative = () if self.action.relative is None else (self.action.relative.field,)
        return tuple(dict.fromkeys([*(part.field for m in self.observations for part in m.parts), *relative]))

    def chunk(self, rows: NDArray[Any], observation: Observation | None = None) -> ActionChunk:
        """(H, D) of the policy, which answers an observation -> our actions."""
        return self.action.decode(rows, observation)

    def encode(self, observation: Observation, instruction: str) -> dict[str, Any]:
        """The request for one observation; SpecMismatch for what is not observed, or is no rotation."""
        message: dict[str, Any] = {}
        for entry in self.observations:
            for name in (part.field for part in entry.parts if part.field not in observation):
                raise SpecMismatch(f"{self._where}: {name} is not observed{near_hint(name, observation)}")
            inner = message
            for part in entry.key[:-1]:
                inner = inner.setdefault(part, {})
            inner[entry.key[-1]] = entry.encode([np.asarray(observation[part.field]) for part in entry.parts])
        if self.prompt:
            message[self.prompt] = instruction
        return message

    def check(self, observation_spec: Spec, action_spec: Spec) -> None:
        """SpecMismatch that lists everything in which the profile and a world do not fit, or nothing."""
        problems: list[str] = []
        for i, entry in enumerate(self.observations):
            problems += entry.problems(observation_spec, f"observation[{i}]")
        problems += self.action.problems(action_spec, observation_spec)
        rate, name = (self.rate_hz, "rate_hz") if self.resample_hz is None else (self.resample_hz, "resample_hz")
        if rate is not None and rate != action_spec.rate_hz:
            problems.append(f"{name}: profile {rate:g}, world {action_spec.rate_hz:g}")
        if problems:
            raise SpecMismatch("\n  ".join([f"{self._where} does not fit the world:", *problems]))

    def _clashes(self) -> Iterator[tuple[str, str]]:
        """Keys that cannot stand beside each other: what is expected, and what is there."""
        known: dict[tuple[str, ...], str] = dict.fromkeys(_RESERVED[self.reset], "the protocol's own")
        if self.prompt:
            known[(self.prompt,)] = "the instruction's"
        for i, entry in enumerate(self.observations):
            said = f"observation[{i}].key {_say(entry.key)}"
            for other, owner in known.items():
                if entry.key == other:
                    yield "every key once (several fields in one key are [[observation.part]])", f"{said}, {owner} too"
                elif entry.key == other[: len(entry.key)] or other == entry.key[: len(other)]:
                    yield "a key to be a value or a dictionary", f"{said} beside {_say(other)}, {owner}"
            known[entry.key] = f"that of observation[{i}]"

    @property
    def _where(self) -> str:
        return f"profile {self.name}" + (f" ({self.file})" if self.file else "")


Profiles = PolicyProfile | str | Path | Mapping[str, "PolicyProfile"]
"""A profile, its file, or a profile for each server as it was typed, with one for all others under the empty text."""


def read_profiles(
    texts: Sequence[str], policies: Sequence[str], takes: Callable[[str], bool] | None = None
) -> dict[str, PolicyProfile]:
    """The profiles that were named for several policies: `PROFILE` for every server, `SERVER=PROFILE` for one.

    Args:
        texts: as typed after `--policy-profile`.
        policies: as typed after `--policy`.
        takes: whether a policy that is no server takes a profile all the same, as those of guests do.

    Raises:
        UnknownName: a server that no policy asks.
        SpecMismatch: two profiles for one server, or a profile where no policy is a server.
        BadData: a file that is broken.
    """
    servers = [part for text in policies for part in _servers(text, takes)]
    profiles: dict[str, PolicyProfile] = {}
    for text in texts:
        server, _, path = ("", "", text) if Path(text).is_file() else text.rpartition("=")
        if server and server not in servers:
            raise UnknownName("server of a policy profile", server, servers)
        if not servers:
            raise SpecMismatch(f"policy profile {text}: none of {', '.join(policies) or 'no policies'} is a server")
        if server in profiles:
            raise SpecMismatch(f"two policy profiles for {server or 'every server'}: the second is {path}")
        profiles[server] = PolicyProfile.load(path)
    return profiles


def profile_of(server: str, profiles: Profiles | None) -> PolicyProfile | None:
    """The profile of the server that was typed as `server`, if there is one."""
    if isinstance(profiles, Mapping):
        return profiles.get(server, profiles.get(""))
    return PolicyProfile.load(profiles) if isinstance(profiles, (str, Path)) else profiles


def _servers(text: str, takes: Callable[[str], bool] | None) -> Iterator[str]:
    """The server in a policy's text, also inside `noisy:SERVER:SIGMA`."""
    while text.startswith("noisy:"):
        text = text.removeprefix("noisy:").rpartition(":")[0]
    if "://" in text or (takes is not None and takes(text)):
        yield text


def _say(key: tuple[str, ...]) -> str:
    return repr(key[0]) if len(key) == 1 else repr(list(key))
