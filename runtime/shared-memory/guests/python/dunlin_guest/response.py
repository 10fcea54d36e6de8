"""Response, and the one place that knows which return values a handler may give."""

import json

from . import record


# Nuclio's way to say that an event is not acknowledged by its answer.
NO_ACK_HEADER = "x-nuclio-stream-no-ack"


class Response:
    def __init__(self, headers=None, body=None, content_type=None, status_code=200, event_id=None):
        self.headers, self.body, self.content_type, self.status_code = headers or {}, body, content_type, status_code
        # Of a batch: whose answer this is.
        self.event_id = event_id

    def ensure_no_ack(self):
        """The event stays unacknowledged until `context.platform.explicit_ack`."""
        self.headers[NO_ACK_HEADER] = True

    def __repr__(self):
        return f"Response(status_code={self.status_code!r}, content_type={self.content_type!r})"


class ExceptionWithResponse(IOError):
    """Nuclio's. Raised by a handler it is a failure, like any other exception."""

    def __init__(self, status_code, body=None, content_type=None):
        super().__init__(f"status {status_code}")
        self.status_code, self.body, self.content_type = status_code, body, content_type


_TEXT = record.item(record.CONTENT_TYPE, "text/plain")
_JSON = record.item(record.CONTENT_TYPE, "application/json")


def encode_answer(answer):
    """(status, head, body, flags) of: None, str, bytes, what JSON can say, (status, body), Response. Raises TypeError or ValueError for anything else."""
    if isinstance(answer, Response):
        return _encode_response(answer)
    status = 200
    if isinstance(answer, tuple) and len(answer) == 2 and type(answer[0]) is int:
        status, answer = answer
        if isinstance(answer, Response):
            raise TypeError("Cannot answer with (status, Response): give the Response its status_code")
    kind, body = encode_body(answer)
    return _checked(status), _TEXT if kind == "text/plain" else _JSON if kind else b"", body, 0


def parts_of(answer):
    """The iterator (or asynchronous one) of an answer that comes in parts: a generator, or a Response with one as its body. None: it does not."""
    body = answer.body if isinstance(answer, Response) else answer
    kind = type(body)
    return body if hasattr(kind, "__next__") or hasattr(kind, "__aiter__") else None


def batch_answers(answer, events):
    """The answer of each event of a batch (docs/ring.md): Responses that name their events; a list as long as the batch; else everybody's."""
    if isinstance(answer, list):
        if answer and all(isinstance(each, Response) and each.event_id for each in answer):
            by_id = {str(each.event_id): each for each in answer}
            return [by_id.get(event.id) or LookupError(f"The handler did not answer event {event.id} of its batch") for event in events]
        if len(answer) == len(events):
            return answer
    return [answer] * len(events)


def encode_body(body):
    """(content type or None, bytes) of a body given as None, bytes, str or anything that JSON can say."""
    if body is None:
        return None, b""
    if isinstance(body, (bytes, bytearray, memoryview)):
        return None, bytes(body)
    if isinstance(body, str):
        return "text/plain", body.encode()
    return "application/json", json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _encode_response(response):
    kind, body = encode_body(response.body)
    kind = response.content_type or kind
    head = [record.item(record.CONTENT_TYPE, kind)] if kind else []
    flags = 0
    for name, value in response.headers.items():
        if str(name).lower() == NO_ACK_HEADER:
            flags = record.NO_ACK if value and value != "false" else 0
        else:
            head.append(record.item(record.HEADER_ITEM, str(value), str(name)))
    return _checked(response.status_code), b"".join(head), body, flags


def _checked(status):
    status = int(status)
    if not 100 <= status <= 999:
        raise ValueError(f"Cannot answer with status {status}: expected 100 to 999")
    return status
