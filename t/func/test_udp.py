"""UDP ASSOCIATE, RFC 1928 section 7: who may send and reply, and what."""
import socket
import struct
import time

from lib import client, conf, net
from lib.case import (Skip, each, eventually, fewer, netns, patient, same, tool,
                      valgrind)
from lib.daemon import Daemon
from lib.dns import SILENT, DnsServer, a
from lib.origin import unused_port
from lib.udp import (Association, Echo, bound, counts, header, nothing_comes,
                     wait_dropped)

ONE = {'workers': 1}


# --- Datagrams --------------------------------------------------------------

@valgrind
@each('127.0.0.1', '::1')
def test_datagrams_pass_both_ways(t, host):
    d = Daemon(t)
    e = Echo(t, host)
    u = Association(t, d.at(host))
    same(u.relay[0], host)
    for i in range(10):
        assert u.echoes(e.target, b'datagram %d' % i)
    u.close()
    line = d.wait_access(command='udp', outcome='closed')
    same((line['up'], line['down']), ('100', '100'))
    same(line['target'], client.authority(*e.target))
    same(line['rule'], 'rule-1')


@each('127.0.0.1', '::1')
def test_either_family_of_targets_from_either_of_clients(t, host):
    d = Daemon(t)
    four, six = Echo(t), Echo(t, '::1')
    u = Association(t, d.at(host))
    for i in range(5):
        assert u.echoes(four.target)
        assert u.echoes(six.target)
    # Mixed in one batch, they keep their order for each target.
    for i in range(10):
        u.send(four.target, b'%d' % i)
        u.send(six.target, b'%d' % i)
    got = [u.receive() for _ in range(20)]
    for e in (four, six):
        same([p for who, p in got if who == e.target],
             [b'%d' % i for i in range(10)])


@valgrind
def test_every_size_that_fits_passes(t):
    d = Daemon(t)
    e = Echo(t)
    u = Association(t, d.address)
    for size in (0, 1, 1400, 1472, 9000, 65507 - 10):
        assert u.echoes(e.target, client.noise(size)), size


def test_a_reply_that_the_header_makes_too_long_is_dropped(t):
    d = Daemon(t, ONE)
    far = bound(t)
    u = Association(t, d.address)
    u.send(far.getsockname(), b'x')
    peer = far.recvfrom(10)[1]
    far.sendto(bytes(65507), peer)
    far.sendto(b'short', peer)
    same(u.receive(), (far.getsockname(), b'short'))
    if d.control:
        wait_dropped(d, 1)


def test_many_at_once_pass(t):
    d = Daemon(t)
    e = Echo(t)
    u = Association(t, d.address)
    for size in (10, 100, 1400):
        for n in range(fewer(20)):
            for i in range(20):
                u.send(e.target, b'%04d' % i + bytes(size))
            got = [u.receive()[1] for _ in range(20)]
            same(got, [b'%04d' % i + bytes(size) for i in range(20)])


def test_sizes_that_differ_pass_at_once(t):
    d = Daemon(t)
    e = Echo(t)
    u = Association(t, d.address)
    sizes = (5, 5, 5, 3, 5, 5, 0, 0, 4, 4, 9, 9, 2)
    for _ in range(fewer(20)):
        for i, n in enumerate(sizes):
            u.send(e.target, bytes([i]) * n)
        got = [u.receive()[1] for _ in sizes]
        same(got, [bytes([i]) * n for i, n in enumerate(sizes)])


def test_ipv4_in_a_header_of_ipv6(t):
    d = Daemon(t)
    e = Echo(t)
    u = Association(t, d.address)
    u.send(('::ffff:127.0.0.1', e.port), b'mapped')
    same(u.receive(), (e.target, b'mapped'))


@each(b'', b'\0\0\0', header('127.0.0.1', 9)[:-1],
      b'\0\0\1' + header('127.0.0.1', 9)[3:] + b'fragment',
      b'\0\0\x81' + header('127.0.0.1', 9)[3:] + b'fragment',
      b'\0\0\0\2' + bytes(20), header('0.0.0.0', 9), header('127.0.0.1', 0),
      header(b'', 9), header(b'a\0b', 9), header(b'127.1', 9),
      header('missing.example', 9))
