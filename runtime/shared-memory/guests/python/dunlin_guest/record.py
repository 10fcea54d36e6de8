"""The record's numbers (docs/record.md) and its head items."""

import struct

HEADER_BYTES = 64
HEADER = struct.Struct("<IBBHQIIQQ16sHHI")
LENGTHS = struct.Struct("<II")
ITEM = struct.Struct("<BBH")

# Kinds.
WRAP = 0
EVENT, INIT, STOP, STATE_VALUE, CALL_RESULT, CREDIT = 1, 2, 3, 4, 5, 6
READY, RESULT, EMIT, PUBLISH, STATE_SET, STATE_DELETE, STATE_GET, CALL, LOG, INIT_FAILED, ACK, CHUNK = range(16, 28)

# Flags.
QOS_MASK, RETAIN, EXTERNAL_BODY, ABSENT, REPLAYED = 0x03, 0x04, 0x08, 0x10, 0x20
# Of an EVENT, and of a RESULT.
BATCH_MORE, NO_ACK, BATCH_FAILED = 0x10, 0x01, 0x02
CLOCK_SHIFT = 6
CLOCK_QUALITIES = ("unset", "floor", "synced", "unset")

# Tags of head items.
(TOPIC, CONTENT_TYPE, ORDER_KEY, METHOD, PATH, URL, HEADER_ITEM, FIELD, TYPE, TYPE_VERSION, ERROR, STACK, STREAM, KEY, FUNCTION, FIELDS,
 SHARD_ID, NUM_SHARDS, OFFSET) = range(1, 20)

VALUE_BYTES_MAX = 65_535
KEY_BYTES_MAX = 255


def item(tag, value, key=""):
    """One head item. Raises ValueError when key or value does not fit its field."""
    key, value = key.encode(), value.encode("utf-8", "replace")
    if len(key) > KEY_BYTES_MAX or len(value) > VALUE_BYTES_MAX:
        raise ValueError(f"Cannot carry {key.decode() or 'item ' + str(tag)}: {len(value)} bytes, at most {VALUE_BYTES_MAX}")
    return ITEM.pack(tag, len(key), len(value)) + key + value


def clipped(tag, text):
    """An item for people to read: cut where it is too long."""
    value = text.encode("utf-8", "replace")[:VALUE_BYTES_MAX]
    return ITEM.pack(tag, 0, len(value)) + value


def items(record):
    """(tag, key, value) of each head item; unknown tags too."""
    at = HEADER_BYTES
    end = at + LENGTHS.unpack_from(record, 16)[0]
    while at + ITEM.size <= end:
        tag, key_length, value_length = ITEM.unpack_from(record, at)
        value_at = at + ITEM.size + key_length
        at = value_at + value_length
        if at > end:
            return
        yield tag, record[value_at - key_length:value_at].decode("utf-8", "replace"), record[value_at:at].decode("utf-8", "replace")


def body_of(record):
    head_length, body_length = LENGTHS.unpack_from(record, 16)
    at = HEADER_BYTES + head_length
    return record[at:at + body_length]


def ticket_of(record):
    return int.from_bytes(record[8:16], "little")
