"""`roboscale world`: where policies are tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from roboscale.cli.console import DryRun, Json, Seed, count_bar, friendly, print_json, say

if TYPE_CHECKING:
    from roboscale.core import Finding, WorldInfo

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Worlds: list, check.")


@app.command("list")
def list_worlds(
    world: Annotated[str, typer.Argument(help="List the tasks of this world.")] = "", as_json: Json = False
) -> None:
    """List the worlds that can be used here, or the tasks of one with their instructions."""
    with friendly():
        from roboscale.worlds import WORLDS, open_world

        if world:
            return _print_tasks(open_world(world).info, as_json)
        here = {name: built_in.about for name, built_in in WORLDS.items() if not built_in.missing}
        absent = {name: built_in for name, built_in in WORLDS.items() if built_in.missing}
        if as_json:
            others = {n: {"extra": b.extra, "missing": list(b.missing)} for n, b in absent.items()}
            return print_json({"worlds": here, "not_installed": others})
        for name, about in here.items():
            print(f"{name:16} {about}")
        for name, built_in in absent.items():
            say(f"not here: {name} ({', '.join(built_in.missing)} not installed; {built_in.advice})")


def _print_tasks(info: WorldInfo, as_json: bool) -> None:
    if as_json:
        said: dict[str, Any] = {
            "world": info.name,
            "version": info.version,
            "identity": info.identity.to_json(),
            "kind": info.kind,
            "tasks": dict(info.tasks),
            "horizon": info.horizon,
            "rate_hz": info.rate_hz,
            "rule": str(info.rule),
            "measures": {m.name: {"unit": m.unit, "about": m.about} for m in info.measures},
            "variations": list(info.variations),
            "deterministic": info.deterministic,
        }
        return print_json(said)
    for task, instruction in info.tasks.items():
        print(f"{task:32} {instruction}")
    return None


@app.command()
def check(
    world: Annotated[
        str, typer.Argument(help="A world, a TOML declaration, or a class as file.py:Name or module:Name.")
    ] = "metaworld",
    tasks: Annotated[str, typer.Option(help="Task names separated by commas, or `all`.")] = "all",
    determinism: Annotated[
        bool, typer.Option(help="Compare every byte of a case run twice also where the world does not promise it.")
    ] = False,
    images: Annotated[bool, typer.Option(help="Compare the pictures too.")] = False,
    seed: Seed = 0,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Check that a world keeps its promises, task by task; exit code 1 when one is broken."""
    with friendly():
        from roboscale.testing.world_checks import check_world, success_rule
        from roboscale.worlds import open_world

        opened = open_world(world)
        names = list(opened.info.tasks) if tasks == "all" else [name.strip() for name in tasks.split(",")]
        for name in names:
            opened.info.instruction(name)  # UnknownName before the first is checked
        if dry_run:
            say(f"would check {len(names)} tasks of {world}")
            return opened.close()
        findings: dict[str, list[Finding]] = {}
        with count_bar("tasks", len(names)) as advance:
            for task in names:
                checked = check_world(opened, task, seed=seed, determinism=determinism, images=images)
                findings[task] = [success_rule(opened, task), *checked]
                advance(1, task)
        opened.close()
        broken = [task for task, given in findings.items() if any(f.severity == "error" for f in given)]
        if as_json:
            listed = {task: [f.to_json() for f in given] for task, given in findings.items()}
            print_json({"world": world, "identity": opened.info.identity.to_json(), "tasks": listed, "ok": not broken})
        else:
            _print_findings(findings, opened.info, determinism)
        if broken:
            raise typer.Exit(1)


def _print_findings(findings: dict[str, list[Finding]], info: WorldInfo, determinism: bool) -> None:
    for task, given in findings.items():
        compared = info.kind != "real" and (determinism or info.deterministic)
        well = "ok, same bytes again" if compared else "ok"
        worst = [f for f in given if f.severity != "info"]
        print(f"{task:32} {well if not worst else f'{len(worst)} found'}")
        for finding in (*worst, *(f for f in given if f.severity == "info")):
            print(f"  {finding.severity}: {finding.text}")
    if not info.identity.verified:
        say(f"not known by its content alone: {'; '.join(info.identity.unverified)}")
