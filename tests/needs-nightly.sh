#!/bin/sh
# Sees to it that a nightly compiler is there, with the components that are named as arguments. 1 if it cannot be had.
set -eu

rustup run nightly cargo --version >/dev/null 2>&1 || rustup toolchain install nightly --profile minimal >/dev/null 2>&1 || exit 1
for component in "$@"; do
    rustup component list --toolchain nightly --installed | grep -q "^$component" || rustup component add --toolchain nightly "$component" >/dev/null 2>&1 || exit 1
done
