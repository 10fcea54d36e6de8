"""The memory shared with the agent, its control page (docs/ring.md), and the doorbell."""

import mmap
import os
import select
import threading

MAGIC = 0x474E5244
VERSION = 1
CONTROL_BYTES = 4096
LINE_WORDS = 32


def make_fence():
    """A full memory barrier out of one lock that is always held: release orders what came before, acquire what comes after,
    and no processor moves an acquire before an earlier release."""
    lock = threading.Lock()
    lock.acquire()
    release, acquire = lock.release, lock.acquire

    def fence():
        release()
        acquire()

    return fence


class AgentGone(Exception):
    """The doorbell's other end is closed: nobody will ever read what we write."""


class Memory:
    """The mapped memory and the words of its control page."""

    def __init__(self, fd):
        self.map = mmap.mmap(fd, 0)
        self.words = memoryview(self.map).cast("I")
        words = self.words
        if words[0] != MAGIC or words[1] != VERSION:
            raise RuntimeError(f"Cannot open the ring: magic {words[0]:x}, version {words[1]}, expected {MAGIC:x}, {VERSION}")
        self.to_guest_bytes, self.to_agent_bytes = words[2], words[3]
        if len(self.map) != CONTROL_BYTES + self.to_guest_bytes + self.to_agent_bytes:
            raise RuntimeError(f"Cannot open the ring: {len(self.map)} bytes do not hold rings of {self.to_guest_bytes} and {self.to_agent_bytes}")
        self.fence = make_fence()


class Doorbell:
    """One byte on a socket wakes the side that sleeps; its end of file says that the agent is gone."""

    def __init__(self, fd):
        self.fd = fd
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def ring(self):
        try:
            os.write(self.fd, b"\1")
        except BlockingIOError:
            pass  # The agent has bytes enough to wake by.
        except OSError as error:
            raise AgentGone() from error

    def wait(self, timeout=None):
        """Sleeps until the agent rings. False: `timeout` seconds are over."""
        if timeout is not None and not self._poll.poll(max(0, int(timeout * 1000) + 1)):
            return False
        try:
            if not os.read(self.fd, 4096):
                raise AgentGone()
        except BlockingIOError:
            if timeout is None:
                self._poll.poll()
        except OSError as error:
            raise AgentGone() from error
        return True
