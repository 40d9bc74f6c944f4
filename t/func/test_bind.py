"""BIND: two replies, who may come, and everything that ends the wait."""
import contextlib
import signal
import socket
import struct
import time

from lib import client, conf, net
from lib.case import each, eventually, netns, patient, same, timeout, valgrind
from lib.client import (dial, echoes, read_all, read_exact, read_to_end,
                        socks5_ask, socks5_reply)
from lib.daemon import Daemon
from lib.dns import DnsServer, a
from lib.origin import unused_port

ANY = '0.0.0.0'


def ask(d, host='127.0.0.1', port=0, at=None, **options):
    """A socket on which a BIND was answered, and the first reply."""
    return socks5_ask(at or d.address, (host, port), client.BIND, **options)


def bind(d, *args, **options):
    s, reply = ask(d, *args, **options)
    same(reply.code, client.SUCCEEDED)
    assert reply.port, reply
    return s, (reply.host, reply.port)


def refused(d, *args, **options):
    """The code of a BIND that is refused at once."""
    s, reply = ask(d, *args, **options)
    with s:
        same(read_all(s), b'')
    same((reply.host, reply.port), (ANY, 0))
    return reply.code


def comes(s, address, source='127.0.0.1'):
    """The peer that comes and is let in, after the second reply."""
    peer = dial(address, source=source)
    reply = socks5_reply(s)
    same(reply.code, client.SUCCEEDED)
    same((reply.host, reply.port), peer.getsockname()[:2])
    return peer


def sent_away(address, source='127.0.0.1'):
    """Whether one who comes is reset; it may be before he knows he came."""
    try:
        with dial(address, source=source) as s:
            return read_to_end(s) == (b'', 'reset')
    except ConnectionResetError:
        return True


def talk(s, peer):
    """Both ways, to an end in order on either side."""
    s.sendall(b'to the peer')
    same(read_exact(peer, 11), b'to the peer')
    peer.sendall(b'to the client')
    same(read_exact(s, 13), b'to the client')
    peer.shutdown(socket.SHUT_WR)
    same(read_all(s), b'')
    s.sendall(b'late')
    s.shutdown(socket.SHUT_WR)
    same(read_all(peer), b'late')


# --- somebody comes ---------------------------------------------------------

@valgrind
def test_two_replies_and_a_tunnel(t):
    d = Daemon(t)
    s, address = bind(d)
    with s, comes(s, address) as peer:
        there = peer.getsockname()
        talk(s, peer)
    line = d.wait_access(outcome='closed')
    same((line['command'], line['up'], line['down']), ('bind', '15', '13'))
    same(line['bound'], f'{address[0]}:{address[1]}')
    assert f'127.0.0.1:{there[1]}' in (line['target'], line.get('address'))


@each('127.0.0.1', '127.0.0.7')
def test_who_is_named_may_come(t, host):
    d = Daemon(t)
    s, address = bind(d, host, 4711)
    with s, comes(s, address, host) as peer:
        talk(s, peer)


def test_anybody_may_come_where_nobody_is_named(t):
    d = Daemon(t)
    s, address = bind(d, ANY)
    with s, comes(s, address, '127.0.0.9') as peer:
        talk(s, peer)


def test_one_over_ipv6_may_come(t):
    d = Daemon(t)
    s, address = bind(d, '::1')
    same(address[0], '::1')
    with s, comes(s, address, '::1') as peer:
        talk(s, peer)


@each(ANY, '::')
@netns
def test_a_client_over_ipv6_gets_an_address_of_ipv6(t, host):
    d = Daemon(t)
    s, address = bind(d, host, at=d.at('::1'))
    same(address[0], '::1')
    with s, comes(s, address, '::1') as peer:
        talk(s, peer)


def test_a_name_may_be_named(t):
    hosts = t.file('hosts', '127.0.0.7 peer.example\n127.0.0.8 peer.example\n')
    d = Daemon(t, {'names': {'hosts': hosts}})
    for source in ('127.0.0.7', '127.0.0.8'):
        s, address = bind(d, 'peer.example')
        with s:
            assert sent_away(address, '127.0.0.6')
            with comes(s, address, source) as peer:
                talk(s, peer)
    line = d.wait_access(2, outcome='closed')
    assert line['target'].startswith('peer.example'), line


