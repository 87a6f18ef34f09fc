#!/bin/sh
# Installs a nightly compiler, with the components named as arguments, if it is missing. The status
# is 1 if that is not possible.
set -eu

rustup run nightly cargo --version >/dev/null 2>&1 || rustup toolchain install nightly --profile minimal >/dev/null 2>&1 || exit 1
for component in "$@"; do
    rustup component list --toolchain nightly --installed | grep -q "^$component" || rustup component add --toolchain nightly "$component" >/dev/null 2>&1 || exit 1
done
