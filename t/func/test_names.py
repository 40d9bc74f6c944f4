"""Names: a real server, one that misbehaves, the hosts file, the cache."""
import os
import socket
import threading
import time

from lib import client
from lib.case import each, eventually, netns, patient, same, tool, valgrind
from lib.client import dial, echoes, read_all, socks5_ask, tunnel
from lib.daemon import Daemon
from lib.dns import REFUSED, SERVFAIL, SILENT, DnsServer, a
from lib.origin import Listener, Origin, Silent, echo, say, unused_port


def names_of(server, **names):
    # One try, so that a question which nobody answers soon ends.
    return {'workers': 1, 'names': {'servers': [server.address],
                                    'timeout': '3s', 'tries': 1, **names}}


def works(d, host, port):
    with tunnel(d.address, (host, port)) as s:
        return echoes(s)


def fails(d, host, port=80):
    """The outcome of a request that must fail."""
    s, reply = socks5_ask(d.address, (host, port))
    with s:
        line = d.session(s)
        assert reply.code != client.SUCCEEDED
        read_all(s)
    return line()['outcome']


# --- dnsmasq ----------------------------------------------------------------

def dnsmasq(t, *options, host='127.0.0.1'):
    """Starts a real name server on a port of its own."""
    port = unused_port()
    t.start(tool('dnsmasq', 'dnsmasq-base'), '--keep-in-foreground',
            '--no-resolv', '--no-hosts', '--conf-file=/dev/null',
            '--pid-file=', '--bind-interfaces', f'--listen-address={host}',
            '--log-facility=-', '--local=/example/', f'--port={port}',
            '--user=nobody', *options)

    def answers():
        family = socket.AF_INET6 if ':' in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as s:
            return s.connect_ex((host, port)) == 0
    eventually(answers, said='dnsmasq')
    server = f'[{host}]:{port}' if ':' in host else f'{host}:{port}'
    return {'workers': 1, 'names': {'servers': [server]}}


@valgrind
def test_dnsmasq_a(t):
    d = Daemon(t, dnsmasq(t, '--host-record=four.example,127.0.0.1'))
    o = Origin(t, echo)
    assert works(d, 'four.example', o.port)
    assert works(d, 'FOUR.Example', o.port)
    assert works(d, 'four.example.', o.port)


def test_dnsmasq_aaaa(t):
    d = Daemon(t, dnsmasq(t, '--host-record=six.example,::1'))
    o = Origin(t, echo, host='::1')
    assert works(d, 'six.example', o.port)
    same(d.wait_access()['address'], f'[::1]:{o.port}')


def test_dnsmasq_cname(t):
    d = Daemon(t, dnsmasq(t, '--host-record=four.example,127.0.0.1',
                          '--cname=alias.example,four.example'))
    o = Origin(t, echo)
    assert works(d, 'alias.example', o.port)


@valgrind
def test_dnsmasq_nxdomain(t):
    d = Daemon(t, dnsmasq(t))
    same(fails(d, 'missing.example'), 'name-not-found')


def test_dnsmasq_no_data(t):
    d = Daemon(t, dnsmasq(t, '--txt-record=text.example,hello'))
    same(fails(d, 'text.example'), 'name-not-found')


@each('127.0.0.1', '::1')
def test_dnsmasq_answers_that_do_not_fit(t, host):
    # Too much for a datagram of 512 bytes: dnsmasq cuts them, and means TCP.
    d = Daemon(t, dnsmasq(t, *(f'--host-record=big.example,127.0.2.{i}'
                               for i in range(1, 200)), host=host))
    o = Origin(t, echo, host='0.0.0.0')
    assert works(d, 'big.example', o.port)
    assert d.wait_access()['address'].startswith('127.0.2.')


# --- names that are not whole -----------------------------------------------

def test_search_domains_are_tried_in_turn(t):
    server = DnsServer(t, {('host.two.example', 'A'): a('127.0.0.1'),
                           ('a.host', 'A'): a('127.0.0.1')})
    d = Daemon(t, names_of(server, search=['one.example', 'two.example']))
    o = Origin(t, echo)
    assert works(d, 'host', o.port)
    same(list(dict.fromkeys(q for q, _ in server.queries)),
         ['host.one.example', 'host.two.example'])
    server.queries.clear()
    assert works(d, 'a.host', o.port)  # a dot: as it is, first
    same({q for q, _ in server.queries}, {'a.host'})


def test_dots_say_what_is_tried_first(t):
    server = DnsServer(t, {('a.host.one.example', 'A'): a('127.0.0.1')})
    d = Daemon(t, names_of(server, search=['one.example'], ndots=2))
    o = Origin(t, echo)
    assert works(d, 'a.host', o.port)
    same({q for q, _ in server.queries}, {'a.host.one.example'})