def test_a_family_that_is_denied_does_not_decide(t):
    hosts = t.file('hosts', '::1 peer.example\n127.0.0.7 peer.example\n')
    d = Daemon(t, {'names': {'hosts': hosts},
                   'rules': [conf.deny(to=['::1']), conf.allow()]})
    s, address = bind(d, 'peer.example')
    with s, comes(s, address, '127.0.0.7') as peer:
        talk(s, peer)


@each('socks4', 'socks5')
def test_a_family_that_will_not_do_does_not_decide_alone(t, protocol):
    server = DnsServer(t, {('peer.example', 'A'): a('127.0.0.7', delay=0.3),
                           ('peer.example', 'AAAA'): a('::1')})
    d = Daemon(t, {'names': {'servers': [server.address]},
                   'listeners': [conf.listener(protocols=[protocol])],
                   'rules': [conf.deny(to=['::1'] if protocol == 'socks5'
                                       else ['::2']), conf.allow()]})
    if protocol == 'socks5':
        s, address = bind(d, 'peer.example')
        with s, comes(s, address, '127.0.0.7') as peer:
            talk(s, peer)
        return
    with socks4(d, 2, 21, '0.0.0.1', more=b'peer.example\0') as s:
        code, host, port = socks4_reply(s)
        same(code, 90)
        with dial((host, port), source='127.0.0.7') as peer:
            same(socks4_reply(s), (90, *peer.getsockname()))
            talk(s, peer)


def test_what_the_client_sends_early_gets_there(t):
    d = Daemon(t)
    s, address = bind(d)
    early = client.noise(300)
    s.sendall(early)
    with s, comes(s, address) as peer:
        same(read_exact(peer, len(early)), early)
        talk(s, peer)


def test_a_port_may_be_wished_for(t):
    port = unused_port()
    d = Daemon(t, {'outbound': {'bind_ports': f'{port}-{port + 20}'}})
    s, address = bind(d, ANY, port)
    with s:
        same(address[1], port)
        # Another one gets another, and is told.
        other, where = bind(d, ANY, port)
        with other:
            assert where[1] != port
            with comes(other, where) as peer:
                talk(other, peer)
        with comes(s, address) as peer:
            talk(s, peer)
    # And again, while the old connection still lingers.
    s, address = bind(d, ANY, port)
    s.close()
    same(address[1], port)


@each('1023', '80', 'any')
def test_without_a_range_the_kernel_picks_the_port(t, port):
    d = Daemon(t)
    wish = unused_port() if port == 'any' else int(port)
    s, address = bind(d, ANY, wish)
    s.close()
    assert address[1] > 1023 and address[1] != wish


def socks4(d, command, port, ip, more=b''):
    s = dial(d.address)
    s.sendall(struct.pack('>BBH', 4, command, port) +
              socket.inet_aton(ip) + b'\0' + more)
    return s


def socks4_reply(s):
    version, code, port = struct.unpack('>BBH', read_exact(s, 4))
    same(version, 0)
    return code, socket.inet_ntoa(read_exact(s, 4)), port


SOCKS4 = {'listeners': [conf.listener(protocols=['socks4'])]}


@valgrind
def test_socks4_has_two_replies_too(t):
    d = Daemon(t, SOCKS4)
    with socks4(d, 2, 21, '127.0.0.1') as s:
        code, host, port = socks4_reply(s)
        same((code, host), (90, '127.0.0.1'))
        with dial((host, port)) as peer:
            same(socks4_reply(s), (90, *peer.getsockname()))
            talk(s, peer)
    line = d.wait_access(outcome='closed')
    same((line['protocol'], line['command']), ('socks4', 'bind'))


