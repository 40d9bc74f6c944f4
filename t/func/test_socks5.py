"""SOCKS5 as RFC 1928 has it, byte for byte."""
import socket
import struct
import time

from lib import client, conf, net
from lib.case import each, eventually, netns, patient, same, valgrind
from lib.client import (dial, echoes, read_all, read_exact, socks5_ask,
                        socks5_greet, socks5_reply, socks5_request)
from lib.daemon import Daemon
from lib.dns import DnsServer
from lib.origin import Listener, Origin, Silent, echo, unused_port


def ask_code(d, *target, **options):
    """The reply to a request that fails, after which the end must come."""
    s, reply = socks5_ask(d.address, target, **options)
    with s:
        same(read_all(s), b'')
    return reply.code


@valgrind
def test_connects_to_an_ipv4_address(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with client.tunnel(d.address, o.target) as s:
        assert echoes(s)
    line = d.wait_access(protocol='socks5')
    assert line['target'] == f'127.0.0.1:{o.port}', line


def test_connects_to_an_ipv6_address(t):
    d = Daemon(t, {'rules': [conf.allow()]})
    o = Origin(t, echo, host='::1')
    with client.tunnel(d.address, o.target) as s:
        assert echoes(s)
    line = d.wait_access(protocol='socks5')
    assert line['target'] == f'[::1]:{o.port}', line


def test_serves_ipv6_clients(t):
    d = Daemon(t, {'rules': [conf.allow()]})
    o = Origin(t, echo)
    with client.tunnel(d.at('::1'), o.target) as s:
        assert echoes(s)
    assert d.wait_access()['client'].startswith('[::1]:')


@valgrind
def test_connects_to_a_name(t):
    o = Origin(t, echo)
    hosts = t.file('hosts', '127.0.0.1 target.example\n')
    d = Daemon(t, {'names': {'hosts': hosts}})
    with client.tunnel(d.address, ('target.example', o.port)) as s:
        assert echoes(s)
    line = d.wait_access()
    assert line['target'] == f'target.example:{o.port}', line
    assert line['address'] == f'127.0.0.1:{o.port}', line


def test_takes_an_address_that_is_written_as_a_name(t):
    d = Daemon(t)
    o = Origin(t, echo)
    s, reply = socks5_ask(d.address, o.target, as_name=True)
    with s:
        same(reply.code, client.SUCCEEDED)
        assert echoes(s)


@each('127.0.0.1', '::1')
def test_tells_the_true_address_it_connects_from(t, host):
    d = Daemon(t)
    o = Listener(t, host=host)
    s, reply = socks5_ask(d.address, o.target)
    with s, o.accept() as far:
        same((reply.host, reply.port), far.getpeername()[:2])


def test_refused_is_reply_5(t):
    d = Daemon(t)
    same(ask_code(d, '127.0.0.1', unused_port()), client.REFUSED)
    line = d.wait_access(outcome='refused')
    assert line['up'] == line['down'] == '0', line


@netns
def test_host_unreachable_is_reply_4(t):
    net.add_address('198.51.100.1/24')
    net.ip('route', 'add', 'unreachable', '203.0.113.0/24')
    d = Daemon(t, {'rules': [conf.allow()]})
    same(ask_code(d, '203.0.113.7', 80), client.HOST)
    d.wait_access(outcome='host-unreachable')


@netns
def test_net_unreachable_is_reply_3(t):
    d = Daemon(t, {'rules': [conf.allow()]})
    same(ask_code(d, '192.0.2.1', 80), client.NET)
    d.wait_access(outcome='net-unreachable')


def test_name_not_found_is_reply_4(t):
    names = DnsServer(t)
    d = Daemon(t, {'names': {'servers': [names.address]}})
    same(ask_code(d, 'missing.example', 80), client.HOST)
    d.wait_access(outcome='name-not-found')


def test_connect_timeout_is_reply_6(t):
    d = Daemon(t, {'timeouts': {'connect': '1s'}})
    start = time.monotonic()
    same(ask_code(d, *Silent(t).target), client.TIMEOUT)
    assert 0.9 < time.monotonic() - start < patient(4)
    d.wait_access(outcome='connect-timeout')


def test_denied_is_reply_2(t):
    d = Daemon(t, {'rules': [conf.deny(ports=['25']), conf.allow()]})
    same(ask_code(d, '127.0.0.1', 25), client.DENIED)
    d.wait_access(outcome='denied')


@each(0, 4, 9, 255)
def test_an_unknown_command_is_reply_7(t, command):
    d = Daemon(t)
    same(ask_code(d, '127.0.0.1', 80, command=command), client.COMMAND)
    d.wait_access(outcome='bad-command')


@each(0, 2, 5, 255)
def test_an_unknown_address_type_is_reply_8(t, kind):
    d = Daemon(t)
    with dial(d.address) as s:
        socks5_greet(s)
        s.sendall(bytes([5, 1, 0, kind]) + b'\x7f\0\0\1\0\x50')
        same(socks5_reply(s).code, client.TYPE)
        same(read_all(s), b'')
    d.wait_access(outcome='bad-address')


@each('', '\0', 'a\0b', 'a b', 'a\nb', 'x' * 64, 'y' * 255, '..', 'ä.example')
def test_a_name_that_cannot_be_one_fails(t, name):
    names = DnsServer(t)
    d = Daemon(t, {'names': {'servers': [names.address]}})
    code = ask_code(d, name.encode('latin-1'), 80, as_name=True)
    assert code in (client.FAILURE, client.HOST, client.TYPE), code
    assert d.wait_access()['outcome'] in ('bad-address', 'name-not-found',
                                          'name-failed')


def test_port_0_is_no_target(t):
    d = Daemon(t)
    assert ask_code(d, '127.0.0.1', 0) != client.SUCCEEDED


@each(b'', b'\1', b'\2', b'\1\2\3\x80\xfe')
def test_no_method_in_common_is_answered_with_ff(t, methods):
    d = Daemon(t)
    with dial(d.address) as s:
        same(socks5_greet(s, methods), b'\5\xff')
        same(read_all(s), b'')
    d.wait_access(outcome='no-method')


@each(b'\0', b'\2\0', bytes(range(1, 255)) + b'\0', bytes(255))
def test_finds_the_method_none_among_others(t, methods):
    d = Daemon(t)
    o = Origin(t, echo)
    with dial(d.address) as s:
        same(socks5_greet(s, methods), b'\5\0')
        s.sendall(socks5_request(*o.target))
        same(socks5_reply(s).code, client.SUCCEEDED)
        assert echoes(s)


@each(0, 4, 6)
def test_another_version_in_the_request_is_refused(t, version):
    d = Daemon(t)
    with dial(d.address) as s:
        socks5_greet(s)
        s.sendall(bytes([version]) + socks5_request('127.0.0.1', 80)[1:])
        same(socks5_reply(s).code, client.FAILURE)
        same(read_all(s), b'')
    d.wait_access(outcome='bad-request')


@each('127.0.0.1', '::1', 'target.example')
@valgrind
def test_a_request_may_be_split_at_any_byte(t, host):
    hosts = t.file('hosts', '127.0.0.1 target.example\n')
    d = Daemon(t, None if host != 'target.example' else
               {'names': {'hosts': hosts}})
    o = Origin(t, echo, host='::1' if host == '::1' else '127.0.0.1')
    whole = b'\5\2\0\1' + socks5_request(host, o.port) + b'first words'
    # All connections at once: one pause for all first parts.
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
            assert read_exact(s, 2) == b'\5\0', at
            assert socks5_reply(s).code == client.SUCCEEDED, at
            assert read_exact(s, 11) == b'first words', at


def test_a_request_may_come_byte_by_byte(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with dial(d.address) as s:
        for byte in b'\5\1\0' + socks5_request(*o.target):
            s.sendall(bytes([byte]))
            time.sleep(0.005)
        same(read_exact(s, 2), b'\5\0')
        same(socks5_reply(s).code, client.SUCCEEDED)
        assert echoes(s)


def test_all_at_once_with_early_data_is_understood(t):
    d = Daemon(t)
    o = Origin(t, echo)
    early = client.noise(30000)
    with dial(d.address) as s:
        s.sendall(b'\5\1\0' + socks5_request(*o.target) + early)
        same(client.take_reply(s, 'socks5'), client.SUCCEEDED)
        same(read_exact(s, len(early)), early)
        assert echoes(s)


def test_a_refusal_survives_data_that_nobody_reads(t):
    # Closing with unread data would be a reset, and a reset throws away
    # the reply that is still on its way.
    d = Daemon(t)
    early = bytes(200000)
    for _ in range(20):
        with dial(d.address) as s:
            s.sendall(b'\5\1\0' + socks5_request('127.0.0.1', 1))
            s.setblocking(False)
            try:
                s.send(early)
            except OSError:
                pass
            time.sleep(0.02)
            s.settimeout(patient(10))
            same(client.take_reply(s, 'socks5'), client.REFUSED)
            same(client.read_to_end(s)[0], b'')


def test_a_client_that_leaves_in_its_handshake_is_noted(t):
    d = Daemon(t)
    for start in (b'\5', b'\5\1\0', b'\5\1\0\5\1\0\1\x7f'):
        with dial(d.address) as s:
            s.sendall(start)
    d.wait_access(3, outcome='client-left')


def test_a_client_that_leaves_while_we_connect_is_let_go(t):
    d = Daemon(t, {'timeouts': {'connect': '20s'}})
    silent = Silent(t)
    with dial(d.address) as s:
        s.sendall(b'\5\1\0' + socks5_request(*silent.target))
        read_exact(s, 2)
        client.reset(s)
    d.wait_access(outcome='client-left')
    d.wait_rest(5)


def test_one_that_shuts_down_after_its_request_is_served(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with dial(d.address) as s:
        s.sendall(b'\5\1\0' + socks5_request(*o.target) + b'all I say')
        s.shutdown(socket.SHUT_WR)
        same(client.take_reply(s, 'socks5'), client.SUCCEEDED)
        same(read_all(s), b'all I say')


def test_the_own_address_is_no_target(t):
    d = Daemon(t)
    same(ask_code(d, *d.address), client.DENIED)
    d.wait_access(outcome='denied')


def test_the_own_address_in_its_mapped_form_is_no_target(t):
    d = Daemon(t, {'listeners': [{
        'name': 'lan', 'address': ['[::ffff:127.0.0.1]:0'],
        'v6only': False}]})
    same(ask_code(d, '127.0.0.1', d.address[1]), client.DENIED)


def test_many_tunnels_at_once_each_go_their_way(t):
    d = Daemon(t)
    o = Origin(t, echo)
    open_ = [client.tunnel(d.address, o.target) for _ in range(200)]
    for i, s in enumerate(open_):
        s.sendall(struct.pack('>I', i) * 100)
    for i, s in enumerate(open_):
        with s:
            same(read_exact(s, 400), struct.pack('>I', i) * 100)
    eventually(lambda: o.accepted == 200)
    d.wait_access(200, outcome='closed')
