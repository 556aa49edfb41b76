"""The tree of commands. Nothing heavy is imported before a command runs, so that `--help` answers at once."""

from __future__ import annotations

import typer

from roboscale.cli import collect, data, demo, judge, plan, policy, report, trials, weigh, world

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Scale action data for robot policies, and weigh the policies.",
)
app.add_typer(collect.app, name="collect")
app.add_typer(data.app, name="data")
app.add_typer(policy.app, name="policy")
app.add_typer(world.app, name="world")
app.command("eval")(judge.evaluate)
app.command("compare")(judge.compare)
app.command("rank")(weigh.rank)
app.command("validity")(weigh.validity)
app.command("fuse")(weigh.fuse)
app.command("next")(weigh.next_)
app.command("plan")(plan.plan)
app.add_typer(trials.app, name="trials")
app.command("report")(report.report)
app.command("demo")(demo.demo)


def main() -> None:
    """Entry point of the `roboscale` command."""
    app()
