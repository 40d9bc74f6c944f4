"""SOCKS and HTTP CONNECT from the client's side, byte for byte."""
import collections
import fcntl
import ipaddress
import random
import socket
import struct
import termios

from .case import eventually, patient, same

PROTOCOLS = ('socks5', 'http')

CONNECT, BIND, UDP = 1, 2, 3
SUCCEEDED, FAILURE, DENIED, NET, HOST, REFUSED, TIMEOUT, COMMAND, TYPE = \
    range(9)

GRANTED, REJECTED, WRONG_USER = 0x5a, 0x5b, 0x5d  # in SOCKS4

Socks5Reply = collections.namedtuple('Socks5Reply', 'code host port')
Socks4Reply = collections.namedtuple('Socks4Reply', 'code host port')


class ProxyError(Exception):
    """The proxy said no; `code` is its reply or status."""

    def __init__(self, code):
        super().__init__(f'the proxy answers {code}')
        self.code = code


def dial(address, seconds=10, source=None, receive=None):
    """A TCP connection whose calls give up after `seconds`."""
    family = socket.AF_INET6 if ':' in address[0] else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM)
    s.settimeout(patient(seconds))
    if receive:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    if source:
        s.bind((source, 0))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        s.connect(address)
    except OSError:
        s.close()
        raise
    return s


def read_exact(s, n):
    got = bytearray()
    while len(got) < n:
        more = s.recv(min(n - len(got), 1 << 20))
        if not more:
            raise EOFError(f'end after {len(got)} of {n} bytes: '
                           f'{bytes(got[-80:])!r}')
        got += more
    return bytes(got)


def read_all(s):
    """Everything up to the end, which must be in order."""
    got = bytearray()
    while True:
        more = s.recv(1 << 20)
        if not more:
            return bytes(got)
        got += more


def read_to_end(s):
    """Everything, and how it ended: 'eof' or 'reset'."""
    got = bytearray()
    while True:
        try:
            more = s.recv(1 << 20)
        except (ConnectionResetError, BrokenPipeError):
            return bytes(got), 'reset'
        if not more:
            return bytes(got), 'eof'
        got += more


def reset(s):
    """Closes with a reset."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                 struct.pack('ii', 1, 0))
    s.close()


def unsent(s):
    """Bytes that the other side has not acknowledged."""
    n = fcntl.ioctl(s, termios.TIOCOUTQ, struct.pack('i', 0))
    return struct.unpack('i', n)[0]


def delivered(s, seconds=10):
    """Waits until the other side's kernel has all that was sent."""
    eventually(lambda: unsent(s) == 0, seconds, 'all was acknowledged')


# --- SOCKS5 -----------------------------------------------------------------

def socks5_address(host, as_name=False):
    """The address type and address of RFC 1928 section 5."""
    if not as_name and isinstance(host, str):
        try:
            ip = ipaddress.ip_address(host)
            return bytes([1 if ip.version == 4 else 4]) + ip.packed
        except ValueError:
            pass
    name = host.encode() if isinstance(host, str) else host
    return bytes([3, len(name)]) + name


def socks5_request(host, port, command=CONNECT, as_name=False):
    return bytes([5, command, 0]) + socks5_address(host, as_name) + \
        struct.pack('>H', port)


def socks5_reply(s):
    version, code, reserved, kind = read_exact(s, 4)
    assert (version, reserved) == (5, 0), (version, code, reserved, kind)
    assert kind in (1, 4), f'address type {kind} in a reply'
    host = ipaddress.ip_address(read_exact(s, 4 if kind == 1 else 16))
    port = struct.unpack('>H', read_exact(s, 2))[0]
    return Socks5Reply(code, str(host), port)


def socks5_greet(s, methods=b'\0'):
    s.sendall(bytes([5, len(methods)]) + methods)
    return read_exact(s, 2)


def socks5_login(name, password):
    """The message of RFC 1929; name and password are bytes or text."""
    texts = [x.encode() if isinstance(x, str) else x for x in (name, password)]
    return b'\1' + b''.join(bytes([len(x)]) + x for x in texts)


def socks5_ask(address, target, command=CONNECT, as_name=False, login=None,
               **options):
    """A socket on which a request was answered, and the answer."""
    s = dial(address, **options)
    try:
        if login:
            same(socks5_greet(s, b'\0\2'), b'\5\2')
            s.sendall(socks5_login(*login))
            same(read_exact(s, 2), b'\1\0')
        else:
            same(socks5_greet(s), b'\5\0')
        s.sendall(socks5_request(*target, command, as_name))
        return s, socks5_reply(s)
    except BaseException:
        s.close()
        raise


