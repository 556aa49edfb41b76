#!/usr/bin/env bash
# Makes .venv with everything roboscale needs, system libraries included. Run by make; run again, it keeps what fits.
#   scripts/setup.sh                     what the demo needs
#   scripts/setup.sh test                what the tests need too
#   PYTHON=python3.12 scripts/setup.sh   with that Python
#   TORCH_INDEX=none scripts/setup.sh    torch as pip finds it (on x86_64 with CUDA), not PyTorch's CPU build
set -euo pipefail
cd "$(dirname "$0")/.."
clone=$(pwd -P)
want=${1:-demo}
torch_index=${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}
PATH=$PATH:/usr/sbin:/sbin # where ldconfig is, for those who are not root
SECONDS=0

say() { echo "set-up: $*" >&2; }
stop() { say "$@" && exit 1; }

# Seen on minimal Debian 12 and 13 images (scripts/try_fresh_machines.sh): GB that .venv holds with the CPU build of torch,
# GB that pip downloads and keeps, how long it took, and what CUDA adds.
case $want in
  demo) holds=1.9 downloads=0.5 took='3 to 8 minutes on two cores' extras=pages,sim,train,records,tables,web ;;
  test) holds=3.5 downloads=0.9 took='15 minutes on two crowded cores, CUDA included' extras=cameras,hands,mapping,pages,sim,train,records,tables,web,webrtc,https,hub,postgres,gym,ray,rerun,slurm,zmq,test,docs ;;
  *) stop "what is $want? demo or test" ;;
esac
cuda_holds=4.0 cuda_downloads=2.5

made_for() { # what an environment is good for: this place, its Python, these versions
  echo "$clone"
  .venv/bin/python -c 'import sys; print("Python %d.%d" % sys.version_info[:2])' 2>/dev/null || echo "no Python"
  cat pyproject.toml constraints.txt scripts/setup.sh | sha256sum
}
version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }
fits_the_choice() { [ -z "${PYTHON:-}" ] || [ "$(version_of "$PYTHON")" = "$(version_of .venv/bin/python)" ]; }
if [ "$(cat ".venv/stamps/$want" 2>/dev/null)" = "$(made_for)" ] && [ -x .venv/bin/roboscale ] && fits_the_choice; then
  exit 0
fi

free_gb() { df -Pk "$1" | awk 'NR == 2 { printf "%.1f", $4 * 1024 / 1e9 }'; }
less() { awk "BEGIN { exit !($1 < $2) }"; }
sum() { awk "BEGIN { printf \"%.1f\", $1 + $2 }"; }
need_space() { # GB, what for
  less "$(free_gb .)" "$1" || return 0
  stop "$2 takes $1 GB, but only $(free_gb .) GB are free below $clone: make room, or clone to a larger disk"
}

### Python ###
supported() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }
find_python() {
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    ! supported "$candidate" || { echo "$candidate" && return; }
  done
}
release=${OS_RELEASE:-/etc/os-release}
os() { sed -n "s/^$1=\"*\([a-z0-9.]*\)\"*$/\1/p" "$release" 2>/dev/null || true; }
distribution="$(os ID) $(os VERSION_ID)"
packages=()
server=()
python=$(find_python)
if [ -n "$python" ]; then
  "$python" -c 'import ensurepip, venv' 2>/dev/null || packages+=("python$(version_of "$python")-venv")
else
  here=$(python3 --version 2>&1 || true)
  case "${PYTHON:+chosen} $distribution" in
    " debian 12" | " debian 13" | " ubuntu 24.04") packages+=(python3 python3-venv) ;;
    " ubuntu 22.04") packages+=(python3.11 python3.11-venv) ;; # from universe
    *)
      say "Python 3.11, 3.12 or 3.13 is needed; ${PYTHON:-python3} is ${here:-not here}. This brings one of its own:"
      say "  python3 -m pip install --user uv && python3 -m uv python install 3.12"
      stop "  PYTHON=\$(python3 -m uv python find 3.12) scripts/setup.sh $want"
      ;;
  esac
fi

### An environment that does not fit is made anew ###
misfit() { # why .venv cannot stay; nothing where it can, or where there is none
  local place
  [ -e .venv ] || return 0
  place=$(sed -n 's/^command = .* -m venv \(--[a-z-]* \)*//p' .venv/pyvenv.cfg 2>/dev/null || true)
  if [ -z "$place" ]; then echo "it is half made"
  elif [ "$place" != "$clone/.venv" ]; then echo "it was made in $place"
  elif ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    echo "its Python was upgraded or removed, or it is half made"
  elif ! supported .venv/bin/python; then echo "its Python is $(version_of .venv/bin/python)"
  elif ! fits_the_choice; then echo "it has Python $(version_of .venv/bin/python), and PYTHON=$PYTHON is asked for"
  fi
}
why=$(misfit)
[ -z "$why" ] || { say ".venv is made anew: $why" && rm -rf .venv; }
if [ -e .venv ]; then
  say "brings .venv up to date with pyproject.toml and constraints.txt; $(free_gb .) GB are free"