def test_what_cannot_be_sent_is_dropped_and_counted(t, packet):
    names = DnsServer(t)
    d = Daemon(t, {**ONE, 'names': {'servers': [names.address]}})
    e = Echo(t)
    u = Association(t, d.address)
    u.send_raw(packet)
    assert u.echoes(e.target)
    if d.control:
        # The echo may be here before it is counted.
        eventually(lambda: counts(d) == (1, 1, 1), said=lambda: counts(d))


def test_a_closed_port_stops_nothing(t):
    d = Daemon(t)
    e = Echo(t)
    u = Association(t, d.address)
    for _ in range(10):
        u.send(('127.0.0.1', unused_port()), b'nobody')
        assert u.echoes(e.target)


@netns
def test_what_has_no_way_is_dropped(t):
    d = Daemon(t, {**ONE, 'listeners': [conf.listener()]})
    e = Echo(t)
    u = Association(t, d.address)
    u.send(('192.0.2.1', 9), b'x')
    u.send(('2001:db8::1', 9), b'x')
    u.send(('255.255.255.255', 9), b'x')
    u.send(('fe80::1', 9), b'x')
    assert u.echoes(e.target)
    if d.control:
        wait_dropped(d, 4)


@netns
def test_datagrams_longer_than_the_mtu_are_fragmented(t):
    far = net.Namespace(t)
    net.join('near0', far)
    for name, address, ip in (('near0', '10.9.0.1/24', net.ip),
                              ('wan0', '10.9.0.2/24', far.ip)):
        ip('address', 'add', address, 'dev', name)
        ip('link', 'set', name, 'mtu', '1280')
    with far.inside():
        e = Echo(t, '10.9.0.2')
    d = Daemon(t)
    u = Association(t, d.address)
    try:
        for size in (1000, 1252, 1253, 2000, 1000, 3000):
            for i in range(12):
                u.send(e.target, bytes([i]) * size)
            same([u.receive()[1][:1] for _ in range(12)],
                 [bytes([i]) for i in range(12)])
    finally:
        with far.inside():
            e.close()


# --- Names ------------------------------------------------------------------

@valgrind
def test_names_of_the_hosts_file(t):
    hosts = t.file('hosts', '127.0.0.1 target.example\n')
    d = Daemon(t, {'names': {'hosts': hosts}})
    e = Echo(t)
    u = Association(t, d.address)
    for name in ('target.example', 'Target.Example', 'target.example.'):
        u.send((name, e.port), b'by name')
        same(u.receive(), (e.target, b'by name'))
    u.close()
    line = d.wait_access()
    same(line['target'], f'target.example:{e.port}')
    same(line['address'], f'127.0.0.1:{e.port}')


def names_of(server, **more):
    return {**ONE, 'names': {'servers': [server.address], 'timeout': '2s',
                             'tries': 1}, **more}


@valgrind
def test_datagrams_wait_for_their_names(t):
    names = DnsServer(t, {('slow.example', 'A'): a('127.0.0.1', delay=0.2),
                          ('slow.example', 'AAAA'): a(delay=0.2)})
    d = Daemon(t, names_of(names))
    e = Echo(t)
    u = Association(t, d.address)
    for i in range(10):
        u.send(('slow.example', e.port), b'%d' % i)
    # Others do not wait for them.
    assert u.echoes(e.target, b'quick')
    same([u.receive()[1] for _ in range(10)], [b'%d' % i for i in range(10)])
    same(names.asked('slow.example')['A'], 1)
    assert u.echoes(('slow.example', e.port), as_name=True)


@each((20, 10, 16), (10, 7000, 9))
def test_what_waits_is_bounded(t, values):
    count, size, wanted = values
    names = DnsServer(t, {('slow.example', 'A'): a('127.0.0.1', delay=0.3),
                          ('slow.example', 'AAAA'): a(delay=0.3)})
    d = Daemon(t, names_of(names))
    e = Echo(t)
    u = Association(t, d.address)
    for i in range(count):
        u.send(('slow.example', e.port), bytes([i]) * size)
    same([u.receive()[1] for _ in range(wanted)],
         [bytes([i]) * size for i in range(wanted)])
    if d.control:
        wait_dropped(d, count - wanted)
    assert u.echoes(('slow.example', e.port), as_name=True)
    nothing_comes(u.socket)


