"""An identity: a digest of content. Numbers are filed under it; names are for people.

What cannot be known by content says so: an identity is then *unverified*, and names the reasons.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from roboscale.core.canonical import array_token, content_digest, plain_token, token
from roboscale.core.errors import BadData
from roboscale.core.plain import Plain

__all__ = ["Identity", "combine", "identity_labels"]

_DIGITS = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Identity(Plain):
    """What something is, by content.

    Args:
        name: a label for people; two identities with one digest are equal whatever they are called.
        digest: 32 hex digits over everything that can change a result.
        unverified: why the digest may not cover everything; empty when it does.

    Raises:
        ValueError: a digest that is none.
    """

    name: str = field(compare=False)
    digest: str
    unverified: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not _DIGITS.fullmatch(self.digest):
            raise ValueError(f"identity {self.name}: expected a digest of 32 hex digits, found {self.digest!r}")

    @property
    def verified(self) -> bool:
        """Whether the digest covers everything that can change a result."""
        return not self.unverified

    @property
    def short(self) -> str:
        """Eight digits, for people."""
        return self.digest[:8]

    def renamed(self, name: str) -> Identity:
        """The same content under another label."""
        return Identity(name, self.digest, self.unverified)

    def of_run(self, run: str) -> Identity:
        """What results of one run are filed under: self when verified, else something that no other run shares."""
        if self.verified:
            return self
        return Identity(self.name, combine(self.name, self, run).digest, self.unverified)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Identity:
        """The inverse of `to_json`; BadData names the key that is missing or wrong."""
        name, digest, unverified = data.get("name"), data.get("digest"), data.get("unverified", ())
        if not isinstance(name, str):
            raise BadData("identity", "name", "a text", repr(name))
        if not isinstance(digest, str) or not _DIGITS.fullmatch(digest):
            raise BadData("identity", "digest", "32 hex digits", repr(digest))
        if not isinstance(unverified, (list, tuple)) or not all(isinstance(reason, str) for reason in unverified):
            raise BadData("identity", "unverified", "a list of texts", repr(unverified))
        return cls(name, digest, tuple(unverified))

    def __str__(self) -> str:
        return f"{self.name} (unverified: {'; '.join(self.unverified)})" if self.unverified else self.name


def combine(name: str, *parts: object) -> Identity:
    """The identity of what is made of `parts`; unverified when one of them is.

    Args:
        name: the label; no part of the digest.
        parts: identities, None, booleans, numbers, texts, bytes, numpy arrays, and mappings, sequences and sets of
            such. Types count (1, "1", True and 1.0 differ), the order of a mapping does not; lists and tuples are one.

    Raises:
        TypeError: a part of another type; says which and where.
    """
    reasons: dict[str, None] = {}
    tokens = [_token(part, reasons, f"part {number}") for number, part in enumerate(parts)]
    return Identity(name, content_digest([b"combined", *tokens]).hex()[:32], tuple(reasons))


def identity_labels(identities: Iterable[Identity]) -> dict[Identity, str]:
    """Names for people: where different identities have one name, `name@digits`, with as many digits as it takes."""
    groups: dict[str, dict[Identity, None]] = defaultdict(dict)
    named: set[Identity] = set()
    for identity in identities:
        if identity not in named:
            named.add(identity)
            groups[identity.name][identity] = None
    result = {next(iter(group)): name for name, group in groups.items() if len(group) == 1}
    for name, group in groups.items():
        if len(group) > 1:
            result |= _told_apart(name, group, set(result.values()) | set(groups))
    return {identity: result[identity] for group in groups.values() for identity in group}


def _told_apart(name: str, group: Iterable[Identity], taken: Set[str]) -> dict[Identity, str]:
    for digits in (8, 16, 32):
        named = {identity: f"{name}@{identity.digest[:digits]}" for identity in group}
        if len(set(named.values())) == len(named) and not taken & set(named.values()):
            break
    return named


def _token(part: object, reasons: dict[str, None], where: str) -> bytes:
    """The spelling of one part; its reasons are added to `reasons`."""
    for kind, write in _PARTS:
        if isinstance(part, kind):
            return write(part, reasons, where)
    raise TypeError(
        f"combine: {where}: expected an identity, number, text, array or a collection of these, "
        f"found {type(part).__module__}.{type(part).__qualname__}"
    )


def _identity(part: Identity, reasons: dict[str, None], where: str) -> bytes:
    reasons |= dict.fromkeys(part.unverified)
    return token("identity", part.digest.encode())


def _array(part: np.ndarray[Any, Any], reasons: dict[str, None], where: str) -> bytes:
    if part.dtype.hasobject:
        items = [_token(item, reasons, f"{where}[{n}]") for n, item in enumerate(part.ravel().tolist())]
        return token("objects", repr(part.shape).encode(), *items)
    return array_token(np.asarray(part))


def _mapping(part: Mapping[Any, Any], reasons: dict[str, None], where: str) -> bytes:
    items = [(_token(k, reasons, f"a key of {where}"), _token(v, reasons, f"{where}[{k!r}]")) for k, v in part.items()]
    return token("mapping", *(side for item in sorted(items) for side in item))


def _sequence(part: Sequence[Any], reasons: dict[str, None], where: str) -> bytes:
    return token("sequence", *(_token(item, reasons, f"{where}[{n}]") for n, item in enumerate(part)))


def _set(part: Set[Any], reasons: dict[str, None], where: str) -> bytes:
    return token("set", *sorted(_token(item, reasons, f"an element of {where}") for item in part))


def _plain(base: Callable[[Any], object]) -> Callable[[Any, dict[str, None], str], bytes]:
    """Writes a value as its base type: a text enumeration counts as its text."""

    def write(part: Any, reasons: dict[str, None], where: str) -> bytes:
        written = plain_token(base(part))
        assert written is not None  # of a type that is plain
        return written

    return write


_PARTS: tuple[tuple[type, Callable[[Any, dict[str, None], str], bytes]], ...] = (
    (Identity, _identity),
    (type(None), _plain(lambda part: part)),
    (np.generic, lambda part, reasons, where: _array(np.asarray(part), reasons, where)),
    (bool, _plain(bool)),
    (int, _plain(int)),
    (float, _plain(float)),
    (str, _plain(lambda part: str.__str__(part))),
    (bytes, _plain(bytes)),
    (np.ndarray, _array),
    (Mapping, _mapping),
    (Set, _set),
    (Sequence, _sequence),
)
