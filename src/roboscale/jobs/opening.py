"""Worlds from what was typed: ours, declared, own, or of a guest: `robosuite:Lift?size=64`."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl

from roboscale.core import UnknownName, World
from roboscale.jobs.guests import guest_called
from roboscale.jobs.learned import LEARNED, open_learned

__all__ = ["open_any_world"]

_SHARE = 0.9  # of a step's limit: a guest that hangs is found by whoever has its last lines


def open_any_world(
    text: str,
    *,
    start_s: float = 300.0,
    answer_s: float = 300.0,
    perturbed: bool = False,
    paraphrases: Path | None = None,
) -> World:
    """The world that a text names, as `roboscale.worlds.open_world`, or one that a guest runs.

    Args:
        text: `GUEST:TASK`, perhaps with options behind a question mark, `learned:FOLDER`, or a text for
            `roboscale.worlds.open_world`.
        start_s: seconds that a guest may take to open it. answer_s: seconds that it may take for a reset or a step.
        perturbed: with the variations of `roboscale.worlds.perturbed` that it can do.
        paraphrases: file of other wordings for these.

    Raises:
        InfrastructureError: a guest cannot open it; else as `roboscale.worlds.open_world`.
    """
    if perturbed:
        from roboscale.worlds.perturbed import PerturbedWorld

        return PerturbedWorld(open_any_world(text, start_s=start_s, answer_s=answer_s), paraphrases)
    if text.startswith(LEARNED):
        return open_learned(text)
    from roboscale.worlds import WORLDS, open_world

    name, _, rest = text.partition(":")
    guest = guest_called(name) if text not in WORLDS and not is_file(text) else None
    if guest is None or not guest.worlds:
        return open_world(text)
    from roboscale.guests import open_guest_world

    task, _, query = rest.partition("?")
    if not task:
        raise UnknownName("world", text, [f"{name}:{task}" for task in guest.tasks or ("TASK",)])
    options = dict(parse_qsl(query, keep_blank_values=True))
    return open_guest_world(guest, task, options, start_s=start_s, answer_s=answer_s * _SHARE)


def is_file(text: str) -> bool:
    """Whether a text is a file's: a declaration, or `file.py:Name`; then no guest is looked for."""
    return Path(text.partition(":")[0]).suffix in (".py", ".toml")