def test_without_a_search_list_names_are_whole(t):
    conf = t.file('resolv.conf', 'search one.example\n')
    server = DnsServer(t, {('host.one.example', 'A'): a('127.0.0.1')})
    d = Daemon(t, names_of(server, resolv_conf=conf, search=['.']))
    same(fails(d, 'host'), 'name-not-found')
    same({q for q, _ in server.queries}, {'host'})
    d = Daemon(t, names_of(server, resolv_conf=conf))
    o = Origin(t, echo)
    assert works(d, 'host', o.port)


# --- what servers do --------------------------------------------------------

def test_a_late_aaaa_holds_up_no_a(t):
    server = DnsServer(t, {('x.example', 'A'): a('127.0.0.1'),
                           ('x.example', 'AAAA'): a('::1', delay=20)})
    d = Daemon(t, names_of(server))
    o = Origin(t, echo)
    start = time.monotonic()
    assert works(d, 'x.example', o.port)
    assert time.monotonic() - start < patient(3)


def test_a_silent_aaaa_holds_up_no_a(t):
    server = DnsServer(t, {('x.example', 'A'): a('127.0.0.1'),
                           ('x.example', 'AAAA'): SILENT})
    d = Daemon(t, names_of(server))
    o = Origin(t, echo)
    start = time.monotonic()
    assert works(d, 'x.example', o.port)
    assert time.monotonic() - start < patient(3)


def test_a_failing_aaaa_spoils_no_a(t):
    server = DnsServer(t, {('x.example', 'A'): a('127.0.0.1'),
                           ('x.example', 'AAAA'): a(code=SERVFAIL)})
    d = Daemon(t, names_of(server))
    o = Origin(t, echo)
    assert works(d, 'x.example', o.port)


def test_a_late_a_is_waited_for(t):
    server = DnsServer(t, {('x.example', 'A'): a('127.0.0.1', delay=1),
                           ('x.example', 'AAAA'): a()})
    d = Daemon(t, names_of(server))
    o = Origin(t, echo)
    assert works(d, 'x.example', o.port)


@valgrind
def test_a_server_that_does_not_answer_is_a_timeout(t):
    server = DnsServer(t, {('x.example', k): SILENT for k in ('A', 'AAAA')})
    d = Daemon(t, {**names_of(server), 'timeouts': {'name': '1s'}})
    same(fails(d, 'x.example'), 'name-timeout')


def test_no_server_at_all_is_a_failure(t):
    port = unused_port()
    d = Daemon(t, {'workers': 1, 'timeouts': {'name': '3s'},
                   'names': {'servers': [f'127.0.0.1:{port}']}})
    assert fails(d, 'x.example') in ('name-failed', 'name-timeout')


@each(SERVFAIL, REFUSED)
def test_a_servers_failure_is_no_missing_name(t, code):
    server = DnsServer(t, {('x.example', k): a(code=code)
                           for k in ('A', 'AAAA')})
    d = Daemon(t, {**names_of(server), 'timeouts': {'name': '5s'}})
    assert fails(d, 'x.example') in ('name-failed', 'name-timeout')


def test_a_second_server_helps(t):
    dead = DnsServer(t, {('x.example', k): SILENT for k in ('A', 'AAAA')})
    good = DnsServer(t, {('x.example', 'A'): a('127.0.0.1')})
    d = Daemon(t, {'workers': 1, 'timeouts': {'name': '20s'}, 'names': {
        'servers': [dead.address, good.address], 'timeout': '1s',
        'tries': 2}})
    o = Origin(t, echo)
    assert works(d, 'x.example', o.port)


def test_an_answer_that_was_cut_is_asked_for_over_tcp(t):
    server = DnsServer(t, {('x.example', 'A'): a('127.0.0.1', cut=True)})
    d = Daemon(t, names_of(server))
    o = Origin(t, echo)
    assert works(d, 'x.example', o.port)
    assert server.over_tcp


def test_an_answer_of_rubbish_does_no_harm(t):
    class Rubbish(DnsServer):
        def reply(self, packet, *args):
            good = super().reply(packet, *args)
            return good[:12] + client.noise(60, len(self.queries))

    server = Rubbish(t, {('x.example', 'A'): a('127.0.0.1')})
    d = Daemon(t, {**names_of(server), 'timeouts': {'name': '2s'}})
    assert fails(d, 'x.example') in ('name-failed', 'name-timeout',
                                     'name-not-found')
    o = Origin(t, echo)
    assert works(d, '127.0.0.1', o.port)


