"""programs.toml and exclusions.toml as values. An unknown key is an error."""

import fnmatch
import pathlib
import shutil
import tomllib
from dataclasses import dataclass, field
from typing import Any

import ground
from ground import Done, Work
from suites import Part, Verdict, Verdicts, last

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = HERE / "sources"
# The largest number of exclusions.
MOST = 12


@dataclass(frozen=True)
class Program:
    """A row: the expected output of a program, and what its sandbox needs."""

    language: str
    does: str
    run: str
    says: str
    needs: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    policy: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    slice: bool = False
    seconds: float = 180

    @property
    def name(self) -> str:
        return f"{self.language}: {self.does}"

    @property
    def special(self) -> bool:
        """Whether the default sandbox is not enough."""
        return bool(self.policy or self.env)

    def missing(self) -> list[str]:
        """Return the missing commands. One with a slash is a pattern of paths."""

        def here(one: str) -> bool:
            if "/" in one:
                return any(pathlib.Path("/").glob(one[1:]))
            return shutil.which(one, path=ground.PATH) is not None

        return [one for one in self.needs if not here(one)]

    def part(self, *, bare: bool = False) -> Part:
        """Return the row as work. `bare` leaves out what it needs besides the defaults."""
        # Go, for one, accepts no module directly in the directory for temporary files.
        lay = "mkdir work && cd work || exit 9\n"
        for name in self.sources:
            text = (SOURCES / name).read_text()
            lay += f"cat > '{name}' <<'END OF {name}'\n{text}END OF {name}\n"
        policy, env = ({}, {}) if bare else (self.policy, self.env)
        work = Work(["sh", "-c", lay + self.run], self.seconds, policy, env)

        def read(done: Done) -> Verdicts:
            said = done.stdout.decode(errors="replace")
            if said == self.says and done.code == 0:
                return {self.name: Verdict("pass")}
            wanted, got = self.says.splitlines(), said.splitlines()
            pairs = [pair for pair in zip(got, wanted, strict=False) if pair[0] != pair[1]]
            wrong = f"says {len(got)} lines of {len(wanted)}"
            if pairs:
                wrong = "says {!r} for {!r}".format(*pairs[0])
            return {self.name: Verdict("fail", f"{wrong}; {done.ended}; {last(done.stderr)}")}

        return Part("programs", self.name, work, read)


@dataclass(frozen=True)
class Exclusion:
    """Cases that may differ for one reason. `cases` are patterns of suites and of names in them."""

    cases: tuple[str, ...]
    reason: str

    def covers(self, suite: str, case: str) -> bool:
        return any(fnmatch.fnmatchcase(f"{suite} {case}", pattern) for pattern in self.cases)


def programs() -> list[Program]:
    rows = tomllib.loads((HERE / "programs.toml").read_text())["program"]
    return [_program(row) for row in rows]


def _program(row: dict[str, Any]) -> Program:
    # A text over several lines begins with a newline that does not belong to it.
    row["says"] = row["says"].removeprefix("\n")
    row |= {key: tuple(row[key]) for key in ("needs", "sources") if key in row}
    return Program(**row)


def exclusions() -> list[Exclusion]:
    rows = tomllib.loads((HERE / "exclusions.toml").read_text()).get("exclusion", [])
    found = [Exclusion(tuple(row["cases"]), " ".join(row["reason"].split())) for row in rows]
    if len(found) > MOST:
        raise SystemExit(f"exclusions.toml: {len(found)} exclusions; at most {MOST} are allowed")
    return found


def left_out() -> list[str]:
    """Return LTP's tests that run on neither side."""
    patterns: list[str] = tomllib.loads((HERE / "exclusions.toml").read_text())["ltp"]["left_out"]
    return patterns
