"""Policies that guests compute, from what was typed: `lerobot:PATH`, `lerobot:PATH?n_action_steps=8`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from roboscale.core import BadData, Policy, UnknownName, World

if TYPE_CHECKING:
    from roboscale.guests import Guest, GuestPolicy
    from roboscale.policies.remote.profile import PolicyProfile

__all__ = ["guest_called", "guest_of", "guest_policies"]

READ = ("config.json", "policy_*.json", "*.safetensors", "*.model", "tokenizer*")
"""Files of a checkpoint that its actions depend on."""

OPTIONS: Mapping[str, type] = {"n_action_steps": int, "device": str, "threads": int}
"""What may stand behind the question mark, and is otherwise as the checkpoint says."""


def guest_called(name: str) -> Guest | None:
    """The guest of that name, whose files alone are read; `None` where there is none."""
    from roboscale.guests import find_guest, guest_folders

    return find_guest(name) if name in guest_folders() else None


def guest_of(text: str) -> Guest | None:
    """The guest in a policy's text, also inside `noisy:POLICY:SIGMA`; `None` where there is none.

    Forms of ours come first: `constant:0,0`, `replay:FOLDER`, addresses and `file.py:name` name no guest.
    """
    name, colon, rest = text.partition(":")
    if name == "noisy":
        return guest_of(rest.rpartition(":")[0])
    if not colon or rest.startswith("//") or name in ("constant", "replay") or name.endswith(".py"):
        return None
    guest = guest_called(name)
    return guest if guest is not None and guest.policies else None


def guest_policies(
    world: World | None, profiles: Mapping[str, PolicyProfile], *, start_s: float = 300.0, answer_s: float = 60.0
) -> Callable[[str], Policy | None]:
    """What opens the policies of guests for a world; `None` for texts that name no guest.

    Args:
        profiles: text of a policy, or empty for all, -> how it is connected to the world.
        start_s: seconds that opening may take. answer_s: seconds that an answer may take.
    """

    def opened(text: str) -> Policy | None:
        guest = guest_of(text)
        if guest is None or text.startswith("noisy:"):
            return None
        profile = profiles.get(text, profiles.get(""))
        return open_guest_policy(guest, text, world, profile, start_s=start_s, answer_s=answer_s)

    return opened


def open_guest_policy(
    guest: Guest, text: str, world: World | None, profile: PolicyProfile | None, *, start_s: float, answer_s: float
) -> GuestPolicy:
    """Starts the guest's process on a checkpoint, and connects it to a world.

    Raises:
        BadData: no such folder.
        UnknownName: an option that there is not.
        SpecMismatch: the policy does not fit the world; with a profile to edit.
        RoboscaleError: the guest is not installed.
        InfrastructureError: it cannot open the checkpoint.
    """
    from roboscale.dataset.digests import folder_digest
    from roboscale.guests import GuestPolicy, GuestProcess, PolicyFeatures

    path, overrides = parsed(text.partition(":")[2], text)
    arguments = {"path": str(path.resolve()), **overrides}
    process = GuestProcess(guest, guest.policies, arguments, start_s=start_s, answer_s=answer_s)
    try:
        features = PolicyFeatures.from_reply(process.start())
        mapping = features if profile is None else profile
        specs = None
        if world is not None:
            specs = world.info.observation_spec, world.info.action_spec
            mapping.check(*specs)
        return GuestPolicy(
            text,
            process,
            features,
            mapping,
            content=folder_digest(path, READ),
            overrides={name: value for name, value in overrides.items() if name != "threads"},
            specs=specs,
        )
    except BaseException:
        process.close()
        raise


def parsed(rest: str, text: str) -> tuple[Path, dict[str, Any]]:
    """Folder and overrides of `PATH?name=value&name=value`."""
    name, _, query = rest.partition("?")
    overrides: dict[str, Any] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in OPTIONS:
            raise UnknownName("option of a guest's policy", key, OPTIONS)
        try:
            overrides["rows" if key == "n_action_steps" else key] = OPTIONS[key](value)
        except ValueError:
            raise BadData(text, key, "a whole number", repr(value)) from None
    path = Path(name).expanduser()
    for inside in (
        "",
        "pretrained_model",
        "last/pretrained_model",
        "checkpoints/last/pretrained_model",
    ):  # what is at hand
        if (path / inside / "config.json").is_file():
            return path / inside, overrides
    raise BadData(text, "checkpoint", "a folder with config.json and model.safetensors", _there(path))


def _there(path: Path) -> str:
    if not path.exists():
        return "nothing (a Hub id is fetched by `hf download OWNER/NAME --local-dir FOLDER`)"
    if not path.is_dir():
        return "a file"
    runs = sorted(p.parents[1] for depth in ("*", "*/*") for p in path.glob(f"{depth}/checkpoints/last"))
    if runs:
        return f"a folder of {len(runs)} training run{'s' * (len(runs) > 1)}, such as {runs[0]}"
    return ", ".join(sorted(p.name for p in path.iterdir())[:8]) or "an empty folder"
