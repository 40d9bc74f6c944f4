"""The benchmark's HTTP servers: what is measured must be right first.

http-server shows what the library does for a server of one's own; httpfloor,
which it is compared with, has to do the same work.
"""
import calendar
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

from lib import proc
from lib.case import each, eventually, patient, same, timeout, tool
from lib.client import dial, read_all, read_exact, read_to_end

GET = b'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
LAST = b'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
KEY = b'0123456789abcdef'.hex()
HEAD_MAX = 8192
FIELDS_MAX = 100
BODY_MAX = 16 << 20
both = each('http-server', 'httpfloor')


def content(size):
    return bytes(ord('a') + i % 26 for i in range(size))


class Server:
    """One of them, with these words on its command line."""

    def __init__(self, t, *words, program='http-server',
                 listen='127.0.0.1:0'):
        path = os.path.join(t.build, 'bench', program)
        self.process = t.start(path, '--listen', listen,
                               *[str(w) for w in words])
        self.pid = self.process.pid
        self.where = eventually(self.line)[1]
        self.address = None
        if not listen.startswith(('unix:', '@')):
            host, port = self.where.rsplit(':', 1)
            self.address = (host.strip('[]'), int(port))

    def line(self):
        with open(self.process.log, encoding='utf-8') as f:
            text = f.read()
        assert self.process.poll() is None, text
        return re.match(r'listening on (.+)\n', text)

    def url(self, scheme='http'):
        return f'{scheme}://{self.where}/'

    def ends(self, signo=signal.SIGTERM):
        """Its exit status after a signal."""
        self.process.send_signal(signo)
        return self.process.wait(patient(10))


class Reply:
    """An answer, read off a socket byte by byte."""

    def __init__(self, s, to_head=False):
        head = b''
        while not head.endswith(b'\r\n\r\n'):
            byte = s.recv(1)
            assert byte, f'end in a head: {head!r}'
            head += byte
        first, *lines = head[:-4].decode('latin-1').split('\r\n')
        self.version, status, self.reason = first.split(' ', 2)
        self.status = int(status)
        self.fields = dict(line.split(': ', 1) for line in lines)
        self.length = int(self.fields.get('Content-Length', 0))
        self.body = b'' if to_head else read_exact(s, self.length)

    @property
    def connection(self):
        return self.fields.get('Connection')


def asked(server, request):
    """The answer to a request, after which the connection must end."""
    with dial(server.address) as s:
        s.sendall(request)
        reply = Reply(s)
        same(read_all(s), b'')
        return reply


def status(server, request):
    """What a request is refused with; that ends the connection in order."""
    reply = asked(server, request)
    same((reply.connection, reply.length), ('close', 0))
    assert 'Date' in reply.fields
    return reply.status


def curl(t, *args):
    done = t.run(tool('curl', 'curl'), '-sS', '--max-time',
                 str(patient(10)), *args)
    assert done.returncode == 0, done.stderr
    return done.stdout


def keys(t):
    """A certificate for 127.0.0.1 and its key: paths."""
    cert, key = t.path('cert.pem'), t.path('key.pem')
    done = t.run(tool('openssl', 'openssl'), 'req', '-x509', '-newkey', 'ec',
                 '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days',
                 '3', '-subj', '/CN=localhost', '-addext',
                 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert)
    assert done.returncode == 0, done.stderr
    return cert, key


# --- What it answers --------------------------------------------------------

@both
def test_curl_gets_as_many_bytes_as_were_asked_for(t, program):
    for size in (0, 1, 1024, 1 << 20):
        server = Server(t, '--size', size, program=program)
        same(curl(t, server.url()), content(size))


@both
def test_a_connection_is_used_again(t, program):
    server = Server(t, '--size', 100, program=program)
    out = curl(t, '-w', '%{num_connects}\n', server.url(), server.url())
    same(out, content(100) + b'1\n' + content(100) + b'0\n')


