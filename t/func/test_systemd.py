"""spliced.service under the real systemd: start, reload, crash, end."""
import os
import signal
import subprocess
import threading
import time
import zlib

from lib import client, conf, origin, proc
from lib.box import ADDRESS, Service, listening
from lib.case import eventually, patient, same, timeout
from lib.client import dial, echoes, tunnel
from lib.origin import Origin, echo

BROKEN = 'listeners = ( { name = "lan"; address = "127.0.0.1:1080" } );\n' \
         'rulez = ();\n'


def serves(o, address=ADDRESS):
    """Whether a new client gets through."""
    with tunnel(address, o.target) as s:
        return echoes(s)


def freeze(pid):
    """Stops a process and waits until no thread of it runs any more."""
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: all(proc.status(pid, tid)['State'][0] == 'T'
                           for tid in proc.threads(pid)))


class Callers:
    """Clients that come one after the other until the block ends."""

    def __init__(self, target, address=ADDRESS):
        self.target = target
        self.address = address
        self.done = 0
        self.failed = []
        self.slowest = 0
        self.stop = False
        self.thread = threading.Thread(target=self.loop, daemon=True)

    def loop(self):
        while not self.stop:
            start = time.monotonic()
            try:
                # As one piece: whoever accepts it answers it.
                with dial(self.address, 20) as s:
                    s.sendall(client.request('socks5', self.target) +
                              b'hello')
                    same(client.take_reply(s, 'socks5'), 0)
                    same(client.read_exact(s, 5), b'hello')
                self.done += 1
            except Exception as e:
                self.failed.append(repr(e))
            self.slowest = max(self.slowest, time.monotonic() - start)
            time.sleep(0.005)  # the journal wants some time, too

    def __enter__(self):
        self.thread.start()
        eventually(lambda: self.done or self.failed)
        return self

    def __exit__(self, *exception):
        self.stop = True
        self.thread.join(patient(30))


# --- Start ------------------------------------------------------------------

def test_is_ready_when_start_returns(t):
    s = Service(t, start=False)
    o = Origin(t, echo)
    s.box.systemctl('start', s.unit)
    assert serves(o)
    p = s.show()
    same((p['Type'], p['ActiveState'], p['SubState'], p['NRestarts']),
         ('notify', 'active', 'running', '0'))
    assert '127.0.0.1:1080' in p['StatusText'], p['StatusText']
    same(proc.status(s.main())['Name'], 'spliced')
    same(len(s.generations()), 1)


def test_status_line_counts_sessions(t):
    s = Service(t)
    o = Origin(t, echo)
    with tunnel(ADDRESS, o.target), tunnel(ADDRESS, o.target):
        s.wait_status('sessions: 2')


def test_a_wrong_file_fails_at_once_and_stays_failed(t):
    s = Service(t, start=False)
    s.configure(text=BROKEN)
    assert s.box.systemctl('start', s.unit, check=False).returncode
    p = s.wait_state('failed')
    same((p['Result'], p['NRestarts']), ('exit-code', '0'))
    s.wait_message(r'spliced\.conf.*2.*rulez')
    # Once it is right, a start is all that it takes.
    s.configure()
    s.box.systemctl('start', s.unit)
    assert serves(Origin(t, echo))


# --- Reload -----------------------------------------------------------------

def test_reload_puts_the_new_file_into_use(t):
    s = Service(t)
    o = Origin(t, echo)
    other = Origin(t, echo)
    main, old = s.main(), s.generation()
    with tunnel(ADDRESS, o.target) as held:
        assert echoes(held)
        s.configure({'listeners': [conf.listener(
            address=['127.0.0.1:1080', '127.0.0.1:1081'])],
            'rules': [conf.deny(ports=str(other.port)), conf.allow()]})
        s.reload()
        # All of it counts as soon as the command is back.
        assert serves(o, ('127.0.0.1', 1081))
        with client.socks5_ask(ADDRESS, other.target)[0] as refused:
            same(refused.recv(1), b'')
        same(s.main(), main)
        assert echoes(held)
        assert old in s.generations(), 'its tunnels have ended'
        p = s.show()
        same((p['ActiveState'], p['NRestarts']), ('active', '0'))
        s.wait_status('127.0.0.1:1081')
    eventually(lambda: old not in s.generations())
    same(len(s.generations()), 1)


def test_reload_of_a_wrong_file_fails_and_changes_nothing(t):
    s = Service(t)
    o = Origin(t, echo)
    main, old = s.main(), s.generation()
    with tunnel(ADDRESS, o.target) as held:
        s.configure(text=BROKEN)
        for _ in range(3):
            assert s.reload(check=False).returncode, 'it should fail'
        # What the command said is in the journal, with file and line.
        told = [e for e in s.box.journal(s.unit)
                if e.get('SYSLOG_IDENTIFIER') == 'splicedctl']
        assert any('rulez' in e['MESSAGE'] and
                   'spliced.conf' in e['MESSAGE'] for e in told), told
        assert echoes(held)
        assert serves(o)
        same(s.main(), main)
        eventually(lambda: s.generations() == [old])
        p = s.show()
        same((p['ActiveState'], p['SubState']), ('active', 'running'))
        s.wait_status('reload failed')
        s.configure()
        s.reload()
        s.wait_status('failed', False)
        assert echoes(held)


