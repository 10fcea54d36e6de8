"""A guest that keeps the protocol and kills itself at the crash point that CRASH_AT names (docs/ring.md, "Crash points"), or breaks it
there in the way that CRASH_AT names (U19) and stays, so that somebody must end it.

It has the real ring code at hand and handles one event after the other: emits the body and the attempt to `out`, remembers the body in the state,
and answers. Only an event with the body `crash` crashes, at its first attempt. Its process number is in the file `pid`.
"""

import json
import os
import signal
import struct
import sys
import time

sys.path.insert(0, os.environ["GUEST_PATH"])
from dunlin_guest import record
from dunlin_guest.bodies import Bodies, _write_fully
from dunlin_guest.memory import Doorbell, Memory
from dunlin_guest.ring import Outbox, Reader

POINT = os.environ["CRASH_AT"]
DIED = "died"
open("pid", "w").write(str(os.getpid()))
FD = int(os.environ["DUNLIN_MEMORY_FD"])
memory = Memory(FD)
doorbell = Doorbell(int(os.environ["DUNLIN_DOORBELL_FD"]))
bodies = Bodies(os.environ["DUNLIN_BODY_DIR"])
reader = Reader(memory, doorbell, bodies)
outbox = Outbox(memory, doorbell, bodies)
PRODUCER = 160
DATA = 4096 + memory.to_guest_bytes


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_once():
    """Of points that belong to no event."""
    if not os.path.exists(DIED):
        open(DIED, "w").close()
        die()


def read():
    while True:
        data = reader.next()
        if data is not None:
            return data
        reader.release()
        outbox.ring()
        if reader.sleep():
            doorbell.wait()
            reader.wake_up()


def half_record(ticket):
    """Everything of an EMIT lies in the ring but the index that would publish it."""
    head = record.item(record.STREAM, "out")
    at = DATA + (memory.words[PRODUCER] & (memory.to_agent_bytes - 1))
    struct.pack_into("<IBBH8sII40x", memory.map, at, 64 + len(head) + 8, record.EMIT, 0, 0, ticket, len(head), 4)
    memory.map[at + 64:at + 64 + len(head)] = head
    memory.map[at + 64 + len(head):at + 68 + len(head)] = b"half"
    outbox.ring()
    doorbell.ring()


def half_body():
    _, fd = bodies._create()
    _write_fully(fd, bytes(500_000))


def put(at, *words):
    """u32 words at a byte of the mapping."""
    struct.pack_into(f"<{len(words)}I", memory.map, at, *words)


def written():
    return memory.words[PRODUCER]


def forge(size, kind=record.RESULT, head=0, body=0, publish=64):
    at = DATA + (written() & (memory.to_agent_bytes - 1))
    put(at, size, kind | 200 << 16, 1, 0, head, body)
    memory.words[PRODUCER] = (written() + publish) & 0xFFFFFFFF


def refused(change):
    try:
        change()
    except OSError:
        open("refused", "a").write("x")


ATTACKS = {
    "wrong-size": lambda: forge(0xFFFFFFF8),
    "wrong-length": lambda: forge(64, head=0xFFFFFFF0, body=0x10),
    "wrong-index": lambda: memory.words.__setitem__(PRODUCER, written() + memory.to_agent_bytes + 8),
    "odd-index": lambda: memory.words.__setitem__(PRODUCER, written() + 4),
    "wrong-kind": lambda: forge(64, kind=99),
    "wrong-magic": lambda: put(0, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF),
    "agents-indices": lambda: [put(128 * line, 0xDEADBEE8) for line in (1, 2, 6)],
    "flags-for-ever": lambda: [put(128 * line, 0xFFFFFFFF) for line in (3, 4, 7, 8)],
    "random-everywhere": lambda: memory.map.__setitem__(slice(0, len(memory.map)), os.urandom(len(memory.map))),
    "truncates": lambda: [refused(lambda: os.ftruncate(FD, 4096)), refused(lambda: os.ftruncate(FD, 1 << 30))],
    "writes-past": lambda: [refused(lambda: os.pwrite(FD, b"x", len(memory.map)))],
    "stops-reading": lambda: None,
    "body-out-of-place": lambda: outbox.write(record.RESULT, record.EXTERNAL_BODY, 200, b"\1" + bytes(7), b"",
                                              struct.pack("<I", 5) + b"/etc/passwd/../../../etc/passwd0" + b"\0"),
}


def attack():
    ATTACKS[POINT]()
    doorbell.ring()
    while True:
        time.sleep(1)


def handle(data):
    ticket, body = data[8:16], reader.body_of(data)
    attempt = struct.unpack_from("<H", data, 58)[0]
    point = POINT if body == b"crash" and attempt == 1 else ""
    if point in ATTACKS:
        attack()
    if point == "event-taken":
        reader.release()
        die()
    if point == "event-not-released":
        die()
    if point == "state-asked":
        outbox.write(record.STATE_GET, 0, 0, b"\1" + bytes(7), record.item(record.KEY, "last"), b"")
        outbox.ring()
        die()
    if point == "half-record":
        half_record(ticket)
        die()
    if point == "half-body":
        half_body()
        die()
    outbox.write(record.EMIT, 0, 0, ticket, record.item(record.STREAM, "out"), body + b" " + str(attempt).encode())
    outbox.write(record.STATE_SET, 0, 0, ticket, record.item(record.KEY, "last"), b"\1" + json.dumps(body.decode()).encode())
    outbox.write(record.PUBLISH, 1, 0, ticket, record.item(record.TOPIC, "told"), body)
    if point == "operations-sent":
        outbox.ring()
        die()
    if point == "large-operation-sent":
        outbox.write(record.EMIT, 0, 0, ticket, record.item(record.STREAM, "large"), bytes(500_000))
        outbox.ring()
        die()
    outbox.write(record.RESULT, 0, 200, ticket, b"", b"")
    if point == "result-published":
        die()
    if point == "result-rung":
        outbox.ring()
        die()


init = read()
if POINT == "before-ready":
    die_once()
outbox.write(record.READY, 0, 1, init[8:16], b"", b"{}")
if POINT == "ready-published":
    die_once()
outbox.ring()
while True:
    record_read = read()
    if record_read[4] == record.EVENT:
        handle(record_read)
    elif record_read[4] == record.STOP:
        if POINT == "stop-read":
            die()
        outbox.ring()
        sys.exit(0)
