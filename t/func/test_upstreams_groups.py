"""Groups of parents: whose turn it is, and what becomes of one that fails."""
import collections
import concurrent.futures
import json
import os
import signal
import socket
import threading

from lib import client, conf
from lib.case import each, eventually, fewer, same
from lib.conf import allow
from lib.daemon import Daemon
from lib.origin import Origin, Silent, echo, hang, unused_port
from lib.parents import Microsocks
from test_upstreams import KINDS, by, reach, refused


def socks(t, host='127.0.0.1', **options):
    """A parent of a few lines, which counts whom it serves."""
    def serve(s):
        s.recv(3)
        s.sendall(b'\5\0')
        s.recv(262)
        s.sendall(b'\5\0\0\1\0\0\0\0\0\0')
        echo(s)
    return Origin(t, serve, host=host, **options)


def url(o):
    return f'socks5://{client.authority(o.host, o.port)}'


def ask(d, n=1, target=('192.0.2.1', 80), source=None):
    """Which parents take so many requests, one after the other."""
    hops = collections.Counter()
    for _ in range(n):
        with client.tunnel(d.address, target, source=source) as s:
            assert client.echoes(s)
            line = d.session(s)
        hops[int(line()['hop'])] += 1
    return dict(hops)


def test_sessions_say_by_which_parent_they_leave(t):
    d = by(t, [url(socks(t)), url(socks(t))], policy='round-robin')
    for hop in (1, 2):
        with client.tunnel(d.address, ('192.0.2.1', 80)) as s:
            assert client.echoes(s)
            done = d.control.run('--json', 'sessions')
            j = json.loads(done.out)
            same((j['upstream'], j['hop']), ('paris', hop))
            done = d.control.run('sessions')
            same(done.out.splitlines()[1].split()[-1], 'paris')
        d.wait_access(hop)


@each('failover', 'round-robin', 'least-connections', 'hash-client',
      'hash-target')
def test_a_dead_parent_gives_way_to_the_next(t, policy):
    o = socks(t)
    dead = f'socks5://127.0.0.1:{unused_port()}'
    d = by(t, [dead, url(o), dead], policy=policy)
    same(ask(d, 10), {2: 10})
    same(len(d.access(outcome='closed')), 10)


def test_failover_takes_the_first(t):
    one, two = socks(t), socks(t)
    d = by(t, [url(one), url(two)])
    same(ask(d, 5), {1: 5})
    same(two.accepted, 0)


def test_round_robin_takes_all_in_turn(t):
    d = by(t, [url(socks(t)) for _ in range(3)], policy='round-robin')
    same(ask(d, 9), {1: 3, 2: 3, 3: 3})


def test_a_turn_of_one_that_is_not_well_is_not_its_neighbours(t):
    parents = [url(socks(t)), url(socks(t)),
               f'socks5://127.0.0.1:{unused_port()}']
    d = by(t, parents, policy='round-robin', retry='5m')
    ask(d, 3)  # one of these has found out
    same(ask(d, 8), {1: 4, 2: 4})


def test_least_connections_takes_who_has_fewest(t):
    d = by(t, [url(socks(t)) for _ in range(2)], policy='least-connections')
    held = [client.tunnel(d.address, ('192.0.2.1', 80)) for _ in range(4)]
    lines = [d.session(s) for s in held]
    for s in held:
        assert client.echoes(s)
    for s in held:
        s.close()
    hops = [int(line()['hop']) for line in lines]
    same(sorted(hops), [1, 1, 2, 2])
    # Whoever has more gets none until the other has as many.
    held = [client.tunnel(d.address, ('192.0.2.1', 80)) for _ in range(2)]
    lines = [d.session(s) for s in held]
    held[1].close()
    other = int(lines[1]()['hop'])
    same(ask(d, 3), {other: 3})
    held[0].close()
    same({int(line()['hop']) for line in lines}, {1, 2})


