"""TLS in numbers: many handshakes, idle connections, who waits for whom; and
tunnels to a TLS server.
"""
import json
import re
import select
import socket
import ssl
import subprocess
import threading
import time

from lib import proc
from lib.case import (SLOWNESS, alone, each, eventually, fewer, measured,
                      patient, same, still, timeout, tool)
from lib.client import dial, noise, read_all, read_exact, read_to_end, reset
from lib.origin import Listener
from lib.tls import (Beside, Certificate, Memory, body, connect, context,
                     cpu_of, get, raw)

versions = each('1.2', '1.3')


# --- many at once -----------------------------------------------------------

def handshakes(address, count):
    """Begins `count` handshakes at once: the sockets of those that succeeded,
    and why the others did not."""
    c = context()
    waiting, done, failed = {}, [], []
    poll = select.poll()
    for _ in range(count):
        s = dial(address)
        s.setblocking(False)
        s = c.wrap_socket(s, server_hostname='localhost',
                          do_handshake_on_connect=False)
        waiting[s.fileno()] = s
        poll.register(s, select.POLLOUT)
    end = time.monotonic() + patient(25)
    while waiting and time.monotonic() < end:
        for fd, _ in poll.poll(1000):
            try:
                waiting[fd].do_handshake()
            except ssl.SSLWantReadError:
                poll.modify(fd, select.POLLIN)
                continue
            except ssl.SSLWantWriteError:
                continue
            except OSError as e:
                failed.append(e)
                poll.unregister(fd)
                waiting.pop(fd).close()
                continue
            poll.unregister(fd)
            done.append(waiting.pop(fd))
    assert not waiting, f'{len(waiting)} of {count} handshakes do not end'
    for s in done:
        s.settimeout(patient(10))
    return done, failed


@timeout(60)
def test_200_handshakes_at_once(t):
    server = Beside(t)
    count = fewer(200)
    done, failed = handshakes(server.tls, count)
    same((len(done), failed), (count, []))
    for s in done:
        same(get(s, '1000'), body(1000))
    same(server.stats()['active'], count)
    for s in done:
        s.close()
    server.wait_idle()


@timeout(60)
def test_more_handshakes_than_may_be_are_reset(t):
    server = Beside(t, '--max-handshakes', '5', '--handshake-ms', '60000')
    begun = [Memory(server.tls) for _ in range(5)]
    for s in begun:
        s.socket.sendall(s.hello()[:20])

    def is_reset():
        try:
            connect(server.tls).close()
            return False
        except ConnectionResetError:
            return True
    eventually(is_reset, said='one too many is reset')
    server.failed('EBUSY')
    for s in begun:
        s.socket.close()
    eventually(lambda: not is_reset(), said='there is room again')
    server.wait_idle()


@timeout(60)
def test_a_flood_of_resets_in_the_handshake_leaves_nothing(t):
    server = Beside(t, '--workers', '2')
    connect(server.tls).close()
    server.wait_idle()
    fds = len(proc.links(server.pid))
    for i in range(fewer(300)):
        s = Memory(server.tls)
        hello = s.hello()
        s.socket.sendall(hello[:len(hello) - i % 3 * 7])
        if i % 3 == 0 and i % 2:
            s.socket.recv(10 * (i % 5) + 1)
        reset(s.socket)
    server.wait_idle()
    eventually(lambda: len(proc.links(server.pid)) == fds,
               said='no descriptor more')


# --- nothing to do ----------------------------------------------------------

def quiet(server):
    used = cpu_of(server.pid, patient(1))
    assert used < measured(0.02), f'{used:.1%} of a CPU for nothing'


@still
@timeout(60)
def test_what_waits_takes_no_time(t):
    server = Beside(t)
    several = [connect(server.tls, v) for v in ('1.2', '1.3') * 20]
    for s in several:
        get(s, '100')
    quiet(server)
    for i, s in enumerate(several):
        several[i] = raw(s)
        several[i].sendall(b'\x17\x03\x03\x01\x00half of a record')
    quiet(server)
    for s in several:
        reset(s)
    server.wait_idle()
    quiet(server)


