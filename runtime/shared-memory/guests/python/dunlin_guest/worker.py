"""What both kinds of worker share: opening the channel, INIT, the handler, and the ways a handler ends."""

import importlib
import inspect
import json
import os
import select
import signal
import sys
import threading
import traceback

from . import record
from .bodies import Bodies
from .context import Context, Platform
from .event import RingEvent, TriggerInfo
from .logger import Logger
from .memory import Doorbell, Memory
from .ring import Outbox, Reader
from .state import StateCache

NO_TICKET = bytes(8)
PR_SET_PDEATHSIG = 1


class Channel:
    """The agent's side of things, opened from what the agent put into the environment."""

    def __init__(self, environ):
        doorbell_fd, memory_fd = int(environ.pop("DUNLIN_DOORBELL_FD")), int(environ.pop("DUNLIN_MEMORY_FD"))
        self.memory = Memory(memory_fd)
        os.close(memory_fd)
        os.set_inheritable(doorbell_fd, False)
        self.doorbell = Doorbell(doorbell_fd)
        self.bodies = Bodies(environ.pop("DUNLIN_BODY_DIR"))
        self.reader = Reader(self.memory, self.doorbell, self.bodies)
        self.outbox = Outbox(self.memory, self.doorbell, self.bodies)
        _exit_with_agent(doorbell_fd)

    def read(self):
        """The next record; sleeps until there is one."""
        reader = self.reader
        while True:
            data = reader.next()
            if data is not None:
                return data
            reader.release()
            self.outbox.ring()
            if reader.sleep():
                self.doorbell.wait()
                reader.wake_up()


def _exit_with_agent(fd):
    """An agent that died leaves no busy handler behind: the kernel kills this process with its parent, and a thread sleeps until the doorbell is
    hung up, for Pythons without ctypes. The thread alone would not do: a regular expression without end never gives it the interpreter."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    except (ImportError, OSError, AttributeError):
        pass
    poll = select.poll()
    poll.register(fd, select.POLLRDHUP)

    def watch():
        poll.poll()
        os._exit(1)

    previous = threading.stack_size(256 * 1024)
    threading.Thread(target=watch, daemon=True, name="dunlin-agent-watch").start()
    threading.stack_size(previous)


def load_handler(init):
    """(handler, init_context or None) of `module:function` in the function's directory; the function's name defaults to `handler`."""
    module_name, _, function_name = init["handler"].partition(":")
    if module_name.endswith(".py"):
        module_name = module_name[:-3]
    sys.path.insert(0, init["directory"])
    module = importlib.import_module(module_name.replace("/", "."))
    handler = getattr(module, function_name or "handler", None)
    if not callable(handler):
        raise LookupError(f"Cannot find function {function_name or 'handler'!r} in {module.__file__}")
    return handler, getattr(module, "init_context", None)


def is_async(handler):
    return any(inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each) for each in (handler, getattr(handler, "__call__", None)))


def failure_head(error):
    stack = "".join(traceback.format_exception(type(error), error, _user_frames(error)))
    return record.clipped(record.ERROR, f"{type(error).__name__}: {error}") + record.clipped(record.STACK, stack)


def _user_frames(error):
    """The traceback from the function's own code on."""
    trace = error.__traceback__
    here = os.path.dirname(os.path.abspath(__file__))
    while trace is not None and trace.tb_next is not None and os.path.abspath(trace.tb_frame.f_code.co_filename).startswith(here):
        trace = trace.tb_next
    return trace


class Worker:
    """Subclasses say how an event is current, how records are written and how answers are awaited."""

    state_class = None

    def __init__(self, channel, init, handler):
        self.channel, self.init, self.handler = channel, init, handler
        triggers = [TriggerInfo(each.get("class", ""), each.get("kind", ""), each.get("name", "")) for each in init.get("triggers", ())]
        RingEvent._triggers = tuple(triggers)
        self.cache = StateCache(bool(init.get("stateExclusive")))
        self.is_batch = bool(init.get("batch"))
        self.platform = Platform(self.request, self.acknowledge if init.get("explicitAck") else None)
        self.logger = Logger(self._log, init.get("logLevel", "info"), wanted=self._wanted_level)
        state = self.state_class(self.cache, self.current, self.write_for, self.request)
        self.context = Context(init, self.logger, state, self.platform, self.current, self.write_for, triggers)
        self._late_logs = []

    def write_for(self, kind, event, head, body, flags=0):
        self.write(kind, flags, 0, event._record[8:16], head, body)

    def acknowledge(self, *entry):
        self.write(*entry)
        self.channel.outbox.ring()

    def _wanted_level(self):
        event = self.current(None)
        return 0 if event is None else event._record[7]

    def _log(self, level, head, body):
        event = self.current(None)
        entry = (record.LOG, 0, level, NO_TICKET if event is None else event._record[8:16], head, body)
        # A signal handler or a finaliser may log in the middle of a write: its line waits for the next one.
        late, self._late_logs = self._late_logs, []
        for each in [*late, entry]:
            if not self.channel.outbox.try_write(*each, False):
                self._log_later(each)
        self.channel.outbox.ring()

    def _log_later(self, entry):
        if len(self._late_logs) < LATE_LOGS_MAX:
            self._late_logs.append(entry)

    def drained(self):
        return self._call_back(self.platform.on_drain)

    def stopped(self):
        for callback in (self.platform.on_drain, self.platform.on_termination):
            self._call_back(callback)

    def _call_back(self, callback):
        try:
            return None if callback is None else callback()
        except Exception as error:
            self.callback_failed(error)

    def callback_failed(self, error):
        self.logger.error_with("Drain or termination callback failed", error=repr(error))


# Lines kept while the ring is full or busy; more are dropped.
LATE_LOGS_MAX = 1000


def serve(environ):
    channel = Channel(environ)
    data = channel.read()
    init = json.loads(channel.reader.body_of(data))
    write = channel.outbox.write
    try:
        handler, init_context = load_handler(init)
        if is_async(handler):
            from .worker_async import AsyncWorker as Chosen
        else:
            from .worker_sync import SyncWorker as Chosen
        worker = Chosen(channel, init, handler)
    except Exception as error:
        write(record.INIT_FAILED, 0, 500, data[8:16], failure_head(error), b"")
        channel.outbox.ring()
        return 1
    return worker.run(data[8:16], init_context)
