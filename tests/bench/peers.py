"""Other sandboxing programs with the same work: the same payload, in namespaces, with the host's
programs readable.

Each is started by posix_spawn with the options that its own manual shows for this. The table names
what it leaves out or adds. What a peer needs (a bundle, a root) is made in a temporary directory.

As root each peer has a mount namespace with its own `/dev`. An OCI runtime gives its standard
streams to the container's user, and would otherwise give away the machine's `/dev/null`.
"""

import functools
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable

from build import Missing, Programs
from contestants import SYSTEM, Command, Field, bubblewrap, with_payload

HOST_IDS, IDS, ID = 0x7000_0000, 65536, 1000
# The paths in /proc that other runtimes mask like seclude's default.
MASKED = [
    "acpi",
    "asound",
    "interrupts",
    "kallsyms",
    "kcore",
    "keys",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
]
READ_ONLY = "bus fs irq sys sysrq-trigger".split()  # noqa: SIM905

# Mounts a tmpfs with its own device nodes over /dev, through the directory {place}. File systems
# below /dev stay.
PRIVATE_DEV = """set -e
mount -t tmpfs -o mode=755,nosuid dev {place}
mknod -m 666 {place}/null c 1 3
mknod -m 666 {place}/zero c 1 5
mknod -m 666 {place}/full c 1 7
mknod -m 666 {place}/random c 1 8
mknod -m 666 {place}/urandom c 1 9
mknod -m 666 {place}/tty c 5 0
for name in pts shm mqueue; do
    if mountpoint -q /dev/$name; then
        mkdir {place}/$name
        mount --bind /dev/$name {place}/$name
    fi
done
ln -s pts/ptmx {place}/ptmx
ln -s /proc/self/fd {place}/fd
ln -s /proc/self/fd/0 {place}/stdin
ln -s /proc/self/fd/1 {place}/stdout
ln -s /proc/self/fd/2 {place}/stderr
mount --move {place} /dev
"""

DIFFERENCES = {
    "bubblewrap": "no seccomp, no Landlock; /proc is not masked; no limits on core dumps and files",
    "crun": "no seccomp, no Landlock; a bundle that is made before; here its view of the cgroups is version 2 alone",
    "runc": "no seccomp, no Landlock; a bundle that is made before; makes cgroups where it can",
    "firejail": "the host's file system as it is, without a root of its own; setuid; a filter of its own",
    "systemd-nspawn": "a root that is made before; not registered with systemd; a filter of its own; as root only",
    "hakoniwa": "the caller's ids; podman's filter; the whole of the host's root read-only",
}


