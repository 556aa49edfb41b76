"""Seeds that depend on what they are for, so that two uses never share a stream by accident."""

from __future__ import annotations

import hashlib
import json

import numpy as np

__all__ = ["derive_id", "derive_seed", "generator"]


def derive_id(*parts: str | int) -> str:
    """32 hex digits from anything that names a thing, where a re-run must find it again."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def derive_seed(*parts: str | int) -> int:
    """A seed in 0 .. 2**31 - 1 from anything that names a use; stable across machines and Python versions."""
    digest = hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % 2**31


def generator(*parts: str | int) -> np.random.Generator:
    """A random generator of its own for the named use."""
    return np.random.default_rng(derive_seed(*parts))
