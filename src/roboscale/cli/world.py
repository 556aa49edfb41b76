"""`roboscale world`: where policies are tried."""

from __future__ import annotations

from typing import Annotated

import typer

from roboscale.cli.console import DryRun, Json, Seed, count_bar, friendly, print_json, say

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Worlds: list, check.")


@app.command("list")
def list_worlds(
    world: Annotated[str, typer.Argument(help="List the tasks of this world.")] = "", as_json: Json = False
) -> None:
    """List the worlds, or the tasks of one with their instructions."""
    with friendly():
        from roboscale.worlds import WORLDS, open_world

        if not world:
            return print_json({"worlds": sorted(WORLDS)}) if as_json else print("\n".join(sorted(WORLDS)))
        opened = open_world(world)
        tasks = {task: opened.instruction(task) for task in opened.tasks}
        opened.close()
        if as_json:
            return print_json({"world": world, "tasks": tasks, "capabilities": opened.capabilities.to_json()})
        for task, instruction in tasks.items():
            print(f"{task:32} {instruction}")


@app.command()
def check(
    world: Annotated[str, typer.Argument(help="A world, or a TOML declaration.")] = "metaworld",
    tasks: Annotated[str, typer.Option(help="Task names separated by commas, or `all`.")] = "all",
    determinism: Annotated[bool, typer.Option(help="Run each case twice and compare every byte.")] = False,
    images: Annotated[bool, typer.Option(help="Compare the pictures too.")] = False,
    seed: Seed = 0,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Check that a world keeps its promises, task by task; exit code 1 when one is broken."""
    with friendly():
        from roboscale.cli.judging import expand_tasks
        from roboscale.testing.world_checks import check_world
        from roboscale.worlds import open_world

        opened = open_world(world)
        names = expand_tasks(opened, tasks)
        if dry_run:
            say(f"would check {len(names)} tasks of {world}")
            return opened.close()
        findings: dict[str, list[str]] = {}
        with count_bar("tasks", len(names)) as advance:
            for task in names:
                findings[task] = check_world(opened, task, seed=seed, determinism=determinism, images=images)
                advance(1, task)
        opened.close()
        broken = {task: found for task, found in findings.items() if found}
        if as_json:
            print_json({"world": world, "tasks": findings, "ok": not broken})
        else:
            for task, found in findings.items():
                print(f"{task:32} {'; '.join(found) or ('same bytes twice' if determinism else 'ok')}")
        if broken:
            raise typer.Exit(1)
