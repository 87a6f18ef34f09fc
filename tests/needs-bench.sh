#!/bin/sh
# Installs the programs that `make bench` compares with: Debian packages, and hakoniwa, which cargo
# builds into a separate directory.
#
# Usage: needs-bench.sh DIRECTORY
#
# hakoniwa is installed in DIRECTORY/bin. SECLUDE_BENCH_HAKONIWA=no leaves it out. Nothing else
# needs these programs, and `make test` installs none of them. A program that cannot be installed is
# left out, and the report names it.
set -eu

packages="bubblewrap crun runc firejail systemd-container"
version=1.8.0
limit=900

missing=
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
if [ -n "$missing" ] && [ "$(id -u)" != 0 ]; then
    echo "not compared, because only root can install them:$missing" >&2
elif [ -n "$missing" ]; then
    echo "installing:$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -o DPkg::Lock::Timeout=400 -qq update || echo "apt-get update failed: using the old package lists" >&2
    for package in $missing; do
        apt-get -o DPkg::Lock::Timeout=400 -qq install --yes --no-install-recommends "$package" >/dev/null || echo "not installed: $package" >&2
    done
fi

directory=$1
[ "${SECLUDE_BENCH_HAKONIWA:-yes}" = yes ] || exit 0
"$directory/bin/hakoniwa" --version 2>/dev/null | grep -q " $version\$" && exit 0
if [ "$(id -u)" = 0 ]; then
    apt-get -o DPkg::Lock::Timeout=400 -qq install --yes --no-install-recommends libseccomp-dev pkg-config >/dev/null || true
fi
echo "building: hakoniwa $version"
timeout "$limit" "${CARGO:-cargo}" install --quiet --locked --root "$directory" --version "$version" hakoniwa-cli ||
    echo "not compared: hakoniwa could not be built within $limit seconds" >&2
