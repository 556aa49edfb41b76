"""Between robots and policies: a robot asks here, and whoever offers the policy comes and fetches what is asked.

Policies and robots both call out; nobody needs an open port. Neither learns who the other is. Everything runs on the
event loop of the server that it belongs to, and nothing of it is kept: what is under way when the server dies is asked
again, by a robot whose rollout is void.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field

from roboscale.core import InfrastructureError

__all__ = ["Relay", "RelayAsk"]

PRESENT_S = 25.0
"""A policy whose offerer has not come for so long is away."""


@dataclass(kw_only=True)
class RelayAsk:
    """One observation on its way to a policy, as the bytes of one frame of the wire."""

    id: str
    frame: bytes
    answer: asyncio.Future[bytes] = field(repr=False)


class Relay:
    """Frames between robots and policies.

    Args:
        answer_s: most seconds for an answer; later ones are nobody's.
        pace_s: an answer is handed on no sooner than this after it was asked for, so that quick policies and slow
            ones look alike up to there.
    """

    def __init__(self, answer_s: float = 10.0, pace_s: float = 0.0) -> None:
        self.answer_s, self.pace_s = answer_s, pace_s
        self._waiting: dict[str, asyncio.Queue[RelayAsk | None]] = defaultdict(asyncio.Queue)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._asked: dict[str, tuple[str, RelayAsk]] = {}
        self._seen_s: dict[str, float] = {}
        self._serving: dict[str, int] = defaultdict(int)

    def present(self, policy: str) -> bool:
        """Whether somebody offers that policy now."""
        return self._serving[policy] > 0 or time.monotonic() - self._seen_s.get(policy, -1e9) < PRESENT_S

    async def ask(self, policy: str, frame: bytes) -> bytes:
        """The policy's answer to one frame.

        Raises:
            InfrastructureError: nobody offers it, or no answer came in time.
        """
        if not self.present(policy):
            raise InfrastructureError("nobody offers the policy now")
        loop = asyncio.get_running_loop()
        begun = loop.time()
        asked = RelayAsk(id=secrets.token_hex(12), frame=frame, answer=loop.create_future())
        self._asked[asked.id] = policy, asked
        self._waiting[policy].put_nowait(asked)
        try:
            answer = await asyncio.wait_for(asked.answer, self.answer_s)
        except TimeoutError:
            raise InfrastructureError(f"the policy did not answer within {self.answer_s:g} s") from None
        finally:
            self._asked.pop(asked.id, None)
        left = self.pace_s - (loop.time() - begun)
        if left > 0:
            await asyncio.sleep(left)
        return answer

    async def pull(self, policy: str, wait_s: float) -> RelayAsk | None:
        """The next frame for that policy; `None` where none came in time. InfrastructureError once it closes."""
        if self._closed:
            raise InfrastructureError("the arena is closing")
        self._loop = asyncio.get_running_loop()
        self._serving[policy] += 1
        try:
            until = time.monotonic() + wait_s
            while (left := until - time.monotonic()) > 0:
                asked = await asyncio.wait_for(self._waiting[policy].get(), left)
                if asked is None:
                    break
                if asked.id in self._asked:  # whoever asked still waits
                    return asked
        except TimeoutError:
            pass
        finally:
            self._serving[policy] -= 1
            self._seen_s[policy] = time.monotonic()
        return None

    def answer(self, policy: str, id: str, frame: bytes) -> bool:
        """Hands an answer on; False where nobody waits for it any more, or it is another policy's."""
        mine, asked = self._asked.get(id, ("", None))
        if asked is None or mine != policy or asked.answer.done():
            return False
        asked.answer.set_result(frame)
        return True

    def close(self) -> None:
        """Lets everybody go who waits. From any thread, while the server still runs."""
        self._closed = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._let_go)

    def _let_go(self) -> None:
        for policy, queue in self._waiting.items():
            for _ in range(self._serving[policy]):
                queue.put_nowait(None)
