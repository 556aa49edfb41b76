"""Which extra of roboscale brings a package, for whoever finds it missing. Nothing is imported to say so."""

from __future__ import annotations

import importlib.util

from roboscale.core.errors import RoboscaleError

__all__ = ["EXTRA_OF", "missing_extra", "require_packages"]

EXTRA_OF = {
    "PIL": "data",
    "av": "data",
    "pyarrow": "data",
    "matplotlib": "pages",
    "cryptography": "https",
    "ai_edge_litert": "hands",
    "cv2": "cameras",
    "pycolmap": "mapping",
    "gymnasium": "worlds",
    "metaworld": "sim",
    "mujoco": "sim",
    "safetensors": "train",
    "torch": "train",
    "crc32c": "records",
    "google": "records",
    "h5py": "records",
    "imagecodecs": "records",
    "lz4": "records",
    "mcap": "records",
    "numcodecs": "records",
    "rosbags": "records",
    "ruamel": "records",
    "zstandard": "records",
    "python_calamine": "tables",
    "starlette": "web",
    "uvicorn": "web",
    "aiortc": "webrtc",
    "fsspec": "remote",
    "huggingface_hub": "hub",
    "rerun": "rerun",
    "zmq": "zmq",
    "psycopg": "postgres",
    "ray": "ray",
    "submitit": "slurm",
}
"""Module -> the smallest extra with it."""


def missing_extra(error: ModuleNotFoundError) -> str | None:
    """What to say of an import that failed for want of an extra; `None` where no extra would help.

    >>> missing_extra(ModuleNotFoundError("No module named 'av'", name="av"))
    "this needs av, which is not installed: pip install 'roboscale[data]'"

    """
    package = (error.name or "").partition(".")[0]
    extra = EXTRA_OF.get(package)
    return extra and f"this needs {package}, which is not installed: pip install 'roboscale[{extra}]'"


def require_packages(what: str, *names: str) -> None:
    """RoboscaleError with one command that installs all that is missing, before the work begins.

    >>> require_packages("a page", "matplotlib")
    """
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        extras = ",".join(dict.fromkeys(EXTRA_OF[name] for name in missing))
        raise RoboscaleError(
            f"{what} needs {', '.join(missing)}, which is not installed: pip install 'roboscale[{extras}]'"
        )
