"""A cell keeps a sandbox up: commands find what earlier ones left, until a reset.

One command can have smaller limits than the whole cell.
"""

import seclude

box = seclude.Sandbox(files=[seclude.tmpfs("/tmp", "64M")], hostname="workshop", memory="512M")
with box.cell() as cell:
    cell.run(["sh", "-c", "echo 'what was left' > /tmp/note; sleep 1000 & :"])
    print(cell.run(["cat", "/tmp/note"], capture_output=True, text=True).stdout, end="")
    print(
        len(cell.processes()), "processes: the warden, and what the first command has left running"
    )
    greedy = cell.run(["python3", "-c", "bytearray(200 << 20)"], memory=64 << 20)
    print(f"one that may have 64 MiB of the cell's 512: {greedy.outcome}")
    cell.reset()
    gone = cell.run(["cat", "/tmp/note"], capture_output=True, text=True)
    print(f"after the reset: {gone.stderr.strip()}; {len(cell.processes())} process")