def test_a_client_that_leaves_stops_waiting_for_a_name(t):
    server = DnsServer(t, {('x.example', k): SILENT for k in ('A', 'AAAA')})
    d = Daemon(t, {**names_of(server), 'timeouts': {'name': '20s'}})
    with dial(d.address) as s:
        s.sendall(client.request('http', ('x.example', 80)))
        eventually(lambda: server.queries)
        client.reset(s)
    d.wait_access(outcome='client-left')


# --- the cache --------------------------------------------------------------

@valgrind
def test_an_answer_is_kept_as_long_as_it_may(t):
    server = DnsServer(t, {('x.example', 'A'): a('127.0.0.1', ttl=2)})
    d = Daemon(t, names_of(server))
    o = Origin(t, echo)
    for _ in range(5):
        assert works(d, 'x.example', o.port)
    assert server.asked('x.example')['A'] == 1, server.queries
    time.sleep(2.2)
    assert works(d, 'x.example', o.port)
    assert server.asked('x.example')['A'] == 2, server.queries


def test_the_longest_time_is_ours(t):
    server = DnsServer(t, {('x.example', 'A'): a('127.0.0.1', ttl=9999)})
    d = Daemon(t, names_of(server, ttl_max='1s'))
    o = Origin(t, echo)
    assert works(d, 'x.example', o.port)
    time.sleep(1.3)
    assert works(d, 'x.example', o.port)
    assert server.asked('x.example')['A'] == 2, server.queries


def test_the_shortest_time_is_ours(t):
    server = DnsServer(t, {('x.example', 'A'): a('127.0.0.1', ttl=0)})
    d = Daemon(t, names_of(server, ttl_min='60s'))
    o = Origin(t, echo)
    for _ in range(3):
        assert works(d, 'x.example', o.port)
    assert server.asked('x.example')['A'] == 1, server.queries


def test_that_a_name_is_missing_is_kept_too(t):
    server = DnsServer(t)
    d = Daemon(t, names_of(server, negative_ttl='60s'))
    for _ in range(4):
        same(fails(d, 'missing.example'), 'name-not-found')
    assert sum(server.queries.values()) <= 2, server.queries


def test_a_missing_name_may_appear(t):
    server = DnsServer(t, negative_ttl=1)
    d = Daemon(t, names_of(server, negative_ttl='1s'))
    same(fails(d, 'later.example'), 'name-not-found')
    server.records['later.example', 'A'] = a('127.0.0.1')
    time.sleep(1.3)
    o = Origin(t, echo)
    assert works(d, 'later.example', o.port)


def test_a_timeout_is_not_kept(t):
    server = DnsServer(t, {('x.example', k): SILENT for k in ('A', 'AAAA')})
    d = Daemon(t, {**names_of(server), 'timeouts': {'name': '1s'}})
    same(fails(d, 'x.example'), 'name-timeout')
    server.records['x.example', 'A'] = a('127.0.0.1')
    server.records['x.example', 'AAAA'] = a()
    o = Origin(t, echo)

    def answered():
        try:
            return works(d, 'x.example', o.port)
        except client.ProxyError:
            return False
    eventually(answered, 15, 'the name is found')


def test_one_question_is_asked_for_many_clients(t):
    server = DnsServer(t, {('x.example', 'A'): a('127.0.0.1', delay=0.5)})
    d = Daemon(t, names_of(server))
    o = Origin(t, say(b'hello'))
    held = []
    for _ in range(30):
        s = dial(d.address)
        s.sendall(client.request('socks5', ('x.example', o.port)))
        held.append(s)
    for s in held:
        with s:
            same(client.take_reply(s, 'socks5'), client.SUCCEEDED)
            same(read_all(s), b'hello')
    assert server.asked('x.example')['A'] == 1, server.queries


def test_the_cache_has_a_bound(t):
    server = DnsServer(t, {(f'x{i}.example', 'A'): a('127.0.0.1')
                           for i in range(50)})
    d = Daemon(t, names_of(server, cache_entries=4))
    o = Origin(t, echo)
    for _ in range(2):
        for i in range(50):
            assert works(d, f'x{i}.example', o.port)
    assert sum(n for (_, k), n in server.queries.items() if k == 'A') > 60


# --- the hosts file ---------------------------------------------------------

