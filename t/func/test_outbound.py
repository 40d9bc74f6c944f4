"""Where connections to targets come from."""
import ipaddress
import os

from lib import client, conf, net
from lib.case import Skip, each, eventually, netns, patient, same, timeout
from lib.client import dial, echoes, http_status, read_all, socks5_ask, tunnel
from lib.daemon import Daemon
from lib.origin import Listener, Origin, echo
from lib.udp import Association, bound


def peer(d, o, protocol='socks5', to=None, **options):
    """The address from which a connection reaches the origin."""
    with tunnel(to or d.address, o.target, protocol, **options) as s, \
            o.accept() as far:
        s.sendall(b'x')
        same(far.recv(1), b'x')
        return far.getpeername()[0]


def outbound(workers=1, **options):
    return {'workers': workers, 'outbound': options}


def refused(d, target, outcome, to=None):
    """A request that must fail so."""
    s, reply = socks5_ask(to or d.address, target)
    with s:
        line = d.session(s)
        assert reply.code != client.SUCCEEDED, target
        read_all(s)
    same(line()['outcome'], outcome)


# --- one source, a device, a mark --------------------------------------------

def test_the_source_address_can_be_set(t):
    d = Daemon(t, {'outbound': {'source': '127.0.0.2'}})
    o = Listener(t)
    for protocol in client.PROTOCOLS:
        same(peer(d, o, protocol), '127.0.0.2')
    s, reply = socks5_ask(d.address, o.target)
    with s, o.accept() as far:
        same((reply.host, reply.port), far.getpeername())


def test_each_family_has_its_source_address(t):
    d = Daemon(t, {'outbound': {'source': ['127.0.0.2', '::1']}})
    same(peer(d, Listener(t)), '127.0.0.2')
    same(peer(d, Listener(t, host='::1')), '::1')


def test_a_family_without_source_address_is_not_used(t):
    d = Daemon(t, {'outbound': {'source': '127.0.0.2'}})
    s, reply = socks5_ask(d.address, Listener(t, host='::1').target)
    with s:
        assert reply.code != client.SUCCEEDED
    d.wait_access(outcome='no-source')


@netns
def test_the_source_can_be_an_interface_whose_address_changes(t):
    net.dummy('wan0', '192.0.2.1/24')
    net.add_address('198.51.100.1/32')
    o = Listener(t, host='198.51.100.1')
    d = Daemon(t, {'outbound': {'source': 'wan0'}})
    same(peer(d, o), '192.0.2.1')
    net.ip('address', 'del', '192.0.2.1/24', 'dev', 'wan0')
    net.add_address('192.0.2.9/24', 'wan0')

    def follows():
        try:
            return peer(d, o) == '192.0.2.9'
        except client.ProxyError:
            return False
    eventually(follows, said='the new address')
    net.ip('address', 'del', '192.0.2.9/24', 'dev', 'wan0')

    def refuses():
        s, reply = socks5_ask(d.address, o.target)
        with s:
            if not reply.code:
                o.accept().close()
        return d.access(outcome='no-source')
    eventually(refuses, said='no address, no connection')


def test_an_interface_that_does_not_exist_is_status_1(t):
    d = Daemon(t, {'outbound': {'source': 'nosuch0'}}, wait=False)
    d.wait_exit(1)
    assert 'nosuch0' in d.log()


@netns
def test_a_device_is_the_only_way_out(t):
    far = net.Namespace(t)
    net.join('vpn0', far)
    net.add_address('10.78.0.1/24', 'vpn0')
    far.ip('address', 'add', '10.78.0.2/24', 'dev', 'wan0')
    net.add_address('198.51.100.1/32')
    with far.inside():
        o = Listener(t, host='10.78.0.2', port=7)
    here = Listener(t, host='198.51.100.1', port=7)
    d = Daemon(t, {'outbound': {'device': 'vpn0'},
                   'timeouts': {'connect': '2s'}})
    same(peer(d, o), '10.78.0.1')
    # What another way would reach stays out of reach, also once it is down.
    for _ in range(2):
        s, reply = socks5_ask(d.address, here.target)
        with s:
            assert reply.code != client.SUCCEEDED
        net.ip('link', 'set', 'vpn0', 'down')
    s, reply = socks5_ask(d.address, o.target)
    with s:
        assert reply.code != client.SUCCEEDED


