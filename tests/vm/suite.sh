#!/bin/bash
# What a guest runs: the test programs that the file `programs` beside this one lists, one `NAME PATH` a line; status 1 if one
# of them failed.
#
# An emulated processor is some twenty times slower than a real one: fewer runs, and time limits that only say "it hangs".
set -u

export SECLUDE_TEST_FACES=rust SECLUDE_TEST_LEAK_RUNS=70
failed=0
while read -r name program <&3; do
    start=$SECONDS
    if timeout -k 5 "${SECLUDE_TEST_VM_LIMIT:-600}" "$program" 3<&-; then
        echo "---- $name passed ($((SECONDS - start)) s)"
    else
        echo "---- $name FAILED with status $? ($((SECONDS - start)) s)"
        failed=1
    fi
done 3<"$(dirname "$0")/programs"
exit $failed
