"""Sends what schemathesis makes of the arena's OpenAPI document to a server, as every role; no answer may be a 5xx.

    python -m tests.fuzz.fuzz_arena .venv-fuzz/bin/schemathesis --seconds 120

The server knows a robot, policies and a match, so that ids exist. `scripts/fuzz_arena.sh` makes schemathesis an
environment of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from roboscale.arena.arena import ArenaRules
from roboscale.core import combine
from roboscale.jobs.arena_hosting import HostedArena
from roboscale.web.arena.operations import openapi
from tests.arena.players import crew_of, station

ROLES = ("organiser", "evaluator", "owner")
WAITS = "pull"  # for its own policy's observations, by design
ENDS = "revoke"  # would end the account that asks


def fuzz(schemathesis: str, seconds: int) -> list[str]:
    """Roles for which an answer was a 5xx, or schemathesis could not run."""
    failed = []
    with (
        tempfile.TemporaryDirectory(prefix="fuzz-arena-") as folder,
        HostedArena(folder, rules=ArenaRules(checks=False), rate_hz=1e9) as hosted,
    ):
        hosted.server.allows = lambda asker: True  # type: ignore[method-assign]
        arena = hosted.arena
        accounts, tokens = {}, {}
        for role in ROLES:
            accounts[role], tokens[role] = arena.join(arena.invite(None, role, f"our {role}s"), role)
        made = crew_of(arena)
        made.evaluators[0], made.stations[0] = accounts["evaluator"], station(arena, accounts["evaluator"])
        mine = arena.add_policy(accounts["owner"], "mine", combine("mine", "mine"), False).id
        there = {"match": made.draw().id, "robot": made.stations[0].id, "policy": mine, "letter": "A", "attempt": 0}
        document = Path(folder) / "openapi.json"
        document.write_text(json.dumps(_with_ids(there)))
        url = hosted.serve().url
        for role in ("", *ROLES):
            asked = [schemathesis, "run", str(document), "--url", url, "--checks", "not_a_server_error"]
            asked += ["--exclude-operation-id", WAITS, "--exclude-operation-id", ENDS, "--continue-on-failure"]
            asked += ["--max-time", str(max(1, seconds // 4)), "--warnings", "off", "--no-color"]
            asked += ["--suppress-health-check", "all", "--request-timeout", "30"]
            header = ["--header", f"Authorization: Bearer {tokens[role]}"] if role else []
            print(f"as {role or 'nobody'}", flush=True)
            if subprocess.run([*asked, *header], cwd=folder).returncode:
                failed.append(role or "nobody")
    return failed


def _with_ids(there: dict[str, Any]) -> dict[str, Any]:
    """The document, with things that are there in its paths as often as things that are not."""
    document = openapi()
    for path in document["paths"].values():
        for said in path.values():
            for one in said["parameters"]:
                if one["in"] == "path" and one["name"] in there:
                    one["schema"] = {"enum": [there[one["name"]], "0" * 32 if one["name"] != "attempt" else 1]}
    return document


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("schemathesis", type=Path)
    parser.add_argument("--seconds", type=int, default=120)
    asked = parser.parse_args()
    failed = fuzz(str(asked.schemathesis.absolute()), asked.seconds)
    print(f"5xx as {', '.join(failed)}" if failed else "no 5xx as any role")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
