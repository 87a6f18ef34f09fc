#!/bin/sh
# Everything that is proved about the C face: the header in each dialect, the installed library, the examples built with
# pkg-config alone, the tests in plain C under AddressSanitizer and valgrind; as the caller, and, if that is root, as nobody.
# Ends with "N passed, N failed". What the machine lacks is skipped, loudly, and counted.
set -u

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
work=$(mktemp -d /tmp/seclude-c-XXXXXX)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
passed=0 failed=0 skipped=0

check() { # NAME COMMAND...: one line if it succeeds, all that it said if not
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

skip() { # NAME REASON
    skipped=$((skipped + 1))
    echo "SKIPPED $1: $2"
}

strict="-Wall -Wextra -Wpedantic -Werror"

# ---- the library, installed under a prefix that it was not built for

check "install" env DESTDIR="$work/stage" PREFIX=/opt/seclude "$root/capi/build-library.sh" install
lib=$work/moved
mv "$work/stage/opt/seclude" "$lib" 2>/dev/null || { echo "0 passed, $failed failed"; exit 1; }
export PKG_CONFIG_PATH="$lib/lib/pkgconfig"
flags="$(pkg-config --cflags --libs seclude) -Wl,-rpath,$lib/lib"

same_symbols() { # what the library shows is what the header says
    nm -D --defined-only "$lib/lib/libseclude.so" | sed -n 's/.* [A-Z] \(.*\)@@SECLUDE_0$/\1/p' | sort >"$work/shown"
    sed -n 's/^[a-z].*[ *]\(seclude_[a-z0-9_]*\)(.*/\1/p' "$lib/include/seclude.h" | sort >"$work/said"
    test -s "$work/said" && diff "$work/said" "$work/shown"
}
only_ours() { ! nm -D --defined-only "$lib/lib/libseclude.so" | grep -vE 'seclude_[a-z0-9_]*@@SECLUDE_0$| A SECLUDE_0$'; }
soname() { readelf -d "$lib/lib/libseclude.so" | grep -q 'soname: \[libseclude.so.0\]'; }
check "symbols are those of the header" same_symbols
check "no other symbol is shown" only_ours
check "soname" soname
check "the installed warden is an executable" sh -c "test -x '$lib/libexec/seclude/warden' && readelf -h '$lib/libexec/seclude/warden'"

# ---- the header, included twice, in each dialect

printf '#include <seclude.h>\n#include <seclude.h>\nint seclude_included_twice(void);\nint seclude_included_twice(void) { return SECLUDE_VERSION_NUMBER; }\n' >"$work/header.c"
cp "$work/header.c" "$work/header.cc"
for dialect in "gcc c99 c" "gcc c11 c" "g++ c++17 cc" "clang c99 c" "clang c11 c" "clang++ c++17 cc"; do
    # shellcheck disable=SC2086
    set -- $dialect
    if command -v "$1" >/dev/null; then
        check "header as $2 by $1" "$1" "-std=$2" $strict -I"$lib/include" -c "$work/header.$3" -o "$work/header.o"
    else
        skip "header as $2 by $1" "no $1 here"
    fi
done

# ---- programs

check "examples build with pkg-config alone" make -s -C "$root/examples-c" LIBRARY="$lib" OUT="$work/examples"
for test in handles settings lifecycle callers enforcement syscalls transfer cells namespaces terminals join; do
    # shellcheck disable=SC2086
    check "$test builds" cc -g -O1 -std=c11 -pthread $strict "$here/$test.c" -o "$work/$test" $flags
    # shellcheck disable=SC2086
    check "$test builds with AddressSanitizer" cc -g -O1 -std=c11 -pthread $strict -fsanitize=address,undefined -fno-sanitize-recover=all "$here/$test.c" -o "$work/$test-asan" $flags
done
# shellcheck disable=SC2046
check "handles links statically to libseclude.a" cc -std=c11 $strict -I"$lib/include" "$here/handles.c" "$lib/lib/libseclude.a" -o "$work/handles-static" $(sed -n 's/^Libs.private: //p' "$lib/lib/pkgconfig/seclude.pc")
# A program that needs no library at all at run time, by what pkg-config says and nothing else.
for compiler in gcc clang; do
    if command -v "$compiler" >/dev/null; then
        # shellcheck disable=SC2046
        check "lifecycle links with -static by $compiler" "$compiler" -static -std=c11 -pthread $strict "$here/lifecycle.c" -o "$work/lifecycle-$compiler-static" $(pkg-config --static --cflags --libs seclude)
        check "lifecycle by $compiler needs no library" sh -c "! readelf -d '$work/lifecycle-$compiler-static' | grep NEEDED"
    else
        skip "lifecycle links with -static by $compiler" "no $compiler here"
    fi
done

everything() { # WHO PREFIX...: run all of it by this prefix
    who=$1
    shift
    for example in hello poll files cell pool errors policy limits filters interactor doctor namespaces shell; do
        check "$who: example $example" "$@" "$work/examples/$example"
    done
    if [ -x /usr/bin/python3 ] && [ -x /usr/bin/gcc ]; then
        check "$who: example judge" "$@" "$work/examples/judge" "$work/submissions"
    else
        skip "$who: example judge" "its submissions need python3 and gcc in /usr/bin"
    fi
    for test in handles settings lifecycle callers enforcement syscalls transfer cells namespaces terminals join; do
        check "$who: $test" "$@" "$work/$test"
        check "$who: $test under AddressSanitizer" "$@" "$work/$test-asan"
    done
    check "$who: handles, static" "$@" "$work/handles-static"
    for program in "$work"/lifecycle-*-static; do
        check "$who: $(basename "$program")" "$@" "$program"
    done
    check "$who: lifecycle with the installed warden" "$@" env SECLUDE_WARDEN="$lib/libexec/seclude/warden" "$work/lifecycle"
    if command -v valgrind >/dev/null; then
        for test in handles settings; do
            check "$who: $test under valgrind" "$@" valgrind --quiet --error-exitcode=9 --leak-check=full --show-leak-kinds=definite,indirect,possible --errors-for-leak-kinds=definite,indirect,possible --track-fds=no "$work/$test"
        done
    else
        skip "$who: handles and settings under valgrind" "no valgrind here"
    fi
}

cp -r "$root/python/examples/submissions" "$work/submissions" && chmod -R a+rX "$work/submissions"
cd "$work" || exit 1
everything "$(id -un)" env
if [ "$(id -u)" = 0 ]; then
    everything nobody setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/
else
    skip "as nobody" "only root can become somebody else"
fi

[ "$skipped" = 0 ] || echo "$skipped skipped"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
