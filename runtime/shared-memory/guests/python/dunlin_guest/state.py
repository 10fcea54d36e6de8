"""context.state: the function's key-value state, committed with the event that changed it.

A value is stored as one byte of form (0: bytes, 1: JSON) and its content, so that it comes back as what it was, in every language.
An event sees its own writes; others see them once it has succeeded. When this worker is the only one of its function, what was read and
what was committed is remembered, so a key is asked for once.
"""

import json

from . import record

_ABSENT = object()
CACHE_BYTES_MAX = 8 << 20


def encode_value(value):
    if isinstance(value, (bytes, bytearray, memoryview)):
        return b"\0" + bytes(value)
    return b"\1" + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def decode_value(data):
    return json.loads(data[1:]) if data[:1] == b"\1" else data[1:]


class StateCache:
    """Encoded values, oldest out first. Not exclusive: remembers nothing."""

    def __init__(self, is_exclusive):
        self._is_exclusive = is_exclusive
        self._values = {}
        self._bytes = 0

    def get(self, key):
        return self._values.get(key)

    def put(self, key, value):
        if not self._is_exclusive:
            return
        self._forget(key)
        self._values[key] = value
        self._bytes += self._cost(key, value)
        while self._bytes > CACHE_BYTES_MAX:
            self._forget(next(iter(self._values)))

    def clear(self):
        """An event came again: its outcome was not committed, whatever it answered. What was remembered of it is not true."""
        self._values.clear()
        self._bytes = 0

    def _forget(self, key):
        value = self._values.pop(key, None)
        if value is not None:
            self._bytes -= self._cost(key, value)

    @staticmethod
    def _cost(key, value):
        return 100 + len(key) + (0 if value is _ABSENT else len(value))

    def commit(self, writes):
        for key, value in writes.items():
            self.put(key, value)


class State:
    """`current()` gives the event being handled, `write(kind, event, head, body)` sends for it, `request(kind, head, body)` asks the agent."""

    def __init__(self, cache, current, write, request):
        self._cache, self._current, self._write, self._request = cache, current, write, request

    def get(self, key, default=None):
        found = self._known(key)
        if found is None:
            found = self._received(key, self._request(record.STATE_GET, record.item(record.KEY, key), b""))
        return default if found is _ABSENT else decode_value(found)

    def set(self, key, value):
        data = encode_value(value)
        event = self._current()
        self._write(record.STATE_SET, event, record.item(record.KEY, key), data)
        self._overlay(event)[key] = data

    def delete(self, key):
        event = self._current()
        self._write(record.STATE_DELETE, event, record.item(record.KEY, key), b"")
        self._overlay(event)[key] = _ABSENT

    def _known(self, key):
        event = self._current(None)
        if event is not None and event._state is not None and key in event._state:
            return event._state[key]
        return self._cache.get(key)

    def _received(self, key, answer):
        flags, _, _, body = answer
        value = _ABSENT if flags & record.ABSENT else body
        self._cache.put(key, value)
        return value

    @staticmethod
    def _overlay(event):
        if event._state is None:
            event._state = {}
        return event._state


class AsyncState(State):
    """For async handlers: `await context.state.get(key)`; set and delete need no await."""

    async def get(self, key, default=None):
        found = self._known(key)
        if found is None:
            found = self._received(key, await self._request(record.STATE_GET, record.item(record.KEY, key), b""))
        return default if found is _ABSENT else decode_value(found)
