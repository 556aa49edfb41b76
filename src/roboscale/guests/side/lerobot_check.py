"""Looks whether LeRobot works in this environment: imports, a network made and asked, its own processors."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np

from roboscale.guests.side.lerobot_policy import LeRobotPolicy, mend_torchvision

__all__ = ["LeRobotCheck", "write_small_act"]


def write_small_act(folder: str) -> None:
    """A checkpoint of ACT with random weights, for 3 numbers of state and 2 of action; seeded."""
    import torch

    mend_torchvision()
    from lerobot.configs.types import FeatureType, PolicyFeature
    from lerobot.policies.act.configuration_act import ACTConfig
    from lerobot.policies.act.modeling_act import ACTPolicy
    from lerobot.policies.factory import make_pre_post_processors

    torch.manual_seed(0)
    takes = {
        "observation.state": PolicyFeature(FeatureType.STATE, (3,)),
        "observation.environment_state": PolicyFeature(FeatureType.ENV, (2,)),
    }
    config = ACTConfig(
        input_features=takes,
        output_features={"action": PolicyFeature(FeatureType.ACTION, (2,))},
        device="cpu",
        chunk_size=8,
        n_action_steps=4,
        dim_model=32,
        n_heads=2,
        dim_feedforward=32,
        n_encoder_layers=1,
        use_vae=False,
        pretrained_backbone_weights=None,
    )
    numbers = {"observation.state": 3, "observation.environment_state": 2, "action": 2}
    statistics: dict[str, Any] = {
        name: {"mean": np.full(size, 0.1, np.float32), "std": np.full(size, 0.5, np.float32)}
        for name, size in numbers.items()
    }
    ACTPolicy(config).save_pretrained(folder)
    for processor in make_pre_post_processors(config, dataset_stats=statistics):
        processor.save_pretrained(folder)


class LeRobotCheck:
    """What works, one text each; the first that does not raises."""

    def describe(self) -> list[str]:
        said = []
        with tempfile.TemporaryDirectory() as folder:
            write_small_act(folder)
            said.append("ACT is made and saved")
            policy = LeRobotPolicy(folder)
            facts = policy.describe()
            said.append(
                f"the checkpoint is read: lerobot {facts['versions']['lerobot']}, torch {facts['versions']['torch']}"
            )
            observation = {"observation.state": np.zeros(3, np.float32), "observation.environment_state": np.ones(2)}
            asked = {"session": "a", "step": 0, "seed": 0, "instruction": "", "observation": observation}
            (rows,) = policy.on_act({"asked": [asked]})
            if isinstance(rows, str) or rows.shape != (4, 2) or not np.isfinite(rows).all():
                raise RuntimeError(f"ACT answered {rows!r}")
            said.append("it answers with rows of actions")
        return said
