"""Talk to a running program, look at it from outside, and end it, with `Popen`."""

import seclude

box = seclude.Sandbox()

with box.Popen(
    ["sh", "-c", "sleep 1000 & cat"], stdin=seclude.PIPE, stdout=seclude.PIPE, text=True, bufsize=1
) as process:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("are you there?\n")
    print("it says:", process.stdout.readline(), end="")

    print("seen from here, and from inside:")
    for found in process.processes():
        print(f"{found.pid:>10}{found.inside_pid:>5}  {' '.join(found.command)}")

    try:
        process.wait(timeout=0.1)
    except seclude.TimeoutExpired:
        print("it still runs")

    process.kill()
    print("return code", process.wait(), "and", len(process.processes()), "processes left")
