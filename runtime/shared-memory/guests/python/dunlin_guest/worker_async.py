"""Runs an async handler: many events in flight in one asyncio loop, the doorbell registered with it."""

import asyncio
import contextvars
import os
import threading
from collections import deque

from . import record
from .answers import Stream, batch_failure, batch_results
from .event import RingEvent
from .response import encode_answer, parts_of
from .state import AsyncState
from .worker import Worker, failure_head

READ_RECORDS_MAX = 256
# READY's status: many events at a time.
CONCURRENT = 0
# STOP's status: acknowledge what is to be acknowledged, and go on.
DRAIN_ONLY = 1
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
        self._batch, self._streams = [], {}
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
        await self._call_back_async(self.platform.on_drain)
        await self._call_back_async(self.platform.on_termination)
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
            if self.is_batch:
                self._batch.append(event)
                if data[5] & record.BATCH_MORE:
                    return
                event, self._batch = self._batch, []
            if len(self._tasks) < self._concurrency:
                self._start(event)
            else:
                self._waiting.append(event)
        elif kind == record.CREDIT:
            self._on_credit(data)
        elif kind in (record.STATE_VALUE, record.CALL_RESULT):
            future = self._answers.get(data[8:16])
            if future is not None and not future.done():
                future.set_result((data[5], int.from_bytes(data[6:8], "little"), data, self.channel.reader.body_of(data)))
        elif kind == record.STOP:
            if data[6] == DRAIN_ONLY:
                self._draining = self._loop.create_task(self._call_back_async(self.platform.on_drain))
                return
            self._is_stopping = True
            self._check_stopped()

    _is_stopping = False

    def _start(self, event):
        task = self._loop.create_task(self._handle_batch(event) if self.is_batch else self._handle(event))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _handle(self, event):
        _current.set(event)
        try:
            answer = self.handler(self.context, event)
            parts = parts_of(answer)
            if parts is None:
                answer = await answer
                parts = parts_of(answer)
            if parts is None:
                status, head, body, flags = encode_answer(answer)
            else:
                status, head, body, flags = await self._send_parts(answer, parts, event._record[8:16])
            if event._state is not None and status < 500:
                self.cache.commit(event._state)
        except (Exception, asyncio.CancelledError) as error:
            status, head, body, flags = 500, failure_head(error), b"", 0
        event._done = True
        try:
            self.write(record.RESULT, flags, status, event._record[8:16], head, body)
        except (ValueError, OSError) as error:
            # Too large, or no room for a large body: what the event did is not committed after all.
            self.cache.clear()
            self.write(record.RESULT, 0, 500, event._record[8:16], failure_head(error), b"")

    async def _handle_batch(self, events):
        _current.set(events[0])
        try:
            results = batch_results(await self.handler(self.context, events), events)
        except (Exception, asyncio.CancelledError) as error:
            results = batch_failure(error, events)
        for event, (status, head, body, flags) in zip(events, results):
            event._done = True
            if event._state is not None and status < 500:
                self.cache.commit(event._state)
            try:
                self.write(record.RESULT, flags, status, event._record[8:16], head, body)
            except (ValueError, OSError) as error:
                self.cache.clear()
                self.write(record.RESULT, 0, 500, event._record[8:16], failure_head(error), b"")

    async def _send_parts(self, answer, parts, ticket):
        """Sends an answer in parts; returns its RESULT. A reader that is gone cancels it where it waits, which closes the generator."""
        stream = Stream(ticket, answer)
        stream.task, stream.room = asyncio.current_task(), asyncio.Event()
        self._streams[ticket] = stream
        try:
            entry = stream.first()
            if entry is not None:
                self.write(*entry)
            async for part in parts if hasattr(parts, "__aiter__") else _in_turns(parts):
                body = stream.pieces(part)
                while len(body):
                    while not stream.credit:
                        stream.room.clear()
                        await stream.room.wait()
                    entry, body = stream.chunk(body)
                    self.write(*entry)
            entry = stream.last()
            if entry is not None:
                self.write(*entry)
        except asyncio.CancelledError:
            if not stream.is_cancelled:
                raise
        finally:
            del self._streams[ticket]
            close = getattr(parts, "aclose", None)
            if close is not None:
                await close()
            elif hasattr(parts, "close"):
                parts.close()
        return 200, b"", b"", stream.flags

    def _on_credit(self, data):
        stream = self._streams.get(data[8:16])
        if stream is None or stream.is_cancelled:
            return
        stream.on_credit(data)
        stream.room.set()
        if stream.is_cancelled:
            stream.task.cancel()

    async def _call_back_async(self, callback):
        pending = self._call_back(callback)
        if asyncio.iscoroutine(pending):
            try:
                await pending
            except Exception as error:
                self.callback_failed(error)

    def _ended(self, task):
        self._tasks.discard(task)
        if self._waiting:
            self._start(self._waiting.popleft())
        self._check_stopped()

    def _check_stopped(self):
        if self._is_stopping and not self._tasks and not self._waiting and not self._stopped.done():
            self._stopped.set_result(None)


async def _in_turns(parts):
    """A plain generator in an async handler: others get their turn between its parts."""
    for part in parts:
        yield part
        await asyncio.sleep(0)