def test_a_device_that_does_not_exist_is_status_1(t):
    d = Daemon(t, {'outbound': {'device': 'nosuch0'}}, wait=False)
    d.wait_exit(1)
    assert 'nosuch0' in d.log()


@netns
def test_a_mark_chooses_the_route(t):
    far = net.Namespace(t)
    net.join('lan0', far)
    net.add_address('10.78.0.1/24', 'lan0')
    far.ip('address', 'add', '10.78.0.2/24', 'dev', 'wan0')
    with far.inside():
        o = Origin(t, echo, host='10.78.0.2', port=7)
    try:
        net.ip('rule', 'add', 'fwmark', '7', 'pref', '100', 'unreachable')
    except AssertionError as e:
        raise Skip(f'no rules by mark: {e}') from None
    plain = Daemon(t)
    with tunnel(plain.address, o.target) as s:
        assert echoes(s)
    d = Daemon(t, {'outbound': {'mark': 7}})
    ask = client.http_request(client.authority(*o.target))
    same(http_status(d.address, ask), 502)


# --- rotation ---------------------------------------------------------------

SOURCES = ['127.0.0.2', '127.0.0.3', '127.0.0.4']


def test_each_connection_has_the_next_source(t):
    d = Daemon(t, outbound(source=SOURCES, rotate='per-connection'))
    o = Listener(t)
    seen = [peer(d, o, client.PROTOCOLS[i % 2]) for i in range(9)]
    same(sorted(seen[:3]), SOURCES)
    same(seen[3:], seen[:6])


def test_the_reply_tells_the_source(t):
    d = Daemon(t, outbound(source=SOURCES, rotate='per-connection'))
    o = Listener(t)
    for _ in range(3):
        s, reply = socks5_ask(d.address, o.target)
        with s, o.accept() as far:
            same((reply.host, reply.port), far.getpeername())


def test_every_worker_uses_all_sources(t):
    d = Daemon(t, outbound(4, source=SOURCES, rotate='per-connection'))
    o = Listener(t)
    same(sorted({peer(d, o) for _ in range(40)}), SOURCES)


@netns
def test_each_family_has_its_own_turns(t):
    sixes = ['2001:db8::2', '2001:db8::3']
    for ip in ['2001:db8::1', *sixes]:
        net.add_address(f'{ip}/128')
    d = Daemon(t, outbound(source=[*sixes, *SOURCES[:2]],
                           rotate='per-connection'))
    four, six = Listener(t), Listener(t, host='2001:db8::1')
    seen = [(peer(d, four), peer(d, six)) for _ in range(4)]
    same(sorted({f for f, _ in seen}), SOURCES[:2])
    same(sorted({s for _, s in seen}), sixes)
    same(seen[2:], seen[:2])


def test_without_rotation_the_first_is_used(t):
    d = Daemon(t, outbound(2, source=SOURCES))
    o = Listener(t)
    same({peer(d, o) for _ in range(10)}, {SOURCES[0]})


@netns
def test_an_address_that_has_gone_is_passed_over(t):
    sources = [f'192.0.2.{i}' for i in range(1, 4)]
    for ip in sources:
        net.add_address(f'{ip}/32')
    d = Daemon(t, outbound(source=sources, rotate='per-connection'))
    net.add_address('198.51.100.1/32')
    o = Listener(t, host='198.51.100.1')

    def becomes(wanted):
        def look():
            try:
                return sorted({peer(d, o) for _ in range(6)}) == wanted
            except client.ProxyError:  # it has just gone
                return False
        eventually(look, said=f'sources {wanted}')
    becomes(sources)
    net.ip('address', 'del', '192.0.2.2/32', 'dev', 'lo')
    becomes([sources[0], sources[2]])
    net.add_address('192.0.2.2/32')
    becomes(sources)


CLIENTS = [f'127.0.1.{i}' for i in range(1, 31)]


def test_a_client_keeps_its_source(t):
    sources = [f'127.0.0.{i}' for i in range(2, 8)]
    d = Daemon(t, outbound(2, source=sources, rotate='per-client'))
    o = Listener(t)

    def look(d):
        return [peer(d, o, source=c) for c in CLIENTS]
    seen = look(d)
    assert len(set(seen)) > 3, seen
    same(look(d), seen)
    # Another generation, and another order.
    d.reload(outbound(3, source=sources[::-1], rotate='per-client'))
    same(look(d), seen)
    # Where one has gone only its clients move.
    gone = seen[0]
    d.reload(outbound(2, source=[s for s in sources if s != gone],
                      rotate='per-client'))
    for before, after in zip(seen, look(d)):
        assert (before == after) == (before != gone), (before, after)


