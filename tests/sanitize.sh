#!/bin/sh
# Runs the Rust tests that can run under AddressSanitizer (with LeakSanitizer) and ThreadSanitizer.
#
# Usage: sanitize.sh [address] [thread]
#
# Prints a line for each sanitizer. The status is 1 if one of them found something. Only the
# caller's side is instrumented: core/build.rs builds the warden with its own compiler calls, which
# RUSTFLAGS does not reach, and --target keeps the flags from build scripts and macros.
set -u
cd "$(dirname "$0")/.." || exit 1
[ $# -gt 0 ] || set -- address thread
sh tests/needs-nightly.sh || {
    echo "SKIPPED $*: they need a nightly compiler, which is not available here"
    exit 0
}

host=$(rustc +nightly -vV | sed -n 's/^host: //p')
base=${CARGO_TARGET_DIR:-$PWD/target/sanitize}
# Reports need line numbers only, and less debug information builds faster.
export CARGO_PROFILE_DEV_DEBUG=line-tables-only
# Fewer runs of each kind: the sanitizers find errors in few runs.
export SECLUDE_TEST_RUNS=20 SECLUDE_TEST_LEAK_RUNS=140 SECLUDE_ROUNDS=40
# Exit codes that no test uses. The assignments also replace inherited options that would suppress
# reports.
export ASAN_OPTIONS=detect_leaks=1:exitcode=86 LSAN_OPTIONS=exitcode=86 TSAN_OPTIONS=exitcode=86

# Tests that neither sanitizer runs:
#   soak, stress, bombs, usage    They measure memory and time. A sanitizer needs far more of both.
#   seccomp, doctor, inherited    They run an instrumented program inside. LeakSanitizer fails there
#                                 under filters, rlimits and a sandbox without ptrace.
#   faults, table, symlinks       They repeat the calls of the other tests thousands of times.
#   installed, sources, scope     They build, read sources, or need systemd. No library code runs.

# LeakSanitizer waits for a child of its own at exit, which fails in a caller that ignores SIGCHLD.
deaf=a_caller_that_ignores_sigchld
# This test of the core compiles 500 random filters in one thread and takes minutes. It has no
# unsafe code.
slow=random_filters_compile_to_what_they_say
# Tests with threads, and tests of what the caller holds while its command runs, as FOLDER/MODULE.
both="process/threads callers/lifetime limits/control process/interaction process/capture
    files/copies files/transfer endurance/leaks"
# Tests with one thread, for memory errors only.
address="isolation/blindness hosts/cgroups hosts/classic isolation/escape isolation/landlock
    hosts/nesting callers/requests"

failed=0
totals=

# under NAME CARGO-OPTION TEST...: the unit tests of the core and these tests under one sanitizer.
under() {
    name=$1 option=$2
    shift 2
    export RUSTFLAGS="-Zsanitizer=$name" CARGO_TARGET_DIR="$base/$name"
    log=$CARGO_TARGET_DIR/log
    mkdir -p "$CARGO_TARGET_DIR"
    binaries= modules=
    for test in "$@"; do
        binaries="$binaries --test ${test%/*}"
        modules="$modules ${test#*/}::"
    done
    end=passed
    # shellcheck disable=SC2086  # lists of options
    {
        cargo +nightly test $option --target "$host" --package seclude --lib -- --skip "$slow" &&
            cargo +nightly test $option --target "$host" --no-fail-fast --package seclude-tests \
                $binaries -- --skip "$deaf" $modules
    } >"$log" 2>&1 </dev/null || end=FAILED
    # A process that a test starts may report an error while the test does not look at its status.
    reports='==[0-9]+==ERROR|WARNING: ThreadSanitizer|ThreadSanitizer: CHECK failed'
    if grep -qE "$reports" "$log"; then end=FAILED; fi
    [ "$end" = passed ] || { failed=1; cat "$log"; }
    # Leaves out the result lines of tests that execute themselves again, alone, as another user.
    count=$(awk '/^test result: / && ($4 > 1 || / 0 filtered out/) { sum += $4 } END { print sum + 0 }' "$log")
    totals="$totals${name}: ${count:-0} tests, $end
"
}

for sanitizer in "$@"; do
    case $sanitizer in
        # shellcheck disable=SC2086  # lists of tests
        address) under address '' $both $address ;;
        thread)
            # ThreadSanitizer does not see the synchronization in a standard library that is not
            # instrumented, and would report every lock. So the standard library is built, too.
            if sh tests/needs-nightly.sh rust-src; then
                # shellcheck disable=SC2086
                under thread -Zbuild-std $both
            else
                totals="${totals}thread: SKIPPED: it needs the sources of the standard library\
 (rust-src), which are not available here
"
            fi
            ;;
        *) echo "no such sanitizer: $sanitizer"; exit 2 ;;
    esac
done
printf '%s' "$totals"
exit "$failed"
