"""Checks the Python guest against the record vectors: decodes each, and writes those that a guest writes. argv: guest folder, vectors folder."""

import json
import mmap
import os
import pathlib
import struct
import sys

sys.path.insert(0, sys.argv[1])
from dunlin_guest import memory as shared
from dunlin_guest import record, ring
from dunlin_guest.event import RingEvent

RING_BYTES = 8192
fd = os.memfd_create("vectors")
os.ftruncate(fd, 4096 + 2 * RING_BYTES)
struct.pack_into("<IIII", mmap.mmap(fd, 0), 0, shared.MAGIC, shared.VERSION, RING_BYTES, RING_BYTES)
memory = shared.Memory(fd)
try_write, _, _ = ring.open_writer(memory, None, None)
at = 4096 + RING_BYTES
checked = 0

for path in sorted(pathlib.Path(sys.argv[2]).glob("*.json")):
    vector = json.loads(path.read_text())
    data, name = bytes.fromhex(vector["bytesHex"]), vector["name"]
    fields = record.HEADER.unpack_from(data)
    size, kind, flags, status, ticket, _, _, time_us, monotonic_ns, id_, source, attempt, boot = fields
    assert size == len(data), name
    assert [kind, flags, status, ticket, time_us, monotonic_ns, id_.hex(), source, attempt, boot] == [
        vector[key] for key in ("kind", "flags", "status", "ticket", "timeUs", "monotonicNs", "id", "source", "attempt", "boot")], name
    assert [[tag, value, key] for tag, key, value in record.items(data)] == vector["head"], name
    assert record.body_of(data).hex() == vector["bodyHex"], name
    event = RingEvent(data)
    assert event.size == len(vector["bodyHex"]) // 2 and event.id.replace("-", "") == vector["id"], name
    if kind >= record.READY:
        head = b"".join(record.item(tag, value, key) for tag, value, key in vector["head"])
        assert try_write(kind, flags, status, data[8:16], head, bytes.fromhex(vector["bodyHex"])), name
        assert memory.map[at:at + size] == data, name
        at += size
    checked += 1

print(checked)