def test_socks4_is_refused_by_91(t):
    d = Daemon(t, {**SOCKS4, 'timeouts': {'bind': '200ms'},
                   'rules': [conf.deny(to=['127.0.0.9'], commands=['bind']),
                             conf.allow()]})
    with socks4(d, 2, 21, '127.0.0.9') as s:
        same(socks4_reply(s)[0], 91)
        same(read_all(s), b'')
    with socks4(d, 2, 21, '127.0.0.1') as s:
        same(socks4_reply(s)[0], 90)
        same(socks4_reply(s)[0], 91)
        same(read_all(s), b'')


# --- who may not ------------------------------------------------------------

def test_a_stranger_is_reset_and_the_wait_goes_on(t):
    d = Daemon(t)
    s, address = bind(d, '127.0.0.7')
    with s:
        for _ in range(10):
            assert sent_away(address)
        with comes(s, address, '127.0.0.7') as peer:
            talk(s, peer)


def test_the_sixty_fifth_stranger_ends_it(t):
    d = Daemon(t)
    s, address = bind(d, '127.0.0.7')
    with s:
        for _ in range(65):
            assert sent_away(address)
        same(socks5_reply(s).code, client.DENIED)
        same(read_all(s), b'')
    d.wait_access(outcome='denied')


def test_only_one_comes(t):
    d = Daemon(t)
    s, address = bind(d, ANY)
    with s, comes(s, address) as peer:
        try:
            dial(address).close()
        except ConnectionRefusedError:
            pass
        else:
            raise AssertionError('it still listens')
        assert echoes(peer, b'') and not s.recv(0)
        talk(s, peer)


def test_rules_are_asked_for_the_peer_that_came(t):
    d = Daemon(t, {'rules': [conf.deny(to=['127.0.0.8']), conf.allow()]})
    s, address = bind(d, ANY)
    with s:
        assert sent_away(address, '127.0.0.8')
        with comes(s, address, '127.0.0.7') as peer:
            talk(s, peer)
    line = d.wait_access(outcome='closed')
    same(line['rule'], 'rule-2')


def test_ports_of_rules_are_the_peers(t):
    good = unused_port('127.0.0.7')
    d = Daemon(t, {'rules': [conf.allow(ports=[str(good)])]})
    s, address = bind(d, ANY)
    with s:
        assert sent_away(address)
        with socket.socket() as peer:
            peer.settimeout(patient(10))
            peer.bind(('127.0.0.7', good))
            peer.connect(address)
            same(socks5_reply(s).code, client.SUCCEEDED)
            talk(s, peer)


def test_what_no_rule_could_allow_is_refused_at_once(t):
    hosts = t.file('hosts', '127.0.0.8 peer.example\n')
    d = Daemon(t, {'names': {'hosts': hosts},
                   'rules': [conf.deny(to=['127.0.0.8']),
                             conf.allow(commands=['connect', 'udp']),
                             conf.allow(to=['127.0.0.9'])]})
    same(refused(d, '127.0.0.8'), client.DENIED)
    same(refused(d, '127.0.0.7'), client.DENIED)
    same(refused(d, 'peer.example'), client.DENIED)
    d.wait_access(3, outcome='denied')
    for host in ('127.0.0.9', ANY):
        bind(d, host)[0].close()
    d.wait_access(2, outcome='client-left')


def test_without_the_command_it_is_refused(t):
    d = Daemon(t, {'rules': [conf.allow(commands=['connect'])]})
    same(refused(d), client.DENIED)
    same(refused(d, ANY), client.DENIED)
    same(refused(d, 'localhost'), client.DENIED)


@each('::1', 'missing.example', '192.0.2.1')
def test_what_cannot_be_is_refused(t, host):
    code = {'::1': client.TYPE, 'missing.example': client.HOST}
    outcome = {'::1': 'no-source', 'missing.example': 'name-not-found'}
    changes = {'names': {'hosts': t.file('hosts', ''), 'negative_ttl': '0'}}
    if host == 'missing.example':
        host = 'missing.onion'  # which no resolver may ask for
        code[host] = code.pop('missing.example')
        outcome[host] = outcome.pop('missing.example')
    else:
        changes['outbound'] = {'source': ['127.0.0.1']}
    d = Daemon(t, changes)
    if host in code:
        same(refused(d, host), code[host])
        d.wait_access(outcome=outcome[host])
    else:  # wherever he is, we listen on our source
        s, address = bind(d, host)
        s.close()
        same(address[0], '127.0.0.1')


