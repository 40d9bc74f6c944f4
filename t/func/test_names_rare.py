"""Names when things go wrong: TCP, floods, long lists, changes under way."""
import os
import select
import socket
import struct
import threading
import time

from lib import client
from lib.case import (each, eventually, fewer, long, measured, netns, patient,
                      same)
from lib.client import dial, echoes, read_all, socks5_ask, tunnel
from lib.daemon import Daemon
from lib.dns import SILENT, DnsServer, a
from lib.net import add_address, ip
from lib.origin import Origin, echo, unused_port
from lib.proc import threads
from test_names import fails, names_of, works

CUT = {('x.example', 'A'): a('127.0.0.1', cut=True)}


def succeeds_soon(d, host, port):
    def answered():
        try:
            return works(d, host, port)
        except client.ProxyError:
            time.sleep(0.1)
            return False
    eventually(answered, 20, f'{host} is found')


# --- DNS over TCP -----------------------------------------------------------

class Stream(DnsServer):
    """Says over TCP what `talk` says, given the socket and a good answer."""

    def __init__(self, t, talk):
        self.talk = talk
        super().__init__(t, CUT)

    def tcp_one(self, s):
        def send(reply):
            self.talk(s, struct.pack('>H', len(reply)) + reply)

        s.settimeout(patient(20))
        with s:
            try:
                while head := s.recv(2, socket.MSG_WAITALL):
                    n = struct.unpack('>H', head)[0]
                    self.over_tcp += 1
                    self.answer(s.recv(n, socket.MSG_WAITALL), send,
                                stream=True)
            except OSError:
                pass


def by_bytes(s, reply):
    for at in range(len(reply)):
        s.sendall(reply[at:at + 1])


