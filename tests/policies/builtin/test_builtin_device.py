"""The same code computes on a GPU: what it is given is moved there, and who computed is said."""

from __future__ import annotations

import pytest
import torch

from roboscale.core import RoboscaleError, UnknownName
from roboscale.policies.builtin import device as devices
from roboscale.policies.builtin.config import TrainConfig
from roboscale.policies.builtin.device import device_called, device_of
from roboscale.policies.builtin.model import ChunkNet, Sizes


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


@pytest.mark.parametrize("head", ["flow", "regression"])
def test_a_network_makes_nothing_on_another_device(head: str):
    """The device `meta` refuses tensors of the processor, as a GPU does."""
    net = ChunkNet(TrainConfig(head=head), Sizes(cameras=((32, 32),), state=4, action=2, auxiliary=0)).to("meta")
    there = {"device": "meta"}
    pixels = torch.zeros((3, 3, 32, 32), dtype=torch.uint8, **there)
    sentence = torch.zeros((3, _sentence_size()), **there)
    features = net.features([pixels], torch.zeros((3, 4), **there), sentence)
    chunk, valid = torch.zeros((3, 16, 2), **there), torch.ones((3, 16), dtype=torch.bool, **there)
    net.head.loss(features, chunk, valid, torch.Generator().manual_seed(0)).backward()
    assert net.head.sample(features, chunk).device.type == "meta"


def _sentence_size() -> int:
    from roboscale.policies.builtin.sentences import embed_sentence

    return len(embed_sentence("reach"))
