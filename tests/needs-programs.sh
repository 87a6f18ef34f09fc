#!/bin/sh
# Installs what `make test-programs` runs outside and inside: Debian packages, and two test suites,
# which go into a separate directory.
#
# Usage: needs-programs.sh DIRECTORY
#
# busybox's testsuite goes to DIRECTORY/busybox, and LTP to DIRECTORY/ltp. SECLUDE_LTP names another
# git repository for LTP, or "no" to leave LTP out. What cannot be installed is left out, and the
# tests report it as skipped. `make test` needs none of this.
set -eu

# Each package with a command that it provides. The command may also come from elsewhere.
packages="git:git gcc:gcc g++:g++ clang:clang make:make gdb:gdb strace:strace valgrind:valgrind
    gfortran:gfortran bubblewrap:bwrap iproute2:ip procps:ps bsdutils:script hostname:hostname
    openssl:openssl ca-certificates:update-ca-certificates tmux:tmux default-jdk-headless:javac
    nodejs:node golang-go:go cargo:/usr/bin/cargo mono-mcs:mcs mono-runtime:mono fp-compiler:fpc
    ocaml-nox:ocamlc perl:perl ruby:ruby php-cli:php postgresql:pg_lsclusters
    redis-server:redis-server autoconf:autoconf automake:automake m4:m4 pkg-config:pkg-config"
python=$(/usr/bin/python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
cpython=lib$python-testsuite
ltp=${SECLUDE_LTP:-https://github.com/linux-test-project/ltp}
version=20260529

mkdir -p "$1"
directory=$(cd "$1" && pwd)
wait="-o DPkg::Lock::Timeout=400"

missing=
for pair in $packages; do
    command -v "${pair#*:}" >/dev/null || missing="$missing ${pair%:*}"
done
dpkg-query -W "$cpython" >/dev/null 2>&1 || missing="$missing $cpython"
if [ -n "$missing" ] && [ "$(id -u)" != 0 ]; then
    echo "not run, because only root can install them:$missing" >&2
elif [ -n "$missing" ]; then
    echo "installing:$missing"
    export DEBIAN_FRONTEND=noninteractive
    # Keeps the servers that are installed here from being started.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    # shellcheck disable=SC2086  # options
    apt-get $wait -qq update || echo "apt-get update failed: using the old package lists" >&2
    for package in $missing; do
        # shellcheck disable=SC2086  # options
        apt-get $wait -qq install --yes --no-install-recommends "$package" >/dev/null ||
            echo "not installed: $package" >&2
    done
fi

# The testsuite of the installed busybox version, from Debian's source, with the configuration of
# the static package. The source comes from the same place as the packages.
busybox_suite() {
    here=$(dpkg-query -W -f '${source:Version}' busybox-static) || return 1
    [ "$(cat "$directory/busybox/version" 2>/dev/null)" != "$here" ] || return 0
    echo "fetching: the sources of busybox $here"
    place=$(mktemp -d)
    chmod 755 "$place"
    mkdir -p "$place/parts" "$place/lists/partial" "$place/source" "$place/debian"
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
        [ ! -f "$list" ] || sed -e 's/^deb /deb-src /' -e 's/^Types:.*/Types: deb-src/' \
            "$list" >"$place/parts/${list##*/}"
    done
    options="-qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=$place/parts"
    options="$options -o Dir::State::Lists=$place/lists"
    # shellcheck disable=SC2086  # options
    apt-get $options update || true
    # shellcheck disable=SC2086  # options
    (cd "$place" && apt-get $options source --download-only "busybox=$here" >/dev/null 2>&1) &&
        tar -C "$place/source" --strip-components=1 -xf "$place"/busybox_*.orig.tar.* &&
        tar -C "$place/debian" --strip-components=1 -xf "$place"/busybox_*.debian.tar.* &&
        rm -rf "$directory/busybox" && mkdir -p "$directory/busybox/scripts" &&
        cp -r "$place/source/testsuite" "$directory/busybox/" &&
        cp "$place/source/scripts/echo.c" "$directory/busybox/scripts/" &&
        cp "$place/debian/config/pkg/static" "$directory/busybox/.config" &&
        echo "$here" >"$directory/busybox/version"
    code=$?
    rm -rf "$place"
    return "$code"
}
busybox_suite || echo "not run: busybox's testsuite: its source is not available" >&2

# LTP's tests of system calls, built from a released version.
ltp_suite() {
    [ "$(cat "$directory/ltp/version" 2>/dev/null)" != "$version" ] || return 0
    echo "building: LTP $version"
    source=$directory/ltp-source
    jobs=$(nproc)
    rm -rf "$directory/ltp" "$source"
    git -c advice.detachedHead=false clone --quiet --depth 1 --branch "$version" "$ltp" "$source" ||
        return 1
    (
        cd "$source" && make autotools && ./configure --prefix="$directory/ltp" &&
            make -j"$jobs" -C lib &&
            for part in kernel/syscalls kernel/pty; do
                # A few tests may not compile with this machine's headers.
                make -k -j"$jobs" -C "testcases/$part" || true
                make -k -C "testcases/$part" install || true
            done
    ) >"$directory/ltp.log" 2>&1
    [ -x "$directory/ltp/testcases/bin/abort01" ] || return 1
    # Some of the files are scripts, which cannot be stripped.
    strip "$directory"/ltp/testcases/bin/* 2>/dev/null || true
    cp -r "$source/runtest" "$directory/ltp/" && echo "$version" >"$directory/ltp/version"
    rm -rf "$source"
}
[ "$ltp" = no ] || ltp_suite ||
    echo "not run: LTP: it cannot be downloaded or built: $directory/ltp.log" >&2
chmod -R a+rX "$directory"
