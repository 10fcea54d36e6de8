"""The fixture function in Python: README.md beside this file says what it does."""

import inspect
import os
import re
import signal
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def init_context(context):
    if context.function_name == "init-fails":
        raise RuntimeError("init has failed")
    if context.function_name == "init-dies" and not os.path.exists(os.path.join(HERE, "died")):
        open(os.path.join(HERE, "died"), "w").close()
        die()
    context.user_data.name = context.function_name
    context.platform.set_drain_callback(lambda: drained(context))
    context.platform.set_termination_callback(lambda: print("terminated"))


def handler(context, event):
    job = handle(context, event)
    value = None
    try:
        while True:
            value = job.send(value)
    except StopIteration as end:
        return end.value


async def async_handler(context, event):
    job = handle(context, event)
    value = None
    try:
        while True:
            value = job.send(value)
            if inspect.isawaitable(value):
                value = await value
    except StopIteration as end:
        return end.value


def handle(context, event):
    """A generator that gives what is to be awaited, where handlers are asynchronous."""
    if event.path == "/echo":
        return event.body
    if event.path == "/describe":
        return describe(event)
    answer, status, headers, kind = [], 200, {}, "text/plain"
    for line in event.body.decode().split("\n"):
        step, _, rest = line.partition(" ")
        name, _, text = rest.partition(" ")
        if step == "emit":
            context.emit(name, text, headers={"unit": "°C"})
        elif step == "emits":
            for number in range(int(text)):
                context.emit(name, str(number))
        elif step == "publish":
            context.publish(name, text, qos=1, retain=True)
        elif step == "set":
            context.state.set(name, text)
        elif step == "delete":
            context.state.delete(name)
        elif step == "get":
            found = yield context.state.get(name)
            answer.append("-" if found is None else found)
        elif step == "fill":
            context.state.set(name, bytes([7]) * int(text))
        elif step == "size":
            found = yield context.state.get(name)
            answer.append(str(len(found)))
        elif step == "log":
            getattr(context.logger, name + "_with")(text, celsius=90, where="här")
        elif step == "print":
            print(rest)
        elif step == "call":
            response = yield context.platform.call_function(name, text)
            body = response.body
            answer.append(f"{response.status_code} {body.decode() if isinstance(body, bytes) else body}")
        elif step == "raise":
            raise ValueError(rest)
        elif step == "status":
            status = int(rest)
        elif step == "header":
            headers[name] = text
        elif step == "type":
            kind = rest
        elif step == "pid":
            answer.append(str(os.getpid()))
        elif step == "attempt":
            context.emit(name, str(event.attempt))
        elif step == "die" and (event.attempt == 1 or rest == "always"):
            die()
        elif step == "forge":
            ticket = event._record[8:16] if rest == "own" else int(rest).to_bytes(8, "little")
            context.platform._request.__self__.channel.outbox.write(17, 0, 200, ticket, b"", b"forged")
        elif step == "spin":
            while True:
                pass
        elif step == "backtrack":
            re.match("(a+)+$", "a" * 100 + "b")
        elif step == "wait":
            while not os.path.exists(rest):
                time.sleep(0.001)
    return context.Response(body="\n".join(answer), headers=headers, content_type=kind, status_code=status)


def describe(event):
    lines = [f"{name}={getattr(event, name)}" for name in (
        "id", "content_type", "method", "path", "url", "topic", "type", "type_version", "order_key", "shard_id", "num_shards", "offset", "qos", "attempt",
        "size", "boot_id", "monotonic_ns", "clock_quality")]
    lines += [f"retain={int(event.retain)}", f"replayed={int(event.replayed)}", f"time_ms={int(event.timestamp.timestamp() * 1000)}"]
    lines += [f"trigger={event.trigger.kind}/{event.trigger.name}"]
    lines += [f"header {name}={value}" for name, value in event.headers.items()]
    lines += [f"field {name}={value}" for name, value in event.fields.items()]
    return "\n".join(lines)


def drained(context):
    print("drained")
    if context.function_name == "drain-dies":
        die()


def die():
    os.kill(os.getpid(), signal.SIGKILL)
