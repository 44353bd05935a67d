"""Tests that leave something behind, each in its own way; test_leftovers.py runs them."""

import asyncio

import pytest


class Holder:
    """Something that a fixture returns and that holds a future."""

    future: asyncio.Future[None]


@pytest.fixture
async def holder() -> Holder:
    """Return an object that stays alive until the test is torn down."""
    return Holder()


async def test_nothing() -> None:
    """Leave nothing."""
    await asyncio.create_task(asyncio.sleep(0))


async def test_failed_future(holder: Holder) -> None:
    """Leave a future whose exception nobody retrieves."""
    holder.future = asyncio.get_running_loop().create_future()
    holder.future.set_exception(ValueError)


async def test_failed_task() -> None:
    """Leave a finished task whose exception nobody retrieves."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(asyncio.wait_for(loop.create_future(), 0))
    await asyncio.wait([task])


async def test_failed_callback() -> None:
    """Let a callback raise."""
    asyncio.get_running_loop().call_soon(int, "no number")
    await asyncio.sleep(0)


async def test_cancelled_shield() -> None:
    """Leave a shielded task that fails after its caller was cancelled."""
    future = asyncio.get_running_loop().create_future()
    asyncio.shield(future).cancel()
    await asyncio.sleep(0)
    future.set_exception(ValueError)
    await asyncio.sleep(0)


async def test_pending_task() -> None:
    """Leave a task that is still running."""
    asyncio.get_running_loop().create_task(asyncio.Event().wait(), name="left over")
    await asyncio.sleep(0)


async def test_timer() -> None:
    """Leave a timer that is still due."""
    asyncio.get_running_loop().call_later(3600, int)
