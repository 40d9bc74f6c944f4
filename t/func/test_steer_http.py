"""splicedctl kill where sessions are requests: HTTP/1.1 and streams of HTTP/2."""
from lib import client, conf
from lib.case import eventually, same
from lib.client import tunnel
from lib.control import fails
from lib.daemon import Daemon
from lib.h2 import DATA, RST_STREAM
from lib.origin import Listener, Origin, Silent, echo
from lib.tls import Certificate, context
from lib.users import demand, readable, users
from lib.web import Client, Stream, Web, ask
from test_http2_frames import begin, echoes, spoken
from test_steer import listed, name_of


def kill(d, *words):
    done = d.control.run('kill', '--yes', *words)
    same((done.returncode, done.err), (0, ''))
    return done.out


def test_who_waits_for_his_next_request_is_no_session(t):
    d = Daemon(t)
    o = Web(t)
    with Client(d) as c:
        same(c.get(o).status, 200)
        d.wait_access(outcome='closed')
        eventually(lambda: not listed(d))
        same(kill(d, 'client=127.0.0.1'), 'sessions killed: 0\n')
        same(c.get(o).status, 200)


def test_a_request_is_killed_and_its_connection_with_it(t):
    d = Daemon(t)
    o, stuck = Web(t), Listener(t)
    with Client(d) as c, Client(d) as other:
        same((c.get(o).status, other.get(o).status), (200, 200))
        c.send(ask(stuck))
        with stuck.accept() as far:
            Stream(far).request()
            (one,) = eventually(lambda: listed(d))
            same((one['client'], one['command']), (name_of(c.s), 'request'))
            same(kill(d, one['id']), 'sessions killed: 1\n')
            same(client.read_to_end(c.s)[0], b'')
            client.read_to_end(far)
        same(d.wait_access(outcome='killed')['client'], name_of(c.s))
        same(other.get(o).status, 200)


def test_one_that_waits_over_tls_is_ended(t):
    """TLS needs a task to wait, so that its record is there meanwhile."""
    certificate = Certificate(t)
    d = Daemon(t, {'tls': [{'name': 'edge', 'certificate': certificate.path,
                            'key': certificate.key}],
                   'listeners': [conf.listener(tls='edge')]})
    o = Web(t)
    how = context(None, ca=certificate)
    with Client(d) as c:
        c.s = how.wrap_socket(c.s, server_hostname='localhost')
        same(c.get(o).status, 200)
        d.wait_access(outcome='closed')
        same([j['state'] for j in listed(d)], ['handshake'])
        same(kill(d, 'client=127.0.0.1'), 'sessions killed: 1\n')
        same(client.read_to_end(c.s)[0], b'')
        # It has asked for nothing, so that there is nothing to tell of it.
        d.wait_alone()
    same(len(d.access()), 1)


def test_one_stream_is_killed_and_no_other(t):
    d, c = begin(t)
    o = Origin(t, echo)
    h = spoken(t, d, c)
    one, two = echoes(h, o), echoes(h, o)
    found = eventually(lambda: len(listed(d)) == 2 and listed(d))
    same({(j['client'], j['protocol']) for j in found},
         {(name_of(h.socket), 'http2')})
    # The one that came first: each worker counts on.
    first = min(found, key=lambda j: int(j['id'].split('.')[2]))
    same(kill(d, first['id']), 'sessions killed: 1\n')
    f = h.until(RST_STREAM, DATA)
    same((f.kind, f.stream), (RST_STREAM, one))
    same(d.wait_access(outcome='killed')['protocol'], 'http2')
    h.send(DATA, 0, two, b'more')
    same(h.read(two, 4), b'more')
    three = echoes(h, o)
    assert h.ping()
    # All of them: the connection stays for what comes then.
    same(kill(d, 'protocol=http2'), 'sessions killed: 2\n')
    same({h.until(RST_STREAM).stream for _ in range(2)}, {two, three})
    echoes(h, o)


def test_a_stream_that_has_no_tunnel_yet_is_killed(t):
    d, c = begin(t)
    o, full = Origin(t, echo), Silent(t)
    h = spoken(t, d, c)
    good = echoes(h, o)
    waits = h.connect(client.authority(*full.target))
    eventually(lambda: listed(d, 'state=connect'))
    same(kill(d, 'state=connect'), 'sessions killed: 1\n')
    f = h.until(RST_STREAM)
    same(f.stream, waits)
    h.send(DATA, 0, good, b'more')
    same(h.read(good, 4), b'more')


def test_long_names_of_users_are_not_killed_by(t):
    long = 'u' * 32
    path = readable(users(t, {long + 'a': 'one', long + 'b': 'two',
                              long[:31]: 'three'}))
    d = Daemon(t, demand(path))
    o = Origin(t, echo)
    with tunnel(d.address, o.target, login=(long + 'a', 'one')) as a, \
            tunnel(d.address, o.target, login=(long + 'b', 'two')) as b, \
            tunnel(d.address, o.target, login=(long[:31], 'three')) as c:
        for name in (long, long + 'a'):
            same(len(listed(d, f'user={name}')), 2)
            fails(d.control.run('kill', '--yes', f'user={name}'), 2,
                  'others may be meant, too')
            answer = d.control.ask(f'kill 1 user={name}')[-1]
            assert 'others may be meant' in answer['error'], answer
        same(kill(d, f'user={long[:31]}'), 'sessions killed: 1\n')
        client.read_to_end(c)
        assert client.echoes(a) and client.echoes(b)
