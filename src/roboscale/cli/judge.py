"""`roboscale eval` and `roboscale compare`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roboscale.cli.console import (
    DryRun,
    Json,
    Seed,
    Workers,
    WorldName,
    count_bar,
    friendly,
    parse_shard,
    print_json,
    say,
    write_json,
)

if TYPE_CHECKING:
    from roboscale.cli.judging import Judged, Request, Stopping
    from roboscale.core import Trial

__all__ = ["compare", "evaluate", "run_judged", "summarise"]

Tasks = Annotated[str, typer.Option(help="Task names separated by commas, or `all`.")]
Profile = Annotated[str, typer.Option("--policy-profile", help="TOML file that maps a server's keys and actions.")]
Retries = Annotated[int, typer.Option(help="Further attempts for a trial that was void.")]
Folder = Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the results; the same one resumes.")]
Record = Annotated[Path | None, typer.Option(help="Also keep every trial as an episode of this dataset.")]


def evaluate(
    policy: Annotated[
        str, typer.Option(help="expert, noisy:expert:0.1, a checkpoint, openpi://host:port, module:name")
    ],
    world: WorldName = "metaworld",
    tasks: Tasks = "all",
    trials: Annotated[int, typer.Option(min=1, help="Trials per task.")] = 10,
    seed: Seed = 0,
    workers: Workers = None,
    render: Annotated[bool, typer.Option(help="Render all cameras at every decision, whoever looks.")] = False,
    record: Record = None,
    profile: Profile = "",
    retries: Retries = 1,
    shard: Annotated[str, typer.Option(help="i/n: only every n-th case, from the i-th (counted from 0).")] = "0/1",
    out: Folder = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Measure a policy's success rate, with its interval, on held-out cases."""
    with friendly():
        from roboscale.cli.judging import Request, default_folder, tasks_of

        request = Request(
            (policy,), world, tasks_of(world, tasks), trials, seed, retries, parse_shard(shard), profile, render
        )
        folder = out or default_folder("eval", request)
        if dry_run:
            return _announce(request, folder, as_json)
        judged = run_judged(request, folder, workers, trials * len(request.tasks), None, record)
        summary = summarise(judged)
        _export(judged, folder)
        print_json({**summary, "folder": str(folder)}) if as_json else _print_table(summary, folder)


