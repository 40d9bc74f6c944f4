"""Networks that loopback is not: slow and lossy ones, chosen interfaces."""
import socket
import threading
import time

from lib import client, conf, net
from lib.case import (SLOWNESS, Skip, each, eventually, long, netns, patient,
                      same, timeout)
from lib.client import echoes, http_status, socks5_ask, tunnel
from lib.daemon import Daemon
from lib.origin import Listener, Origin, both_ways, echo

MIB = 1 << 20


# --- the slow and lossy one -------------------------------------------------

def far_listener(t, lag, **options):
    with lag.far.inside():
        return Listener(t, host='10.77.0.2', port=7, **options)


BAD_LINE = (30, 5, 1, 1, 1)  # ms, jitter, loss, double, out of order


@long
@netns
@each('copy', 'splice', 'adaptive')
@timeout(60)
def test_a_bad_line_loses_nothing(t, mode):
    lag = net.Lag(t, *BAD_LINE)
    d = Daemon(t, conf.relay(mode) if mode != 'adaptive' else None)
    o = far_listener(t, lag)
    mib = 4 if SLOWNESS == 1 else 2
    pairs = []
    for i in range(3):
        near = tunnel(d.address, o.target, client.PROTOCOLS[i % 2])
        pairs.append((near, o.accept(40)))
    failed = []

    def run(s, mine, its):
        try:
            s.settimeout(patient(40))
            with s:
                both_ways(s, mib, mine, its)
        except Exception as e:
            failed.append(e)

    threads = []
    for i, (near, far) in enumerate(pairs):
        for s, mine, its in ((near, i, 100 + i), (far, 100 + i, i)):
            threads.append(threading.Thread(target=run, daemon=True,
                                            args=(s, mine, its)))
            threads[-1].start()
    for thread in threads:
        thread.join(patient(50))
        assert not thread.is_alive(), 'it still runs'
    assert not failed, failed
    d.wait_access(3, outcome='closed')


@long
@netns
@timeout(60)
def test_a_bad_line_keeps_half_closes_and_resets(t):
    lag = net.Lag(t, *BAD_LINE)
    # A reset is sent but once, and may be lost like anything else here.
    d = Daemon(t, {'timeouts': {'half_closed': '5s'}})
    o = far_listener(t, lag)
    text = client.noise(300000)
    for i in range(6):
        with tunnel(d.address, o.target) as near, o.accept() as far:
            near.sendall(text)
            near.shutdown(socket.SHUT_WR)
            same(client.read_all(far), text)
            far.sendall(text)
            if i % 2:
                far.close()
                same(client.read_to_end(near), (text, 'eof'))
            else:
                client.delivered(far)
                client.reset(far)
                same(client.read_to_end(near), (text, 'reset'))


@netns
@timeout(60)
def test_many_connections_over_a_bad_line(t):
    lag = net.Lag(t, *BAD_LINE)
    d = Daemon(t)
    with lag.far.inside():
        o = Origin(t, echo, host='10.77.0.2', port=7)
    failed = []

    def run(n):
        try:
            for i in range(5):
                with tunnel(d.address, o.target,
                            client.PROTOCOLS[i % 2]) as s:
                    assert echoes(s, client.noise(3000, n))
        except Exception as e:
            failed.append(e)

    threads = [threading.Thread(target=run, args=(n,), daemon=True)
               for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(patient(50))
    assert not failed, failed


@netns
@timeout(60)
def test_a_line_that_is_cut_for_a_while_loses_nothing(t):
    lag = net.Lag(t, 5)
    d = Daemon(t)
    o = far_listener(t, lag)
    near, far = tunnel(d.address, o.target), o.accept(40)
    with near, far:
        whole = client.noise(2 * MIB)
        sender = threading.Thread(target=far.sendall, args=(whole,),
                                  daemon=True)
        sender.start()
        got = client.read_exact(near, 100000)
        lag.cut()
        time.sleep(1)
        lag.cut()
        near.settimeout(patient(40))
        got += client.read_exact(near, len(whole) - len(got))
        same(got, whole)


@netns
def test_a_cut_line_is_a_connect_timeout(t):
    lag = net.Lag(t, 5)
    d = Daemon(t, {'timeouts': {'connect': '1s'}})
    far_listener(t, lag)
    lag.cut()
    s, reply = socks5_ask(d.address, ('10.77.0.2', 7))
    with s:
        same(reply.code, client.TIMEOUT)
    d.wait_access(outcome='connect-timeout')


# --- where clients come in --------------------------------------------------

@netns
@timeout(60)
def test_an_optional_listener_comes_with_its_address(t):
    net.dummy('lan0')
    d = Daemon(t, {'listeners': [
        conf.listener(),
        conf.listener(name='later', address=['192.0.2.1:1080'],
                      optional=True)]})
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
    net.add_address('192.0.2.1/24', 'lan0')

    def serves():
        try:
            with tunnel(('192.0.2.1', 1080), o.target) as s:
                return echoes(s)
        except OSError:
            return False
    eventually(serves, 20, 'the late listener')
    d.base = d.descriptors()


def test_a_listener_that_is_not_optional_must_have_its_address(t):
    d = Daemon(t, {'listeners': [
        conf.listener(),
        conf.listener(name='later', address=['192.0.2.1:1080'])]},
        wait=False)
    d.wait_exit(1)
    assert '192.0.2.1:1080' in d.log()


@netns
def test_freebind_needs_no_address(t):
    net.dummy('lan0')
    d = Daemon(t, {'listeners': [conf.listener(
        address=['192.0.2.1:1080'], freebind=True)]})
    net.add_address('192.0.2.1/24', 'lan0')
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as s:
        assert echoes(s)


@netns
def test_a_listener_may_be_bound_to_a_device(t):
    far = net.Namespace(t)
    net.join('lan0', far)
    net.add_address('10.78.0.1/24', 'lan0')
    far.ip('address', 'add', '10.78.0.2/24', 'dev', 'wan0')
    d = Daemon(t, {'listeners': [conf.listener(
        address=['0.0.0.0:1080'], device='lan0')]})
    d.addresses = [('10.78.0.1', 1080)]
    o = Origin(t, echo)
    with far.inside():
        s = tunnel(d.address, o.target)
    with s:
        assert echoes(s)
    try:
        client.dial(('127.0.0.1', 1080), 2).close()
    except OSError:
        return
    raise AssertionError('served on another interface')


@each('backlog', 'fastopen', 'defer_accept', 'user_timeout', 'keepalive',
      'nodelay')
def test_a_listener_with_this_option_serves(t, option):
    value = {'backlog': 16, 'fastopen': 64, 'defer_accept': '2s',
             'user_timeout': '30s'}.get(option, False)
    d = Daemon(t, {'listeners': [conf.listener(**{option: value})]})
    o = Origin(t, echo)
    for protocol in client.PROTOCOLS:
        with tunnel(d.address, o.target, protocol) as s:
            assert echoes(s)


def test_the_backlog_is_what_was_asked_for(t):
    d = Daemon(t, {'workers': 1, 'listeners': [conf.listener(backlog=77)]})
    done = t.run('ss', '-Hltn', f'sport = :{d.address[1]}')
    assert done.stdout.split()[2] == b'77', done.stdout
