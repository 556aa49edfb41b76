"""Secrets of an arena: made here, told once, kept as hashes only. And how often somebody may ask."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable

from roboscale.core import RoboscaleError

__all__ = ["RateLimit", "Refused", "hashed", "new_secret", "same_secret"]


class Refused(RoboscaleError):
    """What was asked is not allowed to who asked it.

    Args:
        status: of HTTP: 401 nobody known asked, 403 not theirs, 404 there is none, 409 it does not fit now, 413 too
            large, 429 too often.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def new_secret() -> str:
    """43 characters of 256 random bits."""
    return secrets.token_urlsafe(32)


def hashed(secret: str) -> str:
    """64 hex digits. A secret of 256 random bits needs no slow hash: nobody can try them."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def same_secret(secret: str, kept: str) -> bool:
    """Whether a secret is the one whose hash was kept; takes as long either way."""
    return hmac.compare_digest(hashed(secret), kept)


class RateLimit:
    """How many requests each asker may make: `burst` at once, `per_s` on end. From any thread.

    >>> limit = RateLimit(per_s=1.0, burst=2, now=lambda: 0.0)
    >>> [limit.allows("ada") for _ in range(3)]
    [True, True, False]
    """

    def __init__(self, per_s: float, burst: int, now: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._burst, self._now = per_s, float(burst), now
        self._left: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def allows(self, who: str) -> bool:
        """Whether one more is allowed; it is then counted."""
        now = self._now()
        with self._lock:
            if len(self._left) > 10_000:  # strangers' addresses: those that are full again say nothing
                full = [k for k, (n, at) in self._left.items() if n + (now - at) * self._per_s >= self._burst]
                for key in full:
                    del self._left[key]
            left, at = self._left.get(who, (self._burst, now))
            left = min(self._burst, left + (now - at) * self._per_s)
            self._left[who] = (max(0.0, left - 1), now) if left >= 1 else (left, now)
            return left >= 1
