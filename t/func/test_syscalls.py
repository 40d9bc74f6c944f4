"""System calls that a connection and a round trip cost: counts, no times."""
import re
import signal

from lib import client, conf, proc
from lib.case import (SANITIZED, VALGRIND, Skip, alone, eventually, same,
                      timeout, tool)
from lib.client import dial, echoes, read_exact, tunnel
from lib.daemon import Daemon
from lib.origin import Origin, checksum, echo, send_bulk, take_bulk

KIB = client.noise(1024)


class Count:
    """System calls of a process within a `with` block, by name."""

    def __init__(self, t, pid):
        if SANITIZED or VALGRIND:
            raise Skip('counts are those of a plain build')
        self.pid = pid
        self.path = t.path('strace.out')
        self.process = t.start(tool('strace', 'strace'), '-f', '-c', '-o',
                               self.path, '-p', str(pid))
        self.calls = {}

    def attached(self):
        return all(proc.status(self.pid, tid)['TracerPid'] != '0'
                   for tid in proc.threads(self.pid))

    def __enter__(self):
        def look():
            if self.process.poll() is not None:
                raise Skip('strace cannot attach here')
            return self.attached()
        eventually(look, said='strace')
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)
        with open(self.path, encoding='utf-8') as f:
            for line in f:
                m = re.match(r'\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+'
                             r'(?:\d+\s+)?(\w+)$', line)
                if m and m[2] != 'total':
                    self.calls[m[2]] = int(m[1])

    def each(self, count):
        """Calls for each of `count`, epoll_wait aside."""
        return sum(n for name, n in self.calls.items()
                   if not name.startswith('epoll_') or
                   name == 'epoll_ctl') / count

    def table(self, count):
        return ', '.join(f'{name} {n / count:.2f}' for name, n in
                         sorted(self.calls.items(), key=lambda x: -x[1]))


def log_to_file(t):
    """The access log as it ships: lines go to a file."""
    folder = t.folder('log', 'nobody')
    return {'log': {'target': f'file:{folder}/spliced.log'}}


def connection(d, o, protocol):
    """One connection with an exchange of 1 KiB, the client ends first."""
    with dial(d.address) as s:
        if protocol == 'socks5':
            client.socks5_greet(s)
            s.sendall(client.socks5_request(*o.target))
            same(client.socks5_reply(s).code, client.SUCCEEDED)
        else:
            s.sendall(client.request('http', o.target))
            same(client.take_reply(s, 'http'), 200)
        s.sendall(KIB)
        same(read_exact(s, len(KIB)), KIB)


@alone
@timeout(60)
def test_a_connection_costs_at_most_24(t):
    d = Daemon(t, log_to_file(t))
    o = Origin(t, echo)
    for protocol in client.PROTOCOLS:
        for _ in range(20):
            connection(d, o, protocol)
        d.wait_rest()
        count = 300
        with Count(t, d.worker) as calls:
            for _ in range(count):
                connection(d, o, protocol)
            d.wait_rest()
        each = calls.each(count)
        print(f'{protocol}: {each:.2f} calls: {calls.table(count)}')
        assert each <= 24, f'{protocol}: {each:.2f}: {calls.table(count)}'


@alone
@timeout(60)
def test_a_round_trip_costs_at_most_4(t):
    d = Daemon(t, log_to_file(t))
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        for _ in range(200):
            assert echoes(s, bytes(64))
        count = 1000
        with Count(t, d.worker) as calls:
            for _ in range(count):
                assert echoes(s, bytes(64))
        each = calls.each(count)
        print(f'{each:.2f} calls: {calls.table(count)}')
        assert each <= 4.05, f'{each:.2f}: {calls.table(count)}'


@alone
@timeout(60)
def test_bulk_is_spliced(t):
    d = Daemon(t, log_to_file(t))
    mib = 64

    def serve(s):
        send_bulk(s, mib, 1)

    o = Origin(t, serve)
    with Count(t, d.worker) as calls:
        with tunnel(d.address, o.target) as s:
            same(take_bulk(s, mib), checksum(mib, 1))
    print(calls.table(mib))
    assert calls.calls.get('splice', 0) > calls.calls.get('read', 0) + \
        calls.calls.get('recvfrom', 0) + calls.calls.get('recvmsg', 0), \
        calls.table(mib)


@alone
@timeout(60)
def test_bulk_with_a_rate_is_spliced_in_few_turns(t):
    mib = 20
    d = Daemon(t, log_to_file(t) | {
        'rules': [conf.allow(bandwidth_session='10M')]})

    def serve(s):
        send_bulk(s, mib, 1)

    o = Origin(t, serve)
    with Count(t, d.worker) as calls:
        with tunnel(d.address, o.target) as s:
            same(take_bulk(s, mib), checksum(mib, 1))
    print(calls.table(mib))
    n = calls.calls
    assert n.get('splice', 0) > 4 * n.get('recvfrom', 0), calls.table(mib)
    # It takes two seconds: a portion each 5 ms, and an event for each.
    assert n['epoll_wait'] < 1200, calls.table(mib)
