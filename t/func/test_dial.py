"""How connections to targets find a way: families in turn, TCP Fast Open."""
import socket
import time

from lib import client, conf, net
from lib.case import Skip, alone, each, netns, patient, same, timeout
from lib.client import (dial, echoes, read_all, read_exact, socks5_ask,
                        tunnel)
from lib.daemon import Daemon
from lib.dns import DnsServer, a
from lib.origin import (Listener, Origin, Silent, echo, greet,
                        take_greeting)


# --- families ---------------------------------------------------------------

DEAD = [f'2001:db8:dead::{i}' for i in range(1, 5)]
SOON = 0.5


def dead_network(t, port):
    """Addresses that answer no SYN, and one of each family that serves."""
    for ip in [*DEAD, '2001:db8:2::1']:
        net.add_address(f'{ip}/128')
    for ip in [*DEAD, '127.0.0.66']:
        Silent(t, host=ip, port=port)
    for ip in ('127.0.0.1', '2001:db8:2::1'):
        Origin(t, echo, host=ip, port=port)


def names(server, **changes):
    return {'workers': 1, **changes,
            'names': {'servers': [server.address], 'timeout': '3s',
                      'tries': 1}}


def takes(d, name, port):
    """Seconds until a connection to a name is there, and to which address."""
    start = time.monotonic()
    with tunnel(d.address, (name, port)) as s:
        took = time.monotonic() - start
        line = d.session(s)
        assert echoes(s)
    return took, line()['address'].rsplit(':', 1)[0].strip('[]')


@alone
@netns
def test_dead_ipv6_first_costs_less_than_half_a_second(t):
    dead_network(t, 7)
    late = {'at-once': 0, 'after-100-ms': 0.1}
    records = {}
    for when, delay in late.items():
        for n in (1, 2, 4):
            name = f'{n}.{when}.example'
            records[name, 'AAAA'] = a(*DEAD[:n])
            records[name, 'A'] = a('127.0.0.1', delay=delay)
    # An answer that is not to be kept is one for who asked for it.
    records['no-ttl.example', 'AAAA'] = a(DEAD[0], ttl=0)
    records['no-ttl.example', 'A'] = a('127.0.0.1', ttl=0, delay=0.1)
    d = Daemon(t, names(DnsServer(t, records)))
    for name in sorted({name for name, _ in records}):
        took, address = takes(d, name, 7)
        print(f'{name}: {took:.3f} s')
        same(address, '127.0.0.1')
        assert took < patient(SOON), f'{name}: {took:.3f} s'


@netns
def test_the_preferred_family_is_first_and_no_trap(t):
    dead_network(t, 7)
    server = DnsServer(t, {
        ('both.example', 'A'): a('127.0.0.1'),
        ('both.example', 'AAAA'): a('2001:db8:2::1'),
        ('four-dead.example', 'A'): a('127.0.0.66'),
        ('four-dead.example', 'AAAA'): a(DEAD[0], '2001:db8:2::1'),
        ('six-dead.example', 'A'): a('127.0.0.66', '127.0.0.1'),
        ('six-dead.example', 'AAAA'): a(*DEAD[:3])})
    for family, first in (('none', '2001:db8:2::1'), ('ipv4', '127.0.0.1'),
                          ('ipv6', '2001:db8:2::1')):
        d = Daemon(t, names(server, outbound={'prefer': family}))
        same(takes(d, 'both.example', 7)[1], first)
        # Three attempts at most come before the one that works.
        same(takes(d, 'four-dead.example', 7)[1], '2001:db8:2::1')
        same(takes(d, 'six-dead.example', 7)[1], '127.0.0.1')


@alone
@netns
def test_ipv6_that_leads_nowhere_costs_nothing(t):
    server = DnsServer(t, {('x.example', 'A'): a('127.0.0.1'),
                           ('x.example', 'AAAA'): a(*DEAD)})
    d = Daemon(t, names(server))
    o = Origin(t, echo)
    took, address = takes(d, 'x.example', o.port)
    same(address, '127.0.0.1')
    assert took < patient(0.2), f'{took:.3f} s'


@alone
@netns
def test_a_family_without_source_is_left_out_of_a_name(t):
    dead_network(t, 7)
    server = DnsServer(t, {('x.example', 'A'): a('127.0.0.1'),
                           ('x.example', 'AAAA'): a(*DEAD)})
    d = Daemon(t, names(server, outbound={'source': '127.0.0.2'}))
    took, address = takes(d, 'x.example', 7)
    same(address, '127.0.0.1')
    assert took < patient(0.2), f'{took:.3f} s'


