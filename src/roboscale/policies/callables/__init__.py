"""Whatever a user has that can act becomes a policy: a function, a class, an object, a model, a policy of their own.

Knows Python objects. Does not know robots, worlds or checkpoints.
"""

from roboscale.policies.callables.loading import load_callable
from roboscale.policies.callables.making import as_policy

__all__ = ["as_policy", "load_callable"]