def test_a_client_keeps_its_source_over_a_restart(t):
    if not os.path.exists('/etc/machine-id'):
        raise Skip('this machine has no machine-id')
    o = Listener(t)
    changes = outbound(source=SOURCES, rotate='per-client')
    seen = []
    for _ in range(2):
        d = Daemon(t, changes)
        seen.append([peer(d, o, source=c) for c in CLIENTS[:10]])
    same(seen[0], seen[1])


# --- the address that the client came to ------------------------------------

def same_as_inbound(t, *addresses, **options):
    return Daemon(t, {**outbound(rotate='same-as-inbound', **options),
                      'listeners': [conf.listener(address=list(addresses))]})


def test_the_source_is_where_the_client_came_to(t):
    d = same_as_inbound(t, '127.0.0.5:0', '127.0.0.6:0', '[::1]:0')
    four, six = Listener(t), Listener(t, host='::1')
    for protocol in client.PROTOCOLS:
        for host in ('127.0.0.5', '127.0.0.6'):
            same(peer(d, four, protocol, d.at(host)), host)
    same(peer(d, six, to=d.at('::1')), '::1')


def test_where_the_client_came_to_is_no_source_of_the_other_family(t):
    d = same_as_inbound(t, '127.0.0.5:0', '[::1]:0')
    four, six = Listener(t), Listener(t, host='::1')
    refused(d, six.target, 'no-source', d.at('127.0.0.5'))
    refused(d, four.target, 'no-source', d.at('::1'))


def test_the_other_family_may_have_a_source_of_its_own(t):
    d = same_as_inbound(t, '127.0.0.5:0', '[::1]:0',
                        source=['127.0.0.9', '::1'])
    four, six = Listener(t), Listener(t, host='::1')
    same(peer(d, six, to=d.at('127.0.0.5')), '::1')
    same(peer(d, four, to=d.at('127.0.0.5')), '127.0.0.5')
    same(peer(d, four, to=d.at('::1')), '127.0.0.9')


def test_one_listener_has_as_many_sources_as_addresses(t):
    d = Daemon(t, {**outbound(rotate='same-as-inbound'), 'listeners': [
        conf.listener(address=['[::]:0'], v6only=False)]})
    o = Listener(t)
    port = d.address[1]
    for host in ('127.0.0.7', '127.0.0.8'):
        same(peer(d, o, to=(host, port)), host)
    same(peer(d, Listener(t, host='::1'), to=('::1', port)), '::1')


# --- prefixes ---------------------------------------------------------------

PREFIX = '2001:db8:1::/64'


def prefix_network():
    net.ip('route', 'add', 'local', PREFIX, 'dev', 'lo')
    net.add_address('2001:db8:2::1/128')


def within(address):
    assert ipaddress.ip_address(address) in ipaddress.ip_network(PREFIX), \
        address
    return address


@netns
@each('none', 'per-connection')
def test_a_prefix_gives_each_connection_an_address(t, rotate):
    prefix_network()
    d = Daemon(t, outbound(2, source=PREFIX, rotate=rotate))
    o = Listener(t, host='2001:db8:2::1')
    seen = {within(peer(d, o, client.PROTOCOLS[i % 2])) for i in range(20)}
    same(len(seen), 20)
    s, reply = socks5_ask(d.address, o.target)
    with s, o.accept() as far:
        same((reply.host, reply.port), far.getpeername()[:2])
    refused(d, Listener(t).target, 'no-source')


@netns
def test_a_prefix_gives_each_client_an_address(t):
    prefix_network()
    changes = outbound(2, source=PREFIX, rotate='per-client')
    d = Daemon(t, changes)
    o = Listener(t, host='2001:db8:2::1')
    seen = [within(peer(d, o, source=c)) for c in CLIENTS[:10]]
    same(len(set(seen)), 10)
    d.reload()
    same([peer(d, o, source=c) for c in CLIENTS[:10]], seen)


