"""The start of a generation, with a master that the test plays: what it
says, what it takes over, and that a failed one leaves no trace."""
import os
import signal
import socket

from lib import conf, proc
from lib.case import Skip, each, eventually, same
from lib.client import dial, echoes, noise, request, take_reply, tunnel
from lib.handoff import (ACCEPTING, DRAIN, FAILED, FINISH, GO, HALT,
                         NO_CONTROL, PREPARED, SEGMENT, SHUTDOWN, SOCKETS,
                         STOPPED, Generation, cookie, is_listening, listening,
                         on, port, start)
from lib.origin import Origin, echo, unused_port
from lib.serving import refused


# --- Start ------------------------------------------------------------------

def test_it_prepares_and_waits_for_the_word(t):
    g = Generation(t, {**on('127.0.0.1:0'), 'workers': 3,
                       'timeouts': {'start': '7s', 'shutdown': '4s',
                                    'watchdog': '3s'},
                       'limits': {'generations': 5}})
    same(g.take().type, SEGMENT)
    assert os.readlink(f'/proc/self/fd/{g.segment}').startswith('/memfd:')
    m = g.take()
    same((m.type, m.text, len(m.fds)), (SOCKETS, 'lan', 3))
    same(g.take().type, PREPARED)
    same(g.settings, (5, 7000, 4000, 3000))
    # Bound, so that nobody else can have the port, but closed to clients.
    ports = {port(s) for _, s in g.held}
    same(len(ports), 1)
    assert not any(is_listening(s) for _, s in g.held)
    assert refused(('127.0.0.1', ports.pop()))
    g.send(GO)
    same(g.take().type, ACCEPTING)
    assert all(is_listening(s) for _, s in g.held)
    o = Origin(t, echo)
    with tunnel(g.address, o.target) as s:
        assert echoes(s)
    g.wait_log('spliced is ready on 127.0.0.1:')
    assert 'generation' not in g.log().split('ready on')[1]


def test_a_later_one_says_its_number(t):
    g = start(t, number=4711)
    g.wait_log('sessions, generation 4711)')


def test_it_keeps_no_descriptor_over_an_exec(t):
    old = start(t)
    g = Generation(t, on('127.0.0.1:0'), old.passed_on(), number=2).serve()
    for n in os.listdir(f'/proc/{g.pid}/fd'):
        flags = proc.fields(f'/proc/{g.pid}/fdinfo/{n}')['flags'].strip()
        to = os.readlink(f'/proc/{g.pid}/fd/{n}')
        if int(n) > 2:
            assert int(flags, 8) & os.O_CLOEXEC, (n, to)


def test_it_asks_no_service_manager(t):
    path = t.path('notify')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.setblocking(False)
        os.environ['NOTIFY_SOCKET'] = path
        g = start(t)
        g.send(HALT)
        g.wait_exit(0)
        try:
            raise AssertionError(s.recv(4096))
        except BlockingIOError:
            pass


# --- Failures before it serves ----------------------------------------------

def test_a_bad_file_is_told_to_both_sides(t):
    g = Generation(t, text='one = 1;\ntwo = 2;\n')
    text = g.fails()
    for part in (f'{g.conf_path}:1: ', f'{g.conf_path}:2: '):
        assert part in text, text
        assert part in g.log(), g.log()


def test_a_missing_file_is_told(t):
    g = Generation(t, args=['--config', '/nonexistent/a.conf'])
    assert '/nonexistent/a.conf' in g.fails()


def test_a_port_in_use_is_told(t):
    o = Origin(t, echo)
    g = Generation(t, on(f'127.0.0.1:{o.port}'))
    text = g.fails()
    assert f'127.0.0.1:{o.port}' in text and 'in use' in text, text
    assert f'127.0.0.1:{o.port}' in g.log()


def test_a_missing_user_is_told(t):
    if os.geteuid():
        raise Skip('needs to be started as root')
    g = Generation(t, {**on('127.0.0.1:0'), 'user': 'no-such-user'})
    assert 'no-such-user' in g.fails()


def test_a_log_that_cannot_be_written_is_told(t):
    g = Generation(t, {**on('127.0.0.1:0'),
                       'log': {'target': 'file:/nonexistent/log'}})
    assert '/nonexistent/log' in g.fails()


def test_a_control_socket_that_cannot_be_is_told(t):
    g = Generation(t, {**on('127.0.0.1:0'),
                       'admin': {'socket': '/proc/control'}})
    assert '/proc/control' in g.fails()


def test_the_older_one_notices_no_failure(t):
    addresses = [f'127.0.0.1:{unused_port()}' for _ in range(2)]
    old = start(t, *addresses)
    before = [s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
              for _, s in old.held]
    assert all(before)
    o = Origin(t, echo)
    taken = f'127.0.0.1:{o.port}'
    with tunnel(old.address, o.target) as s:
        for i, change in enumerate((
                {'listeners': [conf.listener(address=[*addresses, taken],
                                             keepalive=False)]},
                {'listeners': [conf.listener(address=addresses[:1],
                                             keepalive=False)],
                 'log': {'target': 'file:/nonexistent/log'}},
                {'listeners': [conf.listener(address=addresses,
                                             keepalive=False)],
                 'outbound': {'source': ['192.0.2.77']}})):
            g = Generation(t, {**NO_CONTROL, **change}, old.passed_on(),
                           number=2 + i)
            g.fails()
            assert echoes(s)
        same(before, [s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                      for _, s in old.held])
        for address in old.addresses:
            for _ in range(10):
                with tunnel(address, o.target) as other:
                    assert echoes(other)


