#!/bin/sh
# Builds the archives of the C library and the command: packaging/tarballs.sh DIRECTORY
#
#   seclude-VERSION.tar.gz                     the sources, of the last commit
#   seclude-VERSION-ARCH-linux-gnu.tar.gz      what `make install` puts into a prefix
#   seclude-VERSION-ARCH-linux-musl.tar.gz     the static library and the command for musl
#
# A prefix can be unpacked anywhere: pkg-config and CMake find it by their own files' places.
set -eu
. "$(dirname "$0")/environment.sh"

[ $# = 1 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"
to=$(cd "$1" && pwd)
arch=$(uname -m)
musl=$arch-unknown-linux-musl
make_temporary "${TMPDIR:-/tmp}/seclude-tarballs"
place=$temporary

whole=$place/seclude-$version
if git -C "$root" rev-parse --verify --quiet HEAD >/dev/null; then
    mkdir "$whole"
    git -C "$root" archive HEAD | tar -C "$whole" -xf -
    archive "$place" "seclude-$version" "$to/seclude-$version.tar.gz"
else
    echo "SKIPPED: the archive of the sources: this is no checkout of git" >&2
fi

prefix() { # NAME COMMAND...: what the commands install, with the documents, as NAME.tar.gz
    name=$1
    DESTDIR=$place PREFIX=/$name
    export DESTDIR PREFIX
    shift
    "$@"
    install -D -m 644 -t "$place/$name/share/doc/seclude" "$root/README.md" "$root/CHANGELOG.md" \
        "$root/SECURITY.md" "$root/LICENSE-MIT" "$root/LICENSE-APACHE"
    archive "$place" "$name" "$to/$name.tar.gz"
}
native() {
    "$root/capi/build-library.sh" install
    "$root/cli/build-program.sh" install
}
static() {
    sh "$root/tests/needs-dist.sh" "$musl"
    SECLUDE_TARGET=$musl "$root/capi/build-library.sh" install
    python_tools
    SECLUDE_TARGET=$musl "$root/cli/build-program.sh" install
}
prefix "seclude-$version-$arch-linux-gnu" native
prefix "seclude-$version-$arch-linux-musl" static
ls "$to"/*.tar.gz
