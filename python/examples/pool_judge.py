"""The judge of `judge.py` over pools: it runs many submissions at once in sandboxes set up ahead.

All jobs of a pool share one policy, and each submission is part of its job, as plain data. So the
same jobs could be lines of a file (`python -m seclude batch`) or run on other machines
(`seclude.cluster`). Every submission has a watch, which checks after its run whether anything
escaped. The exit code is 0 only if every verdict is the expected one.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import judge

import seclude

if TYPE_CHECKING:
    from concurrent.futures import Future

AT_ONCE = 6
# The source arrives on stdin, and the program leaves on stdout.
COMPILE = (
    "cat >/tmp/source.c && gcc -std=gnu11 -O2 -w -o /tmp/program /tmp/source.c && cat /tmp/program"
)
# Stdin holds the program first and then the program's input. `head` reads not a byte too many.
START = 'head -c "$0" >/judge/program && chmod 0555 /judge/program && exec "$@"'
# Six programs share the processors, so each gets more wall time. The limit that judges them is
# processor time.
CONTEST = judge.CONTEST.replace(
    files=[seclude.tmpfs("/judge", "4M"), seclude.tmpfs("/scratch", "1M")], wall_time=6
)


def compiling(source: Path) -> seclude.Job:
    """Return the job that compiles a C source."""
    return seclude.Job(["sh", "-c", COMPILE], input=source.read_bytes())


def running(program: bytes, interpreter: list[str], watch: judge.Watch) -> seclude.Job:
    """Return the job that runs a program on the common input."""
    return seclude.Job(
        ["sh", "-c", START, str(len(program)), *interpreter, "/judge/program", watch.mark],
        input=program + (judge.SUBMISSIONS / "input.txt").read_bytes(),
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"} | watch.targets(),
    )


class Submission:
    """A submission on its way through both pools, with its watch."""

    def __init__(self, source: Path, directory: Path, compilers: seclude.Pool) -> None:
        self.source = source
        self.expected = source.read_text().splitlines()[0].lstrip("/# ").partition(":")[0]
        self.watch = judge.Watch(directory)
        self._compiled = compilers.submit(compiling(source)) if source.suffix == ".c" else None
        self._run: Future[seclude.CompletedRun] | None = None

    def go_on(self, contest: seclude.Pool) -> None:
        """Wait until the submission is compiled, and submit its run."""
        if self._compiled is None:
            self._run = contest.submit(
                running(self.source.read_bytes(), ["python3", "-I"], self.watch)
            )
        elif (compiled := self._compiled.result()).outcome.success:
            self._run = contest.submit(running(compiled.stdout, [], self.watch))

    def result(self, answer: str) -> judge.Result:
        """Wait for the submission to end, and return its verdict."""
        if self._run is not None:
            verdict = judge.verdict(self._run.result(), answer)
        else:
            assert self._compiled is not None
            run = self._compiled.result()
            said = run.stderr.decode(errors="replace").splitlines()
            verdict = "compile error", run, next((line for line in said if "error" in line), "")
        return judge.concluded(self.source.name, self.expected, *verdict, self.watch)

    def close(self) -> None:
        """End its watch."""
        self.watch.close()


def main() -> int:
    noticed, touched = judge.drill()
    answer = (judge.SUBMISSIONS / "answer.txt").read_text()
    sources = sorted(path for path in judge.SUBMISSIONS.iterdir() if path.suffix in (".c", ".py"))
    with ExitStack() as stack:
        compilers = stack.enter_context(judge.COMPILER.pool(AT_ONCE))
        contest = stack.enter_context(CONTEST.pool(AT_ONCE))
        submissions = {}
        for source in sources:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="judge-")))
            submissions[source] = stack.enter_context(
                closing(Submission(source, directory, compilers))
            )
        for submission in submissions.values():
            submission.go_on(contest)
        results = judge.shown(lambda source: submissions[source].result(answer), sources)
        told = compilers.statistics(), contest.statistics()
    right = sum(result.right for result in results)
    for name, pool in zip(("compiling", "running"), told, strict=True):
        print(
            f"{name}: {pool.handed_out} sandboxes handed out,"
            f" at most {pool.most_in_use} in use at one time, {pool.lost} lost"
        )
    print(f"{right} of {len(results)} verdicts as expected")
    return 0 if results and right == len(results) and noticed == touched else 1


if __name__ == "__main__":
    sys.exit(main())
