"""Where LIBERO finds its files: it asks on standard input at its first import, unless a file says so. A guest has no
standard input, and nobody sits there: the file is written, in a folder of the process.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from pathlib import Path

from roboscale.guests.side.faults import Refusal

__all__ = ["answer_libero"]


def answer_libero(assets: str = "") -> Path:
    """Writes `config.yaml`, and lets `LIBERO_CONFIG_PATH` name its folder, which is returned.

    Args:
        assets: folder with meshes and textures, which the package does not bring; empty for a folder in the package.

    Raises:
        Refusal: LIBERO is not installed, or there is no such folder.
    """
    spec = importlib.util.find_spec("libero")  # finds the outer package, whose import asks nothing
    if spec is None or not spec.submodule_search_locations:
        raise Refusal("LIBERO is not installed: roboscale guest install lerobot06 --add hf-libero==0.1.4")
    root = Path(next(iter(spec.submodule_search_locations)), "libero")
    meshes = Path(assets).expanduser() if assets else root / "assets"
    if not meshes.is_dir():
        raise Refusal(f"{meshes}: no such folder; LIBERO's meshes and textures are not in its package: &assets=FOLDER")
    said = {
        "benchmark_root": root,
        "bddl_files": root / "bddl_files",
        "init_states": root / "init_files",
        "datasets": root.parent / "datasets",
        "assets": meshes,
    }
    folder = Path(tempfile.mkdtemp(prefix="libero-"))
    (folder / "config.yaml").write_text("".join(f"{key}: '{path}'\n" for key, path in said.items()), "utf-8")
    os.environ["LIBERO_CONFIG_PATH"] = str(folder)
    return folder