@netns
def test_one_to_whom_no_route_leads_is_refused(t):
    d = Daemon(t, {'rules': [conf.allow()]})
    same(refused(d, '192.0.2.1'), client.NET)
    d.wait_access(outcome='net-unreachable')


@netns
def test_of_those_named_one_to_whom_no_route_leads_spoils_nothing(t):
    hosts = t.file('hosts', '192.0.2.1 peer.example\n127.0.0.7 peer.example\n')
    d = Daemon(t, {'names': {'hosts': hosts}, 'rules': [conf.allow()]})
    s, address = bind(d, 'peer.example')
    with s, comes(s, address, '127.0.0.7') as peer:
        talk(s, peer)


def test_socks4_is_told_of_no_address_of_ipv6(t):
    d = Daemon(t, SOCKS4)
    with socks4(d, 2, 21, '0.0.0.1', more=b'::1\0') as s:
        same(socks4_reply(s), (91, ANY, 0))
        same(read_all(s), b'')
    d.wait_access(outcome='no-source')
    # Anybody may be one of IPv4.
    with socks4(d, 2, 21, '0.0.0.1', more=b'::\0') as s:
        code, host, port = socks4_reply(s)
        same((code, host), (90, '127.0.0.1'))
        with dial((host, port)) as peer:
            same(socks4_reply(s), (90, *peer.getsockname()))
            talk(s, peer)


# --- where it listens -------------------------------------------------------

@netns
def test_it_listens_where_the_peer_is_routed(t):
    net.add_address('198.51.100.1/24')
    net.add_address('203.0.113.1/24')
    d = Daemon(t, {'rules': [conf.allow()]})
    for host, wanted in (('198.51.100.9', '198.51.100.1'),
                         ('203.0.113.9', '203.0.113.1'),
                         ('127.0.0.9', '127.0.0.1'), (ANY, '127.0.0.1')):
        s, address = bind(d, host)
        s.close()
        same(address[0], wanted)


@netns
def test_anybody_is_expected_where_the_default_route_leads(t):
    net.dummy('wan0', '203.0.113.1/24')
    net.add_address('198.51.100.1/24')
    net.ip('route', 'add', 'default', 'dev', 'wan0')
    d = Daemon(t, {'rules': [conf.allow()]})
    for at in ('127.0.0.1', '::1'):
        s, address = bind(d, ANY, at=d.at(at))
        same(address[0], '203.0.113.1')
        with s, comes(s, address, '198.51.100.1') as peer:
            talk(s, peer)
    s, address = bind(d, '::')  # which has none
    s.close()
    same(address[0], '127.0.0.1')


@netns
def test_it_listens_on_the_source_of_each_family(t):
    net.add_address('198.51.100.1/24')
    net.add_address('2001:db8::1/64')
    d = Daemon(t, {'outbound': {'source': ['198.51.100.1', '2001:db8::1']},
                   'rules': [conf.allow()]})
    for host, wanted in (('127.0.0.9', '198.51.100.1'),
                         (ANY, '198.51.100.1'), ('::1', '2001:db8::1'),
                         ('::', '2001:db8::1')):
        s, address = bind(d, host)
        with s:
            same(address[0], wanted)
            if host == '::':
                with comes(s, address, '2001:db8::1') as peer:
                    talk(s, peer)


@each('127.0.0.1', ANY)
def test_behind_nat_the_address_outside_is_told(t, host):
    d = Daemon(t, {'outbound': {'source': ['127.0.0.1', '::1'],
                                'bind_address': ['203.0.113.9',
                                                 '2001:db8::9']}})
    s, address = bind(d, host)
    same(address[0], '203.0.113.9')
    with s, comes(s, ('127.0.0.1', address[1])) as peer:
        talk(s, peer)
    s, address = bind(d, '::1')
    s.close()
    same(address[0], '2001:db8::9')


