"""Changes of a MuJoCo model that are taken back to the last bit when the scene is closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Changes"]

_LARGE = ("tex_", "mesh_", "hfield_", "skin_", "bvh_", "names", "paths")
"""Arrays that no constant of the physics depends on; they are kept one by one, by whoever changes them."""


class Changes:
    """What was changed in one scene, in order, and how each is undone."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []
        self._kept: set[tuple[int, tuple[int, ...]]] = set()

    def keep(self, array: NDArray[Any]) -> NDArray[Any]:
        """The same array, a view of the model's memory, which may now be written into."""
        place = (array.__array_interface__["data"][0], array.shape)
        if place not in self._kept:
            self._kept.add(place)
            before = array.copy()

            def undo() -> None:
                array[:] = before

            self._undo.append(undo)
        return array

    def keep_constants(self, model: Any) -> None:
        """Keeps every array that MuJoCo computes from masses and positions, and its statistics."""
        for name in dir(model):
            if name.startswith(("_", *_LARGE)):
                continue
            array = getattr(model, name)
            if isinstance(array, np.ndarray) and array.size and array.flags.writeable:
                self.keep(array)
        stat = model.stat
        for name in ("meaninertia", "meanmass", "meansize", "extent"):
            self.keep_attribute(stat, name)
        self.keep(stat.center)

    def keep_attribute(self, thing: Any, name: str) -> None:
        """Keeps one number of a structure."""
        before = getattr(thing, name)
        self._undo.append(lambda: setattr(thing, name, before))

    def then(self, undo: Callable[[], None]) -> None:
        """Something else that has to be undone."""
        self._undo.append(undo)

    def at_last(self, undo: Callable[[], None]) -> None:
        """Something that has to be done when all else is undone."""
        self._undo.insert(0, undo)

    def undo(self) -> None:
        """Takes everything back, the last change first; again does nothing."""
        while self._undo:
            self._undo.pop()()
        self._kept.clear()
