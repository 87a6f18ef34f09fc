#!/usr/bin/env python3
"""Measures whole runs side by side and says which targets are met. docs/benchmarks.md explains the
tables.

Every story has a file beside this one: turns (the order of the runs), layers, throughput, memory,
interpreter, peers, and targets, which judges all of them.

    usage: compare.py [--rounds N] [--memory MIB,MIB,…] [--runs N] [--cells N] [--only STORY,…]
                      [--as USER] [--write] …
"""

import argparse
import dataclasses
import os
import pathlib
import pwd
import sys
import tempfile

sys.dont_write_bytecode = True  # Keeps bytecode out of the source tree.

import before  # noqa: E402
import contestants as names  # noqa: E402
import floor_check  # noqa: E402
import interpreter  # noqa: E402
import layers  # noqa: E402
import machine  # noqa: E402
import memory  # noqa: E402
import plot  # noqa: E402
import tables  # noqa: E402
import targets  # noqa: E402
import throughput  # noqa: E402
from build import TOP, Programs  # noqa: E402
from peers import DIFFERENCES, Peers  # noqa: E402
from turns import Times, take_turns  # noqa: E402

WARMUP = 20
SMALL = 10
DOCUMENTS = TOP / "docs" / "benchmarks"
STORIES = ("whole", "layers", "sizes", "throughput", "memory", "import", "peers")
TITLES = {targets.STATIC: "A static program of 500 bytes", targets.TRUE: "/bin/true"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--rounds", type=int, default=300, help="turns of each contestant (default 300)"
    )
    parser.add_argument(
        "--memory", default="10,1024,4096", help="the caller's sizes in MiB (default 10,1024,4096)"
    )
    parser.add_argument(
        "--runs",
        type=int,
        help="runs for throughput (default 2000; with fewer than 100 rounds 20 for each round)",
    )
    parser.add_argument(
        "--cells",
        type=int,
        help="cells at once (default 1000; with fewer than 100 rounds 10 for each round)",
    )
    parser.add_argument(
        "--settle", type=float, default=2, help="milliseconds of rest before each turn (default 2)"
    )
    parser.add_argument(
        "--only",
        default=",".join(STORIES),
        help=f"which stories, of {','.join(STORIES)}; the first is always shown",
    )
    parser.add_argument(
        "--before",
        metavar="COMMIT",
        help="show only what each path costs over the same path in this commit",
    )
    parser.add_argument(
        "--python", default=sys.executable, help="the interpreter that has the wheel"
    )
    parser.add_argument("--peers", help="another directory in which peers' programs are")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", TOP / "target"))
    parser.add_argument(
        "--build",
        type=pathlib.Path,
        default=target / "compare",
        help="where the measuring programs are put",
    )
    parser.add_argument("--as", dest="user", help="root builds, and this user measures")
    written = (
        f"write results.md and plot.svg to this directory (default {DOCUMENTS.relative_to(TOP)})"
    )
    parser.add_argument(
        "--write", nargs="?", type=pathlib.Path, const=DOCUMENTS, metavar="DIRECTORY", help=written
    )
    parser.add_argument(
        "--require-all", action="store_true", help="fail if a contestant is missing"
    )
    options = parser.parse_args()
    quick = options.rounds < 100
    options.runs = options.runs or (20 * options.rounds if quick else 2000)
    options.cells = options.cells or (10 * options.rounds if quick else 1000)
    options.only = options.only.split(",")
    if options.user and options.write:
        parser.error("--as USER cannot write the documents: measure as one user or the other")
    return options


def become(user: str) -> None:
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setresgid(*[entry.pw_gid] * 3)
    os.setresuid(*[entry.pw_uid] * 3)


@dataclasses.dataclass
class Report:
    """The measurements so far."""

    missing: dict[str, str]
    parts: list[str] = dataclasses.field(default_factory=list)
    plotted: dict[str, list[plot.Row]] = dataclasses.field(default_factory=dict)