def test_sighup_reloads_too(t):
    s = Service(t)
    s.configure({'listeners': [conf.listener(
        address=['127.0.0.1:1080', '127.0.0.1:1081'])]})
    os.kill(s.main(), signal.SIGHUP)
    eventually(lambda: listening(1081))
    s.wait_message('reload')
    same(s.wait_state('active')['SubState'], 'running')


@timeout(60)
def test_reloads_in_a_row_lose_nobody(t):
    # More of them than a process can have layers of Landlock.
    s = Service(t)
    o = Origin(t, echo)
    main, sockets = s.main(), listening(1080)
    with Callers(o.target) as callers:
        for _ in range(20):
            s.reload()
    same(callers.failed, [])
    same((s.main(), listening(1080)), (main, sockets))
    eventually(lambda: len(s.generations()) == 1)
    same(s.show()['NRestarts'], '0')


def test_a_new_binary_comes_into_use_by_a_reload(t):
    s = Service(t)
    o = Origin(t, echo)
    main = s.main()
    # As a package manager does it: another file under the same name.
    s.box.run('cp', '/usr/sbin/spliced', '/usr/sbin/spliced.new')
    s.box.run('mv', '/usr/sbin/spliced.new', '/usr/sbin/spliced')
    s.reload()
    assert serves(o)
    same(s.main(), main)
    eventually(lambda: len(s.generations()) == 1)
    link = os.readlink(f'/proc/{s.generations()[0]}/exe')
    assert not link.endswith(' (deleted)'), link


# --- Crash ------------------------------------------------------------------

def test_restart_keeps_the_sockets_and_who_waits_in_them(t):
    s = Service(t)
    o = Origin(t, echo)
    main, sockets = s.main(), listening(1080)
    assert sockets
    eventually(lambda: int(s.show()['NFileDescriptorStore']) > 0)
    with Callers(o.target) as callers:
        for _ in range(3):
            s.restart()
            assert s.main() != main
            main = s.main()
            same(listening(1080), sockets)
    same(callers.failed, [])
    assert callers.done > 3


def test_clients_outlive_the_first_process(t):
    s = Service(t)
    o = Origin(t, echo)
    main, sockets = s.main(), listening(1080)
    eventually(lambda: int(s.show()['NFileDescriptorStore']) > 0)
    waiting = []
    generation = s.generation()
    freeze(main)
    freeze(generation)
    for _ in range(40):
        waiting.append(dial(ADDRESS, 20))
        waiting[-1].sendall(client.request('socks5', o.target) + b'hello')
    os.kill(main, signal.SIGKILL)  # systemd ends the other one
    for c in waiting:
        with c:
            same(client.take_reply(c, 'socks5'), 0)
            same(client.read_exact(c, 5), b'hello')
    s.wait_new(main)
    same(listening(1080), sockets)
    same(s.show()['NRestarts'], '1')


@timeout(60)
def test_many_crashes_do_not_end_the_service(t):
    s = Service(t)
    o = Origin(t, echo)
    sockets = listening(1080)
    for n in range(8):
        main = s.main()
        os.kill(main, signal.SIGKILL)
        s.wait_new(main)
        same(int(s.show()['NRestarts']), n + 1)
        assert serves(o)
    same(listening(1080), sockets)


def test_a_generation_that_dies_is_replaced(t):
    s = Service(t)
    o = Origin(t, echo)
    main, old, sockets = s.main(), s.generation(), listening(1080)
    with tunnel(ADDRESS, o.target) as lost:
        os.kill(old, signal.SIGKILL)
        client.read_to_end(lost)
    assert serves(o)
    eventually(lambda: (g := s.generations()) and old not in g)
    p = s.show()
    same((p['ActiveState'], p['NRestarts']), ('active', '0'))
    same((s.main(), listening(1080)), (main, sockets))


# --- Watchdogs --------------------------------------------------------------

@timeout(60)
def test_systemd_replaces_a_first_process_that_hangs(t):
    s = Service(t, start=False)
    s.drop_in('watchdog.conf', '[Service]\nWatchdogSec=1\n')
    s.box.systemctl('start', s.unit)
    o = Origin(t, echo)
    # It is fed: nothing happens for longer than the watchdog waits.
    main = s.main()
    time.sleep(2.5)
    same((s.main(), s.show()['NRestarts']), (main, '0'))
    freeze(main)
    s.wait_new(main, 20)
    same(s.show()['NRestarts'], '1')
    s.wait_message('Watchdog timeout')
    assert serves(o)


@timeout(60)
def test_the_first_process_replaces_a_generation_that_hangs(t):
    s = Service(t, {'timeouts': {'watchdog': '1s', 'shutdown': '5s'}},
                start=False)
    s.drop_in('watchdog.conf', '[Service]\nWatchdogSec=5\n')
    s.box.systemctl('start', s.unit)
    o = Origin(t, echo)
    main, old = s.main(), s.generation()
    freeze(old)
    with dial(ADDRESS, 20) as c:
        c.sendall(client.request('socks5', o.target) + b'hello')
        same(client.take_reply(c, 'socks5'), 0)
        same(client.read_exact(c, 5), b'hello')
    eventually(lambda: old not in s.generations())
    p = s.show()
    same((s.main(), p['NRestarts']), (main, '0'))
    s.wait_message(r'hangs')


