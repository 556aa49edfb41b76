"""`evaluate` and `compare` under their earlier address; `roboscale` itself exports them and every other job."""

from roboscale.jobs.compare import compare
from roboscale.jobs.eval import evaluate

__all__ = ["compare", "evaluate"]
