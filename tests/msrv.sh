#!/bin/sh
# Compiles the published crates and what is built from a checkout with the oldest compiler that
# Cargo.toml promises. The status is 1 if that compiler cannot be had.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
oldest=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml").0
rustup run "$oldest" cargo --version >/dev/null 2>&1 ||
    rustup toolchain install "$oldest" --profile minimal >/dev/null 2>&1 || {
    echo "rustc $oldest cannot be had here" >&2
    exit 1
}
cd "$root"
# Not the tests, which run with the newest compiler alone.
cargo "+$oldest" check --quiet --locked --target-dir "${CARGO_TARGET_DIR:-target}/msrv" \
    --package seclude --package seclude-test --package seclude-cli --package seclude-capi \
    --package seclude-python
echo "rustc $oldest compiles it"