@netns
def test_prefixes_and_addresses_take_turns(t):
    prefix_network()
    net.add_address('2001:db8:2::2/128')
    d = Daemon(t, outbound(source=[PREFIX, '2001:db8:2::2', '127.0.0.2'],
                           rotate='per-connection'))
    o = Listener(t, host='2001:db8:2::1')
    seen = [peer(d, o) for _ in range(8)]
    same(seen.count('2001:db8:2::2'), 4)
    assert seen[0] == seen[2] or seen[1] == seen[3], seen
    same(len({within(s) for s in seen if s != '2001:db8:2::2'}), 4)
    same(peer(d, Listener(t)), '127.0.0.2')


@netns
def test_one_listener_has_as_many_sources_as_its_prefix(t):
    prefix_network()
    d = Daemon(t, {**outbound(2, rotate='same-as-inbound'), 'listeners': [
        conf.listener(address=['[::]:0'])]})
    o = Listener(t, host='2001:db8:2::1')
    for host in ('2001:db8:1::a', '2001:db8:1:0:dead:beef:0:1'):
        there = (host, d.address[1])
        same(peer(d, o, to=there), host)
        same(udp_peer(t, d, o.host, there), host)
        same(bind_peer(d, o.host, there), host)


@netns
def test_listeners_are_not_reached_by_an_address_that_is_routed_here(t):
    prefix_network()
    net.ip('route', 'add', 'local', '198.51.100.0/24', 'dev', 'lo')
    d = Daemon(t, {'listeners': [
        conf.listener(address=['[::]:0'], v6only=False)]})
    there = ('127.0.0.1', d.address[1])
    for host in ('2001:db8:1::a', '198.51.100.7'):
        refused(d, (host, d.address[1]), 'denied', there)
    # What else listens there is no concern of ours.
    other = Origin(t, echo, host='::')
    with tunnel(there, ('2001:db8:1::a', other.port)) as s:
        assert echoes(s)


# --- interfaces -------------------------------------------------------------

@netns
@timeout(60)
def test_an_interface_stands_for_its_addresses(t):
    net.dummy('wan0', '192.0.2.1/24')
    net.add_address('192.0.2.2/24', 'wan0')
    net.add_address('198.51.100.1/32')
    o = Listener(t, host='198.51.100.1')
    d = Daemon(t, outbound(source='wan0', rotate='per-connection'))

    def seen():
        try:
            return {peer(d, o) for _ in range(3)}
        except client.ProxyError:  # one has just gone
            return None

    def becomes(*last):
        wanted = {f'192.0.2.{n}' for n in last}
        eventually(lambda: seen() == wanted, said=f'sources {wanted}')
    becomes(1, 2)
    net.add_address('192.0.2.3/24', 'wan0')
    becomes(1, 2, 3)
    net.ip('address', 'del', '192.0.2.2/24', 'dev', 'wan0')
    becomes(1, 3)
    net.ip('address', 'change', '192.0.2.3/24', 'dev', 'wan0',
           'preferred_lft', '0')
    becomes(1)
    # It goes and comes back with another index.
    net.ip('link', 'del', 'wan0')
    eventually(lambda: socks5_refused(d, o), said='no source')
    net.dummy('wan0', '192.0.2.4/24')
    becomes(4)


def socks5_refused(d, o):
    s, reply = socks5_ask(d.address, o.target)
    with s:
        if not reply.code:
            o.accept().close()
        return reply.code


# --- ports ------------------------------------------------------------------

PORTS = 20
LISTENERS = [f'127.0.0.{i}' for i in range(1, 5)]


def few_ports():
    """From here on: whatever listens has its port already."""
    with open('/proc/sys/net/ipv4/ip_local_port_range', 'w') as f:
        f.write(f'20000 {20000 + PORTS - 1}')