@both
def test_close_ends_each_connection(t, program):
    server = Server(t, '--size', 100, '--close', program=program)
    out = curl(t, '-w', '%{num_connects}\n', server.url(), server.url())
    same(out, content(100) + b'1\n' + content(100) + b'1\n')
    reply = asked(server, GET)
    same((reply.status, reply.connection), (200, 'close'))


@both
def test_the_date_is_right(t, program):
    server = Server(t, program=program)
    before = int(time.time())
    with dial(server.address) as s:
        def date():
            s.sendall(GET)
            at = calendar.timegm(time.strptime(
                Reply(s).fields['Date'], '%a, %d %b %Y %H:%M:%S GMT'))
            assert at <= time.time(), at
            return at

        for _ in range(3):
            # It is made anew when the clock's next second has begun, in which
            # this test may be the first to have its turn.
            before = eventually(lambda wanted=before: (at := date()) >= wanted
                                and at, 0.5)
            time.sleep(1.01 - time.time() % 1)
            before += 1


@both
def test_a_reader_that_is_slow_gets_every_byte(t, program):
    size = 8 << 20
    server = Server(t, '--size', size, program=program)
    with dial(server.address, receive=16384) as s:
        s.sendall(GET + GET)
        for _ in range(2):
            time.sleep(1.1)  # the date of other answers changes meanwhile
            curl(t, '-o', '/dev/null', server.url())
            same(Reply(s).body == content(size), True)


@both
def test_who_leaves_in_mid_answer_harms_nobody(t, program):
    server = Server(t, '--size', 8 << 20, program=program)
    before = proc.descriptors(server.pid)
    for _ in range(20):
        with dial(server.address, receive=16384) as s:
            s.sendall(GET)
            s.recv(1)
    eventually(lambda: proc.descriptors(server.pid) == before)
    same(len(curl(t, server.url())), 8 << 20)


# --- How requests may come --------------------------------------------------

@both
@timeout(60)
def test_a_request_may_be_cut_anywhere(t, program):
    server = Server(t, '--size', 5, program=program)
    with dial(server.address) as s:
        for at in range(1, len(GET)):
            s.sendall(GET[:at])
            time.sleep(0.002)
            s.sendall(GET[at:])
            same(Reply(s).body, content(5))


@both
def test_a_request_may_come_byte_by_byte(t, program):
    server = Server(t, '--size', 5, program=program)
    with dial(server.address) as s:
        for i in range(len(GET)):
            s.sendall(GET[i:i + 1])
            time.sleep(0.001)
        same(Reply(s).body, content(5))


@both
def test_requests_may_come_many_at_once(t, program):
    server = Server(t, '--size', 1024, program=program)
    count = 1000
    with dial(server.address) as s:
        sender = threading.Thread(target=s.sendall, args=(GET * count,))
        sender.start()
        for _ in range(count):
            same(Reply(s).body, content(1024))
        sender.join()


def test_answers_come_in_the_order_of_requests(t):
    server = Server(t, '--size', 26)
    head = GET.replace(b'GET', b'HEAD')
    post = (b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n' +
            b'GET / HTTP/1.1\r\nHost: y\r\n\r\n!!!')
    with dial(server.address) as s:
        s.sendall(GET + head + post + head + post + LAST + GET)
        for to_head in (False, True, False, True, False):
            reply = Reply(s, to_head)
            same((reply.status, reply.length), (200, 26))
        same(Reply(s).connection, 'close')
        same(read_all(s), b'')  # the last one came after the end


@both
def test_a_client_may_end_its_direction_first(t, program):
    server = Server(t, '--size', 5, program=program)
    with dial(server.address) as s:
        s.sendall(GET + GET)
        s.shutdown(socket.SHUT_WR)
        for _ in range(2):
            same(Reply(s).body, content(5))
        same(read_all(s), b'')


