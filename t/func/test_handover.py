"""Sockets from one generation to the next where the two do not agree:
other addresses, listeners that go and come, addresses that come late."""
import os
import signal

from lib import conf, proc
from lib.case import each, eventually, same
from lib.client import dial, echoes, tunnel
from lib.daemon import Daemon
from lib.handoff import (FAILED, GO, NO_CONTROL, PREPARED, Generation,
                         listening)
from lib.origin import Origin, echo, unused_port
from lib.serving import Newcomer, fixed, served


def reloaded(d, listeners):
    d.write({'listeners': listeners})
    answer = d.control.ask('reload wait', 30)[-1]
    assert answer['ok'], answer


def several(*names, port):
    return [f'{name}:{port}' for name in names]


@each((['127.0.0.1'], ['0.0.0.0']), (['0.0.0.0'], ['127.0.0.1']),
      (['[::]'], ['[::]', '0.0.0.0']), (['[::]', '0.0.0.0'], ['[::]']))
def test_an_address_may_become_wider_or_narrower(t, change):
    port = unused_port()
    before, after = ([conf.listener(address=several(*names, port=port),
                                    v6only=len(names) > 1)]
                     for names in change)
    d = Daemon(t, {'listeners': before})
    o = Origin(t, echo)
    here = ('127.0.0.1', port)
    served(d, o, 4, here)
    reloaded(d, after)
    d.wait_alone()
    served(d, o, 20, here)
    reloaded(d, before)
    d.wait_alone()
    served(d, o, 20, here)
    d.rebase()


def test_a_listener_that_goes_and_comes_back_is_not_lost(t):
    one, other = fixed(), fixed(name='other')
    d = Daemon(t, {'listeners': [one, other]})
    o = Origin(t, echo)
    there = conf_address(other)
    first = d.worker
    os.kill(first, signal.SIGSTOP)  # it stops accepting late
    try:
        reloaded(d, [one])
        reloaded(d, [one, other])
    finally:
        os.kill(first, signal.SIGCONT)
    d.wait_alone()
    served(d, o, 10, there)
    reloaded(d, [one, other])
    d.wait_alone()
    served(d, o, 10, there)
    d.rebase()


def conf_address(listener):
    host, port = listener['address'][0].rsplit(':', 1)
    return host, int(port)


def test_an_address_that_comes_during_a_reload_is_served(t):
    taken = listening(port=unused_port(), share=False)
    late = taken.getsockname()
    d = Daemon(t, {'listeners': [
        conf.listener(),
        conf.listener(name='late', address=[f'127.0.0.1:{late[1]}'],
                      optional=True)]})
    o = Origin(t, echo)
    new = Newcomer(d)
    # It has looked, in vain, and stops before it serves.
    eventually(lambda: d.log().count('cannot listen on') >= 2 or
               d.worker == new.pid, said='its look')
    os.kill(new.pid, signal.SIGSTOP)
    try:
        taken.close()
        eventually(lambda: 'listens on' in d.log() or
                   d.worker == new.pid, 6, 'the older one opens it')
    finally:
        os.kill(new.pid, signal.SIGCONT)
    d.wait_ready(2)
    eventually(lambda: answers(late), 15, 'the late address is served')
    served(d, o, 10, late)
    d.wait_alone()
    served(d, o, 10, late)
    served(d, o, 4)
    d.rebase()


def answers(address):
    """Somebody accepts there and speaks SOCKS5."""
    try:
        with dial(address, 2) as s:
            s.sendall(b'\5\1\0')
            return s.recv(2) == b'\5\0'
    except OSError:
        return False


def test_one_that_fails_in_the_last_moment_takes_nobody_along(t):
    shared, taken = unused_port(), unused_port()
    base = {**NO_CONTROL, 'user': None, 'sandbox': 'off'}
    one = [conf.listener(address=[f'127.0.0.1:{shared}'])]
    two = [*one, conf.listener(name='two', address=[f'127.0.0.1:{taken}'])]
    old = Generation(t, {**base, 'listeners': one}).serve()
    new = Generation(t, {**base, 'listeners': two}, old.passed_on(), number=2)
    new.until(PREPARED)
    os.kill(old.pid, signal.SIGSTOP)
    eventually(lambda: proc.status(old.pid)['State'][0] == 'T')
    clients = [dial(('127.0.0.1', shared), 5) for _ in range(40)]
    for c in clients:
        c.sendall(b'\5\1\0')
    with listening(port=taken):  # another program is quicker
        new.send(GO)
        new.until(FAILED)
    os.kill(old.pid, signal.SIGCONT)
    for c in clients:
        same(c.recv(2), b'\5\0')
        c.close()


def test_one_that_is_told_to_end_by_a_signal_is_replaced(t):
    d = Daemon(t, {'timeouts': {'shutdown': '20s'}})
    o = Origin(t, echo)
    old = d.worker
    with tunnel(d.address, o.target) as s:
        os.kill(old, signal.SIGTERM)
        eventually(lambda: d.control.status().get('generation') == 2 or
                   d.serving() and d.worker != old, 5, 'another one serves')
        served(d, o, 10)
        assert echoes(s)
    d.found = None
    d.wait_alone()
    d.rebase()
