"""Filter system calls: allow only what a learned run did, or kill at a forbidden call."""

import seclude

box = seclude.Sandbox(wall_time=30)

learned = box.learn(["cat", "/etc/passwd"])
print(f"cat made {len(learned.calls)} different calls and named {len(learned.paths)} paths")
taught = learned.sandbox
print("again:", taught.run(["cat", "/etc/passwd"], stdout=seclude.DEVNULL).outcome)
print("something else:", taught.run(["mkdir", "/dev/shm/d"], stderr=seclude.DEVNULL).outcome)

strict = box.replace(seccomp="strict")
print("a program that starts another:", strict.run(["sh", "-c", "/bin/true; exit 0"]).outcome)
