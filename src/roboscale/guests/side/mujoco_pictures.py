"""Pictures of a MuJoCo model, by MuJoCo's own renderer: no shadows, no reflections, no multisampling.

On a machine without a GPU that is ten to thirty times faster than the standard quality.
"""

from __future__ import annotations

from typing import Any

__all__ = ["MujocoPictures"]


class MujocoPictures:
    """Renderers, one for each size, of one model.

    Args:
        hidden: groups of geoms that are not drawn.
    """

    def __init__(self, hidden: tuple[int, ...] = ()) -> None:
        self._hidden, self._renderers, self._model = hidden, {}, None  # type: ignore[var-annotated]

    def draw(self, model: Any, data: Any, camera: str, width: int, height: int) -> Any:
        """One picture (height, width, 3) uint8 of a camera."""
        import mujoco

        if model is not self._model:
            self.close()
            model.vis.quality.offsamples = 0  # read when a context is made
            model.vis.quality.shadowsize = 0
            model.mat_reflectance[:] = 0
            model.vis.global_.offwidth = max(model.vis.global_.offwidth, 1280)
            model.vis.global_.offheight = max(model.vis.global_.offheight, 1280)
            self._model = model
        if (width, height) not in self._renderers:
            self._renderers[width, height] = self._made(mujoco, model, width, height)
        renderer, option = self._renderers[width, height]
        renderer.update_scene(data, camera=camera, scene_option=option)
        return renderer.render()

    def _made(self, mujoco: Any, model: Any, width: int, height: int) -> tuple[Any, Any]:
        renderer = mujoco.Renderer(model, height, width)
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        option = mujoco.MjvOption()
        for group in self._hidden:
            option.geomgroup[group] = 0
        option.sitegroup[:] = 0
        return renderer, option

    def close(self) -> None:
        """Gives the contexts back."""
        for renderer, _ in self._renderers.values():
            renderer.close()
        self._renderers.clear()
