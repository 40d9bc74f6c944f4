"""Clients that mean harm: nothing grows, nothing is left, others are served.
"""
import os
import random
import time

from lib import client
from lib.case import SLOWNESS, alone, eventually, fewer, measured, timeout
from lib.client import dial, echoes, reset, tunnel
from lib.daemon import Daemon
from lib.origin import Origin, echo

MIB = 1 << 20

GOOD = (b'\5\2\0\2', b'\5\1\0\5\1\0\1\x7f\0\0\1\0\1',
        b'CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: a\r\n\r\n')
HELLO = b'\x16\3\1\2\0\1\0\1\xfc\3\3' + bytes(60)


def bad_start(i, rng):
    """Something that is no good handshake, of one of six kinds."""
    good = GOOD[i // 6 % len(GOOD)]
    kind = i % 6
    if kind == 0:
        return rng.randbytes(rng.randint(1, 300))
    if kind == 1:
        return bytes(rng.choice(good + rng.randbytes(2))
                     for _ in range(rng.randint(1, 40)))
    if kind == 2:
        return good[:rng.randint(0, len(good) - 1)]
    if kind == 3:
        return HELLO
    if kind == 4:
        return b'GET / HTTP/1.1\r\nA: ' + b'x' * 200 + b'\r\n\r\n'
    return b'\5' + rng.randbytes(1)


def assault(d, count, seed):
    """Makes `count` bad connections, half of them end by a reset."""
    rng = random.Random(seed)
    refused = 0
    for i in range(count):
        try:
            s = dial(d.address, 5)
            s.sendall(bad_start(i, rng))
        except OSError:
            refused += 1
            continue
        if i % 2:
            reset(s)
        else:
            s.close()
    return refused


def shrinks(d, before):
    """Waits until the memory is given back, but for some that is kept."""
    eventually(lambda: d.memory() - before < measured(4 * MIB),
               said=lambda: f'{d.memory() - before} bytes more in memory')


@alone
@timeout(120)
def test_24000_bad_handshakes_leave_nothing_behind(t):
    d = Daemon(t)
    o = Origin(t, echo)
    assault(d, 2000, 1)
    d.wait_rest(30)
    before = d.memory()
    start = time.monotonic()
    refused = assault(d, fewer(24000), 2)
    took = time.monotonic() - start
    assert refused < 20, f'{refused} connections failed'
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
    assert took < 30 * SLOWNESS, f'{took:.0f} s'
    d.wait_rest(30)
    shrinks(d, before)


@alone
@timeout(60)
def test_2000_half_open_handshakes_leave_nothing_behind(t):
    d = Daemon(t, {'timeouts': {'handshake': '60s'}})
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
    before = d.memory()
    count = fewer(2000, 2)
    held = []
    for i in range(count):
        s = dial(d.address)
        s.sendall(b'C' if i % 2 else b'\5')
        held.append(s)
    eventually(lambda: d.descriptors()['socket'] >=
               d.base['socket'] + count, said='all are accepted')
    with tunnel(d.address, o.target) as s:
        assert echoes(s), 'no service beside them'
    during = d.memory() - before
    assert during < measured(count * 16384), f'{during} bytes for {count}'
    for s in held:
        s.close()
    d.wait_rest(30)
    shrinks(d, before)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)


@alone
@timeout(60)
def test_3000_tunnels_reset_in_mid_transfer_leave_nothing_behind(t):
    d = Daemon(t)
    o = Origin(t, echo)

    def storm(count):
        for i in range(count):
            protocol = client.PROTOCOLS[i % 2]
            s = tunnel(d.address, o.target, protocol)
            s.sendall(bytes(20000))
            reset(s)

    storm(300)
    d.wait_rest(30)
    before = d.memory()
    count = fewer(3000)
    storm(count)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
    d.wait_rest(30)
    d.wait_access(300 + count, 30, command='connect')
    shrinks(d, before)


@alone
@timeout(60)
def test_targets_that_reset_in_mid_transfer_leave_nothing_behind(t):
    d = Daemon(t)

    def serve(s):
        s.sendall(bytes(50000))
        s.recv(1)
        reset(s)

    o = Origin(t, serve)
    count = fewer(1000)
    for _ in range(count):
        with tunnel(d.address, o.target) as s:
            s.sendall(b'x')
            client.read_to_end(s)
    d.wait_rest(30)
    d.wait_access(count, 30, outcome='target-reset')


@timeout(60)
def test_tunnels_that_come_and_go_leave_nothing_behind(t):
    d = Daemon(t)
    o = Origin(t, echo)
    for i in range(fewer(2000)):
        with tunnel(d.address, o.target, client.PROTOCOLS[i % 2]) as s:
            assert echoes(s)
    d.wait_rest()


def test_random_bytes_in_a_tunnel_are_nobodys_business(t):
    d = Daemon(t)
    o = Origin(t, echo)
    for protocol in client.PROTOCOLS:
        with tunnel(d.address, o.target, protocol) as s:
            for text in GOOD + (HELLO, os.urandom(10000)):
                assert echoes(s, text)
