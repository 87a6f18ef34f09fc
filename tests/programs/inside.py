"""Runs one command in a sandbox. JSON on standard input describes it, and JSON on standard output
is the result.

It is a separate program, so that one runner can be two callers: it runs as root, or under setpriv
as an ordinary user. It is passed to the interpreter as text, because the user may not be able to
read the checkout.
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
