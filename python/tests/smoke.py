"""Check that the wheel works in this interpreter. Needs no pytest, and so runs in any CPython."""

import asyncio
import pickle
import platform

import seclude

box = seclude.Sandbox(wall_time=60, files=[seclude.tmpfs("/tmp", size="1M")])
assert box.run(["cat"], input="hello", capture_output=True, text=True).stdout == "hello"
assert pickle.loads(pickle.dumps(box)) == box
job = seclude.Job("cat", input="hello")
assert pickle.loads(pickle.dumps(job)).run(box).stdout == b"hello"

try:
    box.run(["no-such-program"])
except FileNotFoundError as missing:
    assert pickle.loads(pickle.dumps(missing)).hint
else:
    raise AssertionError("a missing program was run")

# Use a command that ignores stdin: the end of the block closes stdin, and a command that ends by
# that could end before the kill takes effect.
with box.Popen(["sleep", "1000"], stdin=seclude.PIPE) as running:
    running.kill()
assert running.outcome is not None
assert running.outcome.ended == seclude.Ended("killed")


async def main() -> int:
    process = await box.asyncio.create_subprocess_exec("sh", "-c", "exit 3")
    return await process.wait()


assert asyncio.run(main()) == 3
print(platform.python_implementation(), platform.python_version())