def test_http_1_0_is_told_of_what_goes_on(t):
    server = Server(t, '--size', 5)
    old = b'GET / HTTP/1.0\r\n\r\n'
    same(asked(server, old).connection, 'close')
    with dial(server.address) as s:
        for _ in range(2):
            s.sendall(b'GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n')
            same(Reply(s).connection, 'keep-alive')
        s.sendall(old)
        same(Reply(s).connection, 'close')
        same(read_all(s), b'')


def test_the_client_may_ask_for_the_end(t):
    server = Server(t, '--size', 5)
    for value in (b'close', b'Close', b'foo, close', b'keep-alive ,close\t'):
        reply = asked(server, b'GET / HTTP/1.1\r\nHost: x\r\nConnection: ' +
                      value + b'\r\n\r\n')
        same((reply.status, reply.connection), (200, 'close'))


def test_content_of_requests_is_read_over(t):
    server = Server(t, '--size', 5)
    body = t.file('body', os.urandom(3 << 20))
    out = curl(t, '-w', '%{num_connects}\n', '--data-binary', '@' + body,
               server.url(), server.url())
    same(out, content(5) + b'1\n' + content(5) + b'0\n')


def test_who_expects_a_100_gets_it(t):
    server = Server(t, '--size', 5)
    with dial(server.address) as s:
        s.sendall(b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n'
                  b'Expect: 100-Continue\r\n\r\n')
        same(Reply(s).status, 100)
        s.sendall(b'abc' + GET)
        same((Reply(s).status, Reply(s).status), (200, 200))


# --- What it refuses --------------------------------------------------------

BAD = (
    b'\r\n\r\n\r\n', b'\n\n', b' / HTTP/1.1\r\n\r\n', b'GET / HTTP/1.1\n',
    b'GET  / HTTP/1.1\r\n', b'GET / HTTP/1.1 \r\n', b'GET /\r\n',
    b'GET / http/1.1\r\n', b'GET / HTTP/1.x\r\n', b'GET / HTTP/11\r\n',
    b'GET /\t HTTP/1.1\r\n', b'GET /\x7f HTTP/1.1\r\n', b'G(T / HTTP/1.1\r\n',
    b'GET\0 / HTTP/1.1\r\n', b'\x16\x03\x01\x02\x00\x01',
    b'GET / HTTP/1.1\r\n\r\n',
    b'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n',
    b'GET / HTTP/1.1\r\nHost : a\r\n\r\n',
    b'GET / HTTP/1.1\r\n Host: a\r\n\r\n',
    b'GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n',
    b'GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n',
    b'GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n',
    b'GET / HTTP/1.1\r\nHost: a\0\r\n\r\n',
    b'GET / HTTP/1.1\r\nHost\r\n\r\n',
    b'GET / HTTP/1.1\r\n: a\r\n\r\n',
    b'GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n',
    b'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n',
    b'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n',
    b'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n',
    b'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n'
    b'Content-Length: 1\r\n\r\n',
    b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n'
    b'Transfer-Encoding: chunked\r\n\r\n',
    b'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n',
)


def test_what_is_no_request_is_400(t):
    server = Server(t)
    for request in BAD:
        got = status(server, request)
        assert got == 400, (request, got)


def test_what_is_not_known_here_is_501_or_505(t):
    server = Server(t)
    same(status(server, b'BREW / HTTP/1.1\r\nHost: a\r\n\r\n'), 501)
    same(status(server, b'get / HTTP/1.1\r\nHost: a\r\n\r\n'), 501)
    same(status(server, b'POST / HTTP/1.1\r\nHost: a\r\n'
                b'Transfer-Encoding: chunked\r\n\r\n'), 501)
    same(status(server, b'GET / HTTP/2.0\r\nHost: a\r\n\r\n'), 505)


def padded(size):
    """A request whose head has that many bytes."""
    start = b'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: '
    return start + b'y' * (size - len(start) - 4) + b'\r\n\r\n'


