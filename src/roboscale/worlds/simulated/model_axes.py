"""Which axes of `roboscale.worlds.perturbed` a MuJoCo world can do, and gymnasium's renderer for what is seen."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from roboscale.core.simulation import Simulation, View

__all__ = ["MODEL_AXES", "changeable_axes", "draw_extras", "simulation_of", "viewer_of"]

MODEL_AXES = (
    "light",
    "camera",
    "texture",
    "distractors",
    "friction",
    "mass",
    "size",
    "initial_spread",
    "table_height",
)

_NO_TABLE = "which of its bodies is the table is not known"
_VIEW = "render"
_FREE = ("lookat", "distance", "azimuth", "elevation")


def is_model(thing: object) -> bool:
    """Whether something is MuJoCo's model; where nobody imported MuJoCo, it is not."""
    mujoco = sys.modules.get("mujoco")
    return mujoco is not None and isinstance(thing, mujoco.MjModel)


def changeable_axes(env: Any) -> dict[str, str]:
    """Axis -> why a gymnasium environment cannot do it; empty where it can."""
    inner = getattr(env, "unwrapped", env)
    if not is_model(getattr(inner, "model", None)):
        return dict.fromkeys(MODEL_AXES, "its environment shows no MuJoCo model as `unwrapped.model`")
    axes = dict.fromkeys(MODEL_AXES, "")
    axes["table_height"] = _NO_TABLE
    if not hasattr(inner, "mujoco_renderer"):
        for axis in ("texture", "distractors"):
            axes[axis] = "its environment does not draw with gymnasium's `mujoco_renderer`"
    return axes


def simulation_of(env: Any, extras: list[dict[str, Any]], refresh: Callable[[], None]) -> Simulation:
    """A gymnasium environment's model; `extras` are drawn by whoever renders, see `draw_extras`."""
    inner = env.unwrapped
    sim = Simulation(model=inner.model, data=inner.data, extras=extras, refresh=refresh)
    if hasattr(inner, "mujoco_renderer") and getattr(env, "render_mode", None) == "rgb_array":
        sim.redraw = lambda: _send_again(inner)
        camera = viewer_of(inner).cam
        if inner.mujoco_renderer.camera_id in (None, -1):
            sim.views[_VIEW] = _read(camera)
            sim.show_views = lambda: _write(viewer_of(inner).cam, sim.views[_VIEW])
    return sim


def viewer_of(inner: Any) -> Any:
    """The viewer that draws `rgb_array`, made where there is none yet."""
    return inner.mujoco_renderer._get_viewer("rgb_array")


def draw_extras(env: Any, extras: list[dict[str, Any]]) -> None:
    """Hands the viewer what stands about in the next picture; it forgets it with that picture."""
    if extras:
        viewer = viewer_of(env.unwrapped)
        for extra in extras:
            viewer.add_marker(**extra)


def _send_again(inner: Any) -> None:
    """Textures and meshes of the model to the graphics memory."""
    mujoco = sys.modules["mujoco"]
    viewer = viewer_of(inner)
    viewer.make_context_current()
    for texture in range(inner.model.ntex):
        mujoco.mjr_uploadTexture(inner.model, viewer.con, texture)
    for mesh in range(inner.model.nmesh):
        mujoco.mjr_uploadMesh(inner.model, viewer.con, mesh)


def _read(camera: Any) -> View:
    return {name: tuple(camera.lookat) if name == "lookat" else float(getattr(camera, name)) for name in _FREE}


def _write(camera: Any, view: View) -> None:
    assert not isinstance(view, str), "a free camera stays one"
    camera.lookat[:] = view["lookat"]
    for name in _FREE[1:]:
        setattr(camera, name, view[name])
