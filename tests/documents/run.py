"""Builds and runs the programs of README.md and the guides from the text of the documents.

    run.py --python INTERPRETER --library PREFIX --place DIRECTORY [FRONT-PAGE [DOCUMENT…]]
    run.py --alone --python INTERPRETER --library PREFIX --place DIRECTORY DOCUMENT…

The front page must have a program in each language, with its output. Each program must print what
the document shows below it, and exit with 0. The interpreter has the wheel. The prefix holds the
library as `make library` installs it. The directory is made anew, and an unprivileged user must be
able to read it. If the caller is root, each program also runs as nobody. Then all links between the
repository's documents are followed, and the names in the reference's tables are compared with the
header's. With `--alone`, only the programs of the given documents run.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field

import blocks
import links
import names

ROOT = pathlib.Path(__file__).resolve().parents[2]
# A program that hangs is a failure, not a test that never ends.
SECONDS = 120
ORDINARY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@dataclass
class Account:
    """The results."""

    passed: int = 0
    failed: int = 0
    callers: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def tell(self, name: str, problem: str | None) -> None:
        if problem is None:
            self.passed += 1
            print("ok", name, flush=True)
        else:
            self.failed += 1
            print(f"FAILED {name}\n" + "".join(f"    {line}\n" for line in problem.splitlines()))


class Failed(Exception):
    """A step before the program's run failed; the text is its output."""


def run(
    command: list[str],
    directory: str | pathlib.Path,
    environment: dict[str, str],
    seconds: int | None,
) -> tuple[int, str]:
    """Run a command to its end and return its exit code and both streams."""
    done = subprocess.run(
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
    )
    return done.returncode, done.stdout


def build(command: list[str], directory: pathlib.Path, **environment: str) -> None:
    code, said = run(command, directory, os.environ | environment, None)
    if code:
        raise Failed(f"{' '.join(command)}\n{said}")


class Builder:
    """Makes each program executable."""

    def __init__(self, wanted: argparse.Namespace) -> None:
        self.python = str(wanted.python)
        self.library = wanted.library
        self.place: pathlib.Path = wanted.place
        self.cargo = os.environ.get("CARGO", "cargo")
        self.number = 0

    def made(self, program: blocks.Program, install: str) -> list[str]:
        """Return the command that runs a program, built as the document's install section says."""
        self.number += 1
        directory = self.place / f"{program.language}-{self.number}"
        directory.mkdir()
        ways = {"rust": self._rust, "c": self._c, "python": self._python}
        return ways[program.language](directory, program.text, install)

    def _python(self, directory: pathlib.Path, text: str, install: str) -> list[str]:
        (directory / "hello.py").write_text(text)
        return [self.python, str(directory / "hello.py")]

    def _c(self, directory: pathlib.Path, text: str, install: str) -> list[str]:
        (directory / "hello.c").write_text(text)
        command = re.search(r"^cc .*$", install, re.MULTILINE)
        if not command:
            raise Failed("no line of the document says how to compile a C program: `cc …`")
        # The document's own command, with stricter warnings.
        strict = command[0] + " -Wall -Wextra -Wpedantic -Werror"
        build(["sh", "-c", strict], directory, PKG_CONFIG_PATH=f"{self.library}/lib/pkgconfig")
        return ["env", f"LD_LIBRARY_PATH={self.library}/lib", str(directory / "hello")]

    def _rust(self, directory: pathlib.Path, text: str, install: str) -> list[str]:
        add = re.search(r"^cargo (add .*)$", install, re.MULTILINE)
        if not add:
            raise Failed("no line of the document says how to use the crate: `cargo add …`")
        init = ["init", "--quiet", "--vcs=none", "--name=seclude-readme"]
        build([self.cargo, *init], directory)
        arguments = [word.replace("../seclude", str(ROOT)) for word in add[1].split()]
        # The lock file and target directory of the workspace, so that nothing is built twice.
        shutil.copy(ROOT / "Cargo.lock", directory)
        build([self.cargo, *arguments], directory)
        with (directory / "Cargo.toml").open("a") as manifest:
            manifest.write('\n[lints.rust]\nwarnings = "deny"\n')
        (directory / "src" / "main.rs").write_text(text)
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        build([self.cargo, "build", "--quiet"], directory, CARGO_TARGET_DIR=str(target))
        # Copied out of the checkout, which may lie in a home that is closed to others.
        shutil.copy(target / "debug" / "seclude-readme", directory / "hello")
        return [str(directory / "hello")]