# --- End --------------------------------------------------------------------

class Download:
    """A tunnel through which bulk comes as the test takes it."""

    def __init__(self, t, mib=64, address=ADDRESS, **where):
        self.mib = mib
        self.origin = Origin(t, lambda s: origin.send_bulk(s, mib, 7), **where)
        self.socket = tunnel(address, self.origin.target)
        self.crc = 0
        self.left = mib << 20
        self.take(1)

    def take(self, mib):
        data = client.read_exact(self.socket, mib << 20)
        self.crc = zlib.crc32(data, self.crc)
        self.left -= len(data)

    def finish(self):
        while self.left:
            self.take(1)
        same(self.crc, origin.checksum(self.mib, 7))
        same(self.socket.recv(1), b'')
        self.socket.close()


def stopping(s):
    """Begins to stop it; what comes back ends when that is done."""
    process = s.box.start('systemctl', 'stop', s.unit,
                          stdout=subprocess.DEVNULL)
    s.wait_state('deactivating')
    return process


def stopped(s, process):
    same(process.wait(patient(20)), 0)
    p = s.show()
    same((p['ActiveState'], p['Result']), ('inactive', 'success'))
    same((s.box.processes(s.unit), listening(1080)), ({}, []))


def test_stop_lets_a_download_finish(t):
    s = Service(t, {'timeouts': {'shutdown': '20s'}})
    d = Download(t)
    process = stopping(s)
    time.sleep(1)
    s.wait_status('sessions: 1')
    same(process.poll(), None)
    d.finish()
    stopped(s, process)


@timeout(60)
def test_stop_asks_for_the_time_that_it_needs(t):
    s = Service(t, {'timeouts': {'shutdown': '60s'}}, start=False)
    s.drop_in('impatient.conf', '[Service]\nTimeoutStopSec=2\n')
    s.box.systemctl('start', s.unit)
    d = Download(t)
    process = stopping(s)
    time.sleep(5)
    d.finish()
    stopped(s, process)


def test_stop_bounds_what_does_not_end(t):
    s = Service(t, {'timeouts': {'shutdown': '1s'}})
    o = Origin(t, echo)
    with tunnel(ADDRESS, o.target) as held:
        assert echoes(held)
        s.stop()
        client.read_to_end(held)
    same(s.show()['Result'], 'success')
    same(s.box.processes(s.unit), {})


def test_stop_waits_for_all_generations(t):
    s = Service(t, {'timeouts': {'shutdown': '20s'}})
    first = Download(t)
    s.reload()
    second = Download(t)
    s.reload()
    same(len(s.generations()), 3)
    process = stopping(s)
    second.finish()
    eventually(lambda: len(s.generations()) == 1)
    same(process.poll(), None)
    first.finish()
    stopped(s, process)


def test_a_drain_ends_the_service_for_good(t):
    s = Service(t, start=False)
    s.drop_in('impatient.conf', '[Service]\nTimeoutStopSec=2\n')
    s.box.systemctl('start', s.unit)
    d = Download(t)
    s.ctl('drain')
    eventually(lambda: not listening(1080))
    # As long as it takes, also longer than a stop may.
    time.sleep(4)
    d.finish()
    p = s.wait_state('inactive')
    same((p['Result'], p['NRestarts']), ('success', '0'))


def test_what_it_made_for_running_goes_with_it(t):
    s = Service(t)
    assert os.path.exists(s.box.path('/run/spliced/control'))
    s.restart()
    assert os.path.exists(s.box.path('/run/spliced/control'))
    s.stop()
    assert not os.path.exists(s.box.path('/run/spliced'))
    same(s.show()['NFileDescriptorStore'], '0')
    s.box.systemctl('start', s.unit)
    assert serves(Origin(t, echo))


def test_a_port_that_is_given_up_is_closed(t):
    # systemd has a copy of its socket, which must go, too.
    two = [conf.listener(name='a', address=['127.0.0.1:1080']),
           conf.listener(name='b', address=['127.0.0.1:1081']),
           conf.listener(name='c', address=['127.0.0.1:1082'])]
    s = Service(t, {'listeners': two})
    o = Origin(t, echo)
    kept = listening(1081)
    # One goes, one gets another name, one comes.
    two[1]['name'] = 'bee'
    s.configure({'listeners': [two[1], conf.listener(
        name='c', address=['127.0.0.1:1082', '127.0.0.1:1083'])]})
    s.reload()
    eventually(lambda: not listening(1080))
    same(listening(1081), kept)
    for port in (1081, 1082, 1083):
        assert serves(o, ('127.0.0.1', port))
    s.restart()
    same((listening(1080), listening(1081)), ([], kept))
    for port in (1081, 1082, 1083):
        assert serves(o, ('127.0.0.1', port))
