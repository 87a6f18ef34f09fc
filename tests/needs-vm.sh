#!/bin/sh
# Installs the Debian packages for the tests in virtual machines. A user other than root only gets a
# list of the missing ones.
#
# Usage: needs-vm.sh [SITUATION…]. The situations with systemd need more packages.
set -eu

packages="qemu-system-x86 busybox-static kmod cpio xz-utils zstd util-linux"
# Debian 12 has virtiofsd in qemu-system-common. Later releases have a separate package.
[ -e /usr/lib/qemu/virtiofsd ] || ! apt-cache show virtiofsd >/dev/null 2>&1 || packages="$packages virtiofsd"
case "$*" in
    *systemd-*) packages="$packages systemd dbus dbus-user-session libpam-systemd" ;;
esac

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