@netns
@each('no source', 'denied')
def test_a_family_that_will_not_do_does_not_spoil_the_other(t, why):
    server = DnsServer(t, {('x.example', 'A'): a('127.0.0.1', delay=0.3),
                           ('x.example', 'AAAA'): a('::1'),
                           ('six.example', 'AAAA'): a('::1'),
                           ('six.example', 'A'): a(delay=0.3)})
    o = Origin(t, echo)
    d = Daemon(t, names(server, **(
        {'outbound': {'source': '127.0.0.2'}} if why == 'no source' else
        {'rules': [conf.deny(to='::1'), conf.allow()]})))
    same(takes(d, 'x.example', o.port)[1], '127.0.0.1')
    s, reply = socks5_ask(d.address, ('six.example', o.port))
    with s:
        assert reply.code != client.SUCCEEDED
    d.wait_access(outcome='denied' if why == 'denied' else 'no-source')


# --- TCP Fast Open ----------------------------------------------------------

FAST = {'outbound': {'fastopen': True}}
SYN_DATA = 32  # of tcpi_options


def had_syn_data(s):
    """Whether its SYN brought bytes, told by the accepted socket."""
    return bool(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[5] &
                SYN_DATA)


def allow_fastopen():
    try:
        with open('/proc/sys/net/ipv4/tcp_fastopen', 'w') as f:
            f.write('3')
    except OSError as e:
        raise Skip(f'no TCP Fast Open: {e}') from None


def fast(listener):
    listener.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 64)
    return listener


def get_cookie(d, o):
    """The first connection asks for it, and is one as any other."""
    with tunnel(d.address, o.target) as s, o.accept() as far:
        s.sendall(b'x')
        same(far.recv(1), b'x')
        assert not had_syn_data(far)


@netns
def test_first_bytes_go_with_the_syn(t):
    allow_fastopen()
    d = Daemon(t, FAST)
    o = fast(Listener(t))
    get_cookie(d, o)
    for protocol in client.PROTOCOLS:
        with tunnel(d.address, o.target, protocol) as s:
            s.sendall(client.noise(100000))
            with o.accept() as far:
                same(read_exact(far, 100000), client.noise(100000))
                assert had_syn_data(far)
                far.sendall(b'pong')
                same(read_exact(s, 4), b'pong')
    # Those too that came along with the request.
    with dial(d.address) as s:
        s.sendall(client.request('http', o.target) + b'early')
        with o.accept() as far:
            same(read_exact(far, 5), b'early')
            assert had_syn_data(far)
            same(client.take_reply(s, 'http'), 200)


@netns
def test_unless_asked_for_no_bytes_go_with_the_syn(t):
    allow_fastopen()
    d = Daemon(t)
    o = fast(Listener(t))
    for _ in range(2):
        get_cookie(d, o)


@netns
def test_a_target_that_speaks_first_does_not_wait(t):
    allow_fastopen()
    d = Daemon(t, FAST)
    o = fast(Listener(t))
    get_cookie(d, o)
    fast(o)
    start = time.monotonic()
    for _ in range(5):
        with tunnel(d.address, o.target) as s, o.accept() as far:
            assert not had_syn_data(far)
            far.sendall(b'welcome!')
            take_greeting(s)
            assert echo_over(s, far)
    took = time.monotonic() - start
    assert took < patient(1), f'{took:.3f} s for five'


def echo_over(near, far):
    near.sendall(b'ping')
    return read_exact(far, 4) == b'ping'


@netns
def test_a_target_without_it_is_connected_as_ever(t):
    allow_fastopen()
    d = Daemon(t, FAST)
    o = Origin(t, greet)
    for protocol in client.PROTOCOLS:
        with tunnel(d.address, o.target, protocol) as s:
            take_greeting(s)
            assert echoes(s)


@netns
def test_a_target_that_has_gone_is_a_reset(t):
    allow_fastopen()
    d = Daemon(t, FAST)
    o = fast(Listener(t))
    get_cookie(d, o)
    o.socket.close()
    for text in (b'x', b''):
        with tunnel(d.address, o.target) as s:
            line = d.session(s)
            s.sendall(text)
            same(client.read_to_end(s), (b'', 'reset'))
        same(line()['outcome'], 'target-reset')


@netns
@each(0, 1, 50000)
@timeout(60)
def test_an_end_before_the_syn_is_answered_undoes_nothing(t, size):
    text = client.noise(size)
    lag = net.Lag(t, 30)
    allow_fastopen()
    with lag.far.inside():
        allow_fastopen()
    d = Daemon(t, FAST)
    with lag.far.inside():
        o = fast(Listener(t, host='10.77.0.2', port=7))
    get_cookie(d, o)
    for _ in range(3):
        with tunnel(d.address, o.target) as s:
            s.sendall(text)
            s.shutdown(socket.SHUT_WR)
            with o.accept() as far:
                same(read_all(far), text)
                same(had_syn_data(far), bool(text))
                far.sendall(b'welcome!')
            same(client.read_to_end(s), (b'welcome!', 'eof'))
    d.wait_access(4, outcome='closed')
