"""Parents: each kind of them, logins, names, and what fails."""
from urllib.parse import quote

from lib import client, conf
from lib.case import each, same
from lib.client import ProxyError, echoes, tunnel
from lib.conf import allow
from lib.daemon import Daemon
from lib.origin import Origin, echo, unused_port
from lib.parents import Danted, Microsocks, Squid, Tinyproxy

HOSTS = '127.0.0.1 target.example parent.example\n'


def by(t, url, changes=None, **group):
    """spliced whose requests all leave by one group of parents."""
    group = {'name': 'paris', 'url': url, **group}
    return Daemon(t, conf.merge(changes, {
        'upstreams': [group], 'rules': [allow(upstream='paris')],
        'names': {'hosts': t.file('hosts', HOSTS)}}))


def reach(d, target, **options):
    with tunnel(d.address, target, **options) as s:
        assert echoes(s)
        return d.session(s)


def refused(d, target, protocol='socks5', **options):
    """How a request fails: the code for the client."""
    try:
        with tunnel(d.address, target, protocol, **options):
            raise AssertionError('it is let through')
    except ProxyError as e:
        return e.code


KINDS = {
    'microsocks': (Microsocks, 'socks5'), 'socks5h': (Microsocks, 'socks5h'),
    'danted': (Danted, 'socks5'), 'socks4': (Danted, 'socks4'),
    'socks4a': (Danted, 'socks4a'), 'tinyproxy': (Tinyproxy, 'http'),
    'squid': (Squid, 'http'),
}


@each(*KINDS)
def test_a_tunnel_goes_by_a_parent(t, kind):
    make, scheme = KINDS[kind]
    parent, o = make(t), Origin(t, echo)
    d = by(t, parent.at(scheme))
    line = reach(d, o.target)()
    same((line['upstream'], line['hop'], line['outcome']),
         ('paris', '1', 'closed'))
    same(line['target'], client.authority(*o.target))


@each('http', 'socks5', 'socks4')
def test_each_client_protocol_goes_by_a_parent(t, protocol):
    o, parent = Origin(t, echo), Microsocks(t)
    d = by(t, parent.url)
    same(reach(d, o.target, protocol=protocol)()['upstream'], 'paris')


@each('microsocks', 'tinyproxy')
def test_a_login_opens_a_parent(t, kind):
    password = 'secret' if kind == 'tinyproxy' else 'p%40s:s'
    parent = KINDS[kind][0](t, user='alice', password=password)
    o = Origin(t, echo)
    login = f'alice:{quote(password, safe="")}@'
    d = by(t, parent.at(parent.scheme, login))
    same(reach(d, o.target)()['outcome'], 'closed')


@each('microsocks', 'tinyproxy')
def test_a_wrong_login_is_the_proxys_fault_not_the_clients(t, kind):
    parent = KINDS[kind][0](t, user='alice', password='right')
    o = Origin(t, echo)
    d = by(t, parent.at(parent.scheme, 'alice:wrong@'))
    same(refused(d, o.target), 1)
    same(refused(d, o.target, 'http'), 502)
    d.wait_access(2, outcome='parent-auth', upstream='paris', hop='1')
    assert 'wrong' not in d.log(), d.log()


def test_a_login_may_stand_in_a_file(t):
    parent, o = Microsocks(t, user='alice', password='right'), Origin(t, echo)
    file = t.file('login', 'alice:right\n', mode=0o600)
    d = by(t, parent.at('socks5', ''), credentials_file=file)
    reach(d, o.target)


def test_a_parent_that_is_away_is_said_to_be(t):
    d = by(t, f'socks5://127.0.0.1:{unused_port()}')
    same(refused(d, ('192.0.2.1', 80)), 4)
    same(refused(d, ('192.0.2.1', 80), 'http'), 502)
    line = d.wait_access(2, outcome='parent-failed')
    same((line['hop'], line['error']), ('1', 'ECONNREFUSED'))


@each('microsocks', 'danted')
def test_what_a_parent_says_of_the_target_is_passed_on(t, kind):
    parent = KINDS[kind][0](t)
    d = by(t, parent.url)
    same(refused(d, ('127.0.0.1', unused_port())), 5)
    d.wait_access(outcome='refused', hop='1')


def test_what_a_parent_forbids_is_refused(t):
    parent = Danted(t)
    d = by(t, parent.url)
    same(refused(d, ('127.0.0.9', 80)), 1)
    d.wait_access(outcome='parent-refused', hop='1')


def test_a_name_goes_as_it_is_where_the_parent_resolves(t):
    parent = Daemon(t, {'names': {'hosts': t.file(
        'far', '127.0.0.1 only.there.example\n')}})
    o = Origin(t, echo)
    d = by(t, f'http://127.0.0.1:{parent.address[1]}', resolve='remote')
    line = reach(d, ('only.there.example', o.port))()
    same(line['target'], f'only.there.example:{o.port}')
    assert 'address' not in line, line
    same(parent.wait_access(outcome='closed')['target'],
         f'only.there.example:{o.port}')


def test_a_name_is_resolved_here_otherwise(t):
    parent = Daemon(t)
    o = Origin(t, echo)
    d = by(t, f'http://127.0.0.1:{parent.address[1]}')
    line = reach(d, ('target.example', o.port))()
    same(line['address'], f'127.0.0.1:{o.port}')
    same(parent.wait_access(outcome='closed')['target'], f'127.0.0.1:{o.port}')


