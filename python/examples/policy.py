"""A policy is a value: compare it, change it, and write it as text that Rust and C also read."""

import seclude

box = seclude.Sandbox(
    hostname="judge",
    uid=7,
    user="contestant",
    home="/work",
    files=[
        seclude.tmpfs("/work", size="8M"),
        seclude.file("/etc/motd", "be nice\n"),
        seclude.bind("/opt/toolchain", optional=True),
    ],
    rlimits={"nofile": 64},
    wall_time="2s",
)
print(box.to_toml())
assert seclude.Sandbox.from_toml(box.to_toml()) == box

shell = "cat /etc/motd; id -un; hostname; ulimit -n; cd; pwd"
print(box.run(["sh", "-c", shell], capture_output=True, text=True, check=True).stdout)

as_root = box.replace(uid=0)
print(
    "root inside, nobody outside:",
    as_root.run(["id", "-u"], capture_output=True, text=True).stdout,
    end="",
)
