"""The reference of the ring benchmark: the same handler behind one JSON line per event over a Unix socket, one event at a time.
The body is base64, as JSON cannot carry bytes. argv: the socket's path."""

import base64
import json
import socket
import sys
import types

from echo_handler import handler

connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
connection.connect(sys.argv[1])
lines = connection.makefile("rb", buffering=1 << 16)
for line in lines:
    message = json.loads(line)
    event = types.SimpleNamespace(id=message["id"], body=base64.b64decode(message["body"]), content_type=message["content_type"], topic=message["topic"])
    body = handler(None, event)
    answer = {"id": event.id, "status": 200, "body": base64.b64encode(body).decode()}
    connection.sendall(json.dumps(answer).encode() + b"\n")
