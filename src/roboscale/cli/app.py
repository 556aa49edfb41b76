"""The tree of commands. Nothing heavy is imported before a command runs, so that `--help` answers at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from roboscale import __version__
from roboscale.cli import (
    arena_demo,
    arena_evaluate,
    arena_export,
    arena_import,
    arena_invite,
    arena_join,
    arena_offer,
    arena_publish,
    arena_serve,
    campaign,
    cases_check,
    cases_make,
    cases_show,
    check,
    collect_augment,
    collect_calibrate,
    collect_dream,
    collect_generate,
    collect_handheld,
    collect_human,
    collect_record,
    collect_tags,
    collect_teleop,
    compare,
    count,
    data_align,
    data_audit,
    data_contribute,
    data_curate,
    data_export,
    data_fix,
    data_import,
    data_info,
    data_merge,
    data_mix,
    data_pool,
    data_show,
    demo,
    eval,
    event,
    fuse,
    guest_check,
    guest_clean,
    guest_install,
    guest_list,
    guest_remove,
    next,
    plan,
    policy_check,
    policy_serve,
    policy_train,
    power,
    rank,
    report,
    robot_demo,
    runs,
    study_amend,
    study_init,
    study_lock,
    study_unblind,
    trials_export,
    trials_judge,
    trials_list,
    trials_merge,
    trials_replay,
    trials_work,
    validity,
    watch,
    why,
    world_check,
    world_list,
    world_play,
    world_train,
)
from roboscale.cli.commands import Command, request_of
from roboscale.jobs.request import Request

__all__ = ["COMMANDS", "app", "parse"]

COMMANDS: tuple[Command[Any], ...] = (
    demo.command,
    collect_record.command,
    collect_teleop.command,
    collect_generate.command,
    collect_handheld.command,
    collect_human.command,
    collect_tags.command,
    collect_calibrate.command,
    collect_augment.command,
    collect_dream.command,
    data_info.command,
    data_import.command,
    data_export.command,
    data_audit.command,
    data_curate.command,
    data_fix.command,
    data_merge.command,
    data_mix.command,
    data_pool.command,
    data_contribute.command,
    data_align.command,
    data_show.command,
    policy_serve.command,
    policy_check.command,
    world_list.command,
    world_check.command,
    world_train.command,
    world_play.command,
    guest_list.command,
    guest_install.command,
    guest_check.command,
    guest_remove.command,
    guest_clean.command,
    cases_make.command,
    cases_check.command,
    cases_show.command,
    eval.command,
    compare.command,
    watch.command,
    robot_demo.command,
    study_init.command,
    study_lock.command,
    study_amend.command,
    study_unblind.command,
    check.command,
    count.command,
    power.command,
    report.command,
    trials_list.command,
    trials_judge.command,
    trials_replay.command,
    trials_work.command,
    trials_merge.command,
    trials_export.command,
    runs.command,
    why.command,
    policy_train.command,
    rank.command,
    validity.command,
    fuse.command,
    next.command,
    plan.command,
    campaign.command,
    event.command,
    arena_serve.command,
    arena_demo.command,
    arena_invite.command,
    arena_join.command,
    arena_offer.command,
    arena_evaluate.command,
    arena_export.command,
    arena_publish.command,
    arena_import.command,
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
    "arena": typer.Typer(no_args_is_help=True, help="Blind matches between labs: serve, demo, join, offer, evaluate."),
    "collect": typer.Typer(
        no_args_is_help=True, help="Make episodes: record, teleop, generate, augment, dream, handheld, human."
    ),
    "data": typer.Typer(no_args_is_help=True, help="Keep episodes: import, export, audit, fix, merge, show."),
    "policy": typer.Typer(no_args_is_help=True, help="Policies: train, serve, check."),
    "world": typer.Typer(no_args_is_help=True, help="Worlds: list, check, train, play."),
    "guest": typer.Typer(no_args_is_help=True, help="Packages of others in environments of their own."),
    "cases": typer.Typer(no_args_is_help=True, help="What is to be tried, agreed on before: make, check, show."),
    "robot": typer.Typer(no_args_is_help=True, help="Robots: a stand-in to try the bench with."),
    "study": typer.Typer(no_args_is_help=True, help="Blind studies at a bench: init, lock, amend, unblind."),
    "trials": typer.Typer(no_args_is_help=True, help="What was tried: list, judge, replay, work, merge, export."),
}
for name, group in GROUPS.items():
    app.add_typer(group, name=name)
for command in COMMANDS:
    command.add_to(app if len(command.words) == 1 else GROUPS[command.words[0]])


def parse(args: Sequence[str]) -> Request:
    """The request that these words, without `roboscale`, would make; see `request_of`."""
    return request_of(args, app, COMMANDS)
