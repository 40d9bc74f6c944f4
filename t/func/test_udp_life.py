"""UDP associations: what rules, clocks and bounds make of them."""
import socket
import time

from lib import client, conf, net
from lib.case import each, fewer, netns, patient, same
from lib.client import ProxyError, tunnel
from lib.daemon import Daemon
from lib.origin import Origin, echo, unused_port
from lib.udp import Association, Echo, bound, header, wait_dropped

ONE = {'workers': 1}


def refused(t, d, said=('0.0.0.0', 0)):
    """The code of a request that is refused."""
    try:
        Association(t, d.address, said)
    except ProxyError as e:
        return e.code
    raise AssertionError('it is granted')


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


def test_a_rule_says_whether_the_begin_is_logged(t):
    d = Daemon(t, {'rules': [conf.allow(log=['connect'])]})
    e = Echo(t)
    u = Association(t, d.address)
    d.wait_log('event=connect .*command=udp .*rule=')
    assert u.echoes(e.target)
    u.close()
    u.wait_gone()
    same(d.log().count('event=connect '), 1)


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


class OfLink:
    """A link whose two addresses are a client's and a target's."""

    def __init__(self, t):
        net.dummy('link0')
        net.add_address('fe80::1/64', 'link0')
        net.add_address('fe80::2/64', 'link0')
        self.t, self.scope = t, socket.if_nametoindex('link0')
        self.target = self.socket('fe80::2')
        self.full = header('fe80::2', self.target.getsockname()[1]) + b'x'
        d = Daemon(t, {'listeners': [conf.listener(address='[::]:0')],
                       'outbound': {'source': 'link0'}})
        self.control = socket.create_connection(
            (f'fe80::1%{self.scope}', d.addresses[0][1]))
        t.defer(self.control.close)
        self.client = self.socket(self.control.getsockname()[0])

    def socket(self, host):
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.t.defer(s.close)
        s.settimeout(patient(10))
        s.bind((host, 0, 0, self.scope))
        return s

    def associate(self, host, port):
        self.control.sendall(b'\5\1\0' + client.socks5_request(
            host, port, client.UDP))
        client.read_exact(self.control, 2)
        reply = client.socks5_reply(self.control)
        same(reply.code, 0)
        self.relay = (reply.host, reply.port, 0, self.scope)

    def echoes(self):
        self.client.sendto(self.full, self.relay)
        got, peer = self.target.recvfrom(10)
        self.target.sendto(got, peer)
        same(self.client.recv(100), self.full)


@netns
def test_clients_and_targets_of_a_link(t):
    link = OfLink(t)
    link.associate('::', 0)
    link.echoes()


@netns
def test_a_client_of_a_link_that_announces_its_port(t):
    link = OfLink(t)
    link.associate(*link.client.getsockname()[:2])
    host = link.control.getsockname()[0]
    link.socket(host).sendto(link.full[:-1] + b'another port', link.relay)
    link.echoes()


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


def test_buffers_that_grow_leave_room_for_others(t):
    d = Daemon(t, {**ONE, 'limits': {'udp_memory': '1M'}})
    e = Echo(t)
    sink = bound(t)
    floods = [Association(t, d.address) for _ in range(3)]
    for _ in range(3):
        for u in floods:
            # As long as its buffer, and longer: it gets more.
            u.send(sink.getsockname(), bytes(60000))
            same(len(sink.recv(1 << 16)), 60000)
    assert Association(t, d.address, source='127.0.0.2').echoes(e.target)


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