else
  say "makes $clone/.venv"
  say "about $holds GB there and $downloads GB of downloads; where it was tried, it took $took"
  say "$(free_gb .) GB are free; temporary files stay in .venv/tmp until the end"
  need_space "$holds" "the environment"
fi

### System packages ###
# What each shared library or program comes from. EGL and Mesa render without a screen; Chromium opens reports and
# PostgreSQL keeps logs of trials in tests, which start a cluster of their own; sqlite3 backs one up as a host does.
need_library() { ldconfig -p 2>/dev/null | grep -q "$1" || packages+=("$2"); }
need_library libEGL.so.1 libegl1
need_library libOpenGL.so.0 libopengl0
need_library libGL.so.1 libgl1
compgen -G '/usr/lib/*/dri/swrast_dri.so' >/dev/null || packages+=(libgl1-mesa-dri)
if [ "$want" = test ]; then
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
    packages+=(chromium)
  command -v sqlite3 >/dev/null || packages+=(sqlite3)
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || server=(postgresql)
fi
if [ $((${#packages[@]} + ${#server[@]})) -gt 0 ]; then
  say "1/4  system packages: ${packages[*]} ${server[*]}"
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    as_root=()
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null && command -v apt-get >/dev/null; then
    as_root=(sudo)
  else
    say "these are missing; run this, then the same command again (the names are Debian's):"
    stop "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages[*]} ${server[*]}"
  fi
  install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
  }
  "${as_root[@]}" apt-get update -q
  [ ${#packages[@]} -eq 0 ] || install "${packages[@]}"
  # Debian also makes and starts a cluster, which fails where no service can be started; the tests start their own.
  if [ ${#server[@]} -gt 0 ] && ! install "${server[@]}"; then
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || stop "${server[*]} is not installed"
    say "${server[*]} is installed; its own service did not start, which the tests do not need"
  fi
  python=${python:-$(find_python)}
  [ -n "$python" ] || stop "${packages[*]} brought no Python 3.11 to 3.13; PYTHON=/path/to/python3.12 takes another"
fi

### Packages ###
mkdir -p .venv/tmp .venv/stamps
trap 'rm -rf .venv/tmp' EXIT
export TMPDIR=$clone/.venv/tmp # /tmp is small and in memory on some machines
if [ ! -x .venv/bin/python ]; then
  say "2/4  .venv with $("$python" --version)"
  "$python" -m venv .venv
fi
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }
unfinished() { stop "pip did not finish, see above; what is installed stays; the same command goes on from there"; }
reachable() {
  timeout 10 .venv/bin/python -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=5)' "$1" 2>/dev/null
}

torch=$(grep -E '^torch==' constraints.txt)
here=$(.venv/bin/python -c 'from importlib.metadata import version; print(version("torch"))' 2>/dev/null || true)
if [ "torch==${here%+*}" = "$torch" ]; then
  say "3/4  torch $here stays"
elif [ "$torch_index" != none ] && reachable "$torch_index/torch/"; then
  say "3/4  $torch, the CPU build from $torch_index"
  pip install --no-deps --index-url "$torch_index" "$torch" || unfinished
elif pip index versions torch 2>/dev/null | grep -qF "${torch#torch==}+cpu"; then
  say "3/4  $torch comes as a CPU build from where pip is told to look; $torch_index is not used or not reached"
  pip install --no-deps "$torch+cpu" || unfinished
else
  say "3/4  $torch comes from the ordinary index, since $torch_index is not used or not reached:"
  if [ "$(uname -sm)" = "Linux x86_64" ]; then
    say "     on x86_64 that is the build for CUDA, $cuda_downloads GB more to download and $cuda_holds GB on the disk"
    holds=$(sum "$holds" "$cuda_holds") downloads=$(sum "$downloads" "$cuda_downloads")
    need_space "$holds" "the environment with CUDA"
  fi
fi
if less "$(free_gb "${HOME:-/}")" "$downloads"; then
  say "pip keeps no copy of its downloads ($downloads GB): $(free_gb "${HOME:-/}") GB are free in ${HOME:-/}"
  export PIP_NO_CACHE_DIR=1
fi
say "4/4  roboscale and what it needs ($extras)"
pip install -c constraints.txt -e ".[$extras]" || unfinished

.venv/bin/roboscale --version >&2
made_for | tee ".venv/stamps/$want" >.venv/stamps/demo
say "done in $SECONDS s; .venv holds $(du -sk .venv | awk '{ printf "%.1f", $1 * 1024 / 1e9 }') GB"
