"""Which versions took part; recorded with every run."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from roboscale import __version__

__all__ = ["versions"]

_PACKAGES = ("numpy", "torch", "mujoco", "metaworld", "gymnasium", "pyarrow", "av", "scipy")


def versions() -> dict[str, str]:
    """Name -> version of Python, roboscale and what decides results; packages that are not there are left out."""
    installed = {"python": platform.python_version(), "roboscale": __version__}
    for name in _PACKAGES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue  # an extra that is not installed took no part
    return installed
