#!/bin/sh
# Tests the C interface: the header in each dialect, the installed library, the examples built with
# pkg-config alone, and the C tests, also under AddressSanitizer and valgrind. Runs everything as
# the caller, and as nobody if the caller is root. Prints and counts what it skips because the
# machine lacks it. Ends with "N passed, N failed".
set -u

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
work=$(mktemp -d /tmp/seclude-c-XXXXXX)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
passed=0 failed=0 skipped=0

check() { # NAME COMMAND...: prints one line, and the output if the command fails
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

# ---- the library, moved to another prefix after it was installed

check "install" env DESTDIR="$work/stage" PREFIX=/opt/seclude "$root/capi/build-library.sh" install
lib=$work/moved
mv "$work/stage/opt/seclude" "$lib" 2>/dev/null || { echo "0 passed, $failed failed"; exit 1; }
export PKG_CONFIG_PATH="$lib/lib/pkgconfig"
flags="$(pkg-config --cflags --libs seclude) -Wl,-rpath,$lib/lib"

exported() { nm -D --defined-only "$lib/lib/libseclude.so"; }
same_symbols() { # the library exports what the header declares
    exported | sed -n 's/.* [A-Z] \(.*\)@@SECLUDE_0$/\1/p' | sort >"$work/exported"
    sed -n 's/^[a-z].*[ *]\(seclude_[a-z0-9_]*\)(.*/\1/p' "$lib/include/seclude.h" |
        sort >"$work/declared"
    test -s "$work/declared" && diff "$work/declared" "$work/exported"
}
only_ours() { ! exported | grep -vE 'seclude_[a-z0-9_]*@@SECLUDE_0$| A SECLUDE_0$'; }
soname() { readelf -d "$lib/lib/libseclude.so" | grep -q 'soname: \[libseclude.so.0\]'; }
check "symbols are those of the header" same_symbols
check "no other symbol is exported" only_ours
check "soname" soname
warden=$lib/libexec/seclude/warden
pages() { # one for each function, and one for all
    for name in $(cat "$work/declared") libseclude; do
        test -s "$lib/share/man/man3/$name.3" || { echo "$name has no page"; return 1; }
    done
}
check "each function has a manual page" pages
check "the installed warden is an executable" sh -c "test -x '$warden' && readelf -h '$warden'"

# ---- installed elsewhere, and removed

check "install in a multiarch directory" env DESTDIR="$work" PREFIX=/multiarch LIBDIR=lib/here \
    "$root/capi/build-library.sh" install
check "pkg-config finds the prefix from there" sh -c \
    "PKG_CONFIG_PATH='$work/multiarch/lib/here/pkgconfig' pkg-config --libs seclude |
    tr ' ' '\n' | sed -n 's/^-L//p' | xargs realpath | grep -qx '$work/multiarch/lib/here'"
echo "somebody's own" >"$work/multiarch/include/own.h"
check "uninstall" env DESTDIR="$work" PREFIX=/multiarch "$root/capi/build-library.sh" uninstall
check "uninstall leaves what it has not installed, and nothing else" \
    sh -c "test \"\$(cd '$work/multiarch' && find . ! -type d)\" = ./include/own.h &&
    test ! -e '$work/multiarch/lib'"

# ---- the header, included twice, in each dialect

cat >"$work/header.c" <<'END'
#include <seclude.h>
#include <seclude.h>
uint64_t included_twice(void);
uint64_t included_twice(void) { return SECLUDE_VERSION_NUMBER + SECLUDE_GIB(5); }
END
cp "$work/header.c" "$work/header.cc"
for dialect in "gcc c99 c" "gcc c11 c" "g++ c++17 cc" \
    "clang c99 c" "clang c11 c" "clang++ c++17 cc"; do
    # shellcheck disable=SC2086
    set -- $dialect
    if command -v "$1" >/dev/null; then
        check "header as $2 by $1" "$1" "-std=$2" $strict -I"$lib/include" \
            -c "$work/header.$3" -o "$work/header.o"
    else
        skip "header as $2 by $1" "no $1 here"
    fi
done

cat >"$work/ignores.c" <<'END'
#include <seclude.h>
void ignores(void);
void ignores(void) { seclude_sandbox_check(NULL, NULL); }
END
ignored_result() { # the compiler warns about it
    # shellcheck disable=SC2086
    ! "$1" -std=c11 $strict -I"$lib/include" -c "$work/ignores.c" -o "$work/ignores.o" \
        2>"$work/warnings" && grep -q unused-result "$work/warnings"
}
for compiler in gcc clang; do
    if command -v "$compiler" >/dev/null; then
        check "an ignored result is a warning of $compiler" ignored_result "$compiler"
    else
        skip "an ignored result is a warning of $compiler" "no $compiler here"
    fi
done

# ---- programs

check "examples build with pkg-config alone" \
    make -s -C "$root/examples-c" LIBRARY="$lib" OUT="$work/examples"
tests="handles settings lifecycle callers enforcement syscalls transfer collect cells namespaces
    terminals join networks egress"
for test in $tests; do
    # shellcheck disable=SC2086
    check "$test builds" cc -g -O1 -std=c11 -pthread $strict "$here/$test.c" -o "$work/$test" $flags
    # shellcheck disable=SC2086
    check "$test builds with AddressSanitizer" cc -g -O1 -std=c11 -pthread $strict \
        -fsanitize=address,undefined -fno-sanitize-recover=all \
        "$here/$test.c" -o "$work/$test-asan" $flags
done
# shellcheck disable=SC2046
check "handles links statically to libseclude.a" cc -std=c11 $strict -I"$lib/include" \
    "$here/handles.c" "$lib/lib/libseclude.a" -o "$work/handles-static" \
    $(sed -n 's/^Libs.private: //p' "$lib/lib/pkgconfig/seclude.pc")
# A static program, which needs no library at run time, is linked by the flags of pkg-config alone.
for compiler in gcc clang; do
    if command -v "$compiler" >/dev/null; then
        program=$work/lifecycle-$compiler-static
        # shellcheck disable=SC2046,SC2086
        check "lifecycle links with -static by $compiler" "$compiler" -static -std=c11 -pthread \
            $strict "$here/lifecycle.c" -o "$program" \
            $(pkg-config --static --cflags --libs seclude)
        check "lifecycle by $compiler needs no library" \
            sh -c "! readelf -d '$program' | grep NEEDED"
    else
        skip "lifecycle links with -static by $compiler" "no $compiler here"
    fi
done

everything() { # WHO PREFIX...: runs every program with the command PREFIX before it
    who=$1
    shift
    for example in hello poll files overlay image collect cell pool network egress errors policy limits \
        filters interactor doctor namespaces shell; do
        check "$who: example $example" "$@" "$work/examples/$example"
    done
    if [ -x /usr/bin/python3 ] && [ -x /usr/bin/gcc ]; then
        check "$who: example judge" "$@" "$work/examples/judge" "$work/submissions"
    else
        skip "$who: example judge" "its submissions need python3 and gcc in /usr/bin"
    fi
    for test in $tests; do
        check "$who: $test" "$@" "$work/$test"
        check "$who: $test under AddressSanitizer" "$@" "$work/$test-asan"
    done
    check "$who: handles, static" "$@" "$work/handles-static"
    for program in "$work"/lifecycle-*-static; do
        check "$who: $(basename "$program")" "$@" "$program"
    done
    check "$who: lifecycle with the installed warden" "$@" env SECLUDE_WARDEN="$warden" \
        "$work/lifecycle"
    leaks=definite,indirect,possible
    if command -v valgrind >/dev/null; then
        for test in handles settings; do
            check "$who: $test under valgrind" "$@" valgrind --quiet --error-exitcode=9 \
                --leak-check=full --show-leak-kinds=$leaks --errors-for-leak-kinds=$leaks \
                --track-fds=no "$work/$test"
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
