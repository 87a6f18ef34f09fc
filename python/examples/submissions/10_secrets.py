# contained: reads secret files
import os
import sys

for path in (
    "/etc/shadow",
    os.environ["TARGET_SECRET"],
    f"/proc/{os.environ['TARGET_PID']}/environ",
    "/proc/1/environ",
):
    try:
        with open(path, "rb") as file:
            print(file.read().decode(errors="replace"))
        print(f"attack: read {path}: SUCCEEDED", file=sys.stderr)
    except OSError as error:
        print(f"attack: read {path}: {error.strerror}", file=sys.stderr)
