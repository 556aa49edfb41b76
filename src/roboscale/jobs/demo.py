"""The main job from one end to the other, on one machine: from ten demonstrations to a verdict.

Two rounds. The state round trains every recipe several times on the world's full state, without a picture, and speaks
of recipes. The picture round trains A and B once each on cameras and speaks of these two checkpoints.
"""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from roboscale.core.plain import Plain, called
from roboscale.jobs.demo_plan import require_folder, require_parts
from roboscale.jobs.events import Note, OnEvent, Stage, Wrote, ignore
from roboscale.jobs.options import Workers
from roboscale.jobs.recipe_round import TABLE, RecipeRound, TriedRecipes, train_recipes, try_recipes
from roboscale.jobs.request import Option, Request

if TYPE_CHECKING:
    from roboscale.core import Estimate
    from roboscale.jobs.compare import ComparedPolicies
    from roboscale.jobs.demo_imagine import ImaginedRates
    from roboscale.jobs.demo_probe import Probe
    from roboscale.jobs.judged import Judged

__all__ = ["RunDemo", "ShownDemo", "run_demo"]

MIN_PAIRS = 20  # rates of fewer cases have intervals that nobody would print
PLANTED = (0.10, 0.30)  # share of the cases that A alone solves, and B alone: a difference of .20
RECIPE_RATES, RUN_SD = (0.60, 0.80), 0.05  # the same difference between recipes, and how training runs vary

