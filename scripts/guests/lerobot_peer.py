"""What LeRobot's own evaluation measures: runs in the guest's environment, and knows nothing of roboscale.

python lerobot_peer.py make FOLDER            a checkpoint of ACT for Push-T, with random weights, seeded
python lerobot_peer.py make FOLDER spiral     the same, trained for a minute to herd the block to the middle
python lerobot_peer.py make FOLDER so101      the same for a guest's world: SO-101, from a picture and 20 numbers
python lerobot_peer.py eval FOLDER FIRST N    maximal reward of each of N seeds, at batch 1, as JSON on stdout
python lerobot_peer.py time FOLDER FIRST N B  wall seconds of N episodes at batch size B, and the rewards
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

import numpy as np
import torch

try:
    import torchvision  # noqa: F401
except RuntimeError:  # built for another torch: the two operators that its import asks for are declared
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from lerobot.configs.policies import PreTrainedConfig
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.envs.configs import PushtEnv
from lerobot.envs.factory import make_env, make_env_pre_post_processors
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.factory import get_policy_class, make_pre_post_processors
from lerobot.scripts.lerobot_eval import eval_policy

SIDE = 96  # pixels
MIDDLE, SPREAD = 256, 120  # of the table of Push-T
SPIRAL = 100  # rows of a spiral: three turns about the middle of the table, each nearer to it


SO101 = {
    "observation.images.front": PolicyFeature(FeatureType.VISUAL, (3, 128, 128)),
    "observation.state": PolicyFeature(FeatureType.STATE, (14,)),
    "observation.environment_state": PolicyFeature(FeatureType.ENV, (6,)),
}
PUSHT = {
    "observation.image": PolicyFeature(FeatureType.VISUAL, (3, SIDE, SIDE)),
    "observation.state": PolicyFeature(FeatureType.STATE, (2,)),
}


def make(folder: str, world: str = "pusht") -> None:
    torch.manual_seed(3)
    takes, actions = (SO101, 4) if world == "so101" else (PUSHT, 2)
    rows = (SPIRAL, SPIRAL) if world == "spiral" else (16, 8)
    config = ACTConfig(
        input_features=takes,
        output_features={"action": PolicyFeature(FeatureType.ACTION, (actions,))},
        device="cpu",
        chunk_size=rows[0],
        n_action_steps=rows[1],
        dim_model=64,
        n_heads=4 if world == "spiral" else 2,
        dim_feedforward=128 if world == "spiral" else 64,
        dropout=0.0 if world == "spiral" else 0.1,
        n_encoder_layers=1,
        use_vae=False,
        pretrained_backbone_weights=None,
    )
    # a small spread about the middle of the table: random weights then push the block about instead of leaving it
    middle, spread = (0.3, 0.2) if world == "so101" else (MIDDLE, SPREAD)
    half = np.full((3, 1, 1), 0.5, np.float32)
    sizes = {key: feature.shape[0] for key, feature in takes.items() if len(feature.shape) == 1}
    statistics = {
        key: {"mean": np.full(size, middle, np.float32), "std": np.full(size, spread, np.float32)}
        for key, size in {**sizes, "action": actions}.items()
    } | {key: {"mean": half, "std": half} for key, feature in takes.items() if len(feature.shape) == 3}
    policy = ACTPolicy(config)
    if world == "spiral":
        learn_spiral(policy)
    policy.save_pretrained(folder)
    for processor in make_pre_post_processors(config, dataset_stats=statistics):
        processor.save_pretrained(folder)


def learn_spiral(policy: ACTPolicy) -> None:
    """Trains all but the picture's random layers, by ACT's own loss, on one demonstration: a spiral, whatever is seen.

    The block is herded to the middle, where it covers part of the goal. It is no good policy, and one that is neither
    always right nor always wrong.
    """
    torch.set_num_threads(1)
    share = torch.linspace(0, 1, SPIRAL)
    radius, angle = 220 - 160 * share, 6 * torch.pi * share
    shown = radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1) / SPREAD
    batch = looks(range(8)) | {
        "action": shown.repeat(8, 1, 1),
        "action_is_pad": torch.zeros(8, SPIRAL, dtype=torch.bool),
    }
    policy.model.backbone.requires_grad_(False)
    optimizer = torch.optim.Adam([one for one in policy.parameters() if one.requires_grad], 2e-3)
    policy.train()
    for _ in range(600):
        chosen = torch.randint(8, (2,))
        loss, _ = policy.forward({name: values[chosen] for name, values in batch.items()})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def looks(seeds: range) -> dict[str, torch.Tensor]:
    """What Push-T shows first of some seeds, as the checkpoint's own normalisation hands it on."""
    import gym_pusht  # noqa: F401 - registers it
    import gymnasium

    table = gymnasium.make(
        "gym_pusht/PushT-v0", obs_type="pixels_agent_pos", observation_width=SIDE, observation_height=SIDE
    )
    seen = [table.reset(seed=seed)[0] for seed in seeds]
    pictures = torch.from_numpy(np.stack([one["pixels"] for one in seen])).permute(0, 3, 1, 2) / 127.5 - 1
    places = torch.from_numpy(np.stack([one["agent_pos"] for one in seen]).astype(np.float32))
    return {"observation.image": pictures, "observation.state": (places - MIDDLE) / SPREAD}


def evaluate(folder: str, first: int, count: int, batch: int = 1) -> tuple[list[float], float]:
    torch.set_num_threads(1)
    config: Any = PreTrainedConfig.from_pretrained(folder)
    config.device = "cpu"
    policy = get_policy_class(config.type).from_pretrained(folder, config=config).eval()
    before, after = make_pre_post_processors(config, folder)
    world = PushtEnv(observation_height=SIDE, observation_width=SIDE)
    environments = make_env(world, n_envs=batch)
    (environment,) = next(iter(environments.values())).values()
    around = make_env_pre_post_processors(env_cfg=world, policy_cfg=config)
    with torch.inference_mode():
        begun = time.perf_counter()
        info = eval_policy(environment, policy, *around, before, after, n_episodes=count, start_seed=first)
    return [float(one["max_reward"]) for one in info["per_episode"]], time.perf_counter() - begun


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(*sys.argv[2:4])
    elif sys.argv[1] == "eval":
        print(json.dumps(evaluate(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))[0]))
    else:
        rewards, seconds = evaluate(sys.argv[2], *map(int, sys.argv[3:6]))
        print(json.dumps({"eval_s": seconds, "rewards": rewards}))
