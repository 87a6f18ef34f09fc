#!/bin/bash
# Runs the tests on other kernels, on pure cgroup v2 and on other processors, in virtual machines.
#
# Usage: [VM_ARCH=ARCHITECTURE] [VM_LIBC=LIBC] run.sh [-k "VERSION…"] [-s "SITUATION…"]
#            [-x SCRIPT] [TEST…]
#
# Builds the test programs on the host, boots each kernel in each situation, and runs the tests in
# the guest: the behaviour table through the Rust face, and the tests that an emulated processor can
# run in time. inside.sh and systemd.sh describe the situations. Every situation must pass.
#
# TEST is a folder of tests/tests, or FOLDER/MODULE for one file in it: limits/shares. TEST@GROUND
# runs the table on another ground: table@cell. TEST=WORD,WORD runs what has one of these words in
# its name: table=files:,seccomp: runs the rows of two files. With -x the guests run SCRIPT instead.
#
# VM_ARCH is aarch64 or riscv64 for such a processor, for which the tests are cross-built. With
# VM_LIBC=musl the tests are linked statically with musl, which Rust brings, instead of with glibc.
#
# At most one guest for each processor runs at a time. The output of a guest is printed when it
# ends.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
top=$(readlink -f "$here/../..")
export VM_ARCH=${VM_ARCH:-x86_64}
libc=${VM_LIBC:-gnu}
target=$VM_ARCH-unknown-linux-$libc linker=gcc
# Seconds after which a test counts as hung, and a guest with all its tests.
patience=900 guest_patience=1500
case $VM_ARCH in
    x86_64) kernels="5.10 6.1 6.12" ;;
    aarch64) kernels="6.1 6.12 6.12-16k" ;;
    riscv64) kernels=6.12 target=riscv64gc-unknown-linux-$libc ;;
    *) echo "run.sh: no architecture $VM_ARCH" >&2; exit 64 ;;
esac
if [ "$VM_ARCH" != x86_64 ]; then
    linker=$VM_ARCH-linux-gnu-gcc
    # These processors are slower to emulate than one like the host's. A start takes seconds.
    patience=3600 guest_patience=36000
fi
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
if [ ${#tests[@]} = 0 ]; then
    tests=(table table@prepared table@cell limits/shares callers/lifetime hosts/nesting endurance/leaks)
    if [ "$VM_ARCH" != x86_64 ]; then
        # The table takes more than an hour, so each of its files is a test.
        tests=()
        for file in "$top"/tests/cases/*.toml; do
            tests+=("table=$(basename "$file" .toml):")
        done
        tests+=(isolation/seccomp lives networks confined)
        tests+=(callers/lifetime endurance/leaks adversary)
    fi
fi

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
    # Only these test programs, and on this machine's own processor in the usual directory.
    build=(test --quiet --no-run --package seclude-tests --message-format=json)
    while read -r name; do
        build+=(--test "$name")
    done < <(printf '%s\n' "${tests[@]%%[@=/]*}" | sort -u)
    if [ "$VM_ARCH-$libc" != x86_64-gnu ]; then
        build+=(--target "$target")
        variable=${target^^}
        export "CARGO_TARGET_${variable//-/_}_LINKER=$linker"
        # Many tests copy these programs, which are seven times larger with their debug information.
        export CARGO_PROFILE_DEV_STRIP=debuginfo
    fi
    ${CARGO:-cargo} "${build[@]}" >"$work/built"
    # The command, which the tests at the command line start.
    command=(build --quiet --package seclude-cli)
    [ "$VM_ARCH-$libc" = x86_64-gnu ] || command+=(--target "$target")
    ${CARGO:-cargo} "${command[@]}"
    declare -A programs
    # The name and the path of each test program in cargo's messages.
    test_program='s/.*"kind":\["test"\].*"name":"\([a-z_-]*\)".*"executable":"\([^"]*\)".*/\1 \2/p'
    while read -r name path; do
        programs[$name]=$path
    done < <(sed -n "$test_program" "$work/built")
    for name in "${tests[@]}"; do
        program=${programs[${name%%[@=/]*}]:-}
        [ -n "$program" ] || { echo "run.sh: there is no test $name" >&2; exit 64; }
        echo "$name $program" >>"$work/programs"
    done
    # The drivers are one directory above the test programs.
    shown+=(-s "$(dirname "$(dirname "$program")")")
    script=$work/suite.sh
    cp "$here/suite.sh" "$script"
    echo $patience >"$work/patience"
fi

# situation KERNEL SITUATION: runs one guest, prints its output, and adds a line to the file
# `passed` or `failed`.
situation() {
    local start=$SECONDS result=passed
    "$here/boot.sh" -t $guest_patience "${shown[@]}" "${directories[$1]}" "$2" "$script" \
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