def compare(
    policies: Annotated[list[str], typer.Argument(help="Two or more; see `roboscale eval --help` for the forms.")],
    world: WorldName = "metaworld",
    tasks: Tasks = "all",
    budget: Annotated[int, typer.Option(min=1, help="Most paired cases, over all tasks.")] = 100,
    sequential: Annotated[bool, typer.Option(help="Stop as soon as the evidence decides.")] = True,
    alpha: Annotated[float, typer.Option(min=1e-6, max=0.5, help="Two-sided type-I error.")] = 0.05,
    min_pairs: Annotated[int, typer.Option(help="Do not stop before so many pairs.")] = 1,
    seed: Seed = 0,
    workers: Workers = None,
    record: Record = None,
    profile: Profile = "",
    retries: Retries = 1,
    out: Folder = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Try policies on the same held-out cases, in turn, until a sequential test decides or the budget ends."""
    with friendly():
        from roboscale.cli.judging import Request, Stopping, default_folder, tasks_of
        from roboscale.core import RoboscaleError

        if len(policies) < 2:
            raise RoboscaleError(f"compare takes two policies or more, found {', '.join(policies)}")
        names = tasks_of(world, tasks)
        request = Request(tuple(policies), world, names, -(-budget // len(names)), seed, retries, profile=profile)
        folder = out or default_folder("compare", request)
        if dry_run:
            return _announce(request, folder, as_json)
        if len(policies) > 2:
            return _compare_many(request, folder, budget, alpha, sequential, min_pairs, workers, as_json)
        stopping = Stopping(budget, alpha, min_pairs, sequential)
        judged = run_judged(request, folder, workers, 2 * budget, stopping, record)
        verdict = judged.verdict
        assert verdict is not None, "a comparison has a verdict"
        data = {**summarise(judged), "verdict": verdict.to_json(), "folder": str(folder)}
        write_json(folder / "verdict.json", data)
        if as_json:
            print_json(data)
        else:
            print(verdict.sentence)
            say(f"roboscale report {folder}   writes it as a page with videos")


def _compare_many(
    request: Request,
    folder: Path,
    budget: int,
    alpha: float,
    sequential: bool,
    min_cases: int,
    workers: int | None,
    as_json: bool,
) -> None:
    from roboscale.cli.judging_many import judge_many

    with count_bar("trials", budget * len(request.policies)) as advance:
        done = judge_many(
            request,
            folder,
            budget=budget,
            alpha=alpha,
            sequential=sequential,
            min_cases=min_cases,
            workers=workers,
            on_trial=lambda trial: advance(1, f"{trial.policy.split('@')[0]}: {trial.outcome.status}"),
        )
    verdict = done.verdict
    data = {**summarise(done.judged), "verdict": verdict.to_json(), "folder": str(folder)}
    write_json(folder / "verdict.json", data)
    if as_json:
        return print_json(data)
    print(verdict.sentence)
    for name in verdict.names:
        print(f"  {verdict.letters[name]:4} {name:24} {verdict.estimates[name]}")
    for pair in verdict.undecided:
        more = "unknown" if pair.verdict.needed is None else f"about {pair.verdict.needed}"
        print(f"  undecided: {pair.first} and {pair.second}; further cases that would probably decide: {more}")
    say(f"roboscale rank {folder}   makes the board")


def run_judged(
    request: Request,
    folder: Path,
    workers: int | None,
    total: int,
    stopping: Stopping | None = None,
    record: Path | None = None,
) -> Judged:
    """Judges with a progress bar on stderr."""
    from roboscale.cli.judging import judge

    with count_bar("trials", total) as advance:
        counts = {"success": 0, "failure": 0, "void": 0}

        def on_trial(trial: Trial) -> None:
            counts[trial.outcome.status] += 1
            advance(1, f"{counts['success']} succeeded, {counts['failure']} failed, {counts['void']} void")

        return judge(request, folder, workers=workers, stopping=stopping, record=record, on_trial=on_trial)


def _announce(request: Request, folder: Path, as_json: bool) -> None:
    plan = {**request.to_json(), "folder": str(folder), "trials_in_all": _total(request)}
    if as_json:
        print_json(plan)
    else:
        print(f"would run up to {_total(request)} trials into {folder}:")
        for policy in request.policies:
            print(f"  {policy} on {len(request.tasks)} tasks of {request.world}, {request.trials} cases each")


def _total(request: Request) -> int:
    return request.trials * len(request.tasks) * len(request.policies) // request.shard[1]


def summarise(judged: Judged) -> dict[str, Any]:
    """JSON of all rates with their intervals, damage and void trials."""
    from roboscale.cli.judging import rates, share
    from roboscale.report import DamageSummary

    found: dict[str, Any] = {
        "world": judged.world_id,
        "success_rule": str(judged.world.success_rule),
        "horizon": judged.world.horizon,
        "seed": judged.request.seed,
        "versions": judged.versions,
        "policies": {},
    }
    for name in judged.names:
        trials = judged.of(name)
        counted = [t for t in trials if t.outcome.success is not None]
        damage = DamageSummary.of([t.outcome.damage for t in counted], share(judged))
        tasks = dict.fromkeys(t.case.task for t in trials)
        found["policies"][name] = {
            "mean_success": rates(judged, trials).to_json(),
            "tasks": {task: rates(judged, judged.of(name, task)).to_json() for task in tasks},
            "void": [{"case": t.case.id, "reason": t.outcome.reason} for t in trials if t.outcome.success is None],
            "damage": asdict(damage),
        }
    return found


def _export(judged: Judged, folder: Path) -> None:
    from roboscale.stats import wilson
    from roboscale.trials import to_eval_info

    write_json(folder / "eval_info.json", to_eval_info(judged.of(judged.names[0]), wilson))


def _print_table(summary: dict[str, Any], folder: Path) -> None:
    from roboscale.core import Estimate

    print(f"{summary['world']}, seed {summary['seed']}")
    for name, policy in summary["policies"].items():
        for task, rate in policy["tasks"].items():
            print(f"  {task:32} {Estimate(**rate)}")
        print(f"{name}: success {Estimate(**policy['mean_success'])}")
        for void in policy["void"]:
            say(f"void: {void['case']}: {void['reason']}")
    say(f"trials, and LeRobot's eval_info.json: {folder}")
