"""A guest that breaks the rules: argv[1] says which. It has the real ring code at hand, as an attacker would."""

import mmap
import os
import signal
import struct
import sys

sys.path.insert(0, os.environ["GUEST_PATH"])
from dunlin_guest.bodies import Bodies
from dunlin_guest.memory import Doorbell, Memory
from dunlin_guest.ring import Outbox

attack = sys.argv[1]
memory_fd = int(os.environ["DUNLIN_MEMORY_FD"])
memory = Memory(memory_fd)
doorbell = Doorbell(int(os.environ["DUNLIN_DOORBELL_FD"]))
bodies = Bodies(os.environ["DUNLIN_BODY_DIR"])
outbox = Outbox(memory, doorbell, bodies)
data = 4096 + memory.to_guest_bytes
PRODUCER = 160


def send(body=b"", flags=0, kind=17):
    outbox.try_write(kind, flags, 200, bytes(8), b"", body)


def bell():
    doorbell.ring()


send(b"whole")
index = memory.words[PRODUCER]

if attack == "killed-in-record":
    # Half a record is written, its index never published.
    struct.pack_into("<IBBHQII", memory.map, data + index, 1024, 17, 0, 200, 0, 0, 900)
    bell()
    os.kill(os.getpid(), signal.SIGKILL)
elif attack == "garbage":
    for at in range(data + index, data + index + 4096):
        memory.map[at] = os.urandom(1)[0]
    memory.words[PRODUCER] = index + 4096
elif attack == "size-beyond":
    struct.pack_into("<IBBHQII", memory.map, data + index, 0xFFFFFFF8, 17, 0, 200, 0, 0, 0xFFFFFF00)
    memory.words[PRODUCER] = index + 64
elif attack == "index-beyond":
    memory.words[PRODUCER] = index + memory.to_agent_bytes + 8
elif attack == "wrap-for-ever":
    struct.pack_into("<II", memory.map, data + index, 0, 0)
    memory.words[PRODUCER] = index + 64
elif attack == "unknown-kind":
    send(kind=99)
elif attack == "truncate":
    try:
        os.ftruncate(memory_fd, 4096)
    except PermissionError:
        send(b"refused")
elif attack == "consumer-index":
    memory.words[64] = 1 << 20
    send(b"moved")
elif attack == "body-path":
    send(struct.pack("<I", 5) + b"../../../../../../../../etc/passwd"[:32] + b"\0", 8)
elif attack == "body-missing":
    send(struct.pack("<I", 5) + b"0" * 32 + b"\0", 8)
elif attack in ("body-symlink", "body-fifo", "body-short"):
    name = "a" * 32
    path = os.path.join(os.environ["DUNLIN_BODY_DIR"], name)
    if attack == "body-symlink":
        os.symlink("/etc/passwd", path)
    elif attack == "body-fifo":
        os.mkfifo(path)
    else:
        with open(path, "wb") as file:
            file.write(b"abc")
    send(struct.pack("<I", 5) + name.encode() + b"\0", 8)
elif attack == "body-too-large":
    send(struct.pack("<I", 0xFFFFFFFF) + b"b" * 32 + b"\1", 8)
elif attack == "never-reads":
    pass

bell()
try:
    while True:
        doorbell.wait()
except Exception:
    os._exit(7)
