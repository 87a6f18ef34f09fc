#!/bin/bash
# Runs the tests on other kernels and on pure cgroup v2, in virtual machines.
#
# Usage: run.sh [-k "VERSION…"] [-s "SITUATION…"] [-x SCRIPT] [TEST…]
#
# Builds the test programs on the host, boots each kernel in each situation, and runs the tests in
# the guest: the behaviour table through the Rust face, and the tests that an emulated processor can
# run in time. inside.sh and systemd.sh describe the situations. Every situation must pass.
#
# TEST is a folder of tests/tests, or FOLDER/MODULE for one file in it: limits/shares. TEST@GROUND
# runs the table on another ground: table@cell. With -x the guests run SCRIPT instead.
#
# At most one guest for each processor runs at a time. The output of a guest is printed when it
# ends.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
top=$(readlink -f "$here/../..")
kernels="5.10 6.1 6.12"
situations="root delegated plain"
script=
while getopts k:s:x: option; do
    case $option in
        k) kernels=$OPTARG ;;
        s) situations=$OPTARG ;;
        x) script=$(readlink -f "$OPTARG") ;;
        *) exit 64 ;;
    esac
done
shift $((OPTIND - 1))
tests=("$@")
[ ${#tests[@]} -gt 0 ] || tests=(
    table table@prepared table@cell limits/shares callers/lifetime hosts/nesting endurance/leaks
)

work=$(mktemp -d /var/tmp/seclude-vm-run.XXXXXX)
chmod 755 "$work"
# shellcheck disable=SC2317  # the trap calls it
end() {
    local guest
    for guest in $(jobs -p); do
        kill -- "-$guest" 2>/dev/null || true
    done
    wait
    rm -rf "$work"
}
# Job control gives each guest a process group, which end() kills as a whole.
set -m
trap end EXIT
trap 'exit 130' INT TERM
shown=(-s "$work" -s "$top")

if [ -z "$script" ]; then
    cd "$top"
    ${CARGO:-cargo} test --quiet --no-run --package seclude-tests --message-format=json \
        >"$work/built"
    declare -A programs
    # The name and the path of each test program in cargo's messages.
    test_program='s/.*"kind":\["test"\].*"name":"\([a-z_-]*\)".*"executable":"\([^"]*\)".*/\1 \2/p'
    while read -r name path; do
        programs[$name]=$path
    done < <(sed -n "$test_program" "$work/built")
    for name in "${tests[@]}"; do
        binary=${name%@*}
        program=${programs[${binary%%/*}]:-}
        [ -n "$program" ] || { echo "run.sh: there is no test $name" >&2; exit 64; }
        echo "$name $program" >>"$work/programs"
    done
    # The drivers are one directory above the test programs.
    shown+=(-s "$(dirname "$(dirname "$program")")")
    script=$work/suite.sh
    cp "$here/suite.sh" "$script"
fi

# situation KERNEL SITUATION: runs one guest, prints its output, and adds a line to the file
# `passed` or `failed`.
situation() {
    local start=$SECONDS result=passed
    "$here/boot.sh" -t 1500 "${shown[@]}" "${directories[$1]}" "$2" "$script" \
        >"$work/$1-$2" 2>&1 || result=failed
    {
        flock 9
        printf '\n==== Linux %s, %s: %s in %d s\n' "$1" "$2" $result $((SECONDS - start))
        cat "$work/$1-$2"
        echo "$1/$2" >>"$work/$result"
    } 9>"$work/lock"
}

declare -A directories
for kernel in $kernels; do
    directories[$kernel]=$("$here/kernels.sh" "$kernel")
done
for kernel in $kernels; do
    for name in $situations; do
        while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
            wait -n
        done
        situation "$kernel" "$name" &
    done
done
wait

touch "$work"/{passed,failed}
failed=$(wc -l <"$work/failed")
passed=$(wc -l <"$work/passed")
printf '\nvm: %d situations, %d passed, %d failed\n' $((passed + failed)) "$passed" "$failed"
sed 's/^/    failed: /' "$work/failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
