"""A name server that says what a test tells it to, as late as it is told."""
import collections
import ipaddress
import socket
import struct
import threading
import time

from .case import patient

TYPES = {'A': 1, 'NS': 2, 'CNAME': 5, 'SOA': 6, 'AAAA': 28}
NAMES = {v: k for k, v in TYPES.items()}
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5

SILENT = 'silent'  # a record's value: no answer at all

Answer = collections.namedtuple(
    'Answer', 'values ttl delay code cut', defaults=(60, 0, NOERROR, False))


def encode_name(name):
    return b''.join(bytes([len(p)]) + p.encode() for p in
                    name.rstrip('.').split('.')) + b'\0'


def decode_name(packet, at):
    labels = []
    while n := packet[at]:
        labels.append(packet[at + 1:at + 1 + n].decode('latin-1'))
        at += 1 + n
    return '.'.join(labels).lower(), at + 1


def record(owner, kind, ttl, data):
    return owner + struct.pack('>HHIH', TYPES[kind], 1, ttl, len(data)) + data


class DnsServer:
    """Answers from `records`, {(name, type): Answer or SILENT}.

    A name that is in no record does not exist; a type that is missing has
    no data.  `queries` counts what was asked; `sent` says when was answered.
    """

    def __init__(self, t, records=None, host='127.0.0.1', negative_ttl=60):
        self.records = records or {}
        self.negative_ttl = negative_ttl
        self.queries = collections.Counter()
        self.sent = []
        self.over_tcp = 0
        self.udp, self.tcp = self.bind(host)
        self.host, self.port = self.udp.getsockname()[:2]
        for loop in (self.udp_loop, self.tcp_loop):
            threading.Thread(target=loop, daemon=True).start()
        t.defer(self.close)

    @staticmethod
    def bind(host):
        while True:
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind((host, 0))
            tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                tcp.bind(udp.getsockname())
            except OSError:  # the port is another one's: once more
                udp.close()
                tcp.close()
                continue
            tcp.listen(64)
            return udp, tcp

    @property
    def address(self):
        return f'{self.host}:{self.port}'

    def asked(self, name):
        """How often a name was asked for, by type."""
        return {k: n for (q, k), n in self.queries.items() if q == name}

    def close(self):
        for s in (self.udp, self.tcp):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def udp_loop(self):
        while True:
            try:
                packet, peer = self.udp.recvfrom(4096)
            except OSError:
                return
            if not packet:
                return
            self.answer(packet, lambda r, p=peer: self.udp.sendto(r, p))

    def tcp_loop(self):
        while True:
            try:
                s = self.tcp.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.tcp_one, args=(s,),
                             daemon=True).start()

    def tcp_one(self, s):
        s.settimeout(patient(10))
        with s:
            try:
                while head := s.recv(2, socket.MSG_WAITALL):
                    n = struct.unpack('>H', head)[0]
                    packet = s.recv(n, socket.MSG_WAITALL)
                    self.over_tcp += 1
                    self.answer(packet, lambda r: s.sendall(
                        struct.pack('>H', len(r)) + r), stream=True)
            except OSError:
                pass

    def answer(self, packet, send, stream=False):
        name, at = decode_name(packet, 12)
        kind = NAMES.get(struct.unpack('>H', packet[at:at + 2])[0], '?')
        self.queries[name, kind] += 1
        found = self.records.get((name, kind))
        if found == SILENT:
            return
        if found is None:
            known = any(n == name for n, _ in self.records)
            found = Answer([], code=NOERROR if known else NXDOMAIN)
        reply = self.reply(packet, at + 4, kind, found, stream)

        def deliver():
            self.sent.append(time.monotonic())
            try:
                send(reply)
            except OSError:
                pass
        if found.delay:
            timer = threading.Timer(found.delay, deliver)
            timer.daemon = True
            timer.start()
        else:
            deliver()

    def reply(self, packet, end, kind, found, stream):
        cut = found.cut and not stream
        answers = b''
        values = [] if cut else found.values
        owner = b'\xc0\x0c'  # the name in the question
        for value in values:
            if isinstance(value, tuple):  # ('CNAME', 'other.example')
                data = encode_name(value[1])
                answers += record(owner, 'CNAME', found.ttl, data)
                owner = data
            else:
                data = ipaddress.ip_address(value).packed
                answers += record(owner, kind, found.ttl, data)
        authority = b''
        if not values and not cut:
            soa = encode_name('ns.example') + encode_name('root.example') + \
                struct.pack('>IIIII', 1, 60, 60, 60, self.negative_ttl)
            authority = record(b'\0', 'SOA', self.negative_ttl, soa)
        flags = 0x8180 | found.code | (0x0200 if cut else 0)
        return packet[:2] + struct.pack(
            '>HHHHH', flags, 1, len(values), 1 if authority else 0, 0) + \
            packet[12:end] + answers + authority


def a(*values, **how):
    return Answer(list(values), **how)
