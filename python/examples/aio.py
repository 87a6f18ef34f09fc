"""Run many programs at once on one event loop, without threads."""

import asyncio

import seclude

box = seclude.Sandbox(wall_time=30)


async def square(number: int) -> str:
    process = await box.asyncio.create_subprocess_exec(
        "sh", "-c", f"echo $(({number} * {number}))", stdout=seclude.PIPE
    )
    out, _ = await process.communicate()
    assert out is not None
    return out.decode().strip()


async def main() -> None:
    print(*await asyncio.gather(*map(square, range(10))))


asyncio.run(main())