@still
@timeout(60)
def test_who_does_not_read_takes_no_time(t):
    server = Beside(t)
    several = [connect(server.tls, v) for v in ('1.2', '1.3') * 5]
    for s in several:
        s.sendall(b'GET /99999999 HTTP/1.1\r\n\r\n')
    time.sleep(patient(0.3))
    quiet(server)
    for s in several[:5]:  # and has ended without close_notify
        socket.socket.shutdown(s, socket.SHUT_WR)
    quiet(server)
    for s in several:
        reset(s)
    server.wait_idle()


@still
@timeout(60)
def test_who_is_in_a_handshake_takes_no_time(t):
    server = Beside(t, '--handshake-ms', '60000')
    several = [Memory(server.tls) for _ in range(40)]
    for i, s in enumerate(several):
        hello = s.hello()
        s.socket.sendall(hello[:i * len(hello) // 39])
    time.sleep(patient(0.3))
    quiet(server)
    for s in several:
        s.socket.close()
    server.wait_idle()


# --- beside a flood of handshakes -------------------------------------------

def signature_ms(t):
    """What a signature by RSA-4096 takes here."""
    said = t.run(tool('openssl', 'openssl'), 'speed', '-seconds', '1',
                 '-mr', 'rsa4096', seconds=30)
    # +F2:number:bits:signatures a second:verifications a second
    return 1000 / float(re.search(rb'\+F2:\d+:4096:([\d.]+)',
                                  said.stdout)[1])


@alone
@timeout(120)
def test_plain_connections_wait_for_one_signature_at_most(t):
    server = Beside(t, certificate=Certificate(t, kind='rsa4096'))
    one = signature_ms(t)
    flood = [t.start(tool('openssl', 'openssl'), 's_time', '-new', '-time',
                     '60', '-connect', '%s:%d' % server.tls)
             for _ in range(8)]
    eventually(lambda: server.stats()['accepted'] > 20, 20)
    before = server.stats()['accepted']
    with dial(server.plain) as s:
        lag = json.loads(get(s, 'lag/3000'))
    done = server.stats()['accepted'] - before
    for f in flood:
        f.kill()
        f.wait()
    print(f'a signature takes {one:.2f} ms, {done} handshakes; '
          f'microseconds between turns: {lag}')
    assert done > 50 / SLOWNESS
    # What else a handshake computes comes on top.
    assert lag['p99'] < measured(1.8 * one + 1.5) * 1000, lag
    server.wait_idle(20)


# --- tunnels to a TLS server ------------------------------------------------

class Target(Listener):
    """A TLS server in Python that gives each connection to serve()."""

    def __init__(self, t, serve, version=None):
        super().__init__(t)
        self.certificate = Certificate(t)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate.path,
                                     self.certificate.key)
        if version:
            self.context.maximum_version = \
                ssl.TLSVersion['TLSv' + version.replace('.', '_')]
        self.serve = serve
        self.socket.settimeout(None)
        threading.Thread(target=self.loop, daemon=True).start()

    def loop(self):
        while True:
            try:
                s = self.socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.one, args=(s,),
                             daemon=True).start()

    def one(self, s):
        s.settimeout(patient(20))
        try:
            with self.context.wrap_socket(
                    s, server_side=True, suppress_ragged_eofs=False) as tls:
                self.serve(tls)
        except OSError:
            pass


def through(t, target, name=None, ca=None):
    """A server that relays to it."""
    return Beside(t, '--target', '%s:%d' % target.target,
                  '--target-name', name or target.certificate.name,
                  '--target-ca', (ca or target.certificate).path)


def received(s):
    """What comes up to close_notify."""
    parts = []
    try:
        while data := s.recv(65536):
            parts.append(data)
    except ssl.SSLZeroReturnError:
        pass
    return b''.join(parts)


@versions
@timeout(60)
def test_a_tunnel_keeps_every_byte(t, version):
    def echo(s):
        while data := s.recv(65536):
            s.sendall(data)
        s.unwrap()
    server = through(t, Target(t, echo, version))
    text = noise(fewer(20 << 20))
    with dial(server.relay, 20) as s:
        sender = threading.Thread(target=lambda: (
            s.sendall(text), s.shutdown(socket.SHUT_WR)), daemon=True)
        sender.start()
        assert read_exact(s, len(text)) == text
        same(s.recv(1), b'')
        sender.join()
    eventually(lambda: server.stats()['closed'] == 1, said=server.stats)


