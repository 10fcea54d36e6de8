"""What a random program does, in Python. The body of an event says it: id|behaviour|times|emits (random-handlers.ts)."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time

kept = []


def worker():
    """The guest's own insides, as an attacker would look for them."""
    return next(each for each in gc.get_objects() if type(each).__name__ in ("SyncWorker", "AsyncWorker"))


def answer(ticket):
    outbox = worker().channel.outbox
    outbox.write(17, 0, 200, ticket.to_bytes(8, "little"), b"", b"forged")
    outbox.ring()


def own_ticket(event):
    return int.from_bytes(event._record[8:16], "little")


def fail(context, event):
    raise ValueError("as asked")


def interrupt(context, event):
    raise KeyboardInterrupt


def busy(context, event):
    while True:
        pass


def leak(context, event):
    while True:
        kept.append(bytearray(1 << 20))
        time.sleep(0.001)


def scribble(context, event):
    memory = worker().channel.memory
    at = 4096 + memory.to_guest_bytes
    memory.map[at:at + 8192] = os.urandom(8192)
    memory.words[160] = memory.words[160] + 4096
    worker().channel.doorbell.ring()
    time.sleep(60)


def forge_past(context, event):
    answer(own_ticket(event) - 1)
    time.sleep(60)


def forge_future(context, event):
    answer(own_ticket(event) + 100_000)
    time.sleep(60)


def many_operations(context, event):
    for i in range(10_050):
        context.state.set("n", str(i))
    time.sleep(60)


FAULTS = {
    "throw": fail,
    "interrupt": interrupt,
    "hang": lambda context, event: time.sleep(60),
    "busy": busy,
    "exit0": lambda context, event: os._exit(0),
    "exit3": lambda context, event: sys.exit(3),
    "kill": lambda context, event: os.kill(os.getpid(), signal.SIGKILL),
    "leak": leak,
    "unserialisable": lambda context, event: {"value": object()},
    "wrongStatus": lambda context, event: context.Response(body="x", status_code="seven"),
    "largeEmit": lambda context, event: context.emit("random", bytes(4 << 20)),
    "longKey": lambda context, event: context.state.set("k" * 70_000, "v"),
    "tooManyOperations": many_operations,
    "scribble": scribble,
    "forgePast": forge_past,
    "forgeFuture": forge_future,
}


def garbage(context, event):
    for output, data in (1, os.urandom(30_000)), (2, b"x" * 30_000):
        try:
            os.write(output, data)
        except OSError:
            pass  # closeOutput was here before.


def log_flood(context, event):
    for i in range(2_000):
        context.logger.info(f"line {i}")


def spin(context, event):
    until = time.monotonic() + 0.15
    while time.monotonic() < until:
        pass


def late_operations(context, event):
    def late():
        time.sleep(0.002)
        try:
            context.emit("random", "late")
        except RuntimeError:
            pass

    threading.Thread(target=late, daemon=True).start()


def fork(context, event):
    subprocess.Popen(["sleep", "300"])


def double_fork(context, event):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", "300"])
        os._exit(0)
    os.wait()


ODDITIES = {
    "ok": lambda context, event: None,
    "wait": lambda context, event: time.sleep(0.15),
    "spin": spin,
    "garbage": garbage,
    "logFlood": log_flood,
    "lateOperations": late_operations,
    "hugeAnswer": lambda context, event: b"a" * (3 << 20),
    "fork": fork,
    "doubleFork": double_fork,
    "ignoreSignals": lambda context, event: signal.signal(signal.SIGTERM, signal.SIG_IGN) and None,
    "closeOutput": lambda context, event: os.closerange(0, 3),
}


def answer_twice(context, event):
    answer(own_ticket(event))


def exit_late(context, event):
    threading.Timer(0.001, os._exit, (1,)).start()


LATE = {"answerTwice": answer_twice, "exitLate": exit_late}


def handler(context, event):
    ident, behaviour, times, emits = event.body.decode().split("|")
    for i in range(int(emits)):
        context.emit("random", f"{ident}#{event.attempt}#{i}")
    context.state.set("last", ident)
    if behaviour in FAULTS:
        if event.attempt > int(times):
            return ident
        return FAULTS[behaviour](context, event)
    result = (ODDITIES.get(behaviour) or LATE[behaviour])(context, event)
    return ident if result is None else result


async def handler_async(context, event):
    _, behaviour, times, _ = event.body.decode().split("|")
    is_faulty = event.attempt <= int(times)
    if behaviour == "wait" or (behaviour == "hang" and is_faulty):
        await asyncio.sleep(60 if is_faulty else 0.15)
    return handler(context, event)
