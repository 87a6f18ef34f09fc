"""Runs programs and suites outside and inside. A case that passes only outside is a failure.

run.py --place DIRECTORY [--slice] [--only WORD…]

run.py --write-page | --check-page

DIRECTORY is where needs-programs.sh has put the suites. The page is docs/programs.md. The
interpreter must have the wheel. As root the program tests two callers, root and nobody. Outside
everything runs as nobody.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import pathlib
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import ground
import page
import rows
import suites
from rows import Exclusion, Program
from suites import Part, Verdict, Verdicts

# A case that fails now and then runs again before it counts.
TRIES = 3
LTP_LISTS = ("syscalls", "syscalls-ipc", "pty", "nptl", "sched", "fcntl-locktests")


@dataclass
class Account:
    """The results as one caller."""

    passed: int = 0
    differs: list[str] = field(default_factory=list)
    excluded: dict[Exclusion, int] = field(default_factory=dict)
    unsteady: list[str] = field(default_factory=list)


class Proof:
    """The runs and their results."""

    def __init__(
        self, python: str, exclusions: list[Exclusion], jobs: int, policy: dict[str, Any]
    ) -> None:
        self.python = python
        self.exclusions = exclusions
        self.policy = policy
        self.callers = ground.users()
        self.ordinary = self.callers[-1]
        self.threads = concurrent.futures.ThreadPoolExecutor(jobs)
        self.accounts = {user.name: Account() for user in self.callers}
        self.outside: dict[str, int] = {}
        self.wrong: list[str] = []

    def judge(self, parts: Iterable[Part]) -> None:
        for part, one in [(part, self.threads.submit(self._part, part)) for part in parts]:
            began = time.monotonic()
            lines = one.result()
            if lines or time.monotonic() - began > 30:
                print(f"{part.suite} {part.name}: {'differs' if lines else 'done'}", flush=True)
            for line in lines:
                print(f"    {line}", flush=True)

    def _part(self, part: Part) -> list[str]:
        """Run one part outside and as each caller, and return what must be reported."""
        there = part.read(ground.outside(self.ordinary, part.work))
        passing = {case for case, verdict in there.items() if verdict.kind == "pass"}
        self.outside[part.suite] = self.outside.get(part.suite, 0) + len(passing)
        if part.suite == "programs" and not passing:
            self.wrong += [
                f"{case}: it fails outside: {verdict.words}" for case, verdict in there.items()
            ]
        lines = []
        for user in self.callers:
            lines += self._inside(user, part, passing)
        return lines

    def _sandbox(self, user: ground.User, work: ground.Work) -> ground.Done:
        files = [*self.policy.get("files", []), *work.policy.get("files", [])]
        policy = self.policy | work.policy | ({"files": files} if files else {})
        return ground.inside(self.python, user, dataclasses.replace(work, policy=policy))

    def _inside(self, user: ground.User, part: Part, passing: set[str]) -> list[str]:
        account = self.accounts[user.name]
        found = part.read(self._sandbox(user, part.work))
        short = {case for case in passing if not passes(found, case)}
        again = {case for case in short if not self._excluded(part, case)}
        for _ in range(TRIES - 1):
            if not again:
                break
            # Cases run again on both sides, because one that fails outside now and then proves
            # nothing.
            narrowed = part.again(again)
            there = narrowed.read(ground.outside(self.ordinary, narrowed.work))
            here = narrowed.read(self._sandbox(user, narrowed.work))
            steady = {case for case in again if passes(there, case) and not passes(here, case)}
            account.unsteady += sorted(again - steady)
            short -= again - steady
            again = steady
        lines = []
        for case in sorted(short):
            exclusion = self._excluded(part, case)
            if exclusion:
                account.excluded[exclusion] = account.excluded.get(exclusion, 0) + 1
            else:
                verdict = found.get(case, Verdict("fail", "not told"))
                account.differs.append(f"{part.suite} {case}")
                lines.append(f"as {user.name}: {case}: {verdict.kind}: {verdict.words}")
        account.passed += len(passing) - len(short)
        return lines

    def _excluded(self, part: Part, case: str) -> Exclusion | None:
        return next((one for one in self.exclusions if one.covers(part.suite, case)), None)

    def control(self) -> None:
        """Check the control: a program that passes only outside must be found to differ."""
        run = '[ "$(uname -n)" != sandbox ] && echo outside'
        program = Program("control", "the host's own name", run, "outside\n")
        part = program.part()
        if not passes(part.read(ground.outside(self.ordinary, part.work)), program.name):
            self.wrong.append("the control fails outside")
        for user in self.callers:
            if passes(part.read(self._sandbox(user, part.work)), program.name):
                self.wrong.append(
                    f"as {user.name}: the control passes inside: differences are not seen"
                )

    def without(self, programs: Iterable[Program]) -> None:
        """Check that a program that needs a policy fails without it, as the page says."""
        for program in programs:
            part = program.part(bare=True)
            for user in self.callers:
                if passes(part.read(self._sandbox(user, part.work)), program.name):
                    self.wrong.append(
                        f"as {user.name}: {program.name}: it passes without what the page names"
                    )


def passes(found: Verdicts, case: str) -> bool:
    return case in found and found[case].kind == "pass"


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--place", type=pathlib.Path, default=pathlib.Path("/nonexistent"))
    options.add_argument("--slice", action="store_true")
    options.add_argument("--only", nargs="+", default=[])
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument("--policy", type=json.loads, default={}, help="to try other defaults")
    options.add_argument("--write-page", action="store_true")
    options.add_argument("--check-page", action="store_true")
    chosen = options.parse_args()

    wrong = page.check(write=chosen.write_page)
    if chosen.write_page or chosen.check_page:
        print(wrong or "the page matches the data")
        return bool(wrong)

    proof = Proof(sys.executable, rows.exclusions(), chosen.jobs, chosen.policy)
    if wrong:
        proof.wrong.append(wrong)
    proof.control()

    everything = [program for program in rows.programs() if program.slice or not chosen.slice]
    absent = {program.name: program.missing() for program in everything if program.missing()}
    here = [program for program in everything if program.name not in absent]
    parts = [program.part() for program in here]
    parts += suites.cpython(suites.CPYTHON_SLICE if chosen.slice else suites.CPYTHON)
    if not chosen.slice:
        parts += suites.busybox(chosen.place)
        parts += suites.ltp(chosen.place, LTP_LISTS, rows.left_out())
    if chosen.only:
        parts = [
            part
            for part in parts
            if any(word in f"{part.suite} {part.name}" for word in chosen.only)
        ]
        here = [
            program
            for program in here
            if any(word in f"programs {program.name}" for word in chosen.only)
        ]
    else:
        ran = {part.suite for part in parts}
        wanted = ("cpython",) if chosen.slice else ("cpython", "busybox", "ltp")
        absent |= {suite: ["its files"] for suite in wanted if suite not in ran}
    proof.judge(parts)
    proof.without(program for program in here if program.special)
    return told(proof, absent, partial=bool(chosen.slice or chosen.only))


def told(proof: Proof, absent: dict[str, list[str]], *, partial: bool) -> int:
    for name, commands in absent.items():
        print(f"SKIPPED: {name}: there is no {', no '.join(commands)}")
    unneeded = [
        one
        for one in proof.exclusions
        if not any(one in account.excluded for account in proof.accounts.values())
    ]
    for one in unneeded if not partial else []:
        print(f"no longer needed here: the exclusion {', '.join(one.cases)}")
    for name, account in proof.accounts.items():
        for case in account.unsteady:
            print(f"flaky, passed when run again or failed outside too: as {name}: {case}")
    for line in proof.wrong:
        print(f"WRONG: {line}")
    passing = ", ".join(f"{suite} {count}" for suite, count in proof.outside.items())
    inside = "; ".join(
        f"as {name} {account.passed} pass, {sum(account.excluded.values())} are excluded, "
        f"{len(account.differs)} differ"
        for name, account in proof.accounts.items()
    )
    print(f"programs: outside pass {passing}; inside {inside}; {len(absent)} skipped")
    return bool(proof.wrong or any(account.differs for account in proof.accounts.values()))


if __name__ == "__main__":
    sys.exit(main())
