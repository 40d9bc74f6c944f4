"""Bounds for clients, users, rules and listeners: who is refused, and how."""
import concurrent.futures
import contextlib
import json
import os
import select
import signal
import socket
import threading

from lib import client, conf
from lib.case import (each, eventually, fewer, netns, same, timeout,
                      valgrind)
from lib.client import dial, echoes, tunnel
from lib.daemon import Daemon
from lib.net import add_address
from lib.origin import Origin, echo, unused_port
from lib.udp import Association, Echo
from lib.users import demand, users

LIMIT_CODES = {'socks5': client.DENIED, 'socks4': client.REJECTED,
               'http': 503}
MANY = {'socks5': client.DENIED, 'socks4': client.REJECTED, 'http': 429}


def limited(t, limits=None, clients=None, rules=None, **changes):
    return Daemon(t, {
        'limits': {'per_client': 0, **(limits or {})},
        'clients': [{'action': 'allow', 'from': 'any', **(clients or {})}],
        'rules': [conf.allow(name='only', **(rules or {}))], **changes})


def sent_away(d, source=None):
    """Whether a new connection is closed without a word."""
    s = dial(d.address, source=source)
    with s:
        try:
            s.sendall(b'\5\1\0')
            return not s.recv(1)
        except ConnectionError:
            return True


@contextlib.contextmanager
def tunnels(d, target, count, **options):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(tunnel(d.address, target, **options))
               for _ in range(count)]


@valgrind
def test_a_client_has_so_many_sessions_at_once(t):
    d = limited(t, {'per_client': 3})
    o = Origin(t, echo)
    with tunnels(d, o.target, 3) as inside:
        assert sent_away(d)
        d.wait_access(outcome='limit-client')
        assert all(echoes(s) for s in inside)
    eventually(lambda: not sent_away(d), said='there is room again')


@netns
def test_addresses_count_by_their_prefix(t):
    for a in ('198.51.100.1/32', '198.51.100.2/32', '198.51.101.1/32',
              '2001:db8:1::1/128', '2001:db8:1::2/128', '2001:db8:2::1/128'):
        add_address(a)
    d = Daemon(t, {'limits': {'per_client': 1, 'client_prefix4': 24},
                   'listeners': [conf.listener(
                       address=['0.0.0.0:0', '[::]:0'])]})
    for host, first, same_one, other in (
            ('127.0.0.1', '198.51.100.1', '198.51.100.2', '198.51.101.1'),
            ('::1', '2001:db8:1::1', '2001:db8:1::2', '2001:db8:2::1')):
        address = (host, d.addresses['::' in host][1])
        with dial(address, source=first) as s:
            s.sendall(b'\5\1\0')
            same(client.read_exact(s, 2), b'\5\0')
            with dial(address, source=same_one) as one:
                same(client.read_to_end(one)[0], b'')
            with dial(address, source=other) as two:
                two.sendall(b'\5\1\0')
                same(client.read_exact(two, 2), b'\5\0')


@netns
def test_associations_count_by_the_same_prefix(t):
    for a in ('198.51.100.1/32', '198.51.100.2/32', '198.51.101.1/32'):
        add_address(a)
    d = Daemon(t, {'workers': 1,
                   'limits': {'udp_per_client': 1, 'client_prefix4': 24}})
    Association(t, d.address, source='198.51.100.1')
    s, reply = client.socks5_ask(d.address, ('0.0.0.0', 0), client.UDP,
                                 source='198.51.100.2')
    s.close()
    same(reply.code, client.FAILURE)
    Association(t, d.address, source='198.51.101.1')


def test_who_says_nothing_counts_too(t):
    d = limited(t, {'per_client': 2}, timeouts={'handshake': '1s'})
    with dial(d.address), dial(d.address):
        eventually(lambda: d.control.status()['connections']['active'] == 2)
        assert sent_away(d)
        # Silence ends, and makes room.
        eventually(lambda: not sent_away(d), 15)
    d.wait_access(outcome='handshake-timeout')