def test_a_hash_of_the_client_is_stable(t):
    parents = [socks(t) for _ in range(4)]
    urls = [url(o) for o in parents]
    sources = [f'127.0.1.{i}' for i in range(1, 13)]

    def places(d, order):
        found = {}
        for source in sources:
            (hop,) = ask(d, source=source)
            found[source] = order[hop - 1]
        return found
    first = by(t, urls, policy='hash-client')
    before = places(first, urls)
    assert len(set(before.values())) > 1, before
    same(places(first, urls), before)
    # Another daemon, with the same parents in another order.
    turned = urls[1:] + urls[:1]
    same(places(by(t, turned, policy='hash-client'), turned), before)
    # One that goes takes only its own along.
    gone = before[sources[0]]
    parents[urls.index(gone)].close()
    for source, place in places(first, urls).items():
        assert (place == before[source]) == (before[source] != gone), source


def test_a_hash_of_the_target_is_stable(t):
    urls = [url(socks(t)) for _ in range(4)]
    d = by(t, urls, policy='hash-target', resolve='remote')
    targets = [(f'host{i}.example', 80) for i in range(12)]
    before = {target: ask(d, 2, target) for target in targets}
    same(set(map(len, before.values())), {1})
    assert len({tuple(b) for b in before.values()}) > 1, before


def test_who_was_away_gets_requests_again(t):
    away = unused_port()
    d = by(t, [f'socks5://127.0.0.1:{away}', url(socks(t))], retry='100ms')
    same(ask(d, 2), {2: 2})
    d.wait_log(r'warning upstream paris: parent 1, 127.0.0.1 port \d+, has '
               r'failed: parent-failed, Connection refused\n')
    socks(t, port=away)
    eventually(lambda: ask(d) == {1: 1}, said='the first one is back')
    d.wait_log(r'notice upstream paris: parent 1, 127.0.0.1 port \d+, is well '
               r'again\n')


def test_who_is_away_is_left_alone(t):
    dead = unused_port()
    d = by(t, [f'socks5://127.0.0.1:{dead}', url(socks(t))], retry='5m')
    ask(d)
    back = socks(t, port=dead)
    same(ask(d, 5), {2: 5})
    same(back.accepted, 0)


def test_the_last_resort_are_those_who_have_failed(t):
    away = unused_port()
    d = by(t, [f'socks5://127.0.0.1:{away}'], retry='5m')
    same(refused(d, ('192.0.2.1', 80)), 4)
    socks(t, port=away)
    same(ask(d, 2), {1: 2})


def test_a_check_finds_out_before_a_request_does(t):
    away = unused_port()
    d = by(t, [f'socks5://127.0.0.1:{away}', url(socks(t))], retry='5m',
           check='100ms')
    d.wait_log('upstream paris: parent 1, .* has failed')
    back = socks(t, port=away)
    d.wait_log('upstream paris: parent 1, .* is well again')
    same(ask(d, 3), {1: 3})
    back.close()
    eventually(lambda: d.log().count('has failed') == 2)
    same(d.access(outcome='parent-failed'), [])


def test_a_check_may_ask_for_a_target(t):
    parent, o = Microsocks(t), Origin(t, echo)
    d = by(t, parent.url, check='100ms',
           check_target=client.authority(*o.target))
    eventually(lambda: o.accepted > 2)
    o.close()
    d.wait_log('upstream paris: parent 1, .* has failed: refused')


def test_a_check_does_not_wait_for_ever(t):
    """A parent by HTTP that hangs says nothing, whatever it is asked for."""
    o = Origin(t, lambda s: s.recv(1000) and s.recv(1000))
    d = by(t, f'http://127.0.0.1:{o.port}', {
        'timeouts': {'upstream': '200ms'}}, check='100ms',
        check_target='192.0.2.1:80')
    d.wait_log('upstream paris: parent 1, .* has failed: connect-timeout')


