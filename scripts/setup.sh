#!/usr/bin/env bash
# Makes .venv with everything roboscale needs, system libraries included. Run by make; safe to run again.
#   scripts/setup.sh            what the demo needs
#   scripts/setup.sh test       what the tests need too
set -euo pipefail
cd "$(dirname "$0")/.."
want=${1:-demo}

# What each shared library or program comes from. EGL and Mesa render without a screen; Chromium opens reports in tests.
packages=()
need_library() { ldconfig -p 2>/dev/null | grep -q "$1" || packages+=("$2"); }
need_library libEGL.so.1 libegl1
need_library libOpenGL.so.0 libopengl0
need_library libGL.so.1 libgl1
compgen -G '/usr/lib/*/dri/swrast_dri.so' >/dev/null || packages+=(libgl1-mesa-dri)
if [ "$want" = test ]; then
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
    packages+=(chromium)
fi

python=""
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
  if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
[ -n "$python" ] || { packages+=(python3 python3-venv) && python=python3; }
"$python" -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)

if [ ${#packages[@]} -gt 0 ]; then
  install="apt-get install -y --no-install-recommends ${packages[*]}"
  if [ "$(id -u)" = 0 ]; then
    apt-get update -q && DEBIAN_FRONTEND=noninteractive $install
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo apt-get update -q && sudo DEBIAN_FRONTEND=noninteractive $install
  else
    echo "missing system packages; run this, then the same command again:" >&2
    echo "  sudo apt-get update && sudo $install" >&2
    exit 1
  fi
fi

extras=sim,train,records,web
[ "$want" = test ] && extras=sim,train,records,web,gym,ray,test,docs
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$extras]"
mkdir -p .venv/stamps
touch .venv/stamps/demo ".venv/stamps/$want"
