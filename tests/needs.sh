#!/bin/sh
# Installs the Debian packages that the build, the demo and the tests need. As another user than root it only names what is missing.
set -eu

packages="gcc g++ clang libclang-rt-14-dev make pkg-config python3 python3-venv util-linux iproute2 procps busybox-static bubblewrap keyutils stress-ng dbus-daemon valgrind abigail-tools"

missing=
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "missing packages, which only root can install:$missing" >&2
    exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get -o DPkg::Lock::Timeout=400 -qq update
# shellcheck disable=SC2086  # a list of names
apt-get -o DPkg::Lock::Timeout=400 -qq install --yes --no-install-recommends $missing >/dev/null
