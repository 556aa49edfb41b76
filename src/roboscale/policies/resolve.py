"""From what a user types after `--policy` to a policy.

Knows the forms. What a form needs (sockets, torch, a dataset) is imported when that form is used.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from roboscale.core import HasExpert, Policy, UnknownName, World
from roboscale.policies.callables import as_policy, load_callable
from roboscale.policies.mistakes import (
    is_address,
    is_repository,
    refuse_address,
    refuse_file,
    refuse_folder,
    refuse_name,
)
from roboscale.policies.wrappers import constant, noisy, truncated

if TYPE_CHECKING:
    from roboscale.policies.remote import Timeouts
    from roboscale.policies.remote.profile import Profiles

__all__ = ["POLICY_FORMS", "resolve_policy"]

POLICY_FORMS = (
    "expert",
    "noisy:POLICY:SIGMA",
    "constant",
    "constant:0,0,1,-1",
    "replay:DATASET",
    "openpi://HOST:PORT",
    "gr00t://, openvla:// or vla-eval://HOST:PORT",
    "openai:URL?model=NAME",
    "lerobot:CHECKPOINT",
    "module:callable",
    "file.py:callable",
    "a checkpoint directory",
)

_SERVERS = ("openpi://", "ws://", "wss://")
_FOREIGN = ("gr00t://", "openvla://", "vla-eval://")
_MODELS = "openai:"


def resolve_policy(
    text: str,
    *,
    world: World | None,
    profile: Profiles | None = None,
    seed: int = 0,
    api_key: str | None = None,
    timeouts: Timeouts | None = None,
    execute: int | None = None,
    guests: Callable[[str], Policy | None] | None = None,
    device: str = "cpu",
) -> Policy:
    """The policy that `text` names, checked against `world` as far as it can be before the first trial.

    Its name is `text`, apart from what a trained policy or a server's profile is called: a label, not who it is.

    Args:
        text: one of `POLICY_FORMS`.
        world: brings the expert, says how many values a constant has, and is what a server is checked against.
        profile: for servers that do not say what they take: a profile, its file, or one for each server. Other
            policies need none.
        seed: of the noise of `noisy` and the choice of `replay`; what else is random has the session's seed.
        api_key: for servers that ask for one.
        timeouts: how long to wait for servers.
        execute: rows executed of every chunk at most; `None` for as many as the policy says.
        device: where a built-in policy computes: `auto`, `cpu`, `cuda`, `mps`.
        guests: opens what packages in environments of their own compute; `None` for a text that names none.

    Raises:
        UnknownName: no form fits, or the world has no expert.
        SpecMismatch: the policy does not fit the world.
        BadData: a file that is named is broken.
        InfrastructureError: a server cannot be reached.
    """

    def resolved(text: str) -> Policy:
        kind, _, rest = text.partition(":")
        if text == "expert":
            return _expert(world)
        if kind == "noisy" and rest:
            inner, _, sigma = rest.rpartition(":")
            return noisy(resolved(inner), _number(text, sigma), seed)
        if kind == "constant":
            values = [_number(text, part) for part in rest.split(",")] if rest else None
            return constant(values, world.info.action_spec if world else None)
        if kind == "replay" and rest:
            return _replay(Path(rest), text, seed)
        if text.startswith((*_SERVERS, *_FOREIGN, _MODELS)):
            return _remote(text, world, profile, api_key, timeouts)
        guest = guests(text) if guests is not None else None
        if guest is not None:
            return guest
        return _local(text, device)

    policy = resolved(text)
    return policy if execute is None else truncated(policy, execute)


def _expert(world: World | None) -> Policy:
    if world is not None and isinstance(world, HasExpert):
        return as_policy(world.expert())
    where = f"world {world.info.name} brings none" if world else "there is no world to bring one"
    raise UnknownName("policy", f"expert ({where})", (f for f in POLICY_FORMS if f != "expert"))


def _replay(path: Path, text: str, seed: int) -> Policy:
    from roboscale.dataset import Dataset
    from roboscale.policies.recorded import replaying

    return replaying(Dataset(path), text, seed)


def _remote(
    text: str, world: World | None, profile: Profiles | None, api_key: str | None, timeouts: Timeouts | None
) -> Policy:
    from roboscale.policies.remote import RemotePolicy
    from roboscale.policies.remote.foreign import ForeignPolicy
    from roboscale.policies.remote.language import LanguagePolicy
    from roboscale.policies.remote.profile import profile_of

    kind: type[RemotePolicy | ForeignPolicy | LanguagePolicy]
    kind = ForeignPolicy if text.startswith(_FOREIGN) else RemotePolicy
    kind = LanguagePolicy if text.startswith(_MODELS) else kind
    policy = kind(text, profile_of(text, profile), api_key, timeouts)
    if world is not None:
        policy.check(world.info.observation_spec, world.info.action_spec)
    return policy


def _local(text: str, device: str) -> Policy:
    """A folder, a function in a file or a module, or whatever else was meant."""
    if is_address(text):
        refuse_address(text)
    if text and Path(text).is_dir():
        return _checkpoint(Path(text), device)
    if text and Path(text).is_file():
        refuse_file(Path(text))
    if text.partition(":")[2] and not is_repository(text):
        return load_callable(text)
    refuse_name(text, POLICY_FORMS)


def _checkpoint(path: Path, device: str) -> Policy:
    if not (path / "policy.json").is_file():
        refuse_folder(path)
    from roboscale.policies.builtin.checkpoint import load_policy

    return load_policy(path, device)


def _number(text: str, part: str) -> float:
    try:
        return float(part)
    except ValueError:
        raise UnknownName("policy", text, POLICY_FORMS) from None