# --- SOCKS4 -----------------------------------------------------------------

def socks4_request(host, port, command=CONNECT, userid=b'', as_name=False):
    """One of 4a where the host is a name, or is to be sent as one."""
    head = struct.pack('>BBH', 4, command, port)
    if not as_name and isinstance(host, str):
        try:
            ip = ipaddress.IPv4Address(host)
            return head + ip.packed + userid + b'\0'
        except ValueError:
            pass
    name = host.encode() if isinstance(host, str) else host
    return head + b'\0\0\0\1' + userid + b'\0' + name + b'\0'


def socks4_reply(s):
    version, code, port = struct.unpack('>BBH', read_exact(s, 4))
    same(version, 0)
    return Socks4Reply(code, str(ipaddress.IPv4Address(read_exact(s, 4))),
                       port)


def socks4_ask(address, target, command=CONNECT, userid=b'', as_name=False,
               **options):
    """A socket on which a request was answered, and the answer."""
    s = dial(address, **options)
    try:
        s.sendall(socks4_request(*target, command, userid, as_name))
        return s, socks4_reply(s)
    except BaseException:
        s.close()
        raise


# --- HTTP -------------------------------------------------------------------

class HttpReply:
    """The head of a response; `lines` as they came."""

    def __init__(self, s):
        head = b''
        while not head.endswith(b'\r\n\r\n'):
            byte = s.recv(1)
            if not byte:
                raise EOFError(f'end in a head: {head!r}')
            head += byte
        self.text = head.decode('latin-1')
        first, *lines = self.text[:-4].split('\r\n')
        self.version, status, self.reason = first.split(' ', 2)
        self.status = int(status)
        self.headers = {}
        for line in lines:
            name, value = line.split(':', 1)
            self.headers[name.lower()] = value.strip()


def authority(host, port):
    return f'[{host}]:{port}' if ':' in host else f'{host}:{port}'


def http_request(target, version='HTTP/1.1', method='CONNECT'):
    return f'{method} {target} {version}\r\nHost: {target}\r\n\r\n'.encode()


def http_ask(address, request, **options):
    """A socket on which a head was answered, and the answer."""
    s = dial(address, **options)
    try:
        s.sendall(request)
        return s, HttpReply(s)
    except BaseException:
        s.close()
        raise


def http_status(address, request, **options):
    """The status of a request's answer, which must end in order."""
    s, reply = http_ask(address, request, **options)
    with s:
        if reply.status != 200:
            body = read_all(s)
            assert reply.headers.get('connection') == 'close', reply.text
            if 'content-length' in reply.headers:
                assert len(body) == int(reply.headers['content-length'])
        return reply.status


# --- any --------------------------------------------------------------------

def request(protocol, target):
    """All that a client may send at once to ask for `target`."""
    if protocol == 'socks5':
        return b'\5\1\0' + socks5_request(*target)
    if protocol == 'socks4':
        return socks4_request(*target)
    return http_request(authority(*target))


def take_reply(s, protocol):
    """Reads what answers request(): 0, GRANTED or 200 on success."""
    if protocol == 'socks5':
        assert read_exact(s, 2) == b'\5\0'
        return socks5_reply(s).code
    if protocol == 'socks4':
        return socks4_reply(s).code
    return HttpReply(s).status


def ask(address, target, protocol, **options):
    """A socket on which `target` was asked for, and 0 or what went wrong."""
    if protocol == 'socks5':
        s, reply = socks5_ask(address, target, **options)
        return s, reply.code
    if protocol == 'socks4':
        s, reply = socks4_ask(address, target, **options)
        return s, 0 if reply.code == GRANTED else reply.code
    s, reply = http_ask(address, http_request(authority(*target)), **options)
    return s, 0 if reply.status == 200 else reply.status


def tunnel(address, target, protocol='socks5', **options):
    """A socket that is connected to `target` through the proxy."""
    s, code = ask(address, target, protocol, **options)
    if code:
        s.close()
        raise ProxyError(code)
    return s


def echoes(s, text=b'ping'):
    """Whether what is sent comes back."""
    s.sendall(text)
    return read_exact(s, len(text)) == text


def noise(n, seed=0):
    """`n` bytes that look random and are the same each time."""
    return random.Random(seed).randbytes(n)