@valgrind
def test_the_hosts_file_comes_first(t):
    hosts = t.file('hosts', '# comment\n\n127.0.0.1\tone.example two.example '
                   '# three.example\n::1 six.example\nrubbish\n300.1.1.1 x\n')
    server = DnsServer(t, {('one.example', 'A'): a('192.0.2.1')})
    d = Daemon(t, names_of(server, hosts=hosts))
    o = Origin(t, echo)
    o6 = Origin(t, echo, host='::1')
    assert works(d, 'one.example', o.port)
    assert works(d, 'TWO.example', o.port)
    assert works(d, 'two.example.', o.port)
    assert works(d, 'six.example', o6.port)
    assert not server.queries, server.queries
    same(fails(d, 'three.example'), 'name-not-found')


def test_a_changed_hosts_file_is_seen(t):
    hosts = t.file('hosts', '127.0.0.1 one.example\n')
    server = DnsServer(t, negative_ttl=1)
    d = Daemon(t, names_of(server, hosts=hosts, negative_ttl='1s'))
    o = Origin(t, echo)
    assert works(d, 'one.example', o.port)
    same(fails(d, 'new.example'), 'name-not-found')
    with open(hosts + '.new', 'w', encoding='ascii') as f:
        f.write('127.0.0.1 new.example\n')
    os.rename(hosts + '.new', hosts)

    def seen():
        try:
            return works(d, 'new.example', o.port)
        except client.ProxyError:
            time.sleep(0.1)
            return False
    eventually(seen, 15, 'the new line')
    same(fails(d, 'one.example'), 'name-not-found')


def test_a_missing_hosts_file_is_no_error(t):
    server = DnsServer(t, {('x.example', 'A'): a('127.0.0.1')})
    d = Daemon(t, names_of(server, hosts=t.path('none')))
    o = Origin(t, echo)
    assert works(d, 'x.example', o.port)


def test_a_hosts_file_of_100000_lines_is_read(t):
    text = ''.join(f'0.0.0.0 ad{i}.example\n' for i in range(100000))
    hosts = t.file('hosts', text + '127.0.0.1 last.example\n')
    server = DnsServer(t)
    d = Daemon(t, names_of(server, hosts=hosts))
    o = Origin(t, echo)
    assert works(d, 'last.example', o.port)
    used = d.cpu()
    for _ in range(20):
        assert works(d, 'last.example', o.port)
    used = d.cpu() - used
    assert used < patient(0.1), f'read again for each: {used} s of CPU'


def test_localhost_is_this_machine(t):
    d = Daemon(t)
    o = Origin(t, echo)
    assert works(d, 'localhost', o.port)


# --- several addresses ------------------------------------------------------

def test_the_next_address_is_tried_at_once_after_a_refusal(t):
    # Of this port nobody else has another address.
    o = Origin(t, echo, host='127.0.0.2', port=unused_port())
    server = DnsServer(t, {('x.example', 'A'):
                           a('127.0.0.1', '127.0.0.3', '127.0.0.2')})
    d = Daemon(t, names_of(server))
    assert works(d, 'x.example', o.port)
    same(d.wait_access()['address'], f'127.0.0.2:{o.port}')


@netns
def test_the_next_address_is_tried_soon_after_silence(t):
    # A port of its own for both: nobody else is in this network.
    Silent(t, host='127.0.0.2', port=7)
    Origin(t, echo, host='127.0.0.1', port=7)
    server = DnsServer(t, {('x.example', 'A'): a('127.0.0.2', '127.0.0.1')})
    d = Daemon(t, names_of(server))
    start = time.monotonic()
    assert works(d, 'x.example', 7)
    assert time.monotonic() - start < patient(2)
    same(d.wait_access(outcome='closed')['address'], '127.0.0.1:7')
    d.wait_rest(5)


# Which answer comes how much later: within the time for which the first waits
# for the preferred one (50 ms), and after it.
ORDERS = {'at once': (0, 0), 'A later': (0.02, 0), 'AAAA later': (0, 0.02),
          'A late': (0.2, 0), 'AAAA late': (0, 0.2)}


def two_families(t, order):
    """A server that knows x.example in both, one answer after the other."""
    late_a, late_aaaa = ORDERS[order]
    return DnsServer(t, {
        ('x.example', 'A'): a('127.0.0.1', delay=late_a),
        ('x.example', 'AAAA'): a('::1', delay=late_aaaa)})


@netns
@each(*ORDERS)
def test_the_other_family_is_tried_soon_after_silence(t, order):
    for silent, good in (('::1', '127.0.0.1'), ('127.0.0.1', '::1')):
        port = 7 if silent == '::1' else 8
        Silent(t, host=silent, port=port)
        Origin(t, echo, host=good, port=port)
        for family in ('ipv6', 'ipv4', 'none'):
            d = Daemon(t, {**names_of(two_families(t, order)),
                           'outbound': {'prefer': family}})
            start = time.monotonic()
            assert works(d, 'x.example', port), (silent, family)
            took = time.monotonic() - start
            assert took < patient(2), (silent, family, took)


