"""Look at a pid namespace nested in a sandbox, as values and as a picture of nested boxes."""

import sys
from pathlib import Path

import seclude
from seclude.tree import grow, lines, svg

if __name__ == "__main__":
    box = seclude.Sandbox(nested=True)
    script = "unshare --user --pid --fork sh -c 'echo ready; read end'; :"
    with box.popen(
        ["sh", "-c", script], stdin=seclude.PIPE, stdout=seclude.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        warden, *_, innermost = process.processes()
        seen = seclude.namespaces()
        process.kill()

    space = seen.of(innermost.pid)["pid"]
    print(
        "its namespace is",
        space.id,
        "within",
        space.parent,
        "and belongs to user namespace",
        space.owner,
    )
    print(
        f"the innermost process has {len(innermost.pids)} ids,"
        f" the last of which is {innermost.pids[-1]}"
    )
    picture = grow(seen, warden.pid)
    print("\n".join(lines(picture)))
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(svg(picture))