@each(-1, 0, 2, 9)
def test_a_wrong_count_is_refused(t, count):
    s = listening()
    value = f'1 4 {count}'
    g = Generation(t, on(f'127.0.0.1:{port(s)}'), [('lan', s)], value=value)
    if count < 0:
        g.wait_exit(1)
    else:
        assert 'promised' in g.fails()
    same(g.held, [])


@each('', 'nonsense', '0 3 0', '1 3', '1 3 0 0', '1 1 0', '1 99 0',
      '1 3 0x', '4294967296 3 0', '1 3  0', '99999999999999999999 3 0')
def test_what_no_master_says_is_refused(t, value):
    g = Generation(t, on('127.0.0.1:0'), value=value or ' ')
    g.wait_exit(1)
    assert 'SPLICED_GENERATION' in g.log()
    same(g.receive(), None)


def test_no_master_at_all_is_refused(t):
    g = Generation(t, on('127.0.0.1:0'), value='1 2 0')
    g.wait_exit(1)


def test_descriptors_for_another_process_are_refused(t):
    s = listening()
    g = Generation(t, on(f'127.0.0.1:{port(s)}'), [('lan', s)], pid=1)
    assert 'promised' in g.fails()
    same(g.held, [])


@each('', 'a:b', 'a:b:c')
def test_a_wrong_number_of_names_is_refused(t, names):
    s = listening()
    g = Generation(t, on(f'127.0.0.1:{port(s)}'),
                   [('lan', s)] + ([('wan', s)] if names == '' else []),
                   names=names)
    g.fails()
    same(g.held, [])


@each('at once', 'segment', 'sockets', 'prepared')
def test_without_its_master_it_does_not_serve(t, stage):
    s = listening()
    g = Generation(t, on(f'127.0.0.1:{port(s)}', '127.0.0.1:0'),
                   [('lan', s)])
    if stage == 'segment':
        g.until(SEGMENT)
    elif stage == 'sockets':
        g.until(SOCKETS, ack=False)
    elif stage == 'prepared':
        g.until(PREPARED)
    g.control.close()
    g.wait_exit(1)
    assert 'ready' not in g.log()
    with dial(s.getsockname()):
        pass


@each(DRAIN, FINISH, SHUTDOWN, HALT)
def test_told_to_end_before_it_serves_it_does(t, order):
    g = Generation(t, on('127.0.0.1:0'))
    g.until(PREPARED)
    g.send(order)
    same(g.take().type, FAILED)
    g.wait_exit(1)


def test_told_to_end_instead_of_an_answer_it_does(t):
    g = Generation(t, on('127.0.0.1:0'))
    g.until(SOCKETS, ack=False)
    g.send(HALT)
    same(g.take().type, FAILED)
    g.wait_exit(1)


# --- Taking over ------------------------------------------------------------

def test_sockets_go_from_one_to_the_next(t):
    o = Origin(t, echo)
    old = start(t)
    with tunnel(old.address, o.target) as s:
        new = Generation(t, on('127.0.0.1:0'), old.passed_on(), number=2)
        new.until(PREPARED)
        same((new.held, new.unclaimed), ([], []))
        new.send(GO)
        new.until(ACCEPTING)
        same(new.addresses, old.addresses)
        old.send(DRAIN)
        same(old.take().type, STOPPED)
        for _ in range(20):
            with tunnel(new.address, o.target) as other:
                assert echoes(other)
        assert echoes(s, noise(100000))
        same(old.poll(), None)
    old.wait_exit(0)
    with tunnel(new.address, o.target) as s:
        assert echoes(s)


def test_what_is_queued_at_the_change_is_served(t):
    o = Origin(t, echo)
    old = start(t)
    new = Generation(t, on('127.0.0.1:0'), old.passed_on(), number=2)
    new.until(PREPARED)
    old.signal(signal.SIGSTOP)
    eventually(lambda: proc.status(old.pid)['State'][0] == 'T')
    waiting = [dial(old.address) for _ in range(100)]
    new.send(GO)
    new.until(ACCEPTING)
    old.send(DRAIN)
    old.signal(signal.SIGCONT)
    old.until(STOPPED)
    same(len(waiting), 100)
    for s in waiting:
        with s:
            s.sendall(request('socks5', o.target))
            same(take_reply(s, 'socks5'), 0)
            assert echoes(s)
    old.wait_exit(0)


def test_a_renamed_listener_keeps_its_sockets(t):
    old = start(t)
    g = Generation(t, on('%s:%u' % old.address, name='other'),
                   old.passed_on(), number=2).serve()
    same((g.held, g.unclaimed, g.addresses), ([], [], old.addresses))