def test_a_slow_target_is_waited_for_though_a_family_stays_silent(t):
    server = DnsServer(t, {('x.example', 'A'): a('127.0.0.1'),
                           ('x.example', 'AAAA'): SILENT})
    d = Daemon(t, names_of(server))
    slow = Silent(t)

    def recover():
        time.sleep(0.6)  # the next SYN comes after a second
        for _ in range(3):
            t.defer(slow.accept().close)

    helper = threading.Thread(target=recover, daemon=True)
    helper.start()
    start = time.monotonic()
    s, code = client.ask(d.address, ('x.example', slow.target[1]), 'socks5')
    with s:
        same(code, client.SUCCEEDED)
    assert time.monotonic() - start < patient(4)
    helper.join()


@netns
@each('ipv4', 'ipv6')
def test_a_family_can_be_preferred(t, family):
    Origin(t, echo, host='::1', port=7)
    Origin(t, echo, host='127.0.0.1', port=7)
    wanted = {'ipv4': '127.0.0.1:7', 'ipv6': '[::1]:7'}[family]
    for order in ('at once', 'A later', 'AAAA later'):
        for _ in range(5):
            server = two_families(t, order)
            d = Daemon(t, {**names_of(server), 'outbound': {'prefer': family}})
            for _ in range(3):
                assert works(d, 'x.example', 7)
            d.wait_access(3, outcome='closed')
            # Else this machine had other things to do: it was late, not later.
            if server.sent[-1] - server.sent[0] < 0.04:
                break
        same([f['address'] for f in d.access()], [wanted] * 3)


@netns
@each('ipv6-first', 'ipv4-first', 'ipv6-only', 'ipv4-only')
def test_names_have_an_order(t, order):
    Origin(t, echo, host='::1', port=7)
    Origin(t, echo, host='127.0.0.1', port=7)
    server = two_families(t, 'at once')
    server.records['four.example', 'A'] = a('127.0.0.1')
    hosts = t.file('hosts', '127.0.0.1 both\n::1 both\n')
    d = Daemon(t, names_of(server, order=order, hosts=hosts))
    wanted = {'4': '127.0.0.1:7', '6': '[::1]:7'}[order[3]]
    for host in ('x.example', 'both', 'localhost'):
        assert works(d, host, 7)
    d.wait_access(3, outcome='closed')
    same([f['address'] for f in d.access()], [wanted] * 3)
    if order == 'ipv6-only':
        same(fails(d, 'four.example', 7), 'name-not-found')
    else:
        assert works(d, 'four.example', 7)
    kinds = {k for _, k in server.queries}
    same(kinds, {'ipv6-only': {'AAAA'}, 'ipv4-only': {'A'}}.get(
        order, {'A', 'AAAA'}))


def test_all_addresses_that_refuse_are_a_refusal(t):
    server = DnsServer(t, {('x.example', 'A'): a('127.0.0.1', '127.0.0.2'),
                           ('x.example', 'AAAA'): a('::1')})
    d = Daemon(t, names_of(server))
    same(fails(d, 'x.example', unused_port()), 'refused')


def test_many_addresses_are_no_trouble(t):
    values = [f'127.0.1.{i}' for i in range(1, 100)]
    server = DnsServer(t, {('x.example', 'A'): a(*values, cut=True)})
    d = Daemon(t, {**names_of(server), 'timeouts': {'connect': '5s'}})
    same(fails(d, 'x.example', unused_port()), 'refused')
    o = Listener(t, host='127.0.1.1')
    with tunnel(d.address, ('x.example', o.port)) as s, o.accept() as far:
        s.sendall(b'x')
        same(far.recv(1), b'x')


def test_names_and_addresses_mix_under_load(t):
    server = DnsServer(t, {(f'x{i}.example', 'A'):
                           a('127.0.0.1', ttl=0, delay=0.02)
                           for i in range(10)})
    d = Daemon(t, {'names': {'servers': [server.address]}})
    o = Origin(t, echo)
    failed = []

    def client_of(n):
        try:
            for i in range(20):
                host = f'x{(n + i) % 12}.example'  # two are missing
                s, reply = socks5_ask(d.address, (host, o.port))
                with s:
                    good = (n + i) % 12 < 10
                    assert (reply.code == client.SUCCEEDED) == good, reply
                    assert not good or echoes(s)
        except Exception as e:
            failed.append(e)

    threads = [threading.Thread(target=client_of, args=(n,), daemon=True)
               for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(patient(25))
    assert not failed, failed

