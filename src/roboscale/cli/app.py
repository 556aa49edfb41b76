"""The tree of commands. Nothing heavy is imported before a command runs, so that `--help` answers at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from roboscale import __version__
from roboscale.cli import (
    cases_check,
    cases_make,
    cases_show,
    collect_generate,
    collect_record,
    commands,
    compare,
    data,
    demo,
    eval,
    fuse,
    next,
    plan,
    policy,
    policy_check,
    rank,
    report,
    trials_export,
    trials_judge,
    trials_list,
    trials_merge,
    trials_work,
    validity,
    world,
)
from roboscale.cli.commands import Command
from roboscale.jobs.request import Request

__all__ = ["COMMANDS", "app", "main", "parse"]

COMMANDS: tuple[Command[Any], ...] = (
    collect_record.command,
    collect_generate.command,
    cases_make.command,
    cases_check.command,
    cases_show.command,
    policy_check.command,
    eval.command,
    compare.command,
    trials_list.command,
    trials_judge.command,
    trials_work.command,
    trials_merge.command,
    trials_export.command,
    rank.command,
    validity.command,
    fuse.command,
    next.command,
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


app.add_typer(data.app, name="data")
app.add_typer(policy.app, name="policy")
app.add_typer(world.app, name="world")
app.command("plan")(plan.plan)
app.command("report")(report.report)
app.command("demo")(demo.demo)
GROUPS = {"data": data.app, "policy": policy.app}
for one in COMMANDS:
    one.add_to(app if len(one.words) == 1 else GROUPS[one.words[0]])


def parse(args: Sequence[str]) -> Request:
    """The request that these words, without `roboscale`, would make; see `request_of`."""
    return commands.request_of(args, app, COMMANDS)


def main() -> None:
    """Entry point of the `roboscale` command."""
    app()
