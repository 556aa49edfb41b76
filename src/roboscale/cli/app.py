"""The tree of commands. Nothing heavy is imported before a command runs, so that `--help` answers at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from roboscale import __version__
from roboscale.cli import (
    collect,
    data_audit,
    data_export,
    data_import,
    data_merge,
    data_repair,
    data_show,
    demo,
    fuse,
    judge,
    next,
    plan,
    policy,
    policy_train,
    rank,
    report,
    trials,
    validity,
    world,
)
from roboscale.cli.commands import Command, request_of
from roboscale.jobs.request import Request

__all__ = ["COMMANDS", "app", "main", "parse"]

COMMANDS: tuple[Command[Any], ...] = (
    data_import.command,
    data_export.command,
    data_audit.command,
    data_repair.command,
    data_merge.command,
    data_show.command,
    policy_train.command,
    rank.command,
    validity.command,
    fuse.command,
    next.command,
    plan.command,
)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"roboscale {__version__}")
        raise typer.Exit


@app.callback()
def roboscale(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Scale action data for robot policies, and weigh the policies."""


GROUPS = {
    "collect": collect.app,
    "data": typer.Typer(no_args_is_help=True, help="Keep episodes: import, export, audit, repair, merge, show."),
    "policy": policy.app,
    "world": world.app,
    "trials": trials.app,
}
for name, group in GROUPS.items():
    app.add_typer(group, name=name)
app.command("eval")(judge.evaluate)
app.command("compare")(judge.compare)
app.command("report")(report.report)
app.command("demo")(demo.demo)
for command in COMMANDS:
    command.add_to(app if len(command.words) == 1 else GROUPS[command.words[0]])


def parse(args: Sequence[str]) -> Request:
    """The request that these words, without `roboscale`, would make; see `request_of`."""
    return request_of(args, app, COMMANDS)


def main() -> None:
    """Entry point of the `roboscale` command."""
    app()
