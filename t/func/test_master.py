"""The master: generations that crash, its own end, its own replacement."""
import os
import re
import shutil
import signal
import time

from lib import client, proc
from lib.case import (alone, each, eventually, fewer, long, measured, same,
                      still, timeout)
from lib.churn import Churn, assert_whole
from lib.client import dial, echoes, read_to_end, tunnel
from lib.daemon import Daemon
from lib.origin import Listener, Origin, echo
from lib.serving import fixed, inodes, refused, served


def crash(d):
    """Kills the generation that serves; returns the next one's number."""
    before = d.serving()['generation']
    proc.kill(d.worker)

    def next_one():
        g = d.serving()
        return g and g['generation'] > before and g['generation']
    number = eventually(next_one, 20, 'the next generation serves')
    d.found = None
    return number


# --- crashes ----------------------------------------------------------------

@still
def test_a_generation_that_dies_is_replaced(t):
    d = Daemon(t)
    o = Origin(t, echo)
    before, addresses = inodes(d), d.addresses
    with tunnel(d.address, o.target) as s:
        assert echoes(s)
        start = time.monotonic()
        crash(d)
        served(d, o)
        took = time.monotonic() - start
        assert took < measured(1), f'served again after {took:.2f} s'
        read_to_end(s)
    same(d.addresses, addresses)
    same(inodes(d), before)
    served(d, o, 20)
    d.assert_polled()
    assert re.search(r'generation 1\b.*(killed|signal|SIGKILL)', d.log())
    same(d.control.status()['crashes'], 1)


def test_sessions_of_older_generations_survive_a_crash(t):
    d = Daemon(t)
    o = Origin(t, echo)
    with tunnel(d.address, o.target) as old:
        d.reload(rebase=False)
        with tunnel(d.address, o.target) as new:
            crash(d)
            read_to_end(new)
        assert echoes(old)
        served(d, o, 4)
    d.wait_alone()


def test_the_crash_of_an_older_generation_is_its_own_affair(t):
    d = Daemon(t)
    o = Origin(t, echo)
    first = d.worker
    with tunnel(d.address, o.target) as old:
        d.reload(rebase=False)
        with tunnel(d.address, o.target) as new:
            proc.kill(first)
            read_to_end(old)
            assert echoes(new)
            d.wait_alone()
            served(d, o, 10)
            same(d.serving()['generation'], 2)
    d.assert_polled()


def test_crashes_one_after_the_other_are_slowed_down(t):
    d = Daemon(t)
    o = Origin(t, echo)
    took = []
    for _ in range(4):
        start = time.monotonic()
        crash(d)
        took.append(time.monotonic() - start)
    served(d, o, 4)
    waits = [int(x) for x in re.findall(r'tried in (\d+) ms', d.log())]
    assert len(waits) >= 2 and waits == sorted(set(waits)), waits
    assert took[-1] > 0.15, took
    same(d.control.status()['crashes'], 4)
    d.assert_polled()


def test_a_crash_while_the_file_is_bad_is_mended_by_a_reload(t):
    d = Daemon(t)
    o = Origin(t, echo)
    good, before = d.conf, inodes(d)
    d.write(text='nonsense = 1;\n')
    proc.kill(d.worker)
    eventually(lambda: d.control.status()['state'] == 'down', 10,
               lambda: d.control.status())
    same(inodes(d), before)
    # Who comes now waits in the queue.
    waiting = [dial(d.address, 20) for _ in range(20)]
    for s in waiting:
        s.sendall(client.request('socks5', o.target))
    d.wait_log('nonsense')
    d.conf = good
    d.write({})
    same(d.control.ask('reload wait', 30)[-1]['ok'], True)
    for s in waiting:
        same(client.take_reply(s, 'socks5'), 0)
        assert echoes(s)
        s.close()
    d.found = None
    served(d, o, 10)
    d.assert_polled()


def test_a_crash_while_the_file_is_bad_is_mended_by_itself(t):
    d = Daemon(t)
    o = Origin(t, echo)
    good = d.conf
    d.write(text='nonsense = 1;\n')
    proc.kill(d.worker)
    eventually(lambda: d.control.status()['state'] == 'down')
    d.conf = good
    d.write({})
    eventually(d.serving, 30, 'a generation serves again')
    d.found = None
    served(d, o, 10)


