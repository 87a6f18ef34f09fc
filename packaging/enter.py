"""Runs a command in another root directory: `enter.py ROOT SHARED USER COMMAND...`, as root.

The command sees ROOT as `/`, this machine's `/proc`, `/dev` and `/sys`, the directory SHARED at
`/mnt`, and an empty `/tmp`. USER is a number, with which its group has the same one. The mounts are
in a mount namespace of the command's own. `chroot` alone would not do: the kernel denies user
namespaces to a process whose root is not that of its mount namespace.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

CLONE_NEWNS = 0x20000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
MNT_DETACH = 2
LIBC = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> None:
    """Call a function of libc, and raise its error."""
    values = [os.fsencode(a) if isinstance(a, str | Path) else a for a in arguments]
    if getattr(LIBC, name)(*values) != 0:
        error = ctypes.get_errno()
        shown = ", ".join(map(str, arguments))
        raise OSError(error, f"{name}({shown}): {os.strerror(error)}")


def enter(root: Path, shared: str) -> None:
    """Make `root` the root of this process."""
    call("unshare", CLONE_NEWNS)
    call("mount", None, "/", None, MS_REC | MS_PRIVATE, None)
    call("mount", root, root, None, MS_BIND, None)
    for name in ("proc", "dev", "sys", "mnt", "tmp"):
        (root / name).mkdir(exist_ok=True)
    for name in ("proc", "dev", "sys"):
        call("mount", f"/{name}", root / name, None, MS_BIND | MS_REC, None)
    call("mount", shared, root / "mnt", None, MS_BIND, None)
    call("mount", "tmpfs", root / "tmp", "tmpfs", 0, "mode=1777")
    os.chdir(root)
    # The old root lies on top of the new one then, and is taken away: pivot_root(2).
    call("pivot_root", ".", ".")
    call("umount2", ".", MNT_DETACH)
    os.chdir("/")


def main() -> None:
    """Run what the command line names."""
    if len(sys.argv) < 5:
        sys.exit((__doc__ or "").splitlines()[0])
    root, shared, user, *command = sys.argv[1:]
    enter(Path(root).resolve(), shared)
    os.setgroups([])
    os.setresgid(int(user), int(user), int(user))
    os.setresuid(int(user), int(user), int(user))
    path = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    # The search for the command is by this process's PATH.
    os.environ["PATH"] = path
    os.execvpe(command[0], command, {"PATH": path, "HOME": "/tmp", "LANG": "C.UTF-8"})


if __name__ == "__main__":
    main()
