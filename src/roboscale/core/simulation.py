"""What a scene that runs on a MuJoCo model lets others change: the model, its views, what is drawn beside it.

Nothing here imports MuJoCo. Whoever changes something puts it back before the scene is closed, since worlds use their
models again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

__all__ = ["HasModel", "HasSimulation", "Simulation", "View"]

View = str | dict[str, Any]
"""A camera of the model by name, or a free camera: lookat (3,) m, distance m, azimuth and elevation in degrees."""


def _nothing() -> None:
    """What a world does that has nothing to do."""


@dataclass(slots=True, kw_only=True, eq=False)
class Simulation:
    """A scene's model and data, and how its world is told that they were changed.

    Args:
        model, data: `mujoco.MjModel` and `mujoco.MjData`, changed in place.
        views: what pictures are taken from; entries may be replaced, then `show_views` is called.
        extras: what is drawn beside the model, in pictures alone: arguments of `mujoco.mjv_initGeom` (type,
            size (3,) m, pos (3,) m, mat (9,), rgba (4,)).
        show_views: the views are other ones now.
        redraw: the model's textures are other ones now: renderers have to send them again.
        refresh: positions are other ones now: what was observed before is not true any more.
        raise_table: lifts the table by so many metres with all that stands on it and returns what undoes that;
            `None` where the world does not know its table.
    """

    model: Any
    data: Any
    views: dict[str, View] = field(default_factory=dict)
    extras: list[dict[str, Any]] = field(default_factory=list)
    show_views: Callable[[], None] = _nothing
    redraw: Callable[[], None] = _nothing
    refresh: Callable[[], None] = _nothing
    raise_table: Callable[[float], Callable[[], None]] | None = None


@runtime_checkable
class HasModel(Protocol):
    """A world whose scenes have a `simulation`."""

    def changeable(self) -> Mapping[str, str]:
        """Axis of `roboscale.worlds.perturbed` that changes a model -> why that cannot be; empty where it can."""


@runtime_checkable
class HasSimulation(Protocol):
    """A scene that runs on a MuJoCo model."""

    def simulation(self) -> Simulation:
        """The model as it is now; asked once, before the first step."""
