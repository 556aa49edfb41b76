"""Keeps what was tried as the episodes of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from roboscale.core import Trial, WorldInfo
from roboscale.jobs.events import OnEvent, Progress, Wrote

if TYPE_CHECKING:
    from roboscale.dataset import DatasetWriter
    from roboscale.trials import TrialRunner
    from roboscale.trials.log import TrialLog

__all__ = ["keep_episodes"]


def keep_episodes(
    runner: TrialRunner,
    sink: DatasetWriter,
    trials: Sequence[Trial],
    *,
    info: WorldInfo,
    log: TrialLog,
    record: Path,
    on_event: OnEvent,
    say: Callable[[str], None],
) -> None:
    """Replayed where the world repeats itself, else as it was seen; says what is not there, and why.

    Args:
        runner: tries again what is replayed.
        trials: all that were tried, by earlier processes, too.
        record: the dataset's folder, for what is said.
        say: told what is not in it, line by line.
    """
    from roboscale.trials import Recorder, episode_id, records_afterwards

    if not records_afterwards(info):
        _say_absent(sink, [t for t in trials if not t.void], record, say)
        return
    acted = [log.trial(t.id) if t.actions is None else t for t in trials if not t.void and t.steps]
    have = set(sink.episode_ids)
    total = sum(episode_id(t) not in have for t in acted)
    done = [0]

    def on_saved(episode: str) -> None:
        done[0] += 1
        on_event(Progress("episodes", done[0], total))

    Recorder(runner=runner, sink=sink, on_saved=on_saved).record(acted)
    left_out = len(trials) - len(acted)
    if left_out:
        say(f"{left_out} trials without a step are no episodes of {record}")
    on_event(Wrote("dataset", record))


def _say_absent(sink: DatasetWriter, tried: Sequence[Trial], record: Path, say: Callable[[str], None]) -> None:
    """What was tried and is not in the dataset."""
    apart = [t for t in tried if t.episode not in sink.episode_ids]
    if missing := sum(not t.episode for t in apart):
        say(
            f"{missing} trials were tried before without --record and cannot be repeated: they are not in {record}; "
            "--again tries all anew"
        )
    if elsewhere := len(apart) - missing:
        say(f"{elsewhere} trials are recorded in another dataset, and not in {record}")
