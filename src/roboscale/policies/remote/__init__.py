"""Policies on the other side of a socket: openpi's protocol in both directions, and profiles of silent servers.

Knows policies and bytes. Does not know worlds, trials or checkpoints.
"""

from roboscale.policies.remote.client import RemotePolicy
from roboscale.policies.remote.connection import Timeouts
from roboscale.policies.remote.profile import PolicyProfile, read_profiles
from roboscale.policies.remote.serve import serve_policy, serving_notes

__all__ = ["PolicyProfile", "RemotePolicy", "Timeouts", "read_profiles", "serve_policy", "serving_notes"]
