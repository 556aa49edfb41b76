"""`roboscale policy`: learn from episodes, and serve what was learned."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from roboscale.cli.console import DryRun, Json, WorldName, count_bar, friendly, print_json, say

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Policies: train, serve.")


@app.command()
def train(
    dataset: Annotated[Path, typer.Argument(help="A LeRobotDataset v3.0.")],
    out: Annotated[Path, typer.Argument(help="Folder of the policy; one that is half trained is resumed.")],
    inputs: Annotated[str, typer.Option(help="images (cameras and proprioception) or state (fast).")] = "images",
    head: Annotated[str, typer.Option(help="flow or regression.")] = "",
    steps: Annotated[int, typer.Option(min=0, help="Optimiser steps; 0 takes the default of the inputs.")] = 0,
    setting: Annotated[list[str], typer.Option("--set", help="Any other setting as name=value, repeated.")] = [],  # noqa: B006
    seed: Annotated[int, typer.Option(help="Seed of weights and batches.")] = 0,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Train the built-in policy on the processor."""
    with friendly():
        from roboscale.cli.training import Training, run_training
        from roboscale.policies.builtin.config import TrainConfig

        chosen = training_config(inputs, head, steps, seed, setting)
        config = TrainConfig.from_json(chosen)
        if dry_run:
            return print_json({"dataset": str(dataset), "out": str(out), "config": config.to_json()})
        with count_bar(str(out), config.steps) as advance:
            done = [0]

            def progress(step: int, total: int, loss: float) -> None:
                advance(step - done[0], f"loss {loss:.4f}")
                done[0] = step

            run_training(Training(dataset, out, config.to_json()), progress)
        print_json({"policy": str(out), "config": config.to_json()}) if as_json else print(f"trained {out}")


def training_config(
    inputs: str, head: str, steps: int, seed: int, settings: list[str] | None = None
) -> dict[str, object]:
    """Fields of a `TrainConfig` from the command line; the defaults of the inputs where nothing is said."""
    import json

    from roboscale.core import RoboscaleError
    from roboscale.policies.builtin.config import TrainConfig

    chosen: dict[str, object] = {**TrainConfig(inputs=inputs).to_json(), "seed": seed}
    if head:
        chosen["head"] = head
    if steps:
        chosen["steps"] = steps
    for text in settings or []:
        name, equals, value = text.partition("=")
        if not equals:
            raise RoboscaleError(f"--set: expected name=value, found {text!r}")
        try:
            chosen[name] = json.loads(value)
        except json.JSONDecodeError:
            chosen[name] = value
    return chosen


@app.command()
def serve(
    policy: Annotated[str, typer.Argument(help="Any policy of `roboscale eval --help`, e.g. a checkpoint.")],
    host: Annotated[str, typer.Option(help="Address to listen on; others than loopback need a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port.")] = 8000,
    token_variable: Annotated[
        str, typer.Option(help="Environment variable that holds the token clients must send.")
    ] = "ROBOSCALE_TOKEN",
    world: WorldName = "",
    seed: Annotated[int, typer.Option(help="Seed of a noisy or replaying policy.")] = 0,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Serve a policy to openpi clients. `--world` names the world where the policy needs one (expert)."""
    with friendly():
        from roboscale.policies.remote import serve_policy, serving_notes
        from roboscale.policies.resolve import resolve_policy
        from roboscale.worlds import open_world

        resolved = resolve_policy(policy, world=open_world(world) if world else None, seed=seed)
        place = {"policy": resolved.name, "host": host, "port": port}
        if dry_run:
            return print_json(place)

        def on_ready(bound: int) -> None:
            for note in serving_notes(resolved):
                say(note)
            print_json({**place, "port": bound}) if as_json else say(f"serving {resolved.name} on ws://{host}:{bound}")

        serve_policy(
            resolved,
            host,
            port,
            token=os.environ.get(token_variable),
            on_ready=on_ready,
        )
