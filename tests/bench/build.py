"""Builds the measuring programs in one folder, from which another user can run them.

What cannot be built or is not installed raises Missing with the reason, so nothing is left out
silently.
"""

import dataclasses
import functools
import json
import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
CC = os.environ.get("CC", "cc")
STRICT = ["-O2", "-Wall", "-Wextra", "-Werror", "-pthread"]
FREESTANDING = [
    *STRICT, "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fno-pic",
    "-no-pie", "-s", "-Wl,--build-id=none", "-Wl,-z,noseparate-code", "-Wl,-z,norelro",
]  # fmt: skip


class Missing(Exception):
    """A contestant that this machine cannot run, and why."""


@dataclasses.dataclass(frozen=True)
class Programs:
    """The folder with the built programs."""

    folder: pathlib.Path
    python: str

    @functools.cached_property
    def payload(self) -> str:
        """A static program of 500 bytes that exits at once."""
        return self.c("payload", FREESTANDING)

    @functools.cached_property
    def spawn(self) -> str:
        return self.c("spawn", STRICT)

    @functools.cached_property
    def rust(self) -> str:
        """core/benches/measure."""
        return built_measure(TOP, self.folder / "measure")

    @functools.cached_property
    def floor(self) -> str:
        init, program = self.c("floor_init", FREESTANDING), self.folder / "filter.bpf"
        program.write_bytes(
            subprocess.run([self.rust, "filter"], check=True, capture_output=True).stdout
        )
        return self.c("floor", [*STRICT, f'-DINIT_IMAGE="{init}"', f'-DFILTER="{program}"'])

    @functools.cached_property
    def c_face(self) -> str:
        messages = run(
            [
                "cargo",
                "build",
                "--quiet",
                "--release",
                "--package=seclude-capi",
                "--lib",
                "--message-format=json",
            ]
        )
        files = [
            file
            for message in map(json.loads, messages.splitlines())
            for file in message.get("filenames", [])
        ]
        library = next(file for file in files if file.endswith("libseclude.a"))
        return self.c("face", [*STRICT, f"-I{TOP / 'include'}"], library, "-ldl", "-lm")

    @functools.cached_property
    def python_face(self) -> list[str]:
        found = subprocess.run(
            [self.python, "-c", "import seclude; seclude.Sandbox"], cwd="/", capture_output=True
        )
        if found.returncode != 0:
            raise Missing(
                f"{self.python} cannot import seclude: install the wheel, or name another interpreter with --python"
            )
        return [self.python, str(HERE / "face.py")]

    def c(self, name: str, options: list[str], *more: str) -> str:
        output = str(self.folder / name)
        run([CC, *options, "-o", output, str(HERE / f"{name}.c"), *more])
        return output


def built_measure(
    tree: pathlib.Path, output: pathlib.Path, target: pathlib.Path | None = None
) -> str:
    """Build core/benches/measure of a tree. Another tree than this has its own target directory."""
    command = [
        "cargo",
        "bench",
        "--quiet",
        "--package=seclude",
        "--bench=measure",
        "--no-run",
        "--message-format=json",
    ]
    messages = run([*command, *(["--target-dir", str(target)] if target else [])], tree)
    built = [
        message["executable"]
        for message in map(json.loads, messages.splitlines())
        if message.get("executable")
    ]
    return shutil.copy(built[-1], str(output))


def run(command: list[str], where: pathlib.Path = TOP) -> str:
    """Return the output of a build step. If it fails, its messages are the error."""
    done = subprocess.run(command, cwd=where, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"failed: {' '.join(command)}")
    return done.stdout
