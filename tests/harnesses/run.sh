#!/bin/sh
# Runs a sample project of each test harness, whose tests need a sandbox each:
#
#   run.sh PREFIX PLACE [HARNESS...]
#
# PREFIX is where the command and the library are installed. PLACE is a directory to make, which an
# ordinary user can read. Runs as the caller, and as nobody if the caller is root. Prints and counts
# what it skips because the machine lacks it. Ends with "N passed, N failed".
set -u

prefix=$1 place=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
wanted=${*:-wrapper ctest meson autotools bats tap check cmocka gtest cargo nextest go node java}
passed=0 failed=0 skipped=0
mkdir -p "$place"
rm -rf "${place:?}"/*
# A checkout may lie in a home that is closed to others, and tests run where the caller stands.
cd "$place" || exit 1
log=$place/log
export PATH="$prefix/bin:$PATH" PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
export LD_LIBRARY_PATH="$prefix/lib" CMAKE_PREFIX_PATH="$prefix"
# A file that no test inside may see.
outside=/tmp/seclude-harness-outside
: >"$outside"
trap 'rm -f "$outside" /tmp/seclude-harness-sample' EXIT

pass() { passed=$((passed + 1)); echo "ok $1"; }
fail() { # NAME: prints what the last command wrote
    failed=$((failed + 1))
    echo "FAILED $1"
    sed 's/^/    /' "$log"
}
skip() { skipped=$((skipped + 1)); echo "SKIPPED $1: $2"; }
# check NAME STATUS COMMAND...: the command exits with this status ("some" for any but 0)
check() {
    title=$1 status=$2
    shift 2
    "$@" >"$log" 2>&1 </dev/null
    code=$?
    if [ "$code" = "$status" ] || { [ "$status" = some ] && [ "$code" != 0 ]; }; then
        pass "$title"
    else
        echo "exit status $code, not $status" >>"$log"
        fail "$title"
    fi
}
# shows NAME TEXT: what the last command wrote has this text
shows() {
    if grep -qF -e "$2" "$log"; then pass "$1"; else fail "$1: no \"$2\""; fi
}
# hides NAME TEXT: it does not have it
hides() {
    if grep -qF -e "$2" "$log"; then fail "$1: \"$2\""; else pass "$1"; fi
}
nothing_left() { # NAME
    if pgrep -f '^seclude-harness-leftover' >"$log"; then
        fail "$1: leftovers"
    else
        pass "$1: no leftovers"
    fi
}
# Asks another shell: here some names are functions of this script.
has() { sh -c 'command -v "$0"' "$1" >/dev/null 2>&1; }

wrapper() {
    check "$who: the wrapper" 0 seclude run --test -- "$work/port"
    check "$who: its exit status" 3 seclude run --test -- "$work/port" fail
    # In a default sandbox the kernel allows no further user namespace.
    check "$who: a host that forbids sandboxes" 77 seclude run --bind "$prefix" --bind "$work" -- \
        "$prefix/bin/seclude" run --test -- "$work/port"
    shows "$who: the reason" "skipped: "
    nothing_left "$who: the wrapper"
    check "$who: the user's name is the same" 0 \
        sh -c 'test "$(seclude run --test -- id -un)" = "$(id -un)"'
    # Linux lets root inside map no further root (user_namespaces(7)).
    nested=0
    [ "$(id -u)" != 0 ] || nested=77
    check "$who: a wrapper in a wrapper" $nested seclude run --test -- seclude run --test -- true
}

ctest() {
    has cmake || { skip ctest "no cmake"; return; }
    cp -R "$here/ctest" "$work/ctest" && cp "$here/c/port.c" "$work/ctest"
    check "$who: ctest is configured" 0 cmake -S "$work/ctest" -B "$work/ctest/build"
    check "$who: ctest is built" 0 cmake --build "$work/ctest/build"
    check "$who: ctest, four at once" 0 command ctest --test-dir "$work/ctest/build" -j4 -R port-
    check "$who: ctest, a failure" some \
        command ctest --test-dir "$work/ctest/build" -R failing --output-on-failure
    shows "$who: ctest shows the failure" "port.c: failed as told"
    nothing_left "$who: ctest"
}

meson() {
    has meson || { skip meson "no meson"; return; }
    cp -R "$here/meson" "$work/meson" && cp "$here/c/port.c" "$work/meson"
    check "$who: meson is configured" 0 command meson setup "$work/meson/build" "$work/meson"
    check "$who: meson, five at once" 0 command meson test -C "$work/meson/build" \
        --num-processes 5 --wrapper 'seclude run --test --'
    nothing_left "$who: meson"
}

autotools() {
    has automake || { skip autotools "no automake"; return; }
    cp -R "$here/autotools" "$work/autotools" && cp "$here/c/port.c" "$work/autotools"
    check "$who: automake is configured" 0 \
        sh -c 'cd "$0" && aclocal && autoconf && automake --add-missing && ./configure' \
        "$work/autotools"
    check "$who: automake, four at once" 0 \
        make -C "$work/autotools" -j4 check LOG_COMPILER='seclude run --test --'
    shows "$who: automake counts them" "# PASS:  4"
    nothing_left "$who: automake"
}

bats() {
    has bats || { skip bats "no bats"; return; }
    check "$who: bats" 0 env PORT="$work/port" bats "$here/bats/port.bats"
    shows "$who: bats counts them" "1..4"
}

tap() {
    has prove || { skip tap "no prove"; return; }
    for number in 1 2 3; do
        printf '#!/bin/sh\necho 1..1\n"%s/port" >/dev/null && echo ok 1 || echo not ok 1\n' \
            "$work" >"$work/$number.t"
        chmod 755 "$work/$number.t"
    done
    check "$who: prove, three at once" 0 \
        prove -j3 --exec 'seclude run --test --' "$work/1.t" "$work/2.t" "$work/3.t"
    shows "$who: prove counts them" "Tests=3"
}

# unit NAME LINE SOURCE FLAGS...: a program whose main calls seclude_test_main
unit() {
    name=$1 line=$2 source=$3
    shift 3
    check "$who: $name is built" 0 cc -Wall -Wextra -Werror -o "$work/$name" "$here/c/$source" \
        "$@" -I"$prefix/include" -L"$prefix/lib" -lseclude
    check "$who: $name" 0 "$work/$name"
    check "$who: $name, a failure" some env SAMPLE_FAILS=1 "$work/$name"
    shows "$who: $name shows file and line of a failure" "$source:$line"
    if [ "$(grep -c 'the last test ran' "$log")" = 1 ]; then
        pass "$who: $name runs the other tests once"
    else
        fail "$who: $name runs the other tests once"
    fi
}
cmocka() {
    [ -e /usr/include/cmocka.h ] || { skip cmocka "no libcmocka-dev"; return; }
    unit cmocka 20 cmocka.c -lcmocka
}
libcheck() {
    [ -e /usr/include/check.h ] || { skip check "no package check"; return; }
    # shellcheck disable=SC2046  # a list of flags
    unit check 14 check.c $(pkg-config --cflags --libs check)
}

gtest() {
    [ -e /usr/include/gtest/gtest.h ] || { skip gtest "no libgtest-dev"; return; }
    check "$who: gtest is built" 0 c++ -std=c++14 -Wall -Wextra -Werror -o "$work/gtest" \
        "$here/c/gtest.cpp" -I"$prefix/include" -L"$prefix/lib" -lgtest_main -lgtest -lseclude \
        -lpthread
    check "$who: gtest" 0 "$work/gtest" --gtest_filter='-Failing.*'
    shows "$who: gtest relays a skip" "skipped as told"
    check "$who: gtest, a failure" some "$work/gtest" --gtest_filter='Failing.*'
    shows "$who: gtest shows file and line of a failure" "gtest.cpp:43: Failure"
    shows "$who: gtest shows what follows" "and went on"
    shows "$who: gtest shows a crash" "was not completed: it killed by SIGSEGV"
    hides "$who: gtest runs no other test inside" "BindsThePort"
}

project() { # the sample of cargo, in a directory of its own
    mkdir -p "$work/cargo"
    cp -R "$here/cargo/." "$work/cargo"
    sed -i "s|@ROOT@|$root|" "$work/cargo/Cargo.toml"
    cp "$root/Cargo.lock" "$work/cargo"
    # That of the workspace, so that nothing is built twice.
    export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}"
}
# Cargo's own files are not an ordinary user's, so these run as the caller alone.
cargo() {
    [ "$who" = "$caller" ] || return 0
    project
    check "$who: cargo test" 0 sh -c 'cd "$0" && cargo test --quiet' "$work/cargo"
    check "$who: cargo test, a failure" some \
        sh -c 'cd "$0" && cargo test --quiet -- --ignored' "$work/cargo"
    shows "$who: cargo shows file and line of a failure" "tests/port.rs:34:5"
    check "$who: a runner for every test program" 0 sh -c 'cd "$0" && cargo test --quiet \
        --config "target.\"cfg(all())\".runner=[\"seclude\",\"run\",\"--test\",\"--\"]"' \
        "$work/cargo"
}
nextest() {
    [ "$who" = "$caller" ] || return 0
    has cargo-nextest || { skip nextest "no cargo-nextest"; return; }
    project
    check "$who: nextest" 0 \
        sh -c 'cd "$0" && cargo nextest run --test-threads 4 --hide-progress-bar' "$work/cargo"
    shows "$who: nextest counts them" "3 passed"
}

# block LANGUAGE: the program in this language that the page shows
block() { sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/p" "$root/docs/other-languages.md" | sed '1d;$d'; }
# says NAME COMMAND...: the program prints what the page says
says() {
    title=$1
    shift
    check "$title" 0 "$@"
    if [ "$(tail -n 2 "$log")" = "$(printf 'hello\n3')" ]; then
        pass "$title, its output"
    else
        fail "$title, its output"
    fi
}
# The languages' own caches are not an ordinary user's, so these run as the caller alone.
go() {
    [ "$who" = "$caller" ] || return 0
    has go || { skip go "no go"; return; }
    mkdir -p "$work/go"
    block go >"$work/go/hello.go"
    says "$who: Go" env GOCACHE="$work/go/cache" GOFLAGS=-mod=mod go run "$work/go/hello.go"
}
node() {
    [ "$who" = "$caller" ] || return 0
    has npm || { skip node "no npm"; return; }
    mkdir -p "$work/node"
    block js >"$work/node/hello.js"
    check "$who: koffi is installed" 0 \
        npm install --prefix "$work/node" --no-audit --no-fund --cache "$work/node/cache" koffi@2
    says "$who: Node.js" command node "$work/node/hello.js"
}
java() {
    [ "$who" = "$caller" ] || return 0
    jna=/usr/share/java/jna.jar
    { has javac && [ -e "$jna" ]; } || { skip java "no javac or libjna-java"; return; }
    mkdir -p "$work/java"
    block java >"$work/java/Hello.java"
    says "$who: Java" command java -cp "$jna" "$work/java/Hello.java"
}

all() { # WHO: as this user
    who=$1
    work=$place/$who
    mkdir -p "$work"
    cc -Wall -Wextra -Werror -o "$work/port" "$here/c/port.c" || exit 1
    for harness in $wanted; do
        case $harness in check) libcheck ;; *) "$harness" ;; esac
    done
}

if [ -n "${SECLUDE_HARNESSES_WHO:-}" ]; then
    caller=
    all "$SECLUDE_HARNESSES_WHO"
else
    caller=$(id -un)
    all "$caller"
    if [ "$(id -u)" = 0 ]; then
        # The sources may lie in a home that is closed to others.
        cp -R "$here" "$place/samples"
        chmod -R a+rX "$place/samples"
        rm -f "$outside" /tmp/seclude-harness-sample
        install -d -o 65534 -g 65534 "$place/ordinary"
        HOME=$place SECLUDE_HARNESSES_WHO=nobody \
            setpriv --reuid=65534 --regid=65534 --clear-groups sh "$place/samples/run.sh" \
            "$prefix" "$place/ordinary" "$wanted" >"$place/nobody.log"
        sed '$d' "$place/nobody.log"
        counts=$(tail -n 1 "$place/nobody.log")
        passed=$((passed + $(echo "$counts" | cut -d' ' -f1)))
        failed=$((failed + $(echo "$counts" | cut -d' ' -f3)))
    else
        skip "as nobody" "only root can become another user"
    fi
fi
[ "$skipped" = 0 ] || echo "$skipped skipped"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