def connect_all(d, o, near, far):
    """As many connections as there are ports, by a listener of their own."""
    host = LISTENERS[len(near) // PORTS]
    for _ in range(PORTS):
        s, code = client.ask(d.at(host), o.target, 'socks5')
        near.append(s)
        same(code, client.SUCCEEDED)
        far.append(o.accept())


@netns
@each('127.0.0.77', '::1', '2001:db8:1::/64')
@timeout(60)
def test_each_target_has_all_ports(t, source):
    host = '127.0.0.1'
    if ':' in source:
        prefix_network()
        # Of a prefix each connection has another address: just one, then.
        source = source.replace('::/64', '::77/128')
        host = '::1' if source == '::1' else '2001:db8:2::1'
    targets = [Listener(t, host=host) for _ in range(3)]
    d = Daemon(t, {**outbound(2, source=source), 'listeners': [
        conf.listener(address=[f'{ip}:0' for ip in LISTENERS])]})
    few_ports()
    near, far = [], []
    for o in targets:
        connect_all(d, o, near, far)
    same({f.getpeername()[0] for f in far}, {source.split('/')[0]})
    for o in targets:
        same(len({f.getpeername()[1] for f in far
                  if f.getsockname()[1] == o.port}), PORTS)
    # No pair of addresses and ports is left to any of them.
    for o in targets:
        refused(d, o.target, 'no-resources', d.at(LISTENERS[3]))
    for s in near + far:
        s.close()


@netns
@timeout(60)
def test_each_source_has_all_ports(t):
    o = Listener(t)
    d = Daemon(t, {
        **outbound(source=SOURCES, rotate='per-connection'),
        'listeners': [
            conf.listener(address=[f'{ip}:0' for ip in LISTENERS])]})
    few_ports()
    near, far = [], []
    for _ in SOURCES:
        connect_all(d, o, near, far)
    same(len({f.getpeername() for f in far}), len(SOURCES) * PORTS)
    refused(d, o.target, 'no-resources', d.at(LISTENERS[3]))
    for s in near + far:
        s.close()


# --- the other two commands -------------------------------------------------

def udp_peer(t, d, host='127.0.0.1', to=None, **options):
    """Where an association's datagrams come from; a reply gets back."""
    far = bound(t, host)
    u = Association(t, to or d.address, **options)
    u.send(far.getsockname()[:2], b'ping')
    peer = far.recvfrom(10)[1]
    far.sendto(b'pong', peer)
    same(u.receive(), (far.getsockname()[:2], b'pong'))
    u.close()
    return peer[0]


def bind_peer(d, host='127.0.0.1', to=None, **options):
    """Where a BIND listens; one who comes is let in."""
    s, reply = socks5_ask(to or d.address, (host, 0), client.BIND, **options)
    with s:
        same(reply.code, client.SUCCEEDED)
        with dial((reply.host, reply.port), source=host) as far:
            same(client.socks5_reply(s).code, client.SUCCEEDED)
            far.sendall(b'x')
            same(s.recv(1), b'x')
    return reply.host


def test_bind_and_udp_have_the_next_source_too(t):
    d = Daemon(t, outbound(source=SOURCES, rotate='per-connection'))
    for seen in ([udp_peer(t, d) for _ in range(6)],
                 [bind_peer(d) for _ in range(6)]):
        same(sorted(seen[:3]), SOURCES)
        same(seen[3:], seen[:3])


def test_bind_and_udp_keep_a_clients_source_too(t):
    d = Daemon(t, outbound(2, source=SOURCES, rotate='per-client'))
    o = Listener(t)
    for c in CLIENTS[:5]:
        wanted = peer(d, o, source=c)
        same(udp_peer(t, d, source=c), wanted)
        same(bind_peer(d, source=c), wanted)


def test_bind_and_udp_go_out_where_the_client_came_in(t):
    d = same_as_inbound(t, '127.0.0.5:0', '127.0.0.6:0', '[::1]:0')
    for host in ('127.0.0.5', '127.0.0.6'):
        same(udp_peer(t, d, to=d.at(host)), host)
        same(bind_peer(d, to=d.at(host)), host)
    same(udp_peer(t, d, '::1', d.at('::1')), '::1')
    same(bind_peer(d, '::1', d.at('::1')), '::1')


@netns
def test_bind_and_udp_have_addresses_of_a_prefix(t):
    prefix_network()
    d = Daemon(t, outbound(source=PREFIX, rotate='per-client'))
    there = '2001:db8:2::1'
    o = Listener(t, host=there)
    seen = set()
    for c in CLIENTS[:5]:
        wanted = within(peer(d, o, source=c))
        same(udp_peer(t, d, there, source=c), wanted)
        same(bind_peer(d, there, source=c), wanted)
        seen.add(wanted)
    same(len(seen), 5)