def test_a_head_has_at_most_8_kib(t):
    server = Server(t, '--size', 5)
    for size in (HEAD_MAX - 1, HEAD_MAX):
        same(asked(server, padded(size)).status, 200)
    for size in (HEAD_MAX + 1, 10 * HEAD_MAX):
        same(status(server, padded(size)), 431)
    # Not even where it follows another one and has no end.
    with dial(server.address) as s:
        s.sendall(GET + padded(HEAD_MAX)[:-2] + b'\r')
        same(Reply(s).status, 200)
        s.sendall(b'y' * HEAD_MAX)
        assert Reply(s).status in (400, 431)


def test_a_head_has_at_most_100_fields(t):
    server = Server(t, '--size', 5)
    for more, wanted in ((FIELDS_MAX - 2, 200), (FIELDS_MAX - 1, 431)):
        head = LAST[:-2] + b'A: b\r\n' * more + b'\r\n'
        same(asked(server, head).status, wanted)


def test_content_has_at_most_16_mib(t):
    server = Server(t, '--size', 5)
    for size in (BODY_MAX + 1, 1 << 32, 1 << 64, 10 ** 40):
        same(status(server, b'POST / HTTP/1.1\r\nHost: a\r\n'
                    b'Content-Length: %d\r\n\r\n' % size), 413)
    with dial(server.address) as s:
        s.sendall(b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n'
                  % BODY_MAX + bytes(BODY_MAX) + GET)
        same((Reply(s).status, Reply(s).status), (200, 200))


def test_a_refusal_is_not_eaten_by_a_reset(t):
    server = Server(t)
    for _ in range(20):
        with dial(server.address) as s:
            s.sendall(b'BREW / HTTP/1.1\r\n\r\n' + bytes(30000))
            s.shutdown(socket.SHUT_WR)
            text, how = read_to_end(s)
            same((text[:12], how), (b'HTTP/1.1 501', 'eof'))


def test_wrong_words_and_addresses_are_told(t):
    path = os.path.join(t.build, 'bench', 'http-server')
    for words in ((), ('--listen', '127.0.0.1:0', '--size', '-1'),
                  ('--listen', '127.0.0.1:0', '--size', '99999999999')):
        done = t.run(path, *words)
        same((done.returncode, done.stderr[:6]), (2, b'usage:'))
    server = Server(t)
    for where in (server.where, 'nonsense', '127.0.0.1'):
        done = t.run(path, '--listen', where)
        same(done.returncode, 1)
        assert where.encode() in done.stderr, done.stderr
    done = t.run(path, '--listen', '127.0.0.1:0', '--tls', '/nowhere:/no')
    same(done.returncode, 1)
    assert b'/nowhere' in done.stderr, done.stderr


# --- Its modes --------------------------------------------------------------

def decrypted(t, body):
    done = subprocess.run(
        [tool('openssl', 'openssl'), 'enc', '-d', '-aes-128-cbc', '-K', KEY,
         '-iv', body[:16].hex()], input=body[16:], capture_output=True,
        check=False, timeout=patient(10))
    assert done.returncode == 0, done.stderr
    return done.stdout


