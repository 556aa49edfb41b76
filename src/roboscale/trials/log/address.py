"""Where a log is: FOLDER, FILE.db, sqlite:///FILE or postgresql://user@host:port/database. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from roboscale.core import RoboscaleError

__all__ = ["DEFAULT_NAME", "LogAddress"]

DEFAULT_NAME = "trials.db"
"""The log's file in a folder."""

_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_SQLITE = "sqlite:///"
_POSTGRES = re.compile(r"postgres(ql)?(\+psycopg)?://")
_FORMS = "FOLDER, FILE.db or postgresql://user@host:port/database"


@dataclass(frozen=True, slots=True)
class LogAddress:
    """A place where a log is or will be.

    Args:
        shown: for people; no password.
        path: the SQLite file; `None` for PostgreSQL.
        url: PostgreSQL's URL with everything in it; empty for SQLite.
    """

    shown: str
    path: Path | None = None
    url: str = ""

    @classmethod
    def parse(cls, where: str | Path) -> LogAddress:
        """From what a user wrote. A path that exists is what it is; otherwise a suffix such as `.db` makes a file.

        Raises:
            RoboscaleError: it is empty, or a URL of another kind.
        """
        text = str(where)
        if not text:
            raise RoboscaleError(f"the log of trials has no address; expected {_FORMS}")
        if _POSTGRES.match(text):
            return cls(shown=_without_password(text), url=text)
        if text.startswith(_SQLITE):
            path = Path(text.removeprefix(_SQLITE))
            return cls(shown=str(path), path=path)
        if re.match(r"[a-z][a-z0-9+]+://", text) and not isinstance(where, Path):
            raise RoboscaleError(f"{_without_password(text)}: expected {_FORMS}")
        path = Path(text)
        is_file = path.is_file() or (path.suffix.lower() in _SUFFIXES and not path.is_dir())
        path = path if is_file else path / DEFAULT_NAME
        return cls(shown=str(path), path=path)


def _without_password(url: str) -> str:
    """A URL for people. Takes away too much rather than too little: a password may hold any character."""
    hidden = re.sub(r"//([^:@/?]*):.*@", r"//\1:***@", url, flags=re.DOTALL)
    return hidden.partition("?")[0]
