#!/bin/sh
# Compares the ABI of the library with the committed one, capi/abi/seclude.abi, and fails if they
# differ. SECLUDE_UPDATE_ABI=1 writes that file. Needs abidw and abidiff (Debian: abigail-tools).
set -eu

capi=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$capi")
# abidiff needs full debug information to see types. A target directory of its own keeps this build
# from replacing others.
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}/abi
CARGO_PROFILE_RELEASE_DEBUG=2
# Symbols and types are the same without optimisation, which takes most of the time.
CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=0
CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
export CARGO_TARGET_DIR CARGO_PROFILE_RELEASE_DEBUG CARGO_PROFILE_RELEASE_LTO
export CARGO_PROFILE_RELEASE_OPT_LEVEL CARGO_PROFILE_RELEASE_CODEGEN_UNITS
"$capi/build-library.sh" build

library=$CARGO_TARGET_DIR/seclude-capi/libseclude.so.0
baseline=$capi/abi/seclude.abi
found=$CARGO_TARGET_DIR/seclude.abi
abidw --no-corpus-path --no-comp-dir-path --no-show-locs --type-id-style hash \
    --out-file "$found" "$library"
# Remove the directories of sources, which differ between machines.
sed -i "s|path='[^']*/\([^/']*\)'|path='\1'|" "$found"
if [ -n "${SECLUDE_UPDATE_ABI:-}" ]; then
    mkdir -p "$capi/abi"
    cp "$found" "$baseline"
fi
abidiff "$baseline" "$found"