@netns
def test_ports_are_those_of_a_range(t):
    d = Daemon(t, {'outbound': {'bind_ports': '40000-40003'}})
    for _ in range(3):
        open_ = [bind(d) for _ in range(4)]
        same({address[1] for _, address in open_}, set(range(40000, 40004)))
        same(refused(d), client.FAILURE)
        for s, address in open_:
            with s, comes(s, address) as peer:
                talk(s, peer)
    d.wait_access(12, outcome='closed')
    d.wait_access(3, outcome='no-resources')
    s, address = bind(d, ANY, 40002)
    s.close()
    same(address[1], 40002)


# --- ends -------------------------------------------------------------------

def listens(address):
    try:
        dial(address).close()
    except ConnectionRefusedError:
        return False
    return True


def test_nobody_in_time_is_reply_6(t):
    d = Daemon(t, {'timeouts': {'bind': '300ms'}})
    start = time.monotonic()
    s, address = bind(d)
    with s:
        same(socks5_reply(s).code, client.TIMEOUT)
        assert 0.25 < time.monotonic() - start < patient(3)
        same(read_all(s), b'')
    assert not listens(address)
    d.wait_access(outcome='accept-timeout')


def test_a_session_gets_no_older_than_it_may(t):
    d = Daemon(t, {'timeouts': {'session': '1s'}})
    s, address = bind(d)
    with s:
        same(socks5_reply(s).code, client.FAILURE)
        same(read_all(s), b'')
    assert not listens(address)
    d.wait_access(outcome='expired')


@each('end', 'early', 'shutdown', 'reset')
@valgrind
def test_a_client_that_leaves_ends_it(t, how):
    d = Daemon(t)
    s, address = bind(d)
    if how == 'early':
        s.sendall(b'not read by anybody')
    if how == 'reset':
        client.reset(s)
    elif how == 'shutdown':
        s.shutdown(socket.SHUT_WR)
        with s:
            same(read_all(s), b'')
    else:
        s.close()
    d.wait_access(outcome='client-left')
    assert not listens(address)
    d.wait_rest()


@timeout(60)
def test_the_end_of_the_daemon_ends_it(t):
    d = Daemon(t, {'timeouts': {'shutdown': '1s'}})
    s, address = bind(d)
    with s:
        d.signal(signal.SIGTERM)
        same(read_to_end(s)[0], b'')
        assert not listens(address)
    d.wait_exit(0)
    d.wait_access(outcome='shutdown')


def test_it_goes_on_through_a_reload(t):
    d = Daemon(t)
    s, address = bind(d, '127.0.0.7')
    same(d.control.run('reload', '--wait').returncode, 0)
    with s, comes(s, address, '127.0.0.7') as peer:
        talk(s, peer)


def test_many_at_once_get_each_their_own(t):
    d = Daemon(t)
    open_ = [bind(d) for _ in range(100)]
    peers = [dial(address) for _, address in open_]
    for i, ((s, _), peer) in enumerate(zip(open_, peers)):
        same(socks5_reply(s).port, peer.getsockname()[1])
        peer.sendall(struct.pack('>I', i))
    for i, ((s, _), peer) in enumerate(zip(open_, peers)):
        with s, peer:
            same(read_exact(s, 4), struct.pack('>I', i))
    d.wait_access(100, command='bind')
    d.wait_rest()


def test_those_who_wait_are_bounded_as_handshakes_are(t):
    d = Daemon(t, {'workers': 1, 'limits': {'handshakes': 10}})
    with contextlib.ExitStack() as open_:
        held = []
        for _ in range(30):
            try:
                s, _ = bind(d)
                held.append(open_.enter_context(s))
            except (OSError, EOFError):
                pass  # one too many
        same(len(held), 10)
    eventually(lambda: d.access(outcome='client-left')[9:])
    d.wait_rest()
    s, address = bind(d)
    with s, comes(s, address) as peer:
        talk(s, peer)
