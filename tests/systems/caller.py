"""Imports systems as images and runs the rows of checks.py in them, as the caller that it runs as.

    python caller.py CALLER PLACE SYSTEM=ARCHIVE...

run.py starts it. CALLER is root, range or single. PLACE has the packages that are installed. Prints
a line for each check, which begins with `passed`, `failed` or `skipped`.
"""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from checks import INSTALL, SYSTEMS, Check, Fails, System

import seclude

# What package managers use of root's rights over files, and services to give root up.
CAPABILITIES = (
    "chown dac_override fowner fsetid setuid setgid setfcap kill sys_chroot net_bind_service"
)
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "DEBIAN_FRONTEND": "noninteractive",
    "LC_ALL": "C",
    "HOME": "/root",
}
IDS: dict[str, Literal["single", "range"]] = {"root": "range", "range": "range", "single": "single"}
SECONDS = 120
DENIED = "setgroups: Operation not permitted"
NOT_FOUND = 127


class Mismatch(Exception):
    """A check that has failed, with the reason."""


def main() -> None:
    """Check all systems of the command line."""
    caller, place, *archives = sys.argv[1:]
    systems = {system.name: system for system in SYSTEMS}
    for name, archive in (each.split("=", 1) for each in archives):
        at = Caller(caller, systems[name], archive, place)
        for what, act in at.checks():
            try:
                act()
            except (Mismatch, seclude.SecludeError, subprocess.SubprocessError) as error:
                print(f"failed {caller} {name}: {what}: {error}")
            else:
                print(f"passed {caller} {name}: {what}")
            sys.stdout.flush()
        for what in at.system.skipped:
            print(f"skipped {caller} {name}: {what}")


