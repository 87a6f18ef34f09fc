"""What is compared: builds the measuring programs and says how each is started.

A contestant is a command that takes (MIB, WARMUP, …, PAYLOAD) as measure.h describes. One that cannot be built or is not
installed here is named with the reason, never passed over in silence.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
from collections.abc import Callable

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
CC = os.environ.get("CC", "cc")
STRICT = ["-O2", "-Wall", "-Wextra", "-Werror"]
FREESTANDING = [
    *STRICT, "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fno-pic",
    "-no-pie", "-s", "-Wl,--build-id=none", "-Wl,-z,noseparate-code", "-Wl,-z,norelro",
]  # fmt: skip

POSIX_SPAWN = "posix_spawn"
FLOOR = "C floor"
FLOOR_SHARED_NET = "C floor, network shared"
RUST = "seclude, Rust"
RUST_SHARED_NET = "seclude, Rust, network shared"
RUST_LIMITS = "seclude, Rust, limits"
RUST_PREPARED = "seclude, Rust, from a template"
RUST_POOL = "seclude, Rust, from a pool"
RUST_CELL = "seclude, Rust, in a cell"
RUST_RESET = "a cell's reset"
RUST_NEW_CELL = "a new cell, closed"
C = "seclude, C"
PYTHON = "seclude, Python"
BUBBLEWRAP = "bubblewrap"


class Missing(Exception):
    """A contestant that this machine cannot field, and why."""


@dataclasses.dataclass(frozen=True)
class Contestant:
    name: str
    command: Callable[[int, int, str], list[str]]
    """How to start it, for a caller of so many MiB, so many runs to warm up, and this payload."""


def build(folder: pathlib.Path, python: str) -> tuple[dict[str, Contestant], dict[str, str]]:
    """All contestants by name, and the missing ones with the reason."""
    folder.mkdir(parents=True, exist_ok=True)
    compile_c(folder, "payload", FREESTANDING)
    compile_c(folder, "floor_init", FREESTANDING)
    filter_program = folder / "filter.bpf"
    filter_program.write_bytes(subprocess.run([rust_face(), "--filter"], check=True, capture_output=True).stdout)
    floor = compile_c(folder, "floor", [*STRICT, f'-DINIT_IMAGE="{folder / "floor_init"}"', f'-DFILTER="{filter_program}"'])
    spawn = compile_c(folder, "spawn", STRICT)

    def plain(*start: str) -> Callable[[int, int, str], list[str]]:
        return lambda mib, warmup, payload: [*start, str(mib), str(warmup), payload]

    def enclosed(*prefix: str) -> Callable[[int, int, str], list[str]]:
        return lambda mib, warmup, payload: [spawn, str(mib), str(warmup), *prefix, "--ro-bind", payload, "/payload", "/payload"]

    makers: dict[str, Callable[[], Callable[[int, int, str], list[str]]]] = {
        POSIX_SPAWN: lambda: plain(spawn),
        FLOOR: lambda: plain(floor),
        RUST: lambda: plain(rust_face()),
        C: lambda: plain(c_face(folder)),
        PYTHON: lambda: plain(*python_face(python)),
        BUBBLEWRAP: lambda: enclosed(*bubblewrap()),
        FLOOR_SHARED_NET: lambda: plain(floor, "--share-net"),
        RUST_SHARED_NET: lambda: plain(rust_face(), "--share-net"),
        RUST_LIMITS: lambda: plain(rust_face(), "--limits"),
        RUST_PREPARED: lambda: plain(rust_face(), "--prepared"),
        RUST_POOL: lambda: plain(rust_face(), "--pool"),
        RUST_CELL: lambda: plain(rust_face(), "--cell"),
        RUST_RESET: lambda: plain(rust_face(), "--reset"),
        RUST_NEW_CELL: lambda: plain(rust_face(), "--new-cell"),
    }
    contestants, missing = {}, {}
    for name, make in makers.items():
        try:
            contestants[name] = Contestant(name, make())
        except Missing as reason:
            missing[name] = str(reason)
    return contestants, missing


def compile_c(folder: pathlib.Path, name: str, options: list[str], *more: str) -> str:
    output = folder / name
    run([CC, *options, "-o", str(output), str(HERE / f"{name}.c"), *more])
    return str(output)


def rust_face() -> str:
    """The Rust measuring program, where cargo has put it."""
    messages = run(["cargo", "bench", "--quiet", "--package", "seclude", "--bench", "face", "--no-run", "--message-format=json"])
    built = [message for message in map(json.loads, messages.splitlines()) if message.get("executable")]
    return built[-1]["executable"]


def c_face(folder: pathlib.Path) -> str:
    if not (TOP / "include" / "seclude.h").exists():
        raise Missing("include/seclude.h is not there")
    messages = run(["cargo", "build", "--quiet", "--release", "--package", "seclude-capi", "--lib", "--message-format=json"])
    files = [file for message in map(json.loads, messages.splitlines()) for file in message.get("filenames", [])]
    library = [file for file in files if file.endswith("libseclude.a")]
    if not library:
        raise Missing("cargo made no libseclude.a")
    name = "face"
    output = folder / "face_c"
    run([CC, *STRICT, f"-I{TOP / 'include'}", "-o", str(output), str(HERE / f"{name}.c"), library[-1], "-lpthread", "-ldl", "-lm"])
    return str(output)


def python_face(python: str) -> list[str]:
    found = subprocess.run([python, "-c", "import seclude; seclude.Sandbox"], cwd="/", capture_output=True, text=True)
    if found.returncode != 0:
        raise Missing(f"{python} cannot import seclude: install the wheel, or name another interpreter with --python")
    return [python, str(HERE / "face.py")]


def bubblewrap() -> list[str]:
    """Its usual options, in the shape of seclude's default sandbox: the same programs, /etc subset, proc, dev and ids."""
    path = shutil.which("bwrap")
    if path is None:
        raise Missing("bwrap is not installed (the package is called bubblewrap)")
    words = [path, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    words += ["--uid", "1000", "--gid", "1000", "--hostname", "sandbox", "--tmpfs", "/"]
    for name in ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        words += shown(pathlib.Path("/") / name)
    for name in ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "nsswitch.conf"):
        words += shown(pathlib.Path("/etc") / name)
    return [*words, "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]


def shown(path: pathlib.Path) -> list[str]:
    if path.is_symlink():
        return ["--symlink", os.readlink(path), str(path)]
    return ["--ro-bind", str(path), str(path)] if path.exists() else []


def run(command: list[str]) -> str:
    """A build step's output; its messages, if it fails, are the error."""
    done = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"failed: {' '.join(command)}")
    return done.stdout
