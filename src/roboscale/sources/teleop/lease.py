"""Who drives: one page at a time. The others look on, and may queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roboscale.core import RoboscaleError, UnknownName

__all__ = ["ControlLease"]


class ControlLease:
    """One lease of control among the pages that are open. Not safe for threads: whoever owns it locks.

    >>> lease = ControlLease()
    >>> lease.join("a", "ada"), lease.join("b", "grace"), lease.holder
    (None, None, 'a')
    >>> lease.ask("b"), lease.hand_over("a"), lease.holder
    (None, None, 'b')
    """

    def __init__(self) -> None:
        self.holder: str | None = None
        self._names: dict[str, str] = {}
        self._queue: list[str] = []

    @property
    def queue(self) -> tuple[str, ...]:
        """Pages that wait, the next one first."""
        return tuple(self._queue)

    def join(self, page: str, name: str) -> None:
        """A page opens; it drives when nobody does and nobody waits."""
        self._names[page] = name
        if self.holder is None and not self._queue:
            self.holder = page

    def leave(self, page: str) -> None:
        """A page closes; who waits longest drives next."""
        self._names.pop(page, None)
        if page in self._queue:
            self._queue.remove(page)
        if self.holder == page:
            self.holder = self._queue.pop(0) if self._queue else None

    def withdraw(self, page: str) -> None:
        """A page that waits does not want to any more; nothing where it does not wait."""
        if page in self._queue:
            self._queue.remove(page)

    def ask(self, page: str) -> None:
        """A page wants to drive: it does at once when nobody does, else it waits."""
        self._require(page)
        if self.holder is None:
            self.holder = page
            if page in self._queue:
                self._queue.remove(page)
        elif page != self.holder and page not in self._queue:
            self._queue.append(page)

    def hand_over(self, page: str, to: str | None = None) -> None:
        """The page that drives lets go, for the one that waits longest or for `to`.

        Raises:
            RoboscaleError: it does not drive, or nobody waits. UnknownName: there is no page `to`.
        """
        self.require_holder(page)
        wanted = to if to is not None else next(iter(self._queue), None)
        if wanted is None:
            raise RoboscaleError("nobody waits to drive")
        self._require(wanted)
        if wanted in self._queue:
            self._queue.remove(wanted)
        self.holder = wanted

    def require_holder(self, page: str) -> None:
        """Nothing, or a RoboscaleError that says who drives."""
        if page != self.holder:
            who = "nobody" if self.holder is None else self._names[self.holder] or "another page"
            raise RoboscaleError(f"this page looks on: {who} drives")

    @property
    def driver(self) -> str:
        """The name of whoever drives; empty where nobody does, or they have none."""
        return "" if self.holder is None else self._names[self.holder]

    def seen_by(self, page: str) -> Mapping[str, Any]:
        """What a page shows of it; JSON types. `others` are whom it can hand over to, those who wait first."""
        rest = [one for one in self._names if one not in self._queue and one != self.holder]
        others = [
            {"page": one, "name": self._names[one], "waits": one in self._queue} for one in (*self._queue, *rest)
        ]
        return {
            "mine": page == self.holder,
            "holder": self.driver,
            "waiting": self._queue.index(page) + 1 if page in self._queue else 0,
            "queue": len(self._queue),
            "pages": len(self._names),
            "others": others if page == self.holder else [],
        }

    def _require(self, page: str) -> None:
        if page not in self._names:
            raise UnknownName("page", page, self._names)
