"""What handlers written for Nuclio import. The names are Nuclio's, the classes ours."""

from dunlin_guest.context import Context, Platform, QualifiedOffset
from dunlin_guest.event import Event, TriggerInfo
from dunlin_guest.logger import Logger
from dunlin_guest.response import Response

__all__ = ["Context", "Event", "Logger", "Platform", "QualifiedOffset", "Response", "TriggerInfo"]
