"""Listeners that forward to targets of the configuration."""
import socket
import struct

from lib import conf
from lib.case import each, same
from lib.client import dial, echoes, noise, read_exact, read_to_end
from lib.daemon import Daemon
from lib.origin import Listener, Origin, echo, say, sink, unused_port


def to(*targets, **changes):
    names = [f'{host}:{port}' for host, port in targets]
    return conf.listener(protocols=['forward'],
                         target=names[0] if len(names) == 1 else names,
                         **changes)


def ends_by_reset(address):
    """Maybe before it is known that there was a connection."""
    try:
        with dial(address) as s:
            same(read_to_end(s), (b'', 'reset'))
    except ConnectionResetError:
        pass


def nobody():
    return ('127.0.0.1', unused_port())


def test_bytes_pass_both_ways(t):
    o = Origin(t, echo)
    d = Daemon(t, {'listeners': [to(o.target)]})
    text = noise(300000)
    with dial(d.address) as s:
        s.sendall(text[:1000])
        same(read_exact(s, 1000), text[:1000])
        assert echoes(s)
    d.wait_access(protocol='forward', command='connect', outcome='closed',
                  target='127.0.0.1:%d' % o.port, up=1004, down=1004)


def test_the_target_may_speak_first(t):
    o = Origin(t, say(b'220 mail.example ESMTP\r\n'))
    d = Daemon(t, {'listeners': [to(o.target)]})
    with dial(d.address) as s:
        same(read_to_end(s), (b'220 mail.example ESMTP\r\n', 'eof'))


def test_targets_by_name_and_ipv6_are_reached(t):
    d = Daemon(t, {'listeners': [
        to(('localhost', Origin(t, echo).port)),
        to(('[::1]', Origin(t, echo, host='::1').port), name='six')]})
    for address in d.addresses:
        with dial(address) as s:
            assert echoes(s)
    d.wait_access(2, outcome='closed')


def test_the_next_target_is_tried(t):
    o = Origin(t, echo)
    d = Daemon(t, {'listeners': [to(nobody(), nobody(), o.target)]})
    for _ in range(3):
        with dial(d.address) as s:
            assert echoes(s)
    d.wait_access(3, target='127.0.0.1:%d' % o.port, outcome='closed')
    assert len(d.access()) == 3, d.access()


def test_no_target_at_all_is_a_reset(t):
    d = Daemon(t, {'listeners': [to(nobody(), nobody())]})
    ends_by_reset(d.address)
    d.wait_access(outcome='refused', protocol='forward')


def test_targets_have_their_turn(t):
    several = [Origin(t, echo) for _ in range(3)]
    d = Daemon(t, {'workers': 1, 'listeners': [
        to(*[o.target for o in several], target_policy='round-robin')]})
    for _ in range(9):
        with dial(d.address) as s:
            assert echoes(s)
    same([o.accepted for o in several], [3, 3, 3])


def test_rules_hold_for_targets(t):
    o, other = Origin(t, echo), Origin(t, echo)
    d = Daemon(t, {'listeners': [to(o.target)],
                   'rules': [conf.deny(to='127.0.0.1', ports=[o.port]),
                             conf.allow(protocols=['forward'])]})
    ends_by_reset(d.address)
    d.wait_access(outcome='denied', rule='rule-1')
    d.reload({'listeners': [to(other.target)]})
    with dial(d.address) as s:
        assert echoes(s)


V2 = b'\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c'


@each('v1', 'v2')
def test_targets_are_told_of_the_client(t, version):
    o = Listener(t)
    d = Daemon(t, {'listeners': [
        to(o.target, send_proxy=version, proxy_protocol=['127.0.0.1'])]})
    with dial(d.address) as s:
        s.sendall(b'PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\nhello')
        with o.accept() as at:
            told = b'PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n' \
                if version == 'v1' else V2 + bytes(
                    [203, 0, 113, 7, 192, 0, 2, 1]) + \
                struct.pack('>HH', 4711, 443)
            same(read_exact(at, len(told) + 5), told + b'hello')
    d.wait_access(client='203.0.113.7:4711')


def test_a_client_without_header_is_told_of_as_it_is(t):
    o = Listener(t)
    d = Daemon(t, {'listeners': [to(o.target, send_proxy='v1')]})
    with dial(d.address) as s:
        with o.accept() as at:
            told = 'PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n' % (
                s.getsockname()[1], d.address[1])
            same(read_exact(at, len(told)), told.encode())


def test_one_spliced_tells_another(t):
    o = Origin(t, sink)
    inner = Daemon(t, {'listeners': [to(o.target,
                                        proxy_protocol=['127.0.0.1'],
                                        proxy_protocol_only=True)]})
    outer = Daemon(t, {'listeners': [to(inner.address, send_proxy='v2')]})
    with dial(outer.address) as s:
        name = '127.0.0.1:%d' % s.getsockname()[1]
        s.sendall(noise(100000))
        s.shutdown(socket.SHUT_WR)
        same(read_exact(s, 8), struct.pack('>Q', 100000))
    inner.wait_access(client=name, up=100000, outcome='closed')


def test_who_sends_no_header_may_wait_for_the_first_word(t):
    o = Origin(t, say(b'220 ready'))
    d = Daemon(t, {'listeners': [to(
        o.target, proxy_protocol=['192.0.2.10/32'])],
        'timeouts': {'handshake': '500ms'}})
    with dial(d.address) as s:
        same(s.recv(9), b'220 ready')
