"""Bodies too large for the ring."""

import os

EXTERNAL_BODY_BYTES_MAX = 64 << 20
# What is kept for the next large body.
SPARE_BYTES_MAX = 4 << 20


class Bodies:
    """Files in a directory that the agent made for this channel. One spare file is written again and again
    while the agent keeps up: fresh pages cost more than the copy."""

    def __init__(self, directory):
        self._directory = directory
        self._spare = None

    def put(self, body, is_all_read):
        if is_all_read and len(body) <= SPARE_BYTES_MAX:
            if self._spare is None:
                self._spare = self._create()
            name, fd = self._spare
            _write_fully(fd, body)
            return len(body).to_bytes(4, "little") + name.encode() + b"\1"
        name, fd = self._create()
        try:
            _write_fully(fd, body)
        except OSError:
            os.unlink(os.path.join(self._directory, name))
            raise
        finally:
            os.close(fd)
        return len(body).to_bytes(4, "little") + name.encode() + b"\0"

    def take(self, reference):
        length, name, leave = int.from_bytes(reference[:4], "little"), reference[4:36].decode(), reference[36]
        path = os.path.join(self._directory, name)
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            body = os.read(fd, length)
            while len(body) < length:
                more = os.read(fd, length - len(body))
                if not more:
                    raise RuntimeError(f"Cannot take body {name}: {len(body)} of {length} bytes are there")
                body += more
            return body
        finally:
            os.close(fd)
            if not leave:
                os.unlink(path)

    def _create(self):
        name = os.urandom(16).hex()
        return name, os.open(os.path.join(self._directory, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def _write_fully(fd, body):
    rest, at = memoryview(body), 0
    while at < len(rest):
        at += os.pwrite(fd, rest[at:], at)
