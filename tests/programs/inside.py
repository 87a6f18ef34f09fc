"""One command in a sandbox: JSON on standard input asks for it, JSON on standard output answers.

A program of its own, so that one runner can be two callers: it runs as root, or under setpriv as an
ordinary user. It is handed to the interpreter as text, because a checkout may lie where that user
cannot read.
"""

import base64
import json
import sys

import seclude

request = json.load(sys.stdin)
try:
    sandbox = seclude.Sandbox.from_json(json.dumps(request["policy"]))
    done = sandbox.run(
        request["words"],
        stdin=seclude.DEVNULL,
        capture_output=True,
        cwd="/tmp",
        env=request["env"],
        wall_time=request["seconds"],
    )
    ended = done.outcome.ended
    told = {
        "code": ended.value if ended.name == "exited" else None,
        "ended": str(done.outcome),
        "stdout": base64.b64encode(done.stdout).decode(),
        "stderr": base64.b64encode(done.stderr).decode(),
    }
except seclude.SecludeError as error:
    told = {"code": None, "ended": f"not started: {error}", "stdout": "", "stderr": ""}
json.dump(told, sys.stdout)
