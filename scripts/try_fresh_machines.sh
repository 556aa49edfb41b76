#!/usr/bin/env bash
# Tries the project on machines that have nothing: makes minimal images of Debian 12 and 13, copies this clone there, and
# runs the README's first words and what is asked for. Prints time, processor time, memory and size.
# Needs root, debootstrap and a network; leaves nothing mounted. What was printed inside is in FRESH_WORK/NAME.log.
#   scripts/try_fresh_machines.sh                  both images
#   scripts/try_fresh_machines.sh trixie           one of them
#   FRESH_RUN='make demo'                          what runs in the clone instead of set-up and four commands
#   FRESH_BIND='/srv/wheels /etc/pip.conf'         paths of this machine that are seen inside, too, read-only
#   FRESH_ENV='PIP_INDEX_URL PIP_CERT'             variables of this shell that are handed in
#   FRESH_WORK=/srv/fresh                          where the images are made (4 GB each); default build/fresh
#   FRESH_MIRROR=http://deb.debian.org/debian      where Debian comes from
set -euo pipefail
cd "$(dirname "$0")/.."
work=${FRESH_WORK:-build/fresh}
mirror=${FRESH_MIRROR:-http://deb.debian.org/debian}
# shellcheck disable=SC2016 # expanded inside
run=${FRESH_RUN:-'scripts/setup.sh && export PATH=$PWD/.venv/bin:$PATH && roboscale --version &&
  roboscale count 12/20 17/20 && roboscale rank examples/rank_policies.csv && python examples/evaluate_my_policy.py'}

[ "$(id -u)" = 0 ] || { echo "needs root: sudo $0" >&2 && exit 1; }
command -v debootstrap >/dev/null || { echo "apt-get install debootstrap, then again" >&2 && exit 1; }
mkdir -p "$work"
work=$(cd "$work" && pwd)

inside() { # image, command: as process 1 of namespaces of its own, which take their mounts with them when it ends
  local name binds=() handed=(HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
  read -ra binds <<<"/etc/resolv.conf /etc/hosts ${FRESH_BIND:-}"
  for name in ${FRESH_ENV:-}; do [ -z "${!name+set}" ] || handed+=("$name=${!name}"); done
  # shellcheck disable=SC2016
  unshare --mount --pid --fork --kill-child bash -euc '
    image=$1 command=$2 count=$3 && shift 3
    mount -t proc proc "$image/proc" && mount --rbind /dev "$image/dev" && mount -t sysfs -o ro sys "$image/sys"
    for path in "${@:1:count}"; do
      if [ -d "$path" ]; then mkdir -p "$image$path"; else mkdir -p "$image${path%/*}" && touch "$image$path"; fi
      mount --bind "$path" "$image$path" && mount -o remount,bind,ro "$image$path"
    done
    exec env -i "${@:count+1}" chroot "$image" bash -euc "$command"
  ' - "$1" "$2" "${#binds[@]}" "${binds[@]}" "${handed[@]}"
}

# shellcheck disable=SC2016 # expanded inside
watch='peak() { # the most memory that all processes together held, MB of proportional set size
  trap "exit" TERM; most=0
  while sleep 2; do
    now=$(cat /proc/[0-9]*/smaps_rollup 2>/dev/null | awk "/^Pss:/ { kb += \$2 } END { print int(kb / 1000) }")
    [ "$now" -le "$most" ] || { most=$now && echo "$most" >/tmp/peak; }
  done
}
peak & watcher=$!'

[ $# -gt 0 ] || set -- bookworm trixie
for name in "$@"; do
  base=$work/$name.base image=$work/$name log=$work/$name.log
  [ -f "$base/etc/os-release" ] || debootstrap --variant=minbase "$name" "$base" "$mirror" >"$log"
  rm -rf "$image" && cp -a "$base" "$image" && mkdir "$image/root/roboscale"
  git ls-files -z --cached --others --exclude-standard |
    tar --create --file=- --null --files-from=- --ignore-failed-read |
    tar --extract --file=- --directory "$image/root/roboscale"
  first=$(grep -m1 -E '^sudo apt-get .*install' README.md | sed 's/sudo //g')
  echo "$name: $first, then: $run" >&2
  code=0
  TIMEFORMAT='%R s, of which %U + %S s of processors'
  { time inside "$image" "$watch; export DEBIAN_FRONTEND=noninteractive; cd /root/roboscale
    code=0; { $first && $run; } || code=\$?; kill \$watcher; exit \$code" >"$log" 2>&1 || code=$?; } 2>"$log.time"
  size() { du -smx "$@" 2>/dev/null | awk '{ print $1 " MB" }'; }
  tail -n 12 "$log" | sed 's/^/  | /'
  echo "$name: $([ $code = 0 ] && echo 'all ran' || echo "ENDED WITH $code, see $log") in $(cat "$log.time");" \
    "memory $(cat "$image/tmp/peak") MB at most; .venv $(size "$image/root/roboscale/.venv")," \
    "all of it $(size "$image") against $(size "$base") before"
  [ $code = 0 ] || exit $code
done
