"""Context as handlers see it: Nuclio's names, and emit, publish and state."""

from . import record
from .event import Event, RingEvent
from .response import Response, encode_body


HEADS_MAX = 256


class UserData:
    """Whatever init_context puts here stays for the worker's life."""


class QualifiedOffset:
    """Names an event so that it can be acknowledged after it was answered. Nuclio's class; only `from_event` makes one that works."""

    def __init__(self, topic, partition, offset):
        self.topic, self.partition, self.offset = topic, partition, offset
        # The delivery that is acknowledged: a later one of the same event has another.
        self._ticket = None

    @staticmethod
    def from_event(event):
        offset = QualifiedOffset(event.topic, event.shard_id, event.offset)
        offset._ticket = event._record[8:16] if isinstance(event, RingEvent) else None
        return offset


class _Done:
    """What was done at once may be awaited all the same."""

    def __await__(self):
        return iter(())


class Platform:
    def __init__(self, request, acknowledge=None):
        self._request, self._acknowledge = request, acknowledge
        self.on_drain = self.on_termination = None

    def call_function(self, function_name, event=None, node=None, timeout=None, service_name_override=None):
        """Calls another function of this device; `event` is an Event or a body. Returns a Response. In async handlers: await it."""
        return self._request(record.CALL, _call_head(function_name, event), _call_body(event), timeout, _as_response)

    def explicit_ack(self, qualified_offset):
        """Acknowledges an event whose answer did not: it is committed now, with what it emitted and changed. May be awaited, from any thread."""
        self._answer_for(qualified_offset, 200, b"")
        return _Done()

    def explicit_nack(self, qualified_offset, reason="the handler refused it"):
        """The event has failed after all: it is given again, like one whose handler raised."""
        self._answer_for(qualified_offset, 500, record.clipped(record.ERROR, str(reason)))
        return _Done()

    def _answer_for(self, offset, status, head):
        if self._acknowledge is None:
            raise RuntimeError("Cannot acknowledge explicitly: set explicitAckMode: enable on the trigger")
        if isinstance(offset, RingEvent):
            offset = QualifiedOffset.from_event(offset)
        if getattr(offset, "_ticket", None) is None:
            raise TypeError("Cannot acknowledge this: expected QualifiedOffset.from_event(event), or the event")
        self._acknowledge(record.ACK, 0, status, offset._ticket, head, b"")

    def set_drain_callback(self, callback):
        self.on_drain = callback

    def set_termination_callback(self, callback):
        self.on_termination = callback


class Context:
    def __init__(self, init, logger, state, platform, current, write, triggers):
        self.logger, self.state, self.platform = logger, state, platform
        self.user_data = UserData()
        self.worker_id = init.get("workerId", 0)
        function = init.get("function", {})
        self.function_name, self.function_version = function.get("name", ""), function.get("version", "")
        self.trigger = triggers[0] if triggers else None
        self.trigger_name = self.trigger.name if self.trigger else ""
        self.Response, self.QualifiedOffset = Response, QualifiedOffset
        self._current, self._write = current, write
        # Heads of plain emits: a function emits to few streams, and many times.
        self._heads = {}

    def emit(self, stream, body, content_type=None, headers=None, event=None):
        """Appends an event to a stream, in one transaction with the acknowledgement of the event that is being handled; in a batch: of
        `event`, or the batch's first."""
        kind, body = encode_body(body)
        kind = content_type or kind
        head = self._heads.get((stream, kind)) if headers is None else None
        if head is None:
            head = record.item(record.STREAM, stream) + _type_and_headers(kind, headers)
            if headers is None and len(self._heads) < HEADS_MAX:
                self._heads[stream, kind] = head
        self._write(record.EMIT, event or self._current(), head, body)

    def publish(self, topic, body, qos=0, retain=False, content_type=None, event=None):
        """Publishes to the device's own broker once the event has succeeded."""
        if qos not in (0, 1):
            raise ValueError(f"Cannot publish with QoS {qos}: expected 0 or 1")
        kind, body = encode_body(body)
        flags = qos | (record.RETAIN if retain else 0)
        self._write(record.PUBLISH, event or self._current(), record.item(record.TOPIC, topic) + _type_and_headers(content_type or kind, None), body, flags)


def _type_and_headers(content_type, headers):
    head = record.item(record.CONTENT_TYPE, content_type) if content_type else b""
    for name, value in (headers or {}).items():
        head += record.item(record.HEADER_ITEM, str(value), str(name))
    return head


def _call_head(function_name, event):
    head = record.item(record.FUNCTION, function_name)
    if not isinstance(event, Event):
        return head + _type_and_headers(encode_body(event)[0], None)
    for tag, value in ((record.METHOD, event.method), (record.PATH, event.path), (record.TOPIC, event.topic)):
        if value:
            head += record.item(tag, value)
    return head + _type_and_headers(event.content_type or encode_body(event.body)[0], event.headers)


def _call_body(event):
    return encode_body(event.body if isinstance(event, Event) else event)[1]


def _as_response(answer):
    _, status, data, body = answer
    event = RingEvent(data)
    event._raw = body
    return Response(headers=event.headers, body=event.body, content_type=event.content_type, status_code=status)
