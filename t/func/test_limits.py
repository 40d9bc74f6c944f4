"""Limits: what is full refuses or waits, and recovers by itself."""
import resource
import select
import socket
import struct
import time

from lib import client, conf
from lib.case import (SLOWNESS, Skip, alone, each, eventually, fewer, long,
                      measured, netns, patient, same, still, timeout, valgrind)
from lib.client import dial, echoes, tunnel
from lib.daemon import Daemon
from lib.origin import Listener, Origin, echo

MIB = 1 << 20


def probe(d, target, seconds=3):
    """Whether a tunnel works right now."""
    try:
        with tunnel(d.address, target, seconds=seconds) as s:
            return echoes(s)
    except (OSError, EOFError, AssertionError, client.ProxyError):
        return False


@valgrind
def test_a_full_house_lets_clients_wait(t):
    d = Daemon(t, {'workers': 1, 'limits': {'connections': 4}})
    o = Origin(t, echo)
    inside = [tunnel(d.address, o.target) for _ in range(4)]
    waiting = dial(d.address)
    waiting.sendall(b'\5\1\0')
    assert not select.select([waiting], [], [], 1)[0], \
        'a fifth connection was served'
    assert all(echoes(s) for s in inside)
    inside.pop().close()
    with waiting:
        same(client.read_exact(waiting, 2), b'\5\0')
    for s in inside:
        s.close()


def test_handshakes_are_bounded(t):
    d = Daemon(t, {'workers': 1, 'limits': {'handshakes': 10}})
    o = Origin(t, echo)
    held = []
    for _ in range(30):
        try:
            held.append(dial(d.address))
            held[-1].sendall(b'\5')
        except OSError:
            pass  # one too many: it was sent away
    time.sleep(0.2)
    assert d.descriptors()['socket'] < d.base['socket'] + 20
    for s in held:
        s.close()
    eventually(lambda: probe(d, o.target), said='it serves again')


class Tunnels:
    """Many tunnels, both ends held and driven by this one thread."""

    def __init__(self, d, listener):
        self.d, self.listener = d, listener
        self.near, self.far = [], []

    def open(self, count):
        ask = client.request('socks5', self.listener.target)
        while count:
            batch = min(count, 100)
            new = [dial(self.d.address) for _ in range(batch)]
            for s in new:
                s.sendall(ask)
            for s in new:
                same(client.take_reply(s, 'socks5'), 0)
            self.far += [self.listener.accept() for _ in range(batch)]
            self.near += new
            count -= batch

    def assert_alive(self):
        """Each carries a number of its own up, and it comes out once."""
        for i, s in enumerate(self.near):
            s.sendall(struct.pack('>I', i))
        seen = set()
        for s in self.far:
            data = client.read_exact(s, 4)
            seen.add(data)
            s.sendall(data)
        same(len(seen), len(self.near))
        for i, s in enumerate(self.near):
            assert client.read_exact(s, 4) == struct.pack('>I', i), i

    def close(self):
        for s in self.near + self.far:
            s.close()


