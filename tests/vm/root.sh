#!/bin/busybox sh
# shellcheck shell=dash
#
# /init of the initial file system. The guest's root is the host's root, read-only, below an overlay
# in memory. The guest has the same programs at the same paths as the host and cannot change the
# host.
/bin/busybox --install -s /bin
export PATH=/bin

say() { echo "$*" >/dev/ttyS0; }

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do
    insmod "/modules/$module" || say "insmod $module failed"
done </modules/order

mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/host /run/changes/upper /run/changes/work /run/root
mount -t virtiofs -o ro host /run/host || say "no files of the host"
mount -t overlay -o lowerdir=/run/host,upperdir=/run/changes/upper,workdir=/run/changes/work overlay /run/root || say "no overlay"
root=/run/root
for directory in proc sys dev run tmp; do
    mkdir -p "$root/$directory"
done
mount --move /proc "$root/proc"
mount --move /sys "$root/sys"
mount --move /dev "$root/dev"

mount -t tmpfs -o mode=755 tmpfs "$root/run"
cp /inside.sh /systemd.sh /bin/busybox "$root/run/"

# The guest has its own /tmp. The parts of the host's /tmp that it needs, such as the checkout, are
# bound at the same paths.
mkdir -p /run/tmp
mount -t tmpfs -o mode=1777 tmpfs /run/tmp
tr ' ' '\n' <"$root/proc/cmdline" | while read -r word; do
    case $word in
        vm.shown=/tmp/*)
            path=${word#vm.shown=/tmp/}
            mkdir -p "/run/tmp/$path"
            mount --bind "$root/tmp/$path" "/run/tmp/$path"
            ;;
    esac
done
mount --move /run/tmp "$root/tmp"
# The host's shell, because busybox's shell would prefer its own built-in programs to the host's.
exec switch_root "$root" /bin/sh /run/inside.sh
