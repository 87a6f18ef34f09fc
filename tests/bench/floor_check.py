"""Checks that the floor is fair: a program sees and may do the same in it as in seclude's default
sandbox.

A floor that isolated less would make seclude look slow, and one that isolated more would flatter
it. So before the measurement, one script reports what it finds in both, and the reports must be
equal.
"""

import difflib
import pathlib
import subprocess

from contestants import Contestant

LOOK_AROUND = r"""#!/bin/sh
exec 2>&1
id
grep -E '^(Cap|NoNewPrivs|Groups|Seccomp|SigBlk|NSpid|Uid|Gid)' /proc/self/status
cut -d' ' -f 4-6 /proc/self/mountinfo | sort
stat -c '%A %u %g %N' / /* /etc/* /dev/* | grep -v ' ./proc.$'
cat /etc/passwd /etc/group /proc/sys/user/max_user_namespaces /proc/self/uid_map /proc/self/gid_map
wc -c /proc/keys /proc/kallsyms /proc/interrupts /proc/timer_list
hostname; umask; ulimit -a; ulimit -Ha; env | sort
cut -d' ' -f 5-7 /proc/$$/stat
ls /proc /proc/self/fd
cat /proc/net/dev /proc/net/if_inet6
readlink /proc/1/exe
unshare -U true
touch /new /usr/new /etc/new
echo 1 > /proc/sys/kernel/sysrq
echo x > /dev/shm/x && cat /dev/shm/x
exit 0
"""


def write_script(folder: pathlib.Path) -> None:
    script = folder / "look_around"
    script.write_text(LOOK_AROUND)
    script.chmod(0o755)


def same_isolation(floor: Contestant, seclude: Contestant, folder: pathlib.Path) -> None:
    """Stop the comparison if the two differ."""
    script = folder / "look_around"
    floors, secludes = (seen(one, script) for one in (floor, seclude))
    difference = list(
        difflib.unified_diff(floors, secludes, floor.name, seclude.name, lineterm="", n=0)
    )
    if difference:
        raise SystemExit(
            "\n".join(
                ["the floor does not isolate as seclude does, so it is no measure:", *difference]
            )
        )


def seen(contestant: Contestant, script: pathlib.Path) -> list[str]:
    """Return the script's report from inside, from the single run of a warm-up."""
    command = contestant.command(0, 1, str(script))
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True
    )
    lines = done.stdout.splitlines()
    if "ready" not in lines or len(lines) < 50:
        raise SystemExit(f"{contestant.name}: reported too little:\n{done.stdout}")
    # Process ids depend on how many helpers a shell starts. The report covers descriptors and ids
    # itself.
    return [line for line in lines if not line.isdigit()]
