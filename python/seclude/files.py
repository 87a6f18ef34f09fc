"""The entries of the sandbox's file system: small frozen values for `Sandbox(files=[...])`.

Paths are text, bytes or path objects. `at` is an absolute path inside. No path is checked before a
command starts. Each class also has a lower-case name, which reads better in a list:
`files=[bind("/opt/tool"), tmpfs("/tmp", "64M")]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypeAlias

from .policy_part import Part
from .vocabulary import Path


@dataclass(frozen=True, slots=True)
class EntryPart(Part):
    """An entry, which writes the values that are given."""

    _keys: ClassVar[dict[str, str]]
    """The keys in policies of the values that have another name there."""

    def policy(self) -> dict[str, Any]:
        """Return this value in the form of a policy's text."""
        values = ((one.name, getattr(self, one.name)) for one in fields(self))
        return {
            self._keys.get(name, name): value
            for name, value in values
            if value is not None and value is not False
        }


# faces: begin entries
@dataclass(frozen=True, slots=True)
class Bind(EntryPart):
    """A bind mount: a file or directory of the host that is visible inside. It is read-only by
    default.

    Mounts below a directory are visible, too. Set-user-ID bits have no effect, and neither do
    device nodes unless `devices` is set. Mount points are created only in the sandbox's own file
    systems: below a bound directory, the mount point must exist.

    - `source`: The path outside.
    - `at`: The path inside. In policies and in Python, the default is the path outside.
    - `writable`: Lets the command write, as far as the file permissions let its user outside the
      sandbox. A privileged caller's command runs as another host user (`host_ids`). If the owner,
      group and mode of every file in the source deny that user, the start fails with an error of
      kind `source-unreadable`, which names the user and a remedy. One writable file or directory in
      the source is enough to pass. It must exist at the start, even if other files become writable
      later.
    - `optional`: Skips the bind if the source does not exist.
    - `noexec`: Forbids to execute files in the bind.
    - `devices`: Allows to open device nodes in the bind, such as `/dev/kvm`.
    - `nofollow`: Refuses symbolic links in the path of the source. Use it if the path leads through
      a directory that an earlier sandboxed program could write to: that program may have left a
      link there.
    - `idmapped`: Makes the caller's files in the bind the command's, and what the command makes
      there the caller's. An unprivileged caller has it so in any case. For a privileged caller's
      command, which runs as another host user (`host_ids`), the kernel translates the owners (Linux
      5.12, on a tmpfs 6.3; `mount_setattr(2)`). Files of others belong to nobody inside. No command
      of the sandbox can then set the set-user-ID and set-group-ID bits, which would be the caller's
      outside. The bind must hold no such programs either. Excludes `optional` and a shared user
      namespace, and if it is writable, `nested`, the capabilities `setfcap` and `fsetid`, and the
      profile `unconfined`.
    """

    _keys: ClassVar = {"source": "bind"}

    source: Path
    at: Path | None = None
    writable: bool = field(default=False, kw_only=True)
    optional: bool = field(default=False, kw_only=True)
    noexec: bool = field(default=False, kw_only=True)
    devices: bool = field(default=False, kw_only=True)
    nofollow: bool = field(default=False, kw_only=True)
    idmapped: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Tmpfs(EntryPart):
    """A tmpfs: an empty, writable file system in memory.

    - `at`: The path inside.
    - `size`: Limits the size in bytes. The kernel rounds it up to whole pages. Without a size, its
      own default applies: half of the machine's memory.
    - `inodes`: Limits the number of files and directories, including the root directory of the
      tmpfs.
    - `mode`: Sets the mode of the root directory, 0 to 0o7777. Default: 0o1777.
    - `noexec`: Forbids to execute files in the tmpfs.
    """

    _keys: ClassVar = {"at": "tmpfs"}

    at: Path
    size: int | str | None = None
    inodes: int | None = None
    mode: int | None = None
    noexec: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Overlay(EntryPart):
    """A writable view of directories of the host: an overlay file system. Nothing is written to the
    directories. What the sandbox changes is kept in memory, and is gone when the sandbox ends,
    unless `kept` names a place for it.

    At `/`, the directories are the root, with the programs of another system: see docs/roots.md.
    Their `/dev`, `/proc` and `/tmp` are covered by the sandbox's own. Elsewhere, mounts below the
    directories are not visible. Set-user-ID bits and device nodes have no effect.

    For a privileged caller's command, the owner of each file is the user with the same number
    inside, so id 0 owns what the host's root owns (Linux 5.19; `mount_setattr(2)`). For an
    unprivileged caller's command, the caller's files are the command's, and all others belong to
    nobody. Needs Linux 5.11, and without `kept` 6.6: the kernel keeps no attributes of users on a
    tmpfs before.

    - `layers`: The directories outside, at most 64, the lowest first. What is in several is the one
      in the last of them. May be empty with an `image`.
    - `at`: The path inside.
    - `size`: Limits the size of the changes in bytes. A file counts whole once it is changed.
      Default: 64 MiB.
    - `inodes`: Limits the number of changed files and directories. Default: 65536.
    - `kept`: Keeps the changes in this directory of the host's, instead of in memory. A later
      sandbox with the same layers goes on with them. One sandbox at a time can use it. A reset of a
      cell leaves them. The directory must exist, be the caller's own and be closed to other users
      (mode 0700), for whom the changes could be set-user-ID programs of the caller's. Without
      `size` and `inodes` they are not bounded. With one of them, they are in a file system of their
      own, an ext4 in a file of the directory, of about this size and at least 1 MiB. Only the
      host's root as the caller can have that, with e2fsprogs and Linux 5.8.
    - `image`: Shows the image with this name in the store, below the `layers`: see docs/images.md.
      It is found at the first start, and stays in the store as long as the policy is in use.
    - `store`: The path of the store with the image. By default it is the caller's own store.
    """

    _keys: ClassVar = {"at": "overlay"}

    layers: Sequence[Path]
    at: Path
    size: int | str | None = None
    inodes: int | None = None
    kept: Path | None = None
    image: str | None = None
    store: Path | None = None


