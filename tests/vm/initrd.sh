#!/bin/bash
# Makes a minimal initial file system for an unpacked kernel.
#
# Usage: [VM_BUSYBOX=FILE] initrd.sh KERNEL OUT
#
# It contains busybox (this machine's, or the given one), the modules that give access to the host's
# files, and root.sh, which prepares the root file system and hands over to inside.sh.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
kernel=$(readlink -f "$1")
version=$(basename "$kernel"/lib/modules/*)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work"/{bin,proc,sys,dev,run,modules}
cp "${VM_BUSYBOX:-$(command -v busybox)}" "$work/bin/busybox"
cp "$here/inside.sh" "$here/systemd.sh" "$work/"
install -m 755 "$here/root.sh" "$work/init"

# Those after overlay are for tests of networks: bridge and veth for private networks, sch_ingress
# and cls_bpf for the faults in them, nf_tables for what a command tries in its own, and nft_tproxy
# for the way out. The kernel would load them itself if it could reach its modules.
[ -e "$kernel/lib/modules/$version/modules.dep" ] || depmod -b "$kernel" "$version"
for module in virtio_pci virtiofs overlay tun bridge veth sch_ingress cls_bpf nf_tables nft_tproxy; do
    modprobe -d "$kernel" -S "$version" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
done | awk '!seen[$0]++' | while read -r file; do
    name=$(basename "$file")
    case $name in
        *.xz) xz -dc "$file" >"$work/modules/${name%.xz}" ;;
        *.zst) zstd -qdc "$file" >"$work/modules/${name%.zst}" ;;
        *) cp "$file" "$work/modules/$name" ;;
    esac
    # In this order: each module follows those that it depends on.
    basename "${name%.xz}" .zst >>"$work/modules/order"
done
[ -s "$work/modules/order" ] || { echo "initrd.sh: no modules of $version" >&2; exit 1; }

(cd "$work" && find . -print0 | cpio --null --create --format=newc --quiet | gzip -1) >"$2.part"
mv "$2.part" "$2"
