"""Write a log until killed, and print each sequence number that was acknowledged."""

import asyncio
import sys
from pathlib import Path

from ringwork.kernel.clock import SystemClock
from ringwork.kernel.entropy import SystemEntropy
from ringwork.storage.sqlite.log import SqliteEventLog
from ringwork.storage.sqlite.segment import Rotation
from ringwork.testing.check_event_log import ticks


async def write(log: SqliteEventLog) -> None:
    async def client() -> None:
        while True:
            number = log.next_seq
            await log.append(ticks(number, 3), 3)
            print(number + 2, flush=True)

    await asyncio.gather(*(client() for _ in range(8)))


if __name__ == "__main__":
    opened = SqliteEventLog.open(
        Path(sys.argv[1]),
        clock=SystemClock(),
        entropy=SystemEntropy(),
        rotation=Rotation(max_file_bytes=40_000),
    )
    asyncio.run(write(opened))
