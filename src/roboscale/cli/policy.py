"""`roboscale policy serve`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from roboscale.cli.console import DryRun, Json, WorldName, friendly, print_json, say

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Policies: train, serve.")


@app.callback()
def group() -> None:
    """Policies: train, serve."""


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
        from roboscale.policies.resolve import resolve_policy
        from roboscale.policies.serve import serve_policy
        from roboscale.worlds import open_world

        resolved = resolve_policy(policy, world=open_world(world) if world else None, seed=seed)
        place = {"policy": resolved.name, "host": host, "port": port}
        if dry_run:
            return print_json(place)

        def on_ready(bound: int) -> None:
            print_json({**place, "port": bound}) if as_json else say(f"serving {resolved.name} on ws://{host}:{bound}")

        serve_policy(
            resolved,
            host,
            port,
            token=os.environ.get(token_variable),
            on_ready=on_ready,
        )
