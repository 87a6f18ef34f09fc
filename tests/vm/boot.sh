#!/bin/bash
# Boots an unpacked kernel and runs a script in the guest.
#
# Usage: boot.sh [-t SECONDS] [-m MIB] [-s DIRECTORY]… KERNEL SITUATION SCRIPT
#
# KERNEL is a directory. SCRIPT runs in the situation that inside.sh prepares. boot.sh prints its
# output and exits with its status, or with 125 if the guest reported none.
#
# The guest sees the host's files read-only, except /tmp. Each -s names a directory below /tmp or in
# a closed home that the guest needs. The processor is emulated, because /dev/kvm may exist and not
# work. The guest has one processor and no cmpxchg16b: with more processors or with that instruction
# some kernels do not boot.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
limit=300
memory=2048
shown=
while getopts t:m:s: option; do
    case $option in
        t) limit=$OPTARG ;;
        m) memory=$OPTARG ;;
        s) shown+=" vm.shown=$(readlink -f "$OPTARG")" ;;
        *) exit 64 ;;
    esac
done
shift $((OPTIND - 1))
kernel=$1 situation=$2 script=$(readlink -f "$3")

work=$(mktemp -d /var/tmp/seclude-vm.XXXXXX)
files=
# shellcheck disable=SC2317  # the trap calls it
end() {
    [ -z "$files" ] || kill "$files" 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT
trap 'exit 130' INT TERM

image=$(compgen -G "$kernel/boot/vmlinuz-*" | head -n 1)
"$here/initrd.sh" "$kernel" "$work/initrd"
for virtiofsd in /usr/libexec/virtiofsd /usr/lib/qemu/virtiofsd; do
    [ ! -x $virtiofsd ] || break
done

# attempt: boots once; succeeds if the guest reported a status.
attempt() {
    "$virtiofsd" --socket-path="$work/files" -o source=/ -o cache=always -o xattr -o sandbox=chroot >"$work/virtiofsd.log" 2>&1 &
    files=$!
    for _ in $(seq 100); do
        [ ! -S "$work/files" ] || break
        sleep 0.05
    done
    timeout --foreground -k 5 "$limit" qemu-system-x86_64 -accel tcg -smp 1 -cpu max,-cx16 -m "$memory" \
        -machine q35,memory-backend=memory -object "memory-backend-memfd,id=memory,size=${memory}M,share=on" \
        -chardev "socket,id=files,path=$work/files" -device vhost-user-fs-pci,queue-size=1024,chardev=files,tag=host \
        -nodefaults -no-user-config -display none -no-reboot -kernel "$image" -initrd "$work/initrd" \
        -append "console=ttyS0 quiet panic=-1 oops=panic vm.situation=$situation vm.script=$script$shown" \
        -serial "file:$work/console" -serial "file:$work/output" -serial "file:$work/status" </dev/null 2>"$work/qemu.log" || true
    kill "$files" 2>/dev/null || true
    wait "$files" 2>/dev/null || true
    files=
    tr -d '\r' <"$work/output"
    status=$(tr -d '\r\n' <"$work/status")
    [ -n "$status" ] || {
        echo "the guest reported no status; its console and the host's programs printed:"
        tail -n 25 "$work"/{console,qemu.log,virtiofsd.log}
        return 1
    }
}

# A guest that crashes while it boots says nothing about the tests, so it gets a second attempt. A
# guest that reported a status does not.
attempt || attempt || exit 125
exit "$status"
