#!/bin/sh
# Builds wheels: packaging/wheels.sh DIRECTORY [TAG...]
#
# A TAG is manylinux2014_x86_64 (glibc 2.17 and later), musllinux_1_2_x86_64, and the same with
# aarch64. Without one it builds all four. Each wheel serves every CPython from 3.11 on (abi3) and
# carries the command `seclude` for the same target. Takes rustup, for the targets' standard
# libraries. The linker and the C libraries are those of zig.
set -eu
. "$(dirname "$0")/environment.sh"

[ $# -gt 0 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"
to=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- manylinux2014_x86_64 musllinux_1_2_x86_64 manylinux2014_aarch64 \
    musllinux_1_2_aarch64
python_tools
data=$root/python/seclude.data
temporary=$data
mkdir -p "$target"
bill=$target/seclude.cdx.json
"$python" "$root/packaging/sbom.py" "$bill" seclude-python seclude-cli

for tag in "$@"; do
    step "wheel $tag"
    case $tag in
        manylinux2014_*) triple=${tag#manylinux2014_}-unknown-linux-gnu glibc=.2.17 ;;
        musllinux_1_2_*) triple=${tag#musllinux_1_2_}-unknown-linux-musl glibc= ;;
        *) echo "no tag of a wheel: $tag" >&2; exit 2 ;;
    esac
    rustup target add "$triple" >/dev/null 2>&1 || {
        echo "the standard library of $triple is missing: rustup target add $triple" >&2
        exit 1
    }
    SECLUDE_TARGET=$triple$glibc "$root/cli/build-program.sh" data "$data"
    # It spares those for another processor a build of the command for this one.
    if "$data/scripts/seclude" --version >/dev/null 2>&1; then
        SECLUDE_WRITER=$target/$triple/release/seclude
        export SECLUDE_WRITER
    fi
    # maturin reads the symbols of what it has linked, and refuses one that is too new for the tag.
    (cd "$root/python" && maturin build --release --quiet --locked --zig --target "$triple" \
        --compatibility "${tag%_"${triple%%-*}"}" --sbom-include "$bill" --out "$to")
    "$tools/bin/python" "$root/packaging/check-wheel.py" "$to"/seclude-"$version"-*"$tag"*.whl
done
