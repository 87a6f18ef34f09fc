#!/bin/sh
# Installs the Debian packages for the tests in virtual machines. A user other than root only gets a
# list of the missing ones.
#
# Usage: [VM_ARCH=ARCHITECTURE] [VM_LIBC=LIBC] needs-vm.sh [SITUATION…]. The situations with systemd
# need more packages, and another processor needs its emulator and a cross compiler.
set -eu

packages="busybox-static kmod cpio xz-utils zstd util-linux"
case ${VM_ARCH:=x86_64} in
    x86_64) packages="$packages qemu-system-x86" ;;
    aarch64) packages="$packages qemu-system-arm gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;;
    riscv64)
        packages="$packages qemu-system-misc opensbi gcc-riscv64-linux-gnu libc6-dev-riscv64-cross"
        ;;
esac
# Debian 12 has virtiofsd in qemu-system-common. Later releases have a separate package.
[ -e /usr/lib/qemu/virtiofsd ] || ! apt-cache show virtiofsd >/dev/null 2>&1 || packages="$packages virtiofsd"
case "$*" in
    *systemd-*) packages="$packages systemd dbus dbus-user-session libpam-systemd" ;;
esac

missing=
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
libc=${VM_LIBC:-gnu}
case $VM_ARCH-$libc in
    x86_64-gnu) ;;
    riscv64-*) rustup --quiet target add "riscv64gc-unknown-linux-$libc" ;;
    *) rustup --quiet target add "$VM_ARCH-unknown-linux-$libc" ;;
esac
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
