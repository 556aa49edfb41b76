"""MuJoCo and its renderer on a machine without a screen, with the defaults that measurement chose.

Shadows and multisampling cost ten times what the picture costs on a software renderer, reflections re-render the
scene, and one renderer thread per process leaves the other cores to other worlds (`docs/lab-notes.md` has the table).
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import InfrastructureError
from roboscale.core.simulation import View

__all__ = ["SceneRenderer", "import_mujoco", "prepare_rendering"]


def prepare_rendering() -> None:
    """Sets MuJoCo, where it is imported next, to render through EGL unless the user chose otherwise.

    MuJoCo reads `MUJOCO_GL` once, at import, and Mesa reads `LP_NUM_THREADS` when it makes a context.
    """
    os.environ.setdefault("MUJOCO_GL", "egl")
    os.environ.setdefault("LP_NUM_THREADS", "0")


def import_mujoco() -> ModuleType:
    """The `mujoco` module, set to render without a screen.

    Whoever imported MuJoCo before anybody chose (a policy, a notebook) has got windows, which abort a process without
    a screen: the choice is made again. What MuJoCo took is looked at, and not who set the variable: another world may
    have set it meanwhile.
    """
    prepare_rendering()
    import mujoco
    from mujoco import gl_context

    took = getattr(getattr(gl_context, "GLContext", None), "__module__", "")
    if took == "mujoco.glfw" and os.environ["MUJOCO_GL"].lower().strip() in ("egl", "osmesa"):
        mujoco.GLContext = importlib.reload(gl_context).GLContext
    return mujoco  # type: ignore[no-any-return]


class SceneRenderer:
    """Renders cameras of one model at one size.

    Args:
        model: an `mujoco.MjModel`.
        quality: `fast` for what policies see, `good` (multisampling) for what people see.

    Raises:
        InfrastructureError: there is no EGL or OSMesa to render with.
    """

    def __init__(self, model: Any, width: int, height: int, quality: str = "fast") -> None:
        self._mujoco = mujoco = import_mujoco()
        model.vis.quality.offsamples = 4 if quality == "good" else 0  # read when the context is made
        model.vis.global_.offwidth = max(model.vis.global_.offwidth, width)
        model.vis.global_.offheight = max(model.vis.global_.offheight, height)
        model.mat_reflectance[:] = 0
        try:
            self._renderer = mujoco.Renderer(model, height, width)
        except Exception as error:  # mujoco raises whatever the GL backend raises
            raise InfrastructureError(f"no renderer (MUJOCO_GL={os.environ['MUJOCO_GL']}): {error}") from error
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0

    def render(self, data: Any, camera: View, extras: Sequence[Mapping[str, Any]] = ()) -> NDArray[np.uint8]:
        """(height, width, 3) RGB of the scene in `data`, with `extras` drawn into it; see `core.simulation`."""
        self._renderer.update_scene(data, camera if isinstance(camera, str) else self._free(camera))
        scene = self._renderer.scene
        for extra in extras:
            self._mujoco.mjv_initGeom(scene.geoms[scene.ngeom], **extra)
            scene.ngeom += 1
        return np.asarray(self._renderer.render(), np.uint8).copy()

    def _free(self, camera: dict[str, Any]) -> Any:
        view = self._mujoco.MjvCamera()
        view.lookat[:] = camera["lookat"]
        view.distance, view.azimuth, view.elevation = camera["distance"], camera["azimuth"], camera["elevation"]
        return view

    def close(self) -> None:
        self._renderer.close()
