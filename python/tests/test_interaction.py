"""Commands joined by pipes: started together, each with its own outcome."""

from __future__ import annotations

import pytest

import seclude

GUESS = (
    "read low; read high; while :; do try=$(( (low + high) / 2 )); echo $try; read word;"
    " case $word in more) low=$((try + 1));; less) high=$((try - 1));; *) exit 0;; esac; done"
)
JUDGE = (
    "echo 1; echo 1000; count=0; while read try; do count=$((count + 1));"
    " if [ $try -lt 777 ]; then echo more; elif [ $try -gt 777 ]; then echo less;"
    " else echo right; echo $count >&2; exit 5; fi; done"
)


def test_a_solution_and_its_judge_talk(box: seclude.Sandbox) -> None:
    judge = box.replace(uid=7).command(["sh", "-c", JUDGE], stderr=seclude.PIPE, text=True)
    solution, verdict = seclude.interact([box.command(["sh", "-c", GUESS]), judge])
    assert solution.outcome.success
    assert verdict.outcome.ended == seclude.Ended("exited", 5)
    assert solution.stdout is None
    assert int(verdict.stderr) <= 10


def test_each_has_its_own_limits(box: seclude.Sandbox) -> None:
    slow = box.command(["sleep", "1000"], wall_time=0.2)
    reader = box.command(["sh", "-c", "cat; exit 3"])
    done = seclude.interact([slow, reader], [((0, 1), (1, 0))])
    assert [one.outcome.ended.name for one in done] == ["wall-time", "exited"]
    assert done[1].returncode == 3


def test_a_chain_of_three(box: seclude.Sandbox) -> None:
    commands = [
        box.command(["printf", "c\\nb\\na\\n"]),
        box.command(["sort"]),
        box.command(["head", "-n", "1"], stdout=seclude.PIPE, text=True),
    ]
    done = seclude.Interaction(commands, [((0, 1), (1, 0)), ((1, 1), (2, 0))]).run()
    assert done[2].stdout == "a\n"


def test_started_ones_are_popens(box: seclude.Sandbox) -> None:
    talk = seclude.Interaction([box.command(["cat"]), box.command(["cat"])])
    left, right = talk.spawn()
    with left, right:
        assert left.poll() is None
        left.kill()
        assert right.wait() == 0
    assert left.outcome is not None
    assert left.outcome.ended == seclude.Ended("killed")


def test_the_timeout_ends_all(box: seclude.Sandbox) -> None:
    with pytest.raises(seclude.TimeoutExpired):
        seclude.interact([box.command(["cat"]), box.command(["cat"])], timeout=0.1)


def test_a_failed_start_leaves_none(box: seclude.Sandbox) -> None:
    with pytest.raises(FileNotFoundError):
        seclude.interact(
            [box.command(["cat"], stderr=seclude.PIPE), box.command(["no-such-program"])]
        )


def test_joints_that_cannot_be(box: seclude.Sandbox) -> None:
    cat = box.command(["cat"])
    with pytest.raises(ValueError, match="pipes must be given"):
        seclude.Interaction([cat])
    with pytest.raises(seclude.PolicyError, match="command 2"):
        seclude.Interaction([cat, cat], [((0, 1), (2, 0))])
    with pytest.raises(seclude.PolicyError, match="both joined"):
        seclude.Interaction([cat, box.command(["cat"], stdin=seclude.PIPE)])
