"""What splicedctl does to a daemon: kill, drain a listener, the log's level."""
import json
import os
import re
import signal

from lib import client
from lib.case import each, eventually, same
from lib.client import dial, echoes, http_status, noise, tunnel
from lib.control import fails
from lib.daemon import Daemon
from lib.origin import Origin, Silent, echo
from lib.udp import Association, Echo

WHO = r'splicedctl \(uid \d+, pid \d+\)'


def listed(d, *filters):
    """The sessions that splicedctl lists, as dicts."""
    done = d.control.run('--json', 'sessions', *filters)
    same((done.returncode, done.err), (0, ''))
    return [json.loads(line) for line in done.out.splitlines()]


def name_of(s):
    return client.authority(*s.getsockname()[:2])


def id_of(d, s):
    found = {j['client']: j['id'] for j in listed(d)}
    return found[name_of(s)]


def is_reset(s):
    try:
        return s.recv(1) == b''
    except ConnectionResetError:
        return True


# --- kill -------------------------------------------------------------------

def test_a_session_is_killed_by_its_id(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as one, \
            tunnel(d.address, o.target, 'http') as two:
        assert echoes(one, noise(1000)) and echoes(two)
        me = name_of(one)
        done = d.control.run('kill', id_of(d, one))
        same((done.returncode, done.out, done.err),
             (0, 'sessions killed: 1\n', ''))
        assert is_reset(one)
        assert echoes(two)
        line = d.wait_access(client=me)
        same((line['outcome'], line['up']), ('killed', '1000'))
        d.wait_log(rf'notice sessions killed: 1, as {WHO} asks: 1 1\.')


def test_sessions_are_killed_by_filters(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as a, \
            tunnel(d.address, o.target, 'http') as b, \
            tunnel(d.address, o.target, 'http') as c:
        assert echoes(a) and echoes(b) and echoes(c)
        fails(d.control.run('kill', 'protocol=http'), 2,
              'sessions that match: 2; --yes ends them')
        assert echoes(b)
        done = d.control.run('--json', 'kill', '--yes', 'protocol=http',
                             'client=127.0.0.0/8', 'age<1h')
        same(json.loads(done.out),
             {'killed': 2, 'done': True, 'ok': True})
        assert is_reset(b) and is_reset(c)
        assert echoes(a)
        done = d.control.run('kill', '--yes', 'protocol=http')
        same((done.returncode, done.out), (0, 'sessions killed: 0\n'))


def test_sessions_of_generations_that_drain_are_killed_too(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as old:
        assert echoes(old)
        d.reload()
        with eventually(lambda: tunnel(d.address, o.target)) as new:
            assert echoes(new)
            done = d.control.run('kill', id_of(d, old), id_of(d, new))
            same((done.returncode, done.out), (0, 'sessions killed: 2\n'))
            assert is_reset(old) and is_reset(new)
    d.wait_alone()


def test_who_has_no_tunnel_yet_is_killed_too(t):
    d = Daemon(t)
    far = Silent(t)
    with dial(d.address) as greeting, dial(d.address) as connect:
        greeting.sendall(b'\5')
        connect.sendall(client.request('http', far.target))
        eventually(lambda: len(listed(d, 'state=connect')) == 1 and
                   len(listed(d, 'state=handshake')) == 1)
        done = d.control.run('kill', '--yes', 'client=127.0.0.1')
        same((done.returncode, done.out), (0, 'sessions killed: 2\n'))
        assert is_reset(greeting)
        client.read_to_end(connect)
        for s in (greeting, connect):
            same(d.wait_access(client=name_of(s))['outcome'], 'killed')


def test_associations_are_killed_too(t):
    d = Daemon(t)
    e = Echo(t)
    u, other = Association(t, d.address), Association(t, d.address)
    assert u.echoes(e.target) and other.echoes(e.target)
    done = d.control.run('kill', id_of(d, u.control))
    same((done.returncode, done.out), (0, 'sessions killed: 1\n'))
    u.wait_gone()
    assert is_reset(u.control)
    same(d.wait_access(command='udp')['outcome'], 'killed')
    assert other.echoes(e.target)
    other.close()


def test_who_is_not_there_is_not_killed(t):
    d = Daemon(t)
    for words, status, why in (
            (('1.0.99',), 1, 'there is no session 1.0.99'),
            (('7.0.1',), 1, 'there is no session 7.0.1'),
            (('1.0',), 2, 'is no id of a session'),
            (('1.0.1', 'user=a'), 2, 'is no id of a session'),
            (('user=a', '1.0.1'), 2, 'is no filter'),
            ((), 2, 'wants ids of sessions, or filters')):
        fails(d.control.run('kill', *words), status, why)
    for line, why in (('kill', 'number of a generation'),
                      ('kill x', 'number of a generation'),
                      ('kill 9 user=a', 'no such generation'),
                      ('kill 1', 'kill takes ids or filters'),
                      ('kill 1 1.0.1 user=a', 'kill takes ids or filters'),
                      ('kill 1 2.0.1', 'no session of this generation'),
                      ('kill 1 usr=a', 'no filter'),
                      ('kill 1 user=%zz', 'makes no sense')):
        answer = d.control.ask(line)[-1]
        same(answer['ok'], False)
        assert why in answer['error'], (line, answer)


def test_many_ids_take_several_lines(t):
    d = Daemon(t)
    o = Origin(t, echo)
    some = [tunnel(d.address, o.target) for _ in range(120)]
    try:
        ids = [j['id'] for j in listed(d)]
        done = d.control.run('kill', *ids)
        same((done.returncode, done.out), (0, 'sessions killed: 120\n'))
        eventually(lambda: listed(d) == [])
    finally:
        for s in some:
            s.close()


# --- maintenance ------------------------------------------------------------

TWO = {'listeners': [
    {'name': 'lan', 'address': '127.0.0.1:0'},
    {'name': 'edge', 'address': '127.0.0.1:0'}]}


def socks_reply(address, target):
    with dial(address) as s:
        client.socks5_greet(s)
        s.sendall(client.socks5_request(*target))
        return client.read_exact(s, 2)[1]


def socks4_reply(address, target):
    with dial(address) as s:
        s.sendall(client.socks4_request(*target))
        return client.read_exact(s, 2)[1]


def connect_status(address, target):
    return http_status(address, client.http_request(client.authority(*target)))


def test_a_drained_listener_answers_that_it_is(t):
    d = Daemon(t, TWO)
    o = Origin(t, echo)
    lan, edge = d.addresses
    with tunnel(edge, o.target) as s:
        assert echoes(s)
        done = d.control.run('drain', 'edge')
        same((done.returncode, done.out),
             (0, 'listener edge is drained; drain --off ends that\n'))
        d.wait_log(rf'notice listener "edge" is drained.*{WHO} asks')
        eventually(lambda: connect_status(edge, o.target) == 503)
        same(socks_reply(edge, o.target), 1)
        same(socks4_reply(edge, o.target), 0x5b)
        same(connect_status(lan, o.target), 200)
        assert echoes(s)
        same(d.control.status()['drained'], ['edge'])
        assert re.search(r'(?m)^drained +edge ',
                         d.control.run('status').out)
        d.wait_access(outcome='maintenance')
        # Those that come later know it, too.
        d.reload()
        eventually(lambda: connect_status(lan, o.target) == 200)
        same(connect_status(edge, o.target), 503)
        assert echoes(s)
        done = d.control.run('drain', '--off', 'edge')
        same((done.returncode, done.out), (0, 'listener edge serves '
                                           'again\n'))
        eventually(lambda: connect_status(edge, o.target) == 200)
        same(d.control.status()['drained'], [])


def test_a_drained_listener_is_so_to_another_program(t):
    d = Daemon(t, TWO)
    o = Origin(t, echo)
    lan, edge = d.addresses
    same(d.control.run('drain', 'edge').returncode, 0)
    for generation in (2, 3):
        d.signal(signal.SIGUSR2)
        d.wait_ready(generation=generation)
        same(d.control.status()['drained'], ['edge'])
        same(connect_status(edge, o.target), 503)
        same(connect_status(lan, o.target), 200)
    same(d.control.run('drain', '--off', 'edge').returncode, 0)
    eventually(lambda: connect_status(edge, o.target) == 200)


@each((('drain', 'nobody'), 'has no such listener'),
      (('drain', '--off', 'lan'), 'that is so'))
def test_what_cannot_be_drained(t, case):
    d = Daemon(t)
    words, why = case
    fails(d.control.run(*words), 1, why)


def test_a_drain_line_is_checked(t):
    d = Daemon(t)
    for line in ('drain now', 'drain on', 'drain on %0a', 'drain on %',
                 'drain off'):
        same(d.control.ask(line)[-1]['ok'], False)
    same(d.control.status()['state'], 'serving')
    fails(d.control.run('drain', '--off'), 2, 'wants a listener')


# --- the log ----------------------------------------------------------------

def test_the_log_says_more_or_less(t):
    d = Daemon(t)
    o = Origin(t, echo)
    same(d.control.run('log-level').out, 'info\n')
    done = d.control.run('log-level', 'notice')
    same((done.returncode, done.out), (0, 'notice\n'))
    d.wait_log(rf'notice log level: notice, as {WHO} asks')
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
    eventually(lambda: listed(d) == [])
    same(json.loads(d.control.run('--json', 'log-level', 'info').out)['level'],
         'info')
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
        me = name_of(s)
    d.wait_access(client=me)
    same(len(d.access()), 1)
    fails(d.control.run('log-level', 'loud'), 1, 'levels are')
    d.control.run('log-level', 'error')
    d.reload()
    same(d.control.run('log-level').out, 'info\n')


# --- looking again ----------------------------------------------------------

@each('status', 'generations', 'sessions', 'limits')
def test_a_look_is_repeated_until_the_daemon_is_gone(t, command):
    d = Daemon(t)
    out = t.path('out')
    with open(out, 'wb') as f:
        p = t.start(os.path.join(t.build, 'splicedctl'), '--socket',
                    d.control.path, command, '--watch=100ms', stdout=f)
        with open(out, encoding='utf-8') as seen:
            text = ['']

            def grown():
                text[0] += seen.read()
                return text[0].count('\n\n') >= 2
            eventually(grown)
        d.kill()
        same(p.wait(timeout=20), 3)