def test_a_session_ends_while_its_names_are_asked_for(t):
    names = DnsServer(t, {('never.example', 'A'): SILENT,
                          ('never.example', 'AAAA'): SILENT})
    d = Daemon(t, names_of(names))
    e = Echo(t)
    u, other = Association(t, d.address), Association(t, d.address)
    for i in range(5):
        u.send(('never.example', e.port), b'x')
        u.send((f'n{i}.never.example', e.port), b'x')
    assert u.echoes(e.target)
    u.close()
    d.wait_access(outcome='closed')
    if d.control:
        wait_dropped(d, 10)
    assert other.echoes(e.target)


@netns
def test_a_name_whose_ipv6_goes_nowhere(t):
    names = DnsServer(t, {('both.example', 'A'): a('127.0.0.1'),
                          ('both.example', 'AAAA'): a('2001:db8::1')})
    d = Daemon(t, names_of(names))
    e = Echo(t)
    u = Association(t, d.address)
    for _ in range(3):
        assert u.echoes(('both.example', e.port), as_name=True)
    u.close()
    same(d.wait_access()['address'], f'127.0.0.1:{e.port}')


def test_a_name_whose_ipv6_is_denied_and_came_first(t):
    names = DnsServer(t, {('both.example', 'A'): a('127.0.0.1', delay=0.3),
                          ('both.example', 'AAAA'): a('::1')})
    d = Daemon(t, names_of(names, rules=[conf.deny(to='::1'), conf.allow()]))
    e, six = Echo(t), Echo(t, '::1')
    u = Association(t, d.address)
    for _ in range(3):
        assert u.echoes(('both.example', e.port), as_name=True)
    same(six.got, [])


def test_dns_through_it(t):
    port = unused_port()
    t.start(tool('dnsmasq', 'dnsmasq-base'), '--keep-in-foreground',
            '--no-resolv', '--no-hosts', '--conf-file=/dev/null',
            '--pid-file=', '--bind-interfaces', '--listen-address=127.0.0.1',
            '--log-facility=-', '--local=/example/', f'--port={port}',
            '--user=nobody', '--host-record=four.example,192.0.2.4')

    def answers():
        with socket.socket() as s:
            return s.connect_ex(('127.0.0.1', port)) == 0
    eventually(answers, said='dnsmasq')
    d = Daemon(t)
    u = Association(t, d.address)
    question = b'\4four\7example\0\0\1\0\1'
    for number in range(20):
        head = struct.pack('>HHHHHH', number, 0x0100, 1, 0, 0, 0)
        u.send(('127.0.0.1', port), head + question)
        who, reply = u.receive()
        same(who, ('127.0.0.1', port))
        same(struct.unpack('>H', reply[:2])[0], number)
        assert reply.endswith(bytes([192, 0, 2, 4])), reply


def test_python3_socks(t):
    try:
        import socks
    except ImportError:
        raise Skip('apt-get install python3-socks') from None
    d = Daemon(t)
    e = Echo(t)
    with socks.socksocket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.set_proxy(socks.SOCKS5, *d.address)
        s.settimeout(patient(10))
        for i in range(5):
            s.sendto(b'%d' % i, e.target)
            same(s.recvfrom(100), (b'%d' % i, e.target))


# --- Whose datagrams --------------------------------------------------------

def test_the_first_port_that_is_heard_is_the_client(t):
    d = Daemon(t, ONE)
    e = Echo(t)
    u = Association(t, d.address)
    other = bound(t)
    stranger = bound(t, '127.0.0.2')
    stranger.sendto(header(*e.target) + b'strange', u.relay)
    assert u.echoes(e.target)
    other.sendto(header(*e.target) + b'other', u.relay)
    stranger.sendto(header(*e.target) + b'strange', u.relay)
    assert u.echoes(e.target, b'pong')
    same(e.got, [b'ping', b'pong'])
    nothing_comes(other)
    if d.control:
        wait_dropped(d, 3)


