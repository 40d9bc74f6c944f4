"""Reloads under load: nobody is refused, nothing is lost.

The load is t/helper/churn: new connections all the while, and tunnels from
before the first reload to after the last: idle ones, half-closed ones,
uploads, downloads.
"""
import random
import signal
import time

from lib import conf, proc
from lib.case import (SLOWNESS, alone, each, eventually, fewer, measured,
                      same, slow, timeout)
from lib.churn import Churn, assert_whole
from lib.client import dial, echoes, read_exact, socks5_request
from lib.daemon import Daemon
from lib.origin import Origin, echo
from lib.serving import Newcomer, served

RATE = int(1000 / SLOWNESS)  # new connections a second
LASTING = {'idle': 100, 'half': 20, 'up': 4, 'down': 4}

# Every old generation lives as long as its tunnels do.
ROOM = {'limits': {'generations': 128}, 'log': {'access': 'off'},
        'timeouts': {'shutdown': '5s', 'half_closed': '10m'}}


def daemon(t, **changes):
    return Daemon(t, {**ROOM, **changes})


def reload_often(d, seconds, pause, change=lambda i: None):
    """Reloads again and again for that long; how long each one took."""
    took = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        next_one = time.monotonic() + pause
        change(len(took))
        answer = d.control.ask('reload wait', 30)[-1]
        assert answer['ok'], answer
        took.append(answer['ms'])
        time.sleep(max(0, next_one - time.monotonic()))
    d.found = None
    print(f'{len(took)} reloads, ms: {sorted(took)}')
    return took


def settle(d):
    """All is as it was, when the load has ended."""
    d.wait_alone(30)
    d.assert_polled()


def reloads_under_load(t, seconds, pause, **options):
    d = daemon(t, **options)
    churn = Churn(t, d.address, rate=RATE, **LASTING)
    took = reload_often(d, seconds, pause)
    report = churn.finish()
    assert_whole(report)
    settle(d)
    return report, took


@alone
@timeout(60)
def test_nothing_is_lost_in_ten_seconds_of_reloads(t):
    report, took = reloads_under_load(t, 10, 0.1, log={'access': 'logfmt'})
    assert len(took) >= fewer(40), f'{len(took)} reloads'
    assert report['ok'] > fewer(5000), report


@slow
@alone
@timeout(150)
def test_nothing_is_lost_in_a_hundred_reloads_in_a_minute(t):
    _, took = reloads_under_load(t, 60, 0.6)
    assert len(took) >= fewer(100), f'{len(took)} reloads'


@alone
@timeout(90)
def test_no_new_connection_waits_for_a_reload(t):
    """The slowest one is no slower than twice that of a quiet stretch."""
    d = daemon(t)
    churn = Churn(t, d.address, rate=RATE)
    time.sleep(1)
    churn.count()
    time.sleep(4)
    quiet = churn.count()
    took = reload_often(d, 4, 0.2)
    busy = churn.finish()
    assert_whole(quiet, busy)
    limit = max(50, 2 * quiet['max_ms'])
    print(f'{len(took)} reloads: slowest {busy["max_ms"]} ms, without '
          f'{quiet["max_ms"]} ms')
    assert busy['max_ms'] <= measured(limit), (quiet, busy)
    settle(d)


@alone
@timeout(60)
def test_nothing_is_lost_at_saturation(t):
    d = daemon(t)
    churn = Churn(t, d.address, clients=100)
    reload_often(d, 5, 0.2)
    assert_whole(churn.finish())
    settle(d)


@alone
@timeout(90)
def test_nothing_is_lost_when_the_number_of_workers_changes(t):
    d = daemon(t, workers=4, listeners=[conf.listener()])
    churn = Churn(t, d.address, rate=RATE, **LASTING)
    counts = (2, 1, 4, 1, 4, 2, 3, 1)

    def change(i):
        d.write({'workers': counts[i % len(counts)]})
        d.found = None
        d.assert_polled()
    reload_often(d, 5, 0.2, change)
    assert_whole(churn.finish())
    d.reload({'workers': 4})
    settle(d)
    served(d, Origin(t, echo), fewer(100))


