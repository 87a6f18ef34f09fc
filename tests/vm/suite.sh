#!/bin/bash
# What a guest runs: the test programs that the file `programs` beside this one lists, one `NAME PATH` a line; status 1 if one
# of them failed.
#
# An emulated processor is some twenty times slower than a real one: fewer runs, and a time limit that only says "it hangs".
set -u

export SECLUDE_TEST_FACES=rust SECLUDE_TEST_LEAK_RUNS=70 SECLUDE_POOL_JOBS=90 SECLUDE_TEST_SLOWNESS=20
failed=0
while read -r name program <&3; do
    start=$SECONDS arguments=()
    SECLUDE_TEST_GROUND=
    [[ $name != *@* ]] || SECLUDE_TEST_GROUND=${name#*@}
    export SECLUDE_TEST_GROUND
    unset SECLUDE_ROUNDS
    case $name in
        # As often as it kills callers, each with 66 sandboxes.
        cells) export SECLUDE_ROUNDS=1 ;;
        leaks)
            # It starts 450 sandboxes one by one, for several minutes.
            echo "SKIPPED: leaks: namespaces_are_given_back: the machine is too slow"
            arguments=(--skip namespaces_are_given_back)
            ;;
    esac
    if timeout -k 5 900 "$program" "${arguments[@]}" 3<&-; then
        echo "---- $name passed ($((SECONDS - start)) s)"
    else
        echo "---- $name FAILED with status $? ($((SECONDS - start)) s)"
        failed=1
    fi
done 3<"$(dirname "$0")/programs"
exit $failed
