"""A robot: what drives hardware. `worlds/real` makes a `World` of one, its cameras and its guard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from roboscale.core.policy import Observation
from roboscale.core.spec import Spec

__all__ = ["Robot"]


class Robot(Protocol):
    """Guests, plugins and users' classes bring one; a stand-in in tests is one without hardware.

    Attributes:
        name: what people call it.
        version: of declaration and driver; part of its identity.
        tasks: task -> what is asked of a policy, a sentence.
        observation_spec, action_spec: what `read` gives and `send` takes; their rate is the control rate (Hz).
        horizon: control steps after which an episode is cut.
        hold: the action that keeps still, (D,).
    """

    name: str
    version: str
    tasks: Mapping[str, str]
    observation_spec: Spec
    action_spec: Spec
    horizon: int
    hold: tuple[float, ...]

    def connect(self) -> None:
        """Called once, before the first read. InfrastructureError when it cannot be reached."""

    def read(self) -> Observation:
        """Every field of the observation spec, now."""

    def send(self, action: NDArray[Any]) -> NDArray[Any]:
        """Sends one action (D,), finite and within its bounds; returns what was really sent, (D,)."""

    def stop(self) -> None:
        """Holds still; called after every episode, whatever happened, and before the connection ends."""

    def disconnect(self) -> None:
        """Ends the connection. Called once."""
