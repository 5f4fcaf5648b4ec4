"""What Uvicorn writes reaches the client whole, in order, and in one piece."""

from __future__ import annotations

import asyncio
from typing import Any

from tollkeeper.ops.corking import Corked


class Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.done: list[bytes | str] = []

    def write(self, data: Any) -> None:
        self.done.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        self.done.append("closed")

    def abort(self) -> None:
        self.done.append("aborted")


async def corked() -> tuple[Corked, list[bytes | str]]:
    wire = Wire()
    return Corked(wire, asyncio.get_running_loop()), wire.done


async def test_what_is_written_before_the_loop_turns_is_one_packet() -> None:
    transport, done = await corked()
    transport.write(b"head ")
    transport.write(bytearray(b"body"))
    assert done == []
    await asyncio.sleep(0)
    assert done == [b"head body"]
    transport.writelines([b"next ", b"one"])
    await asyncio.sleep(0)
    assert done == [b"head body", b"next one"]


async def test_much_is_not_gathered() -> None:
    """Or the transport could not tell a writer that never waits to stop."""
    transport, done = await corked()
    transport.write(b"x" * 40_000)
    transport.write(b"y" * 40_000)
    assert done == [b"x" * 40_000 + b"y" * 40_000]
    assert transport.get_write_buffer_size() == 0
    await asyncio.sleep(0)
    assert len(done) == 1


async def test_the_last_words_leave_before_the_end() -> None:
    transport, done = await corked()
    transport.write(b"bye")
    transport.close()
    await asyncio.sleep(0)
    assert done == [b"bye", "closed"]


async def test_nothing_is_said_after_an_abort() -> None:
    transport, done = await corked()
    transport.write(b"never")
    transport.abort()
    await asyncio.sleep(0)
    assert done == ["aborted"]


async def test_a_buffer_that_is_reused_does_not_change_what_was_written() -> None:
    transport, done = await corked()
    buffer = bytearray(b"first")
    transport.write(buffer)
    buffer[:] = b"other"
    await asyncio.sleep(0)
    assert done == [b"first"]
