"""Event as handlers see it: Nuclio's names. An event from the ring holds the record's bytes and decodes a field when it is first asked for."""

import base64
import datetime
import json
import uuid

from . import record



class Timestamp(datetime.datetime):
    """UTC, and says so. Nuclio's are UTC and do not, so times without a zone that it is compared with count as UTC."""

    __hash__ = datetime.datetime.__hash__

    def __sub__(self, other):
        return super().__sub__(_in_utc(other))

    def __rsub__(self, other):
        return datetime.datetime.__sub__(_in_utc(other), self)

    def __eq__(self, other):
        return super().__eq__(_in_utc(other))

    def __lt__(self, other):
        return super().__lt__(_in_utc(other))

    def __le__(self, other):
        return super().__le__(_in_utc(other))

    def __gt__(self, other):
        return super().__gt__(_in_utc(other))

    def __ge__(self, other):
        return super().__ge__(_in_utc(other))


def _in_utc(value):
    return value.replace(tzinfo=datetime.timezone.utc) if isinstance(value, datetime.datetime) and value.tzinfo is None else value


_EPOCH = Timestamp(1970, 1, 1, tzinfo=datetime.timezone.utc)


class TriggerInfo:
    def __init__(self, klass="", kind="", name=""):
        self.klass, self.kind, self.name = klass, kind, name

    def __repr__(self):
        return f"TriggerInfo(kind={self.kind!r}, name={self.name!r})"


class Event:
    """An event that a handler makes itself, for call_function and for tests."""

    def __init__(self, body=None, content_type="", trigger=None, fields=None, headers=None, _id=None, method="", path="/", size=None, timestamp=None,
                 url="", shard_id=None, num_shards=None, _type="", type_version="", version="", last_in_batch=None, offset=None, topic=""):
        self.body, self.content_type, self.trigger = body, content_type or "", trigger or TriggerInfo()
        self.fields, self.headers = fields or {}, headers or {}
        self.id, self.method, self.path, self.url = _id, method or "", path or "", url or ""
        self.size = size if size is not None else len(body) if isinstance(body, (bytes, str)) else 0
        self.timestamp = timestamp or datetime.datetime.now(datetime.timezone.utc)
        self.shard_id, self.num_shards, self.offset, self.last_in_batch = shard_id, num_shards, offset or 0, bool(last_in_batch)
        self.type, self.type_version, self.version, self.topic = _type or "", type_version or "", version or "", topic or ""

    def get_header(self, name, default=None):
        """A header whatever its case."""
        name = name.lower()
        return next((value for key, value in self.headers.items() if key.lower() == name), default)

    def to_json(self):
        """Nuclio's: all fields as JSON text, bytes as base64, what JSON has no form for as text."""
        values = {name: getattr(self, name) for name in _NAMES}
        values["trigger"] = {"kind": self.trigger.kind, "name": self.trigger.name}
        if isinstance(self.body, (bytes, bytearray)):
            values["body"] = base64.b64encode(self.body).decode("ascii")
        return json.dumps(values, default=str)

    @classmethod
    def deserialize(cls, data, kind=None):
        """Of JSON with Nuclio's names, as events are written down for tests."""
        given = json.loads(data)
        trigger = given.get("trigger") or {}
        when = given.get("timestamp")
        values = {name: given.get(name) for name in _NAMES if name not in ("id", "type", "trigger", "timestamp")}
        return cls(trigger=TriggerInfo(kind=trigger.get("kind", ""), name=trigger.get("name", "")), _id=given.get("id"), _type=given.get("type"),
                   timestamp=datetime.datetime.fromtimestamp(when, datetime.timezone.utc) if isinstance(when, (int, float)) else when, **values)

    from_json = deserialize

    def __repr__(self):
        return f"Event(id={self.id!r}, topic={self.topic!r}, path={self.path!r}, size={self.size!r})"


_NAMES = ("body", "content_type", "trigger", "fields", "headers", "id", "method", "path", "size", "timestamp", "url", "shard_id", "num_shards",
          "type", "type_version", "version", "last_in_batch", "offset", "topic")


