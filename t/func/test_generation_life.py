"""The life of a generation after its start, with a master that the test
plays: what it does when told, and how it ends."""
import os
import signal
import time

from lib import conf
from lib.case import each, eventually, patient, same
from lib.client import (SUCCEEDED, dial, echoes, noise, read_to_end,
                        socks5_greet, socks5_reply, socks5_request, tunnel)
from lib.handoff import (ADOPT, DRAIN, FINISH, GONE, HALT, NO_CONTROL,
                         PREPARED, REOPEN, SHUTDOWN, SOCKETS, STOPPED,
                         UNCLAIMED, Generation, listening, on, port,
                         start)
from lib.origin import Listener, Origin, echo, unused_port
from lib.serving import refused


# --- Its end ----------------------------------------------------------------

def test_it_drains_when_told(t):
    g = start(t)
    o = Origin(t, echo)
    with tunnel(g.address, o.target) as s:
        g.send(DRAIN)
        same(g.take().type, STOPPED)
        g.send(DRAIN)
        for _ in range(10):
            assert echoes(s, noise(20000))
        time.sleep(0.1)
        same(g.poll(), None)
    g.wait_exit(0)
    assert 'generation 1: draining; open sessions: 1' in g.log()
    assert 'generation 1 has ended' in g.log()


def test_a_handshake_survives_the_drain(t):
    g = start(t)
    o = Origin(t, echo)
    with dial(g.address) as silent, dial(g.address) as s:
        socks5_greet(s)
        g.send(DRAIN)
        g.until(STOPPED)
        s.sendall(socks5_request(*o.target))
        same(socks5_reply(s).code, SUCCEEDED)
        socks5_greet(silent)
        silent.sendall(socks5_request(*o.target))
        same(socks5_reply(silent).code, SUCCEEDED)
        assert echoes(s) and echoes(silent)
    g.wait_exit(0)


def test_a_drain_may_have_an_end(t):
    g = Generation(t, {**on('127.0.0.1:0'),
                       'timeouts': {'drain': '500ms'}}).serve()
    o = Origin(t, echo)
    with tunnel(g.address, o.target) as s:
        before = time.monotonic()
        g.send(DRAIN)
        read_to_end(s)
        assert time.monotonic() - before > 0.45
        g.wait_exit(0)
    assert 'sessions cut: 1' in g.log()


def test_without_its_master_it_drains(t):
    g = start(t)
    o = Origin(t, echo)
    for _, s in g.held:
        s.close()
    with tunnel(g.address, o.target) as s:
        g.control.close()
        eventually(lambda: refused(g.address), said='no new clients')
        for _ in range(10):
            assert echoes(s)
        same(g.poll(), None)
    g.wait_exit(0)
    assert 'the master is gone' in g.log()


def has_ended(s):
    """Whether its end has come by now."""
    s.setblocking(False)
    try:
        return not s.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_to_finish_the_idle_go_first(t):
    g = start(t)
    o = Origin(t, echo)
    idle = [tunnel(g.address, o.target) for _ in range(3)]
    assert all(echoes(s) for s in idle)
    time.sleep(1.2)
    with tunnel(g.address, o.target) as busy:
        before = time.monotonic()
        g.send(FINISH)
        g.until(STOPPED)
        try:
            while True:
                assert echoes(busy)
                idle = [s for s in idle if not has_ended(s)]
        except (OSError, EOFError):
            end = time.monotonic() - before
        # Seen now at the latest, if this test had to wait for its turn.
        assert all(map(has_ended, idle)), len(idle)
        assert 0.6 < end < patient(3), end
    g.wait_exit(0)
    assert 'too many generations: sessions cut: 4' in g.log(), g.log()


def test_to_finish_after_a_long_drain(t):
    g = start(t)
    o = Origin(t, echo)
    with tunnel(g.address, o.target) as s:
        g.send(DRAIN)
        g.until(STOPPED)
        time.sleep(0.3)
        g.send(FINISH)
        g.wait_exit(0, 5)
        read_to_end(s)


@each('message', 'signal')
def test_a_shutdown_is_bounded(t, how):
    g = Generation(t, {**on('127.0.0.1:0'),
                       'timeouts': {'shutdown': '700ms'}}).serve()
    far = Listener(t)
    with tunnel(g.address, far.target) as s, far.accept() as other:
        before = time.monotonic()
        if how == 'message':
            g.send(SHUTDOWN)
        else:
            g.signal(signal.SIGTERM)
        g.until(STOPPED)
        g.wait_exit(0)
        assert time.monotonic() - before > 0.65
        read_to_end(s)
        read_to_end(other)


@each('message', 'signal', 'second signal')
def test_a_halt_is_at_once(t, how):
    g = Generation(t, {**on('127.0.0.1:0'),
                       'timeouts': {'shutdown': '60s'}}).serve()
    o = Origin(t, echo)
    with tunnel(g.address, o.target) as s:
        if how == 'message':
            g.send(SHUTDOWN)
            g.until(STOPPED)
            g.send(HALT)
        elif how == 'signal':
            g.signal(signal.SIGINT)
        else:
            g.signal(signal.SIGTERM)
            g.until(STOPPED)
            g.signal(signal.SIGTERM)
        g.wait_exit(0, 3)
        read_to_end(s)