def half(s, reply):
    s.sendall(reply[:len(reply) // 2])
    s.shutdown(socket.SHUT_RDWR)


def reset(s, _):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    s.close()


def nothing(*_):
    pass


def stalled(s, reply):
    s.sendall(reply[:-1])


def empty(s, _):
    s.sendall(b'\0\0')


def noise(s, reply):
    s.sendall(reply[:14] + client.noise(len(reply) - 14, 1))


def longest(s, reply):
    # The answer, and rubbish up to the greatest length there is.
    s.sendall(b'\xff\xff' + reply[2:] + bytes(0xffff - len(reply) + 2))


def endless(s, _):
    for _ in range(64):
        s.sendall(b'\xff\xff' + bytes(0xffff))


@each('by bytes', 'longest')
def test_an_answer_over_tcp_may_be_strange(t, how):
    server = Stream(t, {'by bytes': by_bytes, 'longest': longest}[how])
    d = Daemon(t, names_of(server))
    o = Origin(t, echo)
    assert works(d, 'x.example', o.port)
    assert server.over_tcp


FAILURES = {'half': half, 'reset': reset, 'nothing': nothing,
            'stalled': stalled, 'empty': empty, 'noise': noise,
            'endless': endless}


@each(*FAILURES)
def test_tcp_that_fails_is_a_failure(t, how):
    server = Stream(t, FAILURES[how])
    d = Daemon(t, names_of(server, timeout='300ms'))
    outcome = fails(d, 'x.example')
    assert outcome in ('name-failed', 'name-timeout'), outcome
    assert server.over_tcp
    # What follows is as good as ever.
    server.records['y.example', 'A'] = a('127.0.0.1')
    o = Origin(t, echo)
    assert works(d, 'y.example', o.port)
    d.wait_rest()


def test_nobody_who_speaks_tcp_is_a_failure(t):
    server = DnsServer(t, CUT)
    server.tcp.shutdown(socket.SHUT_RDWR)
    server.tcp.close()
    d = Daemon(t, names_of(server, timeout='300ms'))
    assert fails(d, 'x.example') in ('name-failed', 'name-timeout')


def test_another_server_may_speak_tcp(t):
    bad, good = Stream(t, half), DnsServer(t, CUT)
    d = Daemon(t, {'workers': 1, 'names': {
        'servers': [bad.address, good.address], 'timeout': '500ms',
        'tries': 2}})
    o = Origin(t, echo)
    assert works(d, 'x.example', o.port)


# --- floods -----------------------------------------------------------------

class Deaf(DnsServer):
    """Knows x.example and is silent about all else."""

    def __init__(self, t):
        super().__init__(t, {('x.example', 'A'): a('127.0.0.1')})

    def answer(self, packet, send, stream=False):
        if b'\1x\7example' in packet:
            super().answer(packet, send, stream)
        else:
            self.queries['any', 'any'] += 1


def ask_for(d, host, source=None):
    """Asks for a name and does not wait for the answer."""
    s = dial(d.address, source=source)
    s.sendall(client.request('http', (host, 80)))
    return s


def refused(asked, count):
    """Waits until exactly so many of those who asked were told no."""
    told = set()

    def enough():
        ready = select.select([s for s in asked if s not in told], [], [], 0.2)
        told.update(ready[0])
        return len(told) >= count and not ready[0]
    eventually(enough, said=lambda: f'{len(told)} of {count} refusals')
    same(len(told), count)
    same({s.recv(12) for s in told}, {b'HTTP/1.1 503'})


def test_names_in_question_are_bounded(t):
    server = Deaf(t)
    d = Daemon(t, {**names_of(server, pending=32),
                   'timeouts': {'name': '20s'}})
    held = [ask_for(d, f'n{i}.example', f'127.0.0.{1 + i % 16}')
            for i in range(40)]
    try:
        refused(held, 8)
        same(fails(d, 'one.more.example'), 'limit')
        # What needs no question has no limit, and they end.
        o = Origin(t, echo)
        assert works(d, 'localhost', o.port)
    finally:
        for s in held:
            client.reset(s)
    succeeds_soon(d, 'x.example', o.port)


def test_one_client_cannot_have_all_places(t):
    server = Deaf(t)
    d = Daemon(t, {**names_of(server, pending=64),
                   'timeouts': {'name': '20s'}})
    first = [ask_for(d, f'n{i}.example') for i in range(80)]
    second = []
    try:
        refused(first, 48)  # half of the places are his
        o = Origin(t, echo)
        s, reply = socks5_ask(d.address, ('x.example', o.port),
                              source='127.0.0.2')
        with s:
            same(reply.code, client.SUCCEEDED)
            assert echoes(s)
        # Another one who floods gets an eighth.
        second = [ask_for(d, f'm{i}.example', '127.0.0.3') for i in range(20)]
        refused(second, 12)
    finally:
        for s in first + second:
            client.reset(s)


def test_a_flood_of_names_takes_no_memory(t):
    server = DnsServer(t)
    d = Daemon(t, names_of(server, cache_entries=500))

    def flood(rounds):
        for i in range(rounds):
            with ask_for(d, f'n{i}-{"long" * 12}.{rounds}.example') as s:
                read_all(s)
    flood(600)
    before = d.memory()
    flood(3000)
    grown = d.memory() - before
    assert grown < measured(1 << 20), grown
    d.wait_rest()


# --- long lists -------------------------------------------------------------

LINES = fewer(150000, 10)


def block_list(t, name, last):
    lines = ''.join(f'0.0.0.0 ad{i}.tracker.example\n' for i in range(LINES))
    return t.file(name, lines + f'127.0.0.1 {last}.example\n')


def cpu_of(d, name):
    """Milliseconds that a thread of the serving process has run."""
    for tid in threads(d.worker):
        with open(f'/proc/{d.worker}/task/{tid}/comm', encoding='ascii') as f:
            if f.read().strip() != name:
                continue
        path = f'/proc/{d.worker}/task/{tid}/schedstat'
        with open(path, encoding='ascii') as f:
            return int(f.read().split()[0]) / 1e6
    raise AssertionError(f'no thread {name}')


def test_a_long_list_is_not_read_on_the_loop(t):
    hosts = block_list(t, 'hosts', 'one')
    fresh = block_list(t, 'fresh', 'two')
    server = DnsServer(t)
    d = Daemon(t, names_of(server, hosts=hosts))
    o = Origin(t, echo)
    assert works(d, 'one.example', o.port)
    time.sleep(1.1)  # so that the next one looks
    before = cpu_of(d, 'worker/0')
    os.rename(fresh, hosts)
    assert works(d, 'two.example', o.port)
    took = cpu_of(d, 'worker/0') - before
    same(fails(d, 'ad7777.tracker.example'), 'denied')
    assert took < measured(8), f'{took:.1f} ms'


def test_many_who_ask_while_a_list_is_read_see_the_new_one(t):
    hosts = block_list(t, 'hosts', 'one')
    fresh = block_list(t, 'fresh', 'two')
    server = DnsServer(t)
    d = Daemon(t, {**names_of(server, hosts=hosts), 'workers': 2})
    o = Origin(t, echo)
    assert works(d, 'one.example', o.port)
    time.sleep(1.1)
    os.rename(fresh, hosts)
    held = []
    for _ in range(40):
        s = dial(d.address)
        s.sendall(client.request('socks5', ('two.example', o.port)))
        held.append(s)
    for s in held:
        with s:
            same(client.take_reply(s, 'socks5'), client.SUCCEEDED)
            assert echoes(s)
    assert not server.queries, server.queries


# --- changes ----------------------------------------------------------------

class At53(DnsServer):
    """At the port that resolv.conf means, in a network of the test's own."""

    @staticmethod
    def bind(host):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind((host, 53))
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        tcp.bind((host, 53))
        tcp.listen()
        return udp, tcp


@long
@netns
def test_another_resolv_conf_is_followed(t):
    one, two = At53(t, host='127.0.0.11'), At53(t, host='127.0.0.12')
    one.records['x.example', 'A'] = SILENT
    one.records['old.example', 'A'] = a('127.0.0.1', ttl=600)
    for host in ('x.example', 'old.example', 'short.two.example'):
        two.records[host, 'A'] = a('127.0.0.1')
    os.mkdir(t.path('etc'))
    real = [t.path(f'etc/{name}') for name in ('one', 'two')]
    for path, text in zip(real, ('nameserver 127.0.0.11\n',
                                 'nameserver 127.0.0.12\n'
                                 'search two.example\n')):
        with open(path, 'w', encoding='ascii') as f:
            f.write(text)
    conf = t.path('etc/resolv.conf')
    os.symlink('one', conf)
    d = Daemon(t, {'workers': 1, 'names': {'resolv_conf': conf,
                                           'timeout': '10s', 'tries': 1},
                   'timeouts': {'name': '30s'}})
    o = Origin(t, echo)
    assert works(d, 'old.example', o.port)
    waiting = ask_for(d, 'x.example')
    eventually(lambda: one.asked('x.example'))
    os.symlink('two', conf + '.new')
    os.rename(conf + '.new', conf)
    succeeds_soon(d, 'short', o.port)
    # What is under way is asked again, what was known is forgotten.
    eventually(lambda: two.asked('x.example'), 15)
    assert works(d, 'old.example', o.port)
    assert two.asked('old.example')
    waiting.close()


@long
@netns
def test_a_server_that_cannot_be_reached_may_be_later_on(t):
    server = DnsServer(t, host='0.0.0.0', records={
        (f'x{i}.example', 'A'): a('127.0.0.1') for i in range(3)})
    server.records['silent.example', 'A'] = SILENT
    d = Daemon(t, {'workers': 1, 'timeouts': {'name': '20s'}, 'names': {
        'servers': [f'10.9.0.1:{server.port}'], 'timeout': '1s', 'tries': 2}})
    o = Origin(t, echo)
    assert fails(d, 'x0.example') in ('name-failed', 'name-timeout')
    add_address('10.9.0.1/32')
    succeeds_soon(d, 'x0.example', o.port)
    # A question under way keeps the socket, whose address goes.
    with ask_for(d, 'silent.example'):
        eventually(lambda: server.asked('silent.example'))
        ip('address', 'del', '10.9.0.1/32', 'dev', 'lo')
        assert fails(d, 'x1.example') in ('name-failed', 'name-timeout')
        add_address('10.9.0.1/32')
        succeeds_soon(d, 'x2.example', o.port)