WORSE, WORSE_CASES = "light:2,camera:2", 10  # what is tried beside, so that the panel takes a few minutes at most
FILMED = 4  # cases of each task
IMAGINED = "push-v3"  # the task of the learned world, where it is one of the demo's
STATE, IMAGES = 5, 6
"""Stages of each round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDemo(Request):
    """Asks for all of it: record, multiply, train, compare, report; from state first, then from pictures."""

    words: ClassVar[tuple[str, ...]] = ("demo",)

    out: Annotated[Path, Option("Folder for everything; the same folder resumes.", flag="--out/-o")] = Path("demo")
    tasks: Annotated[str, Option("Meta-World tasks, separated by commas.")] = "pick-place-v3,push-v3,bin-picking-v3"
    demonstrations: Annotated[int, Option("Demonstrations per task for recipe A.", min=1)] = 10
    grown: Annotated[int, Option("Generated episodes per task for recipe B.", min=1)] = 100
    inputs: Annotated[
        Literal["both", "state", "images"], Option("both rounds, state alone (minutes) or images alone.")
    ] = "both"
    steps: Annotated[int, Option("Optimiser steps for each policy.", min=1)] = 1000
    runs: Annotated[int, Option("State round: training runs of each recipe; claims take 3.", min=1)] = 3
    trials: Annotated[int, Option("State round: trials per task of each training run.", min=1)] = 10
    budget: Annotated[int, Option("Picture round: most paired cases.", min=1)] = 100
    seed: Annotated[int, Option("Seed of everything; defaults were tuned on 0.")] = 7
    workers: Workers = None

    @property
    def recipes(self) -> dict[str, str]:
        """Recipe -> what it is."""
        return {
            "A": f"{self.demonstrations} recorded demonstrations per task",
            "B": f"{self.grown} episodes per task, generated from those {self.demonstrations}",
        }

    def folder(self, inputs: Literal["state", "images"]) -> Path:
        """Where a round lies."""
        return self.out / "state" if inputs == "state" else self.out


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownDemo(Plain):
    """What the demo came to.

    Args:
        recipes: the state round. compared: the picture round. `None` where it was not asked for.
        imagined: what a learned world says of both recipes, after the state round.
        report: the page of the last round.
        described: what A and B are, a line each.
        next_order: what a campaign would collect next.
    """

    recipes: TriedRecipes | None
    compared: ComparedPolicies | None = field(metadata=called("checkpoints"))
    report: Path
    minutes: float
    described: tuple[str, ...]
    next_order: tuple[str, ...] = ()
    imagined: ImaginedRates | None = None

    @property
    def lines(self) -> list[str]:
        """For a terminal."""
        state = [] if self.recipes is None else ["", f"state inputs: {self.recipes.sentence}"]
        pictures = [] if self.compared is None else ["", f"pictures: {checkpoint_sentence(self.compared)}"]
        imagined = [] if self.imagined is None else ["", *self.imagined.lines]
        last = [*self.described, *self.next_order, f"report: {self.report}"]
        return [*state, *pictures, *imagined, "", *last]


@dataclass(slots=True)
class _Stages:
    """Numbers the stages, and says of each beforehand what it will take."""

    on_event: OnEvent
    total: int
    done: int = field(default=0)

    def begin(self, text: str, takes: str = "") -> None:
        self.done += 1
        self.on_event(Stage(self.done, self.total, f"{text}: {takes}" if takes else text))


def checkpoint_sentence(compared: ComparedPolicies) -> str:
    """The verdict of the picture round, and what it is about."""
    return f"{compared.sentence}; {compared.unit}"


def run_demo(request: RunDemo, on_event: OnEvent = ignore) -> ShownDemo:
    """All stages; each finds what is done and does the rest.

    >>> from pathlib import Path
    >>> from roboscale import RunDemo
    >>> RunDemo(out=Path("demo"), budget=30).command
    'roboscale demo --budget 30'

    Raises:
        UnknownName: the world has no such task.
    """
    require_parts()
    require_folder(request.out)
    started = time.monotonic()
    stages = _Stages(on_event, {"both": STATE + IMAGES, "state": STATE, "images": IMAGES}[request.inputs])
    recipes = compared = imagined = None
    page = request.folder("state") / "recipes.html"
    if request.inputs != "images":
        recipes = _state_round(request, stages)
        imagined = _imagine(request, stages)
    if request.inputs != "state":
        compared, page = _picture_round(request, recipes, imagined, stages)
    return ShownDemo(
        recipes=recipes,
        compared=compared,
        report=page,
        minutes=(time.monotonic() - started) / 60,
        described=_described(request),
        next_order=_next_order(request, request.folder("state") / TABLE),
        imagined=imagined,
    )


def _described(request: RunDemo) -> tuple[str, ...]:
    return tuple(f"{name} is {what}" for name, what in request.recipes.items())


def _probe(request: RunDemo, inputs: Literal["state", "images"], stages: _Stages) -> tuple[Probe, tuple[str, ...]]:
    from roboscale.jobs.demo_probe import measure_probe
    from roboscale.jobs.trying import world_and_tasks

    _, tasks = world_and_tasks("metaworld", request.tasks)
    stages.on_event(Note(f"measuring how fast this machine is, with a little of {tasks[0]}"))
    return measure_probe(tasks[0], inputs), tasks


def _state_round(request: RunDemo, stages: _Stages) -> TriedRecipes:
    from roboscale.jobs.files import write_json
    from roboscale.stats.sample_size import run_power

    probe, tasks = _probe(request, "state", stages)
    _collect(request, "state", probe, stages)
    folder = request.folder("state")
    asked = RecipeRound(
        datasets={"A": folder / "recorded", "B": folder / "grown"},
        tasks=tasks,
        runs=request.runs,
        trials=request.trials,
        steps=request.steps,
        out=folder,
        seed=request.seed,
        workers=request.workers,
        descriptions=request.recipes,
        afterwards=lambda table: _next_order(request, table),
    )
    policies = len(asked.policies)
    trained = f"training recipes A and B {request.runs} times each on the world's state"
    stages.begin(trained, probe.training(policies, request.steps))
    train_recipes(asked, stages.on_event)
    trials = policies * request.trials * len(tasks)
    stages.begin(f"trying all {policies} on the same held-out cases, {trials} trials", probe.trying(trials))
    if request.runs > 1:
        power = run_power(*RECIPE_RATES, request.runs, request.trials * len(tasks), RUN_SD)
        low, high = RECIPE_RATES
        stages.on_event(
            Note(
                f"power {power:.2f}: so often would this round show a recipe of {high:.2f} to be better than one of "
                f"{low:.2f}, where the true rates of training runs vary by {RUN_SD:.2f}"
            )
        )
    tried = try_recipes(asked, stages.on_event)
    write_json(folder / "verdict.json", tried.to_json())
    for line in ("first verdict, from state inputs:", *tried.lines, *_described(request)):
        stages.on_event(Note(line))
    return tried


def _imagine(request: RunDemo, stages: _Stages) -> ImaginedRates | None:
    """The first training of both recipes in a learned world of one task; none, and why, where none can be learned."""
    from roboscale.core import RoboscaleError
    from roboscale.jobs.demo_imagine import imagine_recipes
    from roboscale.jobs.trying import world_and_tasks

    _, tasks = world_and_tasks("metaworld", request.tasks)
    task = IMAGINED if IMAGINED in tasks else tasks[0]
    stages.begin(f"a learned world of {task}: rollouts, training, gates, and both recipes in it")
    folder = request.folder("state")
    policies = {recipe: folder / "policies" / f"{recipe}-1" for recipe in request.recipes}
    try:
        imagined = imagine_recipes(
            folder / "learned", task, policies, seed=request.seed, workers=request.workers, on_event=stages.on_event
        )
    except RoboscaleError as error:
        stages.on_event(Note(f"no learned world of {task}: {error}"))
        return None
    for line in imagined.lines:
        stages.on_event(Note(line))
    return imagined


def _next_order(request: RunDemo, table: Path) -> tuple[str, ...]:
    """What a campaign would order after the state round; nothing where there was none."""
    from roboscale.jobs.demo_order import next_order_lines

    if not table.exists():
        return ()
    return next_order_lines(table, request.demonstrations, request.grown, request.runs, request.trials, request.seed)


def _picture_round(
    request: RunDemo, recipes: TriedRecipes | None, imagined: ImaginedRates | None, stages: _Stages
) -> tuple[ComparedPolicies, Path]:
    probe, tasks = _probe(request, "images", stages)
    generation = _collect(request, "images", probe, stages)
    _train(request, probe, stages)
    compared = _compare(request, probe, stages)
    worse = _try_worse(request, probe, stages)
    films = 2 * FILMED * len(tasks)  # each is a trial once more, looked at about as often
    stages.begin("filming the first cases and writing the report", probe.trying(films))
    beside = () if recipes is None else (f"Of the recipes, from state inputs: {recipes.sentence}",)
    beside = beside if imagined is None else (*beside, *imagined.lines)
    return compared, _report(request, beside, compared, generation, worse, stages.on_event)


def _collect(request: RunDemo, inputs: Literal["state", "images"], probe: Probe, stages: _Stages) -> Estimate:
    """Records and multiplies; returns the share of generation attempts that were kept."""
    from roboscale.jobs.filling import Filling, generated, recorded
    from roboscale.jobs.trying import world_and_tasks
    from roboscale.stats import clopper_pearson

    _, tasks = world_and_tasks("metaworld", request.tasks)
    folder = request.folder(inputs)

    def filling(name: str, episodes: int) -> Filling:
        return Filling(
            world="metaworld",
            tasks=tasks,
            per_task=episodes,
            out=folder / name,
            seed=request.seed,
            workers=request.workers,
            images=inputs == "images",
        )

    how = "with two cameras" if inputs == "images" else "without pictures"
    few, many = request.demonstrations, request.grown
    stages.begin(f"recording {few} demonstrations per task {how}", probe.collecting(few * len(tasks)))
    recorded(filling("recorded", few), "expert", stages.on_event)
    stages.begin(f"multiplying them to {many} per task {how}", probe.collecting(many * len(tasks)))
    made = generated(filling("grown", many), folder / "recorded", stages.on_event).collected
    return clopper_pearson(sum(c.successes for c in made.values()), sum(c.attempts for c in made.values()))


def _train(request: RunDemo, probe: Probe, stages: _Stages) -> None:
    from roboscale.jobs.events import Progress
    from roboscale.jobs.training import Training, train_all, training_config

    stages.begin("training policies A and B on pictures, once each", probe.training(2, request.steps))
    config = training_config("images", "", request.steps, request.seed)
    trainings = [
        Training(request.out / dataset, request.out / name, dict(config))
        for name, dataset in (("A", "recorded"), ("B", "grown"))
    ]

    def on_progress(index: int, done: int, total: int, loss: float) -> None:
        stages.on_event(Progress(f"policy {'AB'[index]}", done, total, f"loss {loss:.4f}"))

    train_all(trainings, on_progress, at_once=request.workers)


def _compare(request: RunDemo, probe: Probe, stages: _Stages) -> ComparedPolicies:
    from roboscale.jobs.compare import Compare, compare
    from roboscale.jobs.files import write_json
    from roboscale.stats.walk import expected_pairs

    text = f"trying A and B on the same held-out cases, at most {request.budget}"
    stages.begin(text, probe.trying(2 * request.budget))
    planned = expected_pairs(*PLANTED, request.budget)
    stages.on_event(
        Note(
            f"power {planned.second:.2f}, {planned.pairs:.0f} cases on average: so often would this comparison show B "
            f"to be better if A alone solved {PLANTED[0]:.2f} of the cases and B alone {PLANTED[1]:.2f}"
        )
    )
    compared = compare(
        Compare(
            policies=(str(request.out / "A"), str(request.out / "B")),
            tasks=request.tasks,
            budget=request.budget,
            min_pairs=min(request.budget, MIN_PAIRS),
            seed=request.seed,
            workers=request.workers,
            store=str(request.out),
        ),
        on_event=stages.on_event,
    )
    write_json(request.out / "verdict.json", compared.to_json())
    return compared


def _try_worse(request: RunDemo, probe: Probe, stages: _Stages) -> Judged:
    """A and B on a few cases, in other light and from elsewhere: the panel on robustness."""
    from roboscale.jobs.compare import Compare, compare

    cases = min(WORSE_CASES, request.budget)
    arms = 1 + len(WORSE.split(","))
    stages.begin(f"trying both on {cases} cases in worse worlds: {WORSE}", probe.trying(2 * cases * arms))
    return compare(
        Compare(
            policies=(str(request.out / "A"), str(request.out / "B")),
            tasks=request.tasks,
            budget=cases,
            perturb=WORSE,
            seed=request.seed,
            workers=request.workers,
            store=str(request.out / "worse"),
        ),
        on_event=stages.on_event,
    ).judged


def _report(
    request: RunDemo,
    beside: tuple[str, ...],
    compared: ComparedPolicies,
    generation: Estimate,
    worse: Judged,
    on_event: OnEvent,
) -> Path:
    from roboscale.jobs.files import write_text
    from roboscale.jobs.films import film_cases
    from roboscale.jobs.judged import whole
    from roboscale.jobs.perturbing import duels_of, robustness_of
    from roboscale.jobs.report_data import dataset_summary, report_data, training_curve
    from roboscale.jobs.worse_pictures import worse_pictures
    from roboscale.report.trials import report_page
    from roboscale.trials.log import open_log

    judged = compared.judged
    with open_log(request.out, read_only=True) as log:
        films = film_cases(judged, whole(log, judged.used), FILMED, None)
    first, second = judged.labels.values()
    strips, unseen = worse_pictures(worse)
    data = report_data(
        judged,
        title=f"{request.demonstrations} demonstrations against {request.grown} made from them",
        created=datetime.date.today().isoformat(),
        store=str(request.out),
        command=request.command,
        descriptions={
            name: f"trained once on {what}"
            for name, what in zip((first, second), request.recipes.values(), strict=True)
        },
        films=films,
        datasets=(
            dataset_summary(request.out / "recorded", (first,)),
            dataset_summary(request.out / "grown", (second,), generation),
        ),
        training=(training_curve(request.out / "A", first), training_curve(request.out / "B", second)),
        notes=(
            *beside,
            *compared.notes,
            *(f"in worse worlds: {note}" for note in (*worse.notes, unseen) if note and note not in compared.notes),
            "Cases of the comparison are held out: their seeds occur in no data set of this report.",
        ),
    )
    page = request.out / "report.html"
    data = replace(data, perturbed=robustness_of(worse), duels=duels_of(worse), worse_pictures=strips)
    data = replace(data, next_order=_next_order(request, request.folder("state") / TABLE))
    write_text(page, report_page(data))
    on_event(Wrote("page", page))
    return page