@both
def test_content_is_encrypted_anew_each_time(t, program):
    for size in (0, 15, 16, 1024):
        server = Server(t, '--size', size, '--aes128', program=program)
        bodies = []
        with dial(server.address) as s:
            for _ in range(3):
                s.sendall(GET)
                bodies.append(Reply(s).body)
        same(len(set(bodies)), 3)
        same(len({b[:16] for b in bodies}), 3)
        for body in bodies:
            same(len(body), 16 + (size // 16 + 1) * 16)
            same(decrypted(t, body), content(size))


@both
def test_encrypted_content_is_not_mixed_up(t, program):
    size = 4 << 20
    server = Server(t, '--size', size, '--aes128', program=program)
    slow = [dial(server.address, receive=16384) for _ in range(4)]
    for s in slow:
        s.sendall(GET)
    same(decrypted(t, curl(t, server.url())), content(size))
    for s in slow:
        same(decrypted(t, Reply(s).body) == content(size), True)
        s.close()


@both
def test_an_answer_may_be_slept_over(t, program):
    server = Server(t, '--size', 5, '--sleep', 300, program=program)
    begin = time.monotonic()
    sockets = [dial(server.address) for _ in range(20)]
    for s in sockets:
        s.sendall(GET)
    for s in sockets:
        same(Reply(s).body, content(5))
    took = time.monotonic() - begin
    assert 0.295 <= took < patient(3), took
    # One connection's come one after the other.
    begin = time.monotonic()
    sockets[0].sendall(GET * 3)
    for _ in range(3):
        same(Reply(sockets[0]).body, content(5))
    assert time.monotonic() - begin >= 0.895
    for s in sockets:
        s.close()


@both
def test_who_leaves_in_his_sleep_is_forgotten(t, program):
    server = Server(t, '--sleep', 100, program=program)
    before = proc.descriptors(server.pid)
    for _ in range(50):
        with dial(server.address) as s:
            s.sendall(GET)
    eventually(lambda: proc.descriptors(server.pid) == before)
    same(len(curl(t, server.url())), 1024)


@both
def test_tls(t, program):
    cert, key = keys(t)
    for words, again in ((), b'0'), (('--close',), b'1'):
        server = Server(t, '--tls', f'{cert}:{key}', *words, program=program)
        for version in ('1.2', '1.3'):
            out = curl(t, '--cacert', cert, '--tlsv' + version, '--tls-max',
                       version, '-w', '%{num_connects}\n',
                       server.url('https'), server.url('https'))
            same(out, content(1024) + b'1\n' + content(1024) + again +
                 b'\n')


@both
def test_tls_pieces_and_many_at_once(t, program):
    cert, key = keys(t)
    server = Server(t, '--tls', f'{cert}:{key}', '--size', 20000,
                    program=program)
    context = ssl.create_default_context(cafile=cert)
    with context.wrap_socket(dial(server.address),
                             server_hostname='127.0.0.1') as s:
        for at in range(1, len(GET), 5):
            s.sendall(GET[:at])
            s.sendall(GET[at:])
            same(Reply(s).body, content(20000))
        s.sendall(GET * 300)  # a record holds 16 KiB
        for _ in range(300):
            same(Reply(s).body, content(20000))


def test_a_unix_socket(t):
    path = t.path('socket')
    server = Server(t, '--size', 100, listen='unix:' + path)
    same(server.where, 'unix:' + path)
    out = curl(t, '--unix-socket', path, '-w', '%{num_connects}\n',
               'http://x/', 'http://x/')
    same(out, content(100) + b'1\n' + content(100) + b'0\n')
    same(server.ends(), 0)
    assert not os.path.exists(path)


def test_ipv6_and_workers(t):
    server = Server(t, '--workers', 3, listen='[::1]:0')
    assert server.where.startswith('[::1]:'), server.where
    for _ in range(20):
        same(curl(t, '-g', server.url()), content(1024))


# --- Its end ----------------------------------------------------------------

@each(signal.SIGTERM, signal.SIGINT)
def test_the_end_waits_for_answers(t, signo):
    server = Server(t, '--size', 5, '--sleep', int(patient(500)))
    with dial(server.address) as busy, dial(server.address) as idle:
        idle.sendall(GET)
        same(Reply(idle).connection, None)
        busy.sendall(GET + GET)
        same(Reply(busy).connection, None)
        # The second one's answer is due in half a second, or more.
        same(server.ends(signo), 0)
        same(Reply(busy).connection, 'close')
        same(read_all(busy), b'')
        read_to_end(idle)
    try:
        dial(server.address).close()
        raise AssertionError('somebody still listens')
    except ConnectionRefusedError:
        pass
