"""UDP ASSOCIATE, RFC 1928 section 7: who may send and reply, and what."""
import socket
import struct
import time

from lib import client, conf, net
from lib.case import (Skip, each, eventually, fewer, netns, patient, same, tool,
                      valgrind)
from lib.client import ProxyError, socks5_ask, tunnel
from lib.daemon import Daemon
from lib.dns import SILENT, DnsServer, a
from lib.origin import Origin, echo, unused_port
from lib.udp import (Association, Echo, bound, counts, header, nothing_comes,
                     wait_dropped)

ONE = {'workers': 1}


def refused(t, d, said=('0.0.0.0', 0)):
    """The code of a request that is refused."""
    try:
        Association(t, d.address, said)
    except ProxyError as e:
        return e.code
    raise AssertionError('it is granted')


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
        wait_dropped(d, 1)
        same(counts(d), (1, 1, 1))


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


# --- Rules ------------------------------------------------------------------

def test_each_target_is_asked_of_the_rules(t):
    good, bad = Echo(t), Echo(t, '127.0.0.2')
    d = Daemon(t, {**ONE, 'rules': [
        conf.deny(to='127.0.0.2'), conf.deny(ports=['53'], commands=['udp']),
        conf.allow()]})
    u = Association(t, d.address)
    for _ in range(3):
        u.send(bad.target, b'denied')
        u.send(('127.0.0.1', 53), b'denied')
        assert u.echoes(good.target)
    same(bad.got, [])
    if d.control:
        wait_dropped(d, 6)


def test_a_name_that_is_allowed_does_not_open_its_address(t):
    hosts = t.file('hosts', '127.0.0.1 good.example bad.example\n')
    d = Daemon(t, {**ONE, 'names': {'hosts': hosts}, 'rules': [
        conf.deny(to='bad.example'),
        conf.allow(to='127.0.0.1', ports=['1-65535'])]})
    e = Echo(t)
    u = Association(t, d.address)
    assert u.echoes(('good.example', e.port), as_name=True)
    u.send(('bad.example', e.port), b'denied')
    assert u.echoes(('good.example', e.port), b'pong', as_name=True)
    same(e.got, [b'ping', b'pong'])


@each({'commands': ['udp'], 'action': 'deny'}, {'action': 'deny'})
def test_who_may_send_nowhere_is_refused(t, rule):
    d = Daemon(t, {'rules': [rule, conf.allow()]})
    same(refused(t, d), client.DENIED)
    line = d.wait_access(outcome='denied')
    same((line['command'], line['rule']), ('udp', 'rule-1'))


def test_who_may_send_somewhere_is_not(t):
    e = Echo(t)
    d = Daemon(t, {'rules': [
        conf.deny(ports=['1'], commands=['udp']),
        conf.allow(ports=[str(e.port)], commands=['udp'])]})
    u = Association(t, d.address)
    assert u.echoes(e.target)


def test_our_own_listeners_get_nothing(t):
    d = Daemon(t, {**ONE, 'listeners': [conf.listener()]})
    own = Echo(t, '127.0.0.1', d.address[1])
    e = Echo(t)
    u = Association(t, d.address)
    u.send(own.target, b'own')
    assert u.echoes(e.target)
    same(own.got, [])


# --- Life -------------------------------------------------------------------

def test_the_control_connection_ends_it(t):
    d = Daemon(t)
    e = Echo(t)
    u = Association(t, d.address)
    assert u.echoes(e.target)
    u.control.close()
    u.wait_gone()
    d.wait_access(outcome='closed')


def test_a_reset_of_the_control_connection_ends_it(t):
    d = Daemon(t)
    u = Association(t, d.address)
    client.reset(u.control)
    u.wait_gone()
    d.wait_access(outcome='client-reset')


def test_the_control_connection_has_little_to_say(t):
    d = Daemon(t)
    e = Echo(t)
    u = Association(t, d.address)
    u.control.sendall(b'nonsense')
    assert u.echoes(e.target)
    try:
        while True:
            u.control.sendall(bytes(1 << 16))
    except OSError:
        pass
    d.wait_access(outcome='bad-request')


def test_silence_ends_it(t):
    d = Daemon(t, {'timeouts': {'udp_idle': '1s'}})
    e = Echo(t)
    u = Association(t, d.address)
    start = time.monotonic()
    while time.monotonic() < start + 1.2:
        assert u.echoes(e.target)
        time.sleep(0.1)
    same(u.control.recv(1), b'')
    assert time.monotonic() - start > 2
    d.wait_access(outcome='idle')
    u.wait_gone()


def test_no_session_is_older_than_it_may_be(t):
    d = Daemon(t, {'timeouts': {'session': '1s'}})
    u = Association(t, d.address)
    same(u.control.recv(1), b'')
    d.wait_access(outcome='expired')
    u.wait_gone()


def test_a_reload_cuts_no_association(t):
    d = Daemon(t)
    e = Echo(t)
    u = Association(t, d.address)
    assert u.echoes(e.target)
    d.reload({'rules': [conf.deny()]}, rebase=False)
    assert u.echoes(e.target)
    same(refused(t, d), client.DENIED)
    u.close()
    d.wait_alone()


def test_the_end_of_the_daemon_ends_it(t):
    d = Daemon(t, {'timeouts': {'shutdown': '100ms'}})
    e = Echo(t)
    u = Association(t, d.address)
    assert u.echoes(e.target)
    d.signal(15)
    d.wait_exit(0)
    same(u.control.recv(1), b'')
    d.wait_access(outcome='shutdown')


# --- Addresses and ports ----------------------------------------------------

