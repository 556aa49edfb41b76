"""Who was tried, by content: a digest of everything that can change a result, and a name for people beside it.

A name is a label: two checkpoints can share one, and one checkpoint can have two. Results are filed under digests.
What cannot be digested (a server that does not say what it serves) is *unverified* and says why wherever its number
is shown; its identity is bound to one run, so that its results are never taken for those of anything else.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

__all__ = ["Identity", "combine", "identity_labels"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Equal when the digests are equal, whatever the names.

    Args:
        name: what people call it; no part of equality.
        digest: 32 hex digits over the content.
        unverified: why it is not known by its content alone; empty when it is.
    """

    name: str = field(compare=False)
    digest: str
    unverified: tuple[str, ...] = field(default=(), compare=False)

    @property
    def verified(self) -> bool:
        """Whether the digest covers everything that can change a result."""
        return not self.unverified

    @property
    def short(self) -> str:
        """8 hex digits, enough for people to tell two apart."""
        return self.digest[:8]

    def renamed(self, name: str) -> Identity:
        """The same content under another name."""
        return Identity(name, self.digest, self.unverified)

    def of_run(self, run: str) -> Identity:
        """Itself when verified; otherwise an identity that only this run has."""
        if self.verified:
            return self
        return Identity(self.name, combine(self.name, self.digest, run).digest, self.unverified)

    def __str__(self) -> str:
        return self.name if self.verified else f"{self.name} (unverified: {'; '.join(self.unverified)})"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "unverified": list(self.unverified)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Identity:
        return cls(data["name"], data["digest"], tuple(data.get("unverified", ())))


def combine(name: str, *parts: object) -> Identity:
    """One identity from parts: identities, numbers, text, bytes, arrays, and mappings and sequences of these.

    Every part is hashed with its type, so that 1, 1.0, True and "1" differ; the order of a mapping does not matter.

    Raises:
        TypeError: a part of any other type.
    """
    unverified: dict[str, None] = {}
    digest = _digest(parts, unverified)
    return Identity(name, digest.hex(), tuple(unverified))


def _digest(part: object, unverified: dict[str, None]) -> bytes:
    def tagged(tag: str, *pieces: bytes) -> bytes:
        inner = hashlib.blake2b(tag.encode() + b"\0", digest_size=16)
        for piece in pieces:
            inner.update(len(piece).to_bytes(8, "big") + piece)
        return inner.digest()

    match part:
        case Identity():
            unverified |= dict.fromkeys(part.unverified)
            return tagged("identity", part.digest.encode())
        case None | bool() | int() | float() | str():
            return tagged(type(part).__name__, repr(part).encode())
        case bytes():
            return tagged("bytes", part)
        case np.ndarray():
            return tagged(
                "array", part.dtype.str.encode(), repr(part.shape).encode(), np.ascontiguousarray(part).tobytes()
            )
        case np.generic():
            return tagged("scalar", part.dtype.str.encode(), part.tobytes())
        case Mapping():
            pairs = sorted((_digest(k, unverified), _digest(v, unverified)) for k, v in part.items())
            return tagged("mapping", *(piece for pair in pairs for piece in pair))
        case Sequence():
            return tagged("sequence", *(_digest(p, unverified) for p in part))
    raise TypeError(f"an identity cannot be made of {type(part).__name__}")


def identity_labels(identities: Iterable[Identity]) -> dict[Identity, str]:
    """Names for people; identities that share a name get eight digits of their digest behind it."""
    unique = dict.fromkeys(identities)
    count = Counter(i.name for i in unique)
    return {i: i.name if count[i.name] == 1 else f"{i.name}@{i.short}" for i in unique}
