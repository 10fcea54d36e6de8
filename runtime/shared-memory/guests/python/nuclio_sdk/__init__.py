"""What handlers written for Nuclio import. The names are Nuclio's, the classes ours."""

from dunlin_guest.context import Context, Platform
from dunlin_guest.event import Event, TriggerInfo
from dunlin_guest.logger import Logger
from dunlin_guest.response import Response

__all__ = ["Context", "Event", "Logger", "Platform", "Response", "TriggerInfo"]
