"""The training loop: resumable, and the same weights from the same seed.

Knows tensors, batches and checkpoints. Does not know worlds: how good a policy is, is for trials to say.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from roboscale.core import BadData, derive_seed, generator
from roboscale.policies.builtin.checkpoint import (
    Summary,
    finished_summary,
    load_training_state,
    save_policy,
    save_training_state,
)
from roboscale.policies.builtin.config import TrainConfig
from roboscale.policies.builtin.data import Batch, Normaliser, TrainingData, draw_batch, input_names, load_training_data
from roboscale.policies.builtin.model import ChunkNet, Sizes
from roboscale.policies.builtin.policy import BuiltinPolicy
from roboscale.policies.builtin.sentences import embed_sentence