def test_a_client_rule_bounds_sessions_of_all(t):
    d = limited(t, clients={'name': 'lan', 'sessions': 2})
    o = Origin(t, echo)
    with tunnels(d, o.target, 2):
        assert sent_away(d)
        d.wait_access(outcome='limit-rule', client_rule='lan')
    eventually(lambda: not sent_away(d))


def test_a_listener_bounds_its_sessions(t):
    d = Daemon(t, {'listeners': [conf.listener(sessions=1),
                                 conf.listener(name='wide')]})
    o = Origin(t, echo)
    with tunnels(d, o.target, 1):
        assert sent_away(d)
        d.wait_access(outcome='limit-listener')
        with tunnel(d.addresses[1], o.target) as s:
            assert echoes(s)


@each('socks5', 'socks4', 'http')
def test_a_full_rule_refuses_with_the_right_reply(t, protocol):
    d = limited(t, rules={'sessions': 2})
    o = Origin(t, echo)
    with tunnels(d, o.target, 2):
        s, code = client.ask(d.address, o.target, protocol)
        s.close()
        same(code, LIMIT_CODES[protocol])
        d.wait_access(outcome='limit-rule', rule='only')
    eventually(lambda: reaches(d, o.target, protocol))


@each('socks5', 'socks4', 'http')
def test_a_rule_bounds_each_client(t, protocol):
    d = limited(t, rules={'sessions_per_client': 1})
    o = Origin(t, echo)
    with tunnels(d, o.target, 1):
        s, code = client.ask(d.address, o.target, protocol)
        s.close()
        same(code, MANY[protocol])
        d.wait_access(outcome='limit-client', rule='only')


def reaches(d, target, protocol='socks5'):
    s, code = client.ask(d.address, target, protocol)
    s.close()
    return code == 0


def test_another_rule_is_taken_where_one_is_full(t):
    """Of a name's addresses those are tried whose rule has room."""
    hosts = t.file('hosts', '127.0.0.1 both.test\n127.0.0.2 both.test\n')
    o = Origin(t, echo, port=unused_port())
    other = Origin(t, echo, host='127.0.0.2', port=o.target[1])
    d = Daemon(t, {'names': {'hosts': hosts}, 'rules': [
        {'action': 'allow', 'name': 'one', 'to': ['127.0.0.1/32'],
         'sessions': 1},
        {'action': 'allow', 'name': 'two', 'to': ['127.0.0.2/32'],
         'sessions': 1}]})
    target = ('both.test', o.target[1])
    with tunnel(d.address, target) as a, tunnel(d.address, target) as b:
        assert echoes(a) and echoes(b)
        s, code = client.ask(d.address, target, 'socks5')
        s.close()
        same(code, client.DENIED)
    d.wait_access(rule='one', outcome='closed')
    d.wait_access(rule='two', outcome='closed')
    same((o.accepted, other.accepted), (1, 1))


def test_a_bind_counts_when_its_peer_has_come(t):
    d = limited(t, rules={'sessions': 1})
    o = Origin(t, echo)

    def bind():
        s, reply = client.socks5_ask(d.address, ('127.0.0.1', 0),
                                     client.BIND)
        same(reply.code, 0)
        peer = dial((reply.host, reply.port))
        code = client.socks5_reply(s).code
        peer.close()
        s.close()
        return code

    with tunnels(d, o.target, 1):
        same(bind(), client.DENIED)
        d.wait_access(outcome='limit-rule', command='bind')
    eventually(lambda: bind() == 0)


def test_an_association_counts_for_the_rule_of_its_first_target(t):
    d = limited(t, rules={'sessions': 1})
    o, far = Origin(t, echo), Echo(t)
    a = Association(t, d.address)
    with tunnels(d, o.target, 1):
        a.send(far.target, b'lost')
        eventually(lambda: dropped(d) >= 1)
    eventually(lambda: reaches(d, o.target))

    def passes():
        a.send(far.target, b'ping')
        return select.select([a.socket], [], [], 0.1)[0]

    eventually(passes)
    assert not reaches(d, o.target)
    a.close()
    eventually(lambda: reaches(d, o.target))


