#!/bin/busybox sh
# shellcheck shell=dash
#
# /init of the initial file system. The guest's root is the host's root, read-only, below an overlay
# in memory. The guest has the same programs at the same paths as the host and cannot change the
# host. A guest of another architecture has another root, and gets what it needs of the host's files
# from a second share, which is also below an overlay.
/bin/busybox --install -s /bin
export PATH=/bin

say() { echo "$*" >/dev/console; }

# overlay TAG: mounts the share TAG, below an overlay in memory, at /run/TAG.
overlay() {
    mkdir -p "/run/below/$1" "/run/changes/$1/upper" "/run/changes/$1/work" "/run/$1"
    mount -t virtiofs -o ro "$1" "/run/below/$1" || return
    mount -t overlay -o "lowerdir=/run/below/$1,upperdir=/run/changes/$1/upper,workdir=/run/changes/$1/work" overlay "/run/$1"
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do
    insmod "/modules/$module" || say "insmod $module failed"
done </modules/order

mount -t tmpfs -o mode=755 tmpfs /run
overlay host || say "no files of the host"
root=/run/host shared=$root
[ "$(uname -m)" = x86_64 ] || { overlay checkout || say "no checkout"; shared=/run/checkout; }
# The tests build the roots of containers in /mnt.
for directory in proc sys dev run tmp mnt; do
    mkdir -p "$root/$directory"
done
mount --move /proc "$root/proc"
mount --move /sys "$root/sys"
mount --move /dev "$root/dev"

mount -t tmpfs -o mode=755 tmpfs "$root/run"
cp /inside.sh /systemd.sh /bin/busybox "$root/run/"

# The guest has its own /tmp. The parts of the host's files that it needs and does not see
# otherwise, such as the checkout, are bound at the same paths.
mkdir -p /run/tmp
mount -t tmpfs -o mode=1777 tmpfs /run/tmp
tr ' ' '\n' <"$root/proc/cmdline" | sed -n 's/^vm\.shown=//p' | while read -r path; do
    case $path in
        /tmp/*) place=/run$path ;;
        *) place=$root$path ;;
    esac
    [ "$place" != "$shared$path" ] || continue
    mkdir -p "$place"
    mount --bind "$shared$path" "$place"
done
mount --move /run/tmp "$root/tmp"
# The host's shell, because busybox's shell would prefer its own built-in programs to the host's.
exec switch_root "$root" /bin/sh /run/inside.sh