def differs(
    command: list[str], builder: Builder, wanted: blocks.Program | blocks.Command
) -> str | None:
    """Run a program or a shell command in a directory of its own, and return the difference, if
    any.
    """
    with tempfile.TemporaryDirectory(prefix="seclude-document-") as home:
        os.chmod(home, 0o777)
        for name, text in wanted.files.items():
            pathlib.Path(home, name).write_text(text)
        try:
            code, said = run(command, home, variables(builder, home), SECONDS)
        except subprocess.TimeoutExpired:
            return f"it still ran after {SECONDS} seconds"
    # A shell command may fail on purpose; its output then shows that.
    if blocks.fits(wanted.prints, said) and (code == 0 or isinstance(wanted, blocks.Command)):
        return None
    return f"exit code {code}; it printed\n{said}but the document shows\n{wanted.prints}"


def prove(document: pathlib.Path, builder: Builder, account: Account) -> None:
    """Run everything that a document shows."""
    name = document.relative_to(ROOT) if document.is_relative_to(ROOT) else document
    found = blocks.blocks(document.read_text())
    install = "".join(block.text for block in found if block.language == "sh")

    for program in blocks.programs(found):
        title = f"{name}:{program.line} ({program.language})"
        try:
            command = builder.made(program, install)
        except Failed as failure:
            account.tell(f"{title} is built", str(failure))
            continue
        for caller, prefix in account.callers.items():
            problem = differs([*prefix, *command], builder, program)
            account.tell(f"{title} as {caller}", problem)

    for one in blocks.commands(found):
        for caller, prefix in account.callers.items():
            command = [*prefix, "sh", "-c", one.text]
            problem = differs(command, builder, one)
            account.tell(f"{name}:{one.line} `$ {one.text}` as {caller}", problem)


def variables(builder: Builder, home: str) -> dict[str, str]:
    """Return a minimal environment, so that no program depends on a variable of the caller."""
    path = f"{pathlib.Path(builder.python).parent}:/usr/local/bin:/usr/bin:/bin"
    return {"PATH": path, "HOME": home, "LANG": "C.UTF-8"}


def complete(document: pathlib.Path) -> str | None:
    """Yield what a front page lacks: a program in each language, each with its output."""
    found = blocks.blocks(document.read_text())
    there = {program.language for program in blocks.programs(found)}
    missing = [language for language in blocks.LANGUAGES if language not in there]
    problems = [f"it has no program in {language}" for language in missing]
    for block in blocks.silent(found):
        problems.append(f"line {block.line}: nothing says what it prints")
    return "\n".join(problems) or None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=pathlib.Path, required=True)
    parser.add_argument("--library", type=pathlib.Path, required=True)
    parser.add_argument("--place", type=pathlib.Path, required=True)
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("documents", nargs="*", type=pathlib.Path)
    wanted = parser.parse_args()
    os.umask(0o022)
    shutil.rmtree(wanted.place, ignore_errors=True)
    wanted.place.mkdir(parents=True)

    account = Account(callers={"caller": ()})
    if os.geteuid() == 0:
        account.callers = {"root": (), "nobody": ORDINARY}
    else:
        print("SKIPPED: as nobody: only root can become another user")

    builder = Builder(wanted)
    documents = list(map(pathlib.Path.resolve, wanted.documents))
    if documents and not wanted.alone:
        front = documents[0]
        account.tell(f"{front.name} has a program in each language", complete(front))
    for document in documents:
        prove(document, builder, account)
    if not wanted.alone:
        references(account)

    print(f"{account.passed} passed, {account.failed} failed")
    return account.failed != 0


def references(account: Account) -> None:
    """Follow the links between all documents, and compare names with the header's."""
    places = ("*.md", "core/*.md", "python/*.md", "docs/**/*.md")
    for document in sorted(path for place in places for path in ROOT.glob(place)):
        problem = "\n".join(links.broken(ROOT, document)) or None
        account.tell(f"links of {document.relative_to(ROOT)}", problem)

    account.tell("index of docs", "\n".join(links.unlisted(ROOT)) or None)

    for page in dict.fromkeys(page for page, _, _ in names.TABLES):
        account.tell(f"names in docs/{page}", "\n".join(names.wrong(ROOT, page)) or None)


if __name__ == "__main__":
    sys.exit(main())
