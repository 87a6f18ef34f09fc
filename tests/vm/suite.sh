#!/bin/bash
# Runs in a guest: the test programs listed in the file `programs` beside this script, one
# `TEST PATH` per line (run.sh says what a TEST is), each for at most the seconds in the file
# `patience`. The status is 1 if one of them failed.
#
# An emulated processor is about twenty times slower than a real one, so there are fewer runs, and
# the time limits only find tests that hang.
set -u

export SECLUDE_TEST_FACES=rust SECLUDE_TEST_LEAK_RUNS=70 SECLUDE_POOL_JOBS=90 SECLUDE_TEST_SLOWNESS=20
failed=0
patience=$(cat "$(dirname "$0")/patience")
while read -r name program <&3; do
    start=$SECONDS arguments=() words=
    test=${name%%=*}
    [[ $name != *=* ]] || words=${name#*=}
    IFS=, read -r -a arguments <<<"$words"
    binary=${test%@*}
    [[ $binary != */* ]] || arguments+=("${binary#*/}::")
    SECLUDE_TEST_GROUND=
    [[ $test != *@* ]] || SECLUDE_TEST_GROUND=${test#*@}
    export SECLUDE_TEST_GROUND
    # There is no cargo here. The programs are one directory above the test programs.
    SECLUDE_TEST_PROGRAMS=$(dirname "$(dirname "$program")")
    export SECLUDE_TEST_PROGRAMS
    unset SECLUDE_ROUNDS
    case $name in
        # One round of hostile programs in each mode.
        adversary*) export SECLUDE_ROUNDS=11 ;;
        # On other processors a start takes seconds.
        callers/lifetime) [ "$(uname -m)" = x86_64 ] || export SECLUDE_ROUNDS=20 ;;
        # Each round kills a caller that has 66 sandboxes.
        lives | lives/cells) export SECLUDE_ROUNDS=1 ;;
        endurance | endurance/leaks)
            # This test starts 450 sandboxes one after another, which takes several minutes here.
            echo "SKIPPED: leaks: namespaces_are_given_back: the machine is too slow"
            arguments+=(--skip namespaces_are_given_back)
            ;;
    esac
    if timeout -k 5 "$patience" "$program" "${arguments[@]}" 3<&-; then
        echo "---- $name passed ($((SECONDS - start)) s)"
    else
        echo "---- $name FAILED with status $? ($((SECONDS - start)) s)"
        failed=1
    fi
done 3<"$(dirname "$0")/programs"
exit $failed
