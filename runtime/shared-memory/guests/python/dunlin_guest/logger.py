"""Structured logging: records in the ring, published at once so that the last line before a crash arrives."""

import json

from . import record

LEVELS = {"debug": 10, "info": 20, "warn": 30, "error": 40, "silent": 100}
MESSAGE_BYTES_MAX = 16_384


class Logger:
    """`send(level, ticket-less message bytes, head bytes)` is the worker's. Nuclio's names: info, info_with, bind, get_child."""

    def __init__(self, send, level="info", name=None, wanted=None):
        # wanted(): the level from which lines of the event being handled are wanted; 0: as set.
        self._send, self._name, self._wanted = send, name, wanted
        self._bound = {}
        self.set_level(level)

    def set_level(self, level):
        self._level = LEVELS.get(level, 20)

    def get_child(self, name):
        child = Logger(self._send, name=f"{self._name}.{name}" if self._name else name, wanted=self._wanted)
        child._level, child._bound = self._level, dict(self._bound)
        return child

    def bind(self, **fields):
        """They go with every line from now on."""
        self._bound.update(fields)

    def _log(self, level, message, args, fields):
        if level < self._level and not (self._wanted and 0 < self._wanted() <= level):
            return
        message = str(message)
        if args:
            try:
                message = message % args
            except (TypeError, ValueError):
                message = " ".join([message, *map(str, args)])
        if self._bound:
            fields = {**fields, **self._bound}
        if self._name:
            fields = {"logger": self._name, **fields}
        head = b""
        if fields:
            text = json.dumps(fields, default=str, ensure_ascii=False)
            if len(text.encode()) > record.VALUE_BYTES_MAX:
                text = json.dumps({"fieldsDropped": sorted(map(str, fields))[:100]})
            head = record.clipped(record.FIELDS, text)
        self._send(level, head, message.encode("utf-8", "replace")[:MESSAGE_BYTES_MAX])

    def debug(self, message, *args):
        self._log(10, message, args, {})

    def info(self, message, *args):
        self._log(20, message, args, {})

    def warn(self, message, *args):
        self._log(30, message, args, {})

    def error(self, message, *args):
        self._log(40, message, args, {})

    warning = warn

    def exception(self, message, *args):
        import traceback

        self._log(40, message, args, {"stack": traceback.format_exc()})

    def debug_with(self, message, *args, **fields):
        self._log(10, message, args, fields)

    def info_with(self, message, *args, **fields):
        self._log(20, message, args, fields)

    def warn_with(self, message, *args, **fields):
        self._log(30, message, args, fields)

    def error_with(self, message, *args, **fields):
        self._log(40, message, args, fields)

    warning_with = warn_with
