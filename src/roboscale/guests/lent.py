"""A world of ours that runs in another environment than who asks: roboscale itself as the guest.

What stands in LeRobot's environment needs no simulator of ours; the process that simulates is one of an interpreter in
which roboscale and what its world needs are installed. Does not know gymnasium, nor LeRobot.
"""

from __future__ import annotations

from pathlib import Path

from roboscale.guests.definition import Guest
from roboscale.guests.world import GuestWorld

__all__ = ["open_lent_world"]

_LENDER = "roboscale.jobs.lending:LentWorld"


class _Ourselves(Guest):
    """Has no lock: the world says its own identity."""

    @property
    def packages(self) -> tuple[str, ...]:
        return ()


def open_lent_world(python: Path, world: str, *, start_s: float = 300.0, answer_s: float = 300.0) -> GuestWorld:
    """Starts a process of another interpreter, and opens a world of ours in it.

    Args:
        python: an interpreter in whose environment roboscale is installed.
        world: as for `--world`: a name, `GUEST:TASK`, a declaration or a class.
        start_s: seconds that opening may take. answer_s: seconds that a reset, a step or a look may take.

    Raises:
        InfrastructureError: it does not start, or the world cannot be opened; with its last lines.
        RoboscaleError: the world is none.
    """
    guest = _Ourselves(
        name="roboscale",
        folder=Path(__file__).parent,
        about="roboscale in another environment",
        licence="Apache-2.0",
        python=(),
        disk_gb=0.0,
        worlds=_LENDER,
    )
    return GuestWorld(guest, world, {}, start_s=start_s, answer_s=answer_s, python=python)