class Comparison:
    """The stories, measured one after the other."""

    def __init__(self, options: argparse.Namespace, programs: Programs, field: names.Field) -> None:
        self.options, self.programs, self.field = options, programs, field
        self.settle = options.settle / 1000
        # Slow measurements have fewer rounds.
        self.some = max(options.rounds // 3, min(options.rounds, 30))
        self.payloads = {
            targets.STATIC: programs.payload,
            targets.TRUE: os.path.realpath("/bin/true"),
        }
        self.report = Report(dict(field.missing))

    def tell(self) -> str:
        """Run everything that was asked for and return the table of targets."""
        told = {story: story in self.options.only for story in STORIES}
        whole = self.whole_runs()
        if told["peers"]:
            self.peers()
        if told["layers"]:
            measured = layers.measure(self.programs, WARMUP, self.options.rounds, self.settle)
            self.report.parts.append(layers.table(*measured))
        by_size = self.sizes() if told["sizes"] else {}
        rates = throughput.measure(self.programs, self.options.runs) if told["throughput"] else None
        crowds = memory.measure(self.programs, self.options.cells) if told["memory"] else {}
        imported = (
            interpreter.measure(self.programs, self.some, self.settle) if told["import"] else None
        )
        if by_size:
            self.report.parts.append(tables.sizes(by_size))
        if rates:
            self.report.parts.append(throughput.table(rates))
        if crowds:
            self.report.parts.append(memory.table(crowds))
        return targets.table(targets.Study(whole, by_size, rates, crowds, imported))

    def whole_runs(self) -> dict[str, Times]:
        whole = {}
        for key, payload in self.payloads.items():
            commands = self.field.commands(list(self.field.contestants), SMALL, WARMUP, payload)
            whole[key] = take_turns(TITLES[key], commands, self.options.rounds, self.settle)
            bases = [names.POSIX_SPAWN, names.FLOOR, names.BUBBLEWRAP]
            self.report.parts.append(tables.whole_runs(TITLES[key], whole[key], bases))
        self.report.plotted["from nothing, and from what is ready"] = plot.rows(
            list(whole.values()), names.POSIX_SPAWN
        )
        return whole

    def peers(self) -> None:
        """Measure the peers beside posix_spawn and seclude, as a common reference."""
        times = {}
        with tempfile.TemporaryDirectory(prefix="seclude-bench.", dir="/tmp") as folder:
            # Ids that exist only inside a peer need to enter the folder.
            pathlib.Path(folder).chmod(0o755)
            peers = Peers(self.programs, pathlib.Path(folder), self.options.peers)
            for key, payload in self.payloads.items():
                others = peers.field(payload)
                self.report.missing |= others.missing
                ours = self.field.commands(
                    [names.POSIX_SPAWN, names.RUST, names.RUST_POOL], SMALL, WARMUP, payload
                )
                theirs = others.commands(list(others.contestants), SMALL, 3, payload)
                times[key] = take_turns(
                    f"peers: {TITLES[key]}", ours | theirs, self.some, self.settle
                )
                table = tables.whole_runs(
                    f"Peers: {TITLES[key]}",
                    times[key],
                    [names.POSIX_SPAWN, names.RUST],
                    DIFFERENCES,
                )
                self.report.parts.append(table)
        ours_already = (names.POSIX_SPAWN, names.RUST, names.RUST_POOL, names.BUBBLEWRAP)
        self.report.plotted["peers"] = plot.rows(
            list(times.values()), names.POSIX_SPAWN, ours_already
        )

    def sizes(self) -> dict[str, Times]:
        mebibytes = [int(mib) for mib in self.options.memory.split(",")]
        if len(mebibytes) < 2:
            return {}
        if sum(mebibytes) + 256 > machine.meminfo()["MemAvailable"] // 1024:
            raise SystemExit(
                f"callers of {mebibytes} MiB at once need more memory than is free: see --memory"
            )
        found = {}
        for name, one in names.face_field(self.programs).contestants.items():
            commands = {
                f"{mib} MiB": one.command(mib, WARMUP, self.programs.payload) for mib in mebibytes
            }
            found[name] = take_turns(
                f"the caller's memory: {name}", commands, self.some, self.settle
            )
        return found


def changes(options: argparse.Namespace) -> str:
    """Measure what each path costs over the same path in an earlier commit."""
    options.build.mkdir(parents=True, exist_ok=True)
    programs = Programs(options.build.resolve(), options.python)
    told = []
    for key, payload in (
        (targets.STATIC, programs.payload),
        (targets.TRUE, os.path.realpath("/bin/true")),
    ):
        times = before.measure(
            programs,
            options.before,
            payload,
            TITLES[key],
            WARMUP,
            options.rounds,
            options.settle / 1000,
        )
        told.append(before.table(options.before, TITLES[key], times))
    return "\n".join(told)


def prepared(options: argparse.Namespace) -> tuple[Programs, names.Field]:
    """Build everything and check that the floor is a fair one."""
    folder = options.build.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    programs = Programs(folder, options.python)
    field = names.main_field(programs)
    floor_check.write_script(folder)
    if options.user:
        # Everything from here on is measured.
        _ = programs.payload
        become(options.user)
    floor_check.same_isolation(
        field.contestants[names.FLOOR], field.contestants[names.RUST], folder
    )
    return programs, field


def main() -> None:
    options = arguments()
    machine.small_pages()
    machine.many_descriptors()
    if options.before:
        print(changes(options))
        return
    comparison = Comparison(options, *prepared(options))
    report = comparison.report
    for name, reason in report.missing.items():
        print(f"not measured: {name}: {reason}", file=sys.stderr)
    if report.missing and options.require_all:
        raise SystemExit(1)
    verdicts = comparison.tell()
    head = f"Measured {machine.described()}; {options.rounds} rounds.\n"
    absent = [f"Not measured: {name} ({reason}).\n" for name, reason in report.missing.items()]
    print("\n".join([head, *absent, *report.parts, verdicts]))
    if options.write:
        options.write.mkdir(parents=True, exist_ok=True)
        words = " ".join(word for word in sys.argv[1:] if "/" not in word)
        title = f"# Measured ratios\n\nMade by `compare.py {words}`; [how to read them](../benchmarks.md).\n"
        (options.write / "results.md").write_text(
            "\n".join([title, head, *absent, verdicts, *report.parts])
        )
        (options.write / "plot.svg").write_text(
            plot.svg(report.plotted, list(TITLES.values()), machine.described())
        )
    if report.missing and options.require_all:
        raise SystemExit(f"missing: {', '.join(report.missing)}")


if __name__ == "__main__":
    main()
