#!/usr/bin/env bash
# Puts Vulkan's software driver of Mesa 25 into a folder, for Debian 12, whose own Mesa 22.3 is too old for ManiSkill 3.
# Needs no root, and leaves the system as it is: packages are fetched by apt into a folder of their own, one file is kept.
#   bash vulkan.sh FOLDER
set -euo pipefail
folder=${1:?usage: bash vulkan.sh FOLDER}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work"/lists/partial "$work"/cache/archives/partial "$work"/empty "$folder"
printf 'deb http://deb.debian.org/debian %s main\n' bookworm bookworm-backports >"$work/sources.list"
: >"$work/status"
cat >"$work/apt.conf" <<END
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "$work/empty";
Dir::State "$work";
Dir::State::lists "$work/lists";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
APT::Sandbox::User "";
END
export APT_CONFIG="$work/apt.conf"
apt-get -q update >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
(cd "$work" && apt-get -q download mesa-vulkan-drivers/bookworm-backports >>log 2>&1) || { cat "$work/log" >&2; exit 1; }
dpkg-deb -x "$work"/mesa-vulkan-drivers_*.deb "$work/package"

driver=$(cd "$folder" && pwd)/libvulkan_lvp.so
cp "$work"/package/usr/lib/*/libvulkan_lvp.so "$driver"
missing=$(ldd "$driver" | awk '/not found/ {print $1}' | sort -u | tr '\n' ' ')
if [ -n "$missing" ]; then
  echo "the driver needs ${missing}which this system lacks: sudo apt-get install -y --no-install-recommends libgl1-mesa-dri" \
    "libwayland-client0 libx11-xcb1 libxcb-randr0 libxcb-shm0 libxcb-present0" >&2
  exit 1
fi
sed "s#\"library_path\": \"[^\"]*\"#\"library_path\": \"$driver\"#" "$work"/package/usr/share/vulkan/icd.d/lvp_icd*.json \
  >"$folder/lvp_icd.json"
echo "Vulkan by $(dpkg-deb -f "$work"/mesa-vulkan-drivers_*.deb Package Version | tr '\n' ' ')in $folder"
