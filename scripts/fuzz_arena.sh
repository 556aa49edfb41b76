#!/usr/bin/env bash
# Fuzzes an arena's server by its OpenAPI document with schemathesis, which lives in an environment of its own
# (.venv-fuzz). Seconds by default 120. Safe to run again: what is installed stays.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.venv-fuzz
here=.venv/bin/python

[ -x "$here" ] || { echo "no .venv yet: run make test or scripts/setup.sh first" >&2; exit 1; }

if [ ! -f "$venv/stamp" ] || [ scripts/fuzz_arena.sh -nt "$venv/stamp" ]; then
  [ -x "$venv/bin/python" ] || "$here" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check 'schemathesis==4.32.5'
  touch "$venv/stamp"
fi
"$here" -m tests.fuzz.fuzz_arena "$venv/bin/schemathesis" --seconds "${1:-120}"
