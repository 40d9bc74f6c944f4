"""Servers to connect to, and addresses where none answers."""
import errno
import functools
import itertools
import os
import socket
import struct
import threading
import zlib

from .case import patient
from .client import noise, read_exact


class Listener:
    """A listening socket; the test accepts and speaks by itself."""

    def __init__(self, t, host='127.0.0.1', port=0, backlog=1024,
                 receive=None):
        family = socket.AF_INET6 if ':' in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if receive:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                   receive)
        self.socket.bind((host, port))
        self.socket.listen(backlog)
        self.socket.settimeout(patient(10))
        self.host, self.port = self.socket.getsockname()[:2]
        self.target = (self.host, self.port)
        t.defer(self.socket.close)

    def accept(self, seconds=10):
        s = self.socket.accept()[0]
        s.settimeout(patient(seconds))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s


class Origin(Listener):
    """A server that gives each connection to serve(socket) in a thread."""

    def __init__(self, t, serve, **options):
        super().__init__(t, **options)
        self.serve = serve
        self.errors = []
        self.accepted = 0
        self.socket.settimeout(None)
        threading.Thread(target=self.loop, daemon=True).start()
        t.defer(self.close)

    def loop(self):
        while True:
            try:
                s = self.socket.accept()[0]
            except OSError:
                return
            self.accepted += 1
            s.settimeout(patient(30))
            threading.Thread(target=self.one, args=(s,),
                             daemon=True).start()

    def one(self, s):
        try:
            with s:
                self.serve(s)
        except OSError:
            pass  # clients come and go as the test wants
        except Exception as e:
            self.errors.append(e)

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        if self.errors:
            raise self.errors[0]


def echo(s):
    """Sends back what comes, and the end too."""
    while data := s.recv(1 << 16):
        s.sendall(data)
    s.shutdown(socket.SHUT_WR)


def sink(s):
    """Takes all and answers, at the end, with the number of bytes."""
    n = 0
    while data := s.recv(1 << 16):
        n += len(data)
    s.sendall(struct.pack('>Q', n))


def hang(s):
    """Takes all and says nothing."""
    while s.recv(1 << 16):
        pass


def say(text):
    """A server that says one thing and closes."""
    def serve(s):
        s.sendall(text)
    return serve


def web(body):
    """A server that answers any HTTP request with `body`."""
    def serve(s):
        head = b''
        while b'\r\n\r\n' not in head:
            more = s.recv(4096)
            if not more:
                return
            head += more
        s.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n'
                  b'Connection: close\r\n\r\n' % len(body) + body)
    return serve


# Ports that the kernel gives to nobody who asks for just any, so that one is
# unused still when the test wants it.  Tests beside each other have others.
PORTS = 128
FIRST, LAST = 20480, 32768


@functools.cache
def own_ports():
    """Those of this test, one after the other."""
    number = int(os.environ.get('SPLICED_TEST', '0'))
    return itertools.count(FIRST + number * PORTS % (LAST - FIRST))


def unused_port(host='127.0.0.1'):
    """A port on which nothing listens; never the same one twice."""
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    for _ in range(PORTS):
        port = next(own_ports())
        with socket.socket(family, socket.SOCK_STREAM) as s:
            try:
                s.bind((host, port))
                return port
            except OSError as e:
                if e.errno != errno.EADDRINUSE:
                    raise
    raise AssertionError('no port is unused')


class Silent(Listener):
    """An address that answers no SYN: its queue is full."""

    def __init__(self, t, host='127.0.0.1', port=0):
        super().__init__(t, host=host, port=port, backlog=0)
        self.fill = []
        for _ in range(4):
            s = socket.socket(self.socket.family, socket.SOCK_STREAM)
            s.setblocking(False)
            s.connect_ex(self.target)
            self.fill.append(s)
            t.defer(s.close)


# --- bulk -------------------------------------------------------------------

BLOCK = noise(1 << 20, 'bulk')


def blocks(mib, seed):
    """`mib` blocks of 1 MiB, no two alike."""
    for i in range(mib):
        yield struct.pack('>QQ', seed, i) + BLOCK[16:]


def checksum(mib, seed):
    crc = 0
    for b in blocks(mib, seed):
        crc = zlib.crc32(b, crc)
    return crc


def send_bulk(s, mib, seed):
    for b in blocks(mib, seed):
        s.sendall(b)


def take_bulk(s, mib):
    """The checksum of `mib` MiB that arrive."""
    crc = 0
    left = mib << 20
    while left:
        data = s.recv(min(left, 1 << 20))
        if not data:
            raise EOFError(f'end with {left} of {mib << 20} bytes to come')
        crc = zlib.crc32(data, crc)
        left -= len(data)
    return crc


def both_ways(s, mib, send_seed, expect_seed):
    """Sends and takes `mib` MiB at once; raises if anything differs."""
    failed = []

    def send():
        try:
            send_bulk(s, mib, send_seed)
            s.shutdown(socket.SHUT_WR)
        except Exception as e:
            failed.append(e)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    crc = take_bulk(s, mib)
    thread.join(patient(30))
    if failed:
        raise failed[0]
    assert crc == checksum(mib, expect_seed), 'bytes differ'
    assert s.recv(1) == b'', 'more bytes than were sent'


def greet(s):
    """Sends the eight bytes that a test waits for, then echoes."""
    s.sendall(b'welcome!')
    echo(s)


def take_greeting(s):
    assert read_exact(s, 8) == b'welcome!'
