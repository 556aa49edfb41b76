"""Plays one trial again: as it was, or with one value of its world moved and the policy acting anew."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from roboscale.core import (
    NOMINAL,
    Case,
    Policy,
    RoboscaleError,
    Trial,
    World,
    derive_seed,
)
from roboscale.core.plain import Plain
from roboscale.jobs.events import Note, OnEvent, Wrote, ignore
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.jobs.films import Filming
    from roboscale.trials import RolloutResult
    from roboscale.trials.log import Run, TrialLog

__all__ = ["ReplayTrial", "ReplayedTrial", "replay_trial"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayTrial(Request):
    """Asks for one trial again."""

    words: ClassVar[tuple[str, ...]] = ("trials", "replay")

    trial: Annotated[str, Argument("The trial, by the beginning of its id; `roboscale trials list` shows them.")]
    set: Annotated[
        tuple[str, ...], Option("Move a value of its world, e.g. camera.yaw=3; may repeat. The policy acts anew.")
    ] = ()
    store: Annotated[
        str, Option("Folder, FILE.db or postgresql://... of the trials. Default: here, or the one under runs/.")
    ] = ""
    film: Annotated[Path | None, Option("Write a film of it, MP4.")] = None

    def check(self) -> None:
        """RoboscaleError for a value that is not NAME=NUMBER."""
        for text in self.set:
            name, equals, value = text.partition("=")
            if not (name and equals and value) or "," in text or ":" in text:
                raise RoboscaleError(f"--set {text}: expected NAME=NUMBER such as camera.yaw=3")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedTrial(Plain):
    """What became of it.

    Args:
        before, now: outcome as a word, and steps.
        moved: the values that were moved; empty for a repetition.
    """

    trial: str
    policy: str
    case: str
    before: str
    before_steps: int
    now: str
    now_steps: int
    moved: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """For a terminal."""
        how = f"with {', '.join(self.moved)}" if self.moved else "repeated bit by bit"
        return (
            f"{self.trial[:8]}  {self.policy} on {self.case}\n"
            f"  as tried: {self.before} after {self.before_steps} steps\n"
            f"  {how}: {self.now} after {self.now_steps} steps"
        )


def replay_trial(request: ReplayTrial, on_event: OnEvent = ignore) -> ReplayedTrial:
    """One trial again, from its actions; with values moved, from its policy, with the same chance. Nothing is filed.

    >>> from roboscale import Evaluate, ReplayTrial, evaluate, replay_trial
    >>> done = evaluate(Evaluate(policy="constant", tasks="reach-v3", trials=1, horizon=20, store="trials"))
    >>> id = done.judged.counted[0].trial.id
    >>> replay_trial(ReplayTrial(trial=id, store="trials", set=("friction.factor=0.5",))).now
    'failure'

    Raises:
        BadData: no trial begins so, or several do; or there is no store.
        RoboscaleError: its world cannot be opened again, or is another one now, or the repetition went otherwise.
    """
    from roboscale.jobs.films import Filming
    from roboscale.referees import referee_named
    from roboscale.trials import differences
    from roboscale.trials.log import open_log
    from roboscale.trials.slots import Job

    with ExitStack() as stack:
        log = stack.enter_context(open_log(store_with(request), read_only=True))
        trial, run = found_trial(log, request.trial)
        judgements = [*log.judgements([trial.id]).get(trial.id, ())]
        referee = referee_named(trial.settings.watch)
        filming = Filming(trial.settings.rate_hz) if request.film is not None else None
        world = stack.enter_context(_Opened(run, bool(request.set)))
        case, result = _played(world, run, trial, request.set, filming)
        again = Job(trial=replace(trial, case=case), referee=referee).finish(result)
    if not request.set and (changed := differences(trial, again.trial)):
        raise RoboscaleError(f"{trial.world.name}: {trial.case.id}: the replay is another one: {changed}")
    if request.film is not None and filming is not None:
        if not (mp4 := filming.mp4()):
            raise RoboscaleError(f"--film: world {trial.world.name} shows no pictures")
        request.film.parent.mkdir(parents=True, exist_ok=True)
        request.film.write_bytes(mp4)
        on_event(Wrote("film", request.film))
    if request.set:
        on_event(Note("a trial that was moved is not filed: it was chosen because of how it went"))
    decided = [j for j in judgements if j.state == "decided"]
    return ReplayedTrial(
        trial=trial.id,
        policy=trial.policy.name,
        case=case.id,
        before="void" if trial.void else _word(decided[-1].success if decided else None),
        before_steps=trial.steps,
        now="void" if result.end == "void" else _word(again.judgement.success),
        now_steps=result.steps,
        moved=request.set,
    )


def _word(success: bool | None) -> str:
    return "not judged" if success is None else "success" if success else "failure"


def store_with(request: ReplayTrial) -> str:
    """The store that a request names, or the only one here or under `runs` that has the trial."""
    from roboscale.core import BadData
    from roboscale.trials.log import open_log

    if request.store:
        return request.store
    places = [
        path.parent
        for path in (Path("trials.db"), *sorted(Path().glob("*/trials.db")), *Path().glob("runs/*/trials.db"))
    ]
    holding = []
    for place in dict.fromkeys(place for place in places if (place / "trials.db").is_file()):
        with open_log(place, read_only=True) as log:
            try:
                log.trial(request.trial)
            except BadData:
                continue
        holding.append(str(place))
    if len(holding) != 1:
        found = ", ".join(holding) or "none of " + (", ".join(map(str, places)) or "no store at all")
        raise BadData("--store", "trial", f"one store with a trial {request.trial!r}, here or under runs/", found)
    return holding[0]


def found_trial(log: TrialLog, text: str) -> tuple[Trial, Run]:
    """A trial with its actions, and the run that it belongs to."""
    from roboscale.core import BadData

    trial = log.trial(text)
    mine = [run for run in log.runs() if run.world == trial.world and trial.case.id in run.cases]
    chosen = [run for run in mine if run.id == trial.run] or mine
    if not chosen:
        raise BadData(log.where, "trial", "a trial of a run", f"{trial.id[:8]}, of which no run is known")
    return trial, chosen[-1]


class _Opened:
    """The world of a run, open for a while; as a worse one where a value is to be moved."""

    def __init__(self, run: Run, worse: bool) -> None:
        self._run, self._worse = run, worse

    def __enter__(self) -> World:
        from roboscale.jobs.rollouts import is_perturbed, open_again

        world = open_again(self._run)
        if self._worse and not is_perturbed(self._run):
            from roboscale.worlds.perturbed import PerturbedWorld

            world = PerturbedWorld(world)
        self._world = world
        return world

    def __exit__(self, *error: object) -> None:
        self._world.close()


def _played(
    world: World, run: Run, trial: Trial, moved: Sequence[str], filming: Filming | None
) -> tuple[Case, RolloutResult]:
    from roboscale.referees import referee_named
    from roboscale.trials import replay

    referee = referee_named(trial.settings.watch)
    film = None if filming is None else filming.watch
    if not moved:
        if trial.actions is None or not trial.steps:
            raise RoboscaleError(f"trial {trial.id[:8]} executed nothing: there is nothing to repeat")
        return trial.case, replay(world, trial.case, trial.settings, trial.actions, referee=referee, film=film)
    values = [text.replace("=", ":", 1) for text in moved]
    names = {value.partition(":")[0] for value in values}
    kept = [part for part in trial.case.variation.split(",") if part.partition(":")[0] not in names]
    variation = ",".join([*(part for part in kept if part != NOMINAL), *values])
    case = replace(trial.case, variation=variation)
    world.info.require(case)
    return case, _acted(world, _policy(run, trial, world), trial, case, filming)


def _policy(run: Run, trial: Trial, world: World) -> Policy:
    """The policy of a trial, opened again and known by its content."""
    from roboscale.jobs.participants import participant_of, profiles_of
    from roboscale.jobs.stores import run_request

    request = run_request(run)
    texts = getattr(request, "policies", None) or (getattr(request, "policy", ""),)
    for text in texts:
        policy = participant_of(text, request, world, None, profiles_of(request, texts))
        if policy.identity.name == trial.policy.name and (
            policy.identity.digest == trial.policy.digest or not policy.identity.verified
        ):
            return policy
    raise RoboscaleError(f"policy {trial.policy.short} of the trial is not what {', '.join(texts)} opens now")


def _acted(world: World, policy: Policy, trial: Trial, case: Case, filming: Filming | None) -> RolloutResult:
    """One rollout of a policy, asked alone; its chance is that of the trial."""
    from roboscale.referees import referee_named
    from roboscale.trials import Asking, answered, rollout

    session = policy.start(
        world.info.sentence(case), derive_seed("session", trial.case.id, trial.round, trial.attempt)
    )
    run = rollout(
        world,
        case,
        trial.settings,
        referee=referee_named(trial.settings.watch),
        asking=Asking.of(policy, world.info.observation_spec),
        film=None if filming is None else filming.watch,
    )
    return answered(run, session)
