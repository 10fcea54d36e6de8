"""Runs a plain handler: one event after the other, in a loop that makes no system call while events keep coming."""

import threading
import time
from collections import deque

from . import record
from .answers import Stream, batch_failure, batch_results
from .event import RingEvent
from .response import encode_answer, parts_of
from .state import State
from .worker import Worker, failure_head

# An answer is published at once; the agent is woken (and given room back) after so many, or after so long, or when there is nothing to do.
BURST_EVENTS = 32
BURST_NS = 200_000

# READY's status: one event at a time, in order.
SEQUENTIAL = 1
# STOP's status: acknowledge what is to be acknowledged, and go on.
DRAIN_ONLY = 1
_NONE = object()


class SyncWorker(Worker):
    state_class = State

    def __init__(self, channel, init, handler):
        self._event = None
        self._queue = deque()
        self._requests = 0
        self._batch = []
        self._stream = None
        self._main_ident = threading.get_ident()
        super().__init__(channel, init, handler)
        self.write = channel.outbox.write

    def current(self, default=_NONE):
        event = self._event
        if event is not None:
            return event
        if default is _NONE:
            raise RuntimeError("No event is being handled: emit, publish and state belong to an event")
        return default

    def request(self, kind, head, body, timeout=None, convert=None):
        """Asks the agent and reads until its answer comes; events that come first wait in the queue."""
        if threading.get_ident() != self._main_ident:
            raise RuntimeError("state.get and call_function belong to the handler's own thread")
        self._requests += 1
        ticket = self._requests.to_bytes(8, "little")
        self.write(kind, 0, 0, ticket, head, body)
        data = self._read_answer(ticket, None if timeout is None else time.monotonic() + timeout)
        answer = (data[5], int.from_bytes(data[6:8], "little"), data, self.channel.reader.body_of(data))
        return answer if convert is None else convert(answer)

    def _read_answer(self, ticket, deadline):
        reader, ring, doorbell = self.channel.reader, self.channel.outbox.ring, self.channel.doorbell
        while True:
            data = reader.next()
            if data is None:
                reader.release()
                ring()
                if reader.sleep():
                    left = None if deadline is None else deadline - time.monotonic()
                    if left is not None and left <= 0 or not doorbell.wait(left):
                        reader.wake_up()
                        raise TimeoutError("The function called did not answer in time")
                    reader.wake_up()
            elif data[4] == record.CREDIT:
                self._on_credit(data)
            elif data[4] not in (record.STATE_VALUE, record.CALL_RESULT):
                # The body too: once its room is given back, the agent may write its file again.
                self._queue.append((data, reader.body_of(data) if data[5] & record.EXTERNAL_BODY else None))
            elif data[8:16] == ticket:
                return data

    def _on_credit(self, data):
        if self._stream is not None and data[8:16] == self._stream.ticket:
            self._stream.on_credit(data)

    def _send_parts(self, answer, parts, ticket):
        """Sends an answer in parts; returns its RESULT. While nobody reads, this worker waits: its handler does one thing at a time."""
        stream = self._stream = Stream(ticket, answer)
        try:
            entry = stream.first()
            if entry is not None:
                self._send_chunk(entry)
            for part in parts:
                body = stream.pieces(part)
                while len(body) and not stream.is_cancelled:
                    self._look_for_credit(stream)
                    if not stream.is_cancelled:
                        entry, body = stream.chunk(body)
                        self._send_chunk(entry)
                if stream.is_cancelled:
                    break
            entry = stream.last()
            if entry is not None:
                self._send_chunk(entry)
            return 200, b"", b"", stream.flags
        finally:
            self._stream = None
            if hasattr(parts, "close"):
                parts.close()

    def _send_chunk(self, entry):
        self.write(*entry)
        self.channel.outbox.ring()

    def _look_for_credit(self, stream):
        """Reads what is there, and waits while there is no credit; events that come wait in the queue."""
        reader, doorbell = self.channel.reader, self.channel.doorbell
        while True:
            data = reader.next()
            if data is not None:
                if data[4] == record.CREDIT:
                    self._on_credit(data)
                else:
                    self._queue.append((data, reader.body_of(data) if data[5] & record.EXTERNAL_BODY else None))
                continue
            if stream.credit or stream.is_cancelled:
                return
            reader.release()
            if reader.sleep():
                doorbell.wait()
                reader.wake_up()

    def _handle_batch(self, event):
        """Collects the events of a batch; with the last one the handler gets them all."""
        self._batch.append(event)
        if event._record[5] & record.BATCH_MORE:
            return
        events, self._batch = self._batch, []
        self._event = events[0]
        try:
            results = batch_results(self.handler(self.context, events), events)
        except Exception as error:
            results = batch_failure(error, events)
        self._event = None
        for each, (status, head, body, flags) in zip(events, results):
            if each._state is not None and status < 500:
                self.cache.commit(each._state)
            try:
                self.write(record.RESULT, flags, status, each._record[8:16], head, body)
            except (ValueError, OSError) as error:
                self.cache.clear()
                self.write(record.RESULT, 0, 500, each._record[8:16], failure_head(error), b"")
        self.channel.outbox.ring()

    def run(self, init_ticket, init_context):
        try:
            if init_context is not None:
                init_context(self.context)
        except Exception as error:
            self.write(record.INIT_FAILED, 0, 500, init_ticket, failure_head(error), b"")
            self.channel.outbox.ring()
            return 1
        self.write(record.READY, 0, SEQUENTIAL, init_ticket, b"", b'{"guest":"python","mode":"sync"}')
        try:
            self._loop()
        finally:
            # Also when the handler leaves by SystemExit: what was answered is answered.
            self.channel.reader.release()
            self.channel.outbox.ring()
        self.stopped()
        self.channel.outbox.ring()
        return 0

    def _loop(self):
        reader, ring, queue, write = self.channel.reader, self.channel.outbox.ring, self._queue, self.write
        handler, context, commit = self.handler, self.context, self.cache.commit
        try_write, look, release = self.channel.outbox.try_write, reader.look, reader.release
        words, mapped, data_at, mask = reader.memory.words, reader.memory.map, reader.data, reader.capacity - 1
        now = time.perf_counter_ns
        new, lengths = object.__new__, record.LENGTHS.unpack_from
        EVENT, RESULT, WRAP, STOP = record.EVENT, record.RESULT, record.WRAP, record.STOP
        is_batch, handle_batch, send_parts = self.is_batch, self._handle_batch, self._send_parts
        count, since = 0, now()
        while True:
            if queue:
                data, raw = queue.popleft()
            elif reader.index != reader.produced or look():
                index = reader.index
                at = data_at + (index & mask)
                size = words[at >> 2]
                reader.index = (index + size) & 0xFFFFFFFF
                data = mapped[at:at + size]
                if data[4] == WRAP:
                    continue
                raw = None
            else:
                release()
                ring()
                count, since = 0, now()
                if reader.sleep():
                    reader.doorbell.wait()
                    reader.wake_up()
                continue
            if data[4] != EVENT:
                if data[4] == STOP:
                    if data[6] != DRAIN_ONLY:
                        return
                    self.drained()
                    ring()
                continue
            event = new(RingEvent)
            event._record = data
            if data[5] & 8:
                event._raw = reader.body_of(data) if raw is None else raw
            else:
                # Nearly every handler reads the body: cut it out here, but for JSON, which is decoded when it is asked for.
                head_length, body_length = lengths(data, 16)
                body_at = 64 + head_length
                if not head_length or data.find(b"json", 64, body_at) < 0:
                    event.body = data[body_at:body_at + body_length]
            if data[58] > 1 or data[6]:
                self.cache.clear()
            if is_batch:
                handle_batch(event)
                continue
            self._event = event
            try:
                answer = handler(context, event)
                if type(answer) is bytes:
                    status, head, body, flags = 200, b"", answer, 0
                else:
                    parts = parts_of(answer)
                    if parts is None:
                        status, head, body, flags = encode_answer(answer)
                    else:
                        status, head, body, flags = send_parts(answer, parts, data[8:16])
                if event._state is not None and status < 500:
                    commit(event._state)
            except Exception as error:
                status, head, body, flags = 500, failure_head(error), b"", 0
            self._event = None
            try:
                if not try_write(RESULT, flags, status, data[8:16], head, body):
                    write(RESULT, flags, status, data[8:16], head, body)
            except (ValueError, OSError) as error:
                # Too large, or no room for a large body: what the event did is not committed after all.
                self.cache.clear()
                write(RESULT, 0, 500, data[8:16], failure_head(error), b"")
            count += 1
            if count >= BURST_EVENTS or now() - since > BURST_NS:
                release()
                ring()
                count, since = 0, now()