@alone
@timeout(60)
def test_only_its_own_sessions_die_with_a_generation(t):
    d = Daemon(t)
    churn = Churn(t, d.address, rate=fewer(500), bytes=1024)
    lost = 0
    for _ in range(3):
        time.sleep(1)
        proc.kill(d.worker)
        d.found = None
        time.sleep(0.3)
        eventually(d.serving, 10, 'a generation serves')
        lost += 1
    report = churn.finish()
    e = report['errors']
    # Cut in the middle, yes; but nobody is refused and nobody left waiting.
    same([e[k] for k in ('refused', 'timeout', 'wrong', 'other')], [0] * 4)
    assert e['reset'] + e['eof'] <= lost * 60, report
    assert report['max_ms'] < measured(1500), report
    d.wait_alone()
    d.assert_polled()


# --- the end of the master --------------------------------------------------

def test_without_its_master_a_generation_drains_and_ends(t):
    listener = fixed()
    d = Daemon(t, {'listeners': [listener]})
    o = Origin(t, echo)
    worker = d.worker
    with tunnel(d.address, o.target) as s:
        d.kill()
        eventually(lambda: refused(d.address), said='no new clients')
        for _ in range(5):
            assert echoes(s, client.noise(20000))
        # The port is free at once for a new start.
        again = Daemon(t, {'listeners': [listener]})
        same(again.address, d.address)
        served(again, o, 20)
        again.assert_polled()
        assert proc.alive(worker)
        assert echoes(s)
    eventually(lambda: not proc.alive(worker), said='its end')
    d.wait_gone()
    d.assert_clean()


def test_all_generations_end_without_their_master(t):
    d = Daemon(t)
    o = Origin(t, echo)
    held = []
    for _ in range(3):
        held.append(tunnel(d.address, o.target))
        d.reload(rebase=False)
    pids = proc.children(d.pid)
    same(len(pids), 4)
    d.kill()
    for i, s in enumerate(held):
        assert echoes(s)
        s.close()
        eventually(lambda: not proc.alive(pids[i]), said=f'end of {i + 1}')
    d.wait_gone()
    d.assert_clean()


def test_a_master_that_dies_during_a_start_leaves_nothing(t):
    for i in range(fewer(10, 2)):
        d = Daemon(t, wait=False)
        time.sleep(i * 0.01)
        d.kill()
        d.wait_gone(10)


@each('1 3 0', '1 3 1', '1 3 -1', 'x', '', '1 999999 0', '1 0 0')
def test_a_generation_of_no_master_does_not_start(t, text):
    """It never opens an address anew that somebody else may hold."""
    listener = fixed()
    d = Daemon(t, {'listeners': [listener]}, wait=False,
               env={'SPLICED_GENERATION': text})
    d.process.wait(20)
    assert d.process.returncode != 0
    d.stopped = True
    d.wait_gone()
    assert 'is ready' not in d.log()


# --- signals ----------------------------------------------------------------

@timeout(60)
def test_sigterm_while_a_reload_is_under_way(t):
    for i in range(fewer(16)):
        d = Daemon(t)
        d.signal(signal.SIGHUP)
        time.sleep(i * 0.005)
        d.signal(signal.SIGTERM)
        d.wait_exit(0)


def test_sigterm_lets_all_generations_finish(t):
    d = Daemon(t, {'timeouts': {'shutdown': '20s'}})
    o = Origin(t, echo)
    held = []
    for _ in range(3):
        held.append(tunnel(d.address, o.target))
        d.reload(rebase=False)
    held.append(tunnel(d.address, o.target))
    d.signal(signal.SIGTERM)
    eventually(lambda: refused(d.address), said='no new clients')
    for s in held:
        assert echoes(s, client.noise(20000))
    assert d.process.poll() is None
    for s in held:
        s.close()
    d.wait_exit(0, 5)
    same(len(d.access(outcome='closed')), 4)


def with_two_generations(t, shutdown):
    d = Daemon(t, {'timeouts': {'shutdown': shutdown}})
    o = Listener(t)
    held = [tunnel(d.address, o.target), o.accept()]
    d.reload(rebase=False)
    held += [tunnel(d.address, o.target), o.accept()]
    return d, held


