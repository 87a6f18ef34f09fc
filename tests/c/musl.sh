#!/bin/sh
# Links programs statically to libseclude.a with musl-gcc, and runs them as the caller, and as nobody
# if the caller is root. Prints "N passed, N failed". Needs musl-gcc (Debian: musl-tools), and the
# standard library of Rust for musl, which rustup has.
set -u

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
triple=$(uname -m)-unknown-linux-musl
work=$(mktemp -d /tmp/seclude-musl-XXXXXX)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
passed=0 failed=0

check() { # NAME COMMAND...
    name=$1
    shift
    if "$@" >"$work/log" 2>&1 </dev/null; then
        passed=$((passed + 1))
        echo "ok $name"
    else
        failed=$((failed + 1))
        echo "FAILED $name"
        sed 's/^/    /' "$work/log"
    fi
}

check "install for $triple" env SECLUDE_TARGET="$triple" DESTDIR="$work" PREFIX=/musl \
    "$root/capi/build-library.sh" install
export PKG_CONFIG_PATH="$work/musl/lib/pkgconfig"
for test in handles settings lifecycle; do
    # shellcheck disable=SC2046
    check "$test links with musl-gcc -static" musl-gcc -static -std=c11 -pthread -Wall -Wextra \
        -Wpedantic -Werror "$here/$test.c" -o "$work/$test" \
        $(pkg-config --static --cflags --libs seclude)
    check "$test needs no library" sh -c "! readelf -d '$work/$test' | grep NEEDED"
    check "$(id -un): $test" "$work/$test"
    [ "$(id -u)" != 0 ] || check "nobody: $test" setpriv --reuid=65534 --regid=65534 \
        --clear-groups env HOME=/ "$work/$test"
done
check "uninstall" env SECLUDE_TARGET="$triple" DESTDIR="$work" PREFIX=/musl \
    "$root/capi/build-library.sh" uninstall
check "nothing is left of it" sh -c "! find '$work/musl' ! -type d | grep ."
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
