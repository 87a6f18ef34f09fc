#!/bin/bash
# run.sh [-k "VERSION…"] [-s "SITUATION…"] [TEST…]: the tests on other kernels and on pure cgroup v2, in virtual machines.
#
# Builds the test programs here, boots each kernel in each situation (inside.sh says what they are), and runs the tests
# there: the behaviour table through the Rust face, and the proofs that fit an emulated processor. Every situation must pass.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
top=$(readlink -f "$here/../..")
kernels="5.10 6.1 6.12"
situations="root delegated plain"
while getopts k:s: option; do
    case $option in
        k) kernels=$OPTARG ;;
        s) situations=$OPTARG ;;
        *) exit 64 ;;
    esac
done
shift $((OPTIND - 1))
tests=("$@")
[ ${#tests[@]} -gt 0 ] || tests=(table lifetime nesting leaks)

work=$(mktemp -d /var/tmp/seclude-vm-run.XXXXXX)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

cd "$top"
# The drivers stand two levels above the tests, whichever directory cargo builds in.
${CARGO:-cargo} test --quiet --no-run --package seclude-tests --message-format=json >"$work/built"
declare -A programs
while read -r name path; do
    programs[$name]=$path
done < <(sed -n 's/.*"kind":\["test"\].*"name":"\([a-z_-]*\)".*"executable":"\([^"]*\)".*/\1 \2/p' "$work/built")

for name in "${tests[@]}"; do
    [ -n "${programs[$name]:-}" ] || { echo "run.sh: there is no test $name" >&2; exit 64; }
    echo "$name ${programs[$name]}" >>"$work/programs"
done
cp "$here/suite.sh" "$work/suite.sh"

passed=0 failed=()
for kernel in $kernels; do
    directory=$("$here/kernels.sh" "$kernel")
    for situation in $situations; do
        start=$SECONDS
        printf '\n==== Linux %s, %s\n' "$kernel" "$situation"
        if "$here/boot.sh" -t 1500 -s "$top" -s "$(dirname "${programs[table]}")" -s "$(dirname "$(dirname "${programs[table]}")")" \
            "$directory" "$situation" "$work/suite.sh"; then
            passed=$((passed + 1))
        else
            failed+=("$kernel/$situation")
        fi
        echo "==== Linux $kernel, $situation: $((SECONDS - start)) s"
    done
done
printf '\nvm: %d situations, %d passed, %d failed%s\n' $((passed + ${#failed[@]})) "$passed" "${#failed[@]}" "${failed:+: ${failed[*]}}"
[ ${#failed[@]} = 0 ]