def test_what_is_left_at_the_end_of_the_shutdown_is_cut(t):
    d, held = with_two_generations(t, '1s')
    start = time.monotonic()
    d.signal(signal.SIGTERM)
    d.wait_exit(0, 5)
    assert time.monotonic() - start > 0.9
    same(len(d.access(outcome='shutdown')), 2)
    for s in held:
        s.close()


@each(signal.SIGTERM, signal.SIGINT)
def test_a_second_signal_ends_all_generations_at_once(t, second):
    d, held = with_two_generations(t, '60s')
    d.signal(signal.SIGTERM)
    eventually(lambda: refused(d.address), said='no new clients')
    d.signal(second)
    d.wait_exit(0, 3)
    same(len(d.access(outcome='shutdown')), 2)
    for s in held:
        s.close()


def test_sigint_ends_all_generations_at_once(t):
    d, held = with_two_generations(t, '60s')
    d.signal(signal.SIGINT)
    d.wait_exit(0, 3)
    same(len(d.access(outcome='shutdown')), 2)
    for s in held:
        s.close()


@long
def test_a_generation_that_does_not_end_is_ended(t):
    d = Daemon(t, {'timeouts': {'shutdown': '100ms'}})
    proc.kill(d.worker, signo=signal.SIGSTOP)
    d.signal(signal.SIGTERM)
    d.wait_exit(0, 15)


def test_a_reload_during_the_end_is_none(t):
    d, held = with_two_generations(t, '20s')
    d.signal(signal.SIGTERM)
    eventually(lambda: refused(d.address))
    d.signal(signal.SIGHUP)
    d.signal(signal.SIGUSR2)
    time.sleep(0.3)
    same(len(d.generations()), 2)
    for s in held:
        s.close()
    d.wait_exit(0, 5)


@each('stop', 'hup')
def test_a_loop_that_stands_still_is_ended(t, then):
    """The watchdog ends that generation; others live on."""
    d = Daemon(t, {'timeouts': {'watchdog': '1s'}})
    o = Origin(t, echo)
    first = d.worker
    with tunnel(d.address, o.target) as old:
        d.reload(rebase=False)
        second = d.worker
        proc.kill(second, signo=signal.SIGSTOP)
        eventually(lambda: proc.status(second)['State'][0] == 'T')
        with dial(d.address, 20) as s:
            s.sendall(client.request('socks5', o.target))
            if then == 'hup':
                d.signal(signal.SIGHUP)
            same(client.take_reply(s, 'socks5'), 0)
            assert echoes(s)
        eventually(lambda: not proc.alive(second), said='its end')
        assert proc.alive(first)
        assert echoes(old)
    assert 'timeouts.watchdog' in d.log() or then == 'hup'
    d.found = None
    d.wait_alone()


# --- another program --------------------------------------------------------

def own_copy(t):
    """A copy of the program that a test may replace."""
    path = os.path.join(t.folder('bin'), 'spliced')
    shutil.copy(os.path.join(t.build, 'spliced'), path)
    return path


def replace(t, path, program=None):
    """Puts another file in the program's place, as a package would."""
    shutil.copy(program or os.path.join(t.build, 'spliced'), path + '.new')
    os.chmod(path + '.new', 0o755)
    os.rename(path + '.new', path)


def exe(pid):
    return os.readlink(f'/proc/{pid}/exe')


def replaced(d, before):
    """The master runs the program on disk, and a later generation serves."""
    try:
        g = d.serving()
    except OSError:  # it hung up on us, being replaced
        return False
    return g and g['generation'] > before and \
        not exe(d.pid).endswith('(deleted)')


def wait_replaced(d, generation):
    d.wait_ready(generation=generation)
    assert not exe(d.pid).endswith('(deleted)'), exe(d.pid)
    same(exe(d.worker), exe(d.pid))


