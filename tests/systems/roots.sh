#!/bin/bash
# Makes a tar archive with the root of a system, and prints its path: roots.sh SYSTEM
#
#   SYSTEM            debian12, with a C compiler, or debian13, with Python: by debootstrap (Debian:
#                     debootstrap), as root; alpine, which packaging/roots.sh makes
#   SECLUDE_ROOTS     where it is kept (default: /var/tmp/seclude-roots)
#   VM_MIRROR         the mirror of Debian's packages (default: the one that apt uses here)
#
# One that is there is not made again.
set -euo pipefail

[ $# = 1 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")/../.." && pwd)
roots=${SECLUDE_ROOTS:-/var/tmp/seclude-roots}
archive=$roots/system-$1.tar.gz
case $1 in
    debian12) release=bookworm packages=gcc,libc6-dev,busybox ;;
    debian13) release=trixie packages=python3 ;;
    # A service, and what its own installation takes.
    alpine) programs="sh cat ls id rm mkdir chown stat touch wget httpd dpkg su" ;;
    *) echo "roots.sh: no system $1" >&2; exit 2 ;;
esac
[ ! -e "$archive" ] || { echo "$archive"; exit; }
. "$here/packaging/temporary.sh"
mkdir -p "$roots"
make_temporary "$archive.part"
tree=$temporary/tree

debian() {
    local from
    # shellcheck source=tests/vm/debian.sh
    . "$here/tests/vm/debian.sh"
    from=$(mirror)
    # It mounts /proc in the tree: in a mount namespace of its own, so that nothing stays mounted.
    unshare --mount debootstrap --variant=minbase --include="$packages" "$release" "$tree" \
        "$from" >&2
    # Fetched packages and indexes: a third of it, and what is tested comes from a file.
    rm -rf "$tree"/var/cache/apt/archives/*.deb "$tree"/var/lib/apt/lists/*
}

alpine() {
    local program
    cp -a "$(bash "$here/packaging/roots.sh" "alpine-$(uname -m)")" "$tree"
    rm "$tree/made"
    for program in $programs; do
        ln -sf busybox "$tree/bin/$program"
    done
}

"${1%%[0-9]*}"
tar -C "$tree" --numeric-owner --sort=name -czf "$temporary/archive" .
mv "$temporary/archive" "$archive"
echo "$archive"
