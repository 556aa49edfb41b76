"""The built-in policy family: action chunks from cameras, proprioception and a sentence, trained on a CPU in minutes.

`train.train` learns from demonstrations and `checkpoint.load_policy` reads what it wrote; both need torch.
"""

from roboscale.policies.builtin.config import TrainConfig

__all__ = ["TrainConfig"]
