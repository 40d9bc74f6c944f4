"""HTTP/1.1 from both sides, byte for byte: what was sent is what is seen."""
import contextlib
import socket
import threading

from .case import patient
from .client import authority, dial
from .origin import Origin


class End(EOFError):
    """The connection has ended where no message had begun."""


class Message:
    """A head as it came, and its body, decoded; `fields` in their order."""

    def __init__(self, head):
        self.text = head.decode('latin-1')
        self.first, *lines = self.text[:-4].split('\r\n')
        self.fields = [(n.lower(), v.strip()) for n, v in
                       (line.split(':', 1) for line in lines)]
        self.body = b''
        self.trailers = []

    def get(self, name, default=None):
        """The values of a field, as one."""
        found = [v for n, v in self.fields if n == name]
        return ', '.join(found) if found else default

    @property
    def status(self):
        return int(self.first.split(' ')[1])

    @property
    def method(self):
        return self.first.split(' ')[0]

    @property
    def path(self):
        return self.first.split(' ')[1]

    @property
    def version(self):
        words = self.first.split(' ')
        return words[0] if words[0].startswith('HTTP/') else words[-1]


class Stream:
    """Reads messages from a socket, and keeps what is behind them."""

    def __init__(self, s):
        self.s = s
        self.kept = b''

    def more(self):
        data = self.s.recv(1 << 16)
        if not data:
            raise EOFError(f'end after {self.kept[-80:]!r}')
        self.kept += data

    def until(self, mark):
        while mark not in self.kept:
            if not self.kept:
                data = self.s.recv(1 << 16)
                if not data:
                    raise End
                self.kept = data
            else:
                self.more()
        at = self.kept.index(mark) + len(mark)
        taken, self.kept = self.kept[:at], self.kept[at:]
        return taken

    def exactly(self, count):
        taken = [self.kept[:count]]
        self.kept = self.kept[count:]
        left = count - len(taken[0])
        while left:
            data = self.s.recv(min(left, 1 << 16))
            if not data:
                raise EOFError(f'{left} of {count} bytes are missing')
            taken.append(data)
            left -= len(data)
        return b''.join(taken)

    def rest(self):
        taken, self.kept = [self.kept], b''
        while data := self.s.recv(1 << 16):
            taken.append(data)
        return b''.join(taken)

    def chunk(self):
        """One chunk; b'' for the last one, whose trailers are not read."""
        size = int(self.until(b'\r\n').split(b';')[0], 16)
        if size == 0:
            return b''
        data = self.exactly(size)
        assert self.exactly(2) == b'\r\n'
        return data

    def chunked(self, message):
        while data := self.chunk():
            message.body += data
        while (line := self.until(b'\r\n')) != b'\r\n':
            message.trailers.append(line.decode().strip())

    def head(self):
        return Message(self.until(b'\r\n\r\n'))

    def request(self):
        m = self.head()
        if m.get('transfer-encoding') == 'chunked':
            self.chunked(m)
        else:
            m.body = self.exactly(int(m.get('content-length', 0)))
        return m

    def body(self, m, method='GET'):
        if method == 'HEAD' or m.status in (204, 304) or m.status < 200:
            return m
        if m.get('transfer-encoding') == 'chunked':
            self.chunked(m)
        elif m.get('content-length') is not None:
            m.body = self.exactly(int(m.get('content-length')))
        else:
            m.body = self.rest()
        return m

    def response(self, method='GET'):
        """The next one; 1xx is one, too."""
        return self.body(self.head(), method)


def chunks(body, size=1000, trailers=()):
    """A body in the chunked coding."""
    parts = [body[i:i + size] for i in range(0, len(body), size)]
    coded = b''.join(b'%x\r\n%s\r\n' % (len(p), p) for p in parts)
    return coded + b'0\r\n' + b''.join(t.encode() + b'\r\n' for t in
                                       trailers) + b'\r\n'


def reply(body=b'', status='200 OK', fields=(), length=True):
    lines = [f'HTTP/1.1 {status}', *fields]
    if length:
        lines.append(f'Content-Length: {len(body)}')
    return '\r\n'.join(lines).encode() + b'\r\n\r\n' + body


class Web(Origin):
    """Serves requests by answer(request), which returns bytes.

    `requests` are those that came; `answer` may be a dict by path.  None ends
    the connection.
    """

    def __init__(self, t, answer=None, **options):
        self.requests = []
        self.sockets = []
        self.lock = threading.Lock()
        self.answer = answer or (lambda m: reply(b'fine'))
        super().__init__(t, self.speak, **options)

    def speak(self, s):
        with self.lock:
            self.sockets.append(s)
        stream = Stream(s)
        with contextlib.suppress(End):
            while True:
                m = stream.request()
                with self.lock:
                    self.requests.append(m)
                said = self.answer[m.path] if isinstance(self.answer, dict) \
                    else self.answer(m)
                if said is None:
                    return
                s.sendall(said)

    def hang_up(self):
        """Ends all connections that there are."""
        with self.lock:
            for s in self.sockets:
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)
            self.sockets = []

    def close(self):
        self.hang_up()
        super().close()


def uri(o, path='/', host=None):
    return f'http://{authority(host or o.host, o.port)}{path}'


def ask(o, path='/', method='GET', fields=(), body=b'', version='HTTP/1.1',
        host=None):
    """A request in absolute-form, as bytes."""
    lines = [f'{method} {uri(o, path, host)} {version}',
             f'Host: {authority(host or o.host, o.port)}', *fields]
    if body:
        lines.append(f'Content-Length: {len(body)}')
    return '\r\n'.join(lines).encode() + b'\r\n\r\n' + body


class Client(Stream):
    """A client's connection to a proxy."""

    def __init__(self, d, **options):
        super().__init__(dial(d.address, **options))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()

    def send(self, data):
        self.s.sendall(data)

    def get(self, o, *args, method='GET', **options):
        """Asks and reads the answer."""
        self.send(ask(o, *args, method=method, **options))
        return self.response(method)

    @contextlib.contextmanager
    def asks(self, o):
        """Asks; the connection on which the listener `o` has been asked."""
        self.send(ask(o))
        with o.accept() as far:
            Stream(far).request()
            yield far

    def ended(self, seconds=10):
        """Whether the proxy closes it, and nothing comes before that."""
        self.s.settimeout(patient(seconds))
        return not self.kept and self.s.recv(1) == b''