@alone
@timeout(60)
def test_nothing_is_lost_when_the_new_file_is_bad(t):
    d = daemon(t)
    churn = Churn(t, d.address, rate=RATE, **LASTING)
    good = d.conf
    for i in range(fewer(20)):
        d.write(text='nonsense = 1;\n' if i % 2 else '@include "none";\n')
        same(d.control.ask('reload wait', 20)[-1]['ok'], False)
        d.conf = good
        d.write({})
        if i % 5 == 4:
            same(d.control.ask('reload wait', 20)[-1]['ok'], True)
    assert_whole(churn.finish())
    d.found = None
    settle(d)


# --- a new generation that dies ---------------------------------------------

def usual_s(d):
    """How long a reload takes here and now, a good one."""
    last = d.control.status()['reloads']['last']
    if last and last['ok']:
        d.usual_ms = last['ms']
    return getattr(d, 'usual_ms', 30) / 1000


def until_steady(d):
    """Waits until no generation is on its way."""
    def steady():
        states = [g['state'] for g in d.generations()]
        return 'serving' in states and 'starting' not in states
    eventually(steady, 20, lambda: d.generations())
    d.found = None


@alone
@timeout(120)
def test_a_new_generation_may_die_at_any_moment(t):
    d = daemon(t)
    churn = Churn(t, d.address, rate=RATE, **LASTING)
    rng = random.Random(1)
    killed = late = 0
    while killed < fewer(50) and late < 500:
        # Sometimes it opens sockets of its own, sometimes it uses fewer.
        d.write({'workers': rng.choice((1, 2, 2, 3))})
        new = Newcomer(d)
        time.sleep(rng.random() * usual_s(d))
        if new.freeze():
            proc.kill(new.pid)
            new.wait_gone()
            killed += 1
        else:
            late += 1
        until_steady(d)
        d.assert_polled()
    print(f'{killed} killed, {late} served before')
    assert killed >= fewer(50), f'{killed} of {killed + late}'
    assert_whole(churn.finish())
    d.reload({'workers': 2})
    settle(d)


@alone
@timeout(120)
def test_a_new_generation_may_stand_still_at_any_moment(t):
    d = daemon(t, timeouts={**ROOM['timeouts'], 'start': '1s'})
    churn = Churn(t, d.address, rate=RATE, **LASTING)
    rng = random.Random(2)
    stopped = late = 0
    while stopped < fewer(10, 2) and late < 200:
        new = Newcomer(d)
        time.sleep(rng.random() * usual_s(d))
        if new.freeze():
            stopped += 1
            failed = d.control.status()['reloads']['failed']
            new.wait_gone()
            eventually(lambda: d.control.status()['reloads']['failed'] >
                       failed, said='a reload that failed')
            last = d.control.status()['reloads']['last']
            assert not last['ok'] and 'timeouts.start' in last['error'], last
        else:
            late += 1
        until_steady(d)
    assert stopped, 'it was never early enough'
    assert 'timeouts.start' in d.log()
    assert_whole(churn.finish())
    d.reload()
    settle(d)


# --- queues -----------------------------------------------------------------

def queued(d, o, count):
    """Clients in the queues of a daemon that does not accept."""
    clients = []
    for _ in range(count):
        s = dial(d.address, 20)
        s.sendall(b'\5\1\0' + socks5_request(*o.target))
        clients.append(s)
    return clients


def all_served(clients):
    for i, s in enumerate(clients):
        try:
            same(read_exact(s, 4)[:4], b'\5\0\5\0')
            same(len(read_exact(s, 8)), 8)
            assert echoes(s)
        except Exception as e:
            raise AssertionError(f'client {i}: {e!r}') from e
        s.close()


@each('and dies', 'and is replaced', 'and hangs')
def test_who_waits_while_a_generation_stands_still_is_served(t, how):
    watchdog = '1s' if how == 'and hangs' else '0'
    d = Daemon(t, {'timeouts': {'watchdog': watchdog}})
    o = Origin(t, echo)
    served(d, o, 4)
    first = d.worker
    proc.kill(first, signo=signal.SIGSTOP)
    eventually(lambda: proc.status(first)['State'][0] == 'T')
    clients = queued(d, o, 40)
    if how == 'and dies':
        proc.kill(first)
    elif how == 'and is replaced':
        assert d.control.ask('reload wait', 20)[-1]['ok']
    all_served(clients)
    if how == 'and is replaced':
        proc.kill(first, signo=signal.SIGCONT)
    d.found = None
    assert d.worker != first
    d.wait_alone()
    d.assert_polled()
