"""Several generations beside each other: their cost, bounds, and handover."""
import re
import threading
import time

from lib import client, proc
from lib.case import (alone, eventually, fewer, measured, patient, same, still,
                      timeout)
from lib.client import dial, echoes, tunnel
from lib.daemon import Daemon
from lib.dns import Answer, DnsServer
from lib.origin import Origin, Silent, echo
from lib.serving import served


# --- what a reload costs ----------------------------------------------------

@alone
@timeout(60)
def test_fifty_reloads_leave_nothing_behind(t):
    d = Daemon(t)
    o = Origin(t, echo)
    served(d, o, 20)
    for _ in range(5):
        d.reload()
        served(d, o, 4)
    d.wait_alone()
    master, worker = proc.memory(d.pid), d.memory()
    links = len(proc.links(d.pid))
    for _ in range(fewer(45)):
        d.reload()
        served(d, o, 4)
    d.wait_alone()
    eventually(lambda: len(proc.links(d.pid)) <= links,
               said=lambda: f'{proc.links(d.pid)}, {links} before')
    grown = proc.memory(d.pid) - master
    assert grown < measured(master * 0.1 + 65536), f'{grown} of {master}'
    grown = d.memory() - worker
    assert grown < measured(worker * 0.1), f'{grown} of {worker}'
    d.assert_polled()


@alone
def test_a_reload_takes_at_most_150_ms(t):
    d = Daemon(t)
    took = [d.control.ask('reload wait', 20)[-1]['ms'] for _ in range(15)]
    print('ms:', took)
    # The machine may be busy with something else once.
    assert sorted(took)[-3] <= measured(150), took
    d.wait_alone()
    d.rebase()


# --- limits over generations ------------------------------------------------

@timeout(60)
def test_the_oldest_generations_give_way(t):
    d = Daemon(t, {'limits': {'generations': 3}})
    o = Origin(t, echo)
    held = []
    for i in range(6):
        held.append([tunnel(d.address, o.target) for _ in range(3)])
        if i < 5:
            d.reload(rebase=False)
        assert len([g for g in d.generations()
                    if g['state'] != 'ending']) <= 3, d.generations()
    eventually(lambda: len(d.generations()) == 3, 10,
               lambda: d.generations())
    same([g['generation'] for g in d.generations()], [4, 5, 6])
    for group in held[3:]:
        for s in group:
            assert echoes(s)
    for group in held[:3]:
        for s in group:
            client.read_to_end(s)
            s.close()
    log = d.log()
    for n in (1, 2, 3):
        assert re.search(rf'limits\.generations.*generation {n}\b', log), n
    same(len(re.findall('too many generations: sessions cut: 3', log)), 3)
    for group in held[3:]:
        for s in group:
            s.close()
    d.wait_alone()


@still
def test_who_is_idle_has_to_go_first(t):
    d = Daemon(t, {'limits': {'generations': 2}})
    o = Origin(t, echo)
    ended = {}

    def watch(name, s, busy):
        try:
            while echoes(s) and busy:
                time.sleep(0.02)
            client.read_to_end(s)
        except (OSError, EOFError):
            pass
        ended[name] = time.monotonic()
        s.close()

    threads = []
    for name, busy in (('busy', True), ('idle', False)):
        s = tunnel(d.address, o.target, seconds=20)
        threads.append(threading.Thread(target=watch, args=(name, s, busy),
                                        daemon=True))
        threads[-1].start()
    time.sleep(1.2)
    d.reload(rebase=False)
    start = time.monotonic()
    d.reload(rebase=False)
    for thread in threads:
        thread.join(patient(10))
    same(set(ended), {'busy', 'idle'})
    assert ended['idle'] < ended['busy'], ended
    assert ended['busy'] - start < measured(2), ended['busy'] - start
    d.wait_alone()


def test_a_drain_may_have_an_end(t):
    d = Daemon(t, {'timeouts': {'drain': '1s'}})
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
        d.reload(rebase=False)
        assert echoes(s)
        client.read_to_end(s)
    d.wait_alone()


def test_connections_are_counted_over_generations(t):
    d = Daemon(t, {'limits': {'connections': 10}})
    o = Origin(t, echo)
    old = [tunnel(d.address, o.target) for _ in range(6)]
    d.reload(rebase=False)
    new = [tunnel(d.address, o.target) for _ in range(4)]
    with dial(d.address, 1) as late:
        late.sendall(b'\5\1\0')
        try:
            late.recv(2)
            raise AssertionError('the eleventh was served')
        except TimeoutError:
            pass
        late.settimeout(10)
        old.pop().close()
        same(client.read_exact(late, 2), b'\5\0')
    for s in old + new:
        assert echoes(s)
        s.close()


# --- clients in the middle of a handshake -----------------------------------

class Parked:
    """Clients that stand still at one point of their handshake."""

    def __init__(self, t, d, o, count):
        self.t, self.d, self.o, self.count = t, d, o, count
        self.silent = Silent(t)
        self.clients = {}
        names = t.names.records
        for kind in ('A', 'AAAA'):
            names['slow.example', kind] = Answer(
                ['127.0.0.1'] if kind == 'A' else [], delay=2.5)

    def park(self):
        whole = client.socks5_request(*self.o.target)
        states = {
            'silent': b'', 'half a greeting': b'\5',
            'greeted': b'\5\1\0', 'half a request': b'\5\1\0' + whole[:6],
            'connecting': b'\5\1\0' + client.socks5_request(
                *self.silent.target),
            'waiting for a name': b'\5\1\0' + client.socks5_request(
                'slow.example', self.o.port)}
        for state, text in states.items():
            self.clients[state] = [dial(self.d.address, 20)
                                   for _ in range(self.count)]
            for s in self.clients[state]:
                s.sendall(text)
        for state in list(states)[2:]:
            for s in self.clients[state]:
                same(client.read_exact(s, 2), b'\5\0')

    def go_on(self):
        """Everyone finishes: none is lost."""
        whole = client.socks5_request(*self.o.target)
        rest = {'silent': b'\5\1\0' + whole,
                'half a greeting': b'\1\0' + whole,
                'greeted': whole, 'half a request': whole[6:],
                'connecting': b'', 'waiting for a name': b''}
        self.silent.socket.listen(1024)
        threading.Thread(target=self.answer, daemon=True).start()
        for state, text in rest.items():
            for s in self.clients[state]:
                s.sendall(text)
        for state in rest:
            for i, s in enumerate(self.clients[state]):
                try:
                    if state in ('silent', 'half a greeting'):
                        same(client.read_exact(s, 2), b'\5\0')
                    same(client.socks5_reply(s).code, client.SUCCEEDED)
                    assert echoes(s)
                except Exception as e:
                    raise AssertionError(f'{state}, client {i}: {e!r}') from e
                s.close()

    def answer(self):
        while True:
            try:
                s = self.silent.socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.one, args=(s,), daemon=True).start()

    @staticmethod
    def one(s):
        with s:
            try:
                echo(s)
            except OSError:
                pass


@still
@timeout(90)
def test_no_client_in_a_handshake_is_lost(t):
    t.names = DnsServer(t)
    d = Daemon(t, {'names': {'servers': [t.names.address], 'timeout': '20s'},
                   'timeouts': {'handshake': '60s', 'connect': '60s',
                                'name': '60s'}})
    parked = Parked(t, d, Origin(t, echo), fewer(100))
    parked.park()
    for _ in range(3):
        d.reload(rebase=False)
    parked.go_on()
    d.wait_alone()
