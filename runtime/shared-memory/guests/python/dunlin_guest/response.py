"""Response, and the one place that knows which return values a handler may give."""

import json

from . import record


class Response:
    def __init__(self, headers=None, body=None, content_type=None, status_code=200):
        self.headers, self.body, self.content_type, self.status_code = headers or {}, body, content_type, status_code

    def __repr__(self):
        return f"Response(status_code={self.status_code!r}, content_type={self.content_type!r})"


_TEXT = record.item(record.CONTENT_TYPE, "text/plain")
_JSON = record.item(record.CONTENT_TYPE, "application/json")


def encode_answer(answer):
    """(status, head, body) of: None, str, bytes, what JSON can say, (status, body), Response. Raises TypeError or ValueError for anything else."""
    if isinstance(answer, Response):
        return _encode_response(answer)
    status = 200
    if isinstance(answer, tuple) and len(answer) == 2 and type(answer[0]) is int:
        status, answer = answer
        if isinstance(answer, Response):
            raise TypeError("Cannot answer with (status, Response): give the Response its status_code")
    kind, body = encode_body(answer)
    return _checked(status), _TEXT if kind == "text/plain" else _JSON if kind else b"", body


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
    head += [record.item(record.HEADER_ITEM, str(value), str(name)) for name, value in response.headers.items()]
    return _checked(response.status_code), b"".join(head), body


def _checked(status):
    status = int(status)
    if not 100 <= status <= 999:
        raise ValueError(f"Cannot answer with status {status}: expected 100 to 999")
    return status
