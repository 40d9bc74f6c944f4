"""Time that a handshake may take, and no more."""
import time

from lib import client, conf
from lib.case import each, patient, same, valgrind
from lib.client import dial, read_exact, read_to_end
from lib.daemon import Daemon
from lib.dns import SILENT, DnsServer
from lib.origin import Origin, Silent, echo

BEGINNINGS = {
    'nothing': b'',
    'socks5-byte': b'\5',
    'socks5-greeting': b'\5\1\0',
    'socks5-half-request': b'\5\1\0\5\1\0\3\x20abc',
}


@each(*BEGINNINGS)
@valgrind
def test_a_silent_client_is_closed(t, what):
    d = Daemon(t, {'timeouts': {'handshake': '1s'}})
    start = time.monotonic()
    with dial(d.address) as s:
        s.sendall(BEGINNINGS[what])
        got, how = read_to_end(s)
        assert 0.8 < time.monotonic() - start < patient(4)
        assert how == 'eof' and got[2:3] in (b'', b'\5'), (got, how)
    d.wait_access(outcome='handshake-timeout')


def test_a_trickle_does_not_stretch_the_handshake(t):
    d = Daemon(t, {'timeouts': {'handshake': '1s'}})
    start = time.monotonic()
    with dial(d.address) as s:
        try:
            for byte in b'CONNECT ' + b'x' * 1000:
                s.sendall(bytes([byte]))
                time.sleep(0.05)
        except OSError:
            pass
    assert time.monotonic() - start < patient(5)
    d.wait_access(outcome='handshake-timeout')


def test_the_handshakes_time_is_not_the_tunnels(t):
    d = Daemon(t, {'timeouts': {'handshake': '1s'}})
    o = Origin(t, echo)
    with client.tunnel(d.address, o.target) as s:
        time.sleep(1.5)
        assert client.echoes(s)
    d.wait_access(outcome='closed')


def test_a_name_may_take_its_time_but_no_more(t):
    names = DnsServer(t, {('slow.example', k): SILENT for k in
                          ('A', 'AAAA')})
    d = Daemon(t, {'names': {'servers': [names.address], 'timeout': '2s',
                             'tries': 1},
                   'timeouts': {'name': '1s', 'handshake': '30s'}})
    start = time.monotonic()
    s, reply = client.socks5_ask(d.address, ('slow.example', 80))
    with s:
        assert reply.code != client.SUCCEEDED
        assert 0.8 < time.monotonic() - start < patient(4)
    d.wait_access(outcome='name-timeout')


def test_connecting_is_no_part_of_the_handshake(t):
    d = Daemon(t, {'timeouts': {'handshake': '1s', 'connect': '2s'}})
    start = time.monotonic()
    s, reply = client.socks5_ask(d.address, Silent(t).target)
    with s:
        same(reply.code, client.TIMEOUT)
        assert 1.8 < time.monotonic() - start < patient(5)
    d.wait_access(outcome='connect-timeout')


def test_a_rule_may_have_times_of_its_own(t):
    silent, o = Silent(t), Origin(t, echo)
    d = Daemon(t, {'rules': [conf.allow(ports=[silent.port], connect='1s'),
                             conf.allow(ports=[o.port], idle='1s'),
                             conf.allow()],
                   'timeouts': {'connect': '1m', 'idle': '1h'}})
    start = time.monotonic()
    with client.tunnel(d.address, o.target) as quiet, \
            client.tunnel(d.address, Origin(t, echo).target) as other:
        s, reply = client.socks5_ask(d.address, silent.target)
        with s:
            same(reply.code, client.TIMEOUT)
        read_to_end(quiet)
        assert 0.8 < time.monotonic() - start < patient(5)
        assert client.echoes(other)
    d.wait_access(outcome='connect-timeout', rule='rule-1')
    d.wait_access(outcome='idle', rule='rule-2')


def test_a_client_that_does_not_take_its_refusal_is_let_go(t):
    d = Daemon(t, {'timeouts': {'handshake': '2s'}})
    with dial(d.address) as s:
        s.sendall(b'\5\1\0' + client.socks5_request('127.0.0.1', 1))
        read_exact(s, 2)
        # It neither reads on nor closes: the lingering close has an end.
        d.wait_access(outcome='refused', seconds=10)
        d.wait_rest(15)
