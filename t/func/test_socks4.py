"""SOCKS4 and 4a, byte for byte, and as curl and PySocks speak them."""
import socket
import time

from lib import client, conf
from lib.case import Skip, each, eventually, patient, same, tool, valgrind
from lib.client import (GRANTED, REJECTED, WRONG_USER, dial, echoes, read_all,
                        read_exact, socks4_ask, socks4_reply, socks4_request)
from lib.daemon import Daemon
from lib.dns import DnsServer
from lib.origin import Listener, Origin, Silent, echo, unused_port, web


def ask_code(d, *target, **options):
    """The reply to a request that fails, after which the end must come."""
    s, reply = socks4_ask(d.address, target, **options)
    with s:
        same(read_all(s), b'')
    return reply.code


def say_code(d, message):
    """The reply to these bytes, which must be the last thing said."""
    with dial(d.address) as s:
        s.sendall(message)
        code = socks4_reply(s).code
        same(read_all(s), b'')
    return code


def with_hosts(t, line='127.0.0.1 target.example\n'):
    return {'names': {'hosts': t.file('hosts', line)}}


# --- What is connected to ---------------------------------------------------

@valgrind
def test_connects_to_an_address(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with client.tunnel(d.address, o.target, 'socks4') as s:
        assert echoes(s)
    line = d.wait_access(protocol='socks4', outcome='closed')
    assert line['target'] == f'127.0.0.1:{o.port}', line
    assert 'user' not in line, line


@valgrind
def test_connects_to_a_name(t):
    d = Daemon(t, with_hosts(t))
    o = Origin(t, echo)
    with client.tunnel(d.address, ('target.example', o.port), 'socks4') as s:
        assert echoes(s)
    line = d.wait_access(protocol='socks4')
    assert line['target'] == f'target.example:{o.port}', line
    assert line['address'] == f'127.0.0.1:{o.port}', line


@each('127.0.0.1', '::1')
def test_takes_an_address_that_is_written_as_a_name(t, host):
    d = Daemon(t)
    o = Origin(t, echo, host=host)
    s, reply = socks4_ask(d.address, o.target, as_name=True)
    with s:
        same(reply.code, GRANTED)
        assert echoes(s)


def test_serves_ipv6_clients(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with client.tunnel(d.at('::1'), o.target, 'socks4') as s:
        assert echoes(s)


def test_tells_the_true_address_it_connects_from(t):
    d = Daemon(t)
    o = Listener(t)
    s, reply = socks4_ask(d.address, o.target)
    with s, o.accept() as far:
        same((reply.host, reply.port), far.getpeername())


def test_of_an_ipv6_address_it_tells_the_port(t):
    d = Daemon(t)
    o = Listener(t, host='::1')
    s, reply = socks4_ask(d.address, o.target)
    with s, o.accept() as far:
        same((reply.host, reply.port), ('0.0.0.0', far.getpeername()[1]))


# --- What is refused --------------------------------------------------------

def test_refused_is_told(t):
    d = Daemon(t)
    same(ask_code(d, '127.0.0.1', unused_port()), REJECTED)
    d.wait_access(protocol='socks4', outcome='refused')


def test_denied_is_told(t):
    d = Daemon(t, {'rules': [conf.deny(ports=['25']), conf.allow()]})
    same(ask_code(d, '127.0.0.1', 25), REJECTED)
    d.wait_access(protocol='socks4', outcome='denied')


def test_a_name_that_is_not_found_is_told(t):
    names = DnsServer(t)
    d = Daemon(t, {'names': {'servers': [names.address]}})
    same(ask_code(d, 'missing.example', 80), REJECTED)
    d.wait_access(protocol='socks4', outcome='name-not-found')


def test_a_target_that_does_not_answer_is_told(t):
    d = Daemon(t, {'timeouts': {'connect': '1s'}})
    same(ask_code(d, *Silent(t).target), REJECTED)
    d.wait_access(protocol='socks4', outcome='connect-timeout')


def test_the_own_address_is_no_target(t):
    d = Daemon(t)
    same(ask_code(d, *d.address), REJECTED)
    d.wait_access(protocol='socks4', outcome='denied')


@each(0, 3, 5, 255)
def test_an_unknown_command_is_refused(t, command):
    d = Daemon(t)
    same(ask_code(d, '127.0.0.1', 80, command=command), REJECTED)
    d.wait_access(protocol='socks4', outcome='bad-command')


@each('', 'a b', 'a\nb', '127.1', 'x' * 64, 'y' * 256, '..', 'ä.example')
def test_a_name_that_cannot_be_one_is_refused(t, name):
    names = DnsServer(t)
    d = Daemon(t, {'names': {'servers': [names.address]}})
    same(ask_code(d, name.encode('latin-1'), 80, as_name=True), REJECTED)
    d.wait_access(protocol='socks4', outcome='bad-address')


def test_port_0_and_no_address_are_no_target(t):
    d = Daemon(t)
    same(ask_code(d, '127.0.0.1', 0), REJECTED)
    same(ask_code(d, '0.0.0.0', 80), REJECTED)
    d.wait_access(2, protocol='socks4', outcome='bad-address')


def test_a_refusal_survives_data_that_nobody_reads(t):
    d = Daemon(t)
    early = bytes(200000)
    for _ in range(20):
        with dial(d.address) as s:
            s.sendall(socks4_request('127.0.0.1', 1))
            s.setblocking(False)
            try:
                s.send(early)
            except OSError:
                pass
            time.sleep(0.02)
            s.settimeout(patient(10))
            same(socks4_reply(s).code, REJECTED)
            same(client.read_to_end(s)[0], b'')


# --- User ids ---------------------------------------------------------------

def clients(**changes):
    return {'clients': [{'action': 'allow', 'from': 'any', **changes}]}


def test_any_user_id_will_do_where_none_is_named(t):
    d = Daemon(t)
    o = Origin(t, echo)
    for userid in (b'', b'alice', b'\xff\1 \n', b'u' * 255):
        s, reply = socks4_ask(d.address, o.target, userid=userid)
        with s:
            same(reply.code, GRANTED)
            assert echoes(s)
    # What nobody has looked at is nobody's name.
    assert 'user' not in d.wait_access(4, outcome='closed')


def test_user_ids_that_are_named_will_do(t):
    d = Daemon(t, clients(userid=['alice', 'bob']))
    o = Origin(t, echo)
    for userid in (b'alice', b'bob'):
        s, reply = socks4_ask(d.address, o.target, userid=userid)
        with s:
            same(reply.code, GRANTED)
            assert echoes(s)
        d.wait_access(outcome='closed', user=userid.decode())


@each(b'', b'eve', b'Alice', b'alic', b'alicee', b'alice\n', b'\xff' * 200)
def test_other_user_ids_will_not(t, userid):
    d = Daemon(t, clients(userid=['alice', 'bob']))
    same(ask_code(d, '127.0.0.1', unused_port(), userid=userid), WRONG_USER)
    d.wait_access(protocol='socks4', outcome='auth-failed')
    # SOCKS5 has none.
    o = Origin(t, echo)
    with client.tunnel(d.address, o.target) as s:
        assert echoes(s)


@each(256, 600)
def test_a_user_id_without_end_is_refused_in_time(t, length):
    d = Daemon(t)
    same(say_code(d, b'\4\1\0\x50\x7f\0\0\1' + b'u' * length), REJECTED)
    d.wait_access(protocol='socks4', outcome='bad-request')


@each(255, 100000)
def test_a_name_without_end_is_refused_in_time(t, length):
    d = Daemon(t)
    same(say_code(d, b'\4\1\0\x50\0\0\0\1' + b'u' * 255 + b'\0' +
                  b'a' * 256 + bytes(length)), REJECTED)
    d.wait_access(protocol='socks4', outcome='bad-address')


# --- How it arrives ---------------------------------------------------------

@each('127.0.0.1', 'target.example')
@valgrind
def test_a_request_may_be_split_at_any_byte(t, host):
    d = Daemon(t, with_hosts(t))
    o = Origin(t, echo)
    whole = socks4_request(host, o.port, userid=b'alice') + b'first words'
    open_ = []
    for at in range(1, len(whole)):
        s = dial(d.address)
        s.sendall(whole[:at])
        open_.append((at, s))
    for _, s in open_:
        client.delivered(s)
    time.sleep(0.1)
    for at, s in open_:
        s.sendall(whole[at:])
    for at, s in open_:
        with s:
            assert socks4_reply(s).code == GRANTED, at
            assert read_exact(s, 11) == b'first words', at


def test_a_request_may_come_byte_by_byte(t):
    d = Daemon(t, with_hosts(t))
    o = Origin(t, echo)
    with dial(d.address) as s:
        for byte in socks4_request('target.example', o.port):
            s.sendall(bytes([byte]))
            time.sleep(0.005)
        same(socks4_reply(s).code, GRANTED)
        assert echoes(s)


def test_all_at_once_with_early_data_is_understood(t):
    d = Daemon(t)
    o = Origin(t, echo)
    early = client.noise(30000)
    with dial(d.address) as s:
        s.sendall(socks4_request(*o.target) + early)
        same(socks4_reply(s).code, GRANTED)
        same(read_exact(s, len(early)), early)
        assert echoes(s)


def test_one_that_shuts_down_after_its_request_is_served(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with dial(d.address) as s:
        s.sendall(socks4_request(*o.target) + b'all I say')
        s.shutdown(socket.SHUT_WR)
        same(socks4_reply(s).code, GRANTED)
        same(read_all(s), b'all I say')


def test_a_client_that_leaves_in_its_handshake_is_noted(t):
    d = Daemon(t)
    for start in (b'\4', b'\4\1\0\x50\x7f\0\0\1', b'\4\1\0\x50\0\0\0\1\0a'):
        with dial(d.address) as s:
            s.sendall(start)
    d.wait_access(3, protocol='socks4', outcome='client-left')


def test_a_client_that_takes_too_long_is_closed(t):
    d = Daemon(t, {'timeouts': {'handshake': '1s'}})
    with dial(d.address) as s:
        s.sendall(b'\4\1\0\x50\x7f\0\0\1ali')
        same(read_all(s), b'')
    d.wait_access(protocol='socks4', outcome='handshake-timeout')


def test_a_client_that_leaves_while_we_connect_is_let_go(t):
    d = Daemon(t, {'timeouts': {'connect': '20s'}})
    silent = Silent(t)
    with dial(d.address) as s:
        s.sendall(socks4_request(*silent.target))
        # One for the client, one for the target.
        eventually(lambda: d.descriptors()['socket'] >=
                   d.base['socket'] + 2)
        client.reset(s)
    d.wait_access(protocol='socks4', outcome='client-left')
    d.wait_rest(5)


# --- Real clients -----------------------------------------------------------

@each('socks4', 'socks4a')
def test_curl_speaks_it(t, scheme):
    d = Daemon(t, {**with_hosts(t), **clients(userid='alice')})
    o = Origin(t, web(b'a page'))
    host = 'target.example' if scheme == 'socks4a' else '127.0.0.1'
    command = [tool('curl', 'curl'), '-sS', '--max-time', '10',
               f'http://{host}:{o.port}/', '-x']
    address = f'{d.address[0]}:{d.address[1]}'
    done = t.run(*command, f'{scheme}://alice@{address}')
    same((done.returncode, done.stdout), (0, b'a page'))
    d.wait_access(protocol='socks4', outcome='closed', user='alice')
    done = t.run(*command, f'{scheme}://eve@{address}')
    same(done.returncode, 97)
    assert b'(93)' in done.stderr, done.stderr  # 0x5d


@each(False, True)
def test_pysocks_speaks_it(t, rdns):
    socks = import_socks()
    d = Daemon(t, {**with_hosts(t), **clients(userid='alice')})
    o = Origin(t, echo)
    for user, granted in (('alice', True), ('eve', False)):
        with socks.socksocket() as s:
            s.settimeout(patient(10))
            s.set_proxy(socks.SOCKS4, *d.address, rdns=rdns, username=user)
            host = 'target.example' if rdns else '127.0.0.1'
            try:
                s.connect((host, o.port))
            except socks.ProxyError as e:
                assert not granted and '0x5d' in str(e).lower(), e
            else:
                assert granted and echoes(s)


def import_socks():
    try:
        import socks
    except ImportError:
        raise Skip('apt-get install python3-socks') from None
    return socks
