"""The log: every trial, every judgement and every run, on SQLite or PostgreSQL behind one protocol.

`open_log` is the way in. Importing this costs nothing; the database library is loaded when a log is opened.
"""

from roboscale.trials.log.address import LogAddress
from roboscale.trials.log.open import open_log
from roboscale.trials.log.protocol import (
    IdentityKind,
    Lease,
    LogEntry,
    MergeCounts,
    Run,
    TrialKey,
    TrialLog,
    world_facts,
)
from roboscale.trials.log.rows import as_kept

__all__ = [
    "IdentityKind",
    "Lease",
    "LogAddress",
    "LogEntry",
    "MergeCounts",
    "Run",
    "TrialKey",
    "TrialLog",
    "as_kept",
    "open_log",
    "world_facts",
]
