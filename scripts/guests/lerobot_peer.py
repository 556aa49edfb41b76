"""What LeRobot's own evaluation measures: runs in the guest's environment, and knows nothing of roboscale.

python lerobot_peer.py make FOLDER            a checkpoint of ACT for Push-T, with random weights, seeded
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


def make(folder: str) -> None:
    torch.manual_seed(3)
    takes = {
        "observation.image": PolicyFeature(FeatureType.VISUAL, (3, SIDE, SIDE)),
        "observation.state": PolicyFeature(FeatureType.STATE, (2,)),
    }
    config = ACTConfig(
        input_features=takes,
        output_features={"action": PolicyFeature(FeatureType.ACTION, (2,))},
        device="cpu",
        chunk_size=16,
        n_action_steps=8,
        dim_model=64,
        n_heads=2,
        dim_feedforward=64,
        n_encoder_layers=1,
        use_vae=False,
        pretrained_backbone_weights=None,
    )
    # a small spread about the middle of the table: random weights then push the block about instead of leaving it
    numbers = {"mean": np.full(2, 256, np.float32), "std": np.full(2, 120, np.float32)}
    half = np.full((3, 1, 1), 0.5, np.float32)
    statistics = {"observation.state": numbers, "action": numbers, "observation.image": {"mean": half, "std": half}}
    ACTPolicy(config).save_pretrained(folder)
    for processor in make_pre_post_processors(config, dataset_stats=statistics):
        processor.save_pretrained(folder)


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
        make(sys.argv[2])
    elif sys.argv[1] == "eval":
        print(json.dumps(evaluate(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))[0]))
    else:
        rewards, seconds = evaluate(sys.argv[2], *map(int, sys.argv[3:6]))
        print(json.dumps({"eval_s": seconds, "rewards": rewards}))
