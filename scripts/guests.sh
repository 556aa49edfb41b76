#!/usr/bin/env bash
# Installs the guests that this machine can hold, runs their checks, and compares a LeRobot checkpoint's episodes with
# LeRobot's own evaluation of it, seed by seed; a policy and a world of two guests meet; LeRobot 0.6's own evaluation runs
# in a world of ours. Safe to run again: what is installed stays.
#   SEEDS=50 scripts/guests.sh
set -euo pipefail
cd "$(dirname "$0")/.."
here=.venv/bin
seeds=${SEEDS:-10}

[ -x "$here/roboscale" ] || { echo "no .venv yet: run make test or scripts/setup.sh first" >&2; exit 1; }
"$here/roboscale" guest list
for name in lerobot so101 aloha robosuite; do
  "$here/roboscale" guest install "$name"
  "$here/roboscale" guest check "$name"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
guest=$("$here/python" -c 'from roboscale.guests import *; print(environment_of(find_guest("lerobot")).python)')
"$guest" scripts/guests/lerobot_peer.py make "$work/act" spiral >"$work/log" 2>&1 || { tail -5 "$work/log" >&2; exit 1; }
"$guest" scripts/guests/lerobot_peer.py eval "$work/act" 1000 "$seeds" >"$work/theirs.json" 2>"$work/log" ||
  { tail -5 "$work/log" >&2; exit 1; }
"$here/roboscale" eval --world pusht --policy "lerobot:$work/act" --policy-profile scripts/guests/pusht.toml \
  --seeds "1000:$((1000 + seeds))" --store "$work/trials"
"$here/roboscale" trials export "$work/trials" "$work/ours.json"
"$here/python" scripts/guests/compare_rewards.py "$work/theirs.json" "$work/ours.json"

echo "== ManiSkill 3, where a Vulkan driver of Mesa 25 can be had"
if "$here/roboscale" guest install maniskill; then
  guests=$("$here/python" -c 'from roboscale.guests.definition import guests_folder; print(guests_folder())')
  "$here/roboscale" guest check maniskill ||
    { bash src/roboscale/guests/known/maniskill/vulkan.sh "$guests/maniskill/vulkan" && "$here/roboscale" guest check maniskill; } ||
    echo "ManiSkill was left out" >&2
fi

echo "== a policy of one guest in the world of another"
"$guest" scripts/guests/lerobot_peer.py make "$work/so101" so101 >"$work/log" 2>&1 || { tail -5 "$work/log" >&2; exit 1; }
"$here/roboscale" eval --world so101:pick-place --policy "lerobot:$work/so101" --trials 3 --horizon 30 --workers 0

echo "== LeRobot 0.6's own evaluation, unmodified, in a world of ours"
if ! "$here/roboscale" guest install lerobot06; then
  echo "LeRobot 0.6 was left out" >&2
  exit 0
fi
"$here/roboscale" guest check lerobot06
newer=$("$here/python" -c 'from roboscale.guests import *; print(environment_of(find_guest("lerobot06")).python)')
cp -r plugins/lerobot_env_roboscale "$work/plugin" # built in a copy: a build leaves folders behind
"$newer" -m pip install -q --no-deps --target "$work/plugged" "$work/plugin"
PYTHONPATH="$work/plugged:$PWD/src" HF_HUB_OFFLINE=1 SDL_VIDEODRIVER=dummy "$(dirname "$newer")/lerobot-eval" \
  --policy.path="$work/act" --policy.device=cpu --env.type=roboscale --env.world=pusht --env.python="$PWD/$here/python" \
  --eval.n_episodes=2 --eval.batch_size=2 --seed=1000 --output_dir="$work/newer" \
  --rename_map='{"observation.images.top": "observation.image"}' >"$work/log" 2>&1 || { tail -20 "$work/log" >&2; exit 1; }
"$here/roboscale" eval --world pusht --policy "lerobot06:$work/act" --policy-profile scripts/guests/pusht.toml \
  --seeds 1000:1002 --store "$work/newer-trials"
"$here/roboscale" trials export "$work/newer-trials" "$work/newer.json"
"$here/python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["per_task"][0]["metrics"]["max_rewards"])' \
  "$work/newer/eval_info.json" >"$work/newer-theirs.json"
"$here/python" scripts/guests/compare_rewards.py "$work/newer-theirs.json" "$work/newer.json"
