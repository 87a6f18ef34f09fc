"""A notebook: pieces of code for one interpreter that runs in a cell.

Variables, files and processes persist from one piece to the next. A reset removes all of them.
"""

import json
import sys

import seclude

# Runs inside. Each line of standard input holds a piece of code as JSON. The output is what the
# code prints and the value of its last expression. A zero byte marks its end.
INTERPRETER = """
import ast, json, sys, traceback
world = {}
for line in sys.stdin:
    try:
        tree = ast.parse(json.loads(line))
        last = None
        if tree.body and isinstance(tree.body[-1], ast.Expr):
            last = ast.Expression(tree.body.pop().value)
        exec(compile(tree, "cell", "exec"), world)
        if last and (value := eval(compile(last, "cell", "eval"), world)) is not None:
            print(repr(value))
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        print(*traceback.format_exception_only(error), sep="", end="")
    print(end="\\0", flush=True)
"""


class Notebook:
    """An interpreter in a cell of its own."""

    def __init__(self, box: seclude.Sandbox) -> None:
        self.cell = box.cell()
        self._start()

    def _start(self) -> None:
        command = ["python3", "-I", "-c", INTERPRETER]
        self._process = self.cell.popen(
            command, stdin=seclude.PIPE, stdout=seclude.PIPE, text=True, encoding="utf-8", bufsize=1
        )

    def run(self, code: str) -> str:
        """Run code and return what it prints, followed by the value of its last expression.

        If the interpreter ends, the result says how, and the next piece of code gets a new one.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(code) + "\n")
        said = ""
        while (letter := stdout.read(1)) != "\0":
            if not letter:
                self._process.wait()
                said += f"[the interpreter {self._process.outcome}]\n"
                self._restart()
                break
            said += letter
        return said

    def _restart(self) -> None:
        """Start another interpreter in the same cell. Variables are lost; files remain."""
        self._process.__exit__(None, None, None)
        self._start()

    def reset(self) -> None:
        """Return to the first state: no variables, no files, no processes."""
        self.cell.reset()
        self._restart()

    def close(self) -> None:
        """Close the cell."""
        self.cell.close()
        self._process.__exit__(None, None, None)


CODE = [
    "x = 6",
    "print('a word'); x * 7",
    "with open('/tmp/kept', 'w') as file:\n    file.write(str(x))",
    "import os, subprocess; server = subprocess.Popen(['sleep', '1000']); os.listdir('/tmp')",
    "1 / 0",
    "'and yet it runs', x, server.poll()",
]
LEFT = ["x", "import os; os.listdir('/tmp')", "sum(name.isdigit() for name in os.listdir('/proc'))"]


def show(notebook: Notebook, pieces: list[str]) -> None:
    """Run pieces of code and print each with its result."""
    for number, code in enumerate(pieces, 1):
        print(f"[{number}] " + code.replace("\n", "\n    "))
        print(notebook.run(code), end="")


if __name__ == "__main__":
    notebook = Notebook(
        seclude.Sandbox(files=[seclude.tmpfs("/tmp", "64M")], memory="512M", best_effort=["memory"])
    )
    show(notebook, sys.argv[1:] or CODE)
    print(
        "---- reset: no variable, no file,"
        " and of the processes only the warden and this interpreter"
    )
    notebook.reset()
    show(notebook, [*LEFT, "os._exit(3)", "'a new one'"])
    notebook.close()
