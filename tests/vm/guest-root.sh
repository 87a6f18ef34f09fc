#!/bin/bash
# Makes a root file system of Debian's packages for another architecture, below $VM_CACHE, and
# prints its directory.
#
# Usage: VM_ARCH=ARCHITECTURE guest-root.sh
#
# The packages are unpacked and never configured, because their scripts could not run here. This
# script does the little of it that the tests need. A root that exists already is not made again.
set -euo pipefail

# shellcheck source=tests/vm/debian.sh
. "$(dirname "$(readlink -f "$0")")/debian.sh"

# What the behaviour table, the Rust tests and the guest's own scripts run.
packages="base-files base-passwd bash binutils bubblewrap busybox-static coreutils dash diffutils
    findutils gawk gcc grep gzip hostname iproute2 keyutils kmod libc-bin libc6 libc6-dev libgcc-s1
    libpython3-stdlib login mount passwd procps python3 sed stress-ng tar util-linux"
case $VM_ARCH in
    # The libraries that the programs of the tests were built with must not be newer than these.
    riscv64) release=trixie ;;
    *) release=bookworm ;;
esac

root=$cache/root
[ ! -e "$root/made" ] || { echo "$root"; exit; }
echo "making a root of Debian's packages ($release, $debian_arch)" >&2
work=$cache/root.part
packages_of "$release" "$work"
# shellcheck disable=SC2086  # a list of names
apt-get "${apt[@]}" install --yes --download-only --no-install-recommends $packages >&2
rm -rf "$root"
# /usr is merged, as Debian's installer does it before it unpacks anything.
for directory in bin sbin lib; do
    mkdir -p "$root/usr/$directory"
    ln -s "usr/$directory" "$root/$directory"
done
for package in "$work"/cache/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$root"
done
rm -rf "$work"

mkdir -p "$root"/{proc,sys,dev,run,tmp,root,etc}
chmod 1777 "$root/tmp"
chmod 700 "$root/root"
# What the packages' scripts would have made.
cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
sed 's/:.*/:*:19000:0:99999:7:::/' "$root/etc/passwd" >"$root/etc/shadow"
chmod 640 "$root/etc/shadow"
printf '%s\n' 'passwd: files' 'group: files' 'hosts: files dns' >"$root/etc/nsswitch.conf"
echo 127.0.0.1 localhost >"$root/etc/hosts"
echo guest >"$root/etc/hostname"
for link in awk:gawk which:which.debianutils sh:dash; do
    [ -e "$root/usr/bin/${link%:*}" ] || ln -sf "${link#*:}" "$root/usr/bin/${link%:*}"
done
# The first start of Python takes seconds on an emulated processor if it has to compile its library.
# Only the same version can do it, and without it everything is only slower.
library=$(compgen -G "$root/usr/lib/python3.*")
if /usr/bin/python3 -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != sys.argv[1])' "${library##*python}"; then
    /usr/bin/python3 -m compileall -q --invalidation-mode unchecked-hash -s "$root" "$library" >&2 || true
fi
touch "$root/made"
echo "$root"