def room_for(descriptors):
    """How many tunnels two processes can hold at this limit."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return min(descriptors, (limit - 1000) // 2)


@alone
@timeout(90)
def test_9000_tunnels_are_held_and_alive(t):
    d = Daemon(t)
    o = Listener(t, backlog=4096)
    tunnels = Tunnels(d, o)
    count = room_for(9000)
    if SLOWNESS > 1:
        count = min(count, 3000)
    tunnels.open(count // 9)
    tunnels.assert_alive()
    few = d.memory()
    tunnels.open(count - count // 9)
    tunnels.assert_alive()
    each = (d.memory() - few) / (count - count // 9)
    assert each < measured(1600), f'{each:.0f} bytes for each tunnel'
    used = d.cpu()
    time.sleep(1)
    used = d.cpu() - used
    assert used < measured(0.05), f'{used} s of CPU in a second of nothing'
    tunnels.assert_alive()
    tunnels.close()
    d.wait_access(count, 30, outcome='closed')


def scarce(d, soft):
    """Takes descriptors away from the running daemon."""
    try:
        hard = resource.prlimit(d.worker, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(d.worker, resource.RLIMIT_NOFILE, (soft, hard))
    except PermissionError as e:
        raise Skip(f'prlimit: {e}') from None


# Who stays who we are may be given other limits later, without the right to
# do that to anybody.
OURSELVES = {'user': ''}


@still
@timeout(60)
@each('later', 'from the start')
def test_too_few_descriptors_stop_no_running_tunnel(t, when):
    if when == 'later':
        d = Daemon(t, OURSELVES)
    else:
        d = Daemon(t, preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_NOFILE, (256, 256)))
    o = Origin(t, echo)
    running = [tunnel(d.address, o.target) for _ in range(20)]
    if when == 'later':
        scarce(d, 256)
    crowd = []
    for _ in range(600):
        try:
            crowd.append(dial(d.address, 3))
        except OSError:
            pass
    time.sleep(0.5)
    used = d.cpu()
    start = time.monotonic()
    time.sleep(4)
    used = (d.cpu() - used) / (time.monotonic() - start)
    assert used < measured(0.02), f'{used:.1%} CPU without descriptors'
    assert all(echoes(s) for s in running), 'a tunnel stands still'
    for s in crowd:
        s.close()
    start = time.monotonic()
    eventually(lambda: probe(d, o.target, 1), 5, 'service is back')
    took = time.monotonic() - start
    assert took < measured(1.0), f'service is back after {took:.2f} s'
    for _ in range(20):
        assert probe(d, o.target)
    assert all(echoes(s) for s in running)
    for s in running:
        s.close()


@still
@timeout(60)
def test_tunnels_that_find_no_descriptor_are_refused(t):
    # Here the crowd asks for tunnels: what fails is the second socket.
    d = Daemon(t, OURSELVES)
    o = Origin(t, echo)
    inside = [tunnel(d.address, o.target) for _ in range(10)]
    scarce(d, 200)
    crowd = []
    for _ in range(200):
        try:
            s = dial(d.address, 3)
            s.sendall(client.request('socks5', o.target))
            crowd.append(s)
        except OSError:
            pass
    time.sleep(1)
    assert all(echoes(s) for s in inside)
    for s in crowd:
        s.close()
    eventually(lambda: probe(d, o.target, 1), 5, 'service is back')
    assert all(echoes(s) for s in inside)
    for s in inside:
        s.close()


@netns
def test_too_few_ports_fail_the_session_only(t):
    with open('/proc/sys/net/ipv4/ip_local_port_range', 'w',
              encoding='ascii') as f:
        f.write('40000 40039')
    o = Origin(t, echo, port=7)
    d = Daemon(t, {'listeners': [conf.listener(address=['127.0.0.1:1080'])]})
    # Clients pick their ports by themselves: those of the range are ours.
    inside, codes = [], set()
    for i in range(50):
        s = socket.socket()
        s.settimeout(patient(10))
        s.bind(('127.0.0.1', 20000 + i))
        s.connect(d.address)
        s.sendall(client.request('socks5', o.target))
        code = client.take_reply(s, 'socks5')
        if code:
            codes.add(code)
            s.close()
        else:
            inside.append(s)
    assert len(inside) == 40 and codes == {client.FAILURE}, \
        (len(inside), codes)
    d.wait_access(10, outcome='no-resources')
    assert all(echoes(s) for s in inside)
    for s in inside:
        s.close()


@long
def test_the_automatic_limit_follows_the_descriptors(t):
    soft = 1000

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, soft))

    d = Daemon(t, {'workers': 1}, preexec_fn=limit)
    o = Origin(t, echo)
    held, refused = [], 0
    for _ in range(400):
        s = socket.socket()
        s.settimeout(patient(0.5 if held and refused else 5))
        try:
            s.connect(d.address)
            s.sendall(client.request('socks5', o.target))
            same(client.take_reply(s, 'socks5'), 0)
            held.append(s)
        except OSError:  # it waits in the queue: nobody accepts
            refused += 1
            s.close()
            break
    assert refused, f'{len(held)} tunnels with {soft} descriptors'
    assert len(held) >= 100, f'only {len(held)} tunnels'
    assert 'EMFILE' not in d.log() and 'Too many open' not in d.log()
    for s in held[:fewer(50)]:
        s.close()
    eventually(lambda: probe(d, o.target), said='it serves again')
    for s in held:
        s.close()
