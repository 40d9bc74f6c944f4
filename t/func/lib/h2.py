"""HTTP/2 frame by frame, for what no client would do; headers by hpack."""
import struct

from hpack import Decoder, Encoder

from .client import read_exact

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, \
    WINDOW_UPDATE, CONTINUATION = range(10)
ACK = END_STREAM = 1
END_HEADERS = 4
PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 3
REFUSED_STREAM, CANCEL, CONNECT_ERROR = 7, 8, 10
ENHANCE_YOUR_CALM, HTTP_1_1_REQUIRED = 11, 13


def frame(kind, flags, stream, payload=b''):
    return struct.pack('>I', len(payload))[1:] + bytes([kind, flags]) + \
        struct.pack('>I', stream) + payload


class Frame:
    def __init__(self, kind, flags, stream, payload):
        self.kind, self.flags = kind, flags
        self.stream, self.payload = stream, payload

    @property
    def code(self):
        """Of a RST_STREAM or GOAWAY."""
        return struct.unpack('>I', self.payload[-4:] if self.kind ==
                             RST_STREAM else self.payload[4:8])[0]

    def __repr__(self):
        return f'{self.kind}/{self.flags} of {self.stream}: ' \
            f'{self.payload[:40]!r}'


class Connection:
    """One on a socket whose handshake is done."""

    def __init__(self, s, preface=True):
        self.socket = s
        self.encoder, self.decoder = Encoder(), Decoder()
        self.stream = -1
        if preface:
            s.sendall(PREFACE + frame(SETTINGS, 0, 0))

    def send(self, *of):
        self.socket.sendall(frame(*of))

    def block(self, fields):
        return self.encoder.encode(fields, huffman=False)

    def connect(self, target, fields=(), flags=END_HEADERS):
        """Asks for a tunnel; the number of its stream."""
        self.stream += 2
        self.send(HEADERS, flags, self.stream, self.block(
            [(':method', 'CONNECT'), (':authority', target), *fields]))
        return self.stream

    def next(self):
        """The next frame; None at the end."""
        try:
            head = read_exact(self.socket, 9)
        except (EOFError, OSError):
            return None
        length = struct.unpack('>I', b'\0' + head[:3])[0]
        f = Frame(head[3], head[4],
                  struct.unpack('>I', head[5:])[0] & 0x7fffffff,
                  read_exact(self.socket, length) if length else b'')
        if f.kind == HEADERS:
            f.fields = dict(self.decoder.decode(f.payload))
        if f.kind == SETTINGS and not f.flags & ACK:
            try:
                self.send(SETTINGS, ACK, 0)
            except OSError:
                pass  # what it has said before can still be read
        return f

    def until(self, *kinds, stream=None):
        """The next frame of such a kind, of a stream if one is meant."""
        while True:
            f = self.next()
            if f is None or (f.kind in kinds and stream in (None, f.stream)):
                return f

    def status(self, stream):
        f = self.until(HEADERS, RST_STREAM, stream=stream)
        assert f and f.kind == HEADERS, f
        return int(f.fields[':status'])

    def read(self, stream, size):
        got = b''
        while len(got) < size:
            f = self.until(DATA, RST_STREAM, stream=stream)
            assert f and f.kind == DATA, f
            got += f.payload
            if f.payload:
                for of in (0, stream):
                    self.send(WINDOW_UPDATE, 0, of,
                              struct.pack('>I', len(f.payload)))
        return got

    def ping(self, word=b'12345678'):
        """And everything that was sent before has been dealt with."""
        self.send(PING, 0, 0, word)
        f = self.until(PING)
        return bool(f and f.payload == word and f.flags & ACK)
