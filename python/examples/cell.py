"""A cell for an interactive interpreter, as a notebook keeps one: what it knows lives from one piece of code to the next."""

import seclude

INTERPRETER = """
import sys
world = {}
while (length := sys.stdin.readline()):
    code = sys.stdin.read(int(length))
    try:
        exec(code, world)
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
    print(end="\\0", flush=True)
"""


class Notebook:
    """Runs pieces of code in one interpreter, in a cell of its own."""

    def __init__(self, box: seclude.Sandbox) -> None:
        self.cell = box.cell()
        self._start()

    def _start(self) -> None:
        command = ["python3", "-u", "-c", INTERPRETER]
        self._process = self.cell.popen(command, stdin=seclude.PIPE, stdout=seclude.PIPE, text=True, bufsize=1)

    def run(self, code: str) -> str:
        """What the code prints; how the interpreter ended, if it did."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{len(code)}\n{code}")
        stdin.flush()
        said = ""
        while (letter := stdout.read(1)) != "\0":
            if not letter:
                self._process.wait()
                assert self._process.outcome is not None
                return f"{said}[{self._process.outcome}]"
            said += letter
        return said

    def reset(self) -> None:
        """Everything is as it was at first: no variables, no files, no processes."""
        self.cell.reset()
        self._process.__exit__(None, None, None)
        self._start()

    def close(self) -> None:
        """Ends it all."""
        self.cell.close()
        self._process.__exit__(None, None, None)


if __name__ == "__main__":
    notebook = Notebook(seclude.Sandbox(files=[seclude.tmpfs("/tmp", "64M")], memory="512M", best_effort=["memory"]))
    print(notebook.run("x = 6"), end="")
    print(notebook.run("print(x * 7); open('/tmp/kept', 'w').close()"), end="")
    print(notebook.run("import os; print(os.listdir('/tmp'))"), end="")
    notebook.reset()
    print(notebook.run("import os; print(os.listdir('/tmp'))"), end="")
    print(notebook.run("print(x)"), end="")
    print(notebook.run("import os; os._exit(3)"))
    notebook.close()
