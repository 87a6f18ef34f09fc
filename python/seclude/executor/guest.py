"""The program inside: calls one function. It runs alone, without seclude.

    python3 guest.py '{"path": ["/srv/app"], "pickled": false}' < call > result

The standard input holds the call: the main module's file, if the function is from there, and the
pickled function with its arguments, or with the arguments of many calls of `map`. The standard
output gets the result. What the function itself writes goes to the standard error.
"""

import json
import os
import pickle
import runpy
import sys
import traceback
from typing import Any


def main(options: dict[str, Any]) -> None:
    """Read the call, make it, and write what it gave."""
    result = os.dup(1)
    os.dup2(2, 1)
    sys.path[:0] = options["path"]
    call = sys.stdin.buffer
    length = int(call.readline())
    source = call.read(length).decode()
    try:
        if source:
            adopt(source)
        function, many, args, kwargs = pickle.load(call)
        value = [function(*one) for one in args[0]] if many else function(*args, **kwargs)
        told = {"value": value}
        data = pickle.dumps(told) if options["pickled"] else json.dumps(told).encode()
    except BaseException as error:
        data = failure(error, options["pickled"])
    sys.stdout.flush()
    with open(result, "wb") as file:
        file.write(data)


def adopt(source: str) -> None:
    """Make the names of the caller's main module those of this one, without running its main."""
    names = runpy.run_path(source, run_name="__seclude_main__")
    sys.modules["__main__"].__dict__.update(
        (name, value) for name, value in names.items() if not name.startswith("__")
    )


def failure(error: BaseException, pickled: bool) -> bytes:
    """Return the exception as a message."""
    told = {
        "error": type(error).__name__,
        "message": str(error),
        "traceback": "".join(traceback.format_exception(error)),
    }
    if pickled:
        try:
            return pickle.dumps({**told, "exception": error})
        except Exception:
            return pickle.dumps(told)
    return json.dumps(told).encode()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