def at_once(*calls):
    """What each of them returns, all under way at the same time."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [f.result() for f in [pool.submit(c) for c in calls]]


@each('tinyproxy', 'squid', 'microsocks', 'socks4', 'spliced')
def test_a_target_that_hangs_is_no_parents_fault(t, kind):
    """A parent waits for it, and answers whoever asks for nothing."""
    if kind == 'spliced':
        far = Daemon(t, {'http': {'via': 'far'}})
        parent = f'http://127.0.0.1:{far.address[1]}'
    else:
        program, scheme = KINDS[kind]
        parent = program(t).at(scheme)
    d = by(t, [parent, url(socks(t))], {'timeouts': {'upstream': '2s'}},
           retry='5m')
    silent, o = Silent(t), Origin(t, echo)
    same(at_once(*[lambda: refused(d, silent.target, 'http')] * 4), [504] * 4)
    same(reach(d, o.target)()['hop'], '1')
    assert 'has failed' not in d.log()


@each('http', 'socks4', 'tinyproxy, stopped', 'microsocks, stopped')
def test_a_parent_that_hangs_has_failed(t, kind):
    """One answer that does not come is enough to find out."""
    if 'stopped' in kind:
        program, scheme = KINDS[kind.split(',')[0]]
        parent = program(t)
        os.killpg(parent.process.pid, signal.SIGSTOP)
    else:
        parent, scheme = Origin(t, hang), kind
    d = by(t, [f'{scheme}://127.0.0.1:{parent.port}', url(socks(t))], {
        'timeouts': {'upstream': '300ms', 'connect': '300ms'}}, retry='5m')
    same(at_once(*[lambda: refused(d, ('192.0.2.1', 80), 'http')] * 3)
         if scheme != 'socks5' else ask(d, 1),
         [504] * 3 if scheme != 'socks5' else {2: 1})
    d.wait_log('upstream paris: parent 1, .* has failed: parent-failed')
    same(ask(d, 2), {2: 2})
    if 'stopped' not in kind:  # one has asked what all wanted to know
        same(parent.accepted, 4)


def test_who_has_answered_others_meanwhile_is_not_asked(t):
    asked = threading.Event()

    def serve(s):
        if b'192.0.2.1' in s.recv(1000):
            asked.set()
            s.recv(1)
        else:
            s.sendall(b'HTTP/1.1 200 OK\r\n\r\n')
            echo(s)
    parent = Origin(t, serve)
    d = by(t, [f'http://127.0.0.1:{parent.port}', url(socks(t))], {
        'timeouts': {'upstream': '2s'}}, retry='5m')

    def other():
        assert asked.wait(10)
        return ask(d, 1, ('192.0.2.2', 80))
    same(at_once(lambda: refused(d, ('192.0.2.1', 80), 'http'), other),
         [504, {1: 1}])
    same(parent.accepted, 2)
    assert 'has failed' not in d.log()


def test_checks_end_with_the_daemon(t):
    """One that waits for an answer does not hold it up."""
    o = Origin(t, lambda s: s.recv(100) and s.recv(100))
    d = by(t, url(o), check='100ms', check_target='192.0.2.1:80')
    eventually(lambda: o.accepted > 0)
    d.stop()


@each('failover', 'round-robin')
def test_no_client_sees_a_failure_while_one_parent_lives(t, policy):
    parents, o = [Microsocks(t) for _ in range(3)], Origin(t, echo)
    d = by(t, [p.url for p in parents], policy=policy, retry='100ms')
    failures, done, over = [], collections.Counter(), threading.Event()

    def client_of(number):
        while not over.is_set():
            try:
                with client.tunnel(d.address, o.target) as s:
                    assert client.echoes(s)
                done[number] += 1
            except (OSError, EOFError, client.ProxyError) as e:
                # Who was in it when a parent was killed has lost it.
                if isinstance(e, client.ProxyError):
                    failures.append(e)
    threads = [threading.Thread(target=client_of, args=(i,))
               for i in range(8)]
    for thread in threads:
        thread.start()

    def more(n):
        goal = sum(done.values()) + n
        eventually(lambda: sum(done.values()) >= goal)
    for dying in (0, 1):
        more(fewer(100))
        parents[dying].stop()
    more(fewer(100))
    parents[0].start()
    more(fewer(100))
    parents[2].stop()
    more(fewer(100))
    over.set()
    for thread in threads:
        thread.join()
    same(failures, [])
    same(d.access(outcome='parent-failed'), [])


def chain(t, count):
    hops = [Daemon(t, {'names': {'hosts': t.file(f'hosts{i}', '')}})
            for i in range(count)]
    return hops


def test_three_hops_in_a_row(t):
    hops, o = chain(t, 3), Origin(t, echo)
    schemes = ('socks5', 'http', 'socks4')
    urls = [f'{s}://127.0.0.1:{h.address[1]}' for s, h in zip(schemes, hops)]
    d = by(t, urls, chain=True)
    line = reach(d, o.target)()
    same((line['upstream'], line['outcome']), ('paris', 'closed'))
    assert 'hop' not in line, line
    targets = [f'127.0.0.1:{h.address[1]}' for h in hops[1:]]
    targets.append(client.authority(*o.target))
    for hop, scheme, target in zip(hops, schemes, targets):
        same(hop.wait_access(protocol=scheme, outcome='closed')['target'],
             target)


def test_a_further_hop_is_where_the_parent_finds_it(t):
    """It has 127.0.0.1 as we have, and there something else listens."""
    port, asked = unused_port(), []

    def serve(s):
        for _ in range(2):
            s.recv(3)
            s.sendall(b'\5\0')
            asked.append(s.recv(262))
            s.sendall(b'\5\0\0\1\0\0\0\0\0\0')
        echo(s)
    d = by(t, [url(Origin(t, serve)), f'socks5://127.0.0.1:{port}'],
           {'listeners': [conf.listener(address=[f'127.0.0.1:{port}'])]},
           chain=True)
    same(reach(d, ('192.0.2.1', 80))()['outcome'], 'closed')
    same(asked[0][4:], socket.inet_aton('127.0.0.1') + port.to_bytes(2, 'big'))


@each(1, 2, 3)
def test_the_hop_that_failed_is_said(t, dead):
    hops, o = chain(t, 3), Origin(t, echo)
    urls = [f'socks5://127.0.0.1:{h.address[1]}' for h in hops]
    urls[dead - 1] = f'socks5://127.0.0.1:{unused_port()}'
    d = by(t, urls, chain=True)
    same(refused(d, o.target), 4)
    same(d.wait_access(outcome='parent-failed')['hop'], str(dead))


def test_a_target_out_of_reach_is_no_hops_fault(t):
    d = by(t, [f'http://127.0.0.1:{h.address[1]}' for h in chain(t, 2)] +
           [f'socks5://127.0.0.1:{chain(t, 1)[0].address[1]}'], chain=True)
    same(refused(d, ('127.0.0.1', unused_port())), 5)
    same(d.wait_access(outcome='refused')['hop'], '3')


def test_parents_of_many_addresses_are_raced(t):
    o = socks(t)
    d = Daemon(t, {
        'upstreams': [{'name': 'paris',
                       'url': f'socks5://both.example:{o.port}'}],
        'rules': [allow(upstream='paris')],
        'names': {'hosts': t.file(
            'hosts', '::1 both.example\n127.0.0.1 both.example\n')}})
    same(ask(d, 2), {1: 2})


def test_a_reload_takes_other_parents(t):
    one, two = socks(t), socks(t)
    d = by(t, url(one))
    with client.tunnel(d.address, ('192.0.2.1', 80)) as kept:
        assert client.echoes(kept)
        d.write({'upstreams': [{'name': 'paris', 'url': url(two)}]})
        d.reload()
        ask(d)
        assert client.echoes(kept)
    same((one.accepted, two.accepted), (1, 1))


def test_an_unknown_group_is_an_error(t):
    d = Daemon(t, conf.merge({'rules': [allow(upstream='rome')]}),
               wait=False)
    d.wait_exit(1)
    d.wait_log('rome')