class Peers:
    """Builds what peers need in `folder`, for one payload at a time. `extra` is another directory
    with programs.
    """

    def __init__(self, programs: Programs, folder: pathlib.Path, extra: str | None) -> None:
        self.programs, self.folder = programs, folder
        self.path = os.pathsep.join(
            filter(None, [extra, os.environ.get("PATH"), "/usr/sbin", "/sbin"])
        )
        self.root = os.geteuid() == 0

    def field(self, payload: str) -> Field:
        """Return the peers that run here."""
        makers: dict[str, Callable[[str], Command]] = {
            "bubblewrap": lambda payload: self.spawned([*bubblewrap(), *with_payload(payload)]),
            "crun": self.crun,
            "runc": self.runc,
            "firejail": self.firejail,
            "systemd-nspawn": self.nspawn,
            "hakoniwa": self.hakoniwa,
        }
        field = Field()
        for name, make in makers.items():
            field.add(name, functools.partial(self.proved, name, make, payload))
        return field

    def proved(self, name: str, make: Callable[[str], Command], payload: str) -> Command:
        """Check that a peer runs here, or raise with its own error message."""
        command = make(payload)
        words = command(0, 0, "")
        # Without the measuring program in between, which silences the peer.
        at = words.index(self.programs.spawn)
        alone = [*words[:at], *words[at + 3 :]]
        # Its streams are pipes, because /dev/null opened here would be the machine's.
        before = machine_null()
        done = subprocess.run(alone, input="", capture_output=True, text=True, timeout=60)
        if machine_null() != before:
            raise SystemExit(
                f"{name} has changed the machine's /dev/null: make it belong to root, with mode 666, again"
            )
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if line.strip()] or [
                f"it ended with status {done.returncode}"
            ]
            # Only the message of a log line.
            told = re.search(r'msg="(.*)"', said[0])
            raise Missing(f"{name} does not run here: {told[1] if told else said[0].strip()}")
        return command

    def program(self, name: str) -> str:
        if found := shutil.which(name, path=self.path):
            return found
        raise Missing(f"{name} is not installed: tests/needs-bench.sh installs it")

    def spawned(self, words: list[str], script: str = "") -> Command:
        """Start a peer by posix_spawn. As root it runs in a mount namespace with its own `/dev`, in
        which `script` runs first.
        """
        around: list[str] = []
        if self.root:
            place = self.folder / "dev"
            place.mkdir(exist_ok=True)
            script = PRIVATE_DEV.format(place=shlex.quote(str(place))) + script + '\nexec "$@"'
            around = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]
        return lambda mib, warmup, _: [*around, self.programs.spawn, str(mib), str(warmup), *words]

    def crun(self, payload: str) -> Command:
        words = [
            self.program("crun"),
            "--root",
            str(self.folder / "crun-state"),
            "--cgroup-manager=disabled",
        ]
        words += ["run", "--bundle", str(self.bundle(payload)), "bench-crun"]
        unified = "/sys/fs/cgroup/unified"
        if not (self.root and pathlib.Path(unified).is_dir()):
            return self.spawned(words)
        # It refuses a host with both cgroup versions, so its caller sees only version 2.
        return self.spawned(words, f"mount --rbind {unified} /sys/fs/cgroup")

    def runc(self, payload: str) -> Command:
        words = [self.program("runc"), "--root", str(self.folder / "runc-state")]
        return self.spawned([*words, "run", "--bundle", str(self.bundle(payload)), "bench-runc"])

    def firejail(self, payload: str) -> Command:
        words = [
            self.program("firejail"),
            "--quiet",
            "--noprofile",
            "--net=none",
            "--private-dev",
            "--caps.drop=all",
        ]
        words += [
            "--nonewprivs",
            "--seccomp",
            "--ipc-namespace",
            "--hostname=sandbox",
            "--nogroups",
        ]
        return self.spawned([*words, self.seen_by_all(payload)])

    def nspawn(self, payload: str) -> Command:
        path = self.program("systemd-nspawn")
        if not self.root:
            raise Missing("systemd-nspawn needs root")
        words = [
            path,
            "--quiet",
            "--directory",
            str(self.tree()),
            "--read-only",
            "--private-network",
        ]
        words += ["--register=no", "--keep-unit", "--as-pid2"]
        words += [
            f"--private-users={HOST_IDS}:{IDS}",
            "--private-users-ownership=off",
            "--no-new-privileges=yes",
        ]
        words += [
            "--drop-capability=all",
            "--hostname=sandbox",
            "--machine=bench-nspawn",
            "--console=pipe",
            "--link-journal=no",
        ]
        words += [f"--bind-ro={path}" for path in self.shown()]
        return self.spawned([*words, f"--bind-ro={payload}:/payload", "/payload"])

    def hakoniwa(self, payload: str) -> Command:
        words = [
            self.program("hakoniwa"),
            "run",
            "--unshare-all",
            "--devfs",
            "/dev",
            "--tmpfs",
            "/tmp",
            "--hostname",
            "sandbox",
        ]
        return self.spawned([*words, "--bindmount-ro", f"{payload}:/payload", "--", "/payload"])

    # What the peers need.

    def seen_by_all(self, payload: str) -> str:
        """Copy the payload to a place that no peer hides."""
        return shutil.copy(payload, str(self.folder / f"payload-{pathlib.Path(payload).name}"))

    def shown(self) -> list[str]:
        """The host's directories with programs. The others are links into these."""
        paths = [pathlib.Path("/") / name for name in SYSTEM]
        return [str(path) for path in paths if path.is_dir() and not path.is_symlink()]

    def tree(self) -> pathlib.Path:
        """Make a root with nothing but mount points."""
        tree = self.folder / "root"
        if not tree.exists():
            for name in (
                "proc",
                "dev",
                "sys",
                "tmp",
                "run",
                "etc",
                "var",
                *(path.strip("/") for path in self.shown()),
            ):
                (tree / name).mkdir(parents=True)
            for name in SYSTEM:
                path = pathlib.Path("/") / name
                if path.is_symlink():
                    (tree / name).symlink_to(os.readlink(path))
            (tree / "etc/ld.so.cache").write_bytes(pathlib.Path("/etc/ld.so.cache").read_bytes())
            (tree / "payload").touch()
            (tree / "etc/os-release").touch()
        return tree

    def bundle(self, payload: str) -> pathlib.Path:
        """Make an OCI bundle that follows seclude's default sandbox."""
        bundle = self.folder / f"bundle-{pathlib.Path(payload).name}"
        bundle.mkdir(exist_ok=True)
        private = ["nosuid", "nodev", "noexec"]
        mounts = [
            mount("/proc", "proc", "proc", private),
            mount("/dev", "tmpfs", "tmpfs", ["nosuid", "mode=755", "size=64k"]),
            mount("/dev/shm", "tmpfs", "shm", ["nosuid", "nodev", "mode=1777", "size=64m"]),
            *(
                mount(path, "bind", path, ["rbind", "ro", "nosuid", "nodev"])
                for path in self.shown()
            ),
            mount("/payload", "bind", payload, ["bind", "ro", "nosuid", "nodev"]),
        ]
        # Root maps a range, as seclude does. An ordinary user has one id, which runtimes map to
        # root inside.
        ids, user = [{"containerID": 0, "hostID": HOST_IDS, "size": IDS}], {"uid": ID, "gid": ID}
        uids = gids = ids
        if not self.root:
            uids, gids = (
                [{"containerID": 0, "hostID": own, "size": 1}]
                for own in (os.geteuid(), os.getegid())
            )
            user = {"uid": 0, "gid": 0}
        kinds = ("pid", "network", "ipc", "uts", "mount", "user", "cgroup")
        config = {
            "ociVersion": "1.0.0",
            "process": {
                "terminal": False, "user": user, "args": ["/payload"], "env": ["PATH=/usr/bin:/bin", "LANG=C.UTF-8"], "cwd": "/",
                "capabilities": {}, "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}], "noNewPrivileges": True,
            },
            "root": {"path": str(self.tree()), "readonly": True},
            "hostname": "sandbox",
            "mounts": mounts,
            "linux": {
                "namespaces": [{"type": kind} for kind in kinds], "uidMappings": uids, "gidMappings": gids,
                "maskedPaths": [f"/proc/{name}" for name in MASKED], "readonlyPaths": [f"/proc/{name}" for name in READ_ONLY],
            },
        }  # fmt: skip
        (bundle / "config.json").write_text(json.dumps(config))
        return bundle


def machine_null() -> tuple[int, int, int]:
    """Return what no measured program may change."""
    status = os.stat("/dev/null")
    return status.st_uid, status.st_gid, status.st_mode


def mount(at: str, kind: str, source: str, options: list[str]) -> dict[str, object]:
    return {"destination": at, "type": kind, "source": source, "options": options}
