"""Looks whether LeRobot works in this environment: imports, a network made and asked, its own processors."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np

from roboscale.guests.side.lerobot_policy import LeRobotPolicy, mend_torchvision

__all__ = ["LeRobotCheck", "diffusion_differences", "write_small_act", "write_small_diffusion"]

CHUNKS = 20  # of Diffusion, compared with what LeRobot itself answers


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
    ACTPolicy(config).save_pretrained(folder)
    for processor in make_pre_post_processors(config, dataset_stats=_statistics()):
        processor.save_pretrained(folder)


def write_small_diffusion(folder: str, state: int = 3) -> None:
    """A checkpoint of Diffusion with random weights, for a picture of 96 px, some numbers of state and 2 of action."""
    import torch

    mend_torchvision()
    from lerobot.configs.types import FeatureType, PolicyFeature
    from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
    from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy
    from lerobot.policies.factory import make_pre_post_processors

    torch.manual_seed(0)
    config = DiffusionConfig(
        input_features={
            "observation.state": PolicyFeature(FeatureType.STATE, (state,)),
            "observation.image": PolicyFeature(
                FeatureType.VISUAL, (3, 96, 96)
            ),  # at 32 px the backbone leaves one cell, and nothing is seen
        },
        output_features={"action": PolicyFeature(FeatureType.ACTION, (2,))},
        device="cpu",
        n_obs_steps=2,
        horizon=16,
        n_action_steps=8,
        crop_shape=None,
        down_dims=(32, 64),
        diffusion_step_embed_dim=32,
        spatial_softmax_num_keypoints=8,
        num_train_timesteps=10,
        num_inference_steps=5,
        pretrained_backbone_weights=None,
    )
    DiffusionPolicy(config).save_pretrained(folder)
    for processor in make_pre_post_processors(config, dataset_stats=_statistics(state)):
        processor.save_pretrained(folder)


def _statistics(state: int = 3) -> dict[str, Any]:
    """Made up, of all that the small checkpoints take and give."""
    sizes: dict[str, Any] = {"observation.state": state, "observation.environment_state": 2, "action": 2}
    sizes["observation.image"] = (3, 1, 1)
    values = {"mean": 0.1, "std": 0.5, "min": -1.0, "max": 1.5}
    return {
        key: {name: np.full(size, value, np.float32) for name, value in values.items()} for key, size in sizes.items()
    }


def diffusion_differences(folder: str) -> float:
    """Largest difference of an action between us and LeRobot's own `select_action`, over `CHUNKS` chunks.

    Both draw the same noise, and are shown the same steps of one episode: LeRobot all of them, one by one, and we the
    last two before each chunk.
    """
    import torch
    from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy
    from lerobot.policies.factory import make_pre_post_processors

    ours = LeRobotPolicy(folder)
    net: Any = DiffusionPolicy.from_pretrained(folder).eval()
    before, after = make_pre_post_processors(net.config, folder)
    rows_of, draw = net.config.n_action_steps, np.random.default_rng(3)
    seen = [
        {
            "observation.state": draw.normal(size=3).astype(np.float32),
            "observation.image": draw.integers(0, 256, (96, 96, 3), np.uint8),
        }
        for _ in range(CHUNKS * rows_of)
    ]
    net.reset()
    torch.manual_seed(11)
    theirs = []
    for one in seen:
        image = torch.from_numpy(one["observation.image"].transpose(2, 0, 1).astype(np.float32) / 255)
        batch = {
            "observation.state": torch.from_numpy(one["observation.state"])[None],
            "observation.image": image[None],
        }
        with torch.inference_mode():
            theirs.append(after(net.select_action(before(batch)))[0].numpy())
    largest = 0.0
    for step in range(0, len(seen), rows_of):
        last = [seen[max(0, step - 1)], seen[step]]
        shown = {key: np.stack([one[key] for one in last]) for key in last[0]}
        asked = {"session": "d", "step": step, "seed": 11, "instruction": "", "observation": shown}
        (rows,) = ours.on_act({"asked": [asked]})
        if isinstance(rows, str):
            raise RuntimeError(f"Diffusion answered {rows!r}")
        largest = max(largest, float(np.abs(rows - np.array(theirs[step : step + rows_of])).max()))
    return largest


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
        with tempfile.TemporaryDirectory() as folder:
            write_small_diffusion(folder)
            largest = diffusion_differences(folder)
            if not largest <= 1e-5:
                raise RuntimeError(f"Diffusion: actions differ by up to {largest:.2g} from LeRobot's own")
            said.append(
                f"Diffusion answers as LeRobot does on equal noise: {CHUNKS} chunks, at most {largest:.1g} apart"
            )
        return said