def free_ports(count):
    """A range of ports of which none is in use."""
    while True:
        first = unused_port()
        held = []
        try:
            for port in range(first, first + count):
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                held.append(s)
                s.bind(('127.0.0.1', port))
            return range(first, first + count)
        except (OSError, OverflowError):
            continue
        finally:
            for s in held:
                s.close()


def test_ports_of_a_range(t):
    ports = free_ports(8)
    d = Daemon(t, {**ONE, 'listeners': [conf.listener(
        udp_ports=f'{ports[0]}-{ports[-1]}')]})
    all = [Association(t, d.address) for _ in ports]
    same(sorted(u.relay[1] for u in all), list(ports))
    same(refused(t, d), client.FAILURE)
    d.wait_access(outcome='limit')
    all[3].close()
    d.wait_access(outcome='closed')
    same(Association(t, d.address).relay, all[3].relay)


def test_an_address_that_is_told(t):
    d = Daemon(t, {'listeners': [conf.listener(
        address=['127.0.0.1:0', '[::1]:0'],
        udp_address=['192.0.2.9', '2001:db8::9'])]})
    e = Echo(t)
    for host, told in (('127.0.0.1', '192.0.2.9'), ('::1', '2001:db8::9')):
        u = Association(t, d.at(host))
        same(u.relay[0], told)
        u.relay = (host, u.relay[1])
        u.send(e.target, b'x')
        same(u.socket.recvfrom(100)[1][:2], u.relay)


def test_the_source_address_is_the_configured_one(t):
    d = Daemon(t, {'outbound': {'source': '127.0.0.5'}})
    e = Echo(t)
    u = Association(t, d.address)
    assert u.echoes(e.target)
    same(e.peers[0][0], '127.0.0.5')
    six = Echo(t, '::1')
    u.send(six.target, b'there is no source')
    assert u.echoes(e.target)
    same(six.got, [])


@netns
def test_clients_and_targets_of_a_link(t):
    net.dummy('link0')
    net.add_address('fe80::1/64', 'link0')
    net.add_address('fe80::2/64', 'link0')
    scope = socket.if_nametoindex('link0')
    d = Daemon(t, {'listeners': [conf.listener(address='[::]:0')],
                   'outbound': {'source': 'link0'}})
    port = d.addresses[0][1]
    e = bound(t)
    e = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    e.settimeout(patient(10))
    e.bind(('fe80::2', 0, 0, scope))
    control = socket.create_connection((f'fe80::1%{scope}', port))
    control.sendall(b'\5\1\0' + client.socks5_request('::', 0, client.UDP))
    client.read_exact(control, 2)
    reply = client.socks5_reply(control)
    same(reply.code, 0)
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.settimeout(patient(10))
    s.bind((*control.getsockname()[:1], 0, 0, scope))
    s.sendto(header('fe80::2', e.getsockname()[1]) + b'x',
             (reply.host, reply.port, 0, scope))
    got, peer = e.recvfrom(10)
    e.sendto(got, peer)
    same(s.recv(100), header('fe80::2', e.getsockname()[1]) + b'x')
    for each_one in (control, s, e):
        each_one.close()


# --- Bounds -----------------------------------------------------------------

def test_no_more_than_a_client_may_have(t):
    d = Daemon(t, {**ONE, 'limits': {'udp_per_client': 3}})
    all = [Association(t, d.address) for _ in range(3)]
    same(refused(t, d), client.FAILURE)
    d.wait_access(outcome='limit')
    # Another client is another one.
    Association(t, d.address, source='127.0.0.2').close()
    all[0].close()
    d.wait_access(outcome='closed', count=2)
    Association(t, d.address)


def test_no_more_than_there_may_be(t):
    d = Daemon(t, {**ONE, 'limits': {'udp_associations': 3}})
    all = [Association(t, d.address) for _ in range(3)]
    same(refused(t, d), client.FAILURE)
    d.wait_access(outcome='limit')
    all[0].close()
    d.wait_access(outcome='closed')
    e = Echo(t)
    assert Association(t, d.address).echoes(e.target)


def test_no_more_memory_than_there_may_be(t):
    d = Daemon(t, {**ONE, 'limits': {'udp_memory': '1M',
                                     'udp_per_client': 1000}})
    e = Echo(t)
    all = []
    try:
        while True:
            all.append(Association(t, d.address))
    except ProxyError as failure:
        same(failure.code, client.FAILURE)
    assert 5 < len(all) < 50, len(all)
    d.wait_access(outcome='limit')
    for u in all[5:]:
        u.close()
    d.wait_access(outcome='closed', count=len(all) - 5)
    for u in all[:5]:
        assert u.echoes(e.target)


def test_no_udp_at_all(t):
    d = Daemon(t, {'limits': {'udp_associations': 0}})
    same(refused(t, d), client.COMMAND)


def test_other_sessions_go_on_beside_a_flood(t):
    d = Daemon(t, ONE)
    e = Echo(t)
    o = Origin(t, echo)
    sink = bound(t)
    flood, calm = Association(t, d.address), Association(t, d.address)
    with tunnel(d.address, o.target) as s:
        for _ in range(fewer(20)):
            for _ in range(200):
                flood.send(sink.getsockname(), bytes(1000))
            assert calm.echoes(e.target)
            assert client.echoes(s)


def test_many_come_and_go(t):
    d = Daemon(t, {'limits': {'udp_per_client': 0}})
    e = Echo(t)
    for _ in range(3):
        all = [Association(t, d.address) for _ in range(fewer(60))]
        for u in all:
            assert u.echoes(e.target)
        for u in all:
            u.close()
