"""The service manager's end of sd_notify(3): messages as they come.

They are read at once: a message may carry listening sockets for the manager
to keep, which would stay open for as long as nobody has read it.
"""
import array
import os
import queue
import socket
import threading

from .case import patient

FDS_MAX = 253


class Notify:
    """A socket for NOTIFY_SOCKET; `kept` counts descriptors by name."""

    def __init__(self, t, path):
        self.path = path
        self.kept = {}
        self.messages = queue.Queue()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        os.chmod(path, 0o777)
        threading.Thread(target=self.loop, daemon=True).start()
        t.defer(self.close)

    def loop(self):
        room = socket.CMSG_SPACE(FDS_MAX * 4)
        while True:
            try:
                text, control, _, _ = self.socket.recvmsg(65536, room)
            except OSError:
                return
            if not text:
                return
            count = 0
            for level, kind, data in control:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds = array.array('i')
                    fds.frombytes(data[:len(data) // 4 * 4])
                    count += len(fds)
                    for fd in fds:
                        os.close(fd)
            message = dict(line.split('=', 1) for line in
                           text.decode().splitlines() if '=' in line)
            if count:
                name = message.get('FDNAME', '')
                self.kept[name] = self.kept.get(name, 0) + count
            self.messages.put(message)

    def next(self, seconds=10):
        """The next message as a dict."""
        try:
            return self.messages.get(timeout=patient(seconds))
        except queue.Empty:
            raise AssertionError('no message to the service manager') from None

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
