#!/bin/sh
# sanitize.sh [address] [thread]: the Rust tests that can run under AddressSanitizer, with its search for leaks, and under ThreadSanitizer.
# Ends with a line for each; with 1 if anything was found. Only the caller's side is instrumented: core/build.rs builds the warden by calls
# of its own, which RUSTFLAGS does not reach, and --target keeps the flags from build scripts and macros.
set -u
cd "$(dirname "$0")/.." || exit 1
[ $# -gt 0 ] || set -- address thread
sh tests/needs-nightly.sh || { echo "SKIPPED $*: they take a nightly compiler, and none can be had here"; exit 0; }

host=$(rustc +nightly -vV | sed -n 's/^host: //p')
base=${CARGO_TARGET_DIR:-$PWD/target/sanitize}
# Lines are enough to read a report by, and less to build.
export CARGO_PROFILE_DEV_DEBUG=line-tables-only
# Each kind of run, but fewer: what is looked for does not need hundreds.
export SECLUDE_TEST_RUNS=20 SECLUDE_TEST_LEAK_RUNS=140 SECLUDE_ROUNDS=40
# Exit codes that no test has, and nothing inherited that turns a report off.
export ASAN_OPTIONS=detect_leaks=1:exitcode=86 LSAN_OPTIONS=exitcode=86 TSAN_OPTIONS=exitcode=86

# Not run under either:
#   soak, stress, bombs, usage    they measure memory and time, of which a sanitizer takes many times as much
#   seccomp, doctor, inherited    they run a program of ours inside, and it is instrumented: filters, rlimits and a sandbox without ptrace
#                                 are what LeakSanitizer ends on there
#   faults, table, symlinks       thousands of runs of the same calls, which are made once each by the others
#   installed, layers, scope      they build, read sources, or need systemd: nothing of the library runs in them
# And one test of the core: it compiles 500 random filters in one thread, with no unsafe code, and takes minutes.
# And one whose caller ignores SIGCHLD: LeakSanitizer waits for a child of its own at the end, whose status is then nobody's.
deaf=a_caller_that_ignores_sigchld
slow=random_filters_compile_to_what_they_say
# What has threads, and what the caller holds while its command lives: for both.
both="threads lifetime control interaction capture transfer leaks"
# One thread each: for memory only.
address="blindness cgroups classic escape landlock nesting requests"

failed=0
totals=

# NAME CARGO-OPTION TEST...: the core's own tests and these under one sanitizer
under() {
    name=$1 option=$2
    shift 2
    export RUSTFLAGS="-Zsanitizer=$name" CARGO_TARGET_DIR="$base/$name"
    log=$CARGO_TARGET_DIR/log
    mkdir -p "$CARGO_TARGET_DIR"
    tests=
    for test in "$@"; do tests="$tests --test $test"; done
    end=passed
    # shellcheck disable=SC2086  # lists of options
    {
        cargo +nightly test $option --target "$host" --package seclude --lib -- --skip "$slow" &&
            cargo +nightly test $option --target "$host" --no-fail-fast --package seclude-tests $tests -- --skip "$deaf"
    } >"$log" 2>&1 </dev/null || end=FAILED
    # A process that a test starts may report and end unseen: what it said counts all the same.
    if grep -qE '==[0-9]+==ERROR|WARNING: ThreadSanitizer|ThreadSanitizer: CHECK failed' "$log"; then end=FAILED; fi
    [ "$end" = passed ] || { failed=1; cat "$log"; }
    # Without the lines of the tests that start themselves again, alone, as another user.
    count=$(awk '/^test result: / && ($4 > 1 || / 0 filtered out/) { sum += $4 } END { print sum + 0 }' "$log")
    totals="$totals${name}: ${count:-0} tests, $end
"
}

for sanitizer in "$@"; do
    case $sanitizer in
        # shellcheck disable=SC2086  # lists of tests
        address) under address '' $both $address ;;
        thread)
            # The standard library synchronizes without the sanitizer's sight unless it is instrumented too, and then every lock would be a report.
            if sh tests/needs-nightly.sh rust-src; then
                # shellcheck disable=SC2086
                under thread -Zbuild-std $both
            else
                totals="${totals}thread: SKIPPED: it takes the sources of the standard library (rust-src), and they cannot be had here
"
            fi
            ;;
        *) echo "no such sanitizer: $sanitizer"; exit 2 ;;
    esac
done
printf '%s' "$totals"
exit "$failed"
