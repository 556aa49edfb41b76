#!/usr/bin/env bash
# Makes .venv with everything roboscale needs, system libraries included. Run by make; safe to run again.
#   scripts/setup.sh            what the demo needs
#   scripts/setup.sh test       what the tests need too
set -euo pipefail
cd "$(dirname "$0")/.."
want=${1:-demo}

# What each shared library or program comes from. EGL and Mesa render without a screen; Chromium opens reports in tests;
# PostgreSQL keeps logs of trials in tests, which start a cluster of their own.
packages=()
server=()
need_library() { ldconfig -p 2>/dev/null | grep -q "$1" || packages+=("$2"); }
need_library libEGL.so.1 libegl1
need_library libOpenGL.so.0 libopengl0
need_library libGL.so.1 libgl1
compgen -G '/usr/lib/*/dri/swrast_dri.so' >/dev/null || packages+=(libgl1-mesa-dri)
if [ "$want" = test ]; then
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
    packages+=(chromium)
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || server=(postgresql)
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

if [ $((${#packages[@]} + ${#server[@]})) -gt 0 ]; then
  if [ "$(id -u)" = 0 ]; then
    as_root=()
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo)
  else
    echo "missing system packages; run this, then the same command again:" >&2
    echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages[*]} ${server[*]}" >&2
    exit 1
  fi
  install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
  }
  "${as_root[@]}" apt-get update -q
  [ ${#packages[@]} -eq 0 ] || install "${packages[@]}"
  # Debian also makes and starts a cluster, which fails where no service can be started; the tests start their own.
  if [ ${#server[@]} -gt 0 ] && ! install "${server[@]}"; then
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || { echo "${server[*]} is not installed" >&2; exit 1; }
    echo "${server[*]} is installed; its own service did not start, which the tests do not need" >&2
  fi
fi

extras=sim,train,records,tables,web
[ "$want" = test ] && extras=sim,train,records,tables,web,postgres,gym,ray,test,docs
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$extras]"
mkdir -p .venv/stamps
touch .venv/stamps/demo ".venv/stamps/$want"
