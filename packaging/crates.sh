#!/bin/sh
# Packs the published crates, and builds each from its packed file: packaging/crates.sh DIRECTORY
set -eu
. "$(dirname "$0")/environment.sh"

[ $# = 1 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
mkdir -p "$1"
to=$(cd "$1" && pwd)
cd "$root"
"$cargo" package --quiet --allow-dirty --locked --package seclude --package seclude-test \
    --target-dir "$target/package-check"
cp "$target/package-check/package/seclude-$version.crate" \
    "$target/package-check/package/seclude-test-$version.crate" "$to/"
ls "$to"/*.crate
