"""Where a network computes: the processor, or a GPU where there is one."""

from __future__ import annotations

import torch

from roboscale.core import RoboscaleError, UnknownName

__all__ = ["DEVICES", "device_called", "device_of"]

DEVICES = ("auto", "cpu", "cuda", "mps")


def device_of(name: str) -> torch.device:
    """`auto` takes CUDA, then MPS, then the processor.

    Raises:
        UnknownName: another name.
        RoboscaleError: this build of torch sees no such device here.
    """
    if name not in DEVICES:
        raise UnknownName("device", name, DEVICES)
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, usable in there.items() if usable))
    if not there[name]:
        raise RoboscaleError(
            f"--device {name}: torch {torch.__version__} sees none here; --device auto takes what there is"
        )
    return torch.device(name)


def device_called(device: torch.device) -> str:
    """As records name it, e.g. `cpu` or `cuda (NVIDIA H100)`."""
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type
