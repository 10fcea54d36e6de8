"""Runs an async handler: many events in flight in one asyncio loop, the doorbell registered with it."""

import asyncio
import contextvars
import os
import threading
from collections import deque

from . import record
from .event import RingEvent
from .response import encode_answer
from .state import AsyncState
from .worker import Worker, failure_head

READ_RECORDS_MAX = 256
# READY's status: many events at a time.
CONCURRENT = 0
_NONE = object()
_current = contextvars.ContextVar("dunlin_event", default=None)


class AsyncWorker(Worker):
    """Reading never pauses (answers to state.get lie behind events in the ring): events over the limit wait in a queue,
    records without room wait in the outbox. The agent's own limit of events in flight bounds both."""

    state_class = AsyncState

    def __init__(self, channel, init, handler):
        self._concurrency = max(1, int(init.get("concurrency") or 1))
        self._waiting, self._unsent = deque(), deque()
        self._tasks, self._answers = set(), {}
        self._requests = 0
        self._is_flushing = False
        self._loop = None
        self._main_ident = threading.get_ident()
        super().__init__(channel, init, handler)

    def current(self, default=_NONE):
        event = _current.get()
        if event is not None and not event._done:
            return event
        if default is _NONE:
            raise RuntimeError("No event is being handled: emit, publish and state belong to an event")
        return default

    def write(self, *entry):
        """May come from another thread (run_in_executor): the flush then runs in the loop."""
        if self._unsent:
            self.channel.outbox.check_size(len(entry[4]), len(entry[5]))
            self._unsent.append(entry)
        elif not self.channel.outbox.try_write(*entry):
            self._unsent.append(entry)
        if not self._is_flushing and self._loop is not None:
            if len(self._tasks) == 1 and not self._unsent:
                # Nothing else is running that could add to a batch.
                return self.channel.outbox.ring()
            self._is_flushing = True
            if threading.get_ident() == self._main_ident:
                self._loop.call_soon(self._flush)
            else:
                self._loop.call_soon_threadsafe(self._flush)

    def _flush(self):
        self._is_flushing = False
        unsent = self._unsent
        try:
            while unsent and self.channel.outbox.try_write(*unsent[0]):
                unsent.popleft()
        except OSError:
            # No room for a large body's file; nobody rings when there is some.
            self._loop.call_later(0.05, self._flush)
        self.channel.outbox.ring()

    async def request(self, kind, head, body, timeout=None, convert=None):
        self._requests += 1
        ticket = self._requests.to_bytes(8, "little")
        future = self._answers[ticket] = self._loop.create_future()
        try:
            self.write(kind, 0, 0, ticket, head, body)
            answer = await asyncio.wait_for(future, timeout)
        finally:
            self._answers.pop(ticket, None)
        return answer if convert is None else convert(answer)

    def run(self, init_ticket, init_context):
        return asyncio.run(self._main(init_ticket, init_context))

    async def _main(self, init_ticket, init_context):
        self._loop = asyncio.get_running_loop()
        self._stopped = self._loop.create_future()
        os.set_blocking(self.channel.doorbell.fd, False)
        self._loop.add_reader(self.channel.doorbell.fd, self._on_bell)
        self._loop.call_soon(self._read)
        try:
            if init_context is not None:
                pending = init_context(self.context)
                if asyncio.iscoroutine(pending):
                    await pending
        except Exception as error:
            self.write(record.INIT_FAILED, 0, 500, init_ticket, failure_head(error), b"")
            self._flush()
            return 1
        self.write(record.READY, 0, CONCURRENT, init_ticket, b"", b'{"guest":"python","mode":"async"}')
        await self._stopped
        self.stopped()
        while self._unsent:
            self._flush()
            await asyncio.sleep(0.005)
        self._flush()
        return 0

    def _on_bell(self):
        self.channel.doorbell.wait()
        self.channel.reader.wake_up()
        self._read()
        if self._unsent:
            self._flush()

    def _read(self):
        reader = self.channel.reader
        for _ in range(READ_RECORDS_MAX):
            data = reader.next()
            if data is None:
                reader.release()
                if reader.sleep():
                    return
                continue
            self._accept(data)
        reader.release()
        self._loop.call_soon(self._read)

    def _accept(self, data):
        kind = data[4]
        if kind == record.EVENT:
            event = RingEvent(data)
            if data[58] > 1:
                self.cache.clear()
            if data[5] & record.EXTERNAL_BODY:
                event._raw = self.channel.reader.body_of(data)
            if len(self._tasks) < self._concurrency:
                self._start(event)
            else:
                self._waiting.append(event)
        elif kind in (record.STATE_VALUE, record.CALL_RESULT):
            future = self._answers.get(data[8:16])
            if future is not None and not future.done():
                future.set_result((data[5], int.from_bytes(data[6:8], "little"), data, self.channel.reader.body_of(data)))
        elif kind == record.STOP:
            self._is_stopping = True
            self._check_stopped()

    _is_stopping = False

    def _start(self, event):
        task = self._loop.create_task(self._handle(event))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _handle(self, event):
        _current.set(event)
        try:
            answer = await self.handler(self.context, event)
            status, head, body = encode_answer(answer)
            if event._state is not None and status < 500:
                self.cache.commit(event._state)
        except (Exception, asyncio.CancelledError) as error:
            status, head, body = 500, failure_head(error), b""
        event._done = True
        try:
            self.write(record.RESULT, 0, status, event._record[8:16], head, body)
        except (ValueError, OSError) as error:
            # Too large, or no room for a large body: what the event did is not committed after all.
            self.cache.clear()
            self.write(record.RESULT, 0, 500, event._record[8:16], failure_head(error), b"")

    def _ended(self, task):
        self._tasks.discard(task)
        if self._waiting:
            self._start(self._waiting.popleft())
        self._check_stopped()

    def _check_stopped(self):
        if self._is_stopping and not self._tasks and not self._waiting and not self._stopped.done():
            self._stopped.set_result(None)
