"""The way into a log. The database library is loaded here, when a log is opened, and nowhere before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from roboscale.core import BadData
from roboscale.trials.log.address import LogAddress

if TYPE_CHECKING:
    from roboscale.trials.log.protocol import TrialLog

__all__ = ["open_log"]

_SHOWN = 5


def open_log(where: str | Path, *, read_only: bool = False) -> TrialLog:
    """Opens a log, and makes it where there is none; a context manager.

    Args:
        where: FOLDER (its `trials.db`), FILE.db, sqlite:///FILE or postgresql://user@host:port/database.
        read_only: change nothing and make nothing; works on a disk that cannot be written. A log of an earlier
            version is read as it is, otherwise it is brought to the newest shape, its old tables kept beside.

    Raises:
        BadData: there is none to read, it is no log, or a newer version wrote it.
        InfrastructureError: the file or server cannot be reached.
        RoboscaleError: no such kind of address, or the driver of PostgreSQL is not installed.
    """
    address = LogAddress.parse(where)
    if read_only and address.path is not None and not address.path.is_file():
        raise BadData(address.path, "file", "a log of trials", _instead(address.path.parent))
    from roboscale.trials.log.store import SqlLog  # SQLAlchemy takes a third of a second to load

    return SqlLog(address, read_only=read_only)


def _instead(folder: Path) -> str:
    """What is there where there is no log: the logs of its folders, of which one was meant."""
    inside = sorted(path.parent for path in folder.glob("*/*.db"))[:_SHOWN]
    return f"no file; there are logs in {', '.join(map(str, inside))}" if inside else "no file"
