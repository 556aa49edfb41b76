#!/usr/bin/env bash
# Tries both ends of the declared version ranges: the lowest releases on the oldest Python that is supported, the newest
# on the newest one that is here. Each end gets an environment of its own, which is thrown away.
#   scripts/version_ends.sh              both ends
#   scripts/version_ends.sh lowest       one of them
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

extras=(data pages worlds records remote web)  # small ones; `sim`, `train` and `gym` are pinned to one release
tools=(pytest hypothesis httpx 'zarr>=3')
tests=(tests/core tests/dataset tests/trials tests/policies tests/report tests/web tests/curate tests/stats/test_walk.py
  tests/stats/test_barnard.py tests/stats/test_paired.py tests/sources/records)
# What needs an extra that is not installed here: torch, simulators, and the tfrecord package, which imports torch.
without=(--ignore tests/policies/builtin --ignore tests/sources/records/test_rlds_reader.py
  --ignore tests/sources/records/test_rlds_damage.py --ignore tests/sources/records/test_rlds_export.py)

requirements() { # lowest|newest -> one requirement a line
  "$1/bin/python" - "$2" "${extras[@]}" <<'PY'
import re, sys, tomllib

end, extras = sys.argv[1], sys.argv[2:]
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
for text in project["dependencies"] + [t for e in extras for t in project["optional-dependencies"][e]]:
    if not text.startswith("roboscale["):  # what it stands for is among the extras
        print(re.sub(r">=([\w.]+).*", r"==\1", text) if end == "lowest" else text)
PY
}

try() { # end, python
  local venv=$work/$1
  "$2" -m venv "$venv"
  requirements "$venv" "$1" >"$work/$1.txt"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade -r "$work/$1.txt" "${tools[@]}"
  echo "$1 on $("$venv/bin/python" --version):" \
    "$("$venv/bin/python" -m pip --disable-pip-version-check list --format freeze | tr '\n' ' ')"
  PYTHONPATH=$PWD/src "$venv/bin/python" -m pytest -q -p no:cacheprovider "${without[@]}" "${tests[@]}"
}

python() { # the first of these names that runs
  for name in "$@"; do
    "$name" -c '' 2>/dev/null && echo "$name" && return
  done
  echo "none of $* is here" >&2
  return 1
}

[ $# -gt 0 ] || set -- lowest newest
for end in "$@"; do
  case $end in
    lowest) try lowest "$(python python3.11 python3.12 python3.13)" ;;
    newest) try newest "$(python python3.13 python3.12 python3.11)" ;;
    *) echo "which end is $end? lowest or newest" >&2 && exit 2 ;;
  esac
done
