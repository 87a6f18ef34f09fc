"""Give a program a file, and take the files that it leaves, with `collect`."""

import tempfile
from pathlib import Path

import seclude

box = seclude.Sandbox(
    wall_time=10,
    files=[
        seclude.tmpfs("/work", size="16M"),
        seclude.file("/work/words", "three\none\ntwo\n"),
    ],
)

# It also leaves a link, which is not followed.
script = "mkdir out; sort words >out/sorted; wc -l <words >out/count; ln -s /etc/passwd out/link"
done = box.run(["sh", "-c", script], cwd="/work", collect=["out/*", "errors/*"])
for path, contents in done.files.items():
    print(path, contents)
assert done.collected is not None
print("left out", *done.collected.skipped, "and nothing matched", *done.collected.unmatched)

# Below a directory, in place of memory.
with tempfile.TemporaryDirectory() as place:
    box.run(["sh", "-c", script], cwd="/work", collect="out/s*", collect_into=place)
    print(Path(place, "out/sorted").read_text().split())

# A bound is an error of the files. The outcome stands.
done = box.run(["truncate", "-s", "1G", "big"], cwd="/work", collect="big", collect_bytes="1M")
print(done.outcome.ended, "but", done.collected and done.collected.error)
