#!/usr/bin/env bash
# Datasets of ours read by the real LeRobot, and of its own writer and editor read by us, with LeRobot 0.4.4 and 0.6.1,
# each in an environment of its own (.venv-oracle-<version>). Safe to run again: what is installed stays.
#   scripts/oracle.sh          both versions; one for whose Python no interpreter is here is named and left out
#   scripts/oracle.sh 0.4.4    that one, which must run
#   TORCH_INDEX=none scripts/oracle.sh    torch as pip finds it (on x86_64 with CUDA), not PyTorch's CPU build
set -euo pipefail
cd "$(dirname "$0")/.."
here=.venv/bin/python
asked=("$@")
torch_index=${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}
[ -x "$here" ] || { echo "no .venv yet: run make test or scripts/setup.sh first" >&2; exit 1; }

# torchcodec loads FFmpeg 4-8 as shared libraries.
if ! ldconfig -p | grep -q 'libavcodec\.so'; then
  if [ "$(id -u)" = 0 ]; then
    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ffmpeg
  else
    echo "missing system package; run this, then the same command again:" >&2
    echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ffmpeg" >&2
    exit 1
  fi
fi

find_python() { # the first of these versions: on PATH, else among pyenv's, newest first
  local version candidate
  for version in "$@"; do
    for candidate in $(type -ap "python$version") \
      $(compgen -G "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version*/bin/python" | sort -rV); do
      # a shim of pyenv is on PATH also where its version is not chosen, and then does not run
      if "$candidate" -c "import ensurepip, sys; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null; then
        echo "$candidate"
        return
      fi
    done
  done
}

# A plain install of lerobot refuses this torch, so it and what follows torch come last and without dependencies.
torch='torch==2.13.0'
torchvision='torchvision==0.28.0'
torchcodec='torchcodec==0.13.0'
common=(einops 'av>=15,<16' jsonlines 'draccus==0.10.0' gymnasium deepdiff imageio termcolor accelerate safetensors
  'pandas<3' pyarrow pyserial)
needs_0_4_4=('datasets>=4,<5' 'huggingface-hub>=0.34.2,<0.36' 'numpy<2.3' 'opencv-python-headless<4.13' 'packaging<26'
  'diffusers<0.36')
needs_0_6_1=('datasets>=4.7,<5' 'huggingface-hub>=1.0,<2' 'numpy<2.5' opencv-python-headless)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

reachable() { # environment, address
  timeout 10 "$1/bin/python" -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=5)' "$2" 2>/dev/null
}

install_torch() { # environment; the CPU build where there is one, as scripts/setup.sh: the other takes 4 GB more
  if [ "$torch_index" != none ] && reachable "$1" "$torch_index/torch/"; then
    pip --no-deps --index-url "$torch_index" "$torch"
    pip --no-deps --index-url "$torch_index" "$torchvision" || true # else the ordinary one, whose operators are CUDA's
  elif "$1/bin/python" -m pip index versions torch 2>/dev/null | grep -qF "${torch#torch==}+cpu"; then
    pip --no-deps "$torch+cpu"
  elif [ "$(uname -sm)" = "Linux x86_64" ]; then
    echo "$torch with CUDA, 4 GB more in $1: $torch_index is not used or not reached" >&2
  fi
  pip "$torch" # itself where it is not there yet, and what it needs
}

install() { # environment, Python, LeRobot's version, and what it needs
  local venv=$1 python=$2 version=$3
  shift 3
  [ ! -f "$venv/stamp" ] || [ scripts/oracle.sh -nt "$venv/stamp" ] || return 0
  [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
  pip() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
  echo "$torch" >"$work/constraint"
  install_torch "$venv"
  pip -c "$work/constraint" "${common[@]}" "$@"
  pip --no-deps "$torchcodec" "$torchvision" "lerobot==$version" # what is there already fits
  touch "$venv/stamp"
}

export HF_HUB_OFFLINE=1 HF_LEROBOT_HOME="$work/home" HF_HOME="$work/hub"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
mkdir "$work/ours"
"$here" -m scripts.oracle.write_datasets "$work/ours"
"$here" -m scripts.oracle.write_imports "$work/imports"
both_ways() { # environment, LeRobot's version
  echo "== LeRobot $2: ours read by it"
  "$1/bin/python" scripts/oracle/check_dataset.py "$work/ours"
  "$1/bin/python" scripts/oracle/check_imports.py "$work/imports/sets"
  echo "== LeRobot $2: its own, resumed and edited, read by us"
  "$1/bin/python" scripts/oracle/lerobot_write.py "$work/theirs-$2"
  "$here" -m scripts.oracle.read_theirs "$work/theirs-$2"
  echo "== LeRobot $2: what our imports carry, read by it"
  "$1/bin/python" scripts/oracle/check_carried.py "$work/theirs-$2" "$work/theirs-$2-imported"
}

for version in "${asked[@]:-0.4.4 0.6.1}"; do
  for one in $version; do
    case $one in
      0.4.4) pythons=(3.11 3.12 3.10) needs=("${needs_0_4_4[@]}") ;;
      0.6.1) pythons=(3.13 3.12) needs=("${needs_0_6_1[@]}") ;;
      *) echo "LeRobot $one: 0.4.4 or 0.6.1" >&2 && exit 1 ;;
    esac
    python=$(find_python "${pythons[@]}")
    if [ -z "$python" ]; then
      echo "LeRobot $one needs Python ${pythons[*]}: none on PATH or in ${PYENV_ROOT:-$HOME/.pyenv}/versions" >&2
      [ ${#asked[@]} -eq 0 ] || exit 1
      continue
    fi
    echo "== LeRobot $one with $python"
    install ".venv-oracle-$one" "$python" "$one" "${needs[@]}"
    both_ways ".venv-oracle-$one" "$one"
  done
done
