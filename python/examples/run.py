"""Run a program in isolation and see how it ended, with `run`."""

import seclude

box = seclude.Sandbox(wall_time=10, files=[seclude.tmpfs("/tmp", size="16M")])

done = box.run(
    ["sh", "-c", "id -u; touch /usr/mine || echo nothing here is writable"],
    capture_output=True,
    text=True,
)
print(done.stdout, end="")
print("return code", done.returncode, "because it", done.outcome.ended)

done = box.run(
    ["tr", "a-z", "A-Z"], input="what it reads\n", capture_output=True, text=True, check=True
)
print(done.stdout, end="")

usage = done.outcome.usage
print(
    f"it took {usage.wall:.3f} s and at most {usage.max_rss >> 10} KiB;"
    f" {len(done.outcome.enforced)} protections held"
)

done = box.replace(wall_time=0.2).run(["sleep", "1000"])
print("sleep", done.outcome.ended)
