"""UDP ASSOCIATE from the client's side, and targets that echo."""
import socket
import struct
import threading

from .case import eventually, patient
from .client import (SUCCEEDED, UDP, ProxyError, socks5_address, socks5_ask)


def family_of(host):
    return socket.AF_INET6 if ':' in host else socket.AF_INET


def bound(t, host='127.0.0.1', port=0):
    """A socket of the test's own."""
    s = socket.socket(family_of(host), socket.SOCK_DGRAM)
    s.settimeout(patient(10))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    s.bind((host, port))
    t.defer(s.close)
    return s


def header(host, port, as_name=False):
    """RSV, FRAG, ATYP, DST.ADDR, DST.PORT of RFC 1928 section 7."""
    return b'\0\0\0' + socks5_address(host, as_name) + struct.pack('>H', port)


def parse(packet):
    """The sender that a reply names, and its payload."""
    assert packet[:3] == b'\0\0\0', packet[:3]
    assert packet[3] in (1, 4), packet[3]
    n = 4 if packet[3] == 1 else 16
    host = socket.inet_ntop(family_of('::' if n == 16 else ''),
                            packet[4:4 + n])
    return (host, struct.unpack('>H', packet[4 + n:6 + n])[0]), \
        packet[6 + n:]


def nothing_comes(s):
    """Nothing is there now, nor soon."""
    s.settimeout(0.02)
    try:
        raise AssertionError(f'{s.recv(100)!r} has come')
    except (TimeoutError, BlockingIOError):
        pass
    finally:
        s.settimeout(patient(10))


class Association:
    """A control connection, and the client's socket."""

    def __init__(self, t, address, said=None, **options):
        said = said or ('::' if ':' in address[0] else '0.0.0.0', 0)
        self.control, self.reply = socks5_ask(address, said, UDP, **options)
        t.defer(self.control.close)
        if self.reply.code != SUCCEEDED:
            self.control.close()
            raise ProxyError(self.reply.code)
        self.relay = (self.reply.host, self.reply.port)
        self.socket = bound(t, self.control.getsockname()[0])

    def send(self, target, payload, as_name=False):
        self.socket.sendto(header(*target, as_name) + payload, self.relay)

    def send_raw(self, packet):
        self.socket.sendto(packet, self.relay)

    def receive(self):
        """A reply: who sent it, and what."""
        packet, relay = self.socket.recvfrom(1 << 16)
        assert relay[:2] == self.relay, (relay, self.relay)
        return parse(packet)

    def echoes(self, target, payload=b'ping', as_name=False):
        """Whether what is sent comes back, from whom it was sent to."""
        self.send(target, payload, as_name)
        sender, got = self.receive()
        return got == payload and (as_name or sender == tuple(target))

    def close(self):
        self.control.close()
        self.socket.close()

    def gone(self):
        """Whether the relay's port is closed: the kernel says so."""
        with socket.socket(self.socket.family, socket.SOCK_DGRAM) as s:
            s.settimeout(0.05)
            s.connect(self.relay)
            s.send(b'')
            try:
                s.recv(1)
            except ConnectionRefusedError:
                return True
            except TimeoutError:
                pass
            return False

    def wait_gone(self):
        eventually(self.gone, said='the port is closed')


class Echo:
    """Sends back what comes, and remembers it."""

    def __init__(self, t, host='127.0.0.1', port=0):
        self.socket = bound(t, host, port)
        self.socket.settimeout(None)
        self.host, self.port = self.socket.getsockname()[:2]
        self.target = (self.host, self.port)
        self.got, self.peers = [], []
        threading.Thread(target=self.loop, daemon=True).start()
        t.defer(self.close)

    def loop(self):
        while True:
            try:
                packet, peer = self.socket.recvfrom(1 << 16)
                if packet == b'the end':
                    return
                self.got.append(packet)
                self.peers.append(peer[:2])
                self.socket.sendto(packet, peer)
            except OSError:
                return

    def close(self):
        with socket.socket(self.socket.family, socket.SOCK_DGRAM) as s:
            s.sendto(b'the end', self.target)


def counts(d):
    """Datagrams so far: up, down, dropped."""
    def find(value):
        if isinstance(value, dict):
            if 'datagrams_up' in value:
                return tuple(value['datagrams_' + k] for k in
                             ('up', 'down', 'dropped'))
            value = list(value.values())
        if isinstance(value, list):
            return next((f for v in value if (f := find(v))), None)
        return None
    return find(d.control.status())


def wait_dropped(d, n):
    eventually(lambda: counts(d)[2] == n,
               said=lambda: f'{n} dropped, not {counts(d)}')
