"""
What handlers written for Nuclio import: the public names of its nuclio_sdk, and its modules. The names are Nuclio's, the classes ours.

Not there is what only Nuclio's own wrapper calls: Response.from_entrypoint_output, the msgpack deserializers, log formatters and the JSON
encoder. A Logger, Context or Platform is given to the handler, and not made by it.
"""

import enum
import sys

from dunlin_guest import context, event, logger, response
from dunlin_guest.context import Context, Platform, QualifiedOffset
from dunlin_guest.event import Event, TriggerInfo
from dunlin_guest.logger import Logger
from dunlin_guest.response import ExceptionWithResponse, Response

SINGLE_RESPONSE = "single"
GENERATOR_RESPONSE = "generator"
RESPONSE_WITH_GENERATOR_BODY = "response_with_generator_body"


class EventDeserializerKinds(enum.Enum):
    json = "json"


# `from nuclio_sdk.response import Response` and the like.
for _name, _module in {
    "context": context, "event": event, "exceptions": response, "logger": logger, "platform": context, "qualified_offset": context, "response": response,
}.items():
    sys.modules[f"{__name__}.{_name}"] = globals()[_name] = _module

__all__ = [
    "Context", "Event", "EventDeserializerKinds", "ExceptionWithResponse", "GENERATOR_RESPONSE", "Logger", "Platform", "QualifiedOffset",
    "RESPONSE_WITH_GENERATOR_BODY", "Response", "SINGLE_RESPONSE", "TriggerInfo",
]
