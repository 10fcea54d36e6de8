"""What a handler's answers become on the ring, where one event has not simply one: batches, and answers in parts."""

from . import record
from .response import Response, batch_answers, encode_answer, encode_body, parts_of
from .worker import failure_head

# One part of a streamed answer at the most, and what may be sent before the agent gives more credit (docs/ring.md).
CHUNK_BYTES_MAX = 64 * 1024
CREDIT_BYTES = 256 * 1024


def batch_results(answer, events):
    """(status, head, body, flags) for each event of a batch."""
    return [_result(each) for each in batch_answers(answer, events)]


def batch_failure(error, events):
    return [(500, failure_head(error), b"", record.BATCH_FAILED)] * len(events)


def _result(answer):
    try:
        if isinstance(answer, Exception):
            raise answer
        if parts_of(answer) is not None:
            raise TypeError("Cannot stream the answer of a batch: return a body")
        return encode_answer(answer)
    except Exception as error:
        return 500, failure_head(error), b"", 0


class Stream:
    """A streamed answer that is being sent: its credit, and the head that goes with its first part."""

    def __init__(self, ticket, answer):
        self.ticket, self.credit, self.is_cancelled = ticket, CREDIT_BYTES, False
        self.flags = 0
        self._head = self._encode_head(answer) if isinstance(answer, Response) else None
        self._is_head_sent = False

    def on_credit(self, data):
        count = int.from_bytes(record.body_of(data), "little")
        self.credit += count
        if count == 0:
            self.is_cancelled = True

    def first(self):
        """The head goes out before the first part, where it is known."""
        return None if self._head is None else self._chunk(b"")

    def last(self):
        """An answer without a part has a head all the same."""
        return None if self._is_head_sent else self._chunk(b"")

    def pieces(self, part):
        """The bytes of a part. Nuclio's generators may give Responses: the head is that of the first."""
        if isinstance(part, Response):
            if not self._is_head_sent:
                self._head = self._encode_head(part)
            part = part.body
        kind, body = encode_body(part)
        if self._head is None:
            self._head = 200, record.item(record.CONTENT_TYPE, kind) if kind else b""
        return memoryview(body)

    def chunk(self, body):
        """The arguments of `write` for as much of `body` as may go now, and the rest."""
        count = min(len(body), self.credit, CHUNK_BYTES_MAX)
        self.credit -= count
        return self._chunk(bytes(body[:count])), body[count:]

    def _chunk(self, body):
        status, head = (0, b"") if self._is_head_sent else self._head or (200, b"")
        self._is_head_sent = True
        return record.CHUNK, 0, status, self.ticket, head, body

    def _encode_head(self, response):
        status, head, _, self.flags = encode_answer(Response(response.headers, None, response.content_type, response.status_code))
        return status, head
