#!/bin/sh
# Installs what `make test-musl`, `make dist` and `make test-dist` need besides tests/needs.sh:
# Debian packages, and Rust's standard library for the targets that are named as arguments. The
# status is 1 if one cannot be had.
set -eu

missing=
for package in musl-tools debhelper lintian man-db cmake pkg-config; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
        missing="$missing $package"
done
if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "missing packages, which only root can install:$missing" >&2
        exit 1
    fi
    echo "installing:$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -o DPkg::Lock::Timeout=400 -qq update
    # shellcheck disable=SC2086  # a list of names
    apt-get -o DPkg::Lock::Timeout=400 -qq install --yes --no-install-recommends $missing >/dev/null
fi
for triple in "$@"; do
    rustup target list --installed | grep -qx "$triple" ||
        rustup target add "$triple" >/dev/null 2>&1 || {
        echo "the standard library of Rust for $triple cannot be had" >&2
        exit 1
    }
done
