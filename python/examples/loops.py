"""Run many programs at once under trio. With `anyio.run` or `asyncio.run` it is the same."""

import trio

import seclude

box = seclude.Sandbox(wall_time=30)
squares: dict[int, str] = {}


async def square(number: int) -> None:
    words = ["sh", "-c", f"echo $(({number} * {number}))"]
    squares[number] = (await box.aio.run(words, capture_output=True, text=True)).stdout.strip()


async def upper() -> None:
    async with await box.aio.popen(
        ["tr", "a-z", "A-Z"], stdin=seclude.PIPE, stdout=seclude.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        await process.stdin.send(b"what it reads\n")
        await process.stdin.aclose()
        async for chunk in process.stdout:
            print(chunk.decode(), end="")


async def main() -> None:
    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(square, number)
    print(*(text for _, text in sorted(squares.items())))
    await upper()
    with trio.move_on_after(0.2):
        # The cancellation kills the command and waits until it is gone.
        await box.aio.run(["sleep", "1000"])
    print("cancelled")


trio.run(main)
