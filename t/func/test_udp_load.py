"""UDP ASSOCIATE under load: who floods harms himself, bounds hold, nothing
is left.  The load is the benchmark's, which checks every byte."""
import json
import os
import socket
import struct
import subprocess
import threading
import time

from lib import client
from lib.case import (alone, each, eventually, fewer, measured,
                      patient, same, timeout)
from lib.client import authority
from lib.daemon import Daemon

MIB = 1 << 20
ANY = ('0.0.0.0', 0)


def program(t, name, *args):
    """One of the benchmark's, which ends with its standard input."""
    process = t.start(os.path.join(t.build, 'bench', name), *map(str, args),
                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    t.defer(process.stdout.close)
    t.defer(process.stdin.close)
    return process


def echo(t):
    """Where datagrams come back from, as text."""
    return program(t, 'udpecho', '--listen',
                   '127.0.0.1:0').stdout.readline().decode().split()[1]


class Load:
    """Associations with an echo behind them, from now until finish()."""

    def __init__(self, t, d, target, **how):
        words = [w for k, v in how.items() for w in ('--' + k, v)]
        self.process = program(t, 'udpload', '--steps', '--proxy',
                               authority(*d.address), '--echo', target,
                               *words)
        same(self.process.stdout.readline(), b'ready\n')

    def step_back(self):
        """It then runs only where nobody else wants to.

        The proxy is to be fair here, whatever the scheduler is.
        """
        os.sched_setscheduler(self.process.pid, os.SCHED_IDLE,
                              os.sched_param(0))
        return self

    def begin(self):
        self.process.stdin.write(b'\n')
        self.process.stdin.flush()
        return self

    def finish(self):
        """What came of it, and whether all that came back was right."""
        report = json.loads(self.process.stdout.readline())
        print('udpload:', json.dumps(report))
        self.process.stdin.write(b'\n')
        self.process.stdin.flush()
        assert not any(report['errors'].values()), report
        return report


def assert_served(report):
    """As if it were alone, but for the noise of a test's machine."""
    lost = report['sent'] - report['received']
    assert report['sent'] > 0
    assert lost <= measured(report['sent'] * 0.01), f'{lost} are lost'
    assert report['p99_us'] <= measured(50000), f"{report['p99_us']} µs"


@alone
@timeout(60)
@each(1, 10)
def test_who_floods_harms_himself(t, how_many):
    d = Daemon(t, {'workers': 1})
    flood = Load(t, d, echo(t), associations=how_many, rate=0, gso=16,
                 seconds=2)
    others = Load(t, d, echo(t), associations=5, rate=500, seconds=1)
    flood.step_back().begin()
    assert_served(others.begin().finish())
    assert flood.finish()['received'] > 0


@alone
@timeout(60)
def test_a_flood_to_one_target_harms_no_other(t):
    # From another association and to the same target, which is too slow.
    d = Daemon(t, {'workers': 1})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(('127.0.0.1', 0))
        a = Association(d)
        full = a.datagram(deaf.getsockname(), bytes(1000))
        others = Load(t, d, echo(t), associations=5, rate=500, seconds=1)
        with a, Flood(lambda: a.udp.send(full)):
            assert_served(others.begin().finish())


@alone
@timeout(60)
def test_a_flood_of_replies_harms_no_other(t):
    d = Daemon(t, {'workers': 1})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as target, \
            Association(d) as a:
        target.bind(('127.0.0.1', 0))
        target.settimeout(patient(5))
        a.udp.send(a.datagram(target.getsockname(), b'more'))
        target.connect(target.recvfrom(10)[1])
        others = Load(t, d, echo(t), associations=5, rate=500, seconds=1)
        with Flood(lambda: target.send(bytes(1000))):
            assert_served(others.begin().finish())


class Flood:
    """Calls `send` again and again in a thread while it is open."""

    def __init__(self, send):
        self.send = send
        self.over = False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.over:
            try:
                self.send()
            except OSError:  # full, or nobody is there just now
                pass

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.over = True
        self.thread.join()


class Association:
    """One of ours, byte for byte; refused, `code` says why."""

    def __init__(self, d, source='127.0.0.1'):
        self.control, reply = client.socks5_ask(
            d.address, ANY, client.UDP, source=source)
        self.code = reply.code
        self.udp = None
        if self.code == client.SUCCEEDED:
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind((source, 0))
            self.udp.connect((reply.host, reply.port))
            self.udp.settimeout(patient(5))

    @staticmethod
    def datagram(target, payload):
        return b'\0\0\0' + client.socks5_address(target[0]) + \
            struct.pack('>H', target[1]) + payload

    def echoes(self, target):
        sent = self.datagram(target, os.urandom(100))
        self.udp.send(sent)
        return self.udp.recv(2000) == sent

    def close(self):
        self.control.close()
        if self.udp:
            self.udp.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def address_of(text):
    host, port = text.rsplit(':', 1)
    return host, int(port)


@alone
@timeout(90)
def test_memory_is_given_back_after_a_flood(t):
    d = Daemon(t)
    target = echo(t)

    def flood():
        load = Load(t, d, target, associations=40, rate=0, size=1200,
                    seconds=1).begin()
        assert load.finish()['received'] > 0
        load.process.stdin.close()
        load.process.wait()
        d.wait_rest()
    flood()
    before = d.memory()
    for _ in range(3):
        flood()
    eventually(lambda: d.memory() < before + measured(2 * MIB), 5,
               lambda: f'{d.memory()} bytes, {before} after the first flood')


LIMITS = {
    'of the process': ({'udp_associations': 8}, 8),
    'of a client': ({'udp_per_client': 8}, 8),
    'of memory': ({'udp_memory': '1M'}, None),
}


@timeout(60)
@each(*LIMITS)
def test_associations_are_bounded(t, bound):
    limits, most = LIMITS[bound]
    d = Daemon(t, {'workers': 1, 'limits': limits})
    target = address_of(echo(t))
    asked = [Association(d) for _ in range(most + 4 if most else 64)]
    inside = [a for a in asked if a.code == client.SUCCEEDED]
    if most:
        same(len(inside), most)
    assert 0 < len(inside) < len(asked), len(inside)
    for a in asked:
        assert a.code in (client.SUCCEEDED, client.FAILURE), a.code
    assert all(a.echoes(target) for a in inside)
    with Association(d, source='127.0.3.1') as other:
        same(other.code == client.SUCCEEDED, bound == 'of a client')
    # One that ends makes room for one.
    inside.pop().close()

    def admitted():
        with Association(d) as a:
            return a.code == client.SUCCEEDED and a.echoes(target)
    eventually(admitted, said='room again')
    for a in asked:
        a.close()


@alone
@timeout(90)
def test_associations_come_and_go_under_load(t):
    d = Daemon(t)
    target = address_of(text := echo(t))
    others = Load(t, d, text, associations=5, rate=200, seconds=2).begin()
    end = time.monotonic() + 1.5
    count = 0
    while time.monotonic() < end or count < fewer(100):
        with Association(d, source=f'127.0.4.{count % 250 + 1}') as a:
            if count % 2:
                assert a.echoes(target)
            else:  # it ends with datagrams still under way
                for _ in range(20):
                    a.udp.send(a.datagram(target, bytes(500)))
        count += 1
    print(count, 'associations')
    assert_served(others.finish())
    d.wait_access(count, command='udp')
