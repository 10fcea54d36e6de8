"""The two rings of a channel (docs/ring.md): this side reads what the agent writes and writes what it reads.

The memory order that the protocol needs is explained in docs/ring.md, "Memory order"; `Memory.fence` is where it is made.
"""

import platform
import struct
import threading
import time

from . import record
from .bodies import EXTERNAL_BODY_BYTES_MAX
from .memory import CONTROL_BYTES, LINE_WORDS

M32 = 0xFFFFFFFF

# Header of what a guest writes: id, times, source, attempt and boot are the agent's to fill in.
_OUT = struct.Struct("<IBBH8sII40x")
# x86 keeps stores in order and loads in order; elsewhere each publication needs a fence of its own.
_IS_ORDERED = platform.machine() in ("x86_64", "AMD64", "i686")


class Reader:
    """The consuming end. `next()` copies one record out: what it returns stays true."""

    def __init__(self, memory, doorbell, bodies):
        self.memory, self.doorbell, self.bodies = memory, doorbell, bodies
        self.capacity = memory.to_guest_bytes
        line = LINE_WORDS
        self.producer, self.consumer, self.sleeping, self.wants_room = line, 2 * line, 3 * line, 4 * line
        self.data = CONTROL_BYTES
        self.index = memory.words[self.consumer]
        self.produced = self.index

    def next(self):
        """The next record as bytes, or None. Its body may be outside: see `body_of`."""
        if self.index == self.produced and not self.look():
            return None
        mask = self.capacity - 1
        at = self.index & mask
        words = self.memory.words
        size = words[(self.data + at) >> 2]
        if words[(self.data + at + 4) >> 2] & 0xFF == record.WRAP:
            self.index = (self.index + size) & M32
            return self.next()
        self.index = (self.index + size) & M32
        return self.memory.map[self.data + at:self.data + at + size]

    def body_of(self, data):
        body = record.body_of(data)
        return self.bodies.take(body) if data[5] & record.EXTERNAL_BODY else body

    def look(self):
        """Reads the agent's index; what it covers may be read after."""
        self.produced = self.memory.words[self.producer]
        if self.produced == self.index:
            return False
        if not _IS_ORDERED:
            self.memory.fence()
        return True

    def release(self):
        """Gives the room of what was read back, and rings when the agent waits for it."""
        words = self.memory.words
        if words[self.consumer] == self.index:
            return
        self.memory.fence()
        words[self.consumer] = self.index
        self.memory.fence()
        if words[self.wants_room] and ((words[self.producer] - self.index) & M32) <= self.capacity >> 1:
            words[self.wants_room] = 0
            self.doorbell.ring()

    def sleep(self):
        """Asks for a doorbell. False: something has come meanwhile."""
        words = self.memory.words
        words[self.sleeping] = 1
        self.memory.fence()
        if not self.look():
            return True
        words[self.sleeping] = 0
        return False

    def wake_up(self):
        self.memory.words[self.sleeping] = 0


def open_writer(memory, doorbell, bodies):
    """The producing end, as closures for speed: `try_write(kind, flags, status, ticket, head, body)` publishes one record, or returns
    False when there is no room (the agent has then been asked for a doorbell); `ring()` wakes the agent if it sleeps; `check_size` raises
    ValueError for what will never fit."""
    mapped, words, fence = memory.map, memory.words, memory.fence
    capacity = memory.to_agent_bytes
    mask, inline_max, record_max = capacity - 1, capacity >> 2, capacity >> 1
    data = CONTROL_BYTES + memory.to_guest_bytes
    line = LINE_WORDS
    producer, consumer, sleeping, wants_room = 5 * line, 6 * line, 7 * line, 8 * line
    pack_into = _OUT.pack_into
    ordered = _IS_ORDERED
    # A lock that costs a third of threading.Lock: who holds the token writes. list.pop and append are atomic.
    token = [None]
    take, give = token.pop, token.append
    index = words[producer]
    consumed = index
    # Up to here the agent was rung, or was awake and looks by itself before it sleeps.
    rung = index

    def has_room(needed):
        nonlocal consumed
        consumed = words[consumer]
        if needed <= capacity - ((index - consumed) & M32):
            return True
        words[wants_room] = 1
        fence()
        consumed = words[consumer]
        if needed > capacity - ((index - consumed) & M32):
            return False
        words[wants_room] = 0
        return True

    def check_size(head_length, length):
        if (head_length + 135) & -8 > record_max or length > EXTERNAL_BODY_BYTES_MAX:
            raise ValueError(f"Cannot send {head_length} bytes of head and {length} bytes of body: too large")

    def try_write(kind, flags, status, ticket, head, body, blocking=True):
        nonlocal index
        while True:
            try:
                take()
                break
            except IndexError:
                if not blocking:
                    return False
                time.sleep(0.0002)
        try:
            length = len(body)
            head_length = len(head)
            size = (head_length + length + 71) & -8
            if size > inline_max:
                check_size(head_length, length)
                if length > 64:
                    if not has_room((head_length + 135) & -8):
                        return False
                    body = bodies.put(body, words[consumer] == index)
                    flags |= 8
                    length = len(body)
                    size = (head_length + length + 71) & -8
            at = index & mask
            needed = size if at + size <= capacity else capacity - at + size
            if needed > capacity - ((index - consumed) & 0xFFFFFFFF) and not has_room(needed):
                return False
            if needed != size:
                word = (data + at) >> 2
                words[word] = capacity - at
                words[word + 1] = 0
                at = 0
            at += data
            end = at + size
            pack_into(mapped, at, size, kind, flags, status, ticket, head_length, length)
            at += 64
            if head_length:
                mapped[at:at + head_length] = head
                at += head_length
            if length:
                mapped[at:at + length] = body
                at += length
            if at != end:
                mapped[at:end] = bytes(end - at)
            index = (index + needed) & 0xFFFFFFFF
            if not ordered:
                fence()
            words[producer] = index
            return True
        finally:
            give(None)

    def ring():
        nonlocal rung
        if rung == index:
            return
        rung = index
        fence()
        if words[sleeping]:
            words[sleeping] = 0
            doorbell.ring()

    return try_write, ring, check_size


class Outbox:
    """Writes for a guest that may block until there is room. Only the main thread reads the doorbell: a byte that another thread took
    would be missing where the main thread sleeps. Bells for the reader are not lost here: it looks before it sleeps."""

    def __init__(self, memory, doorbell, bodies):
        self.try_write, self.ring, self.check_size = open_writer(memory, doorbell, bodies)
        self._doorbell = doorbell
        self._main = threading.get_ident()

    def write(self, kind, flags, status, ticket, head, body):
        while not self.try_write(kind, flags, status, ticket, head, body):
            self.ring()
            if threading.get_ident() == self._main:
                self._doorbell.wait(ROOM_WAIT_SECONDS)
            else:
                time.sleep(ROOM_WAIT_SECONDS / 10)


# The bell comes earlier; this bounds the wait when two threads want room and one of them took the other's flag down.
ROOM_WAIT_SECONDS = 0.02