def dropped(d):
    return d.control.status()['totals']['datagrams_dropped']


# --- Users ------------------------------------------------------------------

LOGINS = {'alice': 'secret', 'bob': 'hidden'}


def asked_by(d, o, user):
    return client.socks5_ask(d.address, o.target, login=(user, LOGINS[user]))


@each(({'per_user': 2}, {}), ({}, {'sessions_per_user': 2}))
def test_a_user_has_so_many_sessions_at_once(t, bounds):
    limits, rule = bounds
    d = Daemon(t, {**demand(users(t, LOGINS)), 'limits': limits,
                   'rules': [conf.allow(name='only', **rule)]})
    o = Origin(t, echo)
    first, reply = asked_by(d, o, 'alice')
    with first:
        same(reply.code, 0)
        with asked_by(d, o, 'alice')[0] as second:
            assert echoes(second)
            with asked_by(d, o, 'alice')[0] as third:
                same(client.read_all(third), b'')
            d.wait_access(outcome='limit-user', user='alice')
            same(o.accepted, 2)
            with asked_by(d, o, 'bob')[0] as other:
                assert echoes(other)
            found, _ = rows(d)
            assert {'count': 2, 'bound': 2, 'who': 'alice'}.items() <= \
                found[0].items(), found

    def again():
        s, reply = asked_by(d, o, 'alice')
        s.close()
        return reply.code == 0

    eventually(again)


def test_who_has_not_logged_in_is_no_user(t):
    """A name that SOCKS4 says is none that was proved."""
    d = limited(t, {'per_user': 1}, rules={'sessions_per_user': 1})
    o = Origin(t, echo)
    for _ in range(2):
        s, reply = client.socks4_ask(d.address, o.target, userid=b'alice')
        t.defer(s.close)
        same(reply.code, client.GRANTED)


# --- Rates ------------------------------------------------------------------

def test_new_sessions_of_a_client_come_at_a_rate(t):
    d = limited(t, {'rate_per_client': '5/1m'})
    same([sent_away(d) for _ in range(7)], [False] * 5 + [True] * 2)
    d.wait_access(2, outcome='limit-rate')


def test_a_rate_lets_in_again_as_time_goes_on(t):
    d = limited(t, clients={'rate': '10/1s'})
    for _ in range(10):
        assert not sent_away(d)
    eventually(lambda: not sent_away(d))


@each('socks5', 'socks4', 'http')
def test_the_rate_of_a_rule_refuses_requests(t, protocol):
    d = limited(t, rules={'rate': '2/1m'})
    o = Origin(t, echo)
    assert reaches(d, o.target) and reaches(d, o.target)
    s, code = client.ask(d.address, o.target, protocol)
    s.close()
    same(code, MANY[protocol])
    d.wait_access(outcome='limit-rate', rule='only')


# --- However they end -------------------------------------------------------

