#!/bin/sh
# Installs the Debian packages that the build, the demo and the tests need. A user other than root
# only gets a list of the missing ones.
#
# Usage: needs.sh [PACKAGE…]. The packages are installed as well.
set -eu

packages="e2fsprogs gcc g++ clang libclang-rt-14-dev make pkg-config python3 python3-venv util-linux iproute2 procps uidmap busybox-static bubblewrap keyutils stress-ng dbus-daemon valgrind abigail-tools git openssl cmake meson ninja-build automake bats check libcmocka-dev libgtest-dev golang-go libjna-java"

# need PACKAGE…: installs the packages that are missing.
need() {
    missing=
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0

    if [ "$(id -u)" != 0 ]; then
        echo "missing packages, which only root can install:$missing" >&2
        exit 1
    fi
    echo "installing:$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -o DPkg::Lock::Timeout=400 -qq update
    # shellcheck disable=SC2086  # a list of names
    apt-get -o DPkg::Lock::Timeout=400 -qq install --yes --no-install-recommends $missing >/dev/null
}

# shellcheck disable=SC2086  # a list of names
need $packages "$@"
# CPython's own tests, for the version that is now installed.
need "lib$(/usr/bin/python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')-testsuite"