def test_sigusr2_replaces_the_program_in_place(t):
    path = own_copy(t)
    d = Daemon(t, program=path)
    o = Origin(t, echo)
    pid, before = d.pid, inodes(d)
    with tunnel(d.address, o.target) as s:
        for generation in (2, 3, 4):
            replace(t, path)
            assert exe(pid).endswith('(deleted)')
            d.signal(signal.SIGUSR2)
            wait_replaced(d, generation)
            assert d.process.poll() is None
            assert echoes(s)
            same(inodes(d), before)
            served(d, o, 10)
            d.assert_polled()
        # It still knows of what went before.
        eventually(lambda: [g['generation'] for g in d.generations()] ==
                   [1, 4], said=d.generations)
        same(d.control.status()['reloads']['ok'], 3)
    d.wait_alone()
    d.rebase()
    d.reload()
    served(d, o, 4)


def test_a_reload_runs_the_program_on_disk(t):
    """SIGHUP alone: the new generation is the new program."""
    path = own_copy(t)
    d = Daemon(t, program=path)
    replace(t, path)
    d.reload()
    same(exe(d.worker), path)
    assert exe(d.pid).endswith('(deleted)')
    served(d, Origin(t, echo), 4)


BROKEN = {'is no program': b'\x7fELF nonsense' * 100,
          'fails': b'#!/bin/sh\nexit 3\n', 'is empty': b''}


@each(*BROKEN)
def test_a_program_that_is_broken_replaces_nothing(t, what):
    path = own_copy(t)
    d = Daemon(t, program=path)
    o = Origin(t, echo)
    worker = d.worker
    with tunnel(d.address, o.target) as s:
        replace(t, path, t.file('broken', BROKEN[what]))
        d.signal(signal.SIGUSR2)
        d.wait_log('is not replaced')
        assert echoes(s)
        same(d.worker, worker)
        served(d, o, 4)
        # Nor can a generation be started from it.
        same(d.control.ask('reload wait', 20)[-1]['ok'], False)
        same(d.worker, worker)
        served(d, o, 4)
        replace(t, path)
        d.signal(signal.SIGUSR2)
        d.wait_log('was replaced')  # clients of the control socket go then
        eventually(lambda: len(d.generations()) == 2 and d.serving(), 20)
        assert echoes(s)
    d.found = None
    d.wait_alone()
    served(d, o, 4)
    d.rebase()


def test_a_program_that_is_gone_replaces_nothing(t):
    path = own_copy(t)
    d = Daemon(t, program=path)
    worker = d.worker
    os.remove(path)
    d.signal(signal.SIGUSR2)
    d.wait_log('is not replaced')
    said = d.reload(fails='.')
    assert path in said, said
    same(d.worker, worker)
    served(d, Origin(t, echo), 4)


@alone
@timeout(60)
def test_nothing_is_lost_when_the_program_is_replaced(t):
    path = own_copy(t)
    d = Daemon(t, {'limits': {'generations': 64},
                   'timeouts': {'half_closed': '10m'}}, program=path)
    churn = Churn(t, d.address, rate=fewer(1000), idle=100, half=20, up=4,
                  down=4)
    for i in range(fewer(12)):
        replace(t, path)
        if i % 3 == 2:  # both at once: in whatever order they are taken
            d.signal(signal.SIGHUP)
        before = d.serving()['generation']
        d.signal(signal.SIGUSR2)
        eventually(lambda: replaced(d, before), 20, 'the new program serves')
    assert_whole(churn.finish())
    d.found = None
    d.wait_alone(20)
    d.assert_polled()
    assert not exe(d.pid).endswith('(deleted)')
    d.rebase()


def test_a_crash_after_the_program_was_replaced_is_noticed(t):
    path = own_copy(t)
    d = Daemon(t, program=path)
    o = Origin(t, echo)
    d.signal(signal.SIGUSR2)
    d.wait_ready(generation=2)
    d.wait_alone()
    d.rebase()
    crash(d)
    served(d, o, 10)
    same(d.control.status()['crashes'], 1)
    d.assert_polled()


# --- one process ------------------------------------------------------------

def test_a_single_process_serves_and_ends(t):
    d = Daemon(t, single=True)
    o = Origin(t, echo)
    same(proc.children(d.pid), [])
    served(d, o, 20)
    with tunnel(d.address, o.target) as s:
        d.signal(signal.SIGHUP)
        d.signal(signal.SIGUSR1)
        assert echoes(s)
        d.signal(signal.SIGTERM)
        eventually(lambda: refused(d.address))
        assert echoes(s)
    d.wait_exit(0)