def test_all_is_given_back_however_sessions_end(t):
    """One place for each; whoever does not give it back is the last."""
    d = limited(t, {'per_client': 1}, {'sessions': 1},
                {'sessions': 1, 'sessions_per_client': 1},
                listeners=[conf.listener(sessions=1)],
                timeouts={'handshake': '500ms', 'idle': '500ms'})
    o = Origin(t, echo)
    unused = socket.socket()
    unused.bind(('127.0.0.1', 0))

    def enter():
        """A connection that is let in, as soon as there is room."""
        found = []

        def come():
            s = dial(d.address)
            s.sendall(b'\5\1\0')
            try:
                if s.recv(2) == b'\5\0':
                    found.append(s)
                    return True
            except ConnectionError:
                pass
            s.close()
            return False

        eventually(come, said='there is room')
        return found[0]

    def asked(host, port, command=client.CONNECT):
        s = enter()
        s.sendall(client.socks5_request(host, port, command))
        return s

    for _ in range(fewer(3)):
        with enter():
            pass  # the client leaves
        client.reset(enter())
        with enter() as s:
            s.sendall(b'\5\x77')  # a bad request
            client.read_to_end(s)
        with enter() as s:
            client.read_to_end(s)  # the handshake takes too long
        with asked(*o.target) as s:
            same(client.socks5_reply(s).code, 0)
        with asked(*o.target) as s:
            same(client.socks5_reply(s).code, 0)
            same(client.read_to_end(s)[1], 'reset')  # it is idle
        with asked('127.0.0.1', unused.getsockname()[1]) as s:
            same(client.socks5_reply(s).code, client.REFUSED)
            client.read_to_end(s)
        with asked('127.0.0.1', d.address[1]) as s:
            same(client.socks5_reply(s).code, client.DENIED)
            client.read_to_end(s)
        s = asked(*o.target)
        client.reset(s)
        with asked('127.0.0.1', 0, client.BIND) as s:
            same(client.socks5_reply(s).code, 0)
        with asked('0.0.0.0', 0, client.UDP) as s:
            same(client.socks5_reply(s).code, 0)
    unused.close()
    with enter():
        pass
    eventually(lambda: not rows(d)[0])


def test_a_crowd_never_exceeds_a_bound(t):
    """Many at once, on two workers: no more than the bound, and no fewer."""
    bound, rounds = 20, fewer(10)
    d = limited(t, {'per_client': bound}, workers=2)
    o = Origin(t, echo)
    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        for _ in range(rounds):
            def one(_):
                try:
                    return tunnel(d.address, o.target)
                except (OSError, EOFError, client.ProxyError):
                    return None
            inside = [s for s in pool.map(one, range(60)) if s]
            same(len(inside), bound)
            for s in inside:
                s.close()
            eventually(lambda: not rows(d)[0])


# --- Generations ------------------------------------------------------------

def test_bounds_hold_over_generations(t):
    d = limited(t, {'per_client': 4}, rules={'sessions': 3})
    o = Origin(t, echo)
    with tunnels(d, o.target, 2) as old:
        d.reload()
        with tunnels(d, o.target, 1) as new:
            s, code = client.ask(d.address, o.target, 'socks5')
            same(code, client.DENIED)
            s.close()
            d.wait_access(outcome='limit-rule')
            d.reload()
            with dial(d.address) as third:
                third.sendall(b'\5\1\0')
                same(client.read_exact(third, 2), b'\5\0')
                assert sent_away(d)
            d.wait_access(outcome='limit-client')
            # One of the oldest generation ends.
            old.pop().close()
            eventually(lambda: reaches(d, o.target))
            assert all(echoes(s) for s in old + new)


def test_a_rule_is_known_by_its_name(t):
    d = limited(t, rules={'sessions': 1})
    o = Origin(t, echo)
    with tunnels(d, o.target, 1):
        d.reload({'rules': [conf.deny(ports=['1'], name='first'),
                            conf.allow(name='only', sessions=1)]},
                 rebase=False)
        assert not reaches(d, o.target)
        d.reload({'rules': [conf.allow(name='new', sessions=1)]},
                 rebase=False)
        assert reaches(d, o.target)


def test_a_rate_holds_over_a_reload(t):
    d = limited(t, {'rate_per_client': '3/10m'})
    o = Origin(t, echo)
    with tunnels(d, o.target, 3):
        assert sent_away(d)
        d.reload()
        assert sent_away(d)


def test_a_generation_that_is_killed_holds_nothing(t):
    d = limited(t, {'per_client': 2})
    o = Origin(t, echo)
    with tunnels(d, o.target, 2):
        assert sent_away(d)
        first = d.worker
        d.reload()
        assert sent_away(d)
        os.kill(first, signal.SIGKILL)
        eventually(lambda: not sent_away(d))


