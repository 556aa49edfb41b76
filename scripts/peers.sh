#!/usr/bin/env bash
# Compares `roboscale count` and `roboscale power` with statsmodels and with the public package fieldtrial, which live in
# an environment of their own (.venv-peers). Safe to run again: what is installed stays.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.venv-peers
here=.venv/bin/python

[ -x "$here" ] || { echo "no .venv yet: run make test or scripts/setup.sh first" >&2; exit 1; }

if [ ! -f "$venv/stamp" ] || [ scripts/peers.sh -nt "$venv/stamp" ]; then
  [ -x "$venv/bin/python" ] || "$here" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check 'fieldtrial==0.3.0' 'statsmodels==0.15.0'
  touch "$venv/stamp"
fi
"$here" -m pytest -q tests/stats/test_peers.py tests/trials/test_study_peers.py
