#!/usr/bin/env bash
# Opens datasets written by roboscale with the real LeRobot 0.4.4 loader, in an environment of its own (.venv-oracle).
# The only script of the project that needs LeRobot. Safe to run again: what is installed stays.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.venv-oracle
here=.venv/bin/python

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

if [ ! -f "$venv/stamp" ] || [ scripts/oracle.sh -nt "$venv/stamp" ]; then
  # A plain install of lerobot refuses this torch, so it and what follows torch come last and without dependencies.
  [ -x "$venv/bin/python" ] || "$here" -m venv "$venv"
  constraint=$(mktemp)
  trap 'rm -f "$constraint"' EXIT
  echo 'torch==2.13.0' >"$constraint"
  pip() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
  pip 'torch==2.13.0'
  pip -c "$constraint" 'datasets>=4,<5' 'huggingface-hub>=0.34.2,<0.36' 'numpy<2.3' einops \
    'opencv-python-headless<4.13' 'av>=15,<16' jsonlines 'packaging<26' 'draccus==0.10.0' gymnasium deepdiff imageio \
    termcolor 'diffusers<0.36' accelerate safetensors 'pandas<3' pyarrow pyserial
  pip --no-deps 'torchvision==0.28.0' 'torchcodec==0.13.0' 'lerobot==0.4.4'
  touch "$venv/stamp"
fi

work=$(mktemp -d)
trap 'rm -rf "$work" "${constraint:-}"' EXIT
export HF_HUB_OFFLINE=1 HF_LEROBOT_HOME="$work/home" HF_HOME="$work/hub"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
"$here" -m scripts.oracle.write_datasets "$work"
"$venv/bin/python" scripts/oracle/check_dataset.py "$work"
"$here" -m scripts.oracle.write_imports "$work/imports"
"$venv/bin/python" scripts/oracle/check_imports.py "$work/imports/sets"
