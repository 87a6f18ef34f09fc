#!/bin/bash
# Boots an unpacked kernel and runs a script in the guest.
#
# Usage: [VM_ARCH=ARCHITECTURE] boot.sh [-t SECONDS] [-m MIB] [-s DIRECTORY]…
#            KERNEL SITUATION SCRIPT
#
# KERNEL is a directory. SCRIPT runs in the situation that inside.sh prepares. boot.sh prints its
# output and exits with its status, or with 125 if the guest reported none.
#
# The guest sees the host's files read-only, except /tmp. Each -s names a directory below /tmp or in
# a closed home that the guest needs. A guest of another architecture sees the root that
# guest-root.sh makes, and of the host's files only the directories that -s names, at their own
# paths.
#
# The processor is emulated, because /dev/kvm may exist and not work. The guest has one processor
# and no cmpxchg16b: with more processors or with that instruction some kernels do not boot.
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
files=()
# shellcheck disable=SC2317  # the trap calls it
end() {
    [ ${#files[@]} = 0 ] || kill "${files[@]}" 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT
trap 'exit 130' INT TERM

image=$(compgen -G "$kernel/boot/vmlinu?-*" | head -n 1)
root=/ tags=host
console=ttyS0
serial=(-serial "file:$work/console" -serial "file:$work/output" -serial "file:$work/status")
case ${VM_ARCH:-x86_64} in
    x86_64) machine=(qemu-system-x86_64 -cpu "max,-cx16" -machine "q35,memory-backend=memory") ;;
    aarch64)
        # The architecture's own cipher for pointer authentication takes most of an emulator's time.
        machine=(qemu-system-aarch64 -cpu "max,pauth-impdef=on" -machine "virt,memory-backend=memory")
        # Its console is not a ttyS, and the first ttyS stays unused.
        console=ttyAMA0 ports="unused output status"
        ;;
    riscv64)
        machine=(qemu-system-riscv64 -cpu rv64 -machine "virt,memory-backend=memory")
        ports="output status"
        ;;
esac
if [ -n "${ports:-}" ]; then
    root=$("$here/guest-root.sh") tags="host checkout"
    export VM_BUSYBOX=$root/bin/busybox
    # These machines have one serial port, and take more on the bus.
    serial=(-serial "file:$work/console")
    for name in $ports; do
        serial+=(-chardev "file,id=$name,path=$work/$name" -device "pci-serial,chardev=$name")
    done
fi
"$here/initrd.sh" "$kernel" "$work/initrd"
for virtiofsd in /usr/libexec/virtiofsd /usr/lib/qemu/virtiofsd; do
    [ ! -x $virtiofsd ] || break
done

# attempt: boots once; succeeds if the guest reported a status.
attempt() {
    local tag source=$root shares=()
    for tag in $tags; do
        "$virtiofsd" --socket-path="$work/$tag" -o source="$source" -o cache=always -o xattr -o sandbox=chroot >>"$work/virtiofsd.log" 2>&1 &
        files+=($!)
        for _ in $(seq 100); do
            [ ! -S "$work/$tag" ] || break
            sleep 0.05
        done
        shares+=(-chardev "socket,id=$tag,path=$work/$tag" -device "vhost-user-fs-pci,queue-size=1024,chardev=$tag,tag=$tag")
        source=/
    done
    timeout --foreground -k 5 "$limit" "${machine[@]}" -accel tcg -smp 1 -m "$memory" \
        -object "memory-backend-memfd,id=memory,size=${memory}M,share=on" "${shares[@]}" \
        -nodefaults -no-user-config -display none -no-reboot -kernel "$image" -initrd "$work/initrd" \
        -append "console=$console quiet panic=-1 oops=panic vm.situation=$situation vm.script=$script$shown" \
        "${serial[@]}" </dev/null 2>"$work/qemu.log" || true
    kill "${files[@]}" 2>/dev/null || true
    wait "${files[@]}" 2>/dev/null || true
    files=()
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
