#!/bin/bash
# Makes a root directory of another system, and prints it: packaging/roots.sh SYSTEM
#
#   SYSTEM            debian11, of Debian's packages; alpine-x86_64 or alpine-aarch64, a layout like
#                     Alpine's of Debian's busybox and musl. Alpine's own packages are not used.
#   SECLUDE_ROOTS     where it is kept (default: /var/tmp/seclude-roots)
#
# The packages are unpacked and never configured. One that is there is not made again.
set -euo pipefail

[ $# = 1 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")/.." && pwd)
root=${SECLUDE_ROOTS:-/var/tmp/seclude-roots}/$1
case $1 in
    debian11)
        release=bullseye VM_ARCH=$(uname -m)
        packages="base-files base-passwd coreutils dash libc-bin libc6 libgcc-s1 procps"
        ;;
    alpine-*)
        release=bookworm VM_ARCH=${1#alpine-}
        packages="busybox-static musl"
        ;;
    *) echo "roots.sh: no system $1" >&2; exit 2 ;;
esac
[ ! -e "$root/made" ] || { echo "$root"; exit; }
. "$here/packaging/temporary.sh"
# shellcheck source=tests/vm/debian.sh
. "$here/tests/vm/debian.sh"

mkdir -p "$(dirname "$root")"
make_temporary "$root.part"
work=$temporary
packages_of "$release" "$work/apt"
tree=$work/tree
mkdir "$tree"

# The accounts that programs run as.
accounts() {
    mkdir -p "$tree"/{etc,proc,sys,dev,run,tmp,root,mnt}
    chmod 1777 "$tree/tmp"
    echo 'root:x:0:0:root:/root:/bin/sh' >"$tree/etc/passwd"
    echo 'nobody:x:65534:65534:nobody:/:/bin/sh' >>"$tree/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$tree/etc/group"
}

debian() {
    # shellcheck disable=SC2086  # a list of names
    apt-get "${apt[@]}" install --yes --download-only --no-install-recommends $packages >&2
    for directory in bin sbin lib lib64; do
        mkdir -p "$tree/usr/$directory"
        ln -s "usr/$directory" "$tree/$directory"
    done
    for package in "$work"/apt/cache/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$tree"
    done
    [ -e "$tree/usr/bin/sh" ] || ln -s dash "$tree/usr/bin/sh"
    accounts
    # Its loader searches the multiarch directories without a cache too.
    grep -q '^11' "$tree/etc/debian_version"
}

alpine() {
    # shellcheck disable=SC2086  # a list of names
    (cd "$work" && apt-get "${apt[@]}" download $packages >&2)
    for package in "$work"/*.deb; do
        dpkg-deb -x "$package" "$work/packages"
    done
    mkdir -p "$tree"/{bin,sbin,lib,usr/{bin,sbin,lib}}
    cp "$work/packages/bin/busybox" "$tree/bin/busybox"
    # Not by the list that busybox prints: it may be for another processor.
    for applet in sh cat ls sleep echo env true false id ps; do
        ln -s busybox "$tree/bin/$applet"
    done
    ln -s /bin/busybox "$tree/usr/bin/env"
    loader=ld-musl-$VM_ARCH.so.1
    cp "$(compgen -G "$work/packages/*lib/$VM_ARCH-linux-musl/libc.so")" "$tree/lib/$loader"
    ln -s "$loader" "$tree/lib/libc.musl-$VM_ARCH.so.1"
    accounts
}

"${1%%[-0-9]*}"
touch "$tree/made"
chmod 755 "$tree"
rm -rf "$root"
mv "$tree" "$root"
echo "$root"