class Caller:
    """A caller with one system: the image, and a cell that has it as its root."""

    def __init__(self, caller: str, system: System, archive: str, place: str) -> None:
        self.caller = caller
        self.system = system
        self.archive = archive
        self.place = place
        self.ids = ["--ids", IDS[caller]]
        self.cell: seclude.Cell

    def checks(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """Return the checks by name, in their order."""
        yield "import", self.import_archive
        # A published port leaves an ordinary user one id.
        if self.caller == "range":
            yield "a published port is refused", self.no_ports
        self.cell = self.sandbox(self.system.name, ports=self.caller != "range").cell()
        with self.cell:
            for check in self.system.checks:
                yield check.name, partial(self.script, check)
            yield "a service", self.service
        # It holds the image.
        del self.cell
        yield "changes, commit and reset", self.commit
        if self.caller != "single":
            yield "commit of what a user has closed", self.commit_closed
        yield "remove and collect", self.collect

    def sandbox(self, image: str, *, ports: bool = False) -> seclude.Sandbox:
        """Return a sandbox with the image as its root, in which root may do what it usually may."""
        return seclude.Sandbox(
            files=[
                seclude.Store().image(image).overlay(size="512M"),
                seclude.bind(f"{self.place}/packages", "/packages"),
            ],
            uid=0,
            gid=0,
            capabilities=CAPABILITIES.split(),
            ids=IDS[self.caller],
            ports=["8080"] if ports else [],
        )

    def import_archive(self) -> None:
        """Import the archive and run a program, both by the command `seclude`."""
        name = self.system.name
        told = command("image", "import", *self.ids, "--name", name, self.archive)
        equal(told, name)
        told = command("run", *self.ids, "--image", name, "--", "cat", "/etc/passwd")
        equal(told.splitlines()[0].split(":")[:3], ["root", "x", "0"])

    def no_ports(self) -> None:
        """Find that a range and a published port exclude each other, and that it is said."""
        try:
            self.sandbox(self.system.name, ports=True).cell().close()
        except seclude.PolicyError as error:
            if "has one id" not in str(error):
                raise
        else:
            raise Mismatch("a sandbox has a range of ids and a published port")

    def script(self, check: Check) -> None:
        """Run the script of a row in the cell."""
        single = self.caller == "single" and check.single is not None
        expected = check.single if single else check.text
        status, told = self.run(self.cell, check.script)
        if isinstance(expected, Fails):
            if status == 0 or expected.text not in told:
                raise Mismatch(f"status {status} instead of {expected}: {told}")
        elif status != 0 or str(expected) not in told:
            raise Mismatch(f"status {status}, and no {expected!r}: {told}")

    def run(self, cell: seclude.Cell | seclude.Sandbox, script: str) -> tuple[int, str]:
        """Run a script. Return its status and all that it has printed."""
        done = cell.run(
            ["/bin/sh", "-ec", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=ENVIRONMENT,
            cwd="/",
            timeout=SECONDS,
        )
        return done.returncode, done.stdout

    def service(self) -> None:
        """Start the service, and reach it from inside and from the host."""
        system = self.system
        files = "mkdir -p /srv; cd /srv; echo served >page; echo served >closed; chmod 600 closed"
        self.expect(files, "")
        fetch = system.fetch.format
        status, told = self.run(self.cell, fetch("page"))
        if status == 0:
            raise Mismatch(f"there is a service before it is started: {told}")
        serve = ["/bin/sh", "-ec", system.serve]
        quiet = subprocess.DEVNULL
        with self.cell.popen(
            serve, env=ENVIRONMENT, stdin=quiet, stdout=quiet, stderr=subprocess.PIPE, text=True
        ) as server:
            if system.server and self.caller == "single":
                # With one id, its user does not exist.
                errors = server.communicate(timeout=SECONDS)[1]
                if server.returncode == 0 or DENIED not in errors:
                    raise Mismatch(f"status {server.returncode}: {errors}")
                return
            if not server.wait_ready(8080, timeout=SECONDS):
                raise Mismatch(f"it does not listen: {server.communicate()[1]}")
            self.expect(fetch("page"), "served")
            # Another user than root cannot read it.
            status, told = self.run(self.cell, fetch("closed"))
            if (status == 0) == bool(system.server):
                raise Mismatch(f"it is not the user {system.server or 'root'}: {told}")
            for port in self.cell.ports:
                url = "http://{}:{}/page".format(*port.address)
                with urllib.request.urlopen(url, timeout=SECONDS) as answer:
                    equal(answer.read(), b"served\n")
            server.kill()

    def commit(self) -> None:
        """Make an image of what was installed. The first one stays what it was."""
        program = "seclude-plain"
        with self.sandbox(self.system.name).cell() as cell:
            equal(self.run(cell, program)[0], NOT_FOUND)
            self.expect(INSTALL, "this is plain", cell)
            changes = {change.path: change.kind for change in cell.changes()}
            equal(changes.get(f"/usr/bin/{program}"), "added")
            cell.commit("changed")
            cell.reset()
            equal(cell.changes(), [])
            equal(self.run(cell, program)[0], NOT_FOUND)
        equal(self.run(self.sandbox("changed"), program), (0, "this is plain\n"))
        equal(self.run(self.sandbox(self.system.name), program)[0], NOT_FOUND)

    def commit_closed(self) -> None:
        """Commit directories that a user of the image has closed, also to the caller."""
        script = """
            umask 77; mkdir /closed; cd /closed; mkdir old kept; echo old >old/file
            ln -s nowhere kept/link; mkfifo kept/fifo; echo kept >kept/file
            chown -R 33:34 /closed
        """
        above = """
            umask 77; cd /closed; rm -r old; mkdir old; echo new >old/new; echo more >>kept/file
            chown -R 35:36 old
        """
        show = "cd /closed; ls old kept; cat old/new kept/file; stat -c %a:%u:%g old kept"
        expected = "kept:\nfifo\nfile\nlink\n\nold:\nnew\nnew\nkept\nmore\n700:35:36\n700:33:34\n"
        with self.sandbox(self.system.name).cell() as cell:
            self.expect(script, "", cell)
            first = cell.commit("closed")
        with self.sandbox("closed").cell() as cell:
            self.expect(above, "", cell)
            changes = {change.path: change.kind for change in cell.changes()}
            kinds = {"old": "changed", "old/file": "deleted", "old/new": "added"}
            kinds["kept/file"] = "changed"
            equal(changes, {f"/closed/{path}": kind for path, kind in kinds.items()})
            second = cell.commit("closed-again")
        equal(self.run(self.sandbox("closed-again"), show), (0, expected))
        # An export reads everything, and the archive is an image again.
        archive = f"{self.place}/{self.caller}/closed.tar"
        second.export_tar(archive)
        Path(archive).rename(archive)
        command("image", "import", *self.ids, "--name", "again", archive)
        equal(self.run(self.sandbox("again"), show), (0, expected))
        Path(archive).unlink()
        for name in ("again", second.name, first.name):
            second.store.remove(name)

    def collect(self) -> None:
        """Remove the images. Nothing is left in the store."""
        command("image", "remove", self.system.name, "changed")
        command("image", "collect")
        store = Path(seclude.Store().path, "v1")
        for folder in ("images", "layers", "work"):
            equal([path.name for path in (store / folder).iterdir()], [])

    def expect(self, script: str, text: str, cell: seclude.Cell | None = None) -> None:
        """Run a script in the cell that must succeed and print this text."""
        status, told = self.run(cell or self.cell, script)
        if status != 0 or text not in told:
            raise Mismatch(f"{script}: status {status}: {told}")


def command(*words: str) -> str:
    """Run the command `seclude`, and return what it prints."""
    done = subprocess.run(["seclude", *words], capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise Mismatch(f"seclude {' '.join(words)}: {done.returncode}: {done.stderr}")
    return done.stdout.strip()


def equal(found: object, expected: object) -> None:
    if found != expected:
        raise Mismatch(f"{found!r} instead of {expected!r}")


if __name__ == "__main__":
    main()
