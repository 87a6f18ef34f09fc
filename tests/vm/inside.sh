#!/bin/sh
# PID 1 of the guest. It prepares the situation named on the kernel's command line, runs the script
# named there as the user of that situation, reports its status through the third serial port, and
# powers off. The situations:
#
#     root       root, in its own cgroup below one that has all controllers
#     delegated  user 1000 with such a subtree, as given by systemd's Delegate=yes
#     plain      user 1000 in a cgroup of root, without a subtree
#     systemd-…  with systemd as PID 1: systemd.sh takes over
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8
box=/run/busybox
id=1000

word() { sed -n "s/.*vm\.$1=\([^ ]*\).*/\1/p" /proc/cmdline; }

finish() {
    echo "$1" >/dev/ttyS2
    $box poweroff -f
}

ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t mqueue mqueue /dev/mqueue
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup || finish 125
$box ip link set lo up
$box hostname guest
# The tests may be in a home that is closed to others. Opens it, in the overlay only.
for path in $(tr ' ' '\n' </proc/cmdline | sed -n 's/^vm\.shown=//p'); do
    while [ "$path" != / ]; do
        chmod o+rx "$path"
        path=$(dirname "$path")
    done
done
# The root of another architecture has none: only its own programs can make it.
[ -e /etc/ld.so.cache ] || ldconfig
getent passwd $id >/dev/null || echo "guest:x:$id:$id::/tmp/home:/bin/sh" >>/etc/passwd
mkdir -p /tmp/home /run/user/$id
chown $id:$id /tmp/home /run/user/$id

script=$(word script)
situation=$(word situation)
case $situation in
    systemd-*) exec /bin/sh /run/systemd.sh "$situation" "$script" ;;
esac

# give CGROUP: enables every controller for its children.
give() {
    sed 's/[^ ]*/+&/g' "$1/cgroup.controllers" >"$1/cgroup.subtree_control"
}

top=/sys/fs/cgroup
mkdir -p $top/deleg
give $top
case $situation in
    plain) leaf=$top/deleg ;;
    *)
        give $top/deleg
        leaf=$top/deleg/leaf
        mkdir $leaf
        ;;
esac
if [ "$situation" = delegated ]; then
    for directory in $top/deleg $leaf; do
        chown $id:$id "$directory" "$directory"/cgroup.procs "$directory"/cgroup.threads "$directory"/cgroup.subtree_control
    done
fi

(
    echo 0 >$leaf/cgroup.procs
    cd /tmp || exit 125
    case $situation in
        root) bash "$script" ;;
        delegated | plain)
            HOME=/tmp/home XDG_RUNTIME_DIR=/run/user/$id setpriv --reuid $id --regid $id --clear-groups --inh-caps=-all bash "$script"
            ;;
        *) echo "no situation $situation"; false ;;
    esac
    echo $? >/run/status
) </dev/null 2>&1 | cat >/dev/ttyS1
finish "$(cat /run/status || echo 125)"