# --- While it lives ---------------------------------------------------------

@each(signal.SIGHUP, signal.SIGUSR2, signal.SIGUSR1, signal.SIGPIPE)
def test_signals_meant_for_the_master_do_nothing(t, signo):
    g = start(t)
    o = Origin(t, echo)
    with tunnel(g.address, o.target) as s:
        for _ in range(5):
            g.signal(signo)
            assert echoes(s)
    same(g.poll(), None)


@each('message', 'signal')
def test_it_opens_its_log_anew(t, how):
    os.chmod(t.dir, 0o777)
    path = t.path('file.log')
    g = Generation(t, {**on('127.0.0.1:0'),
                       'log': {'target': f'file:{path}'}}).serve()
    os.rename(path, path + '.1')
    if how == 'message':
        g.send(REOPEN)
    else:
        g.signal(signal.SIGUSR1)
    eventually(lambda: os.path.exists(path), said='a new log')


def test_what_makes_no_sense_is_left_out(t):
    g = start(t)
    g.control.send(b'x')
    g.control.send(b'x' * 64)
    g.send(999, b'a later version')
    r, w = os.pipe()
    for kind in (PREPARED, UNCLAIMED, 999):
        g.send(kind, b'text', fds=[r, w])
    g.wait_log('no message')
    o = Origin(t, echo)
    with tunnel(g.address, o.target) as s:
        assert echoes(s)
    os.close(w)
    same(os.read(r, 1), b'')  # nobody has kept the other end
    os.close(r)
    g.send(HALT)
    g.wait_exit(0)


def test_it_adopts_what_a_newer_one_leaves(t):
    o = Origin(t, echo)
    old = Generation(t, {**on('127.0.0.1:0'), 'workers': 1}).serve()
    s = listening(*old.address)
    elsewhere = listening()
    with s, elsewhere:
        old.send(ADOPT, b'lan', fds=[s.fileno()])
        old.send(ADOPT, b'lan', fds=[elsewhere.fileno()])
        old.wait_log('cannot be taken over')
    for _ in range(40):
        with tunnel(old.address, o.target) as c:
            assert echoes(c)


def test_the_limit_holds_over_generations(t):
    limit = {**on('127.0.0.1:0'), 'workers': 1,
             'limits': {'connections': 4}}
    o = Origin(t, echo)
    old = Generation(t, limit).serve()
    first = [tunnel(old.address, o.target) for _ in range(3)]
    new = Generation(t, limit, old.passed_on(), number=2).serve()
    old.send(DRAIN)
    old.until(STOPPED)
    with tunnel(new.address, o.target) as s:
        assert echoes(s)
        with dial(new.address) as late:
            late.sendall(b'\5\1\0')
            late.settimeout(0.4)
            try:
                raise AssertionError(late.recv(2))
            except TimeoutError:
                pass
            first.pop().close()
            late.settimeout(patient(10))
            same(late.recv(2), b'\5\0')
    old.signal(signal.SIGKILL)
    old.wait_exit(-signal.SIGKILL)
    # Its counts stand still until the master says that it is gone.
    new.send(GONE, number=1)
    all_of_them = [tunnel(new.address, o.target) for _ in range(4)]
    assert all(echoes(s) for s in all_of_them)
    for s in first + all_of_them:
        s.close()


def test_sockets_that_come_late_are_sent_up(t):
    late = unused_port()
    blocker = listening(port=late)
    g = Generation(t, {**NO_CONTROL, 'listeners': [
        conf.listener(),
        conf.listener(name='late', address=[f'127.0.0.1:{late}'],
                      optional=True)]}).serve()
    before = len(g.held)
    blocker.close()
    m = g.until(SOCKETS)
    same((m.text, len(g.held) - before), ('late', 2))
    o = Origin(t, echo)
    with tunnel(('127.0.0.1', late), o.target) as s:
        assert echoes(s)


# --- Alone ------------------------------------------------------------------

def alone(t, changes, sockets=()):
    g = Generation(t, changes, sockets, args=['--single'], single=True)
    g.wait_log('is ready on')
    return g


def test_alone_it_takes_sockets_of_the_service_manager(t):
    s, other = listening(share=False), listening(share=False)
    g = alone(t, on(f'127.0.0.1:{port(s)}'),
              [('x.socket', s), ('y.socket', other)])
    o = Origin(t, echo)
    with tunnel(s.getsockname(), o.target) as c:
        assert echoes(c)
    assert f'"y.socket" 127.0.0.1:{port(other)} is no listener\'s' in g.log()
    g.signal(signal.SIGTERM)
    g.wait_exit(0)
    assert 'spliced has ended' in g.log()


def test_alone_it_cannot_reload(t):
    g = alone(t, on('127.0.0.1:0'))
    g.signal(signal.SIGHUP)
    g.wait_log('needs a restart')
    g.signal(signal.SIGINT)
    g.wait_exit(0)


def test_alone_a_bad_file_is_status_1(t):
    g = Generation(t, text='one = 1;', args=['--single'], single=True)
    g.wait_exit(1)
    assert f'{g.conf_path}:1: ' in g.log()
