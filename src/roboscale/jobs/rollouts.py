"""Finished trials played again: into a dataset, or for people to see.

A deterministic simulated world repeats a trial from its actions alone. What a replay did differently is compared with
what was tried, and never passed off as it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from roboscale.core import Counted, Judgement, RoboscaleError, World
from roboscale.jobs.events import OnEvent, Progress, Wrote
from roboscale.jobs.filling import BlindWorld

if TYPE_CHECKING:
    from roboscale.trials.log import Run

__all__ = ["is_perturbed", "open_again", "record_rollouts"]


def is_perturbed(run: Run) -> bool:
    """Whether its cases were tried in worse worlds, too: `eval --perturb`."""
    fields = run.request.get("fields", {})
    return isinstance(fields, Mapping) and bool(fields.get("perturb"))


def open_again(run: Run) -> World:
    """The world of a run, opened once more.

    Raises:
        RoboscaleError: it was given as an object; or what opens now is not what the trials ran in.
    """
    from roboscale.jobs.opening import open_any_world

    text = run.world_info.get("opened", "")
    if not text:
        raise RoboscaleError(f"world {run.world.name} was given as an object: only that script can open it again")
    worded = run.request.get("fields", {}).get("paraphrases")
    world = open_any_world(text, perturbed=is_perturbed(run), paraphrases=Path(worded) if worded else None)
    if world.info.identity.verified and world.info.identity != run.world:
        world.close()
        raise RoboscaleError(
            f"world {text} is not the one that the trials ran in: it was {run.world.short}, now it is "
            f"{world.info.identity.short}"
        )
    return world


def _decision(counted: Counted) -> Judgement:
    """The judgement that counts, or the last that was said."""
    decided = [j for j in counted.judgements if j.state == "decided"]
    return (decided or list(counted.judgements))[-1]


def record_rollouts(
    run: Run, counted: Sequence[Counted], dataset: Path, on_event: OnEvent, *, images: bool = True
) -> int:
    """Adds the rollouts of a run to a dataset, with the outcome that counts and where they come from.

    Args:
        images: with all cameras, or with none.

    Returns the number of episodes that the dataset now has of them.
    """
    from roboscale.dataset import DatasetWriter
    from roboscale.referees import Settled, referee_named
    from roboscale.trials import Recorder, TrialRunner, make_slots, recording_spec, records_afterwards

    trials = [c.trial for c in counted if c.trial is not None and not c.trial.void and c.trial.steps]
    with ExitStack() as stack:
        world = open_again(run)
        stack.callback(world.close)
        world = world if images else BlindWorld(world)
        if not records_afterwards(world.info):
            raise RoboscaleError(
                f"world {world.info.name} cannot repeat its trials; record them while they run: --record {dataset}"
            )
        spec = recording_spec(world.info)
        sink = stack.enter_context(DatasetWriter(dataset, spec, robot_type=world.info.embodiment))
        referee = referee_named(run.settings.watch)
        settled = {c.trial.id: Settled(referee, _decision(c)) for c in counted if c.trial is not None and c.judgements}
        slots = make_slots(lambda: world, workers=0, sink=sink.apart())
        runner = TrialRunner(
            info=world.info,
            world=run.world,
            policies={},
            settings=run.settings,
            referee=referee,
            slots=slots,
            log=None,  # type: ignore[arg-type]  # nothing is tried
        )
        done = [0]

        def on_saved(episode: str) -> None:
            done[0] += 1
            on_event(Progress("episodes", done[0], len(trials)))

        ids = Recorder(runner=runner, sink=sink, on_saved=on_saved).record(trials, settled)
        on_event(Wrote("dataset", dataset))
        return len(ids)