class Headers(dict):
    """Names of headers have no case (RFC 9110 5.1): headers["X-Given"] and headers["x-given"] are one. A name as it is written is found at once."""

    def _name(self, key):
        lower = key.lower() if isinstance(key, str) else key
        return next((name for name in self if name.lower() == lower), None)

    def __missing__(self, key):
        name = self._name(key)
        if name is None:
            raise KeyError(key)
        return self[name]

    def __contains__(self, key):
        return super().__contains__(key) or self._name(key) is not None

    def get(self, key, default=None):
        try:
            return self[key]
        except KeyError:
            return default


class _Lazy:
    """Makes a field when it is first read and keeps it on the event; it can be assigned like any other."""

    __slots__ = ("make", "name")

    def __init__(self, make):
        self.make = make

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, event, owner):
        if event is None:
            return self
        value = self.make(event)
        setattr(event, self.name, value)
        return value


class RingEvent(Event):
    _triggers = ()
    _state = None
    _raw = None
    _done = False
    version = ""

    def __init__(self, data):
        self._record = data

    @_Lazy
    def body(self):
        data = self._record
        head_length, body_length = record.LENGTHS.unpack_from(data, 16)
        at = 64 + head_length
        raw = self._raw
        if raw is None:
            raw = data[at:at + body_length]
        # Most heads do not speak of JSON: one search instead of decoding all items.
        if head_length and data.find(b"json", 64, at) >= 0 and self.content_type.partition(";")[0].strip().lower() == "application/json":
            try:
                return json.loads(raw)
            except ValueError:
                return raw
        return raw

    @_Lazy
    def _items(self):
        single, headers, fields = {}, Headers(), {}
        for tag, key, value in record.items(self._record):
            if tag == record.HEADER_ITEM:
                headers[key] = value
            elif tag == record.FIELD:
                fields[key] = value
            else:
                single.setdefault(tag, value)
        return single, headers, fields

    @_Lazy
    def headers(self):
        return self._items[1]

    @_Lazy
    def fields(self):
        return self._items[2]

    @_Lazy
    def _header(self):
        return record.HEADER.unpack_from(self._record)

    @_Lazy
    def size(self):
        return len(self._raw) if self._raw is not None else self._header[6]

    @_Lazy
    def timestamp(self):
        return _EPOCH + datetime.timedelta(microseconds=self._header[7])

    @_Lazy
    def id(self):
        return str(uuid.UUID(bytes=self._header[9]))

    @_Lazy
    def trigger(self):
        source = self._header[10]
        return self._triggers[source] if source < len(self._triggers) else TriggerInfo()

    monotonic_ns = _Lazy(lambda event: event._header[8])
    attempt = _Lazy(lambda event: event._header[11])
    boot_id = _Lazy(lambda event: event._header[12])
    qos = _Lazy(lambda event: event._header[2] & record.QOS_MASK)
    retain = _Lazy(lambda event: event._header[2] & record.RETAIN != 0)
    replayed = _Lazy(lambda event: event._header[2] & record.REPLAYED != 0)
    last_in_batch = _Lazy(lambda event: event._header[2] & record.BATCH_MORE == 0)
    clock_quality = _Lazy(lambda event: record.CLOCK_QUALITIES[event._header[2] >> record.CLOCK_SHIFT])


def _text(tag):
    return _Lazy(lambda event: event._items[0].get(tag, ""))


def _number(tag):
    def make(event):
        value = event._items[0].get(tag, "")
        return int(value) if value.lstrip("-").isdigit() else None

    return _Lazy(make)


for _name, _field in {
    "content_type": _text(record.CONTENT_TYPE), "method": _text(record.METHOD), "path": _text(record.PATH), "url": _text(record.URL),
    "topic": _text(record.TOPIC), "type": _text(record.TYPE), "type_version": _text(record.TYPE_VERSION), "order_key": _text(record.ORDER_KEY),
    "shard_id": _number(record.SHARD_ID), "num_shards": _number(record.NUM_SHARDS), "offset": _number(record.OFFSET),
}.items():
    _field.name = _name
    setattr(RingEvent, _name, _field)
