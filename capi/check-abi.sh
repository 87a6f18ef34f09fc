#!/bin/sh
# Compares the library's ABI with the committed one, capi/abi/seclude.abi: any difference fails. SECLUDE_UPDATE_ABI=1 writes the
# file anew. Needs abidw and abidiff (Debian: abigail-tools).
set -eu

capi=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$capi")
# abidiff sees types only with full debug information; in a directory of its own, so that nothing else is built anew for it.
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}/abi
CARGO_PROFILE_RELEASE_DEBUG=2
export CARGO_TARGET_DIR CARGO_PROFILE_RELEASE_DEBUG
"$capi/build-library.sh" build

library=$CARGO_TARGET_DIR/seclude-capi/libseclude.so.0
baseline=$capi/abi/seclude.abi
found=$CARGO_TARGET_DIR/seclude.abi
abidw --no-corpus-path --no-comp-dir-path --no-show-locs --type-id-style hash --out-file "$found" "$library"
# Where the sources of a compilation unit lie is this machine's own business.
sed -i "s|path='[^']*/\([^/']*\)'|path='\1'|" "$found"
if [ -n "${SECLUDE_UPDATE_ABI:-}" ]; then
    mkdir -p "$capi/abi"
    cp "$found" "$baseline"
fi
abidiff "$baseline" "$found"
