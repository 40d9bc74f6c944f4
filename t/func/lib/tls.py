"""TLS from outside: certificates, the helper server, openssl's own client."""
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time

from .case import eventually, patient, same, tool
from .client import dial

KINDS = {
    'ec': ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'),
    'rsa': ('-newkey', 'rsa:2048'),
    'rsa4096': ('-newkey', 'rsa:4096'),
}


def openssl(t, *words):
    """Runs openssl, which must succeed; what it said."""
    done = t.run(tool('openssl', 'openssl'), *words, seconds=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


class Certificate:
    """A key and a certificate in files of the test, signed by `by`."""

    def __init__(self, t, name='localhost', kind='ec', by=None, ca=False,
                 days=2):
        t.count += 1
        self.name = name
        self.path = t.path(f'{t.count}-cert.pem')
        self.key = t.path(f'{t.count}-key.pem')
        words = ['req', '-x509', '-nodes', *KINDS[kind], '-days', str(days),
                 '-subj', f'/CN={name}', '-keyout', self.key,
                 '-out', self.path]
        if ca:
            words += ['-addext', 'keyUsage=keyCertSign,cRLSign']
        else:
            words += ['-addext', f'subjectAltName=DNS:{name}']
        if by:
            words += ['-CA', by.path, '-CAkey', by.key]
        openssl(t, *words)
        os.chmod(self.key, 0o644)

    @property
    def files(self):
        return f'{self.path}:{self.key}'


class Beside:
    """The helper server; `plain`, `tls`, `upgrade`, `relay` are addresses."""

    def __init__(self, t, *words, certificate=None):
        self.certificate = certificate or Certificate(t)
        if not any(w == '--cert' for w in words):
            words = ('--cert', self.certificate.files, *words)
        self.t = t
        self.process = t.start(t.helper('tlsbeside'), *words,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self.process.pid
        t.defer(self.end)
        line = self.process.stdout.readline().decode()
        assert line, 'tlsbeside says nothing'
        for name, port in re.findall(r'(\w+)=(\d+)', line):
            setattr(self, name, ('127.0.0.1', int(port)))

    def order(self, line):
        self.process.stdin.write(line.encode() + b'\n')
        self.process.stdin.flush()
        return self.process.stdout.readline().decode()

    def stats(self):
        return json.loads(self.order('stats'))

    def reload(self, *certificates):
        files = ','.join(c.files for c in certificates)
        same(self.order('reload ' + files), 'reloaded\n')

    def wait_idle(self, seconds=10):
        """Until all connections have ended."""
        eventually(lambda: self.stats()['active'] == 0, seconds,
                   self.stats)

    def failed(self, why, seconds=10):
        """Waits until a connection failed for a reason like this."""
        eventually(lambda: re.search(why, self.stats()['why']), seconds,
                   self.stats)

    def end(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            last = self.process.stdout.read().decode()
            same(self.process.wait(patient(10)), 0)
            if not self.t.failed:
                left = json.loads(last.splitlines()[-1])
                same((left['active'], left['tasks'], left['relays']),
                     (0, 0, 0))
        else:
            raise AssertionError(f'ended: {self.process.returncode}')


# --- clients ----------------------------------------------------------------

def context(version=None, ca=None, alpn=None, certificate=None):
    """A client's context; version as '1.2'."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = bool(ca)
    c.verify_mode = ssl.CERT_REQUIRED if ca else ssl.CERT_NONE
    if ca:
        c.load_verify_locations(ca.path)
    if version:
        c.minimum_version = c.maximum_version = \
            ssl.TLSVersion['TLSv' + version.replace('.', '_')]
    if alpn:
        c.set_alpn_protocols(alpn)
    if certificate:
        c.load_cert_chain(certificate.path, certificate.key)
    return c


def connect(address, version=None, name='localhost', **options):
    """A socket after its handshake; an end without close_notify raises."""
    c = context(version, **options)
    s = dial(address)
    try:
        return c.wrap_socket(s, server_hostname=name,
                             suppress_ragged_eofs=False)
    except BaseException:
        s.close()
        raise


def raw(s):
    """The socket below, from now on without TLS."""
    plain = socket.socket(fileno=s.detach())
    plain.settimeout(patient(10))
    return plain


def body(n):
    """What GET /N answers with."""
    return (bytes(range(251)) * (n // 251 + 1))[:n]


def get(s, path):
    """Asks on a connection; the body of the answer."""
    s.sendall(f'GET /{path} HTTP/1.1\r\n\r\n'.encode())
    return take_answer(s)


def take_answer(s):
    head = b''
    while not head.endswith(b'\r\n\r\n'):
        byte = s.recv(1)
        if not byte:
            raise EOFError(f'end in a head: {head!r}')
        head += byte
    left = int(re.search(rb'Content-Length: (\d+)', head)[1])
    parts = []
    while left:
        part = s.recv(min(left, 1 << 18))
        if not part:
            raise EOFError(f'end with {left} bytes to come')
        parts.append(part)
        left -= len(part)
    return b''.join(parts)


def info(s):
    """What the server knows of the connection's TLS."""
    return json.loads(get(s, 'info'))


class Memory:
    """TLS by hand over a socket: what is sent, and when, the test decides."""

    def __init__(self, address, version=None, name='localhost', **options):
        self.socket = dial(address)
        self.inward, self.outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context(version, **options).wrap_bio(
            self.inward, self.outward, server_hostname=name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def hello(self):
        """The bytes of a ClientHello."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self.outward.read()

    def flush(self):
        data = self.outward.read()
        if data:
            self.socket.sendall(data)

    def more(self):
        """Takes what comes; False at the end of the connection."""
        data = self.socket.recv(65536)
        if data:
            self.inward.write(data)
        else:
            self.inward.write_eof()
        return bool(data)

    def step(self, call, *args):
        """Does something, reading and writing as it wants."""
        while True:
            try:
                result = call(*args)
                self.flush()
                return result
            except ssl.SSLWantReadError:
                self.flush()
                self.more()

    def handshake(self):
        self.step(self.tls.do_handshake)

    def send(self, data):
        self.step(self.tls.write, data)

    def recv(self, n):
        try:
            return self.step(self.tls.read, n)
        except ssl.SSLZeroReturnError:
            return b''

    sendall = send

    def say_end(self):
        """close_notify, and reading goes on."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self.flush()


class SClient:
    """openssl s_client, with its commands: lines "R", "k", "K", "Q"."""

    def __init__(self, t, address, *words, name='localhost'):
        self.process = t.start(
            tool('openssl', 'openssl'), 's_client', '-connect',
            '%s:%d' % address, '-servername', name, '-crlf', *words,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        self.text = ''
        self.seen = 0
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while data := os.read(self.process.stdout.fileno(), 65536):
            self.text += data.decode('latin-1')
        self.process.wait()

    def send(self, text):
        try:
            self.process.stdin.write(text.encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def expect(self, pattern, seconds=10):
        """Waits for something in its output, behind what was seen."""
        def look():
            found = re.search(pattern, self.text[self.seen:], re.S)
            if found:
                self.seen += found.end()
            return found
        return eventually(look, seconds, lambda: f'{pattern} in {self.text}')

    def get(self, path):
        """Asks; the JSON of /info, or the length of a body."""
        self.send(f'GET /{path} HTTP/1.1\n\n')
        length = int(self.expect(r'Content-Length: (\d+)\r\n\r\n')[1])
        eventually(lambda: len(self.text) - self.seen >= length,
                   said='the body')
        answer = self.text[self.seen:self.seen + length]
        self.seen += length
        return answer

    def info(self):
        return json.loads(self.get('info'))

    def end(self):
        """Its exit status."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        return self.process.wait(patient(10))


def cpu_of(pid, seconds):
    """The share of a CPU that a process uses, over a while."""
    from . import proc
    before, start = proc.cpu(pid), time.monotonic()
    time.sleep(seconds)
    return (proc.cpu(pid) - before) / (time.monotonic() - start)