@each('0.0.0.0', '127.0.0.1')
def test_the_port_that_was_announced_is_the_client(t, host):
    d = Daemon(t, ONE)
    e = Echo(t)
    mine = bound(t)
    u = Association(t, d.address, (host, mine.getsockname()[1]))
    u.send(e.target, b'from another port')
    u.socket = mine
    assert u.echoes(e.target)
    same(e.got, [b'ping'])


def test_a_foreign_address_announces_nothing(t):
    d = Daemon(t)
    e = Echo(t)
    u = Association(t, d.address, ('192.0.2.77', 9))
    assert u.echoes(e.target)


def test_by_address_the_last_port_is_the_client(t):
    d = Daemon(t, {**ONE, 'udp': {'source': 'address'}})
    e = Echo(t)
    u = Association(t, d.address)
    stranger = bound(t, '127.0.0.2')
    assert u.echoes(e.target)
    for _ in range(3):
        u.socket = bound(t)
        assert u.echoes(e.target)
    stranger.sendto(header(*e.target) + b'strange', u.relay)
    assert u.echoes(e.target)
    same(e.got, [b'ping'] * 5)


def test_with_any_source_whoever_is_admitted_is_the_client(t):
    d = Daemon(t, {**ONE, 'udp': {'source': 'any'}, 'clients': [
        conf.deny(**{'from': '127.0.0.3'}),
        {'action': 'allow', 'from': 'any'}]})
    e = Echo(t)
    u = Association(t, d.address)
    assert u.echoes(e.target)
    u.socket = bound(t, '127.0.0.2')
    assert u.echoes(e.target)
    denied = bound(t, '127.0.0.3')
    denied.sendto(header(*e.target) + b'denied', u.relay)
    assert u.echoes(e.target)
    same(e.got, [b'ping'] * 3)


# --- Whose replies ----------------------------------------------------------

def test_replies_come_from_whom_something_was_sent_to(t):
    d = Daemon(t, ONE)
    far, near = bound(t), bound(t)
    foreign = bound(t, '127.0.0.2')
    u = Association(t, d.address)
    u.send(far.getsockname(), b'x')
    peer = far.recvfrom(10)[1]
    foreign.sendto(b'foreign', peer)
    near.sendto(b'another port', peer)
    same(u.receive(), (near.getsockname(), b'another port'))
    u.send(foreign.getsockname(), b'x')
    same(foreign.recvfrom(10)[1], peer)
    foreign.sendto(b'invited', peer)
    same(u.receive(), (foreign.getsockname(), b'invited'))
    if d.control:
        wait_dropped(d, 1)


def test_any_reply_that_the_rules_allow(t):
    d = Daemon(t, {**ONE, 'udp': {'replies': 'any'}, 'rules': [
        conf.deny(to='127.0.0.3'), conf.allow()]})
    far = bound(t)
    foreign, denied = bound(t, '127.0.0.2'), bound(t, '127.0.0.3')
    u = Association(t, d.address)
    u.send(far.getsockname(), b'x')
    peer = far.recvfrom(10)[1]
    for _ in range(3):
        denied.sendto(b'denied', peer)
        foreign.sendto(b'foreign', peer)
        same(u.receive(), (foreign.getsockname(), b'foreign'))


def test_the_oldest_of_too_many_contacts_is_forgotten(t):
    d = Daemon(t, ONE)
    far = bound(t)
    u = Association(t, d.address)
    u.send(far.getsockname(), b'x')
    peer = far.recvfrom(10)[1]
    for i in range(1100):
        u.send((f'127.1.{i // 250}.{i % 250 + 1}', 9), b'x')
        if i % 20 == 19:  # as many as its buffer holds
            want = i + 2
            eventually(lambda: counts(d)[0] == want if d.control else
                       not time.sleep(0.01))
    far.sendto(b'forgotten', peer)
    second = Echo(t, '127.0.0.2')
    assert u.echoes(second.target)
    u.send(far.getsockname(), b'x')
    far.sendto(b'remembered', peer)
    same(u.receive(), (far.getsockname(), b'remembered'))
