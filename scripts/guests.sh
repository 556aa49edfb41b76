#!/usr/bin/env bash
# Installs the guests that this machine can hold, runs their checks, and compares a LeRobot checkpoint's episodes with
# LeRobot's own evaluation of it, seed by seed. Safe to run again: what is installed stays.
#   SEEDS=50 scripts/guests.sh
set -euo pipefail
cd "$(dirname "$0")/.."
here=.venv/bin
seeds=${SEEDS:-10}

[ -x "$here/roboscale" ] || { echo "no .venv yet: run make test or scripts/setup.sh first" >&2; exit 1; }
"$here/roboscale" guest list
"$here/roboscale" guest install lerobot
"$here/roboscale" guest check lerobot

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
guest=$("$here/python" -c 'from roboscale.guests import *; print(environment_of(find_guest("lerobot")).python)')
"$guest" scripts/guests/lerobot_peer.py make "$work/act" >"$work/log" 2>&1 || { tail -5 "$work/log" >&2; exit 1; }
"$guest" scripts/guests/lerobot_peer.py eval "$work/act" 1000 "$seeds" >"$work/theirs.json" 2>"$work/log" ||
  { tail -5 "$work/log" >&2; exit 1; }
"$here/roboscale" eval --world pusht --policy "lerobot:$work/act" --policy-profile scripts/guests/pusht.toml \
  --seeds "1000:$((1000 + seeds))" --store "$work/trials"
"$here/roboscale" trials export "$work/trials" "$work/ours.json"
"$here/python" scripts/guests/compare_rewards.py "$work/theirs.json" "$work/ours.json"