@versions
def test_a_tunnel_passes_ends_on(t, version):
    def count(s):
        s.sendall(b'%d' % len(received(s)))
        s.unwrap()
    server = through(t, Target(t, count, version))
    with dial(server.relay) as s:
        s.sendall(noise(30000))
        s.shutdown(socket.SHUT_WR)
        same(read_all(s), b'30000')
    eventually(lambda: server.stats()['closed'] == 1, said=server.stats)


@versions
def test_a_truncation_is_passed_on_as_a_reset(t, version):
    def break_off(s):
        s.sendall(noise(30000))
        socket.socket.shutdown(s, socket.SHUT_RDWR)
    server = through(t, Target(t, break_off, version))
    with dial(server.relay) as s:
        got, how = read_to_end(s)
        same((len(got), how), (30000, 'reset'))
    eventually(lambda: server.stats()['broken_b'] == 1, said=server.stats)


@versions
def test_a_reset_by_the_client_is_passed_on_as_one(t, version):
    ends = []

    def note_end(s):
        same(s.recv(100), b'x')
        ends.append(read_to_end(raw(s))[1])
    server = through(t, Target(t, note_end, version))
    s = dial(server.relay)
    s.sendall(b'x')
    time.sleep(0.05)
    reset(s)
    eventually(lambda: ends, said='an end')
    same(ends, ['reset'])
    eventually(lambda: server.stats()['broken_a'] == 1, said=server.stats)


@still
@timeout(60)
def test_a_tunnel_that_stands_still_takes_no_time(t):
    go_on = threading.Event()

    def serve(s):
        if s.recv(1) == b'w':
            s.sendall(bytes(64 << 20))
        else:
            go_on.wait()
    t.defer(go_on.set)
    server = through(t, Target(t, serve))
    several = [dial(server.relay) for _ in range(6)]
    for i, s in enumerate(several):
        s.sendall(b'wr'[i % 2:i % 2 + 1])  # who is not read from then on
        s.setblocking(False)
        try:
            while i % 2:
                s.send(bytes(1 << 20))
        except BlockingIOError:
            pass
    time.sleep(patient(0.5))
    quiet(server)
    for s in several[:3]:
        s.shutdown(socket.SHUT_WR)
    quiet(server)
    for s in several:
        reset(s)
    go_on.set()
    server.wait_idle()


def test_a_server_that_is_another_is_refused(t):
    target = Target(t, received)
    for options in ({'name': 'other'}, {'ca': Certificate(t)}):
        server = through(t, target, **options)
        with dial(server.relay) as s:
            same(read_to_end(s), (b'', 'reset'))
        server.failed('EPROTO: certificate verify failed')


class SServer:
    """openssl s_server; lines to its input are sent, or are its commands."""

    def __init__(self, t, *words):
        self.certificate = Certificate(t)
        self.process = t.start(
            tool('openssl', 'openssl'), 's_server', '-accept',
            '127.0.0.1:0', '-cert', self.certificate.path, '-key',
            self.certificate.key, *words, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.target = ('127.0.0.1', int(self.wait(rb'ACCEPT .*:(\d+)')[1]))

    def wait(self, pattern):
        """Reads lines up to one like this."""
        while line := self.process.stdout.readline():
            if found := re.match(pattern, line):
                return found
        raise AssertionError('s_server has ended')

    def send(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()


@each('-tls1_2', '-tls1_3')
def test_openssls_server_is_spoken_to(t, version):
    server = through(t, SServer(t, '-rev', version))
    with dial(server.relay) as s:
        for text in (b'one\n', b'two\n', b'x' * 3000 + b'\n'):
            s.sendall(text)
            same(read_exact(s, len(text)), text[-2::-1] + b'\n')


def test_it_may_renew_its_keys(t):
    target = SServer(t, '-tls1_3')
    server = through(t, target)
    with dial(server.relay) as s:
        s.sendall(b'hello\n')
        target.wait(b'hello')
        for i in range(6):
            # A line is a command only if nothing else comes with it: it has
            # been read when what was sent after it has.
            target.send('kK'[i % 2] + '\n')
            s.sendall(b'answer %d\n' % i)
            target.wait(b'answer %d' % i)
            target.send(f'line {i}\n')
            same(read_exact(s, 7), b'line %d\n' % i)