@dataclass(frozen=True, slots=True)
class Mqueue(EntryPart):
    """A directory that shows the sandbox's POSIX message queues as files, usually at `/dev/mqueue`
    (`mq_overview(7)`).

    Programs can list, read and remove queues there. `mq_open(3)` works without it. The queues
    belong to the ipc namespace, which must be the sandbox's own. Each copy of a template has its
    own queues, and all commands of a cell share theirs.

    - `at`: The path inside.
    """

    _keys: ClassVar = {"at": "mqueue"}

    at: Path


@dataclass(frozen=True, slots=True)
class DiskImage(EntryPart):
    """A disk image: a file with a squashfs or an erofs file system, which is visible inside,
    read-only. Only for the host's root as the caller, because the kernel lets nobody else mount it.

    The kernel reads the image, and one that is made to harm it endangers the whole host: use only
    images that you trust. The files keep their owners, so those of the host's root belong to nobody
    inside, and the command can read what everybody may. Set-user-ID bits and device nodes have no
    effect. The image must not change while it is in use. squashfs takes a loop device and Linux
    5.8, as erofs does before Linux 6.12.

    - `source`: The image outside.
    - `at`: The path inside.
    """

    _keys: ClassVar = {"source": "disk_image"}

    source: Path
    at: Path


@dataclass(frozen=True, slots=True)
class Sys(EntryPart):
    """The parts of the host's `/sys` that programs read to learn how much they may use, usually at
    `/sys`. All of it is read-only.

    These are the numbers, the topology and the caches of processors (`devices/system/cpu`), the
    memory nodes (`devices/system/node`), the settings of transparent huge pages, and in `fs/cgroup`
    the sandbox's own cgroup with its limits and counters. docs/hardware.md lists the files, and
    says what of the host they reveal. Entries can add others below.

    `fs/cgroup` is empty without a limit that a cgroup enforces, and if the cgroup namespace is not
    the sandbox's own.

    - `at`: The path inside.
    """

    _keys: ClassVar = {"at": "sys"}

    at: Path


@dataclass(frozen=True, slots=True)
class Proc(EntryPart):
    """A proc file system of the sandbox's process tree. If the pid namespace is shared, the
    caller's `/proc` is bound. Only with `exact_files`; other sandboxes have a `/proc`.

    - `at`: The path inside.
    """

    _keys: ClassVar = {"at": "proc"}

    at: Path


@dataclass(frozen=True, slots=True)
class Dev(EntryPart):
    """The sandbox's own device directory: a tmpfs with `null`, `zero`, `full`, `random`, `urandom`,
    `tty`, pseudo-terminals, the usual links, and a directory `shm`. Only with `exact_files`; other
    sandboxes have a `/dev`.

    - `at`: The path inside.
    """

    _keys: ClassVar = {"at": "dev"}

    at: Path


@dataclass(frozen=True, slots=True)
class ReadOnly(EntryPart):
    """Makes an existing mount read-only, without the mounts below it. Only with `exact_files`.

    - `at`: The path inside: that of a mount.
    """

    _keys: ClassVar = {"at": "read_only"}

    at: Path


@dataclass(frozen=True, slots=True)
class Chmod(EntryPart):
    """Changes the mode of an existing file or directory. Only with `exact_files`.

    - `at`: The path inside.
    - `mode`: Sets the mode, 0 to 0o7777. Default: 0o755.
    """

    _keys: ClassVar = {"at": "chmod"}

    at: Path
    mode: int | None = None


@dataclass(frozen=True, slots=True)
class Directory(EntryPart):
    """An empty directory.

    - `at`: The path inside.
    - `mode`: Sets the mode, 0 to 0o7777. Default: 0o755.
    """

    _keys: ClassVar = {"at": "dir"}

    at: Path
    mode: int | None = None


@dataclass(frozen=True, slots=True)
class Symlink(EntryPart):
    """A symbolic link. The arguments have the order of `symlink(2)`.

    - `target`: The text of the link.
    - `at`: The path inside.
    """

    _keys: ClassVar = {"at": "symlink"}

    target: Path
    at: Path


@dataclass(frozen=True, slots=True)
class File(EntryPart):
    """A regular file with given contents.

    - `at`: The path inside.
    - `data`: The contents.
    - `mode`: Sets the mode, 0 to 0o7777. Default: 0o644.
    - `bound`: Mounts the file at its path, over an existing file, and read-only unless `writable`
      is set. Only with `exact_files`.
    - `writable`: Lets the command write to a `bound` file. Nothing is written outside.
    """

    _keys: ClassVar = {"at": "file"}

    at: Path
    data: str | bytes
    mode: int | None = None
    bound: bool = field(default=False, kw_only=True)
    writable: bool = field(default=False, kw_only=True)


Entry: TypeAlias = (
    Bind
    | Tmpfs
    | Overlay
    | Mqueue
    | DiskImage
    | Sys
    | Proc
    | Dev
    | ReadOnly
    | Chmod
    | Directory
    | Symlink
    | File
)
"""An entry of the file system."""

bind = Bind
tmpfs = Tmpfs
overlay = Overlay
mqueue = Mqueue
diskimage = DiskImage
sys = Sys
proc = Proc
dev = Dev
readonly = ReadOnly
chmod = Chmod
directory = Directory
symlink = Symlink
file = File
# faces: end