def test_a_parents_name_is_resolved(t):
    parent, o = Microsocks(t), Origin(t, echo)
    d = by(t, f'socks5://parent.example:{parent.port}')
    reach(d, o.target)


def test_rules_by_address_decide_before_a_parent_that_is_given_addresses(t):
    parent, o = Microsocks(t), Origin(t, echo)
    d = Daemon(t, {
        'upstreams': [{'name': 'paris', 'url': parent.url}],
        'rules': [{'action': 'deny', 'to': '127.0.0.0/8'},
                  allow(upstream='paris')],
        'names': {'hosts': t.file('hosts', HOSTS)}})
    same(refused(d, ('target.example', o.port)), 2)


def test_what_is_allowed_by_its_address_goes_there(t):
    """Its name may be another one's where the parent asks for it."""
    parent, o = Daemon(t, {'names': {'hosts': t.file(
        'far', '127.0.0.3 target.example\n')}}), Origin(t, echo)
    d = Daemon(t, {
        'upstreams': [{'name': 'paris', 'resolve': 'remote',
                       'url': f'socks5://127.0.0.1:{parent.address[1]}'}],
        'rules': [allow(to='127.0.0.1', upstream='paris')],
        'names': {'hosts': t.file('hosts', HOSTS)}})
    reach(d, ('target.example', o.port))
    same(parent.wait_access(outcome='closed')['target'],
         f'127.0.0.1:{o.port}')


def test_rules_say_what_leaves_by_whom(t):
    one, two, o = Microsocks(t), Microsocks(t), Origin(t, echo)
    d = Daemon(t, {
        'upstreams': [{'name': 'one', 'url': one.url},
                      {'name': 'two', 'url': two.url}],
        'rules': [allow(to='one.example', upstream='one'),
                  {'action': 'allow', 'to': '127.0.0.0/8',
                   'protocols': 'http', 'upstream': 'two'}, allow()],
        'names': {'hosts': t.file('hosts', '192.0.2.1 one.example\n')}})
    assert 'upstream' not in reach(d, o.target)()
    same(reach(d, o.target, protocol='http')()['upstream'], 'two')
    one.stop()
    same(refused(d, ('one.example', 80)), 4)
    same(d.wait_access(outcome='parent-failed')['upstream'], 'one')


def test_our_own_listener_is_no_parent(t):
    port = unused_port()
    d = by(t, f'socks5://127.0.0.1:{port}', {
        'listeners': [conf.listener(address=[f'127.0.0.1:{port}'])]})
    same(refused(d, ('192.0.2.1', 80)), 2)
    d.wait_access(outcome='loop', hop='1')


def test_what_the_target_says_first_comes_through(t):
    """What lies behind a parent's last word is not the parent's."""
    hello = client.noise(5000)

    def greet(s):
        s.recv(1000)
        s.sendall(b'HTTP/1.1 200 OK\r\nX: y\r\n\r\n' + hello)
        echo(s)
    o = Origin(t, greet)
    d = by(t, f'http://127.0.0.1:{o.port}')
    with tunnel(d.address, ('192.0.2.1', 80)) as s:
        same(client.read_exact(s, len(hello)), hello)
        assert echoes(s)


def test_answers_may_come_byte_by_byte(t):
    def slow(s):
        s.setsockopt(6, 1, 1)  # TCP_NODELAY
        s.recv(1000)
        for byte in b'\5\0':
            s.sendall(bytes([byte]))
        s.recv(1000)
        for byte in b'\5\0\0\3\4name\0\x50hello':
            s.sendall(bytes([byte]))
        echo(s)
    o = Origin(t, slow)
    d = by(t, f'socks5://127.0.0.1:{o.port}')
    with tunnel(d.address, ('192.0.2.1', 80)) as s:
        same(client.read_exact(s, 5), b'hello')
        assert echoes(s)


NONSENSE = {
    'version': b'\4\0', 'http': b'HTTP/1.1 400 Bad\r\n\r\n', 'end': b'',
    'method': b'\5\7', 'type': b'\5\0\5\0\0\2', 'short': b'\5\0\5\0\0\1\x7f',
    'auth': b'\5\2\1\0',
}


@each(*NONSENSE)
def test_a_parent_that_talks_nonsense_has_failed(t, what):
    def talk(s):
        s.recv(1000)
        s.sendall(NONSENSE[what])
    o = Origin(t, talk)
    d = by(t, f'socks5://127.0.0.1:{o.port}')
    refused(d, ('192.0.2.1', 80))
    line = d.wait_access(upstream='paris', hop='1')
    assert line['outcome'] in ('parent-failed', 'parent-auth'), line


def test_a_parent_that_says_nothing_has_its_time(t):
    o = Origin(t, lambda s: s.recv(1000) and s.recv(1000))
    d = by(t, f'socks5://127.0.0.1:{o.port}', {
        'timeouts': {'upstream': '300ms', 'connect': '300ms'}})
    same(refused(d, ('192.0.2.1', 80)), 4)
    same(d.wait_access(outcome='parent-failed')['error'], 'ETIMEDOUT')