def test_more_workers_open_more_sockets(t):
    old = Generation(t, {**on('127.0.0.1:0'), 'workers': 1}).serve()
    g = Generation(t, {**on('127.0.0.1:0'), 'workers': 4}, old.passed_on(),
                   number=2).serve()
    same((len(old.held), len(g.held)), (1, 3))
    old.send(DRAIN)
    old.wait_exit(0)
    o = Origin(t, echo)
    for _ in range(40):
        with tunnel(g.address, o.target) as s:
            assert echoes(s)
    last = Generation(t, {**on('127.0.0.1:0'), 'workers': 2},
                      old.held + g.held, number=3).serve()
    same(last.held, [])
    g.send(DRAIN)
    g.wait_exit(0)
    for _ in range(40):
        with tunnel(last.address, o.target) as s:
            assert echoes(s)


def test_more_sockets_than_fit_into_a_message(t):
    many = {**on('127.0.0.1:0'), 'workers': 300,
            'limits': {'connections': 1000}}
    old = Generation(t, many)
    old.until(SEGMENT)
    counts = [len(old.until(SOCKETS).fds) for _ in range(2)]
    same(counts, [252, 48])
    old.serve()
    new = Generation(t, many, old.passed_on(), number=2).serve()
    same((new.held, new.addresses), ([], old.addresses))
    old.send(DRAIN)
    old.wait_exit(0)
    o = Origin(t, echo)
    for _ in range(100):
        with tunnel(new.address, o.target) as s:
            assert echoes(s)


def test_what_is_not_wanted_any_more_is_named(t):
    old = start(t, '127.0.0.1:0', '127.0.0.2:0')
    gone = {cookie(s) for _, s in old.held
            if s.getsockname()[0] == '127.0.0.2'}
    g = Generation(t, on('127.0.0.1:0'), old.passed_on(), number=2).serve()
    same(set(g.unclaimed), gone)
    same(g.held, [])
    g.wait_log('is no listener\'s any more')


def test_a_changed_v6only_does_not_stand_in_its_own_way(t):
    host = f'[::]:{unused_port("::")}'
    old = Generation(t, on(host)).serve()
    g = Generation(t, {**NO_CONTROL, 'listeners': [
        conf.listener(address=[host], v6only=False)]}, old.passed_on(),
        number=2).serve()
    same(len(g.held), 2)
    same(set(g.unclaimed), {cookie(s) for _, s in old.held})
    old.send(DRAIN)
    old.wait_exit(0)
    for _, s in old.held:
        s.close()
    o = Origin(t, echo)
    for host in ('127.0.0.1', '::1'):
        with tunnel((host, g.address[1]), o.target) as s:
            assert echoes(s)


def test_a_socket_of_the_service_manager_is_shared(t):
    s = listening(share=False)
    g = Generation(t, on(f'127.0.0.1:{port(s)}'), [('x.socket', s)]).serve()
    same((g.held, g.unclaimed), ([], []))
    o = Origin(t, echo)
    for _ in range(20):
        with tunnel(g.address, o.target) as c:
            assert echoes(c)


def test_who_connected_before_the_start_is_served(t):
    s = listening(share=False)
    o = Origin(t, echo)
    with dial(s.getsockname()) as c:
        g = Generation(t, on(f'127.0.0.1:{port(s)}'), [('x.socket', s)])
        g.serve()
        c.sendall(b'\5\1\0')
        same(c.recv(2), b'\5\0')
    with tunnel(g.address, o.target) as c:
        assert echoes(c)


def test_a_socket_that_no_listener_wants_is_warned_of(t):
    s = listening()
    g = Generation(t, on('127.0.0.1:0'), [('x.socket', s)]).serve()
    same(g.unclaimed, [cookie(s)])
    g.wait_log(f'"x.socket" 127.0.0.1:{port(s)} is no listener\'s')


# --- Its control socket -----------------------------------------------------

def with_control(path):
    return {**on('127.0.0.1:0'), 'admin': {'socket': path}}


def test_the_control_socket_is_opened_once(t):
    path = t.path('control')
    old = Generation(t, with_control(path)).serve()
    name, s = old.held[-1]
    same((name, s.getsockname()), ('control', path))
    # It is the master's to serve.
    assert not [n for n in os.listdir(f'/proc/{old.pid}/fd')
                if os.stat(f'/proc/{old.pid}/fd/{n}').st_ino ==
                os.fstat(s.fileno()).st_ino]
    g = Generation(t, with_control(path), old.passed_on(), number=2).serve()
    same((g.held, g.unclaimed), ([], []))
    other = t.path('other')
    g = Generation(t, with_control(other), old.passed_on(), number=3).serve()
    same([(n, s.getsockname()) for n, s in g.held], [('control', other)])
    same(g.unclaimed, [cookie(s)])
    g = Generation(t, with_control(''), old.passed_on(), number=4).serve()
    same((g.held, g.unclaimed), ([], [cookie(s)]))


def test_the_control_socket_of_another_daemon_is_left_alone(t):
    path = t.path('control')
    Generation(t, with_control(path)).serve()
    g = Generation(t, with_control(path))
    assert path in g.fails()
    assert os.path.exists(path)
