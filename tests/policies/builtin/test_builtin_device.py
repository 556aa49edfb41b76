"""The same code computes on a GPU: what it is given is moved there, and who computed is said."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from roboscale.core import RoboscaleError, UnknownName
from roboscale.policies.builtin import device as devices
from roboscale.policies.builtin.config import TrainConfig
from roboscale.policies.builtin.data import TrainingData, draw_batch
from roboscale.policies.builtin.device import device_called, device_of
from roboscale.policies.builtin.model import ChunkNet, Sizes
from roboscale.policies.builtin.train import _Run


def test_auto_takes_what_there_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(devices.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(devices.torch.backends.mps, "is_available", lambda: False)
    assert device_of("auto").type == "cpu" == device_called(device_of("cpu"))
    with pytest.raises(RoboscaleError, match="--device cuda: torch .* sees none here"):
        device_of("cuda")
    monkeypatch.setattr(devices.torch.backends.mps, "is_available", lambda: True)
    assert device_of("auto").type == "mps"
    monkeypatch.setattr(devices.torch.cuda, "is_available", lambda: True)
    assert device_of("auto").type == device_of("cuda").type == "cuda"
    with pytest.raises(UnknownName, match="cuda"):
        device_of("gpu")


class _OneDevice(TorchDispatchMode):
    """Refuses what a GPU refuses: one operation on tensors of two devices.

    The device `meta` alone is more lenient: it multiplies its matrices by those of the processor.
    """

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        moves = {"aten::_to_copy", "aten::copy_", "aten::index.Tensor"}  # an index may lie anywhere
        tensors = [t for t in tree_leaves((args, kwargs or {})) if isinstance(t, torch.Tensor) and t.ndim]
        devices = {str(t.device) for t in tensors}
        if len(devices) > 1 and func.name() not in moves:
            raise RuntimeError(f"{func}: expected all tensors on one device, found {sorted(devices)}")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("head", ["flow", "regression"])
def test_a_network_makes_nothing_on_another_device(head: str):
    net = ChunkNet(TrainConfig(head=head), Sizes(cameras=((32, 32),), state=4, action=2, auxiliary=0)).to("meta")
    there = {"device": "meta"}
    pixels = torch.zeros((3, 3, 32, 32), dtype=torch.uint8, **there)
    sentence = torch.zeros((3, _sentence_size()), **there)
    with _OneDevice():
        features = net.features([pixels], torch.zeros((3, 4), **there), sentence)
        chunk, valid = torch.zeros((3, 16, 2), **there), torch.ones((3, 16), dtype=torch.bool, **there)
        net.head.loss(features, chunk, valid, torch.Generator().manual_seed(0)).backward()
        assert net.head.sample(features, chunk).device.type == "meta"


@pytest.mark.parametrize("inputs", ["images", "state"])
def test_training_computes_where_it_is_told(
    inputs: str, toy: TrainingData, small: TrainConfig, small_images: TrainConfig
):
    """Pictures, states, targets, noise and validity all go where the network is."""
    config = small if inputs == "state" else small_images
    run = _Run(toy, config, torch.device("meta"))
    batch = draw_batch(toy, config, 0)
    with _OneDevice():
        loss = run._loss(batch, 0, torch.Generator().manual_seed(0))
        loss.backward()  # type: ignore[no-untyped-call]
    assert loss.device.type == "meta" and (run.net.auxiliary is not None) == (inputs == "images")


def _sentence_size() -> int:
    from roboscale.policies.builtin.sentences import embed_sentence

    return len(embed_sentence("reach"))
