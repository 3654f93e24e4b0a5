"""The messages between trials of Tune and the driver: none is lost, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sweeper.runners.tune_mailbox import LostTrial, Mailbox, ReadyWorker, WorkerSetup
from trainers.tasks import load_task
from trainers.training.segment import Member, Outcome, Segment
from trainers.training.worker import Worker, WorkerStatus

TASK = load_task("shapes")
SETUP = WorkerSetup(
    worker=Worker, data=TASK.data, root=None, packages=(), marker=None, folder=Path("/shared")
)
SEGMENT = Segment(
    task=TASK,
    seed=0,
    start=0,
    stop=1,
    evaluate=False,
    members=(Member(key="a", method="baseline", params={}),),
    folder=Path("/x"),
)
OUTCOME = Outcome(members=(), wall_seconds=1.0, device_name="none")
LONG_S = 60.0  # nothing here may take as long


def mailbox(interval_s: float = LONG_S) -> Mailbox:
    return Mailbox(SETUP, interval_s)


def offer(trial: str = "t") -> ReadyWorker:
    return ReadyWorker(trial=trial, actor=None, description="")


def test_a_trial_that_offers_itself_gets_the_segment_it_is_given() -> None:
    async def exchange() -> None:
        box = mailbox()
        assert await box.setup() is SETUP
        waiting = asyncio.create_task(box.take(offer()))
        updates = await box.collect(LONG_S)
        assert updates.changes == [offer()]
        await box.give("t", 7, SEGMENT)
        assert await waiting == (7, SEGMENT)
        await box.deliver(7, OUTCOME)
        assert (await box.collect(LONG_S)).outcomes == {7: OUTCOME}

    asyncio.run(exchange())


def test_updates_are_read_once_and_in_the_order_in_which_they_came() -> None:
    async def exchange() -> None:
        box = mailbox()
        waiting = asyncio.create_task(box.take(offer()))
        await asyncio.sleep(0)
        await box.lose("t", "its node died")
        lost = LostTrial(trial="t", reason="its node died")
        assert (await box.collect(LONG_S)).changes == [offer(), lost]
        assert (await box.collect(0.01)).changes == []
        waiting.cancel()

    asyncio.run(exchange())


def test_statuses_alone_wake_nobody() -> None:
    async def exchange() -> None:
        box = mailbox(interval_s=0.01)
        status = WorkerStatus(step=5, heartbeats=1)
        assert not await box.heartbeat(3, status, has_stopped=False)
        await box.heartbeat(4, None, has_stopped=False)
        collected = asyncio.create_task(box.collect(0.05))
        await asyncio.sleep(0)
        assert not collected.done()
        assert (await collected).statuses == {3: status}

    asyncio.run(exchange())


def test_a_stop_answers_a_heartbeat_that_waits_at_once() -> None:
    async def exchange() -> None:
        box = mailbox()
        waiting = asyncio.create_task(box.heartbeat(3, None, has_stopped=False))
        await asyncio.sleep(0)
        await box.stop()
        assert await asyncio.wait_for(waiting, LONG_S / 2)

    asyncio.run(exchange())


def test_a_worker_that_has_stopped_is_answered_after_a_while() -> None:
    async def exchange() -> None:
        box = mailbox(interval_s=0.05)
        await box.stop()
        began = asyncio.get_running_loop().time()
        assert await box.heartbeat(3, None, has_stopped=True)
        assert asyncio.get_running_loop().time() - began >= 0.04

    asyncio.run(exchange())


def test_after_the_end_nobody_waits_for_a_segment() -> None:
    async def exchange() -> None:
        box = mailbox()
        waiting = [asyncio.create_task(box.take(offer(trial))) for trial in ("a", "b")]
        await asyncio.sleep(0)
        await box.close()
        assert await asyncio.gather(*waiting) == [None, None]
        assert await box.take(offer("late")) is None

    asyncio.run(exchange())