def test_a_crash_of_the_one_that_serves_frees_all(t):
    d = limited(t, {'per_client': 2})
    o = Origin(t, echo)
    with tunnels(d, o.target, 2):
        assert sent_away(d)
        os.kill(d.worker, signal.SIGKILL)
        d.wait_ready(2)
        assert not sent_away(d)


@timeout(60)
def test_a_bound_holds_while_generations_change(t):
    """Clients come and go all the time.

    Only those that were in a handshake with the older generation when the new
    one began to accept are not seen by it yet.
    """
    bound = 8
    d = limited(t, rules={'sessions': bound}, workers=2)
    o, ended = Origin(t, echo), threading.Event()
    lock, inside, most, served = threading.Lock(), [0], [0], [0]

    def come_and_go():
        while not ended.is_set():
            try:
                s = tunnel(d.address, o.target)
            except client.ProxyError as e:
                same(e.code, client.DENIED)
                continue
            with lock:
                inside[0] += 1
                served[0] += 1
                most[0] = max(most[0], inside[0])
            assert echoes(s)
            with lock:
                inside[0] -= 1
            s.close()

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        every = [pool.submit(come_and_go) for _ in range(16)]
        try:
            for _ in range(fewer(6)):
                d.reload()
                before = served[0]
                eventually(lambda: served[0] > before + 100, 30)
                most[0] = 0
                eventually(lambda: served[0] > before + 300, 30)
                assert 0 < most[0] <= bound, f'{most[0]} at once'
        finally:
            ended.set()
        for one in every:
            one.result()
    eventually(lambda: not rows(d)[0])


# --- splicedctl -------------------------------------------------------------

def rows(d):
    """What counts: all but the last line."""
    done = d.control.run('limits', '--json')
    same(done.returncode, 0)
    *found, last = map(json.loads, done.out.splitlines())
    assert 'refused' in last and last['uncounted'] == 0, last
    return found, last['refused']


def test_a_full_table_refuses_nobody(t):
    """And whoever found no place in it takes nothing from others."""
    d = limited(t, {'per_client': 1, 'table': 1024})
    count = 1300
    inside = [dial(d.address, source=f'127.1.{i >> 8}.{i & 255}')
              for i in range(count)]
    eventually(lambda: d.control.status()['connections']['active'] == count)
    done = d.control.run('limits')
    assert '... and' in done.out and 'let in uncounted' in done.out, done.out
    known = sum(sent_away(d, source=f'127.1.{i >> 8}.{i & 255}')
                for i in range(count))
    assert 800 < known <= 1024, known
    for s in inside:
        s.close()
    eventually(lambda: d.control.status()['connections']['active'] == 0)
    eventually(lambda: len(d.control.run(
        'limits', '--json').out.splitlines()) == 1)
    same(sum(sent_away(d, source=f'127.1.{i >> 8}.{i & 255}')
             for i in range(count)), 0)


def test_splicedctl_shows_what_counts(t):
    d = limited(t, {'per_client': 4}, {'name': 'lan', 'sessions': 100},
                {'sessions': 8})
    o = Origin(t, echo)
    same(d.control.run('limits').out.split(),
         'COUNT BOUND FULL LIMIT OF WHO'.split())
    with tunnels(d, o.target, 2):
        d.reload()
        with tunnels(d, o.target, 2):
            assert sent_away(d)
            found, refused = rows(d)
            same(found, [
                {'limit': 'limits.per_client', 'count': 4, 'bound': 4,
                 'who': '127.0.0.1/32'},
                {'limit': 'rules.sessions', 'count': 4, 'bound': 8,
                 'of': 'only'},
                {'limit': 'clients.sessions', 'count': 4, 'bound': 100,
                 'of': 'lan'}])
            same(refused['limits.per_client'], 1)
            shown = d.control.run('limits').out
            assert '4  100%  limits.per_client' in shown, shown
            assert 'refused by limits.per_client: 1\n' in shown, shown
    eventually(lambda: not rows(d)[0])
