"""`roboscale rank`, `next`, `validity` and `fuse`: what results of many policies and worlds allow to say."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from roboscale.cli.console import Json, friendly, one_of, print_json, say, write_text
from roboscale.cli.versions import versions

__all__ = ["fuse", "next_", "rank", "validity"]

Sources = Annotated[
    list[str],
    typer.Argument(
        help="trials.db or its folder, eval_info.json, RoboArena sessions, CSV, JSON or Parquet; NAME=PATH names the "
        "policy of a file that does not."
    ),
]
Level = Annotated[float, typer.Option(min=0.5, max=0.999, help="Confidence level of intervals and rank sets.")]
Page = Annotated[Path | None, typer.Option("--html", help="Write the result as one offline page.")]
By = Annotated[str, typer.Option(help="Compare by auto, success, progress or preference.")]
_BASES = ("auto", "success", "progress", "preference")


def rank(
    sources: Sources,
    by: By = "auto",
    level: Level = 0.95,
    sets: Annotated[
        str, typer.Option(help="Rank sets by auto, holm, bootstrap, or anytime where results chose the trials.")
    ] = "auto",
    html: Page = None,
    as_json: Json = False,
) -> None:
    """Make the board of several policies: the ranks each may have, scores, rates and letters."""
    with friendly():
        from roboscale.cli.standing import load_results, standing_of
        from roboscale.report.board import BoardData, board_page, board_text

        results = load_results(sources)
        method = one_of("--sets", sets, ("auto", "holm", "bootstrap", "anytime"))
        found = standing_of(results, one_of("--by", by, _BASES), level, None if method == "auto" else method)
        board = BoardData(
            found.ranking,
            found.rates,
            found.per_task,
            dict(found.letters),
            statements=() if found.verdict is None else (found.verdict.sentence,),
            method="" if found.verdict is None else found.verdict.method,
            sources=(results.source,),
            command=shlex.join(["roboscale", "rank", *sources, "--by", by, "--level", f"{level:g}", "--sets", sets]),
            versions=versions(),
        )
        if html is not None:
            write_text(html, board_page(board))
            say(f"page: {html}")
        if as_json:
            verdict = None if found.verdict is None else found.verdict.to_json()
            rates = {name: rate.to_json() for name, rate in found.rates.items()}
            letters = dict(found.letters)
            return print_json(
                {
                    "basis": found.basis,
                    "ranking": found.ranking.to_json(),
                    "rates": rates,
                    "letters": letters,
                    "verdict": verdict,
                }
            )
        print(board_text(board))


def next_(
    sources: Sources,
    world: Annotated[
        list[str] | None, typer.Option(help="NAME:COST[:WORTH[:BUDGET]], cost of one comparison; may repeat.")
    ] = None,
    budget: Annotated[float | None, typer.Option(help="Most to spend, in the unit of the costs.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Most comparisons to name.")] = 10,
    evaluator: Annotated[list[str] | None, typer.Option(help="NAME:SLOTS, who can run how many.")] = None,
    by: By = "auto",
    as_json: Json = False,
) -> None:
    """Name the next trials, in order, by what each is expected to buy for its cost."""
    with friendly():
        from dataclasses import replace

        from roboscale.cli.standing import load_results, next_picks, parse_venue

        venues = [parse_venue(text) for text in world or ["real:1"]]
        if budget is not None:
            venues = [replace(v, budget=budget if v.budget is None else min(v.budget, budget)) for v in venues]
        plan = next_picks(
            load_results(sources),
            venues,
            count=count,
            evaluators=evaluator or (),
            basis=one_of("--by", by, _BASES),
        )
        if as_json:
            return print_json(plan.to_json())
        print(plan.sentence)
        for number, pick in enumerate(plan.picks, 1):
            who = f" by {pick.evaluator}" if pick.evaluator else ""
            print(
                f"{number:3}. {pick.first} and {pick.second} on {pick.case} in {pick.world}{who}, cost {pick.cost:g}"
            )
            print(f"     {pick.reason}")


def validity(
    real: Annotated[str, typer.Option(help="Results on the real robot; any form that `rank` reads.")],
    cheap: Annotated[str, typer.Option(help="Results of the same policies in the cheap world.")],
    task: Annotated[str, typer.Option(help="Only this task; default: all tasks together.")] = "",
    level: Level = 0.95,
    html: Page = None,
    as_json: Json = False,
) -> None:
    """Say whether a simulator or learned world is a valid judge of policies: its validity card."""
    with friendly():
        from roboscale.cli.agreeing import card_of

        found = card_of(real, cheap, task, level)
        if html is not None:
            from roboscale.report.validity import ValidityData, validity_page

            command = shlex.join(["roboscale", "validity", "--real", real, "--cheap", cheap])
            about = {"sources": (real, cheap), "command": command, "versions": versions()}
            data = ValidityData.of(found.card, found.real, found.cheap, **about)
            write_text(html, validity_page(data))
            say(f"page: {html}")
        print_json(found.card.to_json()) if as_json else print(found.card)


def fuse(
    real: Annotated[str, typer.Option(help="Results on the real robot; any form that `rank` reads.")],
    cheap: Annotated[
        str, typer.Option(help="Results in the cheap world: the same cases, and as many more as there are.")
    ],
    mode: Annotated[str, typer.Option(help="auto, ppi or betting (never below its coverage, wider).")] = "auto",
    level: Level = 0.95,
    as_json: Json = False,
) -> None:
    """Combine few real and many cheap trials into one interval, and say how many real trials that saved."""
    with friendly():
        from roboscale.cli.agreeing import fused

        found = fused(real, cheap, mode, level)
        if as_json:
            return print_json({name: one.to_json() for name, one in found.items()})
        for name, one in found.items():
            print(f"{name}: {one.estimate}")
            print(f"  real trials alone: {one.real_only}")
            print(f"  {one.sentence}")
