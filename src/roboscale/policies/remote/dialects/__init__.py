"""What other policy servers speak, one leaf for each: a message of arrays in, a mapping with arrays out.

A leaf knows its bytes and its socket. Which key means what stands in a policy profile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from roboscale.core import UnknownName
from roboscale.policies.remote.connection import Timeouts

__all__ = ["ADDRESSES", "Talker", "talker_of"]

ADDRESSES = ("gr00t://HOST:5555", "openvla://HOST:8000", "vla-eval://HOST:8000")
"""Addresses of such servers."""


class Talker(Protocol):
    """One connection, for one episode after the other."""

    def begin(self, instruction: str) -> None:
        """Tells the server that an episode begins, where it can be told."""

    def ask(self, message: Mapping[str, Any], prompt: str, timeout_s: float) -> Mapping[str, Any]:
        """What the server answers.

        Args:
            message: what a profile made, the instruction under the key `prompt` (empty where there is none).
            timeout_s: for the whole answer.

        Raises:
            InfrastructureError: no answer in time, one that cannot be understood, or the server's own error.
        """

    def close(self) -> None:
        """Says goodbye; also after a fault."""


def talker_of(address: str) -> Callable[[str, str | None, Timeouts], Talker]:
    """What connects to such an address, given it, a key and how long to wait. UnknownName for any other scheme."""
    scheme = address.partition("://")[0]
    if scheme == "gr00t":
        from roboscale.policies.remote.dialects.groot import GrootTalker

        return GrootTalker
    if scheme == "openvla":
        from roboscale.policies.remote.dialects.openvla import OpenvlaTalker

        return OpenvlaTalker
    if scheme == "vla-eval":
        from roboscale.policies.remote.dialects.vla_eval import VlaEvalTalker

        return VlaEvalTalker
    raise UnknownName("policy server", address, ADDRESSES)
