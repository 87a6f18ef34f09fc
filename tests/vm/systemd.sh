#!/bin/sh
# The situations of inside.sh with systemd as PID 1, the system bus, logind and, for the user, a
# user manager with its own bus:
#
#     systemd-root  root in a session of logind, as after a login
#     systemd-user  user 1000 in such a session
#     systemd-bare  user 1000 in a system service, without a session, user manager or user bus
#
# Usage: systemd.sh SITUATION SCRIPT, as PID 1. It writes only to the overlay in memory.
situation=$1 script=$2
units=/etc/systemd/system

# Units that the guest does not need and that are slow on an emulated processor. systemd-tmpfiles
# would empty /tmp.
for unit in systemd-udevd systemd-udev-trigger systemd-udev-settle systemd-tmpfiles-setup systemd-tmpfiles-setup-dev systemd-modules-load \
    kmod-static-nodes systemd-timesyncd systemd-sysusers systemd-firstboot systemd-random-seed systemd-machine-id-commit \
    systemd-journal-flush systemd-update-utmp systemd-hwdb-update systemd-binfmt systemd-pstore systemd-repart ldconfig; do
    ln -sf /dev/null $units/$unit.service
done
for unit in systemd-udevd-control.socket systemd-udevd-kernel.socket proc-sys-fs-binfmt_misc.automount proc-sys-fs-binfmt_misc.mount \
    sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount; do
    ln -sf /dev/null $units/$unit
done
: >/etc/fstab

# The session needs no password. It needs pam_systemd, which asks logind for the session and its
# scope.
cat >/etc/pam.d/seclude <<PAM
account required pam_permit.so
session required pam_systemd.so
PAM
[ -e /etc/pam.d/systemd-user ] || cp /etc/pam.d/seclude /etc/pam.d/systemd-user

session='PAMName=seclude'
case $situation in
    systemd-root) user=0 ;;
    systemd-user) user=1000 ;;
    systemd-bare) user=1000 session= ;;
esac
cat >$units/seclude-tests.service <<UNIT
[Unit]
Requires=dbus.service systemd-logind.service
After=dbus.service systemd-logind.service systemd-user-sessions.service
Wants=systemd-user-sessions.service
[Service]
Type=oneshot
User=$user
$session
WorkingDirectory=/tmp
ExecStart=/bin/bash -o pipefail -c 'bash $script 2>&1 | cat'
# Outside of the session and as root, whatever happened to the command.
ExecStopPost=+/bin/sh -c 'echo "\$\${EXIT_STATUS:-125}" >/dev/ttyS2; systemctl poweroff --force --force'
StandardOutput=file:/dev/ttyS1
StandardError=inherit
TimeoutStartSec=infinity
UNIT
exec /lib/systemd/systemd --unit=seclude-tests.service --log-target=console --log-level=warning --show-status=false
