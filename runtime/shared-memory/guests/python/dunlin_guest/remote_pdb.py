"""`breakpoint()` in a handler, without debugpy: pdb at a TCP port of this machine, for `nc 127.0.0.1 <port>`.

PYTHONBREAKPOINT names `set_trace`, DUNLIN_PDB the address. The handler waits until somebody has connected; when they go, it runs on.
"""
import os
import pdb
import socket
import sys


class RemotePdb(pdb.Pdb):
    def __init__(self, connection):
        # Two files: one for both would throw away, at each write, what it has read ahead.
        self._files = [connection.makefile(mode, encoding="utf-8", errors="replace", newline="\n") for mode in "rw"]
        self._connection = connection
        super().__init__(stdin=self._files[0], stdout=self._files[1], nosigint=True)
        self.prompt = "(pdb) "

    def set_continue(self):
        """Nothing to stop at any more: the connection has done its work."""
        super().set_continue()
        if not self.breaks:
            self._close()

    def do_quit(self, arg):
        """q, exit and a lost connection: the handler runs on, because its event is not the debugger's to fail."""
        self.clear_all_breaks()
        return self.do_continue(arg)

    do_q = do_exit = do_EOF = do_quit

    def _close(self):
        try:
            for file in self._files:
                file.close()
            self._connection.close()
        except OSError:
            pass


def set_trace(*, header=None):
    host, _, port = os.environ["DUNLIN_PDB"].rpartition(":")
    frame = sys._getframe(1)
    with socket.create_server((host, int(port))) as server:
        print(f"breakpoint at {frame.f_code.co_filename}:{frame.f_lineno}: nc {host} {port}", file=sys.stderr, flush=True)
        connection, _ = server.accept()
    debugger = RemotePdb(connection)
    if header is not None:
        debugger.message(header)
    debugger.set_trace(frame)
