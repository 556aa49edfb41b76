"""From what a user types after `--policy` to a policy.

Knows the forms. What a form needs (sockets, torch, a dataset) is imported when that form is used.
"""

from __future__ import annotations

from pathlib import Path

from roboscale.core import BadData, HasExpert, Policy, UnknownName, World, derive_id
from roboscale.policies.callables import load_callable
from roboscale.policies.profile import PolicyProfile
from roboscale.policies.wrappers import constant, noisy, replay

__all__ = ["FORMS", "resolve_policy"]

FORMS = (
    "expert",
    "noisy:POLICY:SIGMA",
    "constant",
    "constant:0,0,1,-1",
    "replay:DATASET",
    "openpi://HOST:PORT",
    "module:callable",
    "file.py:callable",
    "a checkpoint directory",
)

_SERVERS = ("openpi://", "ws://", "wss://")


def resolve_policy(
    text: str,
    *,
    world: World | None,
    profile: PolicyProfile | str | Path | None = None,
    seed: int = 0,
    api_key: str | None = None,
) -> Policy:
    """The policy that `text` names, checked against `world` as far as it can be before the first trial.

    Args:
        text: one of `FORMS`.
        world: brings the expert, says how many values a constant has, and is what a server is checked against.
        profile: a file or a profile, for servers that do not say what they take; other policies need none.
        seed: of the noise of `noisy` and the choice of `replay`; what else is random has the session's seed.
        api_key: for servers that ask for one.

    Raises:
        UnknownName: no form fits, or the world has no expert.
        SpecMismatch: the policy does not fit the world.
        BadData: a file that is named is broken.
        InfrastructureError: a server cannot be reached.
    """
    kind, _, rest = text.partition(":")
    if text == "expert":
        return _expert(world)
    if kind == "noisy" and rest:
        inner, _, sigma = rest.rpartition(":")
        policy = resolve_policy(inner, world=world, profile=profile, seed=seed, api_key=api_key)
        return noisy(policy, _number(text, sigma), seed)
    if kind == "constant":
        values = [_number(text, part) for part in rest.split(",")] if rest else None
        return constant(values, world.action_spec if world else None)
    if kind == "replay" and rest:
        return _replay(Path(rest), text, seed)
    if text.startswith(_SERVERS):
        return _remote(text, world, profile, api_key)
    if text and Path(text).is_dir():
        return _checkpoint(Path(text))
    if rest:
        return load_callable(text)
    raise UnknownName("policy", text, FORMS)


def _expert(world: World | None) -> Policy:
    if world is not None and isinstance(world, HasExpert):
        return world.expert()
    where = f"world {world.name} brings none" if world else "there is no world to bring one"
    raise UnknownName("policy", f"expert ({where})", (f for f in FORMS if f != "expert"))


def _replay(path: Path, text: str, seed: int) -> Policy:
    from roboscale.dataset import Dataset

    return replay(Dataset(path), text, seed)


def _remote(text: str, world: World | None, profile: PolicyProfile | str | Path | None, api_key: str | None) -> Policy:
    from roboscale.policies.remote import RemotePolicy

    loaded = PolicyProfile.load(profile) if isinstance(profile, (str, Path)) else profile
    policy = RemotePolicy(text, loaded, api_key)
    if world is not None:
        policy.check(world.observation_spec, world.action_spec)
    return policy


def _checkpoint(path: Path) -> Policy:
    if not (path / "policy.json").is_file():
        raise BadData(path, "policy.json", "a checkpoint", "no such file")
    from roboscale.policies.builtin.checkpoint import load_policy

    policy = load_policy(path)
    # trials are filed under the name: other weights or settings in the same folder must be another policy
    policy.name = f"{policy.name}@{derive_id((path / 'policy.json').read_text())[:8]}"
    return policy


def _number(text: str, part: str) -> float:
    try:
        return float(part)
    except ValueError:
        raise UnknownName("policy", text, FORMS) from None
