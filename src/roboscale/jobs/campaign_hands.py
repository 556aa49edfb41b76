"""Who does a campaign's work on this machine: collects, pools, trains and tries with the jobs of the other commands.

Every piece lies in a folder that its place in the campaign names, and is found there again after a kill.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from roboscale.core import Case, Counted, RoboscaleError, World, cases, derive_seed
from roboscale.core.case import CaseSplit
from roboscale.jobs.campaign_collectors import CollectorTools, collector_of, instruction_of, usable_of
from roboscale.jobs.campaign_file import ROLLOUTS, Campaign, SourceLine
from roboscale.jobs.campaign_loop import CameIn, CollectOrder, JudgedRecipe, PooledSet, ScenesWanted, WaitingFor
from roboscale.jobs.campaign_orders import write_work_order
from roboscale.jobs.campaign_scenes import choose_scenes, first_numbers, number_names, started_numbers
from roboscale.jobs.campaign_standing import RunCounts
from roboscale.jobs.events import OnEvent, Progress
from roboscale.jobs.files import write_json

__all__ = ["MachineHands"]

_POOL = 4  # scenes that are looked at for each that is collected
_MOST = 240  # scenes that are looked at


@dataclass(frozen=True, kw_only=True)
class MachineHands:
    """Hands that do it.

    Args:
        folder: of the whole campaign.
        accept: take what a work order brought, though it is less than was ordered.
        command: what goes on with the campaign; said on work orders.
    """

    campaign: Campaign
    folder: Path
    workers: int | None
    accept: bool
    on_event: OnEvent
    command: str = ""

    def scenes(self, number: int, task: str, source: SourceLine, episodes: int) -> ScenesWanted:
        """Those near which trials failed and that no episode covers; any before the first judging."""
        judged = self._judged_cases(number - 1, task)
        if not judged or source.kind == "command":
            return ScenesWanted(why="any: nothing was judged yet" if not judged else "any: a command chooses its own")
        from roboscale.jobs.filling import opened

        world = opened(self.campaign.world, images=False)
        try:
            return self._chosen(world, number, task, source, episodes, judged)
        finally:
            world.close()

    def _chosen(
        self,
        world: World,
        number: int,
        task: str,
        source: SourceLine,
        episodes: int,
        judged: Mapping[Case, float],
    ) -> ScenesWanted:
        seed = derive_seed("campaign scenes", self.campaign.seed, number, source.name)
        split: CaseSplit = "generate" if source.kind == "generate" else "collect"
        many = min(_MOST, max(20, _POOL * episodes))
        possible = cases(task, many, seed, split)
        pool, tried = first_numbers(world, possible), first_numbers(world, list(judged))
        if pool is None or tried is None:
            return ScenesWanted(why="any: the world shows no numbers by which scenes could be told apart")
        rows = started_numbers(
            [place for place in self._members() if place.name.split("+")[2] == task], number_names(world)
        )
        covered = np.array(rows) if rows else np.empty((0, pool.shape[1]))
        places, risk = choose_scenes(pool, tried, np.array(list(judged.values())), covered, min(episodes, many))
        said = f"far from the {len(covered)} episodes there are, and near scenes that failed"
        if risk:
            said += f" (failures near them {risk['near']:.2f}, over all {risk['all']:.2f})"
        return ScenesWanted(tuple(possible[place].id for place in places), said)

    def collect(self, order: CollectOrder) -> CameIn | WaitingFor:
        """By the collector of the source's kind."""
        place = self._batch(order.round, order.item, order.line.name, order.task)
        place.parent.mkdir(parents=True, exist_ok=True)
        tools = CollectorTools(
            campaign=self.campaign,
            members=self._members,
            pooled=lambda name: self._pooled(name, order.round, order.item),
            write_order=lambda order, place, came: write_work_order(
                self.campaign, self.folder, order, place, came, self.command or None
            ),
            workers=self.workers,
            accept=self.accept,
            on_event=self.on_event,
        )
        return collector_of(order.line, tools).collect(order, place)

    def curate(self, number: int, have: Mapping[str, Mapping[str, float]]) -> PooledSet:
        """Pools all episodes that did not fail into one dataset, and successes of judging where they are wanted."""
        kept: dict[str, Counter[str]] = {task: Counter() for task in self.campaign.tasks}
        left_out, members = [], []
        judged = [place for earlier in range(1, number) for place in self._rollouts(earlier)]
        for place in [*self._members(), *judged]:
            source, task = place.name.split("+")[1:3]
            good, bad = usable_of(place, task, instruction_of(self.campaign, task))
            kept[task][source] += len(good)
            cameras = self._needless_cameras(place)
            if bad:
                left_out.append(f"{place.name}: {len(bad)} episodes failed and are not trained on")
            if cameras:
                left_out.append(f"{place.name}: its cameras are left out, as recipes learn from state")
            members.append(self._without(place, bad, cameras) if bad or cameras else place)
        self._pool(members, self._set(number))
        return PooledSet({task: dict(by) for task, by in kept.items()}, tuple(left_out))

    def _rollouts(self, number: int) -> list[Path]:
        """Datasets of the trials of a round that succeeded, by task; none where they are not wanted.

        Raises:
            RoboscaleError: the world cannot repeat them.
        """
        from roboscale.jobs.judged import judged_run, whole
        from roboscale.jobs.rollouts import record_rollouts
        from roboscale.trials.log import open_log

        made: dict[str, Path] = {}
        if self.campaign.learn.rollouts == "none" or not self._trials(number).exists():
            return []
        known: set[str] = set()
        with open_log(str(self._trials(number)), read_only=True) as log:
            for run in log.runs():  # the second judging of a round has the trials of the first, and more
                won = {c.trial.id: c for c in judged_run(log, run).plain if c.outcome.success and c.trial is not None}
                new = [counted for id_, counted in won.items() if id_ not in known]
                known |= set(won)
                for task in dict.fromkeys(counted.case.task for counted in new):
                    made[task] = self.folder / "rollouts" / f"{number:02d}+{ROLLOUTS}+{task}"
                    mine = whole(log, [counted for counted in new if counted.case.task == task])
                    record_rollouts(run, mine, made[task], _quiet, images=self.campaign.learn.inputs == "images")
        return list(made.values())

    def train(self, number: int) -> None:
        """Trains the recipe's runs that are not there yet, one process a core."""
        from roboscale.jobs.training import Training, train_all, training_config

        learn = self.campaign.learn
        runs = [
            Training(
                self._set(number),
                self._policy(number, run),
                training_config(learn.inputs, "", learn.steps, derive_seed("train", self.campaign.seed, number, run)),
            )
            for run in range(1, learn.runs + 1)
        ]

        def on_progress(index: int, done: int, total: int, loss: float) -> None:
            self.on_event(Progress(f"round {number}, training {index + 1}", done, total, f"loss {loss:.4f}"))

        train_all(runs, on_progress, at_once=self.workers or None)

    def judge(self, number: int, trials: Mapping[str, int]) -> JudgedRecipe:
        """Tries every training run on the same cases, which no round shares with another."""
        from roboscale.jobs.compare import Compare, compare

        counts: dict[str, RunCounts] = {}
        failures: dict[str, dict[str, int]] = {}
        for each in sorted(set(trials.values())):
            tasks = [task for task, count in trials.items() if count == each]
            judged = compare(
                Compare(
                    policies=tuple(str(self._policy(number, run)) for run in range(1, self.campaign.learn.runs + 1)),
                    world=self.campaign.world,
                    tasks=",".join(tasks),
                    budget=each * len(tasks),
                    sequential=False,
                    seed=derive_seed("campaign judge", self.campaign.seed, number),
                    workers=self.workers,
                    device="cpu",
                    store=str(self._trials(number)),
                ),
                self.on_event,
            ).judged
            for task in tasks:
                won = [
                    [bool(c.outcome.success) for c in judged.of(policy, task) if c.outcome.success is not None]
                    for policy in judged.run.policies
                ]
                counts[task] = tuple((sum(one), len(one)) for one in won)
                mine = [c for policy in judged.run.policies for c in judged.of(policy, task)]
                lost = [c for c in mine if c.outcome.success is False]
                failures[task] = dict(Counter(c.outcome.reason or "no reason was given" for c in lost))
                self._remember(number, task, mine)
        return JudgedRecipe(counts, {task: why for task, why in failures.items() if why})

    def _remember(self, number: int, task: str, counted: Sequence[Counted]) -> None:
        """Writes down which scenes failed how often, for the next round's order."""
        scored = [c for c in counted if c.outcome.success is not None]
        lost = Counter(c.case.id for c in scored if not c.outcome.success)
        tried = Counter(c.case.id for c in scored)
        path = self._scenes_file(number)
        known = json.loads(path.read_text("utf-8")) if path.exists() else {}
        known[task] = {case: lost[case] / count for case, count in tried.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, known)

    def _judged_cases(self, number: int, task: str) -> dict[Case, float]:
        """Case -> share of the training runs that failed it, in the newest judging of the task up to a round."""
        for one in range(number, 0, -1):
            path = self._scenes_file(one)
            known = json.loads(path.read_text("utf-8")) if path.exists() else {}
            if task in known:
                return {Case.parse(case): share for case, share in known[task].items()}
        return {}

    def _scenes_file(self, number: int) -> Path:
        return self.folder / "judged" / f"{number:02d}.json"

    def _batch(self, number: int, item: int, source: str, task: str) -> Path:
        """The dataset of one item of an order."""
        return self.folder / "data" / f"{number:02d}-{item:02d}+{source}+{task}"

    def _members(self, source: str = "") -> list[Path]:
        """Datasets of all rounds so far, of one source or of all."""
        found = sorted((self.folder / "data").glob("*+*+*"))
        whole = [place for place in found if (place / "meta" / "info.json").is_file()]
        return [place for place in whole if source in ("", place.name.split("+")[1])]

    def _set(self, number: int) -> Path:
        return self.folder / "sets" / f"{number:02d}"

    def _policy(self, number: int, run: int) -> Path:
        return self.folder / "policies" / f"{number:02d}-{run}"

    def _trials(self, number: int) -> Path:
        return self.folder / "trials" / f"{number:02d}"

    def _pooled(self, source: str, number: int, item: int) -> Path:
        """All episodes of a source so far, as one dataset."""
        out = self.folder / "sets" / f"{number:02d}-{item:02d}-{source}"
        members = self._members(source)
        if not members:
            raise RoboscaleError(f"source {source}: there is no episode of it yet, and another one is made from it")
        self._pool(members, out)
        return out

    def _pool(self, members: Sequence[Path], out: Path) -> None:
        """Merges datasets into one; one that was being written when it was killed goes on."""
        from roboscale.jobs.data_merge import MergeDatasets, merge_datasets

        out.parent.mkdir(parents=True, exist_ok=True)
        merge_datasets(MergeDatasets(members=tuple(members), out=out, same=True, workers=0), _quiet)

    def _needless_cameras(self, place: Path) -> tuple[str, ...]:
        """Cameras of a dataset that recipes do not look at."""
        from roboscale.dataset import Dataset

        return () if self.campaign.learn.inputs == "images" else tuple(f.name for f in Dataset(place).spec.images)

    def _without(self, place: Path, bad: Sequence[str], cameras: Sequence[str]) -> Path:
        """A copy of a dataset without episodes that failed, and without cameras."""
        from roboscale.jobs.data_fix import FixDataset, fix_dataset

        out = self.folder / "sets" / f"{place.name}-trained-on"
        if not out.exists():
            part = out.with_name(out.name + ".part")
            shutil.rmtree(part, ignore_errors=True)
            fix_dataset(
                FixDataset(dataset=place, out=part, drop=",".join(bad), drop_camera=tuple(cameras), workers=0), _quiet
            )
            part.rename(out)
        return out


def _quiet(event: object) -> None:
    """What the jobs of single steps tell is of no interest here."""
