"""Handle errors by seclude's exceptions, or by those that handlers for `subprocess` catch."""

import seclude

box = seclude.Sandbox()

try:
    seclude.Sandbox(hostnam="judge")  # type: ignore[call-arg]
except ValueError as error:
    print("a mistake in the policy:", error)

try:
    box.run(["no-such-program"])
except FileNotFoundError as error:
    print("no such program:", error)

try:
    seclude.Sandbox(files=[seclude.bind("/no/such/directory")]).run(["true"])
except seclude.SetupError as error:
    print("set-up failed:", error.kind, error.path)

try:
    box.run(["sh", "-c", "exit 3"], check=True)
except seclude.CalledProcessError as error:
    print("it failed:", error.returncode)

try:
    box.run(["sleep", "1000"], timeout=0.1)
except seclude.TimeoutExpired as error:
    print("too slow:", error.timeout, "s")
